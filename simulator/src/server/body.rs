//! Reading the body of a request, up to a limit.

use std::future::poll_fn;
use std::pin::Pin;

use axum::body::Bytes;
use hyper::body::{Body, Incoming};

/// How many bytes a body may have. Chosen: no source at hand states ARM's limit, and no request that AML networking
/// needs comes near it.
pub(super) const LIMIT: usize = 4 * 1024 * 1024;

/// How much of a body that is too large is read, and forgotten at once, before the client is told: one that is still
/// sending does not read an answer.
const PATIENCE: usize = 64 * 1024 * 1024;

/// Why there is no body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unreadable {
    /// More than [`LIMIT`].
    TooLarge,
    /// The client broke off, or sends without end.
    Broken,
}

/// Reads a body whole.
pub(super) async fn read(mut body: Incoming) -> Result<Bytes, Unreadable> {
    let (mut kept, mut size) = (Vec::new(), 0_usize);
    while let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
        let Ok(data) = frame.map_err(|_| Unreadable::Broken)?.into_data() else { continue };
        size = size.saturating_add(data.len());
        if size > PATIENCE {
            return Err(Unreadable::Broken);
        }
        if size > LIMIT {
            kept = Vec::new();
        } else {
            kept.extend_from_slice(&data);
        }
    }
    // Without the room that it had for growing: the log keeps it.
    if size > LIMIT { Err(Unreadable::TooLarge) } else { Ok(Bytes::from(kept.into_boxed_slice())) }
}
