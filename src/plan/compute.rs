//! What brings one compute to what is declared: at most one write at a time, and what to say meanwhile.

use jiff::{Span, SpanRelativeTo};
use serde_json::{Value, json};

use crate::api::OWNER_TAG;
use crate::api::common::{Door, acknowledged};
use crate::api::compute::{AmlComputeSpec, AmlComputeStatus, ComputeCluster, ComputeInstance, PowerState};
use crate::api::condition::{ConditionDraft, ConditionStatus};
use crate::api::connection::Verb;
use crate::api::ids::ArmId;
use crate::api::workspace::IsolationMode;
use crate::azure::compute::{API_VERSION, Compute, OwnProperties, PREVIEW_API_VERSION};
use crate::azure::machine_learning::Workspace;

use super::attached::{Decided, Farewell, Policies, Site};
use super::difference::{Comparison, Difference, Mend};
use super::effective::Effective;
use super::existing::{Existing, Next};
use super::outcome::{Reason, Verdict};
use super::own_identity;
use super::ownership::Origin;
use super::step::Step;

/// Says whether the compute is inside: in the managed network, or in a subnet without a public address.
pub const ISOLATED: &str = "Isolated";
/// Why what differs can only be made anew.
const AT_CREATION: Mend = Mend::Recreate("Azure takes it at creation only");
/// How a compute is deleted: with what it is made of.
const UNDERLYING: &str = "underlyingResourceAction=Delete";

/// What one compute's decision looks at.
#[derive(Clone, Copy, Debug)]
pub struct ComputeInput<'a> {
    /// Where it is.
    pub site: &'a Site<'a>,
    /// Its ARM id.
    pub id: &'a ArmId,
    /// What is declared.
    pub spec: &'a AmlComputeSpec,
    /// What every such kind declares.
    pub policies: Policies<'a>,
    /// The last status; what it says was written by anybody.
    pub said: Option<&'a AmlComputeStatus>,
    /// What ARM shows.
    pub observed: Option<&'a Compute>,
}

/// Refuses what no grant allows, and what cannot be meant, before Azure is asked.
///
/// # Errors
/// With the verdict to report.
pub fn check(spec: &AmlComputeSpec, site: &Site<'_>, id: &ArmId) -> Result<(), Verdict> {
    let invalid = |message: String| Verdict::new(Reason::Invalid, message);
    site.fence.allows_reading(id)?;
    let identities = spec.identity.iter().flat_map(|identity| &identity.user_assigned_identities);
    for named in identities.map(String::as_str).chain(spec.subnet()) {
        let named = ArmId::parse(named).map_err(|error| invalid(error.to_string()))?;
        site.fence.allows(Verb::Reach, &named)?;
    }
    if let Some(idle) = spec.instance.as_ref().and_then(|instance| instance.idle_time_before_shutdown.as_deref()) {
        idle_time(idle)?;
    }
    let workspace = &site.workspace.spec;
    let isolated = Effective::of(workspace).isolation_mode() != IsolationMode::Disabled;
    if let Some(subnet) = spec.subnet() {
        if isolated {
            return Err(invalid(
                "network.subnet: the workspace has a managed network, and a compute lives in one or the other; leave the subnet out"
                    .into(),
            ));
        }
        let own =
            ArmId::parse(subnet).is_ok_and(|subnet| subnet.subscription().eq_ignore_ascii_case(site.id.subscription()));
        if !own {
            return Err(invalid("network.subnet: must be in the subscription of the workspace".into()));
        }
    }
    if let Some(location) = spec.location.as_ref().filter(|location| **location != workspace.location) {
        // Microsoft: "Secure an Azure Machine Learning training environment with virtual networks"; managed networks have no
        // computes elsewhere at all.
        let why = match (&spec.instance, isolated) {
            (Some(_), _) => "a compute instance must be in the region of its workspace",
            (None, true) => "in a managed network every compute must be in the region of the workspace",
            (None, false) => return Ok(()),
        };
        return Err(invalid(format!(
            "location: is {location}, and {why}, which is {}; leave it out",
            workspace.location
        )));
    }
    Ok(())
}

/// Refuses an idle time that Azure does not take: 15 minutes to 3 days (specification of ComputeInstanceProperties).
fn idle_time(text: &str) -> Result<(), Verdict> {
    let days = SpanRelativeTo::days_are_24_hours();
    let time = text.parse::<Span>().ok().and_then(|span| span.to_duration(days).ok());
    if time.is_some_and(|time| (15..=3 * 24 * 60).contains(&time.as_mins())) {
        return Ok(());
    }
    Err(Verdict::new(
        Reason::Invalid,
        format!("idleTimeBeforeShutdown: is {text}, and Azure takes 15 minutes (PT15M) to 3 days (P3D)"),
    ))
}

