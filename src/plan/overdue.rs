//! Operations that outlive their usual time.

use std::time::Duration;

use jiff::Timestamp;

use crate::api::operation::Operation;

use super::outcome::{Reason, Verdict};

/// What to say of `operation`, of which `verdict` speaks, if it has been under way for more than the `usual` time at `now`; `None` if it
/// is not late. Late, it says so once; at twice that time it is a warning. It is followed all the same, since Azure alone knows how it
/// ends.
pub fn overdue(verdict: &Verdict, operation: &Operation, usual: Duration, now: Timestamp) -> Option<Verdict> {
    // A start that cannot be read, or lies in the future, was not written by us and says nothing.
    let started: Timestamp = operation.started_at.parse().ok()?;
    let age: Duration = now.duration_since(started).try_into().ok()?;
    let Verdict { reason, message, .. } = verdict;
    let (since, seconds) = (&operation.started_at, usual.as_secs());
    if age <= usual {
        None
    } else if age <= usual.saturating_mul(2) {
        let message = format!("{message}. It began at {since} and takes longer than the usual {seconds} s");
        Some(Verdict::new(*reason, message))
    } else {
        let message = format!(
            "{message}. It began at {since} and takes more than twice the usual {seconds} s. It is followed until Azure says how it ends; \
             if that does not come, ask Azure's support with the operation's URL in status.operations"
        );
        Some(Verdict::new(Reason::Overdue, message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_said_once_and_then_warned_of() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let operation = Operation {
            id: "/x".into(),
            verb: "POST provisionManagedNetwork".into(),
            body_hash: String::new(),
            started_at: at(1000).to_string(),
            url: None,
        };
        let verdict = Verdict::new(Reason::Provisioning, "building");
        let usual = Duration::from_secs(1800);
        let say =
            |second| overdue(&verdict, &operation, usual, at(second)).map(|verdict| (verdict.reason, verdict.message));
        assert_eq!(say(2800), None);
        let late = say(2801).unwrap();
        assert_eq!((late.0, late.0.is_alarming()), (Reason::Provisioning, false));
        assert_eq!(say(4600), Some(late), "the words do not move with the time");
        let too_late = say(4601).unwrap();
        assert_eq!((too_late.0, too_late.0.is_alarming()), (Reason::Overdue, true));
        assert_eq!(say(90_000), Some(too_late));
        for forged in ["9999-01-01T00:00:00Z", "yesterday", ""] {
            let forged = Operation { started_at: forged.into(), ..operation.clone() };
            assert_eq!(overdue(&verdict, &forged, usual, at(90_000)), None, "{forged:?}");
        }
    }
}
