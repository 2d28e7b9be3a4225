//! The last chapter: a team applies `examples/private-workspace`, and everything in it is private from end to end.

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::goals::{Goal, goal, ready};
use crate::narrator::{Narrator, Voice};
use crate::objects::{Look, list, text};
use crate::stage::Stage;

/// The example.
const EXAMPLE: &str = "private-workspace";
/// The namespace in which the team works.
const TEAM: &str = "team-payments";
/// What of a storage account a workspace uses.
const USED: [&str; 2] = [".blob.", ".file."];
/// Between two looks at all names: each asks for many.
const AGAIN: Duration = Duration::from_secs(2);

/// What was seen of the private workspace.
#[derive(Clone, Debug, Default)]
pub(crate) struct Private {
    /// How many resources Azure held before.
    before: Option<usize>,
    /// How many the example has made, once it is in place.
    made: Option<usize>,
    /// Why not every name leads to a private address, or something answers from outside; `None` until looked at.
    names: Option<Result<usize, String>>,
}

/// Plays the team.
#[derive(Debug, Default)]
pub(crate) struct Owner {
    looked: Option<std::time::Instant>,
}

impl Owner {
    /// Applies the example once all before `is_shown`, and looks from both networks and from outside when it is in place.
    ///
    /// # Errors
    /// If kubectl or the simulated Azure does not answer, or nobody listens any more.
    pub(crate) async fn act(
        &mut self,
        out: &Narrator,
        stage: &Stage,
        look: &Look,
        is_shown: bool,
        private: &mut Private,
    ) -> Result<()> {
        if private.before.is_none() {
            if is_shown {
                // What the example takes for granted is there before anybody counts.
                stage.seed(EXAMPLE).await?;
                private.before = Some(count(&stage.azure().state().await?));
                stage.apply(out, EXAMPLE).await?;
            }
            return Ok(());
        }
        let waits = self.looked.is_some_and(|at| at.elapsed() < AGAIN);
        if waits || matches!(private.names, Some(Ok(_))) || in_place(look).is_err() {
            return Ok(());
        }
        self.looked = Some(std::time::Instant::now());
        let names = names(stage, look).await?;
        if let Ok(count) = &names {
            let networks = networks(look).count();
            out.line(
                Voice::Demo,
                &format!("{count} host names, asked for in {networks} networks: each leads to a private address there"),
            )?;
            out.more("and from outside nothing of it answers")?;
            let made = self::count(&stage.azure().state().await?).saturating_sub(private.before.unwrap_or_default());
            private.made = Some(made);
        }
        private.names = Some(names);
        Ok(())
    }
}

/// How many resources Azure holds, records of zones aside.
fn count(azure: &Value) -> usize {
    let is_record = |id: &&String| ["a", "soa"].map(Some).contains(&id.to_lowercase().rsplit('/').nth(1));
    azure["resources"].as_object().map(|all| all.keys().filter(|id| !is_record(id)).count()).unwrap_or_default()
}

/// The subnets that the team has attached.
fn networks(look: &Look) -> impl Iterator<Item = &str> {
    look.of("VnetAttachment")
        .filter(|(key, _)| key.namespace == TEAM)
        .map(|(_, object)| text(object, "/spec/subnet/resourceId"))
}

/// Whether the workspace and its networks are as declared.
fn in_place(look: &Look) -> Result<(), String> {
    let mut found = 0;
    for kind in ["AmlWorkspace", "VnetAttachment"] {
        for (key, object) in look.of(kind).filter(|(key, _)| key.namespace == TEAM) {
            ready(key, object)?;
            found += 1;
        }
    }
    if found < 3 { Err(format!("{found} objects of {TEAM} are there")) } else { Ok(()) }
}

/// How many names lead to private addresses from every network and nowhere from outside, or what is wrong.
async fn names(stage: &Stage, look: &Look) -> Result<Result<usize, String>> {
    let workspace = look.of("AmlWorkspace").find(|(key, _)| key.namespace == TEAM);
    let (_, workspace) = workspace.context("the team's AmlWorkspace is gone")?;
    let parts = list(workspace, "/status/associatedResources").iter().map(|part| text(part, "/resourceId"));
    let mut count = 0;
    for part in parts.chain([text(workspace, "/status/resourceId")]) {
        for network in networks(look).chain(["internet"]) {
            for met in stage.azure().reach_all(network, part).await? {
                let name = text(&met, "/name");
                if part.contains("Microsoft.Storage") && !USED.iter().any(|used| name.contains(used)) {
                    continue;
                }
                let outside = network == "internet";
                let reachable = met["reachable"] == true;
                if reachable == outside || !outside && met["way"] != "PrivateEndpoint" {
                    return Ok(Err(format!("{name} from {network}: {met}")));
                }
                count += usize::from(outside);
            }
        }
    }
    Ok(Ok(count))
}

/// What is to be shown of it.
pub(crate) fn judge(look: &Look, private: &Private) -> Vec<Goal> {
    let title = match private.made {
        Some(made) => format!(
            "a team's 37 lines have become {made} Azure resources: a private workspace and the two networks that use it"
        ),
        None => "a team's 37 lines become a private workspace and the two networks that use it".to_owned(),
    };
    let names = match &private.names {
        None => Err("nobody has looked yet".to_owned()),
        Some(names) => names.clone().map(|_| ()),
    };
    vec![
        goal(&title, in_place(look)),
        goal("every host name of it leads to a private address from both, and nothing answers from outside", names),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn object(kind: &str, name: &str, ready: &str) -> Value {
        json!({"kind": kind, "metadata": {"namespace": TEAM, "name": name}, "status": {"conditions": [
            {"type": "Ready", "status": ready, "reason": "R", "message": "m"}]}})
    }

    #[test]
    fn it_is_shown_when_all_three_are_ready_and_every_name_was_tried() {
        let look = |last: &str| {
            Look::new(&json!({"items": [object("AmlWorkspace", "a", "True"), object("VnetAttachment", "b", "True"),
                object("VnetAttachment", "c", last)]}))
        };
        let lacking = |look: &Look, names: Option<Result<usize, String>>| {
            let private = Private { before: Some(1), made: Some(2), names };
            judge(look, &private).into_iter().filter(|goal| goal.lacking.is_some()).count()
        };
        assert_eq!(lacking(&look("True"), Some(Ok(9))), 0);
        assert_eq!(lacking(&look("False"), Some(Ok(9))), 1);
        assert_eq!(lacking(&look("True"), Some(Err("open".into()))), 1);
        assert_eq!(lacking(&Look::default(), None), 2);
    }

    #[test]
    fn the_title_counts_the_teams_lines() {
        let team = include_str!("../../examples/private-workspace/30-team.yaml");
        let title = judge(&Look::default(), &Private::default()).remove(0).title;
        assert!(title.contains(&format!("{} lines", team.lines().count())), "{title}");
    }
}
