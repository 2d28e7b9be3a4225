//! One authenticated, authorized ARM call, and the answer of a long-running operation to it.

use std::sync::Arc;

use serde_json::{Value, json};
use uuid::Uuid;

use crate::body;
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
/// URLs are templates of `{subscription}`, `{group}`, `{location}`, `{resource}` (the whole path asked for), `{target}`
/// (the top-level resource that it belongs to) and `{id}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Style {
    /// The status while it runs, and when it took no time.
    pub(crate) running: u16,
    pub(crate) done: u16,
    /// What the first answer shows while the operation runs.
    pub(crate) body: Shown,
    /// Headers that the first answer has besides.
    pub(crate) headers: &'static [(&'static str, &'static str)],
    /// `Azure-AsyncOperation`: path, and a query parameter of its own.
    pub(crate) status_url: Option<(&'static str, &'static str)>,
    /// `Location`, likewise.
    pub(crate) location_url: Option<(&'static str, &'static str)>,
    /// Seconds of `Retry-After`.
    pub(crate) retry_after: Option<u32>,
    /// Whether the status URL is given even if the operation took no time.
    pub(crate) announces_done: bool,
}

/// What an answer shows of a resource that is being written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    Nothing,
    /// `{}`.
    EmptyObject,
    Resource,
}

/// How the status URL of an operation answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Monitor {
    /// The status code while it runs.
    pub(crate) running: u16,
    /// Seconds of `Retry-After` while it runs.
    pub(crate) retry_after: Option<u32>,
    /// Whether success comes with `percentComplete`.
    pub(crate) percent: bool,
}

const NETWORK_STATUS: &str =
    "/subscriptions/{subscription}/providers/Microsoft.Network/locations/{location}/operations/{id}";
const NETWORK_RESULT: &str =
    "/subscriptions/{subscription}/providers/Microsoft.Network/locations/{location}/operationResults/{id}";
const PRIVATE_DNS_STATUS: &str =
    "/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.Network/privateDnsOperationStatuses/{id}";
const PRIVATE_DNS_RESULT: &str =
    "/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.Network/privateDnsOperationResults/{id}";
const AML_STATUS: &str = "/subscriptions/{subscription}/providers/Microsoft.MachineLearningServices/locations/{location}/workspaceOperationsStatus/{id}";

impl Style {
    /// No operation: the answer is the end.
    pub(crate) const fn at_once(status: u16) -> Self {
        Self {
            running: status,
            done: status,
            body: Shown::Resource,
            headers: &[],
            status_url: None,
            location_url: None,
            retry_after: None,
            announces_done: false,
        }
    }

    /// 202, no body, `Azure-AsyncOperation` and `Location` that differ in `type`, no `Retry-After`. Never 201.
    pub(crate) const MACHINE_LEARNING: Self = Self {
        running: 202,
        done: 200,
        body: Shown::Nothing,
        status_url: Some((AML_STATUS, "type=async")),
        location_url: Some((AML_STATUS, "type=location")),
        ..Self::at_once(200)
    };

    /// 201 with the resource, `Azure-AsyncOperation` and `Azure-AsyncNotification`; `Retry-After` is how long the
    /// service thinks it needs (recordings of networks, subnets, security groups, addresses and private endpoints).
    pub(crate) const fn network_create(retry_after: u32) -> Self {
        Self {
            running: 201,
            done: 201,
            headers: &[("Azure-AsyncNotification", "Enabled")],
            status_url: Some((NETWORK_STATUS, "")),
            retry_after: Some(retry_after),
            ..Self::at_once(201)
        }
    }

    /// The same with 200.
    pub(crate) const fn network_update(retry_after: u32) -> Self {
        Self { running: 200, done: 200, ..Self::network_create(retry_after) }
    }

    /// 202, `Azure-AsyncOperation` and `Location`.
    pub(crate) const fn network_delete(retry_after: u32) -> Self {
        Self {
            running: 202,
            done: 200,
            body: Shown::Nothing,
            location_url: Some((NETWORK_RESULT, "")),
            ..Self::network_create(retry_after)
        }
    }

    /// 202 with `{}`, `Azure-AsyncOperation`, `Location` and `Retry-After: 30` (recording of private DNS zones).
    pub(crate) const fn private_dns(done: u16) -> Self {
        Self {
            running: 202,
            done,
            body: Shown::EmptyObject,
            status_url: Some((PRIVATE_DNS_STATUS, "")),
            location_url: Some((PRIVATE_DNS_RESULT, "")),
            retry_after: Some(30),
            ..Self::at_once(done)
        }
    }

    /// 202 and `Location`.
    pub(crate) const VAULT_DELETE: Self = Self {
        running: 202,
        done: 200,
        body: Shown::Nothing,
        location_url: Some((
            "/subscriptions/{subscription}/providers/Microsoft.KeyVault/locations/{location}/operationResults/{id}",
            "",
        )),
        retry_after: Some(10),
        ..Self::at_once(200)
    };
}

