//! One authenticated, authorized ARM call, and the answer of a long-running operation to it.

use std::sync::Arc;

use serde_json::{Value, json};
use uuid::Uuid;

use crate::directory::Principal;
use crate::error::ArmError;
use crate::http::{Reply, Request};
use crate::ids;
use crate::operations::{Plan, State};
use crate::providers::authorization::CallFacts;
use crate::world::World;

pub(crate) type Answer = Result<Reply, ArmError>;

/// What a route's function works with.
pub(crate) struct Call<'a> {
    pub(crate) world: &'a mut World,
    pub(crate) request: &'a Request,
    /// The path as the client spelled it, without a trailing slash: the id of what is asked for.
    pub(crate) path: String,
    /// The values of the route's placeholders.
    pub(crate) params: Vec<String>,
    pub(crate) caller: Arc<Principal>,
    pub(crate) api_version: String,
}

/// How a provider announces an operation, each as its recordings show.
///
/// URLs are templates of `{subscription}`, `{group}`, `{location}`, `{resource}` (the whole path asked for) and `{id}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Style {
    /// The status while it runs, and when it took no time.
    pub(crate) running: u16,
    pub(crate) done: u16,
    /// Whether the first answer shows the resource while the operation runs.
    pub(crate) body: bool,
    /// `Azure-AsyncOperation`: path, and a query parameter of its own.
    pub(crate) status_url: Option<(&'static str, &'static str)>,
    /// `Location`, likewise.
    pub(crate) location_url: Option<(&'static str, &'static str)>,
    /// Seconds of `Retry-After`.
    pub(crate) retry_after: Option<u32>,
}

const NETWORK_STATUS: &str =
    "/subscriptions/{subscription}/providers/Microsoft.Network/locations/{location}/operations/{id}";
const NETWORK_RESULT: &str =
    "/subscriptions/{subscription}/providers/Microsoft.Network/locations/{location}/operationResults/{id}";
const AML_STATUS: &str = "/subscriptions/{subscription}/providers/Microsoft.MachineLearningServices/locations/{location}/workspaceOperationsStatus/{id}";

impl Style {
    /// No operation: the answer is the end.
    pub(crate) const fn at_once(status: u16) -> Self {
        Self { running: status, done: status, body: true, status_url: None, location_url: None, retry_after: None }
    }

    /// 202, no body, `Azure-AsyncOperation` and `Location` that differ in `type`, no `Retry-After`. Never 201.
    pub(crate) const MACHINE_LEARNING: Self = Self {
        running: 202,
        done: 200,
        body: false,
        status_url: Some((AML_STATUS, "type=async")),
        location_url: Some((AML_STATUS, "type=location")),
        retry_after: None,
    };

    /// 201 with the resource, `Azure-AsyncOperation`, `Retry-After: 10`.
    pub(crate) const NETWORK_CREATE: Self = Self {
        running: 201,
        done: 201,
        body: true,
        status_url: Some((NETWORK_STATUS, "")),
        location_url: None,
        retry_after: Some(10),
    };

    /// The same with 200.
    pub(crate) const NETWORK_UPDATE: Self = Self { running: 200, done: 200, ..Self::NETWORK_CREATE };

    /// 202, `Azure-AsyncOperation` and `Location`, `Retry-After: 10`.
    pub(crate) const NETWORK_DELETE: Self = Self {
        running: 202,
        done: 200,
        body: false,
        status_url: Some((NETWORK_STATUS, "")),
        location_url: Some((NETWORK_RESULT, "")),
        retry_after: Some(10),
    };

    /// 202 and `Location`.
    pub(crate) const VAULT_DELETE: Self = Self {
        running: 202,
        done: 200,
        body: false,
        status_url: None,
        location_url: Some((
            "/subscriptions/{subscription}/providers/Microsoft.KeyVault/locations/{location}/operationResults/{id}",
            "",
        )),
        retry_after: Some(10),
    };
}

