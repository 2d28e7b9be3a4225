//! What brings one workspace to what is declared: at most one write at a time, and what to say meanwhile.

use serde_json::{Map, Value, json};

use crate::api::common::{DeletionPolicy, Door, acknowledged};
use crate::api::connection::Verb;
use crate::api::ids::ArmId;
use crate::api::workspace::{
    AmlWorkspaceSpec, FirewallSku, IsolationMode, ManagedNetwork, ProvisionWhen, PublicNetworkAccess,
};
use crate::azure::machine_learning::{OutboundRule, Workspace};

use super::fence::Fence;
use super::outcome::{Reason, Verdict};
use super::ownership::{Claim, Origin, Owner, claim};
use super::rule_body::RuleBody;
use super::rules::RuleWrite;

mod compare;

use compare::identity;
pub use compare::{Difference, compare};

/// A write to one workspace.
#[derive(Clone, Debug, PartialEq)]
pub enum Write {
    /// PUT of the whole workspace.
    Create(Value),
    /// PATCH of what differs.
    Update(Value),
    /// POST `provisionManagedNetwork`.
    Provision(Value),
    /// One write of its rules.
    Rules(RuleWrite),
    /// DELETE of the workspace.
    Delete,
}

/// A request as ARM takes it, for the intent and for `status.planned`.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// The method.
    pub method: &'static str,
    /// The path.
    pub path: String,
    /// What is recorded as the intent's verb: the method, and the action where there is one.
    pub verb: &'static str,
    /// The ARM id the intent is filed under.
    pub id: String,
    /// The body.
    pub body: Option<Value>,
}

impl Write {
    /// The request that carries it out on workspace `id`. `network` is the managed network as ARM shows it, which a PATCH of the
    /// rules repeats, so that nothing beside the rules changes even if ARM replaces the whole member.
    pub fn request(&self, id: &ArmId, network: Option<&crate::azure::machine_learning::ManagedNetwork>) -> Request {
        let workspace = |method, verb, suffix: &str, body| Request {
            method,
            verb,
            path: format!("{id}{suffix}"),
            id: format!("{id}{suffix}"),
            body,
        };
        match self {
            Self::Create(body) => workspace("PUT", "PUT", "", Some(body.clone())),
            Self::Update(body) => workspace("PATCH", "PATCH", "", Some(body.clone())),
            Self::Provision(body) => {
                workspace("POST", "POST provisionManagedNetwork", "/provisionManagedNetwork", Some(body.clone()))
            }
            Self::Delete => workspace("DELETE", "DELETE", "", None),
            Self::Rules(RuleWrite::Put { name, properties }) => {
                workspace("PUT", "PUT", &format!("/outboundRules/{name}"), Some(json!({ "properties": properties })))
            }
            Self::Rules(RuleWrite::Delete { name }) => {
                workspace("DELETE", "DELETE", &format!("/outboundRules/{name}"), None)
            }
            Self::Rules(RuleWrite::Patch { rules, .. }) => {
                let mut member = Map::new();
                if let Some(mode) = network.and_then(|network| network.isolation_mode.clone()) {
                    member.insert("isolationMode".into(), mode.into());
                }
                if let Some(sku) = network.and_then(|network| network.firewall_sku.clone()) {
                    member.insert("firewallSku".into(), sku.into());
                }
                member.insert("outboundRules".into(), Value::Object(rules.clone()));
                let mut request = workspace(
                    "PATCH",
                    "PATCH outboundRules",
                    "",
                    Some(json!({"properties": {"managedNetwork": member}})),
                );
                request.id = format!("{id}/outboundRules");
                request
            }
        }
    }

    /// What is said while it is carried out.
    pub fn verdict(&self) -> Verdict {
        match self {
            Self::Create(_) => Verdict::new(Reason::Creating, "Azure is creating the workspace"),
            Self::Update(_) => Verdict::new(Reason::Updating, "Azure is changing the workspace"),
            Self::Provision(_) => Verdict::new(
                Reason::Provisioning,
                "Azure is building the managed network; that takes about half an hour",
            ),
            Self::Rules(_) => Verdict::new(Reason::Updating, "Azure is changing the outbound rules"),
            Self::Delete => Verdict::new(Reason::Deleting, "Azure is deleting the workspace"),
        }
    }
}

/// All the plan looks at, beside the rules.
#[derive(Clone, Copy, Debug)]
pub struct WorkspaceInput<'a> {
    /// Who the object is.
    pub owner: &'a Owner,
    /// Its ARM id.
    pub id: &'a ArmId,
    /// What is declared.
    pub spec: &'a AmlWorkspaceSpec,
    /// What ARM shows; `None` if there is no such workspace.
    pub observed: Option<&'a Workspace>,
    /// The rules that ARM shows.
    pub rules: &'a [OutboundRule],
    /// The fence.
    pub fence: &'a Fence<'a>,
}

