//! What brings one workspace to what is declared: at most one write at a time, and what to say meanwhile.

use serde_json::{Map, Value, json};

use crate::api::OWNER_TAG;
use crate::api::connection::Verb;
use crate::api::ids::ArmId;
use crate::api::workspace::{
    AmlWorkspaceSpec, DefaultAction, IsolationMode, OnSoftDeleted, ProvisionWhen, PublicNetworkAccess,
};
use crate::azure::machine_learning::{OutboundRule, Workspace};

pub use super::difference::Difference;
use super::difference::{Mend, merge};
use super::effective::Effective;
use super::fence::Fence;
use super::outcome::{Reason, Verdict};
use super::ownership::{Claim, Origin, Owner, claim};
use super::resources::declared;

mod check;
mod compare;
mod creation;
mod doors;
pub mod drift;
mod farewell;
mod tags;
mod write;

pub use check::check;
pub use compare::compare;
use creation::creation;
use doors::Doors;
pub use farewell::{Farewell, farewell};
use tags::Tags;
pub use write::{PURGE, Request, Write, is_about_rules, under_way};

/// All the plan looks at.
#[derive(Clone, Copy, Debug)]
pub struct WorkspaceInput<'a> {
    /// Who the object is.
    pub owner: &'a Owner,
    /// Its ARM id.
    pub id: &'a ArmId,
    /// What is declared.
    pub spec: &'a AmlWorkspaceSpec,
    /// The hub of a project.
    pub hub: Option<&'a ArmId>,
    /// What ARM shows; `None` if there is no such workspace.
    pub observed: Option<&'a Workspace>,
    /// The rules that ARM shows.
    pub rules: &'a [OutboundRule],
    /// The names of its computes, if they were asked for and could be listed.
    pub computes: Option<&'a [String]>,
    /// A compute or endpoint waits for the managed network.
    pub wanted: bool,
    /// ARM refused the creation, since it keeps a deleted workspace of that name.
    pub soft_deleted: bool,
    /// What it is made of, as far as the workspace has to wait for it.
    pub resources: Foundation<'a>,
    /// Nothing will be written, so that neither a claim nor a verb is needed.
    pub observes: bool,
    /// The fence.
    pub fence: &'a Fence<'a>,
}

/// How what a workspace is made of stands.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Foundation<'a> {
    /// Why it is not as declared yet. A workspace is neither created nor its network built before, so that it never stores anything in
    /// what is still open, and Azure connects its network to what is closed.
    pub waits: Option<&'a Verdict>,
    /// What of it would be written, in words.
    pub changes: &'a [String],
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
    /// Whether Azure is as declared, if that could be seen.
    pub in_place: Option<bool>,
    /// Those of them that the write mends.
    pub sent: Vec<Difference>,
    /// Whether the rules' turn has come: the workspace is ours, at rest and in place.
    pub rules_may_change: bool,
    /// Whether what it is made of may be written: it is ours, or about to be created.
    pub resources_may_change: bool,
}

impl WorkspacePlan {
    /// Nothing is written, for the reason that `verdict` tells.
    pub fn blocked(verdict: Verdict) -> Self {
        Self {
            write: None,
            verdict,
            differences: Vec::new(),
            in_place: None,
            sent: Vec::new(),
            rules_may_change: false,
            resources_may_change: false,
        }
    }

    /// `write` is the next thing to do.
    pub fn writing(write: Write, differences: Vec<Difference>, sent: Vec<Difference>) -> Self {
        let verdict = write.verdict(&sent);
        Self { write: Some(write), differences, sent, ..Self::blocked(verdict) }
    }

    /// The same, with what a comparison showed.
    fn compared(mut self) -> Self {
        self.in_place = Some(self.differences.is_empty());
        self
    }
}

/// Decides about the workspace itself; its rules come after.
pub fn plan(input: WorkspaceInput<'_>) -> WorkspacePlan {
    match input.observed {
        Some(observed) => existing(input, observed),
        None => absent(input),
    }
}

