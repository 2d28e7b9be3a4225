//! The ledger: what must not be lost with a status. One Secret a target, in the operator's own namespace, part of any backup.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Api, PostParams};
use kube::{Client, ResourceExt};
use serde::{Deserialize, Serialize};

use super::status::WriteError;
use crate::azure::private_link::Connection;
use crate::plan::names::fingerprint;
pub use crate::plan::proof::moment;
use crate::plan::proof::{Approval, Proof, SelfApproval};
use crate::plan::signatures::Signatures;

/// The key in the Secret.
const KEY: &str = "ledger.json";
/// How many records of each sort a page holds: as many connections as Azure lets a private link resource have.
const KEPT: usize = 1000;
/// How many bytes a page may have. Kubernetes takes a Secret of 1 MiB at the most; what is left lets an approval that is under way be
/// recorded.
const ROOM: usize = 1_000_000;

/// A connection that a target has shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Seen {
    /// Name of the connection.
    pub connection: String,
    /// The endpoint that asks.
    pub endpoint: String,
    /// When it was first seen, RFC 3339.
    pub at: String,
    /// It was seen when it was not approved.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub waited: bool,
    /// Since when it is approved although nothing explains it, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unexplained: Option<String>,
}

impl Seen {
    fn is(&self, one: &Connection) -> bool {
        self.connection == one.name && one.is_of(&self.endpoint)
    }
}

/// What the ledger holds of one target, or of a resource group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Page {
    /// The target's ARM id, or the ARM path of a group's resources of a type, so that a Secret that was copied or renamed is found out.
    pub target: String,
    /// Approvals whose end is not known yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub proofs: Vec<Proof>,
    /// Approvals that did not show in time and may still take effect, oldest first; the oldest fall off.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub asked: Vec<Proof>,
    /// Approvals carried out that still stand, oldest first. None falls off: see [`Page::is_full`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approvals: Vec<Approval>,
    /// Connections that workspaces approved themselves with the approver role, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub self_approvals: Vec<SelfApproval>,
    /// Whose decisions the approvals rest on.
    #[serde(default, skip_serializing_if = "Signatures::is_empty")]
    pub signatures: Signatures,
    /// Connections that the target shows, since when: how long somebody waits must not depend on a status that anybody may wipe.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub seen: Vec<Seen>,
    /// On the page of a resource group: the targets that are attended there, each of which has a page of its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<String>,
}

impl Page {
    /// Notes what the target shows now: what is new is seen from `now` on, what is gone is forgotten. Past [`KEPT`] the latest
    /// are not noted, so that a flood cannot make the page grow without end.
    pub fn see(&mut self, connections: &[Connection], now: &str) {
        // Whoever approves it again once it was not, was not the workspace.
        self.self_approvals.retain(|own| connections.iter().any(|one| one.is_approved() && own.is_of(one)));
        self.seen.retain(|seen| connections.iter().any(|one| seen.is(one)));
        for one in connections {
            let waits = !one.is_approved();
            match self.seen.iter_mut().find(|seen| seen.is(one)) {
                Some(seen) => seen.waited |= waits,
                None => self.seen.push(Seen {
                    connection: one.name.clone(),
                    endpoint: one.endpoint.clone(),
                    at: now.to_owned(),
                    waited: waits,
                    unexplained: None,
                }),
            }
        }
        self.seen.truncate(KEPT);
        // Here too, so that a page without room for all looks the same each time, and is not written for nothing.
        self.fit();
    }

    /// When a connection was first seen.
    pub fn first_seen(&self, one: &Connection) -> Option<&str> {
        self.seen.iter().find(|seen| seen.is(one)).map(|seen| seen.at.as_str())
    }

    /// Notes that a workspace approved `one` itself.
    pub fn attribute(&mut self, approval: SelfApproval) {
        self.self_approvals.retain(|own| {
            own.connection != approval.connection || !own.endpoint.eq_ignore_ascii_case(&approval.endpoint)
        });
        self.self_approvals.push(approval);
        let overflow = self.self_approvals.len().saturating_sub(KEPT);
        self.self_approvals.drain(..overflow);
    }

