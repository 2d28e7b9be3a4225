//! Random histories of workspaces that share identities and targets: objects come, change, cannot be read, are refused and go; rules
//! ask and stop asking; connections move and change their role; strangers assign and delete; Azure answers late, not at all or with
//! a refusal; the operator dies. What is assigned in the end is held against a naive re-statement of who needs what.

mod operator;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::api::connection::AzureConnectionSpec;
use crate::api::ids::ArmId;
use crate::api::outbound_rule::ApproverRole;
use crate::api::workspace::RolePolicy;
use crate::azure::authorization::RoleDefinition;
use crate::plan::fence::Fence;
use crate::plan::outcome::{Reason, Verdict};
use crate::plan::rules::ObjectKey;

const SUB: &str = "00000000-0000-0000-0000-000000000001";
const OURS: &str = "installation-1";
/// Needed on what a workspace is made of; also one of the roles that a connection may name as its approver role.
const WORKS: &str = "b24988ac-6180-42a0-ab88-20f7382dd24c";
const APPROVES: &str = "aaaaaaaa-0000-0000-0000-00000000000a";
const WORKSPACES: usize = 3;
const TARGETS: usize = 3;
/// Between two turns.
const STEP: i64 = 30;
/// How long a temporary role stays out, and how long a request without an answer may still arrive.
const DEADLINE: i64 = 600;
const REST: i64 = 90;

/// The last of the targets may be what a workspace is made of as well.
fn scope(target: usize) -> ArmId {
    let (type_, name) = [
        ("Microsoft.Storage/storageAccounts", "lake"),
        ("Microsoft.ContainerRegistry/registries", "images"),
        ("Microsoft.ContainerRegistry/registries", "more"),
    ][target];
    ArmId::of(SUB, "rg", type_, name).unwrap()
}

fn workspace_id(number: usize) -> String {
    ArmId::of(SUB, "rg", "Microsoft.MachineLearningServices/workspaces", &format!("w{number}")).unwrap().to_string()
}

/// What a workspace acts as: one of two user-assigned identities, or its own.
fn identity(number: usize, which: usize) -> Identity {
    let (kind, principal) = match which {
        2 => (IdentityKind::SystemAssigned, format!("system-{number}")),
        shared => (IdentityKind::UserAssigned(format!("/identities/{shared}")), format!("shared-{shared}")),
    };
    Identity { kind, principal }
}

/// The object of a workspace.
#[derive(Clone, Debug)]
struct Object {
    /// It can be read, and its grants let it through.
    sound: bool,
    identity: usize,
    connection: usize,
    /// Whether it has roles assigned for what it is made of.
    grants: bool,
    /// What it is made of: a registry, or nothing.
    registry: Option<usize>,
    /// What its rule to each target asks for.
    rules: [Option<ApproverRole>; TARGETS],
}

/// An AzureConnection: the approver role that it names.
type Link = Option<&'static str>;

/// What Azure does with a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    AtOnce,
    /// It arrives after so many seconds, and nobody hears of it.
    Late(i64),
    /// It arrived, and the answer did not.
    Unheard,
    /// It never arrived, and nobody says so.
    Lost,
    Refused,
}

/// How an object goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Farewell {
    /// The workspace stays in Azure.
    Retain,
    /// The workspace goes.
    Delete,
    /// Nobody settles anything.
    Abandon,
}

/// What happens.
#[derive(Clone, Debug)]
enum Event {
    Write(usize, Object),
    Leave(usize, Farewell),
    /// A workspace's object can be read and is let through, or not.
    Sound(usize, bool),
    Rule(usize, usize, Option<ApproverRole>),
    /// A rule is lost in Azure.
    Lose(usize, usize),
    Identity(usize, usize),
    Registry(usize, Option<usize>),
    Move(usize, usize),
    Connection(usize, Option<Link>),
    /// The policies on a target give a workspace leave, or not.
    Permit(usize, usize, bool),
    /// A stranger assigns a role, or takes away whatever is there.
    Stranger(usize, bool, usize, bool),
    Next(Answer),
    /// The operator dies at the so-manieth effect from now, before or after it.
    Die(u8, bool),
    Turns(u8),
}

