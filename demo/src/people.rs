//! The people of `50-people.yaml`: alice, who may decide on what the policy holds, and bob, who may not. They write
//! `ApprovalDecision`s as anybody would, and the cluster answers each of them by their own rights.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use control_plane::{ControlPlane, Error};
use serde_json::Value;

use crate::goals::HELD_ENDPOINT;
use crate::narrator::{Narrator, Voice};
use crate::objects::{Key, Look, list, text};

/// May decide.
pub(crate) const ALICE: &str = "alice@contoso.com";
/// May edit policies, and not decide.
pub(crate) const BOB: &str = "bob@contoso.com";
/// How long the held connection stands before anybody decides: somebody has to read it first. It is also longer than the
/// operator lets the admission policy settle at the demo's pace, before which no decision counts.
const READING: Duration = Duration::from_secs(4);
/// How long the API server may take to ask a new admission policy. It takes a second.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often that is looked for.
const POLL: Duration = Duration::from_millis(200);

/// What the cluster answered to somebody who decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The decision is there.
    Taken,
    /// It was refused, with these words.
    Refused(String),
}

/// What was seen of the people's decisions.
#[derive(Clone, Debug, Default)]
pub(crate) struct Decided {
    /// The policy held the connection for a person, before anybody had decided.
    pub(crate) held: bool,
    /// What bob was told who decided in alice's name.
    pub(crate) in_anothers_name: Option<Answer>,
    /// What bob was told who decided in his own.
    pub(crate) without_the_right: Option<Answer>,
    /// What alice was told, who may.
    pub(crate) by_right: Option<Answer>,
}

/// Plays them.
#[derive(Debug, Default)]
pub(crate) struct People {
    /// When the held connection was first seen.
    held_at: Option<Instant>,
}

impl People {
    /// Lets them do what is their turn, and tells it.
    ///
    /// # Errors
    /// If kubectl cannot be run, or nobody listens any more.
    pub(crate) async fn act(
        &mut self,
        out: &Narrator,
        cluster: &ControlPlane,
        look: &Look,
        decided: &mut Decided,
    ) -> Result<()> {
        let Some((policy, connection)) = held(look) else { return Ok(()) };
        let Some(held_at) = self.held_at else {
            self.held_at = Some(Instant::now());
            decided.held = true;
            out.line(Voice::Demo, &format!("{policy} holds a connection for a person:"))?;
            let columns = ["get", "amlpea", &policy.name, "--namespace", &policy.namespace];
            out.verbatim(&format!("$ kubectl {}", columns.join(" ")))?;
            for line in cluster.kubectl(&columns).await?.lines() {
                out.verbatim(line)?;
            }
            return Ok(());
        };
        if decided.by_right.is_some() || held_at.elapsed() < READING {
            return Ok(());
        }
        out.line(Voice::Demo, &format!("{BOB}, who may edit policies but not decide, decides in the name of {ALICE}"))?;
        let hers = manifest(&policy.namespace, &policy.name, connection, ALICE, false);
        decided.in_anothers_name = Some(create(out, cluster, BOB, &policy.namespace, &hers).await?);
        out.line(Voice::Demo, &format!("{BOB} decides in his own name"))?;
        let his = manifest(&policy.namespace, &policy.name, connection, BOB, true);
        decided.without_the_right = Some(create(out, cluster, BOB, &policy.namespace, &his).await?);
        out.line(Voice::Demo, &format!("{ALICE}, who holds the verb approve on the policy, decides the same"))?;
        for line in hers.lines() {
            out.verbatim(line)?;
        }
        decided.by_right = Some(create(out, cluster, ALICE, &policy.namespace, &hers).await?);
        Ok(())
    }
}

/// The policy that holds the laboratory's connection, and the connection's name on the target.
fn held(look: &Look) -> Option<(&Key, &str)> {
    look.of("PrivateEndpointApproval").find_map(|(key, policy)| {
        let held = |report: &&Value| {
            text(report, "/privateEndpoint").eq_ignore_ascii_case(HELD_ENDPOINT) && text(report, "/decision") == "Held"
        };
        list(policy, "/status/connections").iter().find(held).map(|report| (key, text(report, "/name")))
    })
}

/// What somebody writes who has read the policy's status.
fn manifest(namespace: &str, policy: &str, connection: &str, approver: &str, may_edit_policy: bool) -> String {
    format!(
        "apiVersion: aml-operator.io/v1alpha1
kind: ApprovalDecision
metadata:
  name: lake-lab
  namespace: {namespace}
spec:
  policyRef:
    name: {policy}
  # As the policy's status.connections states them.
  connectionName: {connection}
  privateEndpointId: {HELD_ENDPOINT}
  decision: Approve
  approver: {approver}
  mayEditPolicy: {may_edit_policy}
  reason: the laboratory moves into the hub network, as planned
"
    )
}

/// `who` creates `manifest`, with their own rights.
async fn create(out: &Narrator, cluster: &ControlPlane, who: &str, namespace: &str, manifest: &str) -> Result<Answer> {
    let args = ["create", "--as", who, "--namespace", namespace, "-f", "-"];
    match cluster.kubectl_with_input(&args, manifest).await {
        Ok(said) => {
            out.verbatim(said.trim())?;
            Ok(Answer::Taken)
        }
        Err(Error::Command { stderr, .. }) => {
            out.more(&stderr)?;
            Ok(Answer::Refused(stderr))
        }
        Err(error) => Err(error.into()),
    }
}

/// Waits until the API server asks the chart's admission policy: what is decided before says nothing.
///
/// # Errors
/// If it never does.
pub(crate) async fn guarded(cluster: &ControlPlane, namespace: &str) -> Result<()> {
    let forged = manifest(namespace, "any", "any", "nobody", true);
    let start = Instant::now();
    let args = ["create", "--dry-run=server", "-f", "-"];
    while cluster.kubectl_with_input(&args, &forged).await.is_ok() {
        ensure!(start.elapsed() < PATIENCE, "the API server does not ask the chart's admission policy for decisions");
        tokio::time::sleep(POLL).await;
    }
    Ok(())
}
