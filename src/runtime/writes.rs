//! The writes to ARM of one object: which are under way, how each fared, and when one may be sent again.
//!
//! All of it can be lost. The intents and the operations' URLs stand in the object's status, which the first turn of a process takes
//! over; the rest is read again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

use super::pace::Pace;
use crate::api::operation::Operation;
use crate::azure::client::{Accepted, Client, Priority};
use crate::azure::error::{ArmError, ErrorClass};
use crate::azure::operation::Poll;
use crate::plan::intent::{Settlement, Traces, settle};
use crate::plan::names::{body_hash, fingerprint};
use crate::plan::step::Request;
use crate::plan::{Reason, Verdict};

/// How often in a row ARM may say that it does not know an operation before that is believed.
const LOST: u32 = 2;

/// A write that went out, and how it fared.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Sent {
    /// Hash of what was asked, and of the annotation that asks for a retry.
    hash: String,
    /// When ARM took it last.
    at: Timestamp,
    /// How often in a row ARM took it.
    times: u32,
    /// Until when it is not sent again, because ARM refused it, and what to say meanwhile.
    refused: Option<(Timestamp, Verdict)>,
}

/// An operation that ended badly.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Which.
    pub operation: Operation,
    /// How.
    pub error: ArmError,
}

/// How the operations under way stand.
#[derive(Debug, Default)]
pub struct Followed {
    /// Some go on; when to look again at the first of them.
    pub running: Option<Duration>,
    /// At least one has ended since the last look.
    pub ended: bool,
    /// These ended badly.
    pub failures: Vec<Failure>,
    /// One could not be looked at.
    pub unread: Option<Verdict>,
}

/// The writes of one object.
#[derive(Clone, Debug, Default)]
pub struct Writes {
    operations: Vec<Operation>,
    /// False until the operations of the status, which others can write to, have been taken over.
    informed: bool,
    /// By the intent's verb and id.
    sent: BTreeMap<String, Sent>,
    /// How often in a row an operation was not found.
    lost: BTreeMap<String, u32>,
    /// When what an unanswered request is about was last seen being changed.
    busy: BTreeMap<String, Timestamp>,
}

fn key(verb: &str, id: &str) -> String {
    format!("{verb} {}", id.to_ascii_lowercase())
}

fn key_of(operation: &Operation) -> String {
    key(&operation.verb, &operation.id)
}

fn hash(verb: &str, id: &str, body_hash: &str, token: &str) -> String {
    fingerprint(&[verb, &id.to_ascii_lowercase(), body_hash, token])
}

/// How much of the time until `until` is left.
fn left(until: Timestamp, now: Timestamp) -> Option<Duration> {
    until.duration_since(now).try_into().ok().filter(|left: &Duration| !left.is_zero())
}

impl Writes {
    /// The first turn of a process believes the status about operations, as far as they are about what is `ours`.
    pub fn take_over(&mut self, said: &[Operation], ours: impl Fn(&str) -> bool) {
        if !std::mem::replace(&mut self.informed, true) {
            self.operations = said.iter().filter(|operation| ours(&operation.id)).cloned().collect();
        }
    }

    /// The operations under way: fresher than any cached status, and not forgeable.
    pub fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// The ids, in lower case, of which an operation is under way or its outcome unknown.
    pub fn occupied(&self) -> BTreeSet<String> {
        self.operations.iter().map(|operation| operation.id.to_ascii_lowercase()).collect()
    }

    /// True if a write is under way or was the last thing done.
    pub fn under_way(&self) -> bool {
        !self.operations.is_empty()
    }

    /// Looks at each operation that ARM gave a URL for. `client` and `version` name client and api-version for a resource.
    pub async fn follow(
        &mut self,
        client: impl Fn(&str) -> Client,
        pace: &Pace,
        version: impl Fn(&str) -> &'static str,
        token: &str,
        now: Timestamp,
    ) -> Followed {
        let mut followed = Followed::default();
        for mut operation in std::mem::take(&mut self.operations) {
            let client = client(&operation.id);
            let url = operation.url.as_deref().and_then(|url| {
                // The status may have been written by anybody: a URL that leads anywhere but to this resource's operation is
                // dropped.
                client.operation_url(&operation.id, version(&operation.id), url).ok()
            });
            let Some(url) = url else {
                operation.url = None;
                self.operations.push(operation);
                continue;
            };
            let mut goes_on = |wait: Duration| {
                followed.running = Some(followed.running.map_or(wait, |shortest| shortest.min(wait)));
            };
            match client.poll(&url, Priority::Change).await {
                Ok(Poll::Running { retry_after, moved }) => {
                    self.lost.remove(&key_of(&operation));
                    if let Some(moved) = moved {
                        operation.url = Some(moved.to_string());
                    }
                    goes_on(retry_after.unwrap_or(pace.poll));
                    self.operations.push(operation);
                }
                Ok(Poll::Succeeded) => followed.ended = true,
                Ok(Poll::Failed(error)) => {
                    followed.ended = true;
                    let verdict = Verdict::of_error(&format!("{} {} failed", operation.verb, operation.id), &error);
                    let wait = verdict.after.unwrap_or(pace.rule_retry);
                    let hash = hash(&operation.verb, &operation.id, &operation.body_hash, token);
                    let refused = Some((now + wait, verdict));
                    self.sent.insert(key_of(&operation), Sent { hash, at: now, times: 0, refused });
                    followed.failures.push(Failure { operation, error });
                }
                Err(error) if error.class == ErrorClass::NotFound => {
                    let times = self.lost.entry(key_of(&operation)).or_default();
                    *times += 1;
                    if *times < LOST {
                        goes_on(pace.poll);
                    } else {
                        // ARM has forgotten the operation: what it shows of the resource tells how it ended.
                        self.lost.remove(&key_of(&operation));
                        operation.url = None;
                        followed.ended = true;
                    }
                    self.operations.push(operation);
                }
                Err(error) => {
                    let verdict = Verdict::of_error("looking at an operation under way", &error);
                    goes_on(verdict.after.unwrap_or(pace.poll));
                    followed.unread = Some(verdict);
                    self.operations.push(operation);
                }
            }
        }
        followed
    }

