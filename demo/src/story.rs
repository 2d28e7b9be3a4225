//! The story: looks again and again at the cluster, Azure and the requests between them, and tells what is new.

use std::io;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::calls::Calls;
use crate::changes::{Change, Event, Memory};
use crate::goals::{Goal, Witness, judge};
use crate::narrator::{Narrator, Paint, Voice};
use crate::objects::{Key, Look, missing_role, named, together};
use crate::people::People;
use crate::private::{self, Owner};
use crate::rules::{self, Team};
use crate::stage::Stage;

/// How long the goals may take from the moment the example is applied.
const PATIENCE: Duration = Duration::from_secs(480);
/// Between two looks. Each costs a run of kubectl.
const POLL: Duration = Duration::from_millis(400);
/// How long a rule's call for a role stands before its owner answers: somebody has to read it first.
const OWNER_READS: Duration = Duration::from_secs(2);
/// What the final table shows.
const TABLE: &str = "amlconn,amlws,amlor,amlvnet,amlpea,amlpead";

/// Plays the story. `reached` is set once it is known how it ends; with `stay` it goes on telling after that, until
/// somebody drops it.
///
/// # Errors
/// If something does not start, or ends on the way.
pub(crate) async fn run(out: &mut Narrator, stay: bool, reached: &mut Option<bool>) -> Result<()> {
    out.heading("aml-operator: two examples on a real control plane and a simulated Azure")?;
    let stage = Stage::build(out).await?;
    let mut story = Story::new(out, &stage);
    loop {
        stage.check()?;
        let goals = story.turn().await?;
        let done = goals.iter().all(|goal| goal.lacking.is_none());
        if reached.is_none() && (done || story.applied.elapsed() > PATIENCE) {
            *reached = Some(done);
            story.finish(&goals).await?;
            if !stay {
                return Ok(());
            }
            story.invite()?;
        }
        tokio::time::sleep(POLL).await;
    }
}

struct Story<'a> {
    out: &'a Narrator,
    stage: &'a Stage,
    memory: Memory,
    calls: Calls,
    witness: Witness,
    people: People,
    team: Team,
    owner: Owner,
    /// When a rule first asked for a role.
    asked_at: Option<Instant>,
    applied: Instant,
}

impl<'a> Story<'a> {
    fn new(out: &'a Narrator, stage: &'a Stage) -> Self {
        Self {
            out,
            stage,
            memory: Memory::default(),
            calls: Calls::default(),
            witness: Witness::default(),
            people: People::default(),
            team: Team::default(),
            owner: Owner::default(),
            asked_at: None,
            applied: Instant::now(),
        }
    }

    /// Looks, tells what is new, plays the people when they are called for, and judges.
    async fn turn(&mut self) -> Result<Vec<Goal>> {
        // The requests first: what they led to is told after them.
        let requests = self.stage.azure().requests(self.calls.last()).await?;
        let look = self.stage.look().await?;
        for line in self.calls.take(&requests) {
            self.out.line(Voice::Arm, &line)?;
        }
        let changes = self.memory.changes(&look);
        let events = self.memory.events(&look);
        for (keys, change) in together(changes) {
            self.tell_change(&keys, &change)?;
        }
        for (keys, event) in together(events) {
            self.tell_event(&keys, &event)?;
        }
        self.own_the_lake(&look).await?;
        self.people.act(self.out, self.stage.cluster(), &look, &mut self.witness.decided).await?;
        let azure = self.stage.azure().state().await?;
        let mut goals = judge(&look, &azure, &self.witness);
        let is_shown = goals.iter().all(|goal| goal.lacking.is_none());
        self.team.act(self.out, self.stage, &look, is_shown, &mut self.witness.rules).await?;
        goals.extend(rules::judge(&look, &azure, &self.witness.rules));
        let is_shown = goals.iter().all(|goal| goal.lacking.is_none());
        self.owner.act(self.out, self.stage, &look, is_shown, &mut self.witness.private).await?;
        goals.extend(private::judge(&look, &self.witness.private));
        Ok(goals)
    }

