//! How a declared rule stands, and what it needs.

use serde_json::Value;

use crate::api::common::{Adoption, Drift};
use crate::api::condition::rfc3339;
use crate::api::ids::ArmId;
use crate::azure::error::ErrorClass;
use crate::plan::admission::forbidden;
use crate::plan::names;
use crate::plan::outcome::{Reason, Verdict};
use crate::plan::roles::{RoleCheck, missing_approver};
use crate::plan::rule_body::{Difference, RuleBody};

use super::destinations::Destinations;
use super::shown::ShownRule;
use super::{Changes, Declared, RuleState, RulesInput, Scene, Standing, elapsed, refusal, remove};

/// What a wanted rule needs.
enum Need {
    Nothing,
    Batch(Value),
    Alone(Value),
}

/// Decides how a declared rule stands. `first` is whether no older object declares a rule of that name.
pub(super) fn stand(
    scene: &Scene<'_>,
    destinations: &Destinations<'_>,
    declared: &Declared,
    first: bool,
    changes: &mut Changes,
) -> RuleState {
    let input = scene.input;
    let name = &declared.azure_name;
    let named = scene.shown.get(name);
    let present = named.filter(|shown| shown.rule.is_user_defined());
    let mut state = RuleState {
        verdict: Verdict::new(Reason::Pending, ""),
        azure_name: name.clone(),
        service_status: present.and_then(|shown| shown.rule.status()).map(ToOwned::to_owned),
        missing_role: None,
        drift: Vec::new(),
        gone: false,
    };
    match &declared.standing {
        Standing::Removing(_) if !declared.entitled && declared.claim.is_some() => {
            state.verdict = Verdict::new(Reason::Deleting, "Azure keeps the rule: it never was this object's");
            state.gone = true;
        }
        standing if !first => {
            state.verdict = Verdict::new(
                Reason::ManagedElsewhere,
                format!("an older OutboundRule declares the rule {name} of this workspace; delete one of the two"),
            );
            state.gone = matches!(standing, Standing::Removing(_));
        }
        Standing::Frozen(verdict) => state.verdict = verdict.clone(),
        Standing::Observed(body) => state.verdict = watch(body, present),
        Standing::Removing(body) => match present.filter(|shown| took_over(declared, body.as_ref(), shown)) {
            Some(shown) => {
                let cause = "its object is being deleted";
                state.verdict = remove(input, shown.rule, declared.token.as_deref(), cause, changes);
            }
            None => {
                state.verdict = Verdict::new(Reason::Deleting, "nothing of the rule is left to remove from Azure");
                state.gone = true;
            }
        },
        Standing::Wanted(_) if named.is_some() && present.is_none() => {
            state.verdict = Verdict::new(
                Reason::AdoptionRefused,
                format!("{name} is a rule that Azure made for the workspace itself; choose another azureName"),
            );
        }
        Standing::Wanted(body) => {
            changes.causes.insert(name.clone(), cause(body, present));
            match judge(scene, destinations, declared, body, present, &mut state) {
                Need::Nothing => {}
                Need::Batch(properties) => drop(changes.batch.insert(name.clone(), properties)),
                Need::Alone(properties) => drop(changes.alone.insert(name.clone(), Some(properties))),
            }
        }
    }
    state
}

/// Whether `rule` is the object's to delete. Rules carry no tag, so one under an explicit name that was to be taken over only if
/// it matches counts as taken over only if it does.
fn took_over(declared: &Declared, body: Option<&RuleBody>, shown: &ShownRule<'_>) -> bool {
    match declared.claim {
        None | Some(Adoption::Always) => true,
        Some(Adoption::IfMatching) => {
            body.zip(shown.body.as_ref()).is_some_and(|(declared, shown)| declared.same(shown))
        }
        Some(Adoption::Never) => false,
    }
}

