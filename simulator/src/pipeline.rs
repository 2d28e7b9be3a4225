//! From a request to its reply: faults, tokens, throttling, access, route, log.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use uuid::Uuid;

use crate::call::{Answer, Call};
use crate::clock::Clock;
use crate::control;
use crate::directory::{BadToken, Principal};
use crate::entra;
use crate::error::ArmError;
use crate::fault::{Fault, FaultAction, FaultMoment};
use crate::http::{Reply, Request};
use crate::ids;
use crate::log::RequestEntry;
use crate::providers::{locks, resources};
use crate::routes::{self, Found, Route};
use crate::throttle::{self, Throttle};
use crate::world::World;

/// What the listeners and the library's handle share.
pub(crate) struct Shared {
    world: Mutex<World>,
    pub(crate) clock: Clock,
}

impl Shared {
    pub(crate) fn new(world: World, clock: Clock) -> Self {
        Self { world: Mutex::new(world), clock }
    }

    /// The world at the present simulated time, with everything applied that has come to its end.
    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        let mut world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
        world.settle(self.clock.now_ms());
        world
    }

    /// Answers a request; `None` means that the connection is to be dropped.
    pub(crate) async fn answer(&self, request: Request) -> Option<Reply> {
        if control::is_control(&request.path) {
            return Some(control::answer(self, &request));
        }
        let (fault, latency) = {
            let mut world = self.world();
            (world.faults.take(&request), world.settings.latency_ms)
        };
        let delay = |moment| match &fault {
            Some(Fault { moment: m, action: FaultAction::Latency { ms }, .. }) if *m == moment => *ms,
            _ => 0,
        };
        pause(latency + delay(FaultMoment::Before)).await;
        let reply = self.world().serve(&request, fault.as_ref());
        pause(delay(FaultMoment::After)).await;
        reply
    }
}

async fn pause(ms: u64) {
    if ms > 0 {
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }
}

/// What the log wants to know about a reply besides its status.
#[derive(Default)]
struct Trace {
    caller: Option<String>,
}

impl World {
    /// Serves one request under the lock, so that requests take effect one after the other.
    fn serve(&mut self, request: &Request, fault: Option<&Fault>) -> Option<Reply> {
        self.begun = None;
        self.failing_next_operation = None;
        let mut trace = Trace::default();
        let before = fault.filter(|fault| fault.moment == FaultMoment::Before);
        let replaced = |fault: &Fault| match fault.action {
            FaultAction::Drop => Some(None),
            _ => fault.reply().map(Some),
        };
        let reply = match before.and_then(replaced) {
            Some(reply) => reply,
            None => {
                if let Some(Fault { action: FaultAction::FailOperation { code, message }, moment, .. }) = fault {
                    let error = ArmError::new(400, code.clone(), message.clone());
                    self.failing_next_operation = Some((error, *moment == FaultMoment::After));
                }
                let real = self.dispatch(request, &mut trace);
                let after = fault.filter(|fault| fault.moment == FaultMoment::After);
                after.and_then(replaced).unwrap_or(Some(real))
            }
        };
        self.failing_next_operation = None;
        let is_arm = entra::token_tenant(&request.path).is_none() && !entra::is_imds(&request.path);
        if is_arm {
            let started_operation = self.begun.take().map(str::to_owned);
            self.log.push(RequestEntry {
                seq: 0,
                at: self.now,
                method: request.method.clone(),
                path: request.path.clone(),
                query: request.raw_query.clone(),
                status: reply.as_ref().map(|reply| reply.status),
                caller: trace.caller,
                body: request.json(),
                started_operation,
            });
        }
        reply.map(|reply| with_request_ids(reply, request))
    }

    fn dispatch(&mut self, request: &Request, trace: &mut Trace) -> Reply {
        if let Some(tenant) = entra::token_tenant(&request.path) {
            return entra::token(self, request, tenant);
        }
        if entra::is_imds(&request.path) {
            return entra::imds(self, request);
        }
        let caller = match self.authenticate(request) {
            Ok(caller) => caller,
            Err(error) => return error.into(),
        };
        trace.caller = Some(caller.object_id.clone());
        let kind = throttle::kind(&request.method);
        let subscription = ids::subscription(&request.path).map(ids::key);
        let remaining = match (&subscription, self.settings.throttle) {
            (Some(subscription), true) => {
                self.throttle.take(&self.settings.buckets, &caller.object_id, subscription, kind, self.now)
            }
            _ => Ok(Throttle::untouched(&self.settings.buckets, kind)),
        };
        let reply = match remaining {
            Ok(_) => self.arm(request, caller).unwrap_or_else(Reply::from),
            Err(wait) => {
                let subscription = subscription.as_deref().unwrap_or_default();
                ArmError::new(
                    429,
                    "SubscriptionRequestsThrottled",
                    format!("Number of {kind} for subscription '{subscription}' exceeded the limit. Please try again after '{wait}' seconds."),
                )
                .with_header("Retry-After", wait.to_string())
                .into()
            }
        };
        let scope = if subscription.is_some() { "subscription" } else { "tenant" };
        reply.header(&format!("x-ms-ratelimit-remaining-{scope}-{kind}"), remaining.unwrap_or(0).to_string())
    }

