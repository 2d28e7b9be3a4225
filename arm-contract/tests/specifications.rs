//! The examples of a folder of specifications, which its authors hold to be right, and the same with faults in them.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "clippy knows a test by its attribute; helpers of tests have none"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use arm_contract::{Contract, Exchange, Finding, Rule};
use serde_json::{Map, Value};

/// An example of an operation: what is sent, and one of the answers.
struct Example {
    file: PathBuf,
    operation: String,
    exchange: Exchange,
}

fn folder() -> Option<PathBuf> {
    let folder = std::env::var_os("ARM_SPECS_DIR").map(PathBuf::from);
    if folder.is_none() {
        eprintln!("skipped: ARM_SPECS_DIR is not set");
    }
    folder
}

/// A file's content; parameters lead to the same few files again and again.
fn read(path: &Path) -> Arc<Value> {
    static READ: Mutex<BTreeMap<PathBuf, Arc<Value>>> = Mutex::new(BTreeMap::new());
    let parse = || serde_json::from_slice(&fs::read(path).unwrap());
    let parse = || parse().unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    READ.lock().unwrap().entry(path.to_owned()).or_insert_with(|| Arc::new(parse())).clone()
}

/// All OpenAPI files of resource providers.
fn specifications(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("examples") {
            specifications(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "json")
            && path.components().any(|part| part.as_os_str() == "resource-manager")
            && path.components().any(|part| matches!(part.as_os_str().to_str(), Some("stable" | "preview")))
        {
            found.push(path);
        }
    }
}

/// A parameter's description, wherever it stands.
fn followed(file: &Path, document: &Value, parameter: &Value) -> Value {
    let Some(reference) = parameter["$ref"].as_str() else { return parameter.clone() };
    let (other, pointer) = reference.split_once('#').unwrap();
    if other.is_empty() {
        return document.pointer(pointer).unwrap().clone();
    }
    let path = file.parent().unwrap().join(other);
    if path.exists() { read(&path).pointer(pointer).unwrap().clone() } else { Value::Null }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The examples of one operation, one for each answer.
fn examples(file: &Path, document: &Value, path: &str, method: &str, operation: &Value) -> Vec<Example> {
    let mut found = Vec::new();
    for example in operation["x-ms-examples"].as_object().into_iter().flat_map(Map::values) {
        let Some(reference) = example["$ref"].as_str() else { continue };
        let place = file.parent().unwrap().join(reference);
        if !place.exists() {
            continue;
        }
        let content = read(&place);
        let given = &content["parameters"];
        let mut exchange = Exchange { method: method.to_uppercase(), path: path.to_owned(), ..Exchange::default() };
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let parameter = followed(file, document, parameter);
            let name = parameter["name"].as_str().unwrap_or_default();
            let Some(value) = given.get(name) else { continue };
            match parameter["in"].as_str() {
                Some("path") => {
                    exchange.path = exchange.path.replace(&format!("{{{name}}}"), text(value).trim_start_matches('/'));
                }
                Some("query") => exchange.query += &format!("&{name}={}", text(value)),
                Some("header") => exchange.request_headers.push((name.to_owned(), text(value))),
                Some("body") => exchange.request_body = Some(value.clone()),
                _ => {}
            }
        }
        // The folder's own version, whatever an example pretends.
        let version = document["info"]["version"].as_str().unwrap();
        let rest: Vec<&str> = exchange.query.split('&').filter(|pair| !pair.starts_with("api-version=")).collect();
        exchange.query = format!("api-version={version}{}", rest.join("&"));
        for (status, answer) in content["responses"].as_object().unwrap() {
            let Ok(status) = status.parse() else { continue };
            let headers = answer["headers"].as_object().into_iter().flatten();
            let headers: Vec<_> = headers.map(|(name, value)| (name.clone(), text(value))).collect();
            let body = answer.get("body").filter(|body| !body.is_null()).cloned();
            let exchange = Exchange { status, response_headers: headers, response_body: body, ..exchange.clone() };
            let operation = operation["operationId"].as_str().unwrap().to_owned();
            found.push(Example { file: place.clone(), operation, exchange });
        }
    }
    found
}

