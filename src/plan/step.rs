//! A write to Azure as a plan asks for it, with all that whoever carries it out has to know.

use std::fmt::Display;

use serde_json::Value;

use crate::api::common::WouldWrite;
use crate::api::connection::Verb;
use crate::api::ids::ArmId;
use crate::api::operation::Operation;
use crate::azure::place::SynapsePath;

use super::difference::{Difference, shorten};
use super::names::body_hash;
use super::outcome::{Reason, Verdict};

/// What a request can be about: an ARM id, or something in a data plane. Neither can be taken for the other.
pub trait Subject: Display {}

impl Subject for ArmId {}
impl Subject for SynapsePath {}

/// A request as Azure takes it, for the intent and for `status.wouldWrite`.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// The method.
    pub method: &'static str,
    /// The path: of ARM, or [`SynapsePath`] in a data plane, which only that data plane's client takes.
    pub path: String,
    /// The version it names.
    pub version: &'static str,
    /// What is recorded as the intent's verb: the method, and the action where there is one.
    pub verb: &'static str,
    /// What the intent is filed under.
    pub id: String,
    /// The body.
    pub body: Option<Value>,
}

impl Request {
    /// The intent to send it, recorded before it goes out at `started_at` (RFC 3339).
    pub fn intent(&self, started_at: String) -> Operation {
        Operation {
            id: self.id.clone(),
            verb: self.verb.to_owned(),
            body_hash: body_hash(self.body.as_ref()),
            started_at,
            url: None,
        }
    }
}

/// One write that a plan asks for. The steps of a plan do not depend on each other: all may go out at once.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// The request.
    pub request: Request,
    /// What the object's namespace must be allowed to do, and on what. Nothing for removing what tag or derived name proves ours,
    /// which needs no grant any more.
    pub needs: Vec<(Verb, ArmId)>,
    /// Sent only if nothing is there yet (`If-None-Match: *`), for the few providers that honour it: private DNS.
    pub if_absent: bool,
    /// What it is for, for event and audit log: each field with what ARM had and what is wanted.
    pub why: String,
    /// What it changes, for `Observe`; left empty, the whole resource.
    pub changes: Vec<Difference>,
    /// What is said while it goes on.
    pub verdict: Verdict,
}

impl Step {
    /// PUT of the whole resource `id`.
    pub fn put(id: &impl Subject, version: &'static str, body: Value, verdict: Verdict) -> Self {
        Self::new("PUT", "PUT", id, version, Some(body), verdict)
    }

    /// PATCH of the resource `id`.
    pub fn patch(id: &ArmId, version: &'static str, body: Value, verdict: Verdict) -> Self {
        Self::new("PATCH", "PATCH", id, version, Some(body), verdict)
    }

    /// DELETE of the resource `id`.
    pub fn delete(id: &impl Subject, version: &'static str, verdict: Verdict) -> Self {
        Self::new("DELETE", "DELETE", id, version, None, verdict)
    }

    fn new(
        method: &'static str,
        verb: &'static str,
        id: &impl Subject,
        version: &'static str,
        body: Option<Value>,
        verdict: Verdict,
    ) -> Self {
        let request = Request { method, verb, path: id.to_string(), version, id: id.to_string(), body };
        Self {
            request,
            needs: Vec::new(),
            if_absent: false,
            why: verdict.message.clone(),
            changes: Vec::new(),
            verdict,
        }
    }

    /// POST of an action of the resource `id`; `verb` is `POST` and the action's name, which is what the intent is filed under.
    pub fn action(
        id: &ArmId,
        version: &'static str,
        verb: &'static str,
        body: Option<Value>,
        verdict: Verdict,
    ) -> Self {
        let action = verb.rsplit(' ').next().unwrap_or_default();
        let path = format!("{id}/{action}");
        let mut step = Self::new("POST", verb, id, version, body, verdict);
        (step.request.path, step.request.id) = (path.clone(), path);
        step
    }

    /// The same, for which the namespace also needs `verb` on `id`.
    pub fn needing(mut self, verb: Verb, id: &ArmId) -> Self {
        self.needs.push((verb, id.clone()));
        self
    }

    /// The same, sent only if nothing is there yet.
    pub fn only_if_absent(mut self) -> Self {
        self.if_absent = true;
        self
    }

