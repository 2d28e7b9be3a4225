//! Turns the signals that ask a process to end into tokens that its parts wait for.
//!
//! The first SIGTERM (what the kubelet sends) or SIGINT (Ctrl-C) asks for an orderly end: reconciles finish, the lease is
//! given up. A second one says that this takes too long. Nothing here ends the process: `main` returns when it sees a token.

use std::io;

use futures::stream::{Stream, StreamExt};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// The two requests to end, in the order in which they are made. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    /// Cancelled by the first signal: stop taking work, finish what has begun, then end.
    pub graceful: CancellationToken,
    /// Cancelled by the second signal: end now. Whatever has begun is found and finished by the next start.
    pub immediate: CancellationToken,
}

/// Starts listening for SIGTERM and SIGINT. From here on neither ends the process by itself.
///
/// # Errors
/// The handlers could not be installed.
pub fn on_signals() -> io::Result<Shutdown> {
    let named = |name: &'static str, signal: Signal| {
        futures::stream::unfold(signal, move |mut signal| async move { signal.recv().await.map(|()| (name, signal)) })
    };
    let signals = futures::stream::select(
        named("SIGTERM", signal(SignalKind::terminate())?).boxed(),
        named("SIGINT", signal(SignalKind::interrupt())?).boxed(),
    );
    let shutdown = Shutdown::default();
    tokio::spawn(follow(signals, shutdown.clone()));
    Ok(shutdown)
}

/// Cancels one token after the other as signals come in.
async fn follow(mut signals: impl Stream<Item = &'static str> + Unpin, shutdown: Shutdown) {
    if let Some(signal) = signals.next().await {
        tracing::info!(signal, "shutting down; a second signal ends the process at once");
        shutdown.graceful.cancel();
    }
    if let Some(signal) = signals.next().await {
        tracing::warn!(signal, "second signal: ending at once");
        shutdown.immediate.cancel();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::channel::mpsc;

    #[tokio::test]
    async fn the_first_signal_asks_and_the_second_insists() {
        let (send, signals) = mpsc::unbounded();
        let shutdown = Shutdown::default();
        let following = tokio::spawn(follow(signals, shutdown.clone()));

        tokio::task::yield_now().await;
        assert!(!shutdown.graceful.is_cancelled());

        send.unbounded_send("SIGTERM").unwrap();
        shutdown.graceful.cancelled().await;
        tokio::task::yield_now().await;
        assert!(!shutdown.immediate.is_cancelled(), "one signal must leave time to finish");

        send.unbounded_send("SIGINT").unwrap();
        shutdown.immediate.cancelled().await;
        following.await.unwrap();
    }

    #[tokio::test]
    async fn no_signal_no_shutdown() {
        let shutdown = Shutdown::default();
        follow(futures::stream::empty(), shutdown.clone()).await;
        assert!(!shutdown.graceful.is_cancelled() && !shutdown.immediate.is_cancelled());
    }
}
