//! `/_simulator/*`: what tests and tools ask of the simulator itself. Loopback only, no token.

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::error::ArmError;
use crate::fault::Fault;
use crate::http::{Reply, Request};
use crate::pipeline::Shared;
use crate::seed::Seed;
use crate::settings::Settings;
use crate::world::World;

const PREFIX: &str = "/_simulator/";

pub(crate) fn is_control(path: &str) -> bool {
    path.starts_with(PREFIX)
}

/// Answers a request of the control interface.
pub(crate) fn answer(shared: &Shared, request: &Request) -> Reply {
    if !request.from_loopback {
        return ArmError::new(403, "Forbidden", "The control interface answers on loopback only.").into();
    }
    run(shared, request).unwrap_or_else(Reply::from)
}

fn body<T: DeserializeOwned>(request: &Request) -> Result<T, ArmError> {
    serde_json::from_slice(&request.body).map_err(|error| ArmError::bad_request(error.to_string()))
}

fn run(shared: &Shared, request: &Request) -> Result<Reply, ArmError> {
    let what = request.path.strip_prefix(PREFIX).unwrap_or_default();
    match (request.method.as_str(), what) {
        ("GET", "requests") => {
            let since = request.query("since").and_then(|since| since.parse().ok()).unwrap_or(0);
            Ok(Reply::ok(json!(shared.log().since(since))))
        }
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
        ("GET", "faults") => Ok(Reply::ok(json!(shared.world().faults.all()))),
        ("POST", "faults") => {
            let fault: Fault = body(request)?;
            shared.world().faults.add(fault);
            Ok(Reply::empty(204))
        }
        ("DELETE", "faults") => {
            shared.world().faults.clear();
            Ok(Reply::empty(204))
        }
        ("GET", "clock") => Ok(clock(shared)),
        ("POST", "clock") => {
            let asked: Value = body(request)?;
            if let Some(speed) = asked["speed"].as_f64() {
                shared.world().settings.clock_speed = speed;
                shared.clock.set_speed(speed);
            }
            if let Some(ms) = asked["advanceMs"].as_u64() {
                shared.clock.advance(Duration::from_millis(ms));
            }
            Ok(clock(shared))
        }
        ("GET", "state") => Ok(Reply::ok(shared.world().dump())),
        ("POST", "seed") => {
            let seed: Seed = body(request)?;
            shared.world().add(seed).map_err(|error| ArmError::bad_request(error.to_string()))?;
            Ok(Reply::empty(204))
        }
        ("DELETE", "tokens") => {
            shared.world().directory.revoke_all();
            Ok(Reply::empty(204))
        }
        _ => Err(ArmError::new(404, "NotFound", format!("The simulator has no '{}' under {PREFIX}.", what))),
    }
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
    serde_json::from_value(merged).map_err(|error| ArmError::bad_request(error.to_string()))
}

/// Puts settings in force; buckets are full again.
pub(crate) fn apply_settings(shared: &Shared, settings: Settings) {
    let mut world: std::sync::MutexGuard<'_, World> = shared.world();
    if (settings.clock_speed - world.settings.clock_speed).abs() > f64::EPSILON {
        shared.clock.set_speed(settings.clock_speed);
    }
    if settings.throttle != world.settings.throttle || settings.buckets != world.settings.buckets {
        world.throttle.reset();
    }
    if settings.log_megabytes != world.settings.log_megabytes {
        shared.log().set_limit(settings.log_megabytes);
    }
    world.settings = settings;
}