    /// Settles the requests whose answer never came, given which ids (in lower case) still want a write and which ARM shows being
    /// changed. Those that are settled are forgotten; what to say of the others.
    pub fn settle(
        &mut self,
        wanted: &BTreeSet<String>,
        moving: impl Fn(&str) -> bool,
        now: Timestamp,
        rest: Duration,
    ) -> Option<Verdict> {
        let mut waits = None;
        let busy = &mut self.busy;
        self.operations.retain(|operation| {
            if operation.url.is_some() {
                return true;
            }
            let id = operation.id.to_ascii_lowercase();
            let moves = moving(&id);
            if moves {
                busy.insert(id.clone(), now);
            }
            let traces = Traces { visible: !wanted.contains(&id), busy: moves, last_busy: busy.get(&id).copied() };
            if settle(operation, traces, now, rest) == Settlement::Settled {
                busy.remove(&id);
                return false;
            }
            waits = Some(Verdict::new(
                Reason::OutcomeUnknown,
                format!(
                    "the answer to {} {} never came; nothing else is written there until Azure shows what became of it, or has \
                     been at rest for {} s",
                    operation.verb,
                    operation.id,
                    rest.as_secs()
                ),
            ));
            true
        });
        waits
    }

    /// Why `request` is not sent again yet, however often the object is looked at: it is sent again, but later each time. `token` is
    /// the annotation that asks for a retry now.
    pub fn held(&self, request: &Request, token: &str, now: Timestamp, pace: &Pace) -> Option<Verdict> {
        let sent = self.sent.get(&key(request.verb, &request.id))?;
        if sent.hash != hash(request.verb, &request.id, &body_hash(request.body.as_ref()), token) {
            return None;
        }
        if let Some((until, verdict)) = &sent.refused {
            return left(*until, now).map(|left| verdict.clone().after(Some(left)));
        }
        let wait = pace.backoff_first.saturating_mul(1 << sent.times.min(16)).min(pace.backoff_last);
        let left = left(sent.at + wait, now).filter(|_| sent.times > 1)?;
        let message = format!(
            "Azure took {} {} {} times without showing what was asked; it is sent again later",
            request.method, request.path, sent.times
        );
        Some(Verdict::new(Reason::AzureRefused, message).after(Some(left)))
    }

    /// Forgets how writes fared that nobody asks for any more, so that the same one, asked for again one day, is sent at once.
    pub fn keep(&mut self, wanted: &BTreeSet<String>) {
        self.sent
            .retain(|key, _| key.split_once(' ').is_some_and(|(_, id)| wanted.iter().any(|one| id.ends_with(one))));
    }

    /// Notes the intent to send something; it goes into the status before the request goes out.
    pub fn intend(&mut self, operation: Operation) {
        self.operations.retain(|known| !known.id.eq_ignore_ascii_case(&operation.id));
        self.operations.push(operation);
    }

    /// Drops intents that were not carried out: nothing went out.
    pub fn drop_intents(&mut self, requests: &[&Request]) {
        self.operations.retain(|known| !requests.iter().any(|request| request.id.eq_ignore_ascii_case(&known.id)));
    }

