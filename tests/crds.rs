//! The custom resource definitions: that they read like documentation, that everything in them is bounded, and that what is
//! checked in is what the types say.

#![allow(clippy::expect_used, reason = "a test's helpers fail the test")]

use std::collections::BTreeMap;
use std::path::Path;

use aml_operator::api::definitions;
use aml_operator::plan::Reason;
use serde_json::Value;

/// All definitions together, in bytes: what they cost a cluster's etcd and every client that discovers them.
const BUDGET: usize = 400_000;

/// Every kind with its definition as JSON.
fn kinds() -> Vec<(String, Value)> {
    let definitions = definitions().into_iter();
    definitions.map(|crd| (crd.spec.names.kind.clone(), serde_json::to_value(crd).expect("JSON"))).collect()
}

fn version(definition: &Value) -> &Value {
    &definition["spec"]["versions"][0]
}

/// Calls `look` with the path and the schema of every property at any depth, below the object itself.
fn walk(path: &str, schema: &Value, look: &mut impl FnMut(&str, &Value)) {
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        look(&path, property);
        walk(&path, property, look);
    }
    for (member, mark) in [("items", "[]"), ("additionalProperties", "{}")] {
        if schema[member].is_object() {
            let path = format!("{path}{mark}");
            look(&path, &schema[member]);
            walk(&path, &schema[member], look);
        }
    }
}

/// All properties of spec and status for which `complaint` has something to say.
fn complaints(complaint: impl Fn(&str, &Value) -> Option<&'static str>) -> Vec<String> {
    let mut found = Vec::new();
    for (kind, definition) in kinds() {
        let schema = &version(&definition)["schema"]["openAPIV3Schema"];
        walk(&kind, schema, &mut |path, property| {
            if let Some(words) = complaint(path, property) {
                found.push(format!("{path}: {words}"));
            }
        });
    }
    found
}

#[test]
fn every_field_is_described() {
    let found = complaints(|path, property| {
        let element = path.ends_with("[]") || path.ends_with("{}");
        let described = property["description"].as_str().is_some_and(|text| text.trim().len() >= 4);
        (!element && !described).then_some("no description")
    });
    assert!(found.is_empty(), "{found:#?}");
    for (kind, definition) in kinds() {
        let text = version(&definition)["schema"]["openAPIV3Schema"]["description"].as_str().unwrap_or_default();
        assert!(text.len() > 40 && !text.starts_with("Auto-generated"), "{kind}: {text:?}");
    }
}

