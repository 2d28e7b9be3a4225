//! `/_simulator/*`: what tests and tools ask of the simulator itself. For programs on this machine only, no token.

mod network;
mod requests;

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::dice::Dice;
use crate::error::ArmError;
use crate::fault::Fault;
use crate::http::{Reply, Request};
use crate::pipeline::Shared;
use crate::providers::machine_learning;
use crate::seed::Seed;
use crate::settings::Settings;

const PREFIX: &str = "/_simulator/";

pub(crate) fn is_control(path: &str) -> bool {
    path.starts_with(PREFIX)
}

/// Answers a request of the control interface.
pub(crate) fn answer(shared: &Shared, request: &Request) -> Reply {
    match admit(request).and_then(|()| run(shared, request)) {
        Ok(reply) => reply,
        Err(error) => error.into(),
    }
}

/// Refuses everybody who is not a program on this machine. A web page that is open in a browser on it could otherwise
/// send requests here, by the name of its own host if it lets that name point at loopback (DNS rebinding). Browsers
/// state the page's origin or where the request comes from (Fetch standard, Fetch Metadata); a name is in `Host`.
fn admit(request: &Request) -> Result<(), ArmError> {
    let refuse = |why: &str| Err(ArmError::new(403, "Forbidden", format!("The control interface {why}.")));
    if !request.from_loopback {
        return refuse("answers on loopback only");
    }
    let page = request.header("Sec-Fetch-Site").is_some_and(|site| !site.eq_ignore_ascii_case("none"));
    if page || request.headers.contains_key("Origin") {
        return refuse("does not answer web pages");
    }
    let named = request.header("Host").and_then(|host| url::Url::parse(&format!("https://{host}/")).ok());
    let loopback = named.is_some_and(|url| match url.host() {
        Some(url::Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    });
    if loopback { Ok(()) } else { refuse("answers only to the name localhost or a loopback address") }
}

fn body<T: DeserializeOwned>(request: &Request) -> Result<T, ArmError> {
    serde_json::from_slice(&request.body).map_err(|error| ArmError::bad_request(error.to_string()))
}

fn parsed<T: DeserializeOwned>(value: Value) -> Result<T, ArmError> {
    serde_json::from_value(value).map_err(|error| ArmError::bad_request(error.to_string()))
}

fn run(shared: &Shared, request: &Request) -> Result<Reply, ArmError> {
    let what = request.path.strip_prefix(PREFIX).unwrap_or_default();
    match (request.method.as_str(), what) {
        ("GET", "requests") => Ok(Reply::ok(requests::answer(request, shared.log().exchanges())?)),
        ("DELETE", "requests") => {
            shared.log().clear();
            Ok(Reply::empty(204))
        }
        ("GET", "settings") => Ok(Reply::ok(json!(shared.world().settings))),
        ("PATCH", "settings") => {
            let settings = patched(&shared.world().settings, body(request)?)?;
            apply_settings(shared, settings.clone());
            Ok(Reply::ok(json!(settings)))
        }
        ("GET", "faults") => Ok(Reply::ok(json!(shared.world().faults))),
        ("POST", "faults") => {
            let faults: Vec<Fault> = match body::<Value>(request)? {
                list @ Value::Array(_) => parsed(list)?,
                one => vec![parsed(one)?],
            };
            for fault in &faults {
                fault.check().map_err(|error| ArmError::bad_request(error.to_string()))?;
            }
            let mut world = shared.world();
            faults.into_iter().for_each(|fault| world.faults.add(fault));
            Ok(Reply::empty(204))
        }
        ("DELETE", "faults") => {
            shared.world().faults.clear();
            Ok(Reply::empty(204))
        }
        ("GET", "clock") => Ok(clock(shared)),
        ("POST", "clock") => {
            let asked: Value = body(request)?;
            not_negative("clock", &asked)?;
            if let Some(speed) = asked["speed"].as_f64() {
                shared.world().settings.clock_speed = speed;
                shared.clock.set_speed(speed);
            }
            if let Some(ms) = asked["advanceMs"].as_u64() {
                shared.clock.advance(Duration::from_millis(ms));
            }
            Ok(clock(shared))
        }
        ("POST", "image-builds") => {
            let asked: Value = body(request)?;
            let workspace = asked["workspace"].as_str().unwrap_or_default();
            Ok(Reply::ok(json!(machine_learning::build_image(&mut shared.world(), workspace)?)))
        }
        ("GET", "resolve") => network::resolve(&shared.world(), request),
        ("GET", "reach") => network::reach(&shared.world(), request),
        ("GET", "state") => Ok(Reply::ok(shared.world().dump())),
        ("POST", "seed") => {
            let seed: Seed = body(request)?;
            shared.world().add(seed).map_err(|error| ArmError::bad_request(error.to_string()))?;
            Ok(Reply::empty(204))
        }
        ("POST", "reset") => {
            shared.reset().map_err(|error| ArmError::bad_request(error.to_string()))?;
            Ok(Reply::empty(204))
        }
        ("GET", what) if what.starts_with("synapse/") => resolve_from_synapse(shared, request, what),
        ("DELETE", "tokens") => {
            shared.world().directory.revoke_all();
            Ok(Reply::empty(204))
        }
        _ => Err(ArmError::new(404, "NotFound", format!("The simulator has no '{}' under {PREFIX}.", what))),
    }
}

/// `synapse/{workspace}/resolve?name=`: where a host name leads from inside a workspace's managed network.
fn resolve_from_synapse(shared: &Shared, request: &Request, what: &str) -> Result<Reply, ArmError> {
    let asked = what.split('/').collect::<Vec<_>>();
    let ([_, workspace, "resolve"], Some(name)) = (asked.as_slice(), request.query("name")) else {
        return Err(ArmError::bad_request("It is synapse/{workspace}/resolve?name={host}."));
    };
    let found = shared.world().resolve_from_synapse(workspace, &name);
    let missing = || ArmError::new(404, "NotFound", format!("There is no Synapse workspace '{workspace}'."));
    found.map(Reply::ok).ok_or_else(missing)
}

fn clock(shared: &Shared) -> Reply {
    Reply::ok(json!({ "nowMs": shared.clock.now_ms(), "speed": shared.clock.speed() }))
}

fn patched(settings: &Settings, patch: Value) -> Result<Settings, ArmError> {
    fn lay_over(target: &mut Value, patch: Value) {
        match (target, patch) {
            (Value::Object(target), Value::Object(patch)) => {
                for (name, value) in patch {
                    lay_over(target.entry(name).or_insert(Value::Null), value);
                }
            }
            (target, patch) => *target = patch,
        }
    }
    let mut merged = json!(settings);
    lay_over(&mut merged, patch);
    not_negative("settings", &merged)?;
    parsed(merged)
}

/// Refuses a number below zero, wherever it stands: what is set here are factors, times and amounts. Time must not run
/// backwards; JSON knows neither infinity nor what is no number.
fn not_negative(name: &str, value: &Value) -> Result<(), ArmError> {
    match value {
        Value::Number(number) if number.as_f64().is_some_and(|number| number < 0.0) => {
            Err(ArmError::bad_request(format!("'{name}' is negative: {number}.")))
        }
        Value::Object(members) => members.iter().try_for_each(|(name, value)| not_negative(name, value)),
        Value::Array(items) => items.iter().try_for_each(|value| not_negative(name, value)),
        _ => Ok(()),
    }
}

/// Puts settings in force; buckets are full again.
pub(crate) fn apply_settings(shared: &Shared, settings: Settings) {
    let mut world = shared.world();
    if (settings.clock_speed - world.settings.clock_speed).abs() > f64::EPSILON {
        shared.clock.set_speed(settings.clock_speed);
    }
    if settings.throttle != world.settings.throttle || settings.buckets != world.settings.buckets {
        world.throttle.reset();
    }
    if settings.random_seed != world.settings.random_seed {
        world.dice = Dice::new(settings.random_seed);
    }
    if settings.log_megabytes != world.settings.log_megabytes {
        shared.log().set_limit(settings.log_megabytes);
    }
    world.settings = settings;
}
