//! The ready-made rule sets in `examples/` do what they are for: with the grants beside them every rule is written, in one go.

use std::collections::BTreeMap;
use std::path::Path;

use serde::de::DeserializeOwned;

use crate::api::AzureConnection;
use crate::api::ids::ArmId;
use crate::plan::admission::{Applicant, Host, wanted as judge};
use crate::plan::fence::Fence;

use super::*;

fn documents<T: DeserializeOwned>(text: &str) -> Vec<T> {
    text.split("\n---").map(|part| serde_saphyr::from_str(part.trim_start_matches("---")).unwrap()).collect()
}

#[test]
fn every_rule_of_every_set_is_allowed_by_its_grants_and_written() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/rule-sets");
    let text = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    let connection: AzureConnection = documents(&text("connection.yaml")).remove(0);
    let none = BTreeMap::new();
    let fence = Fence::new("contoso", &connection.spec, "team-fraud", &none);
    let scope = &connection.spec.grants[0].scope;
    let id = ArmId::parse(&format!("{scope}/providers/Microsoft.MachineLearningServices/workspaces/fraud")).unwrap();
    let host = Host {
        namespace: "team-fraud",
        name: "fraud",
        id: &id,
        fence: &fence,
        project: false,
        isolation: IsolationMode::AllowOnlyApprovedOutbound,
        spark: false,
    };
    let mut objects = Vec::new();
    let listed = text("kustomization.yaml");
    for entry in std::fs::read_dir(&folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if !name.ends_with(".yaml") || ["connection.yaml", "kustomization.yaml"].contains(&name.as_str()) {
            continue;
        }
        assert!(listed.contains(&format!("- {name}\n")), "{name} is not in kustomization.yaml");
        for rule in documents::<crate::api::OutboundRule>(&text(&name)) {
            let applicant = Applicant { namespace: "team-fraud", spec: &rule.spec, admitted: true, fence: &fence };
            let object = rule.metadata.name.unwrap();
            let body =
                judge(&applicant, &host).unwrap_or_else(|verdict| panic!("{name} {object}: {}", verdict.message));
            objects.push(declared(&object, Standing::Wanted(body)));
        }
    }
    let names: BTreeSet<&String> = objects.iter().map(|object| &object.azure_name).collect();
    assert!(objects.len() > 30 && names.len() == objects.len(), "{} rules, {} names", objects.len(), names.len());
    let mut lane = Lane::new(objects, vec![]);
    assert_eq!(lane.settle(&[], true).len(), 1);
    for (key, state) in lane.plan().states {
        assert_eq!(state.verdict.reason, Reason::Active, "{}: {}", key.name, state.verdict.message);
    }
}