/// What is said of a rule that is only watched.
fn watch(body: &RuleBody, present: Option<&ShownRule<'_>>) -> Verdict {
    match present.map(|shown| shown.body.as_ref()) {
        Some(Some(shown)) if body.same(shown) => Verdict::new(Reason::Matches, "Azure is as declared"),
        Some(shown) => {
            let found = shown.map_or_else(|| "a rule of another type".into(), RuleBody::short);
            Verdict::new(Reason::Differs, format!("Azure shows {found} instead; with Observe it stays so"))
        }
        None => Verdict::new(Reason::Differs, "Azure has no such rule; with Observe it stays so"),
    }
}

/// Why a wanted rule would be written.
fn cause(body: &RuleBody, present: Option<&ShownRule<'_>>) -> String {
    let Some(shown) = present else { return "Azure has no such rule".into() };
    let differences = body.differences(shown.body.as_ref());
    if differences.is_empty() {
        return format!("Azure shows it as {}", shown.rule.status().unwrap_or("unknown"));
    }
    let told = |difference: &Difference| {
        format!("{} is {} in Azure and shall be {}", difference.field, difference.found, difference.wanted)
    };
    differences.iter().map(told).collect::<Vec<_>>().join("; ")
}

/// What has changed since the rule was seen in place, if the object still says the same: then it was not the object.
pub(super) fn drift(scene: &Scene<'_>, declared: &Declared) -> Vec<Drift> {
    let (Standing::Wanted(body) | Standing::Observed(body)) = &declared.standing else { return Vec::new() };
    let hash = names::body_hash(Some(&body.to_body()));
    if scene.input.memory.seen.get(&declared.azure_name) != Some(&hash) {
        return Vec::new();
    }
    let shown = scene.shown.get(&declared.azure_name).and_then(|shown| shown.body.as_ref());
    let cut = |text: String| text.chars().take(256).collect::<String>();
    let noticed = |difference: Difference| Drift {
        field: difference.field.to_owned(),
        found: cut(difference.found),
        wanted: Some(cut(difference.wanted)),
        at: rfc3339(scene.input.now),
    };
    body.differences(shown).into_iter().map(noticed).collect()
}

/// Decides what a wanted rule needs and what is said of it.
fn judge(
    scene: &Scene<'_>,
    destinations: &Destinations<'_>,
    declared: &Declared,
    body: &RuleBody,
    present: Option<&ShownRule<'_>>,
    state: &mut RuleState,
) -> Need {
    let input = scene.input;
    if let Some(verdict) = forbidden(body, input.isolation) {
        state.verdict = verdict;
        return Need::Nothing;
    }
    let same = present.and_then(|shown| shown.body.as_ref()).is_some_and(|shown| body.same(shown));
    if present.is_some() && !same && matches!(declared.claim, Some(Adoption::Never | Adoption::IfMatching)) {
        state.verdict = Verdict::new(
            Reason::AdoptionRefused,
            format!(
                "a rule named {} exists and is not as declared. To change it, set adoption: Always; to leave it, choose \
                 another azureName",
                declared.azure_name
            ),
        );
        return Need::Nothing;
    }
    let role = match body {
        RuleBody::PrivateEndpoint { resource_id, .. } => {
            input.roles.get(&resource_id.to_ascii_lowercase()).copied().unwrap_or(RoleCheck::Unknown)
        }
        _ => RoleCheck::Held,
    };
    let properties = body.to_body();
    let hash = names::body_hash(Some(&properties));
    if same {
        return in_place(input, declared, body, present, role, properties, state);
    }
    if let Some(verdict) = destinations.taken(scene, declared, body) {
        state.verdict = verdict;
        return Need::Nothing;
    }
    if let (RuleBody::Fqdn { .. }, Some(sku)) = (body, input.firewall_closed)
        && !scene.shown.has_fqdn()
    {
        state.verdict = Verdict::new(
            Reason::AcknowledgementRequiredElsewhere,
            format!(
                "the first FQDN rule starts an Azure Firewall ({sku}), which costs by the hour. The workspace's owner can \
                 allow it: acknowledge {{door: AzureFirewall, value: {sku}}} on the AmlWorkspace"
            ),
        );
        return Need::Nothing;
    }
    if let Some(refusal) = refusal(input, &declared.azure_name, &hash, declared.token.as_deref()) {
        let missing_role = refusal.error.class == ErrorClass::ApproverRoleMissing;
        if missing_role {
            say_missing_role(input, body, state);
        } else {
            state.verdict = Verdict::of_error("ARM refused the rule", &refusal.error);
        }
        // An assignment takes effect some minutes after it shows, and may not suffice: sooner than else, but not at once.
        let held = missing_role && role == RoleCheck::Held;
        let wait = if held { input.retry / 5 } else { input.retry };
        let due = elapsed(refusal.at, input.now) >= wait;
        return if due { Need::Alone(properties) } else { Need::Nothing };
    }
    if role == RoleCheck::Missing {
        // Tried once all the same, by itself: ARM's own answer counts, and it may make a connection that a person can approve.
        say_missing_role(input, body, state);
        return Need::Alone(properties);
    }
    // Refused before and nothing about it has changed but the identity or the retry token: not at the others' risk.
    if input.memory.refusals.get(&declared.azure_name).is_some_and(|refusal| refusal.body_hash == hash) {
        return Need::Alone(properties);
    }
    Need::Batch(properties)
}

