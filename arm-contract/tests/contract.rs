//! Small specifications, and what is found in exchanges held against them.
#![allow(clippy::unwrap_used, reason = "clippy knows a test by its attribute; helpers of tests have none")]

use std::fs;
use std::path::Path;

use arm_contract::{
    Collector, Contract, ContractError, Coverage, Exchange, Filter, Level, Outcome, Rule, hold_to_specifications,
    read_exchanges,
};
use serde_json::{Value, json};
use tempfile::TempDir;

const ROOT: &str = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg/providers/Contoso.Garden";

fn write(root: &Path, path: &str, content: &Value) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content.to_string()).unwrap();
}

/// A provider with ponds and fish, in two versions, types in a third, and a file shared with others.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    write(
        root,
        "specification/common-types/resource-management/v1/types.json",
        &json!({
            "swagger": "2.0", "paths": {},
            "parameters": {"ApiVersion": {"name": "api-version", "in": "query", "required": true, "type": "string"}},
            "definitions": {
                "Resource": {"properties": {
                    "id": {"type": "string", "readOnly": true}, "name": {"type": "string", "readOnly": true},
                }},
                "Error": {"properties": {"error": {"type": "object", "properties": {
                    "code": {"type": "string"}, "message": {"type": "string"},
                }}}},
            },
        }),
    );
    let version = "specification/garden/resource-manager/Contoso.Garden/stable/2020-01-01";
    write(
        root,
        &format!("{version}/fish.json"),
        &json!({
            "swagger": "2.0", "paths": {},
            "definitions": {
                "Carp": {"x-ms-discriminator-value": "carp", "allOf": [{"$ref": "pond.json#/definitions/Fish"}],
                         "properties": {"weight": {"type": "integer", "format": "int32", "minimum": 1}}},
                "pike": {"allOf": [{"$ref": "./pond.json#/definitions/Fish"}],
                         "properties": {"teeth": {"type": "integer"}}},
            },
        }),
    );
    write(root, &format!("{version}/pond.json"), &ponds());
    write(
        root,
        &format!("{version}/examples/ignored.json"),
        &json!({"swagger": "2.0", "paths": {"/subscriptions": 1}}),
    );
    write(root, "bicep-types/2020-03-01/types.json", &bicep());
    write(root, "schemas/2020-03-01/Contoso.Garden.schema.json", &template_schema());
    folder
}

fn ponds() -> Value {
    let common = "../../../../../common-types/resource-management/v1/types.json";
    let version = json!({"$ref": format!("{common}#/parameters/ApiVersion")});
    let name = json!({"name": "pond", "in": "path", "required": true, "type": "string", "pattern": "^[a-z]{2,8}$"});
    let pond = json!({"description": "A pond.", "schema": {"$ref": "#/definitions/Pond"}});
    let error = json!({"description": "Error.", "schema": {"$ref": format!("{common}#/definitions/Error")}});
    let path = "/subscriptions/{subscription}/resourceGroups/{group}/providers/Contoso.Garden/ponds/{pond}";
    let list = path.strip_suffix("/{pond}").unwrap();
    let accepted = json!({"description": "Accepted."});
    json!({
        "swagger": "2.0",
        "parameters": {"Top": {"name": "$top", "in": "query", "type": "integer", "maximum": 10}},
        "paths": {
            path: {
                "parameters": [name],
                "get": {"operationId": "Ponds_Get", "parameters": [version], "responses": {"200": pond, "default": error}},
                "put": {
                    "operationId": "Ponds_Put", "x-ms-long-running-operation": true,
                    "parameters": [version, {"name": "body", "in": "body", "required": true,
                                             "schema": {"$ref": "#/definitions/Pond"}}],
                    "responses": {"200": pond, "201": pond, "202": accepted},
                },
                "delete": {"operationId": "Ponds_Delete", "parameters": [
                    version, {"name": "If-Match", "in": "header", "required": true, "type": "string"},
                ], "responses": {"204": {"description": "Gone."}}},
            },
            list: {"get": {
                "operationId": "Ponds_List", "parameters": [version, {"$ref": "#/parameters/Top"}],
                "responses": {"200": {"description": "Ponds.", "schema": {"properties": {
                    "value": {"type": "array", "items": {"$ref": "#/definitions/Pond"}}, "nextLink": {"type": "string"},
                }}}},
            }},
            "/{scope}/providers/Contoso.Garden/gnomes/{gnome}": {"get": {
                "operationId": "Gnomes_Get", "parameters": [version],
                "responses": {"200": {"description": "A gnome.", "schema": {"type": "object"}}},
            }},
        },
        "x-ms-paths": {format!("{path}?view=map"): {"get": {
            "operationId": "Ponds_Map", "parameters": [version],
            "responses": {"200": {"description": "A map.", "schema": {"type": "string"}}},
        }}},
        "definitions": {
            "Pond": {"allOf": [{"$ref": format!("{common}#/definitions/Resource")}], "properties": {
                "properties": {"$ref": "#/definitions/PondProperties", "x-ms-client-flatten": true},
            }, "required": ["properties"]},
            "PondProperties": {"type": "object", "additionalProperties": false, "required": ["depth", "provisioningState"],
                "properties": {
                    "depth": {"type": "number", "exclusiveMinimum": true, "minimum": 0},
                    "provisioningState": {"$ref": "#/definitions/State", "readOnly": true},
                    "password": {"type": "string", "x-ms-mutability": ["create"]},
                    "dug": {"type": "string", "format": "date-time"},
                    "note": {"type": "string", "x-nullable": true, "maxLength": 5},
                    "shore": {"type": "string", "enum": ["Sand", "Stone"], "x-ms-enum": {"name": "Shore", "modelAsString": true}},
                    "colour": {"type": "string", "enum": ["Green", "Blue"]},
                    "inhabitants": {"type": "array", "items": {"$ref": "#/definitions/Fish"}},
                    "tags": {"type": "object", "additionalProperties": {"type": "string"}},
                }},
            "State": {"type": "string", "enum": ["Digging", "Succeeded"],
                      "x-ms-enum": {"name": "State", "modelAsString": false}},
            "Fish": {"type": "object", "discriminator": "kind", "required": ["kind"], "properties": {"kind": {"type": "string"}}},
        },
    })
}