/// Decides about the compute.
pub fn plan(input: ComputeInput<'_>) -> Decided<AmlComputeStatus> {
    let status = status(&input);
    let shown = match input.site.shown() {
        Ok(shown) => shown,
        Err(verdict) => return Decided::stopped(status, verdict),
    };
    let decided = match (input.observed, &input.spec.kubernetes) {
        (Some(observed), None) => existing(&input, shown, observed, status),
        (None, None) => absent(&input, shown, status),
        (Some(observed), Some(_)) => attached(&input, observed, status),
        (None, Some(_)) => {
            let message =
                format!("there is no compute {} on the workspace; attach the cluster in Azure", input.id.name());
            Decided::stopped(status, Verdict::new(Reason::ParentMissing, message))
        }
    };
    match input.observed {
        Some(observed) => decided.with([isolated(&input, shown, observed)]),
        None => decided,
    }
}

fn status(input: &ComputeInput<'_>) -> AmlComputeStatus {
    let cut = |text: Option<&str>| text.map(|text| text.chars().take(64).collect::<String>());
    let mut status = AmlComputeStatus {
        connection: Some(input.site.workspace.spec.connection_ref.name.clone()),
        type_: Some(input.spec.type_().to_owned()),
        restarted_at: input.said.and_then(|said| said.restarted_at.clone()),
        ..AmlComputeStatus::default()
    };
    let Some(observed) = input.observed else { return status };
    status.resource_id = Some(input.id.to_string());
    status.type_ = cut(observed.properties.compute_type.as_deref()).or(status.type_);
    status.principal_id = cut(observed.identity.as_ref().and_then(|identity| identity.principal_id.as_deref()));
    if let Some(own) = &observed.properties.properties {
        status.vm_size = cut(own.vm_size.as_deref());
        status.state = cut(own.state.as_deref());
        status.nodes = own.scale_settings.as_ref().map(|scale| {
            format!("{}-{}", scale.min_node_count.unwrap_or_default(), scale.max_node_count.unwrap_or_default())
        });
    }
    status
}

/// Whether a compute may be made now, by the workspace's network.
fn network_ready(input: &ComputeInput<'_>, shown: &Workspace) -> Result<(), Verdict> {
    if !shown.isolation_mode().eq_ignore_ascii_case(IsolationMode::Disabled.as_str()) {
        return input.site.managed_network_ready(shown);
    }
    // Microsoft: without a public address the nodes reach the workspace by its private endpoint only.
    if !input.spec.node_public_ip() && input.spec.kubernetes.is_none() && !shown.has_private_path() {
        return Err(Verdict::new(
            Reason::PrivatePathMissing,
            "a compute without a public address needs a private endpoint on the workspace, and none is approved there. Attach a \
             network to the workspace, or give it a managed network",
        ));
    }
    Ok(())
}

/// The door to public addresses.
fn public_door(input: &ComputeInput<'_>) -> Result<(), Verdict> {
    let name = input.id.name();
    if !input.spec.node_public_ip() || acknowledged(input.policies.acknowledge, Door::NodePublicIp, name) {
        return Ok(());
    }
    Err(Verdict::new(
        Reason::AcknowledgementRequired,
        format!(
            "network.enableNodePublicIp: true gives the nodes of {name} public addresses. If that is meant, add to spec.acknowledge \
             {{door: NodePublicIp, value: {name}}}"
        ),
    ))
}

fn absent(input: &ComputeInput<'_>, shown: &Workspace, mut status: AmlComputeStatus) -> Decided<AmlComputeStatus> {
    if let Err(verdict) = public_door(input).and_then(|()| network_ready(input, shown)) {
        return Decided::stopped(status, verdict);
    }
    // What is new is not restarted.
    status.restarted_at = input.spec.power.as_ref().and_then(|power| power.restart_at.clone());
    let tags = json!({ OWNER_TAG: input.site.owner.tag(Origin::Created) });
    let verdict = Verdict::new(Reason::Creating, format!("Azure is creating the compute {}", input.id.name()));
    let body = body(input, tags);
    let step = Step::put(input.id, version(input.spec), body, verdict).needing(Verb::Create, input.id);
    Decided::writing(status, step)
}