/// Whose an assignment in Azure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    Ours,
    Stranger,
}

/// Scope, role and principal.
type Key = (String, String, String);

/// The operator is dead.
#[derive(Debug)]
struct Dead;

#[derive(Clone, Default)]
struct World {
    now: i64,
    objects: BTreeMap<usize, Object>,
    leaving: BTreeMap<usize, Farewell>,
    connections: [Option<Link>; 2],
    permits: BTreeSet<(usize, usize)>,
    /// Azure: what is assigned, what arrives late, which workspaces there are and as whom and with what, which rules are in force.
    assigned: BTreeMap<Key, Who>,
    late: Vec<(i64, Key)>,
    shown: BTreeMap<usize, (Identity, Option<usize>)>,
    active: BTreeSet<(usize, usize)>,
    answer: Option<Answer>,
    /// The ledger.
    records: BTreeMap<usize, Record>,
    dies: Option<(u8, bool)>,
    writes: usize,
}

impl World {
    fn at(&self) -> Timestamp {
        Timestamp::from_second(self.now).unwrap()
    }

    /// What follows is an effect: the operator may die before it, or after it.
    fn effect(&mut self, act: impl FnOnce(&mut Self)) -> Result<(), Dead> {
        let due = matches!(self.dies, Some((0, _)));
        if let Some((left, _)) = &mut self.dies {
            *left = left.saturating_sub(1);
        }
        match self.dies {
            Some((_, false)) if due => {
                self.dies = None;
                Err(Dead)
            }
            Some((_, true)) if due => {
                self.dies = None;
                act(self);
                Err(Dead)
            }
            _ => {
                act(self);
                Ok(())
            }
        }
    }

    fn save(&mut self, number: usize, change: impl FnOnce(&mut Record)) -> Result<(), Dead> {
        self.effect(|world| {
            let record = world.records.entry(number).or_default();
            record.workspace = workspace_id(number);
            change(record);
        })
    }

    fn put(&mut self, key: &Key) -> Option<bool> {
        self.writes += 1;
        let answer = self.answer.take().unwrap_or(Answer::AtOnce);
        if self.assigned.get(key) == Some(&Who::Stranger) {
            // RoleAssignmentExists.
            return Some(false);
        }
        match answer {
            Answer::AtOnce | Answer::Unheard => drop(self.assigned.insert(key.clone(), Who::Ours)),
            Answer::Late(seconds) => self.late.push((self.now + seconds, key.clone())),
            Answer::Lost | Answer::Refused => {}
        }
        match answer {
            Answer::AtOnce => Some(true),
            Answer::Refused => Some(false),
            _ => None,
        }
    }

    /// The operator deletes an assignment: it is its own, and nobody needs it.
    fn delete(&mut self, key: &Key) -> bool {
        self.writes += 1;
        assert_eq!(self.assigned.get(key), Some(&Who::Ours), "somebody else's: {key:?}");
        let has_claim = |number| {
            let claims = |entry: &Entry| entry.is_of_rule() && entry.claims() && key_of(entry) == *key;
            self.records.get(&number).is_some_and(|record: &Record| record.entries.iter().any(claims))
        };
        assert!(!self.is_needed(key, has_claim), "{key:?} is taken back although it is needed: {self}");
        match self.answer.take().unwrap_or(Answer::AtOnce) {
            Answer::AtOnce => {
                self.assigned.remove(key);
                true
            }
            Answer::Unheard => {
                self.assigned.remove(key);
                false
            }
            Answer::Late(_) | Answer::Lost | Answer::Refused => false,
        }
    }

    /// The object of workspace `number`, if anybody listens to it, with the role of its connection.
    fn heard(&self, number: usize) -> Option<(&Object, Link)> {
        let object = self.objects.get(&number).filter(|object| object.sound && !self.leaving.contains_key(&number))?;
        Some((object, self.connections[object.connection]?))
    }