fn bicep() -> Value {
    json!([
        {"$type": "StringType"},
        {"$type": "StringLiteralType", "value": "Deep"},
        {"$type": "StringLiteralType", "value": "Shallow"},
        {"$type": "UnionType", "elements": [{"$ref": "#/1"}, {"$ref": "#/2"}]},
        {"$type": "ObjectType", "name": "PondProperties", "properties": {
            "kind": {"type": {"$ref": "#/3"}, "flags": 1}, "state": {"type": {"$ref": "#/0"}, "flags": 2},
        }},
        {"$type": "ObjectType", "name": "Contoso.Garden/ponds", "properties": {
            "name": {"type": {"$ref": "#/0"}, "flags": 9}, "apiVersion": {"type": {"$ref": "#/0"}, "flags": 10},
            "properties": {"type": {"$ref": "#/4"}, "flags": 1},
        }},
        {"$type": "ResourceType", "name": "Contoso.Garden/ponds@2020-03-01", "body": {"$ref": "#/5"}},
    ])
}

fn template_schema() -> Value {
    let expression = json!({"$ref": "https://example.org/definitions.json#/definitions/expression"});
    json!({
        "resourceDefinitions": {"ponds": {
            "description": "Contoso.Garden/ponds", "type": "object", "required": ["name", "apiVersion", "type", "properties"],
            "properties": {
                "name": {"type": "string"}, "apiVersion": {"type": "string"}, "type": {"type": "string"},
                "properties": {"oneOf": [{"$ref": "#/definitions/PondProperties"}, expression]},
            },
        }},
        "definitions": {"PondProperties": {"type": "object", "properties": {
            "kind": {"oneOf": [{"type": "string", "maxLength": 4}, expression]},
        }}},
    })
}

/// What a check of an exchange says; an exchange is a method, the rest of a path and query, a body, a status, a body.
fn outcome(method: &str, rest: &str, sent: Value, status: u16, body: Value) -> Outcome {
    let folder = folder();
    Contract::load(folder.path()).unwrap().check(&exchange(method, rest, sent, status, body))
}

fn exchange(method: &str, rest: &str, sent: Value, status: u16, body: Value) -> Exchange {
    let url = url::Url::parse(&format!("https://arm.example{ROOT}/{rest}")).unwrap();
    let some = |value: Value| (!value.is_null()).then_some(value);
    Exchange { status, request_body: some(sent), response_body: some(body), ..Exchange::of_url(method, &url) }
}