fn existing(
    input: &ComputeInput<'_>,
    shown: &Workspace,
    observed: &Compute,
    status: AmlComputeStatus,
) -> Decided<AmlComputeStatus> {
    let differences = compare(input, observed);
    let state = observed.properties.provisioning_state.as_deref().unwrap_or_default();
    let existing = Existing {
        noun: "the compute",
        tag: observed.tag(OWNER_TAG),
        moving: observed.is_moving().then_some(state),
        failed: observed.has_failed().then(|| observed.errors().join("; ")),
        differences: &differences,
        recreate: Some(input.spec.recreate.unwrap_or_default()),
        loss: "ends what runs on it and loses its disks",
    };
    let decided = match existing.next(input.site, &input.policies) {
        Next::Stop(verdict) => Decided::stopped(status, verdict),
        Next::Anew(why) => recreate(input, shown, status, &why),
        Next::Take(tag) => {
            let verdict = Verdict::new(Reason::Updating, "taking the compute over");
            let step = Step::put(input.id, version(input.spec), taken(input, observed, &tag), verdict);
            let found = observed.tag(OWNER_TAG);
            let step = step.changing(&[Difference::of(format!("tags.{OWNER_TAG}"), found, &tag)]);
            Decided::writing(status, step.needing(Verb::Configure, input.id))
        }
        Next::Change => match update(input, &differences) {
            Some(step) => Decided::writing(status, step),
            None => power(input, observed, status),
        },
        Next::AsDeclared => power(input, observed, status),
    };
    decided.differing(differences)
}

/// Deletes the compute to make it anew.
fn recreate(
    input: &ComputeInput<'_>,
    shown: &Workspace,
    status: AmlComputeStatus,
    why: &str,
) -> Decided<AmlComputeStatus> {
    // Nothing is deleted that could not be made again.
    if let Err(verdict) = public_door(input).and_then(|()| network_ready(input, shown)) {
        return Decided::stopped(status, verdict);
    }
    let message = format!("deleting the compute to make it anew: {why}");
    let step = Step::delete(input.id, API_VERSION, Verdict::new(Reason::Updating, message)).with_query(UNDERLYING);
    Decided::writing(status, step.needing(Verb::Configure, input.id))
}

/// Where Azure is not as declared. What is not declared is not looked at, but for what would open the compute.
pub fn compare(input: &ComputeInput<'_>, observed: &Compute) -> Vec<Difference> {
    let spec = input.spec;
    let shown = &observed.properties;
    let none = OwnProperties::default();
    let own = shown.properties.as_ref().unwrap_or(&none);
    let mut found = Comparison::default();
    let type_ = shown.compute_type.as_deref();
    found.word("properties.computeType", type_, spec.type_(), Mend::Never("a compute stays what it was created as"));
    if let Some(location) = &spec.location {
        let now = shown.compute_location.as_deref().or(observed.location.as_deref());
        let now: Option<String> = now.map(|now| now.chars().filter(|c| !c.is_whitespace()).collect());
        found.word("properties.computeLocation", now.as_deref(), location, AT_CREATION);
    }
    let closed = !spec.local_auth.unwrap_or(false);
    found.switch("properties.disableLocalAuth", shown.disable_local_auth, Some(closed), AT_CREATION);
    // Azure's own default is that nodes have public addresses, but for those in a managed network.
    let public = own.enable_node_public_ip.or(Some(!managed(input.site)));
    found.switch("properties.properties.enableNodePublicIp", public, Some(spec.node_public_ip()), AT_CREATION);
    if let Some(subnet) = spec.subnet() {
        let now = own.subnet.as_ref().and_then(|subnet| subnet.id.as_deref());
        found.word("properties.properties.subnet.id", now, subnet, AT_CREATION);
    }
    if let Some(identity) = &spec.identity {
        own_identity::compare(identity, observed.identity.as_ref(), AT_CREATION, &mut found);
    }
    if let Some(instance) = &spec.instance {
        compare_instance(instance, own, &mut found);
    }
    if let Some(cluster) = &spec.cluster {
        compare_cluster(cluster, own, &mut found);
    }
    found.0
}

