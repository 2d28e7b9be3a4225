//! Azure Policy, as far as it denies: what a seed's policies forbid, no write does.

use serde_json::{Value, json};

use crate::body;
use crate::call::Call;
use crate::error::ArmError;
use crate::ids;
use crate::seed::SeedPolicy;

/// What a path of member names leads to, in whatever case they are written.
fn field<'a>(document: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(document, |value, name| {
        let members = value.as_object()?;
        members.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    })
}

/// Whether a policy denies that a resource becomes what is wanted. Texts compare without case, as in Azure Policy.
fn denies(policy: &SeedPolicy, id: &str, wanted: &Value) -> bool {
    let kind = ids::resource_type(id).unwrap_or_default();
    let concerns = policy.types.iter().any(|theirs| theirs.eq_ignore_ascii_case(&kind));
    if !concerns || !ids::contains(policy.scope.trim_end_matches('/'), id) {
        return false;
    }
    let Some(path) = &policy.field else { return true };
    let same = |allowed: &Value, stated: &Value| match (allowed.as_str(), stated.as_str()) {
        (Some(allowed), Some(stated)) => allowed.eq_ignore_ascii_case(stated),
        _ => allowed == stated,
    };
    !field(wanted, path).is_some_and(|stated| policy.allowed.iter().any(|allowed| same(allowed, stated)))
}

/// Refuses a PUT or PATCH that a policy denies. Of a PATCH the whole is judged that would result.
pub(crate) fn refuse(call: &Call<'_>) -> Result<(), ArmError> {
    if call.world.policies.is_empty() || !matches!(call.request.method.as_str(), "PUT" | "PATCH") {
        return Ok(());
    }
    let sent = call.request.json().unwrap_or(Value::Null);
    let wanted = match call.world.resources.get(&ids::key(&call.path)) {
        Some(existing) if call.request.method == "PATCH" => {
            let mut merged = existing.clone();
            body::merge(&mut merged, &sent, &[]);
            merged
        }
        _ => sent,
    };
    let denying = call.world.policies.values().find(|policy| denies(policy, &call.path, &wanted));
    denying.map_or(Ok(()), |policy| Err(disallowed(policy, &call.path)))
}

/// Code, sentence and members as users quote them.
fn disallowed(policy: &SeedPolicy, id: &str) -> ArmError {
    let SeedPolicy { name, scope, .. } = policy;
    let shown = policy.display_name.as_ref().unwrap_or(name);
    let scope = scope.trim_end_matches('/');
    let assignment = format!("{scope}/providers/Microsoft.Authorization/policyAssignments/{name}");
    let subscription = ids::subscription(id).unwrap_or_default();
    let definition = ids::guid(&["policy definition", name]);
    let definition =
        format!("/subscriptions/{subscription}/providers/Microsoft.Authorization/policyDefinitions/{definition}");
    let identifiers = json!([{
        "policyAssignment": { "name": shown, "id": assignment }, "policyDefinition": { "name": shown, "id": definition },
    }]);
    let resource = ids::name(id);
    let message = format!("Resource '{resource}' was disallowed by policy. Policy identifiers: '{identifiers}'.");
    let info = json!({
        "policyDefinitionDisplayName": shown, "policyDefinitionId": definition, "policyDefinitionEffect": "deny",
        "policyAssignmentName": name, "policyAssignmentDisplayName": shown, "policyAssignmentId": assignment,
        "policyAssignmentScope": scope,
    });
    ArmError::new(403, "RequestDisallowedByPolicy", message).with_members(json!({
        "target": resource, "additionalInfo": [{ "type": "PolicyViolation", "info": info }],
    }))
}