    /// The same with a query after its path. The intent is filed under the path without it.
    pub fn with_query(mut self, query: &str) -> Self {
        self.request.path = format!("{}?{query}", self.request.path);
        self
    }

    /// The same, explained by what it changes.
    pub fn changing(mut self, changes: &[Difference]) -> Self {
        self.changes = changes.to_vec();
        let words = |differs: &Difference| {
            format!("{} is {} in Azure and shall be {}", differs.field, differs.found(), differs.wanted())
        };
        if !changes.is_empty() {
            self.why = changes.iter().map(words).collect::<Vec<_>>().join("; ");
        }
        self
    }

    /// True if it takes something away.
    pub fn removes(&self) -> bool {
        self.request.method == "DELETE"
    }

    /// What it would do, for `Observe`.
    pub fn would(&self) -> Vec<WouldWrite> {
        let whole = |field: Option<String>, from: Option<&str>, to: Option<&str>| WouldWrite {
            verb: self.request.verb.to_owned(),
            id: self.request.id.clone(),
            field,
            from: from.map(shorten),
            to: to.map(shorten),
        };
        if self.changes.is_empty() {
            let body = self.request.body.as_ref().map(ToString::to_string);
            return vec![whole(None, None, body.as_deref())];
        }
        let one = |change: &Difference| {
            let field = change.field.chars().take(256).collect();
            whole(Some(field), change.found.as_deref(), change.wanted.as_deref())
        };
        self.changes.iter().map(one).collect()
    }
}

/// What is said while `operations` go on of which nothing more is known than what they are.
pub fn under_way(operations: &[Operation]) -> Verdict {
    let tail = |id: &str| {
        if SynapsePath::parse(id).is_some() {
            return id.to_owned();
        }
        let below = id.rsplit("/providers/").next().unwrap_or(id);
        below.split('/').skip(1).collect::<Vec<_>>().join("/")
    };
    let words: Vec<String> =
        operations.iter().take(5).map(|operation| format!("{} {}", operation.verb, tail(&operation.id))).collect();
    let more = operations.len().saturating_sub(5);
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    let removes = !operations.is_empty() && operations.iter().all(|operation| operation.verb == "DELETE");
    let reason = if removes { Reason::Deleting } else { Reason::Updating };
    Verdict::new(reason, format!("Azure is at work: {}{more}", words.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn id() -> ArmId {
        ArmId::of("00000000-0000-0000-0000-000000000001", "rg", "Microsoft.Storage/storageAccounts", "lake").unwrap()
    }

    #[test]
    fn a_step_is_explained_by_what_it_changes() {
        let change = Difference::of("properties.publicNetworkAccess", Some("Enabled"), "Disabled");
        let verdict = Verdict::new(Reason::Updating, "Azure is changing it");
        let body = json!({"properties": {"publicNetworkAccess": "Disabled"}});
        let step = Step::patch(&id(), "2023-05-01", body, verdict.clone()).changing(&[change]);
        assert_eq!(step.why, "properties.publicNetworkAccess is Enabled in Azure and shall be Disabled");
        let would = step.would();
        assert_eq!(would[0].field.as_deref(), Some("properties.publicNetworkAccess"));
        assert_eq!((would[0].from.as_deref(), would[0].to.as_deref()), (Some("Enabled"), Some("Disabled")));
        assert_eq!(Step::delete(&id(), "2023-05-01", verdict).would()[0].to, None);
    }

    #[test]
    fn what_lies_in_a_data_plane_is_named_as_such() {
        let verdict = Verdict::new(Reason::Creating, "making it");
        let step = Step::put(&SynapsePath::new("ws1", "/linkedservices/aml"), "2020-12-01", json!({}), verdict);
        assert_eq!(step.would()[0].id, "synapse://ws1/linkedservices/aml");
        let words = under_way(&[step.request.intent(String::new())]).message;
        assert_eq!(words, "Azure is at work: PUT synapse://ws1/linkedservices/aml");
    }

    #[test]
    fn an_action_is_filed_under_its_own_path() {
        let verdict = Verdict::new(Reason::Updating, "starting");
        let step = Step::action(&id(), "2023-05-01", "POST start", None, verdict);
        assert_eq!(step.request.id, format!("{}/start", id()));
        let words = under_way(&[step.request.intent(String::new())]).message;
        assert_eq!(words, "Azure is at work: POST start storageAccounts/lake/start");
    }
}
