//! What to make of a write whose answer never came.

use std::time::Duration;

use jiff::Timestamp;

use crate::api::operation::Operation;

/// What to do about an intent that has no operation URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// ARM shows what was asked, or has been at rest long enough that the request cannot have arrived: forget the intent.
    Settled,
    /// Only read, and look again.
    Wait,
}

/// What a lane knows about an intent without an operation URL.
#[derive(Clone, Copy, Debug)]
pub struct Traces {
    /// ARM shows nothing left to do for the intent's verb and id.
    pub visible: bool,
    /// ARM shows the resource being changed.
    pub busy: bool,
    /// When it was last seen being changed.
    pub last_busy: Option<Timestamp>,
}

/// Decides whether `intent` is settled at `now`. `rest` is how long ARM must have been at rest before a request that left no
/// trace is believed lost (ARM gives up on a provider after 60 s: ARM RPC, common-api-details).
pub fn settle(intent: &Operation, traces: Traces, now: Timestamp, rest: Duration) -> Settlement {
    if traces.busy {
        return Settlement::Wait;
    }
    if traces.visible {
        return Settlement::Settled;
    }
    // A start time that cannot be read, or lies in the future, was not written by us: it counts as just now, once.
    let started = intent.started_at.parse::<Timestamp>().ok().filter(|at| *at <= now);
    let quiet_since = started.max(traces.last_busy);
    let rested = quiet_since.is_none_or(|since| {
        u64::try_from(now.duration_since(since).as_millis()).unwrap_or(0)
            >= u64::try_from(rest.as_millis()).unwrap_or(u64::MAX)
    });
    if rested { Settlement::Settled } else { Settlement::Wait }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_repeated_only_after_rest() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let intent = Operation {
            id: "/x".into(),
            verb: "PUT".into(),
            body_hash: String::new(),
            started_at: at(100).to_string(),
            url: None,
        };
        let rest = Duration::from_secs(90);
        let case = |visible, busy, last_busy: Option<i64>, now| {
            settle(&intent, Traces { visible, busy, last_busy: last_busy.map(at) }, at(now), rest)
        };
        assert_eq!(case(true, false, None, 101), Settlement::Settled);
        assert_eq!(case(true, true, None, 101), Settlement::Wait, "what is being changed is not done");
        assert_eq!(case(false, false, None, 189), Settlement::Wait);
        assert_eq!(case(false, false, None, 190), Settlement::Settled);
        assert_eq!(case(false, false, Some(150), 190), Settlement::Wait, "rest counts from the last movement");
        assert_eq!(case(false, false, Some(150), 240), Settlement::Settled);
        let forged = Operation { started_at: "9999-01-01T00:00:00Z".into(), ..intent.clone() };
        let traces = Traces { visible: false, busy: false, last_busy: None };
        assert_eq!(
            settle(&forged, traces, at(200), rest),
            Settlement::Settled,
            "a forged time blocks nothing for ever"
        );
    }
}
