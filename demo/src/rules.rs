//! What happens to the rules once all stands: somebody deletes one in the portal, and the team brings fifty more at once.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::goals::{Goal, active, goal};
use crate::narrator::{Narrator, Voice};
use crate::objects::{Key, Look, condition, list, text};
use crate::stage::Stage;

/// How many rules come at once.
const MANY: usize = 50;
/// The rule that is deleted in the portal.
const LOST: &str = "pytorch";
/// How long what was shown before stands: somebody has to read it first.
const READING: Duration = Duration::from_secs(2);

/// What was seen of the rules.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rules {
    /// The rule that was deleted in the portal.
    pub(crate) lost: Option<Key>,
    /// The last request to ARM before the workspace was let go on with the many, once it was.
    pub(crate) released: Option<u64>,
    /// The writes to ARM about the many, by method.
    pub(crate) writes: Vec<String>,
}

/// What comes next.
#[derive(Debug, Default)]
enum Step {
    /// Everything before has to be shown first.
    #[default]
    Waits,
    Lose(Instant),
    Regain,
    Apply,
    Release,
    Watch,
    Shown,
}

/// Plays the portal and the team.
#[derive(Debug, Default)]
pub(crate) struct Team {
    step: Step,
}

impl Team {
    /// Does what is its turn, and tells it; nothing before all else `is_shown`.
    ///
    /// # Errors
    /// If kubectl or the simulated Azure does not answer, or nobody listens any more.
    pub(crate) async fn act(
        &mut self,
        out: &Narrator,
        stage: &Stage,
        look: &Look,
        is_shown: bool,
        rules: &mut Rules,
    ) -> Result<()> {
        let next = match &self.step {
            Step::Waits if is_shown => Some(Step::Lose(Instant::now())),
            Step::Lose(since) if since.elapsed() > READING => lose(out, stage, look, rules).await?,
            Step::Regain if rules.lost.as_ref().is_some_and(|key| regained(look, key).is_ok()) => {
                suspend(out, stage, true).await?;
                Some(Step::Apply)
            }
            Step::Apply if workspace_says(look, "Suspended") => {
                apply(out, stage).await?;
                Some(Step::Release)
            }
            Step::Release if many(look).filter(|(_, rule)| says(rule, "Suspended")).count() == MANY => {
                rules.released = Some(stage.azure().last().await?);
                suspend(out, stage, false).await?;
                Some(Step::Watch)
            }
            Step::Watch => {
                rules.writes = writes(stage, look, rules.released.unwrap_or_default()).await?;
                // The simulator does not remember its requests for ever.
                let active = many(look).filter(|(_, rule)| says(rule, "Active")).count();
                (active == MANY && !rules.writes.is_empty()).then_some(Step::Shown)
            }
            _ => None,
        };
        if let Some(next) = next {
            self.step = next;
        }
        Ok(())
    }
}

fn says(object: &Value, reason: &str) -> bool {
    condition(object, "Ready").is_some_and(|ready| ready.reason == reason)
}

fn workspace_says(look: &Look, reason: &str) -> bool {
    look.of("AmlWorkspace").any(|(_, workspace)| says(workspace, reason))
}

/// The rules that came at once.
fn many(look: &Look) -> impl Iterator<Item = (&Key, &Value)> {
    look.of("OutboundRule").filter(|(key, _)| key.name.starts_with("mirror-"))
}

/// Somebody deletes a rule past the operator.
async fn lose(out: &Narrator, stage: &Stage, look: &Look, rules: &mut Rules) -> Result<Option<Step>> {
    let found = look.of("OutboundRule").find(|(key, _)| key.name == LOST);
    let (key, rule) = found.with_context(|| format!("there is no OutboundRule {LOST} any more"))?;
    let (_, workspace) = look.of("AmlWorkspace").next().context("there is no AmlWorkspace any more")?;
    let path = format!("{}/outboundRules/{}", text(workspace, "/status/resourceId"), text(rule, "/status/azureName"));
    out.line(Voice::Demo, &format!("somebody deletes {key} in Azure's portal"))?;
    let (_, connection) = look.of("AzureConnection").next().context("there is no AzureConnection any more")?;
    stage.azure().delete_as_somebody(&path, text(connection, "/spec/tenantId")).await?;
    rules.lost = Some(key.clone());
    Ok(Some(Step::Regain))
}

/// What is to be shown of the rules.
pub(crate) fn judge(look: &Look, azure: &Value, rules: &Rules) -> Vec<Goal> {
    vec![
        goal("a rule deleted in the portal came back, and says when it was missing", came_back(look, azure, rules)),
        goal(&format!("{MANY} rules applied at once were one write, and all are active"), at_once(look, azure, rules)),
    ]
}

fn came_back(look: &Look, azure: &Value, rules: &Rules) -> Result<(), String> {
    let key = rules.lost.as_ref().ok_or_else(|| "nothing has been deleted yet".to_owned())?;
    regained(look, key).and_then(|rule| active(look, azure, key, rule))
}

fn at_once(look: &Look, azure: &Value, rules: &Rules) -> Result<(), String> {
    let there = many(look).count();
    if there != MANY {
        return Err(format!("{there} of {MANY} rules are there"));
    }
    many(look).try_for_each(|(key, rule)| active(look, azure, key, rule))?;
    match rules.writes.as_slice() {
        [write] if write == "PATCH" => Ok(()),
        writes => Err(format!("they took {} writes: {}", writes.len(), writes.join(", "))),
    }
}

