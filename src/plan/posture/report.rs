//! What is said of the posture: waivers applied, bounded, and in an order that stays the same.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use jiff::Timestamp;

use crate::api::condition::{ConditionDraft, ConditionStatus, rfc3339};
use crate::api::workspace::{Check, Finding, FindingState, Posture, PostureStatus, Waiver};

use super::Sight;
use super::table::row;

/// Sums up the posture.
pub const SECURE: &str = "Secure";
/// How many findings a status lists: with the longest ids and evidence they have about 100 kB.
const LISTED: usize = 64;
/// The longest evidence, in characters.
const EVIDENCE: usize = 512;
/// The longest id, in characters.
const RESOURCE: usize = 1024;
/// The longest fix, in characters.
const FIX: usize = 1024;
/// How many findings the condition names.
const NAMED: usize = 10;

/// What is said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// For the status.
    pub status: PostureStatus,
    /// Every finding that is no pass, also those that the status has no room for, in the status's order.
    pub findings: Vec<Finding>,
    /// The condition.
    pub secure: ConditionDraft,
    /// How many there are of each check in each state.
    pub counts: BTreeMap<(Check, FindingState), usize>,
    /// When the next waiver ends.
    pub next_expiry: Option<Timestamp>,
}

fn covers(waiver: &Waiver, sight: &Sight) -> bool {
    waiver.check == sight.check
        && waiver.resource.as_ref().is_none_or(|resource| resource.eq_ignore_ascii_case(&sight.resource))
}

fn cut(text: &str, limit: usize) -> String {
    text.chars().take(limit).collect()
}

/// What the waivers make of `sight`: of several, the one that lasts longest counts.
fn weighed(mut sight: Sight, waivers: &[Waiver], now: Timestamp) -> Sight {
    let waiver = waivers.iter().filter(|waiver| covers(waiver, &sight)).max_by_key(|waiver| waiver.expires.0);
    let Some(waiver) = waiver.filter(|_| sight.state == FindingState::Fail) else { return sight };
    let until = rfc3339(waiver.expires.0);
    if waiver.expires.0 > now {
        sight.state = FindingState::Waived;
        sight.evidence = format!("{} (waived until {until}: {})", sight.evidence, waiver.reason);
    } else {
        sight.evidence = format!("{} (its waiver expired at {until})", sight.evidence);
    }
    sight
}

/// Turns `sights` into what is said. What was said before keeps its time.
pub fn report(sights: Vec<Sight>, spec: Option<&Posture>, previous: Option<&PostureStatus>, now: Timestamp) -> Said {
    let waivers = spec.map(|posture| posture.waivers.as_slice()).unwrap_or_default();
    let mut places: BTreeMap<(Check, String), Sight> = BTreeMap::new();
    for sight in sights.into_iter().map(|sight| weighed(sight, waivers, now)) {
        // Of two things that are found in one place, the worse one is told.
        match places.entry((sight.check, sight.resource.to_ascii_lowercase())) {
            Entry::Occupied(mut known) if sight.state < known.get().state => drop(known.insert(sight)),
            Entry::Occupied(_) => {}
            Entry::Vacant(place) => drop(place.insert(sight)),
        }
    }
    let mut counts: BTreeMap<(Check, FindingState), usize> = BTreeMap::new();
    for sight in places.values() {
        *counts.entry((sight.check, sight.state)).or_default() += 1;
    }
    let mut listed: Vec<Sight> = places.into_values().filter(|sight| sight.state != FindingState::Pass).collect();
    listed.sort_by_key(|sight| (sight.state, row(sight.check).severity, sight.check, sight.resource.clone()));
    let mut findings: Vec<Finding> = Vec::new();
    for Sight { check, resource, state, evidence, about } in listed {
        let resource = cut(&resource, RESOURCE);
        let said = previous.and_then(|status| {
            status.findings.iter().find(|said| said.check == check.as_str() && said.resource == resource)
        });
        // A waiver does not make a flaw younger.
        let is_flaw = |state: &str| state != FindingState::Unknown.as_str();
        let since = said.filter(|said| is_flaw(&said.state) == is_flaw(state.as_str())).map(|said| said.since.clone());
        let row = row(check);
        findings.push(Finding {
            check: check.as_str().to_owned(),
            fix: cut(&row.fix(&resource, &about), FIX),
            resource,
            state: state.as_str().to_owned(),
            severity: row.severity.as_str().to_owned(),
            evidence: cut(&evidence, EVIDENCE),
            mappings: row.mappings(),
            since: since.unwrap_or_else(|| rfc3339(now)),
        });
    }
    let count = |state: FindingState| -> i64 {
        let all: usize = counts.iter().filter(|((_, of), _)| *of == state).map(|(_, count)| *count).sum();
        i64::try_from(all).unwrap_or(i64::MAX)
    };
    let status = PostureStatus {
        failed: count(FindingState::Fail),
        unknown: count(FindingState::Unknown),
        waived: count(FindingState::Waived),
        passed: count(FindingState::Pass),
        findings: findings.iter().take(LISTED).cloned().collect(),
    };
    let ends = waivers.iter().map(|waiver| waiver.expires.0).filter(|end| *end > now).min();
    Said { secure: secure(&status), status, findings, counts, next_expiry: ends }
}

fn secure(status: &PostureStatus) -> ConditionDraft {
    let draft = |status, reason: &str, message: String| ConditionDraft {
        type_: SECURE,
        status,
        reason: reason.to_owned(),
        message,
    };
    let named = |state: FindingState| {
        let of_state = status.findings.iter().filter(|finding| finding.state == state.as_str());
        let name = |finding: &Finding| {
            format!("{} ({})", finding.check, finding.resource.rsplit('/').next().unwrap_or_default())
        };
        let mut names: Vec<String> = of_state.map(name).collect();
        let more = names.len().saturating_sub(NAMED);
        names.truncate(NAMED);
        let more = if more == 0 { String::new() } else { format!(" and {more} more") };
        format!("{}{more}", names.join(", "))
    };
    let rest = match status.waived {
        0 => String::new(),
        waived => format!("; {waived} waived"),
    };
    if status.failed > 0 {
        let unknown =
            if status.unknown == 0 { String::new() } else { format!("; {} could not be told", status.unknown) };
        let message =
            format!("{} flaws: {}{unknown}{rest}; status.posture says more", status.failed, named(FindingState::Fail));
        return draft(ConditionStatus::False, "FlawsFound", message);
    }
    if status.unknown > 0 {
        let message = format!(
            "no flaw was found, but {} things could not be told: {}{rest}; status.posture says why",
            status.unknown,
            named(FindingState::Unknown)
        );
        return draft(ConditionStatus::Unknown, "NotAllKnown", message);
    }
    draft(ConditionStatus::True, "NoFlaws", format!("{} checks found no flaw{rest}", status.passed))
}