fn absent(input: WorkspaceInput<'_>) -> WorkspacePlan {
    let WorkspaceInput { owner, id, spec, hub, soft_deleted, observes, fence, .. } = input;
    let granted = |verb| if observes { Ok(()) } else { fence.allows(verb, id) };
    let on_soft_deleted = spec.on_soft_deleted.unwrap_or_default();
    let purges = soft_deleted && on_soft_deleted == OnSoftDeleted::Purge;
    let effective = Effective::of(spec);
    let allowed = granted(Verb::Create).and_then(|()| doors::public(spec, &effective)).and_then(|()| {
        if purges { granted(Verb::Delete).and_then(|()| doors::purge(spec, id.name())) } else { Ok(()) }
    });
    if let Err(verdict) = allowed {
        return WorkspacePlan::blocked(verdict);
    }
    if let Some(waits) = input.resources.waits.filter(|_| !observes) {
        return WorkspacePlan { resources_may_change: true, ..WorkspacePlan::blocked(waits.clone()) };
    }
    let tags = Tags::new(spec, None, true).laid(Some(&owner.tag(Origin::Created)));
    let recovers = soft_deleted && on_soft_deleted == OnSoftDeleted::Recover;
    // With `Stop` the creation is asked for again, late: whoever purges the deleted workspace need not tell anybody.
    let write = if purges {
        Write::Purge
    } else {
        Write::Create(creation(spec, &effective, &declared(spec, id), hub, tags, recovers))
    };
    WorkspacePlan { resources_may_change: true, ..WorkspacePlan::writing(write, Vec::new(), Vec::new()) }
}

fn existing(input: WorkspaceInput<'_>, observed: &Workspace) -> WorkspacePlan {
    let WorkspaceInput { owner, spec, observes, .. } = input;
    let tag = observed.tag(OWNER_TAG);
    let claim =
        if observes { Claim::Ours } else { claim(owner, tag, spec.adoption.unwrap_or_default(), &spec.acknowledge) };
    if let Claim::Refused(verdict) = claim {
        return WorkspacePlan::blocked(verdict);
    }
    let resources_may_change = claim == Claim::Ours;
    if observed.is_moving() {
        let state = observed.properties.provisioning_state.as_deref().unwrap_or_default();
        let verdict = Verdict::new(Reason::Updating, format!("Azure shows the workspace as {state}"));
        return WorkspacePlan { resources_may_change, ..WorkspacePlan::blocked(verdict) };
    }
    judge(input, observed, claim).compared()
}

/// Decides about a workspace that is at rest and may be ours.
fn judge(input: WorkspaceInput<'_>, observed: &Workspace, claim: Claim) -> WorkspacePlan {
    let WorkspaceInput { owner, id, spec, hub, rules, computes, observes, fence, .. } = input;
    let resources_may_change = claim == Claim::Ours;
    let tag = observed.tag(OWNER_TAG);
    let ours = tag.is_some_and(|tag| owner.is(tag));
    let effective = Effective::of(spec);
    let mut differences = compare(spec, &effective, &declared(spec, id), hub, observed, ours);
    let fixed = differences.iter().find_map(|difference| match &difference.mend {
        Mend::Never(why) => Some((difference, why)),
        _ => None,
    });
    if let Some((fixed, why)) = fixed {
        let verdict = Verdict::new(
            Reason::NotChangeable,
            format!(
                "{} is {} in Azure and cannot be changed to {}: {why}. Declare it as it is, or create another workspace",
                fixed.field,
                fixed.found(),
                fixed.wanted()
            ),
        );
        return WorkspacePlan { differences, ..WorkspacePlan::blocked(verdict) };
    }
    let doors = Doors { spec, effective: &effective, observed, rules, computes };
    let builds = provision(&effective, observed, input.wanted);
    let taken = match claim {
        Claim::TakeIfMatching(_)
            if !differences.is_empty() || builds.is_some() || !input.resources.changes.is_empty() =>
        {
            let verdict = not_matching(&differences, input.resources.changes, builds.is_some());
            return WorkspacePlan { differences, ..WorkspacePlan::blocked(verdict) };
        }
        Claim::Take(tag) | Claim::TakeIfMatching(tag) => Some(tag),
        Claim::Ours | Claim::Refused(_) => None,
    };
    if let Some(wanted) = &taken {
        differences.push(Difference {
            field: format!("tags.{OWNER_TAG}").into(),
            found: tag.map(ToOwned::to_owned),
            wanted: Some(wanted.clone()),
            mend: Mend::Tags,
        });
    }
    // A closed door holds up its own change only: what was opened by hand elsewhere is closed all the same.
    let closed = differences.iter().find_map(|difference| doors.of(difference).err());
    let sent: Vec<Difference> = differences.iter().filter(|difference| doors.of(difference).is_ok()).cloned().collect();
    let laid = || Tags::new(spec, observed.tags.as_ref(), ours).laid(taken.as_deref().or(tag));
    let write = if !sent.is_empty() {
        Some(Write::Update(update(&sent, rules, laid)))
    } else if let Some(verdict) = closed {
        return WorkspacePlan { differences, resources_may_change, ..WorkspacePlan::blocked(verdict) };
    } else if observed.has_failed() {
        Some(mend(input, &effective, observed, laid()))
    } else if builds.is_some() {
        let waits = input.resources.waits.filter(|_| !observes);
        if let Err(verdict) = doors.building().and_then(|()| waits.map_or(Ok(()), |waits| Err(waits.clone()))) {
            return WorkspacePlan { differences, resources_may_change, ..WorkspacePlan::blocked(verdict) };
        }
        builds
    } else {
        None
    };
    if let Some(write) = write {
        if let Some(verdict) = fence.allows(Verb::Configure, id).err().filter(|_| !observes) {
            return WorkspacePlan { differences, resources_may_change, ..WorkspacePlan::blocked(verdict) };
        }
        return WorkspacePlan { resources_may_change, ..WorkspacePlan::writing(write, differences, sent) };
    }
    let verdict = secured(spec, &effective);
    WorkspacePlan { rules_may_change: true, resources_may_change, differences, ..WorkspacePlan::blocked(verdict) }
}