/// What is said of a rule that ARM shows as declared, and whether it has to be written once more.
fn in_place(
    input: RulesInput<'_>,
    declared: &Declared,
    body: &RuleBody,
    present: Option<&ShownRule<'_>>,
    role: RoleCheck,
    properties: Value,
    state: &mut RuleState,
) -> Need {
    let Some(rule) = present.map(|shown| shown.rule) else { return Need::Nothing };
    if rule.is_active() {
        let spark = if rule.spark_is_behind() { "; from Spark not yet: Azure shows sparkStatus Inactive" } else { "" };
        state.verdict = Verdict::new(Reason::Active, format!("{} is reachable{spark}", body.short()));
        return Need::Nothing;
    }
    let failed = rule.status().is_some_and(|status| status.eq_ignore_ascii_case("Failed"));
    if !input.network_active && !failed {
        state.verdict =
            Verdict::new(Reason::Defined, "defined in Azure; it becomes active when the managed network is built");
        return Need::Nothing;
    }
    if rule.status().is_some_and(|status| ["provisioning", "deleting"].contains(&status.to_ascii_lowercase().as_str()))
    {
        state.verdict = Verdict::new(Reason::Updating, "Azure is putting the rule into force");
        return Need::Nothing;
    }
    let why = rule.error_information().unwrap_or("no reason was given");
    if role == RoleCheck::Missing {
        say_missing_role(input, body, state);
    } else {
        state.verdict = Verdict::new(
            Reason::AzureRefused,
            format!(
                "Azure shows the rule as {}{}: {why}. If it is a private endpoint, its connection may wait for approval on the \
                 target; it is written again now and then",
                rule.status().unwrap_or("unknown"),
                if input.network_active { " although the network is active" } else { "" }
            ),
        );
    }
    let last = input.memory.nudged.get(&declared.azure_name);
    let due = last.is_none_or(|at| elapsed(*at, input.now) >= input.retry);
    // Writing it again makes AML approve its own connection once the role is there; without it, it would change nothing.
    if due && role != RoleCheck::Missing { Need::Alone(properties) } else { Need::Nothing }
}

fn say_missing_role(input: RulesInput<'_>, body: &RuleBody, state: &mut RuleState) {
    let RuleBody::PrivateEndpoint { resource_id, .. } = body else { return };
    let Ok(target) = ArmId::parse(resource_id) else { return };
    let missing = missing_approver(input.principal.unwrap_or("<principal of the workspace>"), &target);
    state.verdict = Verdict::new(
        Reason::ApproverRoleMissing,
        format!(
            "the workspace's identity {} may not approve its private endpoint on {}. Somebody who may assign roles there can \
             run: {}",
            missing.principal_id, missing.scope, missing.command
        ),
    );
    state.missing_role = Some(missing);
}
