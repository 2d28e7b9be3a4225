//! All exchanges of a test.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Once, OnceLock};

use crate::contract::{Contract, ContractError};
use crate::coverage::{Coverage, Exercised};
use crate::exchange::Exchange;
use crate::outcome::{Finding, Level};

/// The environment variable that names the folder of specifications.
const FOLDER: &str = "ARM_SPECS_DIR";

/// Checks exchanges and keeps what was found.
#[derive(Debug)]
pub struct Collector<'c> {
    contract: &'c Contract,
    report: Report,
}

/// What was found in some exchanges.
#[derive(Debug, Default)]
pub struct Report {
    /// How many exchanges were checked.
    pub checked: usize,
    /// How often each operation was exercised.
    pub exercised: Coverage,
    /// The findings of each kind of exchange, with how often they occurred.
    findings: BTreeMap<String, Vec<(Finding, usize)>>,
}

impl<'c> Collector<'c> {
    /// A collector without any exchange.
    pub fn new(contract: &'c Contract) -> Self {
        Self { contract, report: Report::default() }
    }

    /// Checks one exchange.
    pub fn add(&mut self, exchange: &Exchange) {
        let outcome = self.contract.check(exchange);
        let exercised = Exercised::of(exchange, &outcome);
        let heading = format!("{} {} {exercised}", exchange.method, exchange.status);
        self.report.checked += 1;
        self.report.exercised.count(exercised);
        if outcome.findings.is_empty() {
            return;
        }
        let known = self.report.findings.entry(heading).or_default();
        for finding in outcome.findings {
            match known.iter_mut().find(|(known, _)| *known == finding) {
                Some((_, count)) => *count += 1,
                None => known.push((finding, 1)),
            }
        }
    }

    /// What was found.
    pub fn report(self) -> Report {
        self.report
    }
}

impl Report {
    /// Nothing, or a text that lists what contradicts the specifications.
    ///
    /// # Errors
    /// The text, if there is any contradiction.
    pub fn verdict(&self) -> Result<(), String> {
        let violations = self.listed(Level::Violation);
        if violations.is_empty() {
            return Ok(());
        }
        Err(format!("of {} exchanges some contradict the specifications:\n{violations}", self.checked))
    }

    /// The findings of a level, by operation; empty if there are none.
    pub fn listed(&self, level: Level) -> String {
        let mut text = String::new();
        for (heading, findings) in &self.findings {
            let mut findings = findings.iter().filter(|(finding, _)| finding.level == level).peekable();
            if findings.peek().is_some() {
                let _ = writeln!(text, "{heading}");
            }
            for (finding, count) in findings {
                let _ = writeln!(
                    text,
                    "  {finding}{}",
                    if *count > 1 { format!(" ({count} times)") } else { String::new() }
                );
            }
        }
        text
    }
}

/// Checks the exchanges of a test against the specifications that `ARM_SPECS_DIR` names, and adds the operations exercised
/// to the counts in `coverage`, for `arm-contract report`. Without the variable it says on standard error that it skipped
/// the check.
///
/// # Errors
/// A text for people: the contradictions found, or why the folder or the counts are of no use.
pub fn hold_to_specifications(exchanges: impl IntoIterator<Item = Exchange>, coverage: &Path) -> Result<(), String> {
    static SAID: Once = Once::new();
    let Some(contract) = shared() else {
        SAID.call_once(|| eprintln!("skipped: {FOLDER} is not set, so exchanges are not held to the specifications"));
        return Ok(());
    };
    let mut collector = Collector::new(contract.as_ref().map_err(ToString::to_string)?);
    for exchange in exchanges {
        collector.add(&exchange);
    }
    let report = collector.report();
    report.exercised.append_to(coverage).map_err(|error| error.to_string())?;
    report.verdict()
}

/// The specifications of this process, looked through once.
fn shared() -> Option<&'static Result<Contract, ContractError>> {
    static CONTRACT: OnceLock<Option<Result<Contract, ContractError>>> = OnceLock::new();
    let load = || std::env::var_os(FOLDER).map(|folder| Contract::load(&PathBuf::from(folder)));
    CONTRACT.get_or_init(load).as_ref()
}