/// What is said of a workspace that is as declared.
pub fn secured(spec: &AmlWorkspaceSpec, effective: &Effective) -> Verdict {
    let some = spec.network_acls.as_ref().is_some_and(|acls| acls.default_action == DefaultAction::Deny);
    let public = match effective.public_network_access {
        PublicNetworkAccess::Disabled => "off",
        PublicNetworkAccess::Enabled if some => "ON for selected addresses",
        PublicNetworkAccess::Enabled => "ON",
    };
    let isolation = match &effective.network {
        Some(network) => format!("isolation mode {}", network.isolation_mode.as_str()),
        None => "in its hub's network".to_owned(),
    };
    Verdict::new(Reason::Secured, format!("{isolation}, public network access {public}"))
}

fn not_matching(differences: &[Difference], changes: &[String], builds: bool) -> Verdict {
    let mut listed: Vec<String> =
        differences.iter().map(|d| format!("{} is {}, declared {}", d.field, d.found(), d.wanted())).collect();
    listed.extend(changes.iter().cloned());
    if builds {
        listed.push("the managed network would be built".to_owned());
    }
    Verdict::new(
        Reason::AdoptionRefused,
        format!(
            "adoption: IfMatching takes over only what is as declared, but {}. Change the declaration, or set adoption: Always to have \
             Azure changed",
            listed.join("; ")
        ),
    )
}

/// The body of a PATCH that mends what is `sent`.
fn update(sent: &[Difference], rules: &[OutboundRule], laid: impl Fn() -> Map<String, Value>) -> Value {
    let mut update = json!({});
    for difference in sent {
        match &difference.mend {
            Mend::Patch(patch) => merge(&mut update, patch),
            Mend::Tags => update["tags"] = Value::Object(laid()),
            Mend::Whole | Mend::Recreate(_) | Mend::Never(_) => {}
        }
    }
    if let Some(network) = update.pointer_mut("/properties/managedNetwork").and_then(Value::as_object_mut)
        && network.get("isolationMode") != Some(&json!(IsolationMode::Disabled.as_str()))
    {
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
    update
}

/// The write that brings a workspace whose last change failed, but that is as declared, back to life.
fn mend(input: WorkspaceInput<'_>, effective: &Effective, observed: &Workspace, tags: Map<String, Value>) -> Write {
    if observed.properties.workspace_id.is_none() {
        // It never came to be: the creating PUT again is the documented way to mend it.
        Write::Create(creation(input.spec, effective, &declared(input.spec, input.id), input.hub, tags, false))
    } else {
        // A PUT would take away what is not declared, such as its rules. A change that changes nothing makes Azure try anew.
        Write::Update(json!({ "tags": tags }))
    }
}

/// What builds the network, or the part of it that is missing.
fn provision(effective: &Effective, observed: &Workspace, wanted: bool) -> Option<Write> {
    let provision = effective.provision().filter(|_| effective.isolation_mode() != IsolationMode::Disabled)?;
    let active = observed.network_active();
    let missing = !active || (provision.include_spark && !observed.spark_ready());
    let builds = match provision.when {
        ProvisionWhen::Immediately => missing,
        // A compute that no object declares builds the network by itself, but not what Spark needs.
        ProvisionWhen::OnFirstCompute => missing && (active || wanted),
        ProvisionWhen::Never => false,
    };
    // The body is always sent: without one the service answers "Request body could not be read".
    builds.then(|| Write::Provision(json!({ "includeSpark": provision.include_spark })))
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