/// What was decided about the workspace itself.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkspacePlan {
    /// The next write.
    pub write: Option<Write>,
    /// What to say.
    pub verdict: Verdict,
    /// Where Azure is not as declared.
    pub differences: Vec<Difference>,
    /// Whether the rules' turn has come: the workspace is ours, at rest and in place.
    pub rules_may_change: bool,
}

impl WorkspacePlan {
    fn blocked(verdict: Verdict) -> Self {
        Self { write: None, verdict, differences: Vec::new(), rules_may_change: false }
    }

    fn writing(write: Write, differences: Vec<Difference>) -> Self {
        let verdict = write.verdict();
        Self { write: Some(write), verdict, differences, rules_may_change: false }
    }
}

/// What can be refused before Azure is asked anything.
///
/// # Errors
/// With the verdict to report.
pub fn check(spec: &AmlWorkspaceSpec, id: &ArmId, fence: &Fence<'_>) -> Result<(), Verdict> {
    fence.allows_reading(id)?;
    fence.allows_isolation(id, spec.managed_network.isolation_mode)?;
    fence.allows_public_access(id, spec.public_network_access)?;
    let named = spec.associated_resources.ids().chain(
        spec.identity.user_assigned_identities.iter().map(|id| ("identity.userAssignedIdentities", id.as_str())),
    );
    for (field, resource) in named {
        let resource =
            ArmId::parse(resource).map_err(|error| Verdict::new(Reason::Invalid, format!("{field}: {error}")))?;
        fence.allows(Verb::Reach, &resource)?;
    }
    if spec.deletion_policy == Some(DeletionPolicy::Delete) {
        fence.allows(Verb::Delete, id)?;
    }
    Ok(())
}

/// Decides about the workspace itself; its rules come after.
pub fn plan(input: WorkspaceInput<'_>) -> WorkspacePlan {
    let WorkspaceInput { owner, id, spec, observed, rules, fence } = input;
    let Some(observed) = observed else {
        if let Err(verdict) = fence.allows(Verb::Create, id).and_then(|()| public_door(spec)) {
            return WorkspacePlan::blocked(verdict);
        }
        return WorkspacePlan::writing(
            Write::Create(creation(spec, &owner.tag(Origin::Created), &Map::new())),
            Vec::new(),
        );
    };
    let adoption = spec.adoption.unwrap_or_default();
    let claim = claim(owner, observed.tag(crate::api::OWNER_TAG), adoption, &spec.acknowledge);
    if let Claim::Refused(verdict) = claim {
        return WorkspacePlan::blocked(verdict);
    }
    if observed.is_moving() {
        let state = observed.properties.provisioning_state.as_deref().unwrap_or_default();
        return WorkspacePlan::blocked(Verdict::new(Reason::Updating, format!("Azure shows the workspace as {state}")));
    }
    let mut differences = compare(spec, observed);
    if let Some(fixed) = differences.iter().find(|difference| difference.patch.is_none()) {
        let verdict = Verdict::new(
            Reason::NotChangeable,
            format!(
                "{} is {} in Azure and cannot be changed to {}; declare it as it is, or create another workspace",
                fixed.field, fixed.found, fixed.wanted
            ),
        );
        return WorkspacePlan { differences, ..WorkspacePlan::blocked(verdict) };
    }
    let taken = match claim {
        Claim::TakeIfMatching(_) if !differences.is_empty() => {
            let listed: Vec<String> =
                differences.iter().map(|d| format!("{} is {}, declared {}", d.field, d.found, d.wanted)).collect();
            let verdict = Verdict::new(
                Reason::AdoptionRefused,
                format!(
                    "adoption: IfMatching takes over only what is as declared, but {}. Change the declaration, or set \
                     adoption: Always to have Azure changed",
                    listed.join("; ")
                ),
            );
            return WorkspacePlan { differences, ..WorkspacePlan::blocked(verdict) };
        }
        Claim::Take(tag) | Claim::TakeIfMatching(tag) => Some(tag),
        Claim::Ours | Claim::Refused(_) => None,
    };
    if let Some(tag) = taken {
        let patch = Some(json!({ "tags": with_owner(observed, &tag) }));
        let found = observed.tag(crate::api::OWNER_TAG).unwrap_or("no owner").to_owned();
        differences.push(Difference { field: "tags", found, wanted: tag, patch });
    }
    // A closed door holds up its own change only: what was opened by hand elsewhere is closed all the same.
    let closed = |difference: &Difference| door(spec, observed, rules, difference).err();
    let mut update = Value::Object(Map::new());
    let open = differences.iter().filter(|difference| closed(difference).is_none());
    open.filter_map(|difference| difference.patch.as_ref()).for_each(|patch| merge(&mut update, patch));
    if let Some(network) = update.pointer_mut("/properties/managedNetwork").and_then(Value::as_object_mut) {
        // The rules go along as they are, so that none is lost if ARM replaces the member instead of merging it.
        let kept: Map<String, Value> = rules
            .iter()
            .filter(|rule| rule.is_user_defined())
            .map(|rule| (rule.name.clone(), rule.to_body()))
            .collect();
        if !kept.is_empty() {
            network.insert("outboundRules".into(), Value::Object(kept));
        }
    }
    let write = if update != json!({}) {
        Some(Write::Update(update))
    } else if let Some(verdict) = differences.iter().find_map(closed) {
        return WorkspacePlan { differences, ..WorkspacePlan::blocked(verdict) };
    } else if observed.has_failed() {
        mend(owner, spec, observed)
    } else {
        provision(&spec.managed_network, observed)
    };
    if let Some(write) = write {
        if let Err(verdict) = fence.allows(Verb::Configure, id) {
            return WorkspacePlan { differences, ..WorkspacePlan::blocked(verdict) };
        }
        return WorkspacePlan::writing(write, differences);
    }
    let public = if spec.public_network_access == PublicNetworkAccess::Disabled { "off" } else { "ON" };
    WorkspacePlan {
        write: None,
        verdict: Verdict::new(
            Reason::Secured,
            format!("isolation mode {}, public network access {public}", spec.managed_network.isolation_mode.as_str()),
        ),
        differences,
        rules_may_change: true,
    }
}

