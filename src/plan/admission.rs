//! Whether a rule may be had at all: everything that the cluster and its grants can tell, without asking Azure.

use crate::api::connection::Verb;
use crate::api::ids::ArmId;
use crate::api::outbound_rule::OutboundRuleSpec;
use crate::api::workspace::IsolationMode;

use super::destination;
use super::fence::Fence;
use super::outcome::{Reason, Verdict};
use super::rule_body::RuleBody;

/// An object that declares a rule.
#[derive(Clone, Copy, Debug)]
pub struct Applicant<'a> {
    /// Its namespace.
    pub namespace: &'a str,
    /// What it declares.
    pub spec: &'a OutboundRuleSpec,
    /// Whether the workspace's object takes rules from that namespace.
    pub admitted: bool,
    /// What the connection grants that namespace.
    pub fence: &'a Fence<'a>,
}

/// The workspace that the rule is for.
#[derive(Clone, Copy, Debug)]
pub struct Host<'a> {
    /// Namespace of its object.
    pub namespace: &'a str,
    /// Name of its object.
    pub name: &'a str,
    /// Its ARM id.
    pub id: &'a ArmId,
    /// What the connection grants its namespace.
    pub fence: &'a Fence<'a>,
    /// Whether it is a Project, which lives in the network of its hub.
    pub project: bool,
    /// The isolation mode it declares.
    pub isolation: IsolationMode,
    /// Whether its network is prepared for serverless Spark, or declared to be.
    pub spark: bool,
}

/// What the rule asks for, if the workspace's owner and the platform let its namespace have it. Only then has the object a say:
/// it may hold a name, block another object's destination, have a rule removed.
///
/// # Errors
/// With the verdict to report if not.
pub fn entitled(applicant: &Applicant<'_>, host: &Host<'_>) -> Result<RuleBody, Verdict> {
    let body = admitted(applicant, host)?;
    granted(applicant, host, &body)?;
    Ok(body)
}

/// What the rule shall be, or why it may not be.
///
/// # Errors
/// With the verdict to report if not.
pub fn wanted(applicant: &Applicant<'_>, host: &Host<'_>) -> Result<RuleBody, Verdict> {
    let body = admitted(applicant, host)?;
    // First what no grant could change: nobody shall be sent for a grant that leads nowhere.
    destination::check(&body)?;
    granted(applicant, host, &body)?;
    if host.project {
        let message = "the workspace is a Project and lives in its hub's network: attach the rule to the hub";
        return Err(Verdict::new(Reason::IsolationModeForbids, message));
    }
    forbidden(&body, host.isolation).map_or(Ok(()), Err)?;
    if let RuleBody::PrivateEndpoint { spark_enabled: true, .. } = &body
        && !host.spark
    {
        return Err(Verdict::new(
            Reason::SparkNotIncluded,
            format!(
                "sparkEnabled needs a network that is prepared for serverless Spark. The owner of AmlWorkspace {}/{} can set \
                 managedNetwork.provision.includeSpark: true; or leave sparkEnabled out",
                host.namespace, host.name
            ),
        ));
    }
    Ok(body)
}

fn admitted(applicant: &Applicant<'_>, host: &Host<'_>) -> Result<RuleBody, Verdict> {
    if !applicant.admitted {
        return Err(Verdict::new(
            Reason::NotAdmitted,
            format!(
                "AmlWorkspace {}/{} does not admit rules from namespace {:?}. Ask whoever owns that object, in namespace {:?}, to \
                 add this one to its spec.allowedRules.namespaces",
                host.namespace, host.name, applicant.namespace, host.namespace
            ),
        ));
    }
    RuleBody::declared(applicant.spec)
        .ok_or_else(|| Verdict::new(Reason::Invalid, "give exactly one of fqdn, privateEndpoint, serviceTag"))
}

fn granted(applicant: &Applicant<'_>, host: &Host<'_>, body: &RuleBody) -> Result<(), Verdict> {
    if let RuleBody::PrivateEndpoint { resource_id, .. } = body {
        let target = ArmId::parse(resource_id)
            .map_err(|error| Verdict::new(Reason::Invalid, format!("privateEndpoint.resourceId: {error}")))?;
        // The namespace that names the id must be allowed to reach it, whoever the workspace belongs to.
        applicant.fence.allows(Verb::Reach, &target)?;
    }
    host.fence.allows_destination(host.id, body)
}

/// Why `isolation` does not take `body`, if so (Microsoft: "Workspace managed virtual network isolation", outbound rules).
pub fn forbidden(body: &RuleBody, isolation: IsolationMode) -> Option<Verdict> {
    let fix = match (isolation, body) {
        (IsolationMode::AllowOnlyApprovedOutbound, _)
        | (IsolationMode::AllowInternetOutbound, RuleBody::PrivateEndpoint { .. }) => return None,
        (IsolationMode::AllowInternetOutbound, _) => {
            "everything may go out already, so Azure takes private-endpoint rules only; delete this rule, or set the \
             workspace's isolationMode to AllowOnlyApprovedOutbound"
        }
        (IsolationMode::Disabled, _) => "there is no managed network; set the workspace's isolationMode first",
    };
    Some(Verdict::new(
        Reason::IsolationModeForbids,
        format!(
            "a rule of type {} does not go with the workspace's isolation mode {}: {fix}",
            body.type_(),
            isolation.as_str()
        ),
    ))
}

#[cfg(test)]
mod tests;