    /// True if the ledger tells how `one` came to be approved, or it was so before anybody looked.
    fn accounts_for(&self, one: &Connection) -> bool {
        self.approvals.iter().any(|approval| approval.is_of(one))
            || self.proofs.iter().chain(&self.asked).any(|proof| proof.is_for(one))
            || self.self_approvals.iter().any(|own| own.is_of(one))
            || !self.seen.iter().any(|seen| seen.is(one) && seen.waited)
    }

    /// True if `one` is approved, nothing explains it, and that is not known yet.
    pub fn is_puzzling(&self, one: &Connection, allowed: bool) -> bool {
        one.is_approved() && !allowed && !self.is_unexplained(one) && !self.accounts_for(one)
    }

    /// Notes whether anything explains that `one` is approved. True if from now on nothing does: it was seen waiting before, and
    /// now it is approved. What was approved at first sight was so before anybody looked, and says nothing.
    pub fn explain(&mut self, one: &Connection, allowed: bool, now: &str) -> bool {
        let known = self.accounts_for(one);
        let Some(seen) = self.seen.iter_mut().find(|seen| seen.is(one)) else { return false };
        if !one.is_approved() || allowed || known {
            seen.unexplained = None;
            return false;
        }
        let news = seen.unexplained.is_none();
        seen.unexplained.get_or_insert_with(|| now.to_owned());
        news
    }

    /// True if `one` is approved and nothing explains it.
    pub fn is_unexplained(&self, one: &Connection) -> bool {
        self.seen.iter().any(|seen| seen.is(one) && seen.unexplained.is_some())
    }

    /// True if no further approval can be recorded. None is forgotten to make room: what is not recorded could not be withdrawn.
    pub fn is_full(&self) -> bool {
        let without = Self { seen: Vec::new(), asked: Vec::new(), self_approvals: Vec::new(), ..self.clone() };
        self.approvals.len() + self.proofs.len() >= KEPT || size(&without) >= ROOM
    }

    /// Makes the page fit: what only tells how long somebody waits goes first, the latest of it; then what was asked for and never
    /// showed, the oldest of it.
    fn fit(&mut self) {
        let overflow = self.asked.len().saturating_sub(KEPT);
        self.asked.drain(..overflow);
        let mut over = size(self).saturating_sub(ROOM);
        while over > 0
            && let Some(dropped) = self.seen.pop()
        {
            // With its comma, so that no more goes than has to.
            over = over.saturating_sub(size(&dropped) + 1);
        }
        let mut forgotten = 0;
        while over > 0
            && let Some(dropped) = self.asked.get(forgotten)
        {
            over = over.saturating_sub(size(dropped) + 1);
            forgotten += 1;
        }
        self.asked.drain(..forgotten);
        // Last what explains an approval to people: without it, that is told as somebody else's.
        let mut forgotten = 0;
        while over > 0
            && let Some(dropped) = self.self_approvals.get(forgotten)
        {
            over = over.saturating_sub(size(dropped) + 1);
            forgotten += 1;
        }
        self.self_approvals.drain(..forgotten);
    }
}

/// How many bytes `value` has as JSON.
fn size(value: &impl Serialize) -> usize {
    serde_json::to_vec(value).map_or(usize::MAX, |text| text.len())
}

/// A page as it was read, with the version that guards its next write.
#[derive(Clone, Debug)]
pub struct OpenPage {
    /// What it holds.
    pub page: Page,
    secret: Option<Secret>,
}

impl OpenPage {
    /// True if there is no such page yet, or no longer.
    pub fn is_missing(&self) -> bool {
        self.secret.is_none()
    }
}

