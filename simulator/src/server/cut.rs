//! A body that breaks off.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Bytes;
use hyper::body::{Body, Frame};

use super::Dropped;

/// Sends some bytes, then ends the connection in the middle of the body.
pub(super) struct Cut {
    rest: Option<Bytes>,
    flushed: bool,
}

impl Cut {
    pub(super) fn new(bytes: Bytes) -> Self {
        Self { rest: Some(bytes), flushed: false }
    }
}

impl Body for Cut {
    type Data = Bytes;
    type Error = Dropped;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Dropped>>> {
        if let Some(bytes) = self.rest.take() {
            return Poll::Ready(Some(Ok(Frame::data(bytes))));
        }
        if !self.flushed {
            // While it waits for more, the connection sends what it has.
            self.flushed = true;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(Some(Err(Dropped)))
    }
}