    /// Who needs what, in the plainest words. An approver role is needed by whoever keeps one, of those that `counts` is true of, has
    /// leave and is not served by somebody else's; another role by whoever is made of something, as long as that is in Azure.
    fn is_needed(&self, key: &Key, counts: impl Fn(usize) -> bool) -> bool {
        let (on, role, principal) = key;
        let of_rules = (0..WORKSPACES).filter(|number| counts(*number)).any(|number| {
            let Some((object, Some(approver))) = self.heard(number) else { return false };
            (0..TARGETS).any(|target| {
                object.rules[target] == Some(ApproverRole::Standing)
                    && self.permits.contains(&(number, target))
                    && approver == role
                    && scope(target).key() == *on
                    && identity(number, object.identity).principal == *principal
                    && self.shown.contains_key(&number)
                    && self.foreign(target, principal).is_empty()
                    && object.registry != Some(target)
            })
        });
        // A workspace works with what its object declares. What it has a claim on it keeps as long as Azure has it use that, and
        // without an object, or with one that nobody listens to, as long as it is there.
        let works = (0..WORKSPACES).any(|number| {
            let uses = |acting: &Identity, registry: Option<usize>| {
                let on_it = registry.is_some_and(|registry| scope(registry).key() == *on);
                on_it && acting.principal == *principal && acting.kind != IdentityKind::SystemAssigned
            };
            let shown = self.shown.get(&number).is_some_and(|(acting, registry)| uses(acting, *registry));
            let object = self.objects.get(&number).filter(|_| !self.leaving.contains_key(&number));
            let declared = object.is_some_and(|object| uses(&identity(number, object.identity), object.registry));
            let claims = |entry: &Entry| !entry.is_of_rule() && entry.claims() && key_of(entry) == *key;
            let kept = self.records.get(&number).is_some_and(|record| record.entries.iter().any(claims));
            let listens = self.heard(number).is_some();
            declared || kept && (shown || !listens && self.shown.contains_key(&number))
        });
        let works = works && role == WORKS;
        of_rules || works
    }

    /// The roles that strangers gave `principal` on a target.
    fn foreign(&self, target: usize, principal: &str) -> Vec<&str> {
        let theirs = self
            .assigned
            .iter()
            .filter(|((on, _, whose), who)| **who == Who::Stranger && *on == scope(target).key() && whose == principal);
        theirs.map(|((_, role, _), _)| role.as_str()).collect()
    }

    fn can_approve(&self, target: usize, principal: &str) -> bool {
        self.assigned.keys().any(|(on, _, whose)| *on == scope(target).key() && whose == principal)
    }

    fn round(&mut self) -> Result<(), Dead> {
        for number in 0..WORKSPACES {
            let mut turns = 0;
            while self.turn(number)? {
                turns += 1;
                assert!(turns < 30, "workspace {number} does nothing else: {self}");
            }
        }
        self.keep()
    }

    fn turns(&mut self, count: usize) {
        for _ in 0..count {
            self.now += STEP;
            let now = self.now;
            let all: Vec<(i64, Key)> = std::mem::take(&mut self.late);
            let (arrived, late): (Vec<_>, Vec<_>) = all.into_iter().partition(|(at, _)| *at <= now);
            self.late = late;
            for (_, key) in arrived {
                self.assigned.entry(key).or_insert(Who::Ours);
            }
            // A dead operator starts again at its next turn.
            let _ = self.round();
        }
    }

    fn happen(&mut self, event: &Event) {
        match event.clone() {
            Event::Write(number, object) if !self.leaving.contains_key(&number) => {
                for target in (0..TARGETS).filter(|target| object.rules[*target].is_none()) {
                    self.active.remove(&(number, target));
                }
                self.objects.insert(number, object);
            }
            Event::Leave(number, farewell) if self.objects.contains_key(&number) => {
                self.leaving.insert(number, farewell);
            }
            Event::Lose(number, target) => drop(self.active.remove(&(number, target))),
            Event::Connection(which, link) => self.connections[which] = link,
            Event::Permit(number, target, true) => drop(self.permits.insert((number, target))),
            Event::Permit(number, target, false) => drop(self.permits.remove(&(number, target))),
            Event::Stranger(target, works, which, assigns) => {
                let role = if works { WORKS } else { APPROVES };
                let key = (scope(target).key(), role.to_owned(), identity(0, which).principal);
                if assigns {
                    self.assigned.entry(key).or_insert(Who::Stranger);
                } else {
                    self.assigned.remove(&key);
                }
            }
            Event::Next(answer) => self.answer = Some(answer),
            Event::Die(effects, after) => self.dies = Some((effects, after)),
            Event::Turns(count) => self.turns(count.into()),
            event => self.change(&event),
        }
    }