/// Why the ledger cannot be used. Then nothing is approved: lost memory means hold.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// Kubernetes failed.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The Secret does not hold what the operator wrote there.
    #[error(
        "Secret {name} is damaged: {what}. Restore it from a backup, or give it an empty page: ledger.json with {empty}"
    )]
    Damaged {
        /// Name of the Secret.
        name: String,
        /// What is wrong.
        what: String,
        /// What an empty page of the target holds.
        empty: String,
    },
    /// There is no page, although policies have attended the target.
    #[error(
        "the ledger page is gone: there is no Secret {name}, although policies have decided here before. Restore it from a backup; \
         to go on without that memory, create it with an empty page: kubectl create secret generic {name} --namespace {namespace} \
         --from-literal=ledger.json='{empty}'"
    )]
    Gone {
        /// Name of the Secret.
        name: String,
        /// Its namespace.
        namespace: String,
        /// What an empty page of the target holds.
        empty: String,
    },
}

/// The ledger in the operator's namespace.
#[derive(Clone)]
pub struct Ledger {
    secrets: Api<Secret>,
    namespace: String,
}

impl Ledger {
    /// The ledger in `namespace`.
    pub fn new(client: Client, namespace: &str) -> Self {
        Self { secrets: Api::namespaced(client, namespace), namespace: namespace.to_owned() }
    }

    fn empty(target: &str) -> String {
        serde_json::json!({ "target": target }).to_string()
    }

    /// What to say of a page of `target` that was there and is not.
    pub fn gone(&self, target: &(impl AsRef<str> + ?Sized)) -> LedgerError {
        let target = target.as_ref();
        LedgerError::Gone { name: Self::name(target), namespace: self.namespace.clone(), empty: Self::empty(target) }
    }

    fn name(target: &str) -> String {
        format!("aml-ledger-{}", fingerprint(&[&target.to_ascii_lowercase()]))
    }

    /// Opens the page of `target`: an ARM id, or the ARM path of a group's resources of a type.
    ///
    /// # Errors
    /// If it cannot be read or is damaged.
    pub async fn open(&self, target: &(impl AsRef<str> + ?Sized)) -> Result<OpenPage, LedgerError> {
        let target = target.as_ref();
        let name = Self::name(target);
        let secret = self.secrets.get_opt(&name).await.map_err(WriteError::Kube)?;
        let Some(secret) = secret else {
            return Ok(OpenPage { page: Page { target: target.to_owned(), ..Page::default() }, secret: None });
        };
        let damaged =
            |what: &str| LedgerError::Damaged { name: name.clone(), what: what.to_owned(), empty: Self::empty(target) };
        let data =
            secret.data.as_ref().and_then(|data| data.get(KEY)).ok_or_else(|| damaged("it has no ledger.json"))?;
        let page: Page = serde_json::from_slice(&data.0).map_err(|error| damaged(&error.to_string()))?;
        if !page.target.eq_ignore_ascii_case(target) {
            return Err(damaged("it belongs to another target"));
        }
        Ok(OpenPage { page, secret: Some(secret) })
    }

    /// Writes the page back, if nobody else did since it was opened.
    ///
    /// # Errors
    /// [`WriteError::Outdated`] if somebody did.
    pub async fn save(&self, target: &(impl AsRef<str> + ?Sized), open: &mut OpenPage) -> Result<(), LedgerError> {
        let target = target.as_ref();
        open.page.fit();
        let empty = || empty_page(Self::name(target), BTreeMap::new());
        let written = put_page(&self.secrets, open.secret.take(), empty, KEY, &open.page).await?;
        open.secret = Some(written);
        Ok(())
    }
}

/// A page that is not in the cluster yet, with `labels` besides those of every page.
pub(super) fn empty_page(name: String, labels: BTreeMap<String, String>) -> Secret {
    let mut all = BTreeMap::from([("app.kubernetes.io/managed-by".to_owned(), "aml-operator".to_owned())]);
    all.extend(labels);
    Secret {
        metadata: ObjectMeta { name: Some(name), labels: Some(all), ..ObjectMeta::default() },
        type_: Some("aml-operator.io/ledger".into()),
        ..Secret::default()
    }
}