fn compare_instance(instance: &ComputeInstance, own: &OwnProperties, found: &mut Comparison) {
    found.word("properties.properties.vmSize", own.vm_size.as_deref(), &instance.vm_size, AT_CREATION);
    let sharing = instance.application_sharing_policy.unwrap_or_default().as_str();
    let now = own.application_sharing_policy.as_deref().unwrap_or("Shared");
    found.word("properties.properties.applicationSharingPolicy", Some(now), sharing, AT_CREATION);
    let ssh = if instance.ssh.is_some() { "Enabled" } else { "Disabled" };
    let now = own.ssh_settings.as_ref().and_then(|ssh| ssh.ssh_public_access.as_deref()).unwrap_or("Disabled");
    found.word("properties.properties.sshSettings.sshPublicAccess", Some(now), ssh, AT_CREATION);
    if let Some(user) = &instance.assigned_user {
        let now = own.personal_compute_instance_settings.as_ref();
        let now = now.and_then(|settings| settings.assigned_user.as_ref()?.object_id.as_deref());
        let field = "properties.properties.personalComputeInstanceSettings.assignedUser.objectId";
        found.word(field, now, &user.object_id, AT_CREATION);
    }
    if let Some(root) = instance.root_access {
        let now = own.enable_root_access.or(Some(true));
        found.switch("properties.properties.enableRootAccess", now, Some(root), AT_CREATION);
    }
    if let Some(idle) = &instance.idle_time_before_shutdown {
        let patch = Mend::Patch(json!({ "idleTimeBeforeShutdown": idle }));
        let now = own.idle_time_before_shutdown.as_deref();
        found.word("properties.properties.idleTimeBeforeShutdown", now, idle, patch);
    }
}

fn compare_cluster(cluster: &ComputeCluster, own: &OwnProperties, found: &mut Comparison) {
    found.word("properties.properties.vmSize", own.vm_size.as_deref(), &cluster.vm_size, AT_CREATION);
    let priority = cluster.vm_priority.unwrap_or_default().as_str();
    let now = own.vm_priority.as_deref().unwrap_or("Dedicated");
    found.word("properties.properties.vmPriority", Some(now), priority, AT_CREATION);
    // `NotSpecified` is closed inside a network and open outside (specification of AmlComputeProperties).
    let now = own.remote_login_port_public_access.as_deref().filter(|now| !now.eq_ignore_ascii_case("NotSpecified"));
    if let Some(now) = now {
        found.word("properties.properties.remoteLoginPortPublicAccess", Some(now), "Disabled", AT_CREATION);
    }
    let scale = own.scale_settings.clone().unwrap_or_default();
    let patch = || Mend::Patch(scale_of(cluster));
    let min = i64::from(cluster.min_nodes.unwrap_or(0));
    found.number(
        "properties.properties.scaleSettings.minNodeCount",
        scale.min_node_count.or(Some(0)),
        Some(min),
        patch(),
    );
    let max = Some(i64::from(cluster.max_nodes));
    found.number("properties.properties.scaleSettings.maxNodeCount", scale.max_node_count, max, patch());
    if let Some(idle) = &cluster.node_idle_time_before_scale_down {
        let now = scale.node_idle_time_before_scale_down.as_deref();
        found.word("properties.properties.scaleSettings.nodeIdleTimeBeforeScaleDown", now, idle, patch());
    }
}

fn scale_of(cluster: &ComputeCluster) -> Value {
    let mut scale = json!({"minNodeCount": cluster.min_nodes.unwrap_or(0), "maxNodeCount": cluster.max_nodes});
    if let Some(idle) = &cluster.node_idle_time_before_scale_down {
        scale["nodeIdleTimeBeforeScaleDown"] = json!(idle);
    }
    scale
}

/// The write that mends what can be changed.
fn update(input: &ComputeInput<'_>, differences: &[Difference]) -> Option<Step> {
    let (field, patch) = differences.iter().find_map(|difference| match &difference.mend {
        Mend::Patch(patch) => Some((&difference.field, patch)),
        _ => None,
    })?;
    let changes: Vec<String> = differences.iter().map(Difference::change).collect();
    let verdict = Verdict::new(Reason::Updating, format!("Azure is changing the compute: {}", changes.join("; ")));
    let step = if field.contains("scaleSettings") {
        // The only thing that a PATCH may change (specification of Compute_Update).
        let body = json!({"properties": {"properties": {"scaleSettings": patch}}});
        Step::patch(input.id, API_VERSION, body, verdict)
    } else {
        let verb = "POST updateIdleShutdownSetting";
        Step::action(input.id, PREVIEW_API_VERSION, verb, Some(patch.clone()), verdict)
    };
    Some(step.needing(Verb::Configure, input.id).changing(differences))
}

