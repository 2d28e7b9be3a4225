//! Random histories of one target: requests come, go and come back for other endpoints, policies come, end and go, Azure answers
//! late, not at all or with a refusal, somebody else's decision supersedes ours, and the operator dies. What is approved in the end
//! is held against a naive re-statement of the rule, in which no id is ever parsed.
//!
//! The operator here is the order in which the controllers ask the functions of this module's siblings, with the ledger as the only
//! thing that outlives a death; it decides nothing itself.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::approval::{Policy, decide, decide_all, next};
use super::proof::{Approval, Proof, Proven, Waits, is_expected, prove, resumes, still_holds};
use super::rules::ObjectKey;
use crate::api::approval::DecisionWord;
use crate::azure::private_link::{Connection, Dialect};

const SUBSCRIPTIONS: [&str; 2] = ["00000000-0000-0000-0000-00000000000a", "00000000-0000-0000-0000-00000000000f"];
const GROUPS: [&str; 2] = ["hub", "hub2"];
const NAMES: [&str; 2] = ["lake-1", "lake-2"];
const WAITS: Waits = Waits {
    rest: Duration::from_secs(90),
    settling: Duration::from_secs(3600),
    late: Duration::from_secs(86400),
    silence: Duration::from_secs(120),
};
/// Between two turns.
const STEP: i64 = 30;
/// How long a refusal is remembered.
const REFUSED: i64 = 300;

/// An endpoint that asks: indexes of its subscription, group and name, and whether Azure shouts its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Asker(usize, usize, usize, bool);

impl Asker {
    fn id(self) -> String {
        let Self(subscription, group, name, loud) = self;
        let id = format!(
            "/subscriptions/{}/resourceGroups/{}/providers/Microsoft.Network/privateEndpoints/{}",
            SUBSCRIPTIONS[subscription], GROUPS[group], NAMES[name]
        );
        if loud { id.to_uppercase() } else { id }
    }
}

/// One entry of a policy: what it says, of whom.
#[derive(Clone, Debug)]
struct Entry {
    word: DecisionWord,
    subscription: usize,
    group: Option<usize>,
    name: Option<usize>,
    by_id: bool,
}

impl Entry {
    fn fits(&self, asker: Asker) -> bool {
        let group = self.group.is_none_or(|group| group == asker.1);
        let name = self.name.is_none_or(|name| name == asker.2);
        if self.by_id {
            return (self.subscription, self.group.unwrap_or(0), self.name.unwrap_or(0)) == (asker.0, asker.1, asker.2);
        }
        self.subscription == asker.0 && group && name
    }

    fn written(&self) -> Value {
        if self.by_id {
            let whole = Asker(self.subscription, self.group.unwrap_or(0), self.name.unwrap_or(0), false);
            return json!({"privateEndpoint": {"id": whole.id()}});
        }
        let mut endpoint = json!({"subscriptionId": SUBSCRIPTIONS[self.subscription]});
        if let Some(group) = self.group {
            endpoint["resourceGroup"] = json!(GROUPS[group]);
        }
        if let Some(name) = self.name {
            endpoint["name"] = json!(NAMES[name]);
        }
        json!({ "privateEndpoint": endpoint })
    }
}

/// A policy.
#[derive(Clone, Debug)]
struct Says {
    entries: Vec<Entry>,
    expired: bool,
    asks_people: bool,
    owns: bool,
}

impl Says {
    fn policy(&self, name: usize) -> Policy {
        let entries = |word| self.entries.iter().filter(move |entry| entry.word == word).map(Entry::written);
        let denies = |word| entries(word).map(|entry| serde_json::from_value(entry).unwrap()).collect();
        Policy {
            key: ObjectKey { namespace: "platform".into(), name: name.to_string() },
            allow: entries(DecisionWord::Allowed).map(|entry| serde_json::from_value(entry).unwrap()).collect(),
            reject: denies(DecisionWord::Rejected),
            hold: denies(DecisionWord::Held),
            limits: None,
            require_approvers: self.asks_people.then_some(1),
            votes: Vec::new(),
            self_approvals: Vec::new(),
            expired: self.expired,
            acts: true,
            own_subscriptions: if self.owns { vec![SUBSCRIPTIONS[0].to_owned()] } else { Vec::new() },
            linked: Default::default(),
        }
    }
}