/// Writes `content` under `key` of a page: over `secret`, in the version that was read, or into a new one. The page as it is then.
///
/// # Errors
/// [`WriteError::Outdated`] if somebody else wrote it since.
pub(super) async fn put_page(
    secrets: &Api<Secret>,
    secret: Option<Secret>,
    empty: impl FnOnce() -> Secret,
    key: &str,
    content: &impl Serialize,
) -> Result<Secret, LedgerError> {
    let content = serde_json::to_vec(content).map_err(|error| WriteError::Kube(kube::Error::SerdeError(error)))?;
    let data = Some(BTreeMap::from([(key.to_owned(), ByteString(content))]));
    let params = PostParams::default();
    let written = match secret {
        Some(mut secret) => {
            secret.data = data;
            secret.metadata.managed_fields = None;
            secrets.replace(&secret.name_any(), &params, &secret).await
        }
        None => secrets.create(&params, &Secret { data, ..empty() }).await,
    };
    Ok(written.map_err(|error| match error {
        kube::Error::Api(status) if status.is_conflict() || status.is_already_exists() || status.is_not_found() => {
            WriteError::Outdated
        }
        other => WriteError::Kube(other),
    })?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::approval::RequesterSide;
    use crate::plan::proof::Approval;
    use jiff::Timestamp;
    use serde_json::json;

    /// Ids as long as Azure allows: 90 characters for a group, 80 for an endpoint.
    fn endpoint(number: usize) -> String {
        let (group, name) = ("g".repeat(90), format!("{number:080}"));
        format!(
            "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/{group}/providers/Microsoft.Network/privateEndpoints/{name}"
        )
    }

    fn connection(number: usize, state: &str) -> Connection {
        let name = format!("{number:080}.00000000-0000-0000-0000-000000000001");
        Connection::read(&json!({"name": name, "properties": {"privateEndpoint": {"id": endpoint(number)},
            "privateLinkServiceConnectionState": {"status": state}}}))
        .unwrap()
    }

    fn approval(number: usize) -> Approval {
        Approval {
            connection: connection(number, "Approved").name,
            endpoint: endpoint(number),
            // As long as Kubernetes allows.
            policy: format!("{}/{}", "n".repeat(63), "p".repeat(253)),
            at: "2026-01-01T00:00:00Z".into(),
            request_id: Some("00000000-0000-0000-0000-000000000001".into()),
            side: RequesterSide::Contradicted,
        }
    }

    #[test]
    fn moments_compare_as_text() {
        let at = |millis| moment(Timestamp::from_millisecond(millis).unwrap());
        assert_eq!(at(1_500), "1970-01-01T00:00:01.500Z");
        assert!(at(1_999) < at(2_000) && at(2_000) < at(2_010) && at(2_010) < at(2_100));
    }

    #[test]
    fn a_thousand_approvals_with_the_longest_names_fit_and_what_only_tells_gives_way() {
        let connections: Vec<Connection> = (0..1000).map(|number| connection(number, "Approved")).collect();
        let mut page = Page { target: endpoint(0), ..Page::default() };
        page.see(&connections, "2026-01-01T00:00:00Z");
        page.approvals = (0..999).map(approval).collect();
        assert!(!page.is_full());
        page.approvals.push(approval(999));
        page.fit();
        let (bytes, seen) = (size(&page), page.seen.len());
        println!("1,000 approvals and {seen} first sights: {bytes} bytes");
        assert!(bytes <= ROOM && ROOM < 1 << 20, "{bytes}");
        let before = page.seen.clone();
        page.see(&connections, "2026-01-02T00:00:00Z");
        assert!(page.seen == before, "nothing new to write");
        assert_eq!(page.approvals.len(), 1000, "what may have to be withdrawn is never cut off");
        assert!(page.is_full(), "there is no room for another");
    }

    #[test]
    fn a_page_is_full_when_another_approval_would_not_fit() {
        let mut page = Page { target: endpoint(0), ..Page::default() };
        let one = connection(0, "Pending");
        let people: Vec<_> = (0..10_000)
            .map(|number| crate::plan::decisions::Signature {
                approver: format!("{number:0256}"),
                name: "d".into(),
                uid: "u".into(),
            })
            .collect();
        assert!(!page.is_full());
        page.signatures.sign(&people, &one, "2026-01-01T00:00:00Z");
        assert!(page.is_full(), "people's names fill it");
    }

    #[test]
    fn what_somebody_else_approved_after_it_waited_is_unexplained_until_a_policy_allows_it() {
        let mut page = Page::default();
        let look = |page: &mut Page, state: &str, allowed: bool| {
            let one = connection(1, state);
            page.see(std::slice::from_ref(&one), "2026-01-01T00:00:00Z");
            (page.explain(&one, allowed, "2026-01-02T00:00:00Z"), page.is_unexplained(&one))
        };
        assert_eq!(look(&mut page, "Approved", false), (false, false), "it was so before anybody looked");
        assert_eq!(look(&mut page, "Rejected", false), (false, false));
        assert_eq!(look(&mut page, "Approved", true), (false, false));
        assert_eq!(look(&mut page, "Approved", false), (true, true));
        assert_eq!(look(&mut page, "Approved", false), (false, true), "told once");
        assert_eq!(look(&mut page, "Approved", true), (false, false));
        page.approvals = vec![approval(1)];
        assert_eq!(look(&mut page, "Approved", false), (false, false), "ours");
        page.approvals.clear();
        assert_eq!(look(&mut page, "Pending", false), (false, false));
        assert_eq!(look(&mut page, "Approved", false), (true, true));
    }
    fn own(number: usize) -> SelfApproval {
        SelfApproval {
            connection: connection(number, "Approved").name,
            endpoint: endpoint(number),
            namespace: "n".repeat(63),
            workspace: "w".repeat(63),
            rule: format!("{}/{}", "n".repeat(63), "r".repeat(63)),
            at: "2026-01-01T00:00:00Z".into(),
        }
    }

    #[test]
    fn what_a_workspace_approved_itself_is_explained_until_it_is_no_longer_approved() {
        let mut page = Page::default();
        let look = |page: &mut Page, state: &str| {
            let one = connection(1, state);
            page.see(std::slice::from_ref(&one), "2026-01-01T00:00:00Z");
            let puzzling = page.is_puzzling(&one, false);
            (puzzling, page.explain(&one, false, "2026-01-02T00:00:00Z"))
        };
        assert_eq!(look(&mut page, "Pending"), (false, false));
        page.attribute(own(1));
        page.attribute(own(1));
        assert_eq!(page.self_approvals.len(), 1);
        page.see(&[connection(1, "Approved")], "2026-01-01T00:00:00Z");
        assert_eq!(look(&mut page, "Approved"), (false, false), "the workspace did");
        assert_eq!(look(&mut page, "Rejected"), (false, false));
        assert_eq!(look(&mut page, "Approved"), (true, true), "who approved it again is not known");
        assert_eq!(look(&mut page, "Approved"), (false, false), "told once");
    }

    #[test]
    fn what_only_explains_gives_way_to_what_may_have_to_be_withdrawn() {
        let mut page = Page { target: endpoint(0), ..Page::default() };
        page.approvals = (0..1000).map(approval).collect();
        (0..1000).for_each(|number| page.attribute(own(number)));
        page.fit();
        assert!(size(&page) <= ROOM && page.approvals.len() == 1000, "{} bytes", size(&page));
        let mut page = Page { target: endpoint(0), ..Page::default() };
        (0..1100).for_each(|number| page.attribute(own(number)));
        page.fit();
        assert_eq!(page.self_approvals.len(), KEPT);
        assert!(!page.is_full(), "it keeps no approval out");
    }
}