    /// A change of one field of an object.
    fn change(&mut self, event: &Event) {
        let (Event::Sound(number, ..)
        | Event::Rule(number, ..)
        | Event::Identity(number, ..)
        | Event::Registry(number, ..)
        | Event::Move(number, ..)) = *event
        else {
            return;
        };
        let Some(object) = self.objects.get_mut(&number) else { return };
        match *event {
            Event::Sound(_, sound) => object.sound = sound,
            Event::Rule(_, target, role) => {
                object.rules[target] = role;
                if role.is_none() {
                    self.active.remove(&(number, target));
                }
            }
            // Azure does not take a system-assigned identity back.
            Event::Identity(_, which) => object.identity = which,
            Event::Registry(_, registry) => object.registry = registry,
            Event::Move(_, connection) => object.connection = connection,
            _ => {}
        }
    }

    /// Turns until nothing more is written, and what has to hold then.
    fn rest(&mut self) {
        self.answer = None;
        self.dies = None;
        let mut quiet = 0;
        for _ in 0..400 {
            let before = self.writes;
            self.turns(1);
            quiet = if self.writes == before && self.late.is_empty() { quiet + 1 } else { 0 };
            // Longer than any deadline, and than any request may still take.
            if quiet * STEP > DEADLINE + REST + STEP {
                break;
            }
        }
        assert!(quiet * STEP > DEADLINE + REST, "it never comes to rest: {self}");
        for (key, who) in &self.assigned {
            assert!(*who == Who::Stranger || self.is_needed(key, |_| true), "{key:?} is left behind: {self}");
        }
        for number in 0..WORKSPACES {
            let Some((object, link)) = self.heard(number) else { continue };
            let own = identity(number, object.identity);
            for target in 0..TARGETS {
                let key = |role: &str| (scope(target).key(), role.to_owned(), own.principal.clone());
                let permitted = self.permits.contains(&(number, target));
                let made_of = object.registry == Some(target);
                let served = made_of || !self.foreign(target, &own.principal).is_empty();
                if let (Some(asked), Some(role), true) = (object.rules[target], link, permitted) {
                    let standing = asked == ApproverRole::Standing && !served;
                    assert!(
                        !standing || self.assigned.contains_key(&key(role)),
                        "{number} lacks {role} on {target}: {self}"
                    );
                    let granted = asked != ApproverRole::Report;
                    assert!(
                        !granted || self.active.contains(&(number, target)),
                        "rule {target} of {number} waits: {self}"
                    );
                }
                let works = object.grants && made_of && own.kind != IdentityKind::SystemAssigned;
                let theirs = self.assigned.get(&key(WORKS)) == Some(&Who::Stranger);
                let claims = |record: &Record| {
                    record.find(&scope(target), WORKS, &own.principal, false).is_some_and(Entry::claims)
                };
                let claimed = self.records.get(&number).is_some_and(claims) && self.assigned.contains_key(&key(WORKS));
                assert!(!works || theirs || claimed, "{number} has no claim on what it works with on {target}: {self}");
            }
        }
    }

    fn live(events: &[Event]) {
        let mut world = Self {
            now: 1_000_000_000,
            connections: [Some(Some(APPROVES)), Some(Some(APPROVES))],
            permits: (0..WORKSPACES).flat_map(|number| (0..TARGETS).map(move |target| (number, target))).collect(),
            ..Self::default()
        };
        for event in events {
            world.happen(event);
        }
        let strangers = |world: &Self| world.assigned.iter().filter(|(_, who)| **who == Who::Stranger).count();
        let before = strangers(&world);
        world.rest();
        assert_eq!(strangers(&world), before, "nothing of a stranger's ever goes");
    }
}

impl std::fmt::Display for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "assigned {:?} records {:?} objects {:?} shown {:?} active {:?} connections {:?} permits {:?}",
            self.assigned, self.records, self.objects, self.shown, self.active, self.connections, self.permits
        )
    }
}

fn key_of(entry: &Entry) -> Key {
    (entry.scope.to_lowercase(), entry.role.clone(), entry.principal.clone())
}