/// The write that brings a workspace whose last change failed, but that is as declared, back to life.
fn mend(owner: &Owner, spec: &AmlWorkspaceSpec, observed: &Workspace) -> Option<Write> {
    let tag = observed.tag(crate::api::OWNER_TAG).map_or_else(|| owner.tag(Origin::Adopted), ToOwned::to_owned);
    let tags = with_owner(observed, &tag);
    Some(if observed.properties.workspace_id.is_none() {
        // It never came to be: the creating PUT again is the documented way to mend it.
        Write::Create(creation(spec, &tag, &tags))
    } else {
        // A PUT would take away what is not declared, such as its rules. A change that changes nothing makes Azure try anew.
        Write::Update(json!({ "tags": tags }))
    })
}

fn provision(network: &ManagedNetwork, observed: &Workspace) -> Option<Write> {
    let provision = network.provision.as_ref()?;
    let wanted = provision.when == ProvisionWhen::Immediately && network.isolation_mode != IsolationMode::Disabled;
    let missing = !observed.network_active() || (provision.include_spark && !observed.spark_ready());
    // The body is always sent: without one the service answers "Request body could not be read".
    (wanted && missing).then(|| Write::Provision(json!({ "includeSpark": provision.include_spark })))
}

/// The tags as read, with the owner's: ARM's PATCH replaces the whole map (ARM RPC, resource-api-reference).
fn with_owner(observed: &Workspace, tag: &str) -> Map<String, Value> {
    let mut tags: Map<String, Value> = observed
        .tags
        .iter()
        .flatten()
        .filter(|(key, _)| !key.eq_ignore_ascii_case(crate::api::OWNER_TAG))
        .map(|(key, value)| (key.clone(), value.clone().into()))
        .collect();
    tags.insert(crate::api::OWNER_TAG.into(), tag.into());
    tags
}

/// The body of the creating PUT.
fn creation(spec: &AmlWorkspaceSpec, tag: &str, tags: &Map<String, Value>) -> Value {
    let mut tags = tags.clone();
    tags.insert(crate::api::OWNER_TAG.into(), tag.into());
    let mut network = json!({ "isolationMode": spec.managed_network.isolation_mode.as_str() });
    if let Some(sku) = spec.managed_network.firewall_sku {
        network["firewallSku"] = sku.as_str().into();
    }
    let mut properties = json!({
        "publicNetworkAccess": spec.public_network_access.as_str(),
        "managedNetwork": network,
    });
    for (field, resource) in spec.associated_resources.ids() {
        properties[field] = resource.into();
    }
    if let Some(primary) = &spec.identity.primary_user_assigned_identity {
        properties["primaryUserAssignedIdentity"] = primary.as_str().into();
    }
    json!({ "location": spec.location, "identity": identity(spec), "tags": tags, "properties": properties })
}