impl Call<'_> {
    pub(crate) fn param(&self, index: usize) -> &str {
        self.params.get(index).map(String::as_str).unwrap_or_default()
    }

    /// The body: an object whose members have the spelling of `names` and the forms that these names stand for.
    pub(crate) fn json(&self, names: &[&str]) -> Result<Value, ArmError> {
        let refuse = |why: &str| {
            let message = format!("The request content was invalid and could not be deserialized{why}.");
            ArmError::new(400, "InvalidRequestContent", message)
        };
        let sent = self.request.json().filter(Value::is_object).ok_or_else(|| refuse(""))?;
        let sent = body::canonical(sent, names);
        match body::misshapen(&sent) {
            // Chosen: the code and the first words, for every provider.
            Some(member) => Err(refuse(&format!(": '{member}' is of another type"))),
            None => Ok(sent),
        }
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

    /// A page of `items`; `token` is the provider's name for the continuation parameter. `$top` or `count` makes pages smaller;
    /// the link to the next one repeats every parameter of this request.
    pub(crate) fn page(&self, items: Vec<Value>, token: &str) -> Reply {
        self.page_of(items.into_iter(), |item| item, token)
    }

    /// [`Self::page`] of what is not rendered yet: a scope may hold thousands, of which a page shows a hundred.
    pub(crate) fn page_of<T>(
        &self,
        mut items: impl Iterator<Item = T>,
        render: impl FnMut(T) -> Value,
        token: &str,
    ) -> Reply {
        let number = |name| self.request.query(name).and_then(|value| value.parse::<usize>().ok());
        let skip = number(token).unwrap_or(0);
        let top = number("$top").or(number("count")).unwrap_or(usize::MAX);
        let size = self.world.settings.page_size.min(top).max(1);
        let value: Vec<Value> = items.by_ref().skip(skip).take(size).map(render).collect();
        if items.next().is_none() {
            return Reply::ok(json!({ "value": value }));
        }
        let (base, path, version) = (&self.request.base, &self.request.path, &self.api_version);
        let mut next = format!("{base}{path}?api-version={version}&{token}={}", skip + size);
        let own = |name: &str| name.eq_ignore_ascii_case("api-version") || name.eq_ignore_ascii_case(token);
        for (name, value) in url::form_urlencoded::parse(self.request.raw_query.as_bytes()) {
            if !own(&name) {
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
            .replace("{target}", &ids::ancestor(&self.path, 8))
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
        let shown = result(self.world, &resource).filter(|_| done || style.body == Shown::Resource);
        let mut reply = match shown {
            Some(body) => Reply::json(status, body),
            None if !done && style.body == Shown::EmptyObject => Reply::json(status, json!({})),
            None => Reply::empty(status),
        };
        let over = done && status != 202;
        if over && !style.announces_done {
            // A `Location` would make clients poll even on a 200: there is none when the work is done.
            // A 202 without a URL, on the other hand, would make them poll the request's own.
            return reply;
        }
        for (name, value) in style.headers {
            reply = reply.header(name, *value);
        }
        if !over {
            reply = self.retry_headers(reply, style.retry_after);
        }
        if let Some(url) = style.status_url {
            reply = reply.header("Azure-AsyncOperation", self.operation_url(url, location, &id));
        }
        if let Some(url) = style.location_url.filter(|_| !over) {
            reply = reply.header("Location", self.operation_url(url, location, &id));
        }
        reply
    }

    fn operation_id(&self) -> Result<Uuid, ArmError> {
        // Chosen: code and sentence for an operation that there is not, or that is too long over to be remembered.
        let id = ids::name(&self.path);
        // Who may read operations of one subscription learns nothing of another's.
        let here = ids::subscription(&self.path).map(ids::key);
        ids::operation(&self.path)
            .filter(|id| {
                let operation = self.world.operations.get(id);
                operation.is_some_and(|found| ids::subscription(&found.resource).map(ids::key) == here)
            })
            .ok_or_else(|| ArmError::new(404, "OperationNotFound", format!("The operation '{id}' was not found.")))
    }

    /// GET of an `Azure-AsyncOperation` URL: always 200, the outcome is in the body (ARM RPC, async-api-reference).
    pub(crate) fn operation_status(&mut self, default_retry_after: Option<u32>) -> Answer {
        self.monitor(Monitor { running: 200, retry_after: default_retry_after, percent: true })
    }

    /// The same in the manner of a provider.
    pub(crate) fn monitor(&mut self, monitor: Monitor) -> Answer {
        let id = self.operation_id()?;
        let Some(operation) = self.world.operations.get(&id) else { return Err(ArmError::not_found(&self.path)) };
        Ok(match &operation.state {
            State::Running => {
                let reply = Reply::json(monitor.running, json!({ "status": "InProgress" }));
                self.retry_headers(reply, monitor.retry_after)
            }
            State::Succeeded if monitor.percent => {
                Reply::ok(json!({ "status": "Succeeded", "percentComplete": 100.0 }))
            }
            State::Succeeded => Reply::ok(json!({ "status": "Succeeded" })),
            State::Failed(error) => Reply::ok(json!({ "status": "Failed", "error": error.detail() })),
            // Chosen: code and sentence of an operation that another one has overtaken.
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
                .header("Location", format!("{}{}?{}", self.request.base, self.request.path, self.request.raw_query))),
            State::Succeeded => Ok(match (operation.result)(self.world, &operation.resource) {
                Some(body) => Reply::ok(body),
                None => Reply::empty(200),
            }),
            State::Failed(error) => Err(error.clone()),
            State::Canceled => Err(ArmError::conflict("The operation was superseded by another one.")),
        }
    }
}