/// Starts, stops or restarts an instance, and says how it is.
fn power(input: &ComputeInput<'_>, observed: &Compute, mut status: AmlComputeStatus) -> Decided<AmlComputeStatus> {
    let Some(state) = observed.power().filter(|_| input.spec.instance.is_some()) else {
        return Decided::stopped(status, Verdict::new(Reason::Running, "the cluster scales with its jobs"));
    };
    let name = input.id.name();
    let is = |wanted: PowerState| state.eq_ignore_ascii_case(wanted.as_str());
    let wanted = input.spec.power.as_ref();
    let restart_at = wanted.and_then(|power| power.restart_at.as_ref());
    if status.restarted_at.is_none() {
        status.restarted_at = restart_at.cloned();
    }
    let restarts = restart_at.is_some() && status.restarted_at.as_ref() != restart_at;
    let action = match wanted.map(|power| power.state) {
        Some(PowerState::Running) if is(PowerState::Stopped) => Some(("POST start", "starting")),
        Some(PowerState::Stopped) if is(PowerState::Running) => Some(("POST stop", "stopping")),
        Some(PowerState::Running) if restarts && is(PowerState::Running) => Some(("POST restart", "restarting")),
        _ => None,
    };
    if let Some((verb, words)) = action {
        let verdict = Verdict::new(Reason::Updating, format!("Azure is {words} the instance {name}"));
        let step = Step::action(input.id, API_VERSION, verb, None, verdict).needing(Verb::Configure, input.id);
        return Decided::writing(status, step);
    }
    let verdict = if is(PowerState::Running) {
        Verdict::new(Reason::Running, "the instance runs")
    } else if is(PowerState::Stopped) {
        Verdict::new(Reason::Stopped, "the instance is stopped")
    } else if ["createfailed", "setupfailed", "unusable", "usersetupfailed", "jobfailed"]
        .contains(&state.to_ascii_lowercase().as_str())
    {
        let message = format!("Azure shows the instance as {state}; look at it in the studio, or have it made anew");
        Verdict::new(Reason::AzureRefused, message)
    } else {
        Verdict::new(Reason::Updating, format!("Azure shows the instance as {state}"))
    };
    Decided::stopped(status, verdict)
}

/// A Kubernetes cluster that somebody attached is only reported.
fn attached(input: &ComputeInput<'_>, observed: &Compute, status: AmlComputeStatus) -> Decided<AmlComputeStatus> {
    let type_ = observed.properties.compute_type.as_deref().unwrap_or_default();
    let is = ["Kubernetes", "AKS"].iter().any(|known| known.eq_ignore_ascii_case(type_));
    let wanted = input.spec.kubernetes.as_ref().and_then(|kubernetes| kubernetes.cluster_resource_id.as_deref());
    let shown = observed.properties.resource_id.as_deref().unwrap_or_default();
    let verdict = if !is {
        let message = format!("the compute {} is no attached Kubernetes cluster but {type_}", input.id.name());
        Verdict::new(Reason::Invalid, message)
    } else if let Some(wanted) = wanted.filter(|wanted| !wanted.eq_ignore_ascii_case(shown)) {
        let message = format!("behind the compute is {shown}, and {wanted} is declared; it is only reported");
        Verdict::new(Reason::Differs, message)
    } else if observed.has_failed() {
        Verdict::new(Reason::AzureRefused, format!("Azure shows it as failed: {}", observed.errors().join("; ")))
    } else {
        Verdict::new(Reason::Active, "attached; managed networks do not reach into it")
    };
    Decided::stopped(status, verdict)
}

fn managed(site: &Site<'_>) -> bool {
    let disabled = IsolationMode::Disabled.as_str();
    site.view.workspace.as_ref().is_some_and(|shown| !shown.isolation_mode().eq_ignore_ascii_case(disabled))
}

/// Whether the compute is inside.
fn isolated(input: &ComputeInput<'_>, shown: &Workspace, observed: &Compute) -> ConditionDraft {
    let none = OwnProperties::default();
    let own = observed.properties.properties.as_ref().unwrap_or(&none);
    let draft = |holds: bool, reason: &str, message: &str| ConditionDraft {
        type_: ISOLATED,
        status: ConditionStatus::from(holds),
        reason: reason.to_owned(),
        message: message.to_owned(),
    };
    let older = input.site.predates_network(observed.properties.created_on.as_deref());
    if input.spec.kubernetes.is_some() {
        return draft(false, "AttachedKubernetes", "managed networks do not reach into an attached cluster");
    }
    if managed(input.site) {
        return if older {
            let message = "the compute is older than the workspace's managed network and not in it; make it anew (recreate: Allowed)";
            draft(false, "OlderThanNetwork", message)
        } else if shown.network_active() {
            draft(true, "InManagedNetwork", "in the workspace's managed network")
        } else {
            draft(false, "NetworkNotActive", "the workspace's managed network is not built yet")
        };
    }
    match (own.subnet.as_ref().and_then(|subnet| subnet.id.as_deref()), own.enable_node_public_ip) {
        (Some(subnet), Some(false)) => draft(true, "InSubnet", &format!("in {subnet}, without a public address")),
        (_, Some(false)) => draft(true, "NoPublicAddress", "without a public address"),
        _ => draft(false, "PublicAddress", "the nodes have public addresses"),
    }
}