    fn tell_change(&self, keys: &[Key], change: &Change) -> io::Result<()> {
        let out = self.out;
        let tell = |text: String| out.line(Voice::Cluster, &format!("{}  {text}", named(keys)));
        match change {
            Change::Appeared => tell("created".to_owned()),
            Change::Leaving => tell("is being deleted".to_owned()),
            Change::Gone => tell("gone".to_owned()),
            Change::Facts(facts) => tell(facts.clone()),
            Change::Connection { about, said } => {
                tell(format!("connection {said}"))?;
                out.more(about)
            }
            Change::Condition { condition, stalled } => {
                let paint = match (condition.status.as_str(), stalled) {
                    ("True", _) => Paint::Green,
                    (_, true) => Paint::Red,
                    (_, false) => Paint::Yellow,
                };
                let stalled = if *stalled { " (Stalled: only a change of its spec helps)" } else { "" };
                let said = format!("{}={} {}{stalled}", condition.kind, condition.status, condition.reason);
                tell(out.paint(paint, &said))?;
                out.more(&condition.message)
            }
        }
    }

    fn tell_event(&self, keys: &[Key], event: &Event) -> io::Result<()> {
        self.out.line(Voice::Event, &format!("{}  {} {}", named(keys), event.kind, event.reason))?;
        let told = keys.iter().all(|key| self.memory.says(key, &event.note));
        if told { Ok(()) } else { self.out.more(&event.note) }
    }

    /// Plays whoever owns what a rule may not reach yet, and reads its status.
    async fn own_the_lake(&mut self, look: &Look) -> Result<()> {
        if self.witness.granted {
            return Ok(());
        }
        let Some(asked_at) = self.asked_at else {
            let asking = look.of("OutboundRule").find_map(|(key, rule)| Some((key.clone(), missing_role(rule)?)));
            if let Some((key, role)) = asking {
                self.out.line(
                    Voice::Demo,
                    &format!("{key} says what its owner has to run (status.missingRole.command):"),
                )?;
                self.out.verbatim(&role.command)?;
                self.witness.asked = Some((key, role));
                self.asked_at = Some(Instant::now());
            }
            return Ok(());
        };
        if let Some((_, role)) = &self.witness.asked
            && asked_at.elapsed() > OWNER_READS
        {
            self.stage.azure().grant(role).await?;
            self.out
                .line(Voice::Demo, "as the storage account's owner, in the simulated Azure: that role assignment")?;
            self.out.more(&format!("{} to {} on {}", role.role, role.principal_id, role.scope))?;
            self.witness.granted = true;
        }
        Ok(())
    }

    /// The state at the end, in kubectl's words, and the goals.
    async fn finish(&self, goals: &[Goal]) -> Result<()> {
        let out = self.out;
        for args in [
            &["get", TABLE, "--all-namespaces"][..],
            &["describe", "privateendpointapproval", "lake", "--namespace", "platform"],
        ] {
            out.heading(&format!("$ kubectl {}", args.join(" ")))?;
            out.say(&self.stage.cluster().kubectl(args).await?)?;
        }
        out.heading("What was to be shown")?;
        for goal in goals {
            match &goal.lacking {
                None => out.say(&format!("  {} {}", out.paint(Paint::Green, "✓"), goal.title))?,
                Some(lacking) => {
                    out.say(&format!("  {} {}", out.paint(Paint::Red, "✗"), goal.title))?;
                    out.block(4, lacking)?;
                }
            }
        }
        let missing = goals.iter().filter(|goal| goal.lacking.is_some()).count();
        let calls = format!("{} writes and {} reads reached ARM", self.calls.total_writes, self.calls.total_reads);
        if missing == 0 {
            return Ok(out.say(&format!("\nAll {} reached; {calls}.", goals.len()))?);
        }
        let patience = PATIENCE.as_secs();
        out.say(&format!("\n{missing} of {} not reached within {patience} s; {calls}.", goals.len()))?;
        out.say(&format!("The operator's log ends:\n{}", self.stage.operator_log_tail()))?;
        Ok(())
    }

    /// For those who want to try things themselves.
    fn invite(&self) -> io::Result<()> {
        let cluster = self.stage.cluster();
        self.out.heading("It stays up until Ctrl-C. In another terminal:")?;
        self.out.say(&format!(
            "  export KUBECONFIG={}\n  alias kubectl={}\n\n  \
             kubectl get {TABLE} -A\n  \
             kubectl explain outboundrule.spec\n  \
             kubectl explain approvaldecision.spec\n  \
             kubectl get amlor datalake -n team-fraud -o yaml\n  \
             kubectl delete amlor pytorch -n team-fraud\n\n\
             What you change is told below. The operator's log: {}\n",
            cluster.kubeconfig_path().display(),
            cluster.tools().kubectl.display(),
            self.stage.operator_log().display()
        ))
    }
}