#[test]
fn everything_that_can_grow_is_bounded() {
    let found = complaints(|_, property| match property["type"].as_str() {
        Some("array") => property["maxItems"].is_null().then_some("a list without maxItems"),
        Some("string") => {
            // The API server takes nothing but a time for a time.
            let time = property["format"] == "date-time";
            let bounded = time || ["maxLength", "enum"].iter().any(|limit| !property[limit].is_null());
            (!bounded).then_some("a string without maxLength or enum")
        }
        Some("object") => {
            let map = property["additionalProperties"].is_object();
            (map && property["maxProperties"].is_null()).then_some("a map without maxProperties")
        }
        _ => None,
    });
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn nothing_is_left_open_to_whatever_is_sent() {
    let found = complaints(|_, property| {
        let open = property["x-kubernetes-preserve-unknown-fields"] == true || property["additionalProperties"] == true;
        open.then_some("takes anything")
    });
    assert!(found.is_empty(), "{found:#?}");
}

/// Texts in a spec that a secret could be meant to stand in, by their names, with what stands there instead.
const NO_SECRETS: [(&str, &str); 4] = [
    ("AmlCompute.spec.instance.ssh.adminPublicKey", "a public key"),
    ("AmlWorkspace.spec.encryption.keyIdentifier", "where a key is, not the key"),
    ("AzureConnection.spec.credential.clientSecret.secretRef.key", "the name of a key in a Secret"),
    ("AzureConnection.spec.customCloud.caBundle", "public certificates"),
];

/// A secret in a spec would stand in Git, in etcd, in every copy of the manifest and before everybody who may read the object.
#[test]
fn no_field_of_a_spec_takes_a_secret() {
    let found: Vec<String> = complaints(|path, property| {
        let name = path.rsplit('.').next().unwrap_or_default().to_lowercase();
        let words = ["key", "secret", "password", "token", "sas", "certificate", "cabundle", "credential"];
        let takes = property["type"] == "string" && words.iter().any(|word| name.contains(word));
        let known = NO_SECRETS.iter().any(|(known, _)| *known == path);
        (path.contains(".spec.") && takes && !known).then_some("may take a secret")
    });
    assert!(found.is_empty(), "{found:#?}");
}

/// Kubernetes' own defaults would be written into `spec`, where GitOps engines then see a difference; and a default for a field
/// of Azure would decide something that nobody wrote.
#[test]
fn the_only_defaults_are_switches_that_are_off() {
    let found = complaints(|_, property| {
        let default = &property["default"];
        (!default.is_null() && *default != Value::Bool(false)).then_some("a default")
    });
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn together_they_stay_small() {
    let size: usize = definitions().iter().map(|crd| serde_saphyr::to_string(crd).expect("YAML").len()).sum();
    assert!(size < BUDGET, "{size} bytes");
}

#[test]
fn what_is_checked_in_is_what_the_types_say() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut expected = BTreeMap::new();
    for crd in definitions() {
        let name = format!("{}.yaml", crd.spec.names.plural);
        expected.insert(name, serde_saphyr::to_string(&crd).expect("YAML"));
    }
    for folder in ["crds", "charts/aml-operator/files/crds"] {
        let mut found = BTreeMap::new();
        for entry in std::fs::read_dir(root.join(folder)).expect("the folder is there") {
            let entry = entry.expect("an entry");
            let text = std::fs::read_to_string(entry.path()).expect("text");
            found.insert(entry.file_name().to_string_lossy().into_owned(), text);
        }
        assert_eq!(expected.keys().collect::<Vec<_>>(), found.keys().collect::<Vec<_>>(), "{folder}");
        for (name, text) in &expected {
            assert!(found[name] == *text, "{folder}/{name} is not what the types say: run `make generate`");
        }
    }
}

#[test]
fn kubectl_get_shows_what_people_look_for() {
    let columns = |definition: &Value, wide: bool| {
        let columns = version(definition)["additionalPrinterColumns"].as_array().cloned().unwrap_or_default();
        let shown = columns.iter().filter(|column| (column["priority"].as_i64().unwrap_or(0) > 0) == wide);
        shown.filter_map(|column| column["name"].as_str()).collect::<Vec<_>>().join(" ")
    };
    let shown: Vec<[String; 3]> =
        kinds().into_iter().map(|(kind, crd)| [kind, columns(&crd, false), columns(&crd, true)]).collect();
    assert_eq!(
        shown,
        [
            ["AzureConnection", "Ready Status Cloud Users Age", "Tenant Message"],
            ["AmlWorkspace", "Ready Status Isolation Network Rules Age", "Secure Message"],
            ["OutboundRule", "Ready Status Type Destination Age", "Workspace Message"],
            ["PrivateEndpointApproval", "Ready Status Approved Pending Unmatched Age", "Target Group Targets Message"],
            ["ApprovalDecision", "Ready Status Policy Decision Approver Age", "Endpoint Message"],
            ["VnetAttachment", "Ready Status Role Endpoints DNS Age", "Workspace Message"],
            ["SynapseLink", "Ready Status Approved LinkedService Age", "Workspace Synapse Message"],
            ["AmlCompute", "Ready Status Type Size Nodes Isolated Age", "Workspace Message"],
            ["AmlDatastore", "Ready Status Type Target Credential Reachable Age", "Workspace Message"],
            ["AmlOnlineEndpoint", "Ready Status Public Auth Isolated Serving Age", "Workspace Message"],
        ]
    );
}

#[test]
fn kinds_are_found_under_the_names_people_type() {
    let names: Vec<String> = definitions()
        .into_iter()
        .map(|crd| {
            let names = crd.spec.names;
            format!(
                "{} {} {} {}",
                names.plural,
                names.short_names.unwrap_or_default().join(","),
                names.categories.unwrap_or_default().join(","),
                crd.spec.scope
            )
        })
        .collect();
    assert_eq!(
        names,
        [
            "azureconnections amlconn aml,azure Cluster",
            "amlworkspaces amlws aml,azure Namespaced",
            "outboundrules amlor aml,azure Namespaced",
            "privateendpointapprovals amlpea aml,azure Namespaced",
            "approvaldecisions amlpead aml,azure Namespaced",
            "vnetattachments amlvnet aml,azure Namespaced",
            "synapselinks amlsyn aml,azure Namespaced",
            "amlcomputes amlc aml,azure Namespaced",
            "amldatastores amlds aml,azure Namespaced",
            "amlonlineendpoints amloe aml,azure Namespaced",
        ]
    );
}

/// The pattern `^[A-Z][A-Za-z]*$`, spelled out: a word that the schema refused would keep a whole status from being written.
#[test]
fn every_reason_fits_the_pattern_of_a_condition() {
    for (kind, definition) in kinds() {
        let status = &version(&definition)["schema"]["openAPIV3Schema"]["properties"]["status"];
        let reason = &status["properties"]["conditions"]["items"]["properties"]["reason"];
        assert_eq!(reason["pattern"], "^[A-Z][A-Za-z]*$", "{kind}");
        let longest = reason["maxLength"].as_u64().expect("a limit");
        for known in Reason::ALL {
            let word = known.word();
            let fits =
                word.starts_with(|c: char| c.is_ascii_uppercase()) && word.chars().all(|c| c.is_ascii_alphabetic());
            assert!(fits && word.len() as u64 <= longest, "{kind}: {word}");
        }
    }
}