/// The rule once more, in the plainest words: what becomes of a request of `asker`.
fn oracle(policies: &BTreeMap<usize, Says>, asker: Asker) -> DecisionWord {
    let says = |word| {
        policies.values().any(|policy| policy.entries.iter().any(|entry| entry.word == word && entry.fits(asker)))
    };
    let allows = |policy: &Says| {
        let believed = |entry: &Entry| entry.by_id || (policy.owns && entry.subscription == 0);
        let holds = |entry: &Entry| entry.word == DecisionWord::Allowed && entry.fits(asker) && believed(entry);
        !policy.expired && !policy.asks_people && policy.entries.iter().any(holds)
    };
    if says(DecisionWord::Rejected) {
        DecisionWord::Rejected
    } else if says(DecisionWord::Held) {
        DecisionWord::Held
    } else if policies.values().any(allows) {
        DecisionWord::Allowed
    } else {
        DecisionWord::Unmatched
    }
}

/// What Azure does with a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    AtOnce,
    /// Carried out after so many seconds; shown as being worked on, or not.
    Later(i64, bool),
    /// It arrived, and the answer did not.
    Unheard,
    /// It never arrived, and nobody says so.
    Lost,
    Refused,
}

/// What happens.
#[derive(Clone, Debug)]
enum Event {
    /// A connection of this name is asked for, in the place of any other of the name.
    Raise(usize, Asker),
    /// The same, right when the next write arrives.
    Exchange(Asker),
    Delete(usize),
    /// A policy of this name is written, or deleted.
    Policy(usize, Option<Says>),
    /// Somebody else's decision cancels what is under way.
    Supersede,
    /// What Azure does with the next write.
    Next(Answer),
    /// The operator dies at its next turn: before it notes a proof, before the write, after it.
    Die(u8),
    /// Turns go by.
    Turns(u8),
}

