//! What can go wrong while a control plane is started or used.

use std::io;
use std::path::{Path, PathBuf};

/// Why a control plane could not be started or used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The programs it consists of are neither there nor could be built.
    #[error(transparent)]
    Tools(#[from] crate::tools::Error),
    /// A file of its folder could not be written or read.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A process could not be started, or no port could be had for it.
    #[error("cannot start the control plane: {0}")]
    Start(#[source] io::Error),
    /// A certificate could not be made.
    #[error("cannot make the control plane's certificates: {0}")]
    Certificate(#[from] rcgen::Error),
    /// The client that asks kube-apiserver whether it is ready could not be made.
    #[error("cannot make a client for kube-apiserver: {0}")]
    Client(#[from] reqwest::Error),
    /// A process ended although it should run.
    #[error("{name} ended ({status}); the end of its log:\n{log}")]
    Exited {
        /// Which one.
        name: String,
        /// How it ended.
        status: std::process::ExitStatus,
        /// The last lines it printed.
        log: String,
    },
    /// Something did not become true in time.
    #[error("after {seconds} s still waiting for {what}; the end of the log:\n{log}")]
    NotReady {
        /// What was waited for.
        what: &'static str,
        /// How long, in seconds.
        seconds: u64,
        /// The last lines printed by the program that should have made it true.
        log: String,
    },
    /// A command against the control plane failed.
    #[error("{command} failed ({status}): {stderr}")]
    Command {
        /// The program and its arguments.
        command: String,
        /// How it ended.
        status: std::process::ExitStatus,
        /// What it printed on standard error.
        stderr: String,
    },
}

impl Error {
    /// An error about the file at `path`.
    pub(crate) fn file(path: &Path, source: io::Error) -> Self {
        Self::File { path: path.to_owned(), source }
    }
}
