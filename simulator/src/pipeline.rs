//! From a request to its reply: faults, tokens, throttling, access, route, log.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::bearer::{self, BadToken, Expected, Service};
use crate::call::{Answer, Call};
use crate::clock::Clock;
use crate::cloud_metadata;
use crate::control;
use crate::dice::Dice;
use crate::directory::Principal;
use crate::entra;
use crate::error::ArmError;
use crate::fault::{Fault, Struck};
use crate::http::{Rendered, Reply, Request};
use crate::ids;
use crate::log::{self, Exchange, RequestLog};
use crate::managed_identity;
use crate::providers::synapse::data_plane;
use crate::providers::{locks, policies, resources, storage};
use crate::routes::{self, Found, Route};
use crate::seed::{Seed, SeedError};
use crate::settings::Settings;
use crate::throttle::{Kind, Remaining};
use crate::world::World;

/// What a simulator goes back to.
struct Start {
    /// As JSON, which takes a tenth of the memory of the objects that it describes.
    seed: Box<[u8]>,
    settings: Settings,
}

/// The clock on which a simulator begins.
pub(crate) fn first_clock(settings: &Settings) -> Clock {
    Clock::new(settings.clock_speed, settings.random_seed.is_some())
}

/// The world at its beginning.
pub(crate) fn first_world(seed: Seed, settings: &Settings, clock: &Clock) -> Result<World, SeedError> {
    let (settings, dice) = (settings.clone(), Dice::new(settings.random_seed));
    let mut world = World { settings, now: clock.now_ms(), dice, ..World::default() };
    world.add(seed)?;
    Ok(world)
}

/// What the listeners and the library's handle share.
pub(crate) struct Shared {
    start: Start,
    world: Mutex<World>,
    /// Apart from the world, so that bodies are written out and kept while the world serves the next request. Whoever
    /// holds both locks took the world's first.
    log: Mutex<RequestLog>,
    pub(crate) clock: Clock,
}

impl Shared {
    pub(crate) fn start(seed: Seed, settings: Settings) -> Result<Self, SeedError> {
        let start = Start { seed: serde_json::to_vec(&seed).map_err(SeedError::Keep)?.into_boxed_slice(), settings };
        let clock = first_clock(&start.settings);
        let world = first_world(seed, &start.settings, &clock)?;
        let mut log = RequestLog::default();
        log.set_limit(world.settings.log_megabytes);
        Ok(Self { start, world: Mutex::new(world), log: Mutex::new(log), clock })
    }

    /// Puts everything back to how it was at the start.
    pub(crate) fn reset(&self) -> Result<(), SeedError> {
        let mut world = self.world();
        self.clock.restart(self.start.settings.clock_speed, self.start.settings.random_seed.is_some());
        let seed = serde_json::from_slice(&self.start.seed).map_err(SeedError::Keep)?;
        *world = first_world(seed, &self.start.settings, &self.clock)?;
        let mut log = self.log();
        log.clear();
        log.set_limit(world.settings.log_megabytes);
        Ok(())
    }