/// A connection that lets everybody have everything assigned.
fn connection() -> AzureConnectionSpec {
    let group = format!("/subscriptions/{SUB}/resourceGroups/rg");
    serde_json::from_value(json!({
        "tenantId": SUB, "cloud": "Public", "credential": {"managedIdentity": {}},
        "grants": [{"namespaces": {"names": ["team"]}, "scope": group, "verbs": ["grantRoles"]}],
        "grantableRoles": [{"scope": group, "roleDefinitionIds": [WORKS, APPROVES]}],
    }))
    .unwrap()
}

fn definitions() -> BTreeMap<String, RoleDefinition> {
    let some: RoleDefinition =
        serde_json::from_value(json!({"permissions": [{"actions": ["Microsoft.Storage/*"]}]})).unwrap();
    BTreeMap::from([WORKS, APPROVES].map(|role| (role.to_owned(), some.clone())))
}

fn wish() -> impl Strategy<Value = Option<ApproverRole>> {
    prop_oneof![
        2 => Just(None),
        3 => Just(Some(ApproverRole::Standing)),
        2 => Just(Some(ApproverRole::Temporary)),
        1 => Just(Some(ApproverRole::Report)),
    ]
}

fn object() -> impl Strategy<Value = Object> {
    let registry = || of(1..TARGETS);
    (0..3_usize, 0..2_usize, any::<bool>(), registry(), [wish(), wish(), wish()]).prop_map(
        |(identity, connection, grants, registry, rules)| Object {
            sound: true,
            identity,
            connection,
            grants,
            registry,
            rules,
        },
    )
}

fn answer() -> impl Strategy<Value = Answer> {
    prop_oneof![(1..REST).prop_map(Answer::Late), Just(Answer::Unheard), Just(Answer::Lost), Just(Answer::Refused),]
}

fn event() -> impl Strategy<Value = Event> {
    let one = || 0..WORKSPACES;
    let farewell = prop_oneof![Just(Farewell::Retain), Just(Farewell::Delete), Just(Farewell::Abandon)];
    let link = prop_oneof![
        1 => Just(None),
        1 => Just(Some(None)),
        2 => Just(Some(Some(APPROVES))),
        2 => Just(Some(Some(WORKS))),
    ];
    prop_oneof![
        4 => (one(), object()).prop_map(|(number, object)| Event::Write(number, object)),
        2 => (one(), farewell).prop_map(|(number, farewell)| Event::Leave(number, farewell)),
        1 => (one(), any::<bool>()).prop_map(|(number, sound)| Event::Sound(number, sound)),
        3 => (one(), 0..TARGETS, wish()).prop_map(|(number, target, wish)| Event::Rule(number, target, wish)),
        1 => (one(), 0..TARGETS).prop_map(|(number, target)| Event::Lose(number, target)),
        1 => (one(), 0..3_usize).prop_map(|(number, which)| Event::Identity(number, which)),
        1 => (one(), of(1..TARGETS)).prop_map(|(number, registry)| Event::Registry(number, registry)),
        1 => (one(), 0..2_usize).prop_map(|(number, connection)| Event::Move(number, connection)),
        1 => (0..2_usize, link).prop_map(|(which, link)| Event::Connection(which, link)),
        1 => (one(), 0..TARGETS, any::<bool>()).prop_map(|(number, target, may)| Event::Permit(number, target, may)),
        1 => (0..TARGETS, any::<bool>(), 0..3_usize, any::<bool>())
            .prop_map(|(target, works, which, assigns)| Event::Stranger(target, works, which, assigns)),
        2 => answer().prop_map(Event::Next),
        2 => (0..6_u8, any::<bool>()).prop_map(|(effects, after)| Event::Die(effects, after)),
        5 => (0..8_u8).prop_map(Event::Turns),
    ]
}

proptest! {
    /// Whatever happens in whatever order: what is ours and nobody needs goes in the end, what a live object needs never does and is
    /// there in the end, and nothing of a stranger's is ever touched.
    #[test]
    fn every_role_that_nobody_needs_goes_and_no_other_does(events in vec(event(), 0..40)) {
        World::live(&events);
    }
}
