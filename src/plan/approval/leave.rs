//! Whether a workspace may approve its own connection on a target: what [`decide`](super::decide) is for a request, for one that is
//! not there yet.
//!
//! Azure Machine Learning approves what it raised itself as soon as the workspace's identity may, so everything has to be asked
//! before the role is assigned. Of the endpoint nothing is known then but that it lies in a subscription of Microsoft's, and the
//! sub-resource that the rule names. What may mean it, denies it.

use super::matching::Facts;
use super::{Policy, Rule};
use crate::api::ids::ArmId;
use crate::plan::outcome::{Reason, Verdict};
use crate::plan::rules::ObjectKey;

/// The entry by which `workspace` may approve the connection that its rule to `sub_resource` of `target` raises, by all `policies`
/// there: reject beats hold beats allow.
///
/// # Errors
/// With the verdict to report if it may not.
pub fn leave(
    workspace: &ObjectKey,
    target: &ArmId,
    sub_resource: Option<&str>,
    policies: &[Policy],
) -> Result<Rule, Verdict> {
    let facts = Facts::of_rule(sub_resource);
    let named = format!("AmlWorkspace {}/{}", workspace.namespace, workspace.name);
    let denying = policies
        .iter()
        .find_map(|policy| Some(("rejects", policy.denies("reject", &policy.reject, &facts)?)))
        .or_else(|| policies.iter().find_map(|policy| Some(("holds", policy.denies("hold", &policy.hold, &facts)?))));
    if let Some((verb, rule)) = denying {
        return Err(Verdict::new(
            Reason::Overruled,
            format!(
                "{rule} {verb} the connection of {named} on {target}, or may: which of Microsoft's subscriptions its endpoint lies in, and under \
                 which name, is known only once it is there. So it may not approve it itself; narrow that entry, or leave the \
                 connection to a person"
            ),
        ));
    }
    let giving = |policy: &Policy| -> Option<(Rule, Option<String>)> {
        let entries = policy.allow.iter().enumerate();
        let mut named =
            entries.filter(|(_, entry)| policy.names_workspace(entry, &workspace.namespace, &workspace.name));
        let (index, entry) = named.next()?;
        Some((policy.rule("allow", index, entry.name.as_ref()), policy.gives_none()))
    };
    let mut silent = None;
    for (rule, why) in policies.iter().filter_map(giving) {
        match why {
            None => return Ok(rule),
            Some(why) => silent = silent.or(Some((rule, why))),
        }
    }
    Err(match silent {
        Some((rule, why)) => {
            Verdict::new(Reason::PolicyNotInForce, format!("{rule} names {named}, but gives it no leave: {why}"))
        }
        None => Verdict::new(
            Reason::PolicyMissing,
            format!(
                "no PrivateEndpointApproval on {target} allows {named} to approve its own connections; its platform team can add \
                 allow: [{{workspaceRef: {{name: {}, namespace: {}}}}}]",
                workspace.name, workspace.namespace
            ),
        ),
    })
}

impl Policy {
    /// Why none of its entries gives a workspace leave, if so.
    fn gives_none(&self) -> Option<String> {
        if !self.acts {
            return Some("it is suspended, or decides on trial only (spec.suspend, spec.mode)".to_owned());
        }
        if self.expired {
            return Some("its time is over (spec.expiresAt)".to_owned());
        }
        if self.require_approvers.is_some() {
            let why = "it asks for people (spec.requireApprovers), whom Azure Machine Learning would not ask. Another policy on the \
                       target, without that, can give leave";
            return Some(why.to_owned());
        }
        self.fault().map(|fault| format!("it allows nothing until it is corrected: {fault}"))
    }
}