/// The findings of an exchange, short: level, rule, place.
fn found(method: &str, rest: &str, sent: Value, status: u16, body: Value) -> Vec<(Level, Rule, String)> {
    let findings = outcome(method, rest, sent, status, body).findings;
    findings.into_iter().map(|finding| (finding.level, finding.rule, finding.place)).collect()
}

fn violation(rule: Rule, place: &str) -> Vec<(Level, Rule, String)> {
    vec![(Level::Violation, rule, place.to_owned())]
}

fn warning(rule: Rule, place: &str) -> Vec<(Level, Rule, String)> {
    vec![(Level::Warning, rule, place.to_owned())]
}

/// A pond as the service shows it, with some of its properties otherwise.
fn pond(properties: Value) -> Value {
    let mut all = json!({"depth": 2.5, "provisioningState": "Succeeded"});
    all.as_object_mut().unwrap().extend(properties.as_object().unwrap().clone());
    json!({"id": "/a", "name": "frogs", "properties": all})
}

const GET: &str = "ponds/frogs?api-version=2020-01-01";

fn shown(properties: Value) -> Vec<(Level, Rule, String)> {
    found("GET", GET, Value::Null, 200, pond(properties))
}

#[test]
fn what_is_as_specified_has_no_findings() {
    let outcome = outcome("GET", GET, Value::Null, 200, pond(json!({"note": null, "tags": {"a": "b"}})));
    assert_eq!(outcome.findings, []);
    let operation = outcome.operation.unwrap();
    assert_eq!(operation.to_string(), "Contoso.Garden 2020-01-01 Ponds_Get");
    assert!(outcome.exact_version);
}

#[test]
fn values_of_the_service_are_held_to_their_schemas() {
    let at = |name: &str| format!("response body /properties/{name}");
    assert_eq!(shown(json!({"depth": "deep"})), violation(Rule::Type, &at("depth")));
    assert_eq!(shown(json!({"depth": 0})), violation(Rule::Form, &at("depth")));
    assert_eq!(shown(json!({"dug": "yesterday"})), violation(Rule::Form, &at("dug")));
    assert_eq!(shown(json!({"note": "too long"})), violation(Rule::Form, &at("note")));
    assert_eq!(shown(json!({"colour": null})), violation(Rule::Null, &at("colour")));
    assert_eq!(shown(json!({"colour": "Red"})), violation(Rule::Enumeration, &at("colour")));
    assert_eq!(shown(json!({"provisioningState": "Unsure"})), violation(Rule::Enumeration, &at("provisioningState")));
    assert_eq!(shown(json!({"shore": "Mud"})), warning(Rule::Enumeration, &at("shore")));
    assert_eq!(shown(json!({"fountain": true})), violation(Rule::UnknownProperty, &at("fountain")));
    assert_eq!(shown(json!({"tags": {"a/b": 1}})), violation(Rule::Type, &at("tags/a~1b")));
    let bare = found("GET", GET, Value::Null, 200, json!({"properties": {"provisioningState": "Succeeded"}}));
    assert_eq!(bare, violation(Rule::MissingProperty, &at("depth")));
}

#[test]
fn a_discriminator_leads_to_descendants_in_other_files() {
    let with = |fish: Value| shown(json!({"inhabitants": [fish]}));
    let at = |name: &str| format!("response body /properties/inhabitants/0/{name}");
    assert_eq!(with(json!({"kind": "carp", "weight": 3})), []);
    assert_eq!(with(json!({"kind": "pike", "teeth": 700})), []);
    assert_eq!(with(json!({"kind": "carp", "weight": 0})), violation(Rule::Form, &at("weight")));
    assert_eq!(with(json!({"kind": "carp", "teeth": 1})), violation(Rule::UnknownProperty, &at("teeth")));
    assert_eq!(with(json!({"kind": "shark"})), violation(Rule::Discriminator, &at("kind")));
    assert_eq!(with(json!({})), violation(Rule::MissingProperty, &at("kind")));
}

