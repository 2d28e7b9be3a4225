//! Log lines: where they go, in what form, and which of them are wanted.
//!
//! Lines go to the standard error stream, because the standard output of `crds` and its like is what the user asked for.
//! Levels: ERROR is for what ends the process or needs its maintainer, WARN for what an administrator should look at, INFO
//! for transitions and decisions, DEBUG for each reconcile and request.

use std::io::{self, IsTerminal};

use tracing::Subscriber;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

/// The target of audit lines: one for each decision the operator takes in somebody's name (a connection approved or
/// rejected, a finalizer abandoned, a resource adopted or deleted), written at INFO with who asked and what it was about:
///
/// ```
/// # use aml_operator::telemetry::AUDIT;
/// tracing::info!(target: AUDIT, policy = "data/lake", decision = "Approved", "connection decided");
/// ```
///
/// They are written whatever level is asked for in general; only `audit=off` in the filter silences them.
pub const AUDIT: &str = "audit";

/// The form of log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// One JSON object a line, for machines.
    #[default]
    Json,
    /// One line of text, for people.
    Text,
}

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogsError {
    /// The filter is not one.
    #[error("the log filter {filter:?} cannot be understood; write a level or a list like \"info,aml_operator=debug\"")]
    Filter {
        /// What was given.
        filter: String,
        /// Where it is wrong.
        source: ParseError,
    },
    /// Something else in this process has set up logging before.
    #[error("logging is already set up")]
    AlreadySet(#[from] TryInitError),
}

/// Sends this process's log lines that pass `filter` (a level, or directives of `tracing_subscriber`'s `EnvFilter`) to the
/// standard error stream. To be called once, by `main`.
///
/// # Errors
/// See [`LogsError`].
pub fn init(format: LogFormat, filter: &str) -> Result<(), LogsError> {
    let colours = io::stderr().is_terminal();
    Ok(subscriber(format, filter, colours, io::stderr)?.try_init()?)
}

fn subscriber<W>(
    format: LogFormat,
    filter: &str,
    colours: bool,
    writer: W,
) -> Result<Box<dyn Subscriber + Send + Sync>, LogsError>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    // Of two directives for one target the later wins, so that the user's word about the audit lines counts.
    let filter = EnvFilter::builder()
        .parse(format!("{AUDIT}=info,{filter}"))
        .map_err(|source| LogsError::Filter { filter: filter.to_owned(), source })?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
    Ok(match format {
        // The list of spans holds the current one too: naming it twice would double most lines.
        LogFormat::Json => Box::new(lines.json().flatten_event(true).with_current_span(false).finish()),
        LogFormat::Text => Box::new(lines.with_ansi(colours).finish()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn lines(format: LogFormat, filter: &str) -> Vec<String> {
        let buffer = Buffer::default();
        let writer = buffer.clone();
        let subscriber = subscriber(format, filter, false, move || writer.clone()).unwrap();
        tracing::subscriber::with_default(subscriber, || {
            let _span = tracing::error_span!("reconciling", object = "team/w").entered();
            tracing::info!(count = 3, "ordinary");
            tracing::debug!("detail");
            tracing::info!(target: AUDIT, decision = "Approved", "decided");
        });
        let bytes = buffer.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap().lines().map(str::to_owned).collect()
    }

    #[test]
    fn json_lines_carry_fields_and_spans() {
        let lines = lines(LogFormat::Json, "info");
        assert_eq!(lines.len(), 2, "{lines:?}");
        let line: serde_json::Value = serde_json::from_str(&lines[0]).unwrap();
        assert_eq!(line["message"], "ordinary");
        assert_eq!(line["level"], "INFO");
        assert_eq!(line["count"], 3);
        assert_eq!(line["spans"][0]["object"], "team/w");
    }

    #[test]
    fn text_lines_can_be_read_without_a_terminal() {
        let lines = lines(LogFormat::Text, "debug");
        assert_eq!(lines.len(), 3, "{lines:?}");
        assert!(lines[0].contains("ordinary") && lines[0].contains("count=3"), "{lines:?}");
    }

    #[test]
    fn audit_lines_outlive_a_quiet_level_but_not_an_explicit_no() {
        let quiet = lines(LogFormat::Json, "error");
        assert_eq!(quiet.len(), 1, "{quiet:?}");
        assert!(quiet[0].contains(r#""target":"audit""#) && quiet[0].contains("Approved"), "{quiet:?}");
        assert!(lines(LogFormat::Json, "error,audit=off").is_empty());
    }

    #[test]
    fn a_filter_that_is_none_is_refused_by_name() {
        let error = subscriber(LogFormat::Json, "aml_operator=loud", false, io::sink).err().unwrap();
        assert!(error.to_string().contains("aml_operator=loud"), "{error}");
    }
}