fn public_door(spec: &AmlWorkspaceSpec) -> Result<(), Verdict> {
    if spec.public_network_access == PublicNetworkAccess::Disabled
        || acknowledged(&spec.acknowledge, Door::PublicNetworkAccess, "Enabled")
    {
        return Ok(());
    }
    Err(Verdict::new(
        Reason::AcknowledgementRequired,
        "publicNetworkAccess: Enabled makes the workspace reachable from the internet. If that is meant, acknowledge \
         {door: PublicNetworkAccess, value: Enabled}",
    ))
}

/// The door that a difference's change leads through.
fn door(
    spec: &AmlWorkspaceSpec,
    observed: &Workspace,
    rules: &[OutboundRule],
    difference: &Difference,
) -> Result<(), Verdict> {
    match difference.field {
        "properties.publicNetworkAccess" => public_door(spec),
        "properties.managedNetwork.isolationMode" => isolation_door(spec, observed),
        // The SKU's change sends the mode along.
        "properties.managedNetwork.firewallSku" => {
            isolation_door(spec, observed).and_then(|()| firewall_door(spec, rules))
        }
        _ => Ok(()),
    }
}

/// Another SKU is another price, once there is a firewall: that is, an FQDN rule.
fn firewall_door(spec: &AmlWorkspaceSpec, rules: &[OutboundRule]) -> Result<(), Verdict> {
    let running = rules.iter().any(|rule| matches!(RuleBody::observed(rule), Some(RuleBody::Fqdn { .. })));
    let sku = spec.managed_network.firewall_sku.map_or("Standard", FirewallSku::as_str);
    if !running || acknowledged(&spec.acknowledge, Door::AzureFirewall, sku) {
        return Ok(());
    }
    Err(Verdict::new(
        Reason::AcknowledgementRequired,
        format!(
            "the workspace's Azure Firewall would change its SKU, and its price, to {sku}. If that is meant, acknowledge \
             {{door: AzureFirewall, value: {sku}}}"
        ),
    ))
}

fn isolation_door(spec: &AmlWorkspaceSpec, observed: &Workspace) -> Result<(), Verdict> {
    let wanted = spec.managed_network.isolation_mode;
    let found = observed.isolation_mode();
    if found.eq_ignore_ascii_case(wanted.as_str()) {
        return Ok(());
    }
    // The documented transitions; everything else is refused by the service (Microsoft: "Workspace managed virtual network isolation").
    let allowed = match IsolationMode::parse(found) {
        Some(IsolationMode::Disabled) => true,
        Some(IsolationMode::AllowInternetOutbound) => wanted == IsolationMode::AllowOnlyApprovedOutbound,
        Some(IsolationMode::AllowOnlyApprovedOutbound) | None => false,
    };
    if !allowed {
        return Err(Verdict::new(
            Reason::NotChangeable,
            format!(
                "the isolation mode is {found} in Azure, which does not let it become {}; declare {found}, or create another \
                 workspace",
                wanted.as_str()
            ),
        ));
    }
    if acknowledged(&spec.acknowledge, Door::IsolationMode, wanted.as_str()) {
        return Ok(());
    }
    Err(Verdict::new(
        Reason::AcknowledgementRequired,
        format!(
            "changing the isolation mode from {found} to {0} cannot be taken back, and existing computes have to be created \
             anew. If that is meant, acknowledge {{door: IsolationMode, value: {0}}}",
            wanted.as_str()
        ),
    ))
}

/// Lays `patch` over `body`, object by object.
fn merge(body: &mut Value, patch: &Value) {
    match (body, patch) {
        (Value::Object(body), Value::Object(patch)) => {
            for (key, value) in patch {
                merge(body.entry(key.clone()).or_insert(Value::Object(Map::new())), value);
            }
        }
        (body, patch) => *body = patch.clone(),
    }
}

/// What happens to Azure when the object goes.
#[derive(Clone, Debug, PartialEq)]
pub enum Farewell {
    /// Nothing: the object may go. The words are for the event.
    Release(String),
    /// The workspace is deleted first.
    Delete,
    /// ARM is at it already.
    Deleting,
}

/// Decides what the deletion of the object means for Azure.
pub fn farewell(owner: &Owner, policy: Option<DeletionPolicy>, observed: Option<&Workspace>) -> Farewell {
    let Some(observed) = observed else {
        return Farewell::Release("there is no such workspace in Azure".into());
    };
    if policy != Some(DeletionPolicy::Delete) {
        return Farewell::Release("Azure keeps the workspace (deletionPolicy: Retain)".into());
    }
    if !observed.tag(crate::api::OWNER_TAG).is_some_and(|tag| owner.is(tag)) {
        return Farewell::Release("Azure keeps the workspace: it does not carry this object's owner tag".into());
    }
    if observed.is_deleting() { Farewell::Deleting } else { Farewell::Delete }
}

#[cfg(test)]
mod tests;
