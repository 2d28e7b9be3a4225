//! The linked service: how notebooks name the workspace.

use serde_json::{Value, json};

use crate::api::common::Adoption;
use crate::api::connection::Verb;
use crate::azure::synapse::{DATA_API_VERSION, LinkedService, linked_service_path};
use crate::plan::difference::Difference;
use crate::plan::outcome::{Reason, Verdict};
use crate::plan::step::Step;

use super::{LINKED_SERVICE, Stage, SynapseInput};

const TYPE: &str = "AzureMLService";

/// The linked service of that name, if it is there.
pub(super) fn find<'a>(input: &SynapseInput<'a>, name: &str) -> Option<&'a LinkedService> {
    // Names compare without regard to case (Microsoft: naming rules of Data Factory and Synapse).
    input.observed.linked_services.iter().find(|service| service.name.eq_ignore_ascii_case(name))
}

/// True if the linked service leads to the workspace.
pub(super) fn is_there(input: &SynapseInput<'_>, name: &str) -> bool {
    find(input, name).is_some_and(|service| differences(input, service).is_empty())
}

/// What the linked service shall say: (field, value).
fn declared(input: &SynapseInput<'_>) -> [(&'static str, String); 4] {
    let id = input.site.id;
    [
        ("subscriptionId", id.subscription().to_owned()),
        ("resourceGroupName", id.resource_group().to_owned()),
        ("mlWorkspaceName", id.name().to_owned()),
        // Synapse's own identity; no secret is stored anywhere.
        ("authentication", "MSI".to_owned()),
    ]
}

fn differences(input: &SynapseInput<'_>, service: &LinkedService) -> Vec<Difference> {
    let field = |name: &str| format!("linkedservices/{}.{name}", service.name);
    let mut found = Vec::new();
    let type_ = service.properties.type_.as_deref();
    if type_ != Some(TYPE) {
        found.push(Difference::of(field("type"), type_, TYPE));
    }
    for (name, wanted) in declared(input) {
        let shown = service.text(name);
        if !shown.is_some_and(|shown| shown.eq_ignore_ascii_case(&wanted)) {
            found.push(Difference::of(field(name), shown, &wanted));
        }
    }
    found
}

fn body(input: &SynapseInput<'_>) -> Value {
    let owner = input.site.owner;
    let properties: serde_json::Map<String, Value> =
        declared(input).into_iter().map(|(name, value)| (name.to_owned(), json!(value))).collect();
    json!({"properties": {
        "type": TYPE,
        "description": format!("Made by aml-operator for {} {}/{}", owner.kind, owner.namespace, owner.name),
        "typeProperties": properties,
        "connectVia": { "type": "IntegrationRuntimeReference", "referenceName": "AutoResolveIntegrationRuntime" },
    }})
}

/// Whether it is this object's to write: its name follows from the object, or it was written before.
fn is_own(input: &SynapseInput<'_>) -> bool {
    input.spec.linked_service.is_none() || input.observed.record.wrote_linked_service
}

pub(super) fn judge(input: &SynapseInput<'_>, name: &str) -> Stage {
    let path = linked_service_path(input.synapse.name(), name);
    let put =
        |verdict: Verdict| Step::put(&path, DATA_API_VERSION, body(input), verdict).needing(Verb::Reach, input.synapse);
    let Some(service) = find(input, name) else {
        let verdict = Verdict::new(Reason::Creating, format!("Azure is making the linked service {name}"));
        let missing = Difference::of(format!("linkedservices/{name}"), None, "present");
        return Stage::stops(LINKED_SERVICE, verdict.clone()).with(vec![put(verdict)]).differing(vec![missing]);
    };
    let differences = differences(input, service);
    if differences.is_empty() {
        let message = format!("the linked service {name} leads to {}, with Synapse's own identity", input.site.id);
        return Stage::holds(LINKED_SERVICE, "Ready", message);
    }
    if !input.site.observes && !is_own(input) && input.policies.adoption != Adoption::Always {
        let changes: Vec<String> = differences.iter().map(Difference::change).collect();
        let message = format!(
            "the linked service {name} exists already and is not as declared ({}), so it is left alone. To have it changed, set adoption: \
             Always; or leave linkedService out",
            changes.join("; ")
        );
        return Stage::stops(LINKED_SERVICE, Verdict::new(Reason::AdoptionRefused, message));
    }
    let verdict = Verdict::new(Reason::Updating, format!("Azure is changing the linked service {name}"));
    let step = put(verdict.clone()).changing(&differences);
    Stage::stops(LINKED_SERVICE, verdict).with(vec![step]).differing(differences)
}