/// The rule `key`, if it is back and says when it was gone.
fn regained<'a>(look: &'a Look, key: &Key) -> Result<&'a Value, String> {
    let rule = look.of("OutboundRule").find(|(known, _)| *known == key).map(|(_, rule)| rule);
    let rule = rule.ok_or_else(|| format!("{key} is gone"))?;
    let told = |drift: &&Value| text(drift, "/found") == "missing" && !text(drift, "/at").is_empty();
    if !list(rule, "/status/drift").iter().any(|drift| told(&drift)) {
        return Err(format!("{key}: status.drift does not say that it was missing"));
    }
    if says(rule, "Active") { Ok(rule) } else { Err(format!("{key} is not active again")) }
}

/// The workspace's team has the operator wait, or go on.
async fn suspend(out: &Narrator, stage: &Stage, suspend: bool) -> Result<()> {
    let why = if suspend {
        format!(
            "the team has {MANY} more rules; the workspace is suspended meanwhile, so that all are known when it goes on"
        )
    } else {
        "the workspace goes on".to_owned()
    };
    out.line(Voice::Demo, &why)?;
    let patch = json!({ "spec": { "suspend": suspend } }).to_string();
    let args = ["patch", "amlws", "fraud", "--namespace", "team-fraud", "--type", "merge", "--patch", &patch];
    out.verbatim(&format!("$ kubectl patch amlws fraud --namespace team-fraud --type merge --patch '{patch}'"))?;
    stage.cluster().kubectl(&args).await?;
    Ok(())
}

/// The many rules, in one go.
async fn apply(out: &Narrator, stage: &Stage) -> Result<()> {
    out.line(Voice::Demo, &format!("kubectl apply: {MANY} OutboundRules, mirror-01.pytorch.org and so on"))?;
    let rules: Vec<Value> = (1..=MANY)
        .map(|number| {
            json!({
                "apiVersion": "aml-operator.io/v1alpha1", "kind": "OutboundRule",
                "metadata": {"name": format!("mirror-{number:02}"), "namespace": "team-fraud"},
                "spec": {"workspaceRef": {"name": "fraud"}, "fqdn": format!("mirror-{number:02}.pytorch.org")},
            })
        })
        .collect();
    let list = json!({"apiVersion": "v1", "kind": "List", "items": rules}).to_string();
    stage.cluster().kubectl_with_input(&["apply", "--server-side", "-f", "-"], &list).await?;
    Ok(())
}

/// The writes to ARM since request `since` that are about the many rules.
async fn writes(stage: &Stage, look: &Look, since: u64) -> Result<Vec<String>> {
    let names: Vec<&str> = many(look).map(|(_, rule)| text(rule, "/status/azureName")).collect();
    let requests = stage.azure().requests(since).await?;
    let about = |request: &&Value| {
        let (path, body) = (text(request, "/path"), request["body"].to_string());
        text(request, "/method") != "GET" && names.iter().any(|name| path.ends_with(name) || body.contains(name))
    };
    Ok(requests.iter().filter(about).map(|request| text(request, "/method").to_owned()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORKSPACE: &str = "/subscriptions/s/workspaces/fraud";

    fn rule(name: &str, drift: &Value) -> Value {
        json!({"kind": "OutboundRule", "metadata": {"namespace": "n", "name": name}, "status": {
            "azureName": format!("{name}-x"), "serviceStatus": "Active", "drift": drift,
            "conditions": [{"type": "Ready", "status": "True", "reason": "Active", "message": ""}]}})
    }

    /// What lacks when the lost rule says `drift`, `there` rules are there, and `writes` were seen.
    fn lacking(drift: &Value, there: usize, writes: &[&str]) -> Vec<String> {
        let names: Vec<String> = (1..=there).map(|number| format!("mirror-{number:02}")).collect();
        let mut items = vec![
            json!({"kind": "AmlWorkspace", "metadata": {"namespace": "n", "name": "fraud"}, "status": {"resourceId": WORKSPACE}}),
            rule(LOST, drift),
        ];
        items.extend(names.iter().map(|name| rule(name, &Value::Null)));
        let shown = |name: &str| json!({"name": format!("{name}-x"), "properties": {"status": "Active"}});
        let shown: Vec<Value> = names.iter().map(|name| shown(name)).chain([shown(LOST)]).collect();
        let rules = Rules {
            lost: Key::new("OutboundRule", "n", LOST),
            released: Some(1),
            writes: writes.iter().map(|write| (*write).to_owned()).collect(),
        };
        let goals =
            judge(&Look::new(&json!({ "items": items })), &json!({"outboundRules": {WORKSPACE: shown}}), &rules);
        goals.into_iter().filter_map(|goal| goal.lacking).collect()
    }

    #[test]
    fn the_rules_are_shown_when_drift_is_told_and_one_write_was_seen() {
        let told = json!([{"field": "properties", "found": "missing", "at": "2026-01-01T00:00:00Z"}]);
        assert_eq!(lacking(&told, MANY, &["PATCH"]), Vec::<String>::new());
        assert!(lacking(&Value::Null, MANY, &["PATCH"])[0].contains("status.drift"));
        for (there, writes) in [(MANY - 1, &["PATCH"][..]), (MANY, &[]), (MANY, &["PUT", "PATCH"])] {
            assert_eq!(lacking(&told, there, writes).len(), 1, "{there} {writes:?}");
        }
        let nothing = judge(&Look::default(), &json!({}), &Rules::default());
        assert!(nothing.iter().all(|goal| goal.lacking.is_some()));
    }
}
