//! The check of one exchange.

use serde_json::Value;

use crate::common::{self, POLLING};
use crate::contract::{Found, State};
use crate::deviations;
use crate::exchange::Exchange;
use crate::operation::{Compiled, Parameter, ParameterKind, Response};
use crate::outcome::{Finding, Outcome, Rule};
use crate::shape::{Shape, Shapes, Slot};
use crate::typed::TypedBodies;
use crate::validate::{Side, Validator};

/// What is wrong with an exchange.
pub(crate) fn outcome(state: &mut State, exchange: &Exchange) -> Outcome {
    if exchange.data_plane.is_none() && !common::is_arm(&exchange.path) {
        return Outcome::default();
    }
    let version = exchange.query("api-version").unwrap_or_default();
    let mut outcome = Outcome { findings: common::findings(exchange), ..Outcome::default() };
    match state.find(exchange, &version) {
        Some(found) => {
            outcome.findings.extend(described(state, exchange, &found, &version));
            outcome.operation = found.compiled.is_some().then_some(found.key);
            outcome.exact_version = found.exact;
        }
        None => outcome.findings.extend(undescribed(exchange)),
    }
    outcome.findings.retain(|finding| deviations::allowing(exchange, finding).is_none());
    outcome
}

/// The rules for what no specification of the folder describes.
fn undescribed(exchange: &Exchange) -> Vec<Finding> {
    match &exchange.response_body {
        _ if exchange.status >= 400 => common::error_findings(exchange),
        Some(body) if exchange.succeeded() => common::operation_status_findings(body),
        _ => Vec::new(),
    }
}

fn described(state: &mut State, exchange: &Exchange, found: &Found, version: &str) -> Vec<Finding> {
    let Some(compiled) = &found.compiled else {
        if exchange.status >= 400 {
            return common::error_findings(exchange);
        }
        // Whether something exists may be asked of every resource (OpenAPI Resources, Resources_CheckExistenceById).
        if exchange.method == "HEAD" {
            return Vec::new();
        }
        let what = format!("{} is described by no specification for this path", exchange.method);
        return vec![Finding::violation(Rule::Method, "request method", what)];
    };
    let typed = if found.exact { TypedBodies::default() } else { state.typed_bodies(exchange, version) };
    let mut findings = Vec::new();
    // What was refused may well have been wrong.
    if exchange.succeeded() {
        findings.extend(parameters(state, exchange, found, compiled));
        findings.extend(request_body(state, exchange, found, compiled, &typed));
    }
    findings.extend(response(state, exchange, found, compiled, &typed));
    findings
}

fn parameters(state: &State, exchange: &Exchange, found: &Found, compiled: &Compiled) -> Vec<Finding> {
    let mut findings = Vec::new();
    for parameter in &compiled.parameters {
        let (kind, value) = match parameter.kind {
            ParameterKind::Path => {
                let value = found.values.iter().find(|(name, _)| *name == parameter.name);
                ("path", value.map(|(_, value)| value.clone()))
            }
            ParameterKind::Query => ("query", exchange.query(&parameter.name)),
            ParameterKind::Header => ("header", exchange.request_header(&parameter.name).map(str::to_owned)),
        };
        let place = format!("request {kind} {}", parameter.name);
        match value {
            Some(value) => findings.extend(parameter_value(&state.shapes, parameter, found, &place, &value)),
            // A file that does not declare the path's parameter says nothing about it.
            None if parameter.required && parameter.kind != ParameterKind::Path => {
                findings.push(Finding::violation(Rule::Parameter, place, "required, but missing"));
            }
            None => {}
        }
    }
    findings
}

fn parameter_value(shapes: &Shapes, parameter: &Parameter, found: &Found, place: &str, value: &str) -> Vec<Finding> {
    // Some files list their own api-version as the only value.
    if parameter.name.eq_ignore_ascii_case("api-version") && !found.exact {
        return Vec::new();
    }
    let typed = match shapes.get(parameter.shape) {
        Shape::Text(_) => Value::String(value.to_owned()),
        Shape::Number(_) | Shape::Boolean => {
            serde_json::from_str(&value.to_lowercase()).unwrap_or_else(|_| Value::String(value.to_owned()))
        }
        // Lists are separated in four ways; what separates them here is not worth a rule.
        _ => return Vec::new(),
    };
    let check =
        |typed: &Value| Validator::new(shapes, Side::Request, found.exact, place).check(parameter.shape.into(), typed);
    let findings = check(&typed);
    // Names in paths count in any capitals (ARM RPC, resource-api-reference), though patterns often have one kind only.
    let lower = Value::String(value.to_lowercase());
    if parameter.kind == ParameterKind::Path && !findings.is_empty() && check(&lower).is_empty() {
        let what = format!("\"{value}\" differs in capitals from what the specification allows");
        return vec![Finding::warning(Rule::Spelling, place, what)];
    }
    findings
}