#[test]
fn a_client_may_be_sloppier_than_the_service() {
    let put = |sent: Value| found("PUT", GET, sent, 200, pond(json!({})));
    assert_eq!(put(json!({"properties": {"depth": 1, "password": "x"}})), []);
    assert_eq!(put(pond(json!({}))).len(), 3, "what only the service sets, three warnings");
    assert_eq!(put(json!({"properties": {"Depth": 1}})), warning(Rule::Spelling, "request body /properties/Depth"));
    assert_eq!(
        put(json!({"properties": {"depth": 1, "colour": "green"}})),
        warning(Rule::Spelling, "request body /properties/colour")
    );
    assert_eq!(
        put(json!({"properties": {"depth": 1}, "zone": 1})),
        warning(Rule::UnknownProperty, "request body /zone")
    );
    assert_eq!(
        put(json!({"properties": {"depth": 1, "zone": 1}})),
        violation(Rule::UnknownProperty, "request body /properties/zone")
    );
    assert_eq!(put(json!({"properties": {}})), violation(Rule::MissingProperty, "request body /properties/depth"));
    assert_eq!(put(Value::Null), violation(Rule::Presence, "request body"));
    let refused = json!({"error": {"code": "BadRequest", "message": "No."}});
    assert_eq!(found("PUT", GET, json!({"properties": 7}), 400, refused), [], "what was refused may have been wrong");
}

#[test]
fn parameters_are_held_to_their_descriptions() {
    let get = |rest: &str, body: Value| found("GET", rest, Value::Null, 200, body);
    let page = json!({"value": []});
    let pond = || pond(json!({}));
    assert_eq!(get("ponds/f?api-version=2020-01-01", pond()), violation(Rule::Form, "request path pond"));
    assert_eq!(get("ponds/FROGS?api-version=2020-01-01", pond()), warning(Rule::Spelling, "request path pond"));
    assert_eq!(get("ponds?API-Version=2020-01-01&$top=9", page.clone()), []);
    assert_eq!(get("ponds?api-version=2020-01-01&$top=11", page.clone()), violation(Rule::Form, "request query $top"));
    assert_eq!(get("ponds?api-version=2020-01-01&$top=all", page.clone()), violation(Rule::Type, "request query $top"));
    assert_eq!(get("ponds", page), violation(Rule::Parameter, "request query api-version"));
    let deleted = found("DELETE", GET, Value::Null, 204, Value::Null);
    assert_eq!(deleted, violation(Rule::Parameter, "request header If-Match"));
}

#[test]
fn paths_are_found_in_any_spelling_and_under_scopes() {
    let id =
        |rest: &str, body: Value| outcome("GET", rest, Value::Null, 200, body).operation.map(|key| key.operation_id);
    assert_eq!(id("PONDS/frogs/?api-version=2020-01-01", pond(json!({}))), Some("Ponds_Get".into()));
    assert_eq!(id("ponds/frogs?api-version=2020-01-01&view=map", json!("map")), Some("Ponds_Map".into()));
    let under = "ponds/frogs/providers/Contoso.Garden/gnomes/g?api-version=2020-01-01";
    assert_eq!(id(under, json!({})), Some("Gnomes_Get".into()));
    assert_eq!(id("sheds/s?api-version=2020-01-01", json!({})), None);
    let patched = outcome("PATCH", GET, json!({}), 200, pond(json!({})));
    assert_eq!(patched.findings.first().map(|finding| finding.rule), Some(Rule::Method));
}

#[test]
fn answers_have_the_documented_statuses_and_bodies() {
    let body = pond(json!({}));
    assert_eq!(found("GET", GET, Value::Null, 206, body.clone()), violation(Rule::Status, "response status"));
    assert_eq!(found("GET", GET, Value::Null, 200, Value::Null), violation(Rule::Presence, "response body"));
    let error = |status: u16, body: Value| found("GET", GET, Value::Null, status, body);
    assert_eq!(error(404, json!({"error": {"code": "NotFound", "message": "No."}})), []);
    assert_eq!(
        error(503, json!({"error": {"code": "Busy", "message": 5}})),
        violation(Rule::Type, "response body /error/message")
    );
    // PUT documents no error at all, so that ARM's common rules remain.
    let put = found("PUT", GET, Value::Null, 409, json!({"message": "No."}));
    assert_eq!(put.len(), 2, "{put:?}");
    assert!(put.iter().all(|(_, rule, _)| *rule == Rule::ErrorEnvelope));
}