/// Azure and the operator.
#[derive(Clone, Default)]
struct World {
    now: i64,
    /// Endpoint and state by the connection's name.
    lines: BTreeMap<String, (Asker, &'static str)>,
    /// Due, connection, state, shown as being worked on.
    under_way: Option<(i64, String, &'static str, bool)>,
    exchange: Option<Asker>,
    answer: Option<Answer>,
    policies: BTreeMap<usize, Says>,
    /// Policies and connections come in the opposite order.
    reversed: bool,
    /// The ledger.
    proofs: Vec<Proof>,
    asked: Vec<Proof>,
    approvals: Vec<Approval>,
    /// Memory: when what was refused or does not show yet may be tried again.
    waits: BTreeMap<(String, String), i64>,
    dies: Option<u8>,
    writes: usize,
    /// Who was ever allowed by a policy in force.
    ever: BTreeSet<Asker>,
}

impl World {
    fn at(&self) -> Timestamp {
        Timestamp::from_second(self.now).unwrap()
    }

    fn dialect() -> &'static Dialect {
        Dialect::of("Microsoft.Storage/storageAccounts").unwrap()
    }

    fn shown(&self, name: &str) -> Option<Connection> {
        let (asker, state) = self.lines.get(name)?;
        let moves = self.under_way.as_ref().is_some_and(|(_, on, _, shown)| on == name && *shown);
        Connection::read(&json!({"name": name, "properties": {
            "privateEndpoint": {"id": asker.id()}, "provisioningState": if moves { "Updating" } else { "Succeeded" },
            "privateLinkServiceConnectionState": {"status": state, "description": "please"}}}))
    }

    fn policies(&self) -> Vec<Policy> {
        let mut all: Vec<Policy> = self.policies.iter().map(|(name, says)| says.policy(*name)).collect();
        if self.reversed {
            all.reverse();
        }
        all
    }

    /// Somebody asks, in the place of whoever had the name.
    fn raise(&mut self, name: String, asker: Asker) {
        self.lines.insert(name, (asker, "Pending"));
    }

    /// A write arrives. `None` if nobody hears what became of it; false if it is refused.
    fn put(&mut self, name: &str, state: &'static str) -> Option<bool> {
        self.writes += 1;
        if let Some(asker) = self.exchange.take() {
            self.raise(name.to_owned(), asker);
        }
        let answer = self.answer.take().unwrap_or(Answer::AtOnce);
        match answer {
            Answer::Refused => return Some(false),
            Answer::Lost => return None,
            _ => {}
        }
        // Parallel decisions on a target cancel each other: the last that arrives counts.
        self.under_way = None;
        match answer {
            Answer::Later(seconds, moves) => {
                self.under_way = Some((self.now + seconds, name.to_owned(), state, moves));
            }
            _ => {
                if let Some(line) = self.lines.get_mut(name) {
                    line.1 = state;
                }
            }
        }
        (answer != Answer::Unheard).then_some(true)
    }

    /// True if the operator dies here, and with it all that it keeps in mind.
    fn died(&mut self, moment: u8) -> bool {
        let dies = self.dies == Some(moment);
        if dies {
            self.dies = None;
            self.waits.clear();
        }
        dies
    }

    fn waits(&self, one: &Connection) -> bool {
        self.waits.get(&(one.name.clone(), one.endpoint.to_lowercase())).is_some_and(|until| *until > self.now)
    }

    fn wait(&mut self, one: &Connection, seconds: i64) {
        self.waits.insert((one.name.clone(), one.endpoint.to_lowercase()), self.now + seconds);
    }

    fn approved(&mut self, proof: &Proof) {
        let same = |connection: &str, endpoint: &str| {
            connection == proof.connection && endpoint.eq_ignore_ascii_case(&proof.endpoint)
        };
        self.proofs.retain(|open| open != proof);
        self.asked.retain(|asked| !same(&asked.connection, &asked.endpoint));
        self.approvals.retain(|before| !same(&before.connection, &before.endpoint));
        let (connection, endpoint, policy) = (proof.connection.clone(), proof.endpoint.clone(), proof.policy.clone());
        let at = self.at().to_string();
        self.approvals.push(Approval { connection, endpoint, policy, at, request_id: None, side: Default::default() });
    }

    /// Settles what is open; true if something still is.
    fn settle(&mut self, connections: &[Connection]) -> bool {
        let (now, policies) = (self.at(), self.policies());
        let shown = |proof: &Proof| connections.iter().find(|one| one.name == proof.connection);
        self.approvals.retain(|approval| still_holds(approval, connections, now, WAITS));
        for asked in std::mem::take(&mut self.asked).into_iter().filter(|asked| is_expected(asked, now, WAITS)) {
            let explained = shown(&asked).is_some_and(|shown| {
                self.approvals.iter().any(|approval| approval.is_of(shown))
                    || decide(shown, Self::dialect(), &policies).word == DecisionWord::Allowed
            });
            let again = resumes(&asked, shown(&asked), Self::dialect(), explained, now, WAITS);
            if again { self.proofs.push(asked) } else { self.asked.push(asked) }
        }
        for mut proof in std::mem::take(&mut self.proofs) {
            match prove(&proof, shown(&proof), Self::dialect(), now, WAITS) {
                Proven::Approved => self.approved(&proof),
                Proven::Open => self.proofs.push(proof),
                Proven::Silent => self.asked.push(proof),
                Proven::Withdrawn => self.asked.push(Proof { withdrawn_at: None, ..proof }),
                Proven::Exchanged { .. } => {
                    if self.put(&proof.connection, "Rejected") != Some(false) {
                        proof.withdrawn_at = Some(now.to_string());
                    }
                    self.proofs.push(proof);
                }
            }
        }
        !self.proofs.is_empty()
    }

    /// One turn of the operator.
    fn turn(&mut self) {
        let mut connections: Vec<Connection> = self.lines.keys().filter_map(|name| self.shown(name)).collect();
        if self.reversed {
            connections.reverse();
        }
        let busy = self.settle(&connections);
        let policies = self.policies();
        let decided = decide_all(&connections, Self::dialect(), &policies);
        let keys = policies.iter().map(|policy| &policy.key);
        let chosen =
            keys.filter_map(|key| Some((key, next(key, &decided, &self.asked, |one| self.waits(one))?))).next();
        let Some((key, (connection, decision))) = chosen.filter(|_| !busy) else {
            self.died(self.dies.unwrap_or_default());
            return;
        };
        let (asker, _) = self.lines[&connection.name];
        assert_eq!(oracle(&self.policies, asker), decision.word, "{connection:?} by {:?}", self.policies);
        if self.died(0) {
            return;
        }
        if decision.word == DecisionWord::Rejected {
            let done = self.put(&connection.name, "Rejected");
            self.wait(connection, if done == Some(false) { REFUSED } else { STEP * 3 });
            return;
        }
        let proof = Proof {
            connection: connection.name.clone(),
            endpoint: connection.endpoint.clone(),
            policy: format!("{}/{}", key.namespace, key.name),
            rule: decision.entry_of(key),
            generation: None,
            request_id: None,
            started_at: self.at().to_string(),
            withdrawn_at: None,
        };
        let (earlier, others) =
            std::mem::take(&mut self.asked).into_iter().partition(|asked: &Proof| asked.is_for(connection));
        self.asked = others;
        self.proofs.push(proof.clone());
        if self.died(1) {
            return;
        }
        match self.put(&connection.name, "Approved") {
            _ if self.died(2) => {}
            None => {}
            Some(false) => {
                self.proofs.retain(|open| *open != proof);
                self.asked.extend::<Vec<Proof>>(earlier);
                self.wait(connection, REFUSED);
            }
            Some(true) => {
                let after = self.shown(&connection.name);
                if prove(&proof, after.as_ref(), Self::dialect(), self.at(), WAITS) == Proven::Approved {
                    self.approved(&proof);
                }
            }
        }
    }

    fn turns(&mut self, count: usize) {
        for _ in 0..count {
            self.now += STEP;
            if self.under_way.as_ref().is_some_and(|(due, ..)| *due <= self.now)
                && let Some((_, name, state, _)) = self.under_way.take()
                && let Some(line) = self.lines.get_mut(&name)
            {
                // Whoever has the name by now.
                line.1 = state;
            }
            self.turn();
        }
    }

    /// Turns until nothing more is written, and what has to hold then.
    fn rest(&mut self) {
        let mut quiet = 0;
        for _ in 0..400 {
            let before = self.writes;
            self.turns(1);
            quiet = if self.writes == before && self.under_way.is_none() { quiet + 1 } else { 0 };
            if quiet > 15 {
                break;
            }
        }
        assert!(quiet > 15, "it never comes to rest: {:?}", self.lines);
        for (name, (asker, state)) in &self.lines {
            let word = oracle(&self.policies, *asker);
            assert!(*state != "Approved" || self.ever.contains(asker), "{name}: {asker:?} was never allowed");
            let undone = matches!(word, DecisionWord::Allowed | DecisionWord::Rejected) && *state == "Pending";
            assert!(!undone, "{name} of {asker:?} is {word:?} and waits");
        }
    }

    fn happen(&mut self, event: &Event) {
        match event.clone() {
            Event::Raise(name, asker) => self.raise(name.to_string(), asker),
            Event::Exchange(asker) => self.exchange = Some(asker),
            Event::Delete(name) => drop(self.lines.remove(&name.to_string())),
            Event::Policy(name, Some(says)) => drop(self.policies.insert(name, says)),
            Event::Policy(name, None) => drop(self.policies.remove(&name)),
            Event::Supersede => self.under_way = None,
            Event::Next(answer) => self.answer = Some(answer),
            Event::Die(moment) => self.dies = Some(moment),
            Event::Turns(count) => self.turns(count.into()),
        }
        for asker in (0..16).map(|n| Asker(n & 1, n >> 1 & 1, n >> 2 & 1, n >> 3 == 1)) {
            if oracle(&self.policies, asker) == DecisionWord::Allowed {
                self.ever.insert(asker);
            }
        }
    }

    fn live(events: &[Event], reversed: bool) -> Self {
        let mut world = Self { now: 1_000_000_000, reversed, ..Self::default() };
        for event in events {
            world.happen(event);
        }
        world.rest();
        world
    }
}

fn asker() -> impl Strategy<Value = Asker> {
    (0..2_usize, 0..2_usize, 0..2_usize, any::<bool>()).prop_map(|(s, g, n, loud)| Asker(s, g, n, loud))
}

fn says(words: &'static [DecisionWord]) -> impl Strategy<Value = Says> {
    let entry = (proptest::sample::select(words), 0..2_usize, of(0..2_usize), of(0..2_usize), any::<bool>()).prop_map(
        |(word, subscription, group, name, by_id)| Entry {
            word,
            subscription,
            group,
            // A name alone says nothing: the schema wants its group.
            name: name.filter(|_| group.is_some()),
            by_id,
        },
    );
    let rarely = || proptest::bool::weighted(0.15);
    (vec(entry, 0..4), rarely(), rarely(), rarely()).prop_map(|(entries, expired, asks_people, foreign)| Says {
        entries,
        expired,
        asks_people,
        owns: !foreign,
    })
}

const ALL: &[DecisionWord] =
    &[DecisionWord::Allowed, DecisionWord::Allowed, DecisionWord::Allowed, DecisionWord::Held, DecisionWord::Rejected];

fn answer() -> impl Strategy<Value = Answer> {
    prop_oneof![
        Just(Answer::AtOnce),
        (1..300_i64, any::<bool>()).prop_map(|(seconds, moves)| Answer::Later(seconds, moves)),
        Just(Answer::Unheard),
        Just(Answer::Lost),
        Just(Answer::Refused),
    ]
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (0..3_usize, asker()).prop_map(|(name, asker)| Event::Raise(name, asker)),
        2 => asker().prop_map(Event::Exchange),
        1 => (0..3_usize).prop_map(Event::Delete),
        3 => (0..3_usize, of(says(ALL))).prop_map(|(name, says)| Event::Policy(name, says)),
        1 => Just(Event::Supersede),
        3 => answer().prop_map(Event::Next),
        2 => (0..3_u8).prop_map(Event::Die),
        4 => (0..8_u8).prop_map(Event::Turns),
    ]
}

