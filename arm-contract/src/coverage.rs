//! Which operations were exercised, over many tests and processes.
//!
//! A test harness has no hook at its end, so every test appends its counts to a file of its process, and a program adds them
//! up. Whoever wants the counts of one run empties the folder before it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write as _};
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::contract::Contract;
use crate::exchange::Exchange;
use crate::outcome::{OperationKey, Outcome};
use crate::resource::Target;
use crate::template::split;

/// Why counts cannot be written or read.
#[derive(Debug, Error)]
pub enum CoverageError {
    /// A file or folder.
    #[error("{path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A line that is no count.
    #[error("{path}: {source}")]
    Line {
        /// In which file.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
}

/// What an exchange was about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Exercised {
    /// An operation, and the api-version asked for.
    Operation(OperationKey, String),
    /// No operation of the specifications: method and path without names.
    Undescribed(String),
}

impl Exercised {
    pub(crate) fn of(exchange: &Exchange, outcome: &Outcome) -> Self {
        match &outcome.operation {
            Some(key) => Self::Operation(key.clone(), exchange.query("api-version").unwrap_or_default()),
            None => Self::Undescribed(format!("{} {}", exchange.method, kind_of(&exchange.path))),
        }
    }
}

impl fmt::Display for Exercised {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Operation(key, asked) if key.api_version.eq_ignore_ascii_case(asked) => write!(formatter, "{key}"),
            Self::Operation(key, asked) => write!(formatter, "{key} (asked for {asked})"),
            Self::Undescribed(kind) => write!(formatter, "not in the specifications: {kind}"),
        }
    }
}

/// A path without the names in it.
fn kind_of(path: &str) -> String {
    match Target::of(path) {
        Some(target) if target.rest.is_empty() => target.type_,
        Some(target) => target.item_type(),
        None => {
            let named = |(index, part)| if index % 2 == 0 { part } else { "*" };
            split(path).enumerate().map(named).collect::<Vec<_>>().join("/")
        }
    }
}

/// How often what was exercised.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    counts: BTreeMap<Exercised, u64>,
}

/// What a table shows.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only resource types that begin with one of these, in any spelling; all if there are none.
    pub types: Vec<String>,
    /// Leave out operations that were not exercised.
    pub exercised_only: bool,
}

impl Filter {
    fn admits(&self, path: &str) -> bool {
        self.admits_kind(&kind_of(path))
    }

    fn admits_kind(&self, kind: &str) -> bool {
        let kind = kind.to_lowercase();
        self.types.is_empty() || self.types.iter().any(|prefix| kind.starts_with(&prefix.to_lowercase()))
    }
}

#[derive(Serialize, Deserialize)]
struct Line {
    exercised: Exercised,
    count: u64,
}

impl Coverage {
    pub(crate) fn count(&mut self, exercised: Exercised) {
        *self.counts.entry(exercised).or_default() += 1;
    }

    /// Adds other counts.
    pub fn add(&mut self, other: &Self) {
        for (exercised, count) in &other.counts {
            *self.counts.entry(exercised.clone()).or_default() += count;
        }
    }

    /// Adds the counts to the file of this process in a folder, which is made if it is not there.
    ///
    /// # Errors
    /// [`CoverageError`] if the file cannot be written.
    pub fn append_to(&self, folder: &Path) -> Result<(), CoverageError> {
        let path = folder.join(format!("{}.jsonl", std::process::id()));
        let failed = |source| CoverageError::File { path: path.clone(), source };
        let mut text = String::new();
        for (exercised, count) in &self.counts {
            let line = Line { exercised: exercised.clone(), count: *count };
            text += &serde_json::to_string(&line).map_err(|error| failed(error.into()))?;
            text.push('\n');
        }
        fs::create_dir_all(folder).map_err(failed)?;
        // One write, so that lines of tests that end at the same time stay whole.
        let mut file = OpenOptions::new().create(true).append(true).open(&path).map_err(failed)?;
        file.write_all(text.as_bytes()).map_err(failed)
    }

    /// The counts of all processes that wrote to a folder.
    ///
    /// # Errors
    /// [`CoverageError`] if it cannot be read.
    pub fn read(folder: &Path) -> Result<Self, CoverageError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            |source| CoverageError::File { path, source }
        };
        let mut coverage = Self::default();
        for entry in fs::read_dir(folder).map_err(failed(folder))? {
            let path = entry.map_err(failed(folder))?.path();
            let text = fs::read_to_string(&path).map_err(failed(&path))?;
            for line in text.lines() {
                let line: Line =
                    serde_json::from_str(line).map_err(|source| CoverageError::Line { path: path.clone(), source })?;
                *coverage.counts.entry(line.exercised).or_default() += line.count;
            }
        }
        Ok(coverage)
    }

    /// A table: of every api-version whose specification was used, which operations were exercised and which not.
    pub fn table(&self, contract: &Contract, filter: &Filter) -> String {
        let mut used: BTreeSet<(&str, &str)> = BTreeSet::new();
        let mut counts: BTreeMap<&OperationKey, Vec<(&str, u64)>> = BTreeMap::new();
        for (exercised, count) in &self.counts {
            if let Exercised::Operation(key, asked) = exercised {
                used.insert((&key.namespace, &key.api_version));
                counts.entry(key).or_default().push((asked, *count));
            }
        }
        let mut text = String::new();
        for (namespace, version) in used {
            let mut operations = contract.operations(namespace, version);
            operations.retain(|operation| filter.admits(&operation.path));
            operations.sort_by(|one, other| one.key.cmp(&other.key));
            // One operation may stand under two paths.
            operations.dedup_by(|one, other| one.key == other.key);
            if operations.is_empty() {
                continue;
            }
            let exercised = operations.iter().filter(|operation| counts.contains_key(&operation.key)).count();
            let _ = writeln!(text, "{namespace} {version}: {exercised} of {} operations", operations.len());
            for operation in operations {
                let counts = counts.get(&operation.key).map_or([].as_slice(), Vec::as_slice);
                let total: u64 = counts.iter().map(|(_, count)| count).sum();
                let other = counts.iter().filter(|(asked, _)| !asked.eq_ignore_ascii_case(version));
                let other: Vec<String> = other.map(|(asked, count)| format!("{count} as {asked}")).collect();
                let other = if other.is_empty() { String::new() } else { format!("  ({})", other.join(", ")) };
                if total == 0 && filter.exercised_only {
                    continue;
                }
                let count = if total == 0 { "-".to_owned() } else { total.to_string() };
                let _ = writeln!(text, "  {count:>7}  {:6} {}{other}", operation.method, operation.key.operation_id);
            }
        }
        let undescribed = self.counts.iter().filter_map(|(exercised, count)| match exercised {
            Exercised::Undescribed(kind) if filter.admits_kind(kind.split_once(' ').map_or("", |(_, kind)| kind)) => {
                Some((kind, count))
            }
            _ => None,
        });
        for (index, (kind, count)) in undescribed.enumerate() {
            if index == 0 {
                text.push_str("Not in the specifications\n");
            }
            let _ = writeln!(text, "  {count:>7}  {kind}");
        }
        text
    }
}