#[test]
fn a_long_running_operation_can_be_followed() {
    let sent = json!({"properties": {"depth": 1}});
    let polling = violation(Rule::Polling, "response header azure-asyncoperation");
    assert_eq!(found("PUT", GET, sent.clone(), 202, Value::Null), polling);
    assert_eq!(found("PUT", GET, sent.clone(), 201, pond(json!({}))), [], "followed at the resource itself");
    let folder = folder();
    let contract = Contract::load(folder.path()).unwrap();
    let check = |location: &str| {
        let headers = vec![("Location".to_owned(), location.to_owned())];
        let exchange = exchange("PUT", GET, sent.clone(), 202, Value::Null);
        contract.check(&Exchange { response_headers: headers, ..exchange }).findings.len()
    };
    assert_eq!((check("https://arm.example/operations/1"), check("/operations/1")), (0, 1));
}

#[test]
fn an_unknown_version_is_held_to_the_nearest_and_to_the_types_of_its_own() {
    let older =
        outcome("GET", "ponds/frogs?api-version=2019-01-01", Value::Null, 200, pond(json!({"fountain": 1, "dug": 5})));
    let rules: Vec<Rule> = older.findings.iter().map(|finding| finding.rule).collect();
    assert_eq!(
        (older.exact_version, rules),
        (false, vec![Rule::Type]),
        "what is new is no fault, what is known is held"
    );

    let newer =
        |method: &str, sent: Value, body: Value| found(method, "ponds/frogs?api-version=2020-03-01", sent, 200, body);
    let typed = json!({"name": "frogs", "properties": {"kind": "Deep", "state": "Wet"}});
    assert_eq!(newer("GET", Value::Null, typed.clone()), []);
    let closed = json!({"properties": {"kind": "Wide", "depth": 2}});
    assert_eq!(
        newer("GET", Value::Null, closed),
        [
            violation(Rule::UnknownProperty, "response body /properties/depth"),
            violation(Rule::Enumeration, "response body /properties/kind"),
        ]
        .concat()
    );
    let sent = json!({"properties": {"kind": "Shallow", "state": "Wet"}});
    assert_eq!(
        newer("PUT", sent, typed.clone()),
        [
            warning(Rule::ReadOnly, "request body /properties/state"),
            violation(Rule::Form, "request body /properties/kind"),
        ]
        .concat()
    );
    let page = json!({"value": [typed], "nextLink": null});
    assert_eq!(found("GET", "ponds?api-version=2020-03-01", Value::Null, 200, page), []);
}

#[test]
fn what_no_specification_describes_is_held_to_the_common_rules() {
    let status = |body: Value| {
        let outcome = outcome("GET", "locations/x/operations/1?api-version=2020-01-01", Value::Null, 200, body);
        assert_eq!(outcome.operation, None);
        outcome.findings.len()
    };
    assert_eq!(status(json!({"status": "InProgress", "percentComplete": 5.0})), 0);
    assert_eq!(status(json!({"status": "Failed", "error": {"code": "X", "message": "Y"}})), 0);
    assert_eq!(status(json!({"status": "Failed"})), 1);
    assert_eq!(status(json!({"status": 5})), 1);
    assert_eq!(status(json!({"value": [], "nextLink": "/next"})), 1);
    let foreign =
        Exchange { method: "GET".into(), path: "/tenant/oauth2/token".into(), status: 400, ..Exchange::default() };
    let folder = folder();
    assert_eq!(Contract::load(folder.path()).unwrap().check(&foreign).findings, []);
}

#[test]
fn a_reference_that_leads_nowhere_is_a_gap_and_no_fault() {
    let folder = folder();
    fs::remove_dir_all(folder.path().join("specification/common-types")).unwrap();
    let contract = Contract::load(folder.path()).unwrap();
    let outcome = contract.check(&exchange("GET", GET, Value::Null, 200, pond(json!({}))));
    assert!(outcome.operation.is_some());
    assert!(contract.gaps().iter().any(|gap| gap.contains("types.json")), "{:?}", contract.gaps());
}

#[test]
fn a_folder_without_specifications_is_refused() {
    let empty = tempfile::tempdir().unwrap();
    assert!(matches!(Contract::load(empty.path()), Err(ContractError::Empty(_))));
    assert!(matches!(Contract::load(&empty.path().join("no")), Err(ContractError::Unreadable { .. })));
}