    pub(crate) fn log(&self) -> MutexGuard<'_, RequestLog> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The world at the present simulated time, with everything applied that has come to its end.
    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        let mut world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
        world.settle(self.clock.now_ms());
        world
    }

    /// Answers a request; `None` means that the connection is to be dropped.
    pub(crate) async fn answer(&self, request: Request) -> Option<Rendered> {
        let request = data_plane::by_path(request);
        if control::is_control(&request.path) {
            return Some(control::answer(self, &request).render());
        }
        let began = Instant::now();
        let (struck, latency) = {
            let mut world = self.world();
            (world.struck(&request), world.settings.latency_ms)
        };
        pause(latency.saturating_add(struck.before_ms)).await;
        let (reply, seq) = {
            let mut world = self.world();
            let (reply, exchange) = world.serve(&request, struck.fault.as_ref());
            // Still under the world's lock: the log's order is the order of effects.
            (reply, exchange.map(|exchange| self.log().push(exchange)))
        };
        let answer = reply.map(Reply::render);
        if let Some(seq) = seq {
            self.log().answered(seq, answer.as_ref(), began.elapsed() + Duration::from_millis(struck.after_ms));
        }
        pause(struck.after_ms).await;
        answer
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
    /// What the fault plan has for this request; it is counted.
    fn struck(&mut self, request: &Request) -> Struck {
        let service = if data_plane::serves(&request.path) { Service::Synapse } else { Service::Arm };
        let caller = if self.faults.asks_for_caller() { self.caller(request, service).ok() } else { None };
        self.faults.take(request, caller.as_deref(), &mut self.dice)
    }

    /// Serves one request under the lock, so that requests take effect one after the other. Requests to ARM and to the
    /// data plane of Synapse are to be logged, requests for tokens are not.
    fn serve(&mut self, request: &Request, fault: Option<&Fault>) -> (Option<Reply>, Option<Exchange>) {
        self.begun = None;
        self.next_operation = fault.and_then(Fault::operation);
        let mut trace = Trace::default();
        let reply = match fault.and_then(|fault| fault.instead(request)) {
            Some(replacement) => replacement,
            None => {
                let reply = self.dispatch(request, &mut trace);
                match fault {
                    Some(fault) => fault.afterwards(reply, request),
                    None => Some(reply),
                }
            }
        };
        self.next_operation = None;
        let for_a_token = entra::serves(&request.path) || managed_identity::serves(&request.path);
        let exchange = (!for_a_token).then(|| Exchange {
            at: self.now,
            base: request.base.clone(),
            method: request.method.clone(),
            path: request.path.clone(),
            query: request.raw_query.clone(),
            request_headers: log::redacted(&request.headers),
            request_body: log::kept(&request.body),
            caller: trace.caller,
            status: reply.as_ref().map(|reply| reply.status),
            started_operation: self.begun.take().map(str::to_owned),
            fault: fault.is_some(),
            ..Exchange::default()
        });
        let id = self.dice.guid().to_string();
        (reply.map(|reply| with_request_ids(reply, request, &id)), exchange)
    }

    fn dispatch(&mut self, request: &Request, trace: &mut Trace) -> Reply {
        if let Some(reply) = entra::answer(self, request) {
            return reply;
        }
        if let Some(reply) = managed_identity::answer(self, request) {
            return reply;
        }
        if cloud_metadata::serves(&request.path) {
            return cloud_metadata::answer(request, self.settings.cloud);
        }
        if data_plane::serves(&request.path) {
            return data_plane::answer(self, request, &mut trace.caller);
        }
        let caller = match self.caller(request, Service::Arm) {
            Ok(caller) => caller,
            Err(error) => return error.refusal(&request.base).into(),
        };
        trace.caller = Some(caller.object_id.clone());
        let kind = Kind::of(&request.method);
        // What is outside a subscription that is there counts for the tenant.
        let subscription = ids::subscription(&request.path).map(ids::key);
        let subscription = subscription.filter(|id| self.subscriptions.contains_key(id));
        let remaining = if self.settings.throttle {
            let (buckets, now) = (&self.settings.buckets, self.now);
            self.throttle.take(buckets, &caller.object_id, subscription.as_deref(), kind, now)
        } else {
            Ok(Remaining::untouched(&self.settings.buckets, subscription.is_some(), kind))
        };
        match remaining {
            Ok(remaining) => remaining.headers(self.arm(request, caller).unwrap_or_else(Reply::from)),
            Err(throttled) => throttled.into(),
        }
    }

    /// Who asks a service. A token that is good for another one is none here.
    pub(crate) fn caller(&mut self, request: &Request, service: Service) -> Result<Arc<Principal>, BadToken> {
        let token = request.header("Authorization").and_then(|header| {
            let (scheme, token) = header.split_once(' ')?;
            scheme.eq_ignore_ascii_case("Bearer").then(|| token.trim())
        });
        let (base, now, unsigned) = (&request.base, bearer::real_seconds(), self.settings.unsigned_tokens);
        self.directory.holder(token.ok_or(BadToken::Missing)?, Expected { service, base, now, unsigned })
    }

    fn arm(&mut self, request: &Request, caller: Arc<Principal>) -> Answer {
        let path = format!("/{}", request.path.trim_matches('/'));
        let api_version = request.query("api-version").filter(|version| !version.is_empty()).ok_or_else(|| {
            ArmError::new(
                400,
                "MissingApiVersionParameter",
                "The api-version query parameter (?api-version=) is required for all requests.",
            )
        })?;
        if path.contains("//") {
            // Chosen: the code. A resource has one spelling but for case, or it would be locked under one and open
            // under another.
            let message = format!("The path '{path}' has an empty segment.");
            return Err(ArmError::new(400, "InvalidRequestUri", message));
        }
        if let Some(id) = ids::subscription(&path) {
            let known = self.subscriptions.get(&ids::key(id)).ok_or_else(|| ArmError::subscription_not_found(id))?;
            if !known.tenant.eq_ignore_ascii_case(&caller.tenant) {
                let message = format!(
                    "The access token is from the wrong issuer '{}'. It must match the tenant '{}' associated with this subscription.",
                    bearer::issuer(&caller.tenant),
                    bearer::issuer(&known.tenant)
                );
                // The code is of Microsoft's page on common deployment errors. Chosen: the sentence, without the advice that users
                // quote after it.
                return Err(ArmError::bad_token(&request.base, "InvalidAuthenticationTokenTenant", &message));
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
            policies::refuse(&call)?;
        }
        let reply = (route.run)(&mut call)?;
        let reply = storage::with_content_type(&call.path, reply);
        Ok(if head && reply.status == 200 { Reply::empty(204) } else { reply })
    }
}

/// The caller needs the route's action; the status of an operation may be read by who began it, whatever the roles.
fn authorize(call: &Call<'_>, route: &Route) -> Result<(), ArmError> {
    // A list of the tenant's shows what the caller may see, which is its own business.
    if !route.path.contains('{') {
        return Ok(());
    }
    // Names of resources are the callers' to choose, guids of operations among them: only such rows are meant.
    let status = route.method == "GET" && route.path.to_ascii_lowercase().contains("operation");
    let own = ids::operation(&call.path)
        .filter(|_| status)
        .and_then(|id| call.world.operations.get(&id))
        .is_some_and(|op| op.starter == call.caller.object_id);
    if own { Ok(()) } else { call.require(&route.action(&call.path), &route.scope(&call.path)) }
}

fn check_version(route: &Route, path: &str, version: &str) -> Result<(), ArmError> {
    if route.versions.iter().any(|known| known.eq_ignore_ascii_case(version)) {
        return Ok(());
    }
    let supported = route.versions.join(", ");
    let date = version.strip_suffix("-preview").unwrap_or(version);
    if date.parse::<jiff::civil::Date>().is_err() {
        let message = format!("The api-version '{version}' is invalid. The supported versions are '{supported}'.");
        // Chosen: code and sentence for a version that is not a date, as users quote them.
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
fn with_request_ids(reply: Reply, request: &Request, id: &str) -> Reply {
    let correlation = request.header("x-ms-correlation-request-id").unwrap_or(id).to_owned();
    let mut reply = reply
        .header("x-ms-request-id", id)
        .header("x-ms-correlation-request-id", correlation)
        .header("x-ms-routing-request-id", format!("SIMULATOR:{id}"));
    let echo = request.header("x-ms-return-client-request-id").is_some_and(|value| value.eq_ignore_ascii_case("true"));
    if let Some(client) = request.header("x-ms-client-request-id").filter(|_| echo) {
        reply = reply.header("x-ms-client-request-id", client);
    }
    reply
}