proptest! {
    /// Whatever happens in whatever order: each approval that is sent has an entry in force that says so, nobody stays approved whom no
    /// policy ever allowed, and it comes to rest with everything decided that policies decide.
    #[test]
    fn no_history_lets_anybody_in_whom_no_policy_allows(events in vec(event(), 0..40)) {
        World::live(&events, false);
    }

    /// Between one rest and the next the operator dies and Azure is unreliable, or not; policies and connections come in one order or the
    /// other: the end is the same.
    #[test]
    fn a_death_at_any_point_changes_nothing(
        rounds in vec((event(), vec((prop_oneof![answer().prop_map(Event::Next), (0..3_u8).prop_map(Event::Die)], 0..6_usize), 0..4)), 0..12),
        reversed in any::<bool>(),
    ) {
        let mut calm = World { now: 1_000_000_000, ..World::default() };
        let mut rough = World { reversed, ..calm.clone() };
        for (event, blows) in &rounds {
            if !matches!(event, Event::Raise(..) | Event::Delete(_) | Event::Policy(..)) {
                continue;
            }
            calm.happen(event);
            rough.happen(event);
            for (blow, turns) in blows {
                rough.happen(blow);
                rough.turns(*turns);
            }
            calm.rest();
            rough.rest();
            prop_assert_eq!(&calm.lines, &rough.lines);
        }
    }

    /// Requests and policies that allow come in any order, with time in between or not: the end is the same. (A rejection that comes after
    /// an approval leaves it standing, so those are there from the start.)
    #[test]
    fn the_order_of_requests_and_policies_changes_nothing(
        denies in says(&[DecisionWord::Held, DecisionWord::Rejected]),
        requests in vec(asker(), 0..4),
        allows in vec(says(&[DecisionWord::Allowed]), 0..3),
        order in Just((0..8_usize).collect::<Vec<_>>()).prop_shuffle(),
        pauses in vec(0..4_u8, 8),
    ) {
        let mut events: Vec<Event> =
            requests.iter().enumerate().map(|(name, asker)| Event::Raise(name, *asker)).collect();
        events.extend(allows.iter().enumerate().map(|(name, says)| Event::Policy(name + 1, Some(says.clone()))));
        let first = Event::Policy(0, Some(denies));
        let straight: Vec<Event> = std::iter::once(first.clone()).chain(events.iter().cloned()).collect();
        let mut shuffled = vec![first];
        for (place, pause) in order.iter().zip(&pauses) {
            shuffled.extend(events.get(*place).cloned());
            shuffled.push(Event::Turns(*pause));
        }
        prop_assert_eq!(World::live(&straight, false).lines, World::live(&shuffled, true).lines);
    }
}