fn all_examples(folder: &Path) -> Vec<Example> {
    let (mut files, mut found) = (Vec::new(), Vec::new());
    specifications(folder, &mut files);
    for file in files {
        let document = read(&file);
        for (path, item) in document["paths"].as_object().into_iter().flatten() {
            for (method, operation) in item.as_object().unwrap().iter().filter(|(key, _)| *key != "parameters") {
                found.extend(examples(&file, &document, path, method, operation));
            }
        }
    }
    found
}

/// What the examples are careless about everywhere, without the specification being any less right.
fn careless(finding: &Finding) -> bool {
    match finding.rule {
        // Headers are left out, or "string".
        Rule::Polling => true,
        // `"nextLink": "string"`.
        Rule::NextLink => true,
        // What a service shows as null, an example shows as null, whatever the schema says.
        Rule::Null => finding.place.starts_with("response body"),
        _ => false,
    }
}

/// Examples that are wrong themselves, by the end of the file's name, and why.
const WRONG: &[(&str, &str)] = &[
    ("RaiBlocklistItem/deleteBulk.json", "the list of names is wrapped in an object by the schema only"),
    ("RaiBlocklistItem/addBulk.json", "one item where the schema has a list"),
];

/// Whether an example's path is one that ARM would be asked for.
fn sensible(example: &Example) -> bool {
    // Parameters left as they are, URLs as names, and scopes by the name of `scope`.
    !example.exchange.path.contains('{')
        && !example.exchange.path.contains("//")
        && example.exchange.path.starts_with("/subscriptions/")
}

#[test]
fn the_examples_of_the_specifications_are_right() {
    let Some(folder) = folder() else { return };
    let contract = Contract::load(&folder).unwrap();
    let examples = all_examples(&folder);
    let mut wrong = Vec::new();
    let mut checked = 0;
    for example in examples.iter().filter(|example| sensible(example)) {
        if WRONG.iter().any(|(file, _)| example.file.ends_with(file)) {
            continue;
        }
        let outcome = contract.check(&example.exchange);
        let found = outcome.operation.as_ref().filter(|_| outcome.exact_version);
        let name = format!("{} {}", example.file.display(), example.exchange.status);
        match found.map(|key| key.operation_id.as_str()) {
            None => wrong.push(format!("{name}: {} is found nowhere", example.operation)),
            // The same list by two descriptions of its path.
            Some(id) if id != example.operation && !id.contains("_List") && !example.operation.contains("ById") => {
                wrong.push(format!("{name}: {id} instead of {}", example.operation));
            }
            Some(_) => checked += 1,
        }
        let findings = outcome.violations().filter(|finding| !careless(finding));
        wrong.extend(findings.map(|finding| format!("{name}: {finding}")));
    }
    println!("{checked} of {} examples are as specified", examples.len());
    assert!(checked > 0, "no example in {}", folder.display());
    // Another folder may have wrong examples of its own, but few.
    println!("{}", wrong.join("\n"));
    assert!(wrong.len() * 100 <= checked, "{} of {checked} are wrong", wrong.len());
    println!("not understood: {:?}", contract.gaps());
}

/// Replaces the first string in a value by what it is not.
fn spoil_type(value: &mut Value) -> bool {
    match value {
        Value::String(_) => {
            *value = Value::from(vec![17]);
            true
        }
        Value::Array(values) => values.iter_mut().any(spoil_type),
        Value::Object(values) => values.values_mut().any(spoil_type),
        _ => false,
    }
}

