//! How soon a target's connections, and the endpoints that ask for them, are looked at again: ARM counts reads, and whoever waits
//! for a connection counts seconds.

use std::time::Duration;

use crate::api::ids::ArmId;

use super::outcome::{Reason, Requeue};

/// The two paces of looking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Looks {
    /// While something moves there or is expected to appear.
    pub soon: Duration,
    /// While nothing is.
    pub rest: Duration,
}

/// An OutboundRule that may raise a connection on a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Raiser {
    /// The AzureConnection behind its workspace.
    pub connection: Option<String>,
    /// The resource that it leads to, as written.
    pub destination: String,
    /// Its workspace takes rules from its namespace, and it is not being deleted.
    pub admitted: bool,
    /// What its workspace's lane says of it; `None` before the lane has looked.
    pub reason: Option<Reason>,
}

impl Raiser {
    /// True if the rule is on its way, through AzureConnection `connection`, to `target`. One that waits for somebody is not:
    /// it calls for a look when that changes, and may wait for days.
    pub fn is_on_its_way(&self, connection: &str, target: &ArmId) -> bool {
        self.admitted
            && self.connection.as_deref() == Some(connection)
            && self.reason.is_some_and(|reason| !reason.is_ready() && reason.requeue() == Requeue::Soon)
            && ArmId::parse(&self.destination).is_ok_and(|destination| destination == *target)
    }
}

/// How long to wait before the next look: shortly if something `moves` on the target or is `expected` there.
pub fn until_next(moves: bool, expected: bool, looks: Looks) -> Duration {
    if moves || expected { looks.soon } else { looks.rest }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAKE: &str = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg/providers/Microsoft.Storage/storageAccounts/lake";

    #[test]
    fn seconds_while_something_is_expected_or_moves_and_minutes_else() {
        let looks = Looks { soon: Duration::from_secs(5), rest: Duration::from_secs(300) };
        for (moves, expected, want) in [(false, false, 300), (true, false, 5), (false, true, 5), (true, true, 5)] {
            assert_eq!(until_next(moves, expected, looks).as_secs(), want);
        }
    }

    #[test]
    fn only_an_admitted_rule_of_the_same_connection_that_moves_is_waited_for() {
        let target = ArmId::parse(LAKE).unwrap();
        let rule = Raiser {
            connection: Some("contoso".into()),
            destination: LAKE.to_uppercase().replacen("/SUBSCRIPTIONS", "/subscriptions", 1),
            admitted: true,
            reason: Some(Reason::Updating),
        };
        let on = |rule: Raiser| rule.is_on_its_way("contoso", &target);
        assert!(on(rule.clone()));
        for (why, other) in [
            ("of another connection", Raiser { connection: Some("fabrikam".into()), ..rule.clone() }),
            ("without a workspace", Raiser { connection: None, ..rule.clone() }),
            ("to another resource", Raiser { destination: format!("{LAKE}2"), ..rule.clone() }),
            ("to nothing", Raiser { destination: "lake".into(), ..rule.clone() }),
            ("not admitted", Raiser { admitted: false, ..rule.clone() }),
            ("not looked at", Raiser { reason: None, ..rule.clone() }),
            ("there already", Raiser { reason: Some(Reason::Active), ..rule.clone() }),
            ("waiting for a role", Raiser { reason: Some(Reason::ApproverRoleMissing), ..rule.clone() }),
            ("refused", Raiser { reason: Some(Reason::ScopeNotAllowed), ..rule.clone() }),
        ] {
            assert!(!on(other), "{why}");
        }
    }
}