fn request_body(
    state: &State,
    exchange: &Exchange,
    found: &Found,
    compiled: &Compiled,
    typed: &TypedBodies,
) -> Vec<Finding> {
    let Some(value) = &exchange.request_body else {
        let required = compiled.body.as_ref().is_some_and(|body| body.required);
        let missing = Finding::violation(Rule::Presence, "request body", "required, but missing");
        return required.then_some(missing).into_iter().collect();
    };
    if let Some(findings) = typed.check_request(state, value) {
        return findings;
    }
    match &compiled.body {
        Some(body) => Validator::new(&state.shapes, Side::Request, found.exact, "request body").check(body.slot, value),
        // Microsoft's own clients send `{}` with actions that take nothing.
        None => {
            let what = "a body, where none is described";
            vec![Finding::warning(Rule::Presence, "request body", what)]
        }
    }
}

fn response(
    state: &State,
    exchange: &Exchange,
    found: &Found,
    compiled: &Compiled,
    typed: &TypedBodies,
) -> Vec<Finding> {
    let documented = compiled.responses.get(&exchange.status);
    if exchange.status >= 400 {
        let envelope = common::error_findings(exchange);
        // ARM's gateway answers for the provider often enough, and it has only the envelope.
        let Some(Response { body: Some(slot) }) = documented.or(compiled.default.as_ref()) else { return envelope };
        let (Some(value), false) = (&exchange.response_body, envelope.is_empty()) else { return envelope };
        return Validator::new(&state.shapes, Side::Response, found.exact, "response body").check(*slot, value);
    }
    let Some(response) = documented else {
        let known: Vec<String> = compiled.responses.keys().map(u16::to_string).collect();
        let what = format!("{} is not documented; documented: {}", exchange.status, known.join(", "));
        let finding = Finding::violation(Rule::Status, "response status", what);
        return vec![finding];
    };
    let mut findings = Vec::new();
    if compiled.long_running {
        findings.extend(polling(exchange));
    }
    let typed = typed.response.map(Slot::from);
    match (typed.or(response.body), &exchange.response_body) {
        (Some(slot), Some(value)) => {
            let check =
                |slot, exact| Validator::new(&state.shapes, Side::Response, exact, "response body").check(slot, value);
            let mut wrong = check(slot, found.exact || typed.is_some());
            // Types do not tell what may be null; the nearest specification does.
            if let (Some(_), Some(nearest)) = (typed, response.body) {
                let nearest = check(nearest, false);
                wrong.retain(|finding| finding.rule != Rule::Null || nearest.contains(finding));
            }
            findings.extend(wrong);
        }
        // Text was found wanting by the common rules.
        (Some(_), None) if exchange.answered_empty() && exchange.method != "HEAD" && response.body.is_some() => {
            findings.push(Finding::violation(Rule::Presence, "response body", "described, but missing"));
        }
        (None, Some(_)) => {
            findings.push(Finding::warning(Rule::Presence, "response body", "a body, where none is described"));
        }
        _ => {}
    }
    findings
}

/// A long-running operation must be followable.
fn polling(exchange: &Exchange) -> Option<Finding> {
    let followable = POLLING.iter().any(|name| exchange.response_header(name).is_some());
    // A creation may be followed at the resource itself (ARM RPC, async-api-reference: provisioningState).
    let state = exchange.response_body.as_ref().map(|body| &body["properties"]["provisioningState"]);
    let resource = exchange.status == 201 && state.is_some_and(Value::is_string);
    let wanted = matches!(exchange.status, 201 | 202) && !followable && !resource;
    let what = "neither Azure-AsyncOperation nor Location, though the operation is a long-running one";
    wanted.then(|| Finding::violation(Rule::Polling, "response header azure-asyncoperation", what))
}
