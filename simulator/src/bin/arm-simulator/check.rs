//! `arm-simulator check`: whether files are understood, without starting anything.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use arm_simulator::{Fault, Seed, Settings};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// What a file is for.
#[derive(Clone, Copy)]
enum Kind {
    Seed,
    Settings,
    Faults,
}

/// Something that is wrong, and in which line.
struct Problem {
    line: Option<u64>,
    reason: String,
}

impl From<serde_saphyr::Error> for Problem {
    fn from(error: serde_saphyr::Error) -> Self {
        let line = error.location().map(|location| location.line());
        // The rest of what it says draws the line.
        let text = error.without_snippet().to_string();
        let reason = text.lines().next().unwrap_or_default().to_owned();
        Self { line: line.filter(|line| *line > 0), reason }
    }
}

/// A list is a fault plan; a mapping is settings if one of its keys is a setting's, else a seed.
fn kind(document: &Value) -> Kind {
    let settings = serde_json::to_value(Settings::default()).unwrap_or_default();
    match document {
        Value::Array(_) => Kind::Faults,
        Value::Object(members) if members.keys().any(|key| settings.get(key).is_some()) => Kind::Settings,
        _ => Kind::Seed,
    }
}

fn parse<T: DeserializeOwned>(text: &str) -> Result<T, Vec<Problem>> {
    serde_saphyr::from_str(text).map_err(|error| vec![error.into()])
}

/// The first line in which a value stands.
fn line_of(text: &str, value: &str) -> Option<u64> {
    let at = text.lines().position(|line| line.contains(value))?;
    u64::try_from(at + 1).ok()
}

/// What a text is, or what is wrong with it.
fn examine(text: &str) -> Result<&'static str, Vec<Problem>> {
    match kind(&parse(text)?) {
        Kind::Settings => parse::<Settings>(text).map(|_| "settings"),
        Kind::Faults => {
            let faults: Vec<Fault> = parse(text)?;
            let wrong = faults.iter().enumerate().filter_map(|(at, fault)| {
                let error = fault.check().err()?;
                Some(Problem { line: None, reason: format!("fault {}: {error}", at + 1) })
            });
            let wrong: Vec<Problem> = wrong.collect();
            if wrong.is_empty() { Ok("a fault plan") } else { Err(wrong) }
        }
        Kind::Seed => {
            let problems = parse::<Seed>(text)?.problems();
            if problems.is_empty() {
                return Ok("a seed");
            }
            let located = |problem: arm_simulator::SeedProblem| Problem {
                line: line_of(text, &problem.value),
                reason: problem.reason,
            };
            Err(problems.into_iter().map(located).collect())
        }
    }
}

fn report(out: &mut impl Write, path: &Path, text: &str) -> std::io::Result<bool> {
    match examine(text) {
        Ok(what) => writeln!(out, "{}: understood as {what}", path.display()).map(|()| true),
        Err(problems) => {
            for Problem { line, reason } in problems {
                match line {
                    Some(line) => writeln!(out, "{}:{line}: {reason}", path.display())?,
                    None => writeln!(out, "{}: {reason}", path.display())?,
                }
            }
            Ok(false)
        }
    }
}

/// Checks files and says of each what it is or what is wrong with it.
pub(crate) fn run(files: &[PathBuf]) -> std::io::Result<ExitCode> {
    let mut out = std::io::stdout();
    let (mut unreadable, mut wrong) = (false, false);
    for path in files {
        match std::fs::read_to_string(path) {
            Ok(text) => wrong |= !report(&mut out, path, &text)?,
            Err(error) => {
                unreadable = true;
                writeln!(out, "{}: {error}", path.display())?;
            }
        }
    }
    Ok(ExitCode::from(match (unreadable, wrong) {
        (true, _) => 2,
        (false, true) => 1,
        (false, false) => 0,
    }))
}
