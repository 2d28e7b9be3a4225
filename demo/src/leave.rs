//! When to go: because somebody says so, or because who started us is gone.

use std::io;
use std::os::unix::process::parent_id;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

/// How often the parent is looked for.
const POLL: Duration = Duration::from_millis(300);

/// Waits until it is time to go and says why.
///
/// # Errors
/// If signals cannot be listened to.
pub(crate) async fn asked() -> io::Result<&'static str> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    Ok(tokio::select! {
        _ = interrupt.recv() => "Interrupted",
        _ = terminate.recv() => "Terminated",
        _ = hangup.recv() => "The terminal is gone",
        () = orphaned() => "The program that started the demo is gone",
    })
}

/// A killed `make` takes nobody with it, so we look for ourselves.
async fn orphaned() {
    let parent = parent_id();
    while parent_id() == parent {
        tokio::time::sleep(POLL).await;
    }
}