fn version(spec: &AmlComputeSpec) -> &'static str {
    let root = spec.instance.as_ref().and_then(|instance| instance.root_access);
    if root.is_some() { PREVIEW_API_VERSION } else { API_VERSION }
}

/// The body of the creating PUT.
fn body(input: &ComputeInput<'_>, tags: Value) -> Value {
    let spec = input.spec;
    let mut own = json!({ "enableNodePublicIp": spec.node_public_ip() });
    if let Some(subnet) = spec.subnet() {
        own["subnet"] = json!({ "id": subnet });
    }
    if let Some(instance) = &spec.instance {
        own["vmSize"] = json!(instance.vm_size);
        own["applicationSharingPolicy"] = json!(instance.application_sharing_policy.unwrap_or_default().as_str());
        own["computeInstanceAuthorizationType"] = json!("personal");
        own["sshSettings"] = match &instance.ssh {
            Some(ssh) => json!({"sshPublicAccess": "Enabled", "adminPublicKey": ssh.admin_public_key}),
            None => json!({"sshPublicAccess": "Disabled"}),
        };
        if let Some(user) = &instance.assigned_user {
            let tenant = user.tenant_id.as_deref().unwrap_or_else(|| input.site.fence.tenant());
            own["personalComputeInstanceSettings"] =
                json!({"assignedUser": {"objectId": user.object_id, "tenantId": tenant}});
        }
        if let Some(idle) = &instance.idle_time_before_shutdown {
            own["idleTimeBeforeShutdown"] = json!(idle);
        }
        if let Some(root) = instance.root_access {
            own["enableRootAccess"] = json!(root);
        }
    }
    if let Some(cluster) = &spec.cluster {
        own["vmSize"] = json!(cluster.vm_size);
        own["vmPriority"] = json!(cluster.vm_priority.unwrap_or_default().as_str());
        own["remoteLoginPortPublicAccess"] = json!("Disabled");
        own["scaleSettings"] = scale_of(cluster);
    }
    let location = spec.location.as_ref().unwrap_or(&input.site.workspace.spec.location);
    let mut body = json!({
        "location": location,
        "tags": tags,
        "properties": {
            "computeType": spec.type_(), "computeLocation": location,
            "disableLocalAuth": !spec.local_auth.unwrap_or(false), "properties": own,
        },
    });
    if let Some(description) = &spec.description {
        body["properties"]["description"] = json!(description);
    }
    if let Some(identity) = &spec.identity {
        body["identity"] = own_identity::body(identity);
    }
    body
}

/// The body that takes a compute over as it is: nothing but the tags changes.
fn taken(input: &ComputeInput<'_>, observed: &Compute, tag: &str) -> Value {
    let mut tags = observed.tags.clone().unwrap_or_default();
    tags.retain(|name, _| !name.eq_ignore_ascii_case(OWNER_TAG));
    tags.insert(OWNER_TAG.into(), tag.to_owned());
    body(input, json!(tags))
}

/// Decides what the deletion of the object means for Azure.
pub fn farewell(site_owner: &super::ownership::Owner, id: &ArmId, observed: Option<&Compute>) -> Farewell {
    let Some(observed) = observed else {
        return Farewell::Release("there is no such compute in Azure".into());
    };
    if !observed.tag(OWNER_TAG).is_some_and(|tag| site_owner.is(tag)) {
        return Farewell::Release("Azure keeps the compute: it does not carry this object's owner tag".into());
    }
    let verdict = Verdict::new(Reason::Deleting, format!("Azure is deleting the compute {}", id.name()));
    if observed.is_moving() {
        return Farewell::Wait(verdict);
    }
    Farewell::Remove(vec![Step::delete(id, API_VERSION, verdict).with_query(UNDERLYING)])
}

#[cfg(test)]
mod tests;