#[test]
fn a_test_s_exchanges_are_collected_and_counted() {
    let folder = folder();
    let contract = Contract::load(folder.path()).unwrap();
    let mut collector = Collector::new(&contract);
    for _ in 0..2 {
        collector.add(&exchange("GET", GET, Value::Null, 200, pond(json!({"fountain": 1}))));
    }
    collector.add(&exchange("GET", "ponds?api-version=2020-02-01", Value::Null, 200, json!({"value": []})));
    collector.add(&exchange("GET", "sheds/s?api-version=2020-01-01", Value::Null, 200, json!({})));
    let report = collector.report();
    let text = report.verdict().unwrap_err();
    assert!(text.contains("GET 200 Contoso.Garden 2020-01-01 Ponds_Get"), "{text}");
    assert!(
        text.contains("response body /properties/fountain: the specification does not know this property (2 times)"),
        "{text}"
    );

    let counts = tempfile::tempdir().unwrap();
    let counts = counts.path().join("new");
    report.exercised.append_to(&counts).unwrap();
    report.exercised.append_to(&counts).unwrap();
    let table = Coverage::read(&counts).unwrap().table(&contract, &Filter::default());
    let words: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(words.first().unwrap().join(" "), "Contoso.Garden 2020-01-01: 2 of 6 operations");
    assert!(words.contains(&vec!["4", "GET", "Ponds_Get"]), "{table}");
    assert!(words.contains(&vec!["2", "GET", "Ponds_List", "(2", "as", "2020-02-01)"]), "{table}");
    assert!(words.contains(&vec!["-", "PUT", "Ponds_Put"]), "{table}");
    assert!(words.contains(&vec!["2", "GET", "Contoso.Garden/sheds"]), "{table}");
    let only = Filter { types: vec!["contoso.garden/gnomes".into()], exercised_only: false };
    let table = Coverage::read(&counts).unwrap().table(&contract, &only);
    assert!(table.contains("0 of 1 operations") && !table.contains("Ponds_Put"), "{table}");
}

#[test]
fn archives_and_lists_are_read() {
    let har = json!({"log": {"entries": [
        {"request": {"method": "put", "url": "https://arm.example/subscriptions/a%20b?api-version=1&x=%2F",
                     "headers": [{"name": "A", "value": "b"}], "postData": {"text": "{\"c\":1}"}},
         "response": {"status": 200, "headers": [], "content": {"text": "eyJkIjoyfQ==", "encoding": "base64"}}},
        {"request": {"method": "GET", "url": "https://arm.example/"}, "response": {"status": 0}},
        {"request": {"method": "GET", "url": "https://arm.example/a+b"}, "response": {"status": 502, "content": {"text": "<html>"}}},
    ]}});
    let read = read_exchanges(&har.to_string()).unwrap();
    let [put, get] = read.as_slice() else { panic!("{read:?}") };
    assert_eq!((put.method.as_str(), put.path.as_str()), ("PUT", "/subscriptions/a b"));
    assert_eq!((put.request_body.clone(), put.response_body.clone()), (Some(json!({"c": 1})), Some(json!({"d": 2}))));
    assert_eq!((get.path.as_str(), get.response_text.as_deref()), ("/a+b", Some("<html>")));
    assert_eq!(read_exchanges(&serde_json::to_string(&read).unwrap()).unwrap(), read);
    assert!(read_exchanges("{}").is_err());
}

#[test]
fn the_program_checks_a_file_and_reports_counts() {
    let folder = folder();
    let log = folder.path().join("log.json");
    let run = |body: Value| {
        let exchanges = vec![exchange("GET", GET, Value::Null, 200, body)];
        fs::write(&log, serde_json::to_string(&exchanges).unwrap()).unwrap();
        let mut program = std::process::Command::new(env!("CARGO_BIN_EXE_arm-contract"));
        let output = program.args(["check", "--specs"]).arg(folder.path()).arg(&log).output().unwrap();
        (output.status.success(), String::from_utf8(output.stdout).unwrap())
    };
    let (clean, text) = run(pond(json!({})));
    assert!(clean && text.contains("none contradicts"), "{text}");
    let (clean, text) = run(pond(json!({"depth": "deep"})));
    assert!(!clean && text.contains("/properties/depth: \"deep\", where a number is described"), "{text}");
}

#[test]
fn without_a_folder_nothing_is_held() {
    if std::env::var_os("ARM_SPECS_DIR").is_none() {
        let counts = tempfile::tempdir().unwrap();
        let odd = exchange("GET", GET, Value::Null, 500, json!("odd"));
        assert_eq!(hold_to_specifications([odd], counts.path()), Ok(()));
    }
}