    /// ARM took `request`.
    pub fn accepted(&mut self, request: &Request, accepted: &Accepted, token: &str, now: Timestamp) {
        let hash = hash(request.verb, &request.id, &body_hash(request.body.as_ref()), token);
        let key = key(request.verb, &request.id);
        let times =
            self.sent.get(&key).filter(|sent| sent.hash == hash && sent.refused.is_none()).map_or(0, |sent| sent.times);
        self.sent.insert(key, Sent { hash, at: now, times: times + 1, refused: None });
        match (&accepted.operation, accepted.status) {
            (Some(url), _) => {
                let same = |known: &&mut Operation| known.id.eq_ignore_ascii_case(&request.id);
                if let Some(operation) = self.operations.iter_mut().find(same) {
                    operation.url = Some(url.to_string());
                }
            }
            // Accepted without a URL that may be followed: the intent stays, and what ARM shows tells.
            (None, 202) => {}
            (None, _) => self.drop_intents(&[request]),
        }
    }

    /// ARM refused `request`: it is not sent again for `wait`.
    pub fn refused(&mut self, request: &Request, verdict: &Verdict, wait: Duration, token: &str, now: Timestamp) {
        self.drop_intents(&[request]);
        let hash = hash(request.verb, &request.id, &body_hash(request.body.as_ref()), token);
        let refused = Some((now + wait, verdict.clone()));
        self.sent.insert(key(request.verb, &request.id), Sent { hash, at: now, times: 0, refused });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn request(name: &str, body: &str) -> Request {
        Request {
            method: "PUT",
            verb: "PUT",
            path: format!("/subscriptions/s/{name}"),
            id: format!("/subscriptions/s/{name}"),
            version: "2025-12-01",
            body: Some(json!(body)),
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn done(status: u16) -> Accepted {
        Accepted { status, body: None, operation: None, retry_after: None, request_id: None }
    }

    #[test]
    fn what_was_refused_waits_unless_it_asks_for_something_else() {
        let mut writes = Writes::default();
        let pace = Pace::default();
        let first = request("a", "one");
        writes.intend(first.intent(at(0).to_string()));
        let verdict = Verdict::new(Reason::AzureRefused, "no");
        writes.refused(&first, &verdict, Duration::from_secs(60), "", at(0));
        assert!(!writes.under_way(), "what was refused is not under way");
        assert_eq!(writes.held(&first, "", at(59), &pace).map(|verdict| verdict.reason), Some(Reason::AzureRefused));
        assert_eq!(writes.held(&first, "", at(60), &pace), None);
        assert_eq!(writes.held(&first, "again", at(1), &pace), None, "somebody asks for it now");
        assert_eq!(writes.held(&request("a", "two"), "", at(1), &pace), None);
        assert_eq!(writes.held(&request("b", "one"), "", at(1), &pace), None);
        writes.keep(&BTreeSet::from(["/subscriptions/s/b".to_owned()]));
        assert_eq!(writes.held(&first, "", at(1), &pace), None, "nobody asked for it meanwhile");
    }

    #[test]
    fn what_azure_takes_without_showing_it_is_sent_again_later_each_time() {
        let mut writes = Writes::default();
        let pace = Pace::default();
        let one = request("a", "one");
        writes.accepted(&one, &done(200), "", at(0));
        assert_eq!(writes.held(&one, "", at(0), &pace), None, "once may be chance");
        writes.accepted(&one, &done(200), "", at(0));
        let waits = |writes: &Writes, now| writes.held(&one, "", at(now), &pace).is_some();
        assert!(waits(&writes, 19) && !waits(&writes, 20));
        writes.accepted(&one, &done(200), "", at(20));
        assert!(waits(&writes, 59) && !waits(&writes, 60));
    }

    #[test]
    fn a_request_without_an_answer_is_repeated_only_after_rest_and_holds_up_no_other() {
        let mut writes = Writes::default();
        let (one, two) = (request("a", "one"), request("b", "two"));
        writes.intend(one.intent(at(0).to_string()));
        writes.intend(two.intent(at(0).to_string()));
        let rest = Duration::from_secs(90);
        // The second one shows in Azure: nothing is wanted there any more.
        let wanted = BTreeSet::from(["/subscriptions/s/a".to_owned()]);
        let said = writes.settle(&wanted, |_| false, at(10), rest).unwrap();
        assert!(said.reason == Reason::OutcomeUnknown && said.message.contains("/subscriptions/s/a"), "{said:?}");
        assert_eq!(writes.occupied(), wanted);
        assert!(writes.settle(&wanted, |_| true, at(100), rest).is_some(), "what is being changed is not settled");
        assert!(writes.settle(&wanted, |_| false, at(189), rest).is_some(), "rest counts from the last movement");
        assert_eq!(writes.settle(&wanted, |_| false, at(190), rest), None);
        assert!(writes.occupied().is_empty());
    }

    #[test]
    fn a_status_is_believed_once_and_only_about_what_is_ours() {
        let mut writes = Writes::default();
        let operation = |name: &str| request(name, "x").intent(at(0).to_string());
        writes.take_over(&[operation("ours"), operation("theirs")], |id| id.ends_with("ours"));
        assert_eq!(writes.operations().len(), 1);
        writes.take_over(&[operation("late-ours")], |_| true);
        assert_eq!(writes.operations().len(), 1, "later statuses say nothing: this process knows better");
    }
}