impl Call<'_> {
    pub(crate) fn param(&self, index: usize) -> &str {
        self.params.get(index).map(String::as_str).unwrap_or_default()
    }

    pub(crate) fn json(&self) -> Result<Value, ArmError> {
        self.request.json().filter(Value::is_object).ok_or_else(|| {
            ArmError::new(
                400,
                "InvalidRequestContent",
                "The request content was invalid and could not be deserialized.",
            )
        })
    }

    /// Refuses the call unless the caller may do `action` on `scope`.
    pub(crate) fn require(&self, action: &str, scope: &str) -> Result<(), ArmError> {
        if self.world.may_with(&self.caller.object_id, action, scope, &CallFacts(self)) {
            return Ok(());
        }
        let (client, object) = (&self.caller.client_id, &self.caller.object_id);
        Err(ArmError::new(
            403,
            "AuthorizationFailed",
            format!(
                "The client '{client}' with object id '{object}' does not have authorization to perform action \
                 '{action}' over scope '{scope}' or the scope is invalid. If access was recently granted, please \
                 refresh your credentials."
            ),
        ))
    }

    /// A page of `items`; `token` is the provider's name for the continuation parameter.
    pub(crate) fn page(&self, items: Vec<Value>, token: &str) -> Reply {
        let skip = self.request.query(token).and_then(|skip| skip.parse::<usize>().ok()).unwrap_or(0);
        let asked = self.request.query("$top").and_then(|top| top.parse::<usize>().ok());
        let size = asked.unwrap_or(usize::MAX).min(self.world.settings.page_size).max(1);
        let more = items.len() > skip.saturating_add(size);
        let value: Vec<Value> = items.into_iter().skip(skip).take(size).collect();
        if !more {
            return Reply::ok(json!({ "value": value }));
        }
        let (base, path, version) = (&self.request.base, &self.path, &self.api_version);
        let mut next = format!("{base}{path}?api-version={version}&{token}={}", skip + size);
        for name in ["$filter", "$top", "$expand"] {
            if let Some(value) = self.request.query(name) {
                next.push_str(&format!("&{name}="));
                next.extend(url::form_urlencoded::byte_serialize(value.as_bytes()));
            }
        }
        Reply::ok(json!({ "value": value, "nextLink": next }))
    }

    fn retry_headers(&self, reply: Reply, default: Option<u32>) -> Reply {
        let settings = &self.world.settings;
        let mut reply = reply;
        if let Some(ms) = settings.retry_after_ms {
            reply = reply.header("x-ms-retry-after-ms", ms.to_string());
        }
        // A provider's own habit only counts while nothing is set: it would overrule the milliseconds.
        let seconds = settings.retry_after_seconds.or(default.filter(|_| settings.retry_after_ms.is_none()));
        match seconds {
            Some(seconds) => reply.header("Retry-After", seconds.to_string()),
            None => reply,
        }
    }

    fn operation_url(&self, (path, own): (&str, &str), location: &str, id: &Uuid) -> String {
        let path = path
            .replace("{resource}", &self.path)
            .replace("{subscription}", ids::subscription(&self.path).unwrap_or_default())
            .replace("{group}", ids::resource_group(&self.path).unwrap_or_default())
            .replace("{location}", location)
            .replace("{id}", &id.to_string());
        let mut parts = Vec::new();
        if !self.world.settings.omit_api_version {
            parts.push(format!("api-version={}", self.api_version));
        }
        if !own.is_empty() {
            parts.push(own.to_owned());
        }
        if self.world.settings.signed_operation_urls {
            // As long as Azure's: time, certificate, signature, hash.
            parts.push(format!(
                "t={}&c={}&s={}&h={}",
                self.world.now,
                "M".repeat(2600),
                "s".repeat(342),
                "h".repeat(43)
            ));
        }
        let query = if parts.is_empty() { String::new() } else { format!("?{}", parts.join("&")) };
        format!("{}{path}{query}", self.request.base)
    }

    /// Begins an operation and answers as the provider does: at once if it takes no time, else with its URLs.
    pub(crate) fn start(&mut self, plan: Plan, style: Style, location: &str) -> Reply {
        let (resource, result) = (plan.resource.clone(), plan.result);
        let id = self.world.begin(plan, &self.caller.object_id.clone());
        let done = matches!(self.world.operations.get(&id).map(|op| &op.state), Some(State::Succeeded));
        let status = if done { style.done } else { style.running };
        let reply = match result(self.world, &resource).filter(|_| done || style.body) {
            Some(body) => Reply::json(status, body),
            None => Reply::empty(status),
        };
        if done && status != 202 {
            // A `Location` would make clients poll even on a 200: there is none when the work is done.
            // A 202 without a URL, on the other hand, would make them poll the request's own.
            return reply;
        }
        let mut reply = self.retry_headers(reply, style.retry_after);
        if let Some(url) = style.status_url {
            reply = reply.header("Azure-AsyncOperation", self.operation_url(url, location, &id));
        }
        if let Some(url) = style.location_url {
            reply = reply.header("Location", self.operation_url(url, location, &id));
        }
        reply
    }

    fn operation_id(&self) -> Result<Uuid, ArmError> {
        let id = ids::name(&self.path);
        ids::operation(&self.path)
            .filter(|id| self.world.operations.get(id).is_some())
            .ok_or_else(|| ArmError::new(404, "OperationNotFound", format!("The operation '{id}' was not found.")))
    }

    /// GET of an `Azure-AsyncOperation` URL: always 200, the outcome is in the body (ARM RPC, async-api-reference).
    pub(crate) fn operation_status(&mut self, default_retry_after: Option<u32>) -> Answer {
        let id = self.operation_id()?;
        let Some(operation) = self.world.operations.get(&id) else { return Err(ArmError::not_found(&self.path)) };
        Ok(match &operation.state {
            State::Running => self.retry_headers(Reply::ok(json!({ "status": "InProgress" })), default_retry_after),
            State::Succeeded => Reply::ok(json!({ "status": "Succeeded", "percentComplete": 100.0 })),
            State::Failed(error) => Reply::ok(json!({ "status": "Failed", "error": error.detail() })),
            State::Canceled => Reply::ok(json!({
                "status": "Canceled",
                "error": { "code": "OperationCanceled", "message": "The operation was superseded by another one." }
            })),
        })
    }

    /// GET of a `Location` URL: 202 while it runs, then what the synchronous call would have answered.
    pub(crate) fn operation_result(&mut self, default_retry_after: Option<u32>) -> Answer {
        let id = self.operation_id()?;
        let Some(operation) = self.world.operations.get(&id) else { return Err(ArmError::not_found(&self.path)) };
        match &operation.state {
            State::Running => Ok(self
                .retry_headers(Reply::empty(202), default_retry_after)
                .header("Location", format!("{}{}?{}", self.request.base, self.path, self.request.raw_query))),
            State::Succeeded => Ok(match (operation.result)(self.world, &operation.resource) {
                Some(body) => Reply::ok(body),
                None => Reply::empty(200),
            }),
            State::Failed(error) => Err(error.clone()),
            State::Canceled => Err(ArmError::conflict("The operation was superseded by another one.")),
        }
    }
}
