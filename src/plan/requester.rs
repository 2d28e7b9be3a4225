//! The requester's side of an approval: what the endpoint that was let in says of it.
//!
//! The target alone cannot tell which endpoint got the line: an endpoint that was deleted and made again under the same id looks
//! the same there. The endpoint itself names its target (`privateLinkServiceId`) and shows how its connection stands. Whoever owns
//! it can make it contradict, and loses nothing but their own connection.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use crate::api::approval::RequesterSide;
use crate::api::ids::ArmId;

use super::looks::Looks;
use super::proof::{Approval, age};

/// One connection of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// What it leads to: an ARM id, or the alias of a private link service.
    pub target: String,
    /// `Pending`, `Approved`, `Rejected`, `Disconnected`.
    pub state: String,
}

/// What was read of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shown {
    /// Nothing: it is not there, or not to be read.
    Hidden,
    /// Its connections.
    Links(Vec<Link>),
}

impl Shown {
    /// Reads an endpoint as ARM shows it; `None` if it is not there.
    pub fn of(endpoint: Option<&Value>) -> Self {
        let Some(endpoint) = endpoint else { return Self::Hidden };
        let lists = ["privateLinkServiceConnections", "manualPrivateLinkServiceConnections"];
        let items = lists.iter().filter_map(|list| endpoint["properties"][*list].as_array()).flatten();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let links = items.map(|item| Link {
            target: text(&item["properties"]["privateLinkServiceId"]),
            state: text(&item["properties"]["privateLinkServiceConnectionState"]["status"]),
        });
        Self::Links(links.collect())
    }
}

/// What the endpoint, read at `read`, says of an approval on `target` that the target shows as approved. Until `silence` has passed
/// since the approval it may lag behind.
pub fn follow(approval: &Approval, target: &ArmId, shown: &Shown, read: Timestamp, silence: Duration) -> RequesterSide {
    let Shown::Links(links) = shown else { return RequesterSide::Unprovable };
    let leads_here = |link: &&Link| ArmId::parse(&link.target).is_ok_and(|id| id == *target);
    let Some(first) = links.iter().find(leads_here) else {
        // An alias names a private link service, and does not say which.
        let named = !links.is_empty() && links.iter().all(|link| ArmId::parse(&link.target).is_ok());
        return if named { RequesterSide::Contradicted } else { RequesterSide::Unprovable };
    };
    let is = |link: &Link, state: &str| link.state.eq_ignore_ascii_case(state);
    if links.iter().filter(leads_here).any(|link| is(link, "Approved")) {
        RequesterSide::Confirmed
    } else if age(&approval.at, read) < silence {
        RequesterSide::Waiting
    } else if is(first, "Pending") {
        RequesterSide::Silent
    } else {
        RequesterSide::Contradicted
    }
}

/// Whether the endpoint has to be read, again: until it says yes, or cannot be read.
pub fn is_open(side: RequesterSide) -> bool {
    !matches!(side, RequesterSide::Confirmed | RequesterSide::Unprovable)
}

/// How long after it was read, or tried to be, an endpoint of which `side` is known is read again; `None` if it need not be. One that
/// has been silent for long is no longer expected to speak at any moment.
pub fn until_next(side: RequesterSide, looks: Looks) -> Option<Duration> {
    match side {
        _ if !is_open(side) => None,
        RequesterSide::Silent => Some(looks.rest),
        _ => Some(looks.soon),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const HERE: &str = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg/providers/Microsoft.Storage/storageAccounts/lake";
    const ELSEWHERE: &str = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg/providers/Microsoft.Storage/storageAccounts/pond";

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn says(links: &[(&str, &str)], second: i64) -> RequesterSide {
        let approval = Approval {
            connection: "c".into(),
            endpoint: "/e".into(),
            policy: "platform/lake".into(),
            at: at(0).to_string(),
            request_id: None,
            side: RequesterSide::Waiting,
        };
        let item = |(target, state): &(&str, &str)| json!({"properties": {"privateLinkServiceId": target, "privateLinkServiceConnectionState": {"status": state}}});
        let (first, rest) = links.split_at(links.len().min(1));
        let endpoint = json!({"properties": {
            "privateLinkServiceConnections": first.iter().map(item).collect::<Vec<_>>(),
            "manualPrivateLinkServiceConnections": rest.iter().map(item).collect::<Vec<_>>(),
        }});
        let target = ArmId::parse(HERE).unwrap();
        follow(&approval, &target, &Shown::of(Some(&endpoint)), at(second), Duration::from_secs(120))
    }

    #[test]
    fn an_endpoint_confirms_contradicts_or_stays_silent() {
        use RequesterSide::{Confirmed, Contradicted, Silent, Unprovable, Waiting};
        let here = HERE.to_uppercase().replace("/SUBSCRIPTIONS", "/subscriptions");
        for (links, second, want) in [
            (vec![(HERE, "Approved")], 0, Confirmed),
            (vec![(here.as_str(), "approved")], 999, Confirmed),
            (vec![(HERE, "Pending")], 119, Waiting),
            (vec![(HERE, "Pending")], 120, Silent),
            (vec![(HERE, "Rejected")], 119, Waiting),
            (vec![(HERE, "Rejected")], 120, Contradicted),
            (vec![(HERE, "Disconnected")], 120, Contradicted),
            (vec![(HERE, "")], 120, Contradicted),
            (vec![(ELSEWHERE, "Approved")], 0, Contradicted),
            (vec![(ELSEWHERE, "Approved"), (HERE, "Approved")], 0, Confirmed),
            (vec![(ELSEWHERE, "Pending"), (HERE, "Pending")], 120, Silent),
            (vec![("lake.1234.westeurope.azure.privatelinkservice", "Approved")], 999, Unprovable),
            (vec![], 999, Unprovable),
        ] {
            assert_eq!(says(&links, second), want, "{links:?} after {second} s");
        }
    }

    #[test]
    fn what_cannot_be_read_alarms_nobody() {
        assert_eq!(Shown::of(None), Shown::Hidden);
        assert!(!is_open(RequesterSide::Unprovable) && !is_open(RequesterSide::Confirmed));
        assert!([RequesterSide::Waiting, RequesterSide::Silent, RequesterSide::Contradicted].into_iter().all(is_open));
    }

    #[test]
    fn an_endpoint_is_read_until_it_has_said_yes_and_seldom_once_it_is_silent() {
        let looks = Looks { soon: Duration::from_secs(15), rest: Duration::from_secs(300) };
        let again = |side| until_next(side, looks).map(|wait| wait.as_secs());
        for (side, want) in [
            (RequesterSide::Waiting, Some(15)),
            (RequesterSide::Contradicted, Some(15)),
            (RequesterSide::Silent, Some(300)),
            (RequesterSide::Confirmed, None),
            (RequesterSide::Unprovable, None),
        ] {
            assert_eq!(again(side), want, "{side:?}");
        }
    }
}