#[test]
fn a_fault_in_an_example_is_found() {
    let Some(folder) = folder() else { return };
    let contract = Contract::load(&folder).unwrap();
    let mut tried = [0, 0, 0];
    // Every third, for the time that it takes.
    for example in all_examples(&folder).iter().filter(|example| sensible(example)).step_by(3) {
        let outcome = contract.check(&example.exchange);
        let Some(body @ Value::Object(_)) = &example.exchange.response_body else { continue };
        if outcome.operation.is_none() || !outcome.exact_version || example.exchange.status >= 400 {
            continue;
        }
        let place = |body: Value| {
            let exchange = Exchange { response_body: Some(body), ..example.exchange.clone() };
            let findings = contract.check(&exchange).findings;
            findings.into_iter().filter(|finding| !outcome.findings.contains(finding)).collect::<Vec<_>>()
        };
        let name = example.file.display();
        // Of a resource everything is described; elsewhere some things may be of any type.
        if body.get("id").is_some_and(Value::is_string) && body.get("properties").is_some() {
            let mut spoilt = body.clone();
            spoilt["id"] = Value::from(vec![17]);
            let found = place(spoilt);
            assert!(found.iter().any(|finding| finding.rule == Rule::Type), "{name}: {found:?}");
            tried[0] += 1;
            let mut spoilt = body.clone();
            spoilt["inventedByTheTest"] = Value::Bool(true);
            let found = place(spoilt);
            assert!(found.iter().any(|finding| finding.rule == Rule::UnknownProperty), "{name}: {found:?}");
            tried[1] += 1;
        }
        let mut spoilt = body.clone();
        if spoil_type(&mut spoilt) && !place(spoilt).is_empty() {
            tried[2] += 1;
        }
    }
    println!("faults found: {} types, {} unknown properties, {} of any kind", tried[0], tried[1], tried[2]);
    assert!(tried.iter().all(|count| *count > 0), "{tried:?}");
}

/// A rule of Microsoft's own 2024-10-01 example, changed by `change`, and what is found in it.
fn outbound_rule(version: &str, change: impl Fn(&mut Value)) -> Option<Vec<Finding>> {
    let contract = Contract::load(&folder()?).unwrap();
    let mut body = serde_json::json!({
        "id": "/subscriptions/s/rule", "name": "rule", "type": "Microsoft.MachineLearningServices/workspaces/outboundRules",
        "properties": {"type": "FQDN", "category": "UserDefined", "status": "Active", "destination": "pypi.org"},
    });
    change(&mut body);
    let exchange = Exchange {
        method: "GET".into(),
        path: "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg/providers/\
               Microsoft.MachineLearningServices/workspaces/fraud/outboundRules/rule"
            .into(),
        query: format!("api-version={version}"),
        status: 200,
        response_body: Some(body),
        ..Exchange::default()
    };
    let outcome = contract.check(&exchange);
    if outcome.operation.is_none() {
        eprintln!("skipped: no specification of outbound rules there");
        return None;
    }
    Some(outcome.findings)
}

#[test]
fn faults_in_a_rule_are_told_by_their_kind() {
    for version in ["2024-10-01", "2025-12-01"] {
        let rules = |change: fn(&mut Value)| {
            let found = outbound_rule(version, change)?;
            Some(found.into_iter().map(|finding| (finding.rule, finding.place)).collect::<Vec<_>>())
        };
        let one = |rule: Rule, place: &str| Some(vec![(rule, format!("response body {place}"))]);
        let Some(clean) = rules(|_| {}) else { return };
        assert_eq!(clean, Vec::new(), "{version}");
        assert_eq!(
            rules(|rule| rule["properties"]["destination"] = 5.into()),
            one(Rule::Type, "/properties/destination")
        );
        assert_eq!(
            rules(|rule| rule["properties"]["status"] = "Done".into()),
            one(Rule::Enumeration, "/properties/status")
        );
        assert_eq!(
            rules(|rule| rule["properties"]["type"] = "Wish".into()),
            one(Rule::Discriminator, "/properties/type")
        );
        assert_eq!(
            rules(|rule| rule["properties"]["colour"] = 1.into()),
            one(Rule::UnknownProperty, "/properties/colour")
        );
        assert_eq!(
            rules(|rule| rule["properties"]["destination"] = Value::Null),
            one(Rule::Null, "/properties/destination")
        );
        let untyped = rules(|rule| _ = rule["properties"].as_object_mut().unwrap().remove("type"));
        assert!(untyped.unwrap().contains(&(Rule::MissingProperty, "response body /properties/type".to_owned())));
    }
}