    fn authenticate(&self, request: &Request) -> Result<Principal, ArmError> {
        let refuse = |code: &str, message: &str| {
            ArmError::new(401, code, message).with_header(
                "WWW-Authenticate",
                format!(
                    "Bearer authorization_uri=\"{}\", error=\"invalid_token\", error_description=\"{message}\"",
                    request.base
                ),
            )
        };
        let token = request.header("Authorization").and_then(|header| {
            let (scheme, token) = header.split_once(' ')?;
            scheme.eq_ignore_ascii_case("Bearer").then(|| token.trim())
        });
        let Some(token) = token else {
            return Err(refuse(
                "AuthenticationFailed",
                "Authentication failed. The 'Authorization' header is missing.",
            ));
        };
        match self.directory.holder(token) {
            Ok(principal) => Ok(principal.clone()),
            Err(BadToken::Unknown) => Err(refuse("InvalidAuthenticationToken", "The access token is invalid.")),
            Err(BadToken::Expired) => {
                Err(refuse("ExpiredAuthenticationToken", "The access token expiry is in the past."))
            }
        }
    }

    fn arm(&mut self, request: &Request, caller: Principal) -> Answer {
        let path = request.path.trim_end_matches('/').to_owned();
        let api_version = request.query("api-version").filter(|version| !version.is_empty()).ok_or_else(|| {
            ArmError::new(
                400,
                "MissingApiVersionParameter",
                "The api-version query parameter (?api-version=) is required for all requests.",
            )
        })?;
        if let Some(id) = ids::subscription(&path) {
            let known = self.subscriptions.get(&ids::key(id)).ok_or_else(|| ArmError::subscription_not_found(id))?;
            if !known.tenant.eq_ignore_ascii_case(&caller.tenant) {
                let message = format!(
                    "The access token is from the wrong issuer. It must match the tenant '{}' associated with this subscription.",
                    known.tenant
                );
                return Err(ArmError::new(401, "InvalidAuthenticationTokenTenant", message));
            }
        }
        // Whether something is there (ARM RPC, resource-api-reference): a GET of which only the status is told.
        let head = request.method == "HEAD";
        let (route, params) = match routes::find(if head { "GET" } else { &request.method }, &path) {
            Found::Route(route, params) => (route, params),
            Found::OtherMethod => {
                let message = format!("The method '{}' is not supported on '{path}'.", request.method);
                return Err(ArmError::new(405, "MethodNotAllowed", message));
            }
            Found::Nothing => {
                return Err(ArmError::invalid_type(&ids::path_type(&path), &api_version));
            }
        };
        check_version(route, &path, &api_version)?;
        let mut call = Call { world: self, request, path, params, caller, api_version };
        authorize(&call, route)?;
        if let Some(group) = ids::resource_group(&call.path) {
            let subscription = ids::subscription(&call.path).unwrap_or_default();
            let id = format!("/subscriptions/{subscription}/resourceGroups/{group}");
            let itself = ids::key(&id) == ids::key(&call.path);
            if !itself && !call.world.groups.contains_key(&ids::key(&id)) {
                return Err(ArmError::group_not_found(group));
            }
        }
        if !matches!(request.method.as_str(), "GET" | "HEAD") {
            resources::refuse_write(&call, route)?;
            locks::refuse(&call)?;
        }
        let reply = (route.run)(&mut call)?;
        Ok(if head && reply.status == 200 { Reply::empty(204) } else { reply })
    }
}

/// The caller needs the route's action; the status of an operation may be read by who began it, whatever the roles.
fn authorize(call: &Call<'_>, route: &Route) -> Result<(), ArmError> {
    // A list of the tenant's shows what the caller may see, which is its own business.
    if !route.path.contains('{') {
        return Ok(());
    }
    let own = ids::operation(&call.path)
        .and_then(|id| call.world.operations.get(&id))
        .is_some_and(|op| op.starter == call.caller.object_id);
    if own { Ok(()) } else { call.require(&route.action(), &route.scope(&call.path)) }
}

fn check_version(route: &Route, path: &str, version: &str) -> Result<(), ArmError> {
    if route.versions.iter().any(|known| known.eq_ignore_ascii_case(version)) {
        return Ok(());
    }
    let supported = route.versions.join(", ");
    let date = version.strip_suffix("-preview").unwrap_or(version);
    if date.parse::<jiff::civil::Date>().is_err() {
        let message = format!("The api-version '{version}' is invalid. The supported versions are '{supported}'.");
        return Err(ArmError::new(400, "InvalidApiVersionParameter", message));
    }
    let kind = ids::path_type(path);
    let message = format!(
        "No registered resource provider found for API version '{version}' for type '{kind}'. The supported api-versions \
         are '{supported}'."
    );
    Err(ArmError::new(400, "NoRegisteredProviderFound", message))
}

/// The headers by which a request is found again (ARM RPC, common-api-details).
fn with_request_ids(reply: Reply, request: &Request) -> Reply {
    let id = Uuid::new_v4().to_string();
    let correlation = request.header("x-ms-correlation-request-id").unwrap_or(&id).to_owned();
    let mut reply = reply
        .header("x-ms-request-id", &id)
        .header("x-ms-correlation-request-id", correlation)
        .header("x-ms-routing-request-id", format!("SIMULATOR:{id}"));
    let echo = request.header("x-ms-return-client-request-id").is_some_and(|value| value.eq_ignore_ascii_case("true"));
    if let Some(client) = request.header("x-ms-client-request-id").filter(|_| echo) {
        reply = reply.header("x-ms-client-request-id", client);
    }
    reply
}
