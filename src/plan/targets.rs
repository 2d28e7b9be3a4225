//! Which resources a policy decides on: one, or all of a type in a resource group. Which policies are on a target follows from
//! its id alone, so that it costs no question to ARM.

use serde_json::Value;

use crate::api::approval::Target;
use crate::api::ids::ArmId;

use super::outcome::{Reason, Requeue, Verdict};

/// What a policy's `target` means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Targets {
    /// This resource.
    One(ArmId),
    /// Every resource of this type in this group.
    Group {
        /// ARM id of any resource that belongs to it: holds subscription, group and type.
        member: ArmId,
        /// ARM path of the collection, where ARM lists it.
        path: String,
    },
}

/// Why a policy's `target` means nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoTarget {
    /// An id cannot be read.
    #[error("target: {0}")]
    Id(#[from] crate::api::ids::NoArmId),
    /// It says neither, or half.
    #[error("target: give resourceId, or resourceGroupId with resourceType")]
    Incomplete,
}

impl Targets {
    /// Reads a policy's `target`.
    ///
    /// # Errors
    /// If it is not what the schema asks for.
    pub fn of(target: &Target) -> Result<Self, NoTarget> {
        match (&target.resource_id, &target.resource_group_id, &target.resource_type) {
            (Some(id), None, None) => Ok(Self::One(ArmId::parse(id)?)),
            (None, Some(group), Some(type_)) => {
                let path = format!("{}/providers/{type_}", group.trim_end_matches('/'));
                let member = ArmId::parse(&format!("{path}/x"))?;
                if member.is(type_) { Ok(Self::Group { member, path }) } else { Err(NoTarget::Incomplete) }
            }
            _ => Err(NoTarget::Incomplete),
        }
    }

    /// The collection that a resource belongs to.
    pub fn around(id: &ArmId) -> Self {
        let (subscription, group, type_) = (id.subscription(), id.resource_group(), id.type_());
        let path = format!("/subscriptions/{subscription}/resourceGroups/{group}/providers/{type_}");
        Self::Group { member: id.clone(), path }
    }

    /// The type of all of them.
    pub fn type_(&self) -> String {
        match self {
            Self::One(id) | Self::Group { member: id, .. } => id.type_(),
        }
    }

    /// The resource or the collection, as an ARM path.
    pub fn path(&self) -> &str {
        match self {
            Self::One(id) => id.as_str(),
            Self::Group { path, .. } => path,
        }
    }

    /// The collection that they belong to: equal texts are the same collection.
    pub fn collection(&self) -> String {
        let (Self::One(id) | Self::Group { member: id, .. }) = self;
        let (subscription, group, type_) = (id.subscription(), id.resource_group(), id.type_());
        format!("/subscriptions/{subscription}/resourceGroups/{group}/providers/{type_}").to_ascii_lowercase()
    }

    /// True if `id` is one of them.
    pub fn covers(&self, id: &ArmId) -> bool {
        match self {
            Self::One(one) => one == id,
            Self::Group { member, .. } => {
                id.is(&member.type_())
                    && id.subscription().eq_ignore_ascii_case(member.subscription())
                    && id.resource_group().eq_ignore_ascii_case(member.resource_group())
            }
        }
    }

    /// True if some resource may be both of these and of `others`.
    pub fn meets(&self, others: &Self) -> bool {
        match (self, others) {
            (Self::One(id), _) => others.covers(id),
            (Self::Group { .. }, Self::One(id) | Self::Group { member: id, .. }) => self.covers(id),
        }
    }

    /// The resources that `listed`, ARM's list of the collection, shows, by id. What is not of it is left out: an answer must
    /// not lead the operator elsewhere.
    pub fn found(&self, listed: &[Value]) -> Vec<ArmId> {
        let ids = listed.iter().filter_map(|item| ArmId::parse(item.get("id")?.as_str()?).ok());
        let mut found: Vec<ArmId> = ids.filter(|id| self.covers(id)).collect();
        found.sort_by_key(ArmId::key);
        found.dedup();
        found
    }
}

/// What of a group's resources a policy decides on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// On these.
    pub attended: Vec<ArmId>,
    /// Not on these: no grant lets its namespace approve there.
    pub skipped: Vec<ArmId>,
    /// Not on these: they are too many.
    pub left_over: Vec<ArmId>,
}

/// Chooses from `found` at most `most` of those that are `allowed`. Who is `known` comes first, and of those who was attended last,
/// which is last in the list: a resource created later must not push out one whose approvals are followed.
pub fn choose(found: Vec<ArmId>, allowed: impl Fn(&ArmId) -> bool, known: &[ArmId], most: usize) -> Choice {
    let (mut attended, skipped): (Vec<ArmId>, Vec<ArmId>) = found.into_iter().partition(allowed);
    let place = |id: &ArmId| known.iter().rposition(|known| known == id);
    attended.sort_by_cached_key(|id| (std::cmp::Reverse(place(id)), id.key()));
    let left_over = attended.split_off(attended.len().min(most));
    attended.sort_by_cached_key(ArmId::key);
    Choice { attended, skipped, left_over }
}

/// What a group's page remembers of its targets, in the order in which they were attended: `before`, with those `attended` now at
/// the end. Of more than `most` the first are forgotten, but none that is attended.
pub fn remembered(before: &[String], attended: &[ArmId], most: usize) -> Vec<String> {
    let is_attended = |id: &&String| attended.iter().any(|now| now.as_str().eq_ignore_ascii_case(id));
    let others: Vec<&String> = before.iter().filter(|id| !is_attended(id)).collect();
    let forgotten = (others.len() + attended.len()).saturating_sub(most).min(others.len());
    others[forgotten..].iter().map(|id| (*id).clone()).chain(attended.iter().map(ArmId::to_string)).collect()
}

/// Some ids for a message, and how many more there are.
pub fn named(ids: &[ArmId]) -> String {
    let listed: Vec<&str> = ids.iter().take(5).map(ArmId::as_str).collect();
    let more = ids.len().saturating_sub(5);
    listed.join(", ") + &if more == 0 { String::new() } else { format!(" and {more} more") }
}

/// What to say of a policy that decides on several targets: what needs somebody's hand most, and how many more there are of
/// that sort; if nothing does, that it is in force, or `observes` only.
pub fn summary(targets: &Targets, choice: &Choice, verdicts: &[(ArmId, Verdict)], observes: bool) -> Verdict {
    let urgency = |verdict: &Verdict| match verdict.reason.requeue() {
        _ if verdict.reason.is_ready() => 3,
        Requeue::Resync => 2,
        Requeue::Soon => 1,
        Requeue::Slow | Requeue::Backoff => 0,
    };
    let worst = verdicts.iter().min_by_key(|(_, verdict)| urgency(verdict));
    match (worst, targets) {
        (Some((_, verdict)), Targets::One(_)) => return verdict.clone(),
        (Some((id, verdict)), _) if !verdict.reason.is_ready() => {
            let more = verdicts.iter().filter(|(_, other)| other.reason == verdict.reason).count() - 1;
            let more = if more == 0 { String::new() } else { format!(". The same goes for {more} more targets") };
            return Verdict { message: format!("{id}: {}{more}", verdict.message), ..verdict.clone() };
        }
        _ => {}
    }
    if !choice.left_over.is_empty() {
        let message = format!(
            "a policy decides on at most {} resources; nothing is decided on {}. Write policies with resourceId for those",
            choice.attended.len(),
            named(&choice.left_over)
        );
        return Verdict::new(Reason::TooManyTargets, message);
    }
    if choice.attended.is_empty() && !choice.skipped.is_empty() {
        let message = format!(
            "no grant lets this namespace approve on {}. A platform administrator can add a grant with scope {} (or a path above \
             it) and verbs: [approve]",
            named(&choice.skipped),
            targets.path()
        );
        return Verdict::new(Reason::ScopeNotAllowed, message);
    }
    let all = choice.attended.len() + choice.skipped.len();
    in_force(observes, &format!("{} of {all} resources in {}", choice.attended.len(), targets.path()))
}

/// What to say of a policy that decides, and with DryRun `observes` only, on the connections of `what`.
pub fn in_force(observes: bool, what: &str) -> Verdict {
    if observes {
        let message = format!(
            "decides on the connections of {what}, and neither approves nor rejects: status.connections says what it would do. Take \
             spec.mode out to let it act"
        );
        return Verdict::new(Reason::DryRun, message);
    }
    Verdict::new(Reason::InForce, format!("decides on the connections of {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const GROUP: &str = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/data";
    const STORAGE: &str = "Microsoft.Storage/storageAccounts";

    fn id(type_: &str, name: &str) -> ArmId {
        ArmId::parse(&format!("{GROUP}/providers/{type_}/{name}")).unwrap()
    }

    fn targets(value: Value) -> Result<Targets, NoTarget> {
        Targets::of(&serde_json::from_value(value).unwrap())
    }

    fn group() -> Targets {
        targets(json!({"resourceGroupId": GROUP, "resourceType": STORAGE})).unwrap()
    }

    #[test]
    fn a_group_covers_its_resources_of_the_type_and_nothing_else() {
        let group = group();
        assert!(group.covers(&ArmId::parse(&id(STORAGE, "lake").as_str().to_uppercase()).unwrap()));
        for other in [
            id("Microsoft.Sql/servers", "orders"),
            id("Microsoft.Storage/storageAccounts/blobServices", "lake/default").child("x", "y").unwrap(),
            ArmId::parse(&format!("{GROUP}2/providers/{STORAGE}/lake")).unwrap(),
        ] {
            assert!(!group.covers(&other), "{other}");
        }
        assert_eq!(group.path(), Targets::around(&id(STORAGE, "lake")).path());
        for bad in [
            json!({"resourceGroupId": GROUP}),
            json!({"resourceId": id(STORAGE, "lake").as_str(), "resourceType": STORAGE}),
            json!({"resourceGroupId": format!("{GROUP}/.."), "resourceType": STORAGE}),
            json!({"resourceGroupId": format!("{GROUP}/providers/A.B/c/d"), "resourceType": "providers/x"}),
            json!({"resourceGroupId": GROUP, "resourceType": "Microsoft.Storage"}),
        ] {
            assert!(targets(bad.clone()).is_err(), "{bad}");
        }
    }

    #[test]
    fn policies_meet_where_a_resource_may_be_both_s() {
        let one = |type_, name| Targets::One(id(type_, name));
        let (lake, pond, sql) = (one(STORAGE, "lake"), one(STORAGE, "pond"), one("Microsoft.Sql/servers", "lake"));
        for (a, b, want) in [
            (&lake, &lake, true),
            (&lake, &pond, false),
            (&lake, &group(), true),
            (&sql, &group(), false),
            (&group(), &group(), true),
            (&group(), &Targets::around(&id("Microsoft.Sql/servers", "lake")), false),
        ] {
            assert_eq!((a.meets(b), b.meets(a)), (want, want), "{a:?} {b:?}");
        }
    }

    #[test]
    fn what_arm_lists_is_taken_only_from_the_group() {
        let listed = [
            json!({"id": id(STORAGE, "pond").as_str()}),
            json!({"id": id(STORAGE, "lake").as_str()}),
            json!({"id": id(STORAGE, "LAKE").as_str()}),
            json!({"id": id("Microsoft.Sql/servers", "orders").as_str()}),
            json!({"id": format!("{GROUP}2/providers/{STORAGE}/lake")}),
            json!({"id": format!("{GROUP}/providers/{STORAGE}/../x")}),
            json!({"name": "nameless"}),
        ];
        assert_eq!(group().found(&listed), [id(STORAGE, "lake"), id(STORAGE, "pond")]);
    }

    #[test]
    fn who_is_attended_stays_so_and_the_rest_is_named() {
        let all = ["a", "b", "c", "denied"].map(|name| id(STORAGE, name));
        let allowed = |id: &ArmId| id.name() != "denied";
        let choice = choose(all.to_vec(), allowed, &all[2..3], 2);
        assert_eq!(choice.attended, [all[0].clone(), all[2].clone()], "what came later does not push out the third");
        assert_eq!((choice.left_over.as_slice(), choice.skipped.as_slice()), (&all[1..2], &all[3..]));
        let good: Vec<(ArmId, Verdict)> =
            choice.attended.iter().map(|id| (id.clone(), Verdict::new(Reason::InForce, ""))).collect();
        let said = summary(&group(), &choice, &good, false);
        assert!(said.reason == Reason::TooManyTargets && said.message.contains(all[1].as_str()), "{said:?}");
    }

    #[test]
    fn after_a_restart_who_was_attended_last_is_attended() {
        let all: Vec<ArmId> = ["a", "b", "c", "d"].map(|name| id(STORAGE, name)).to_vec();
        let names = |ids: &[String]| ids.iter().map(|id| id.rsplit('/').next().unwrap().to_owned()).collect::<Vec<_>>();
        let pick = |found: &[ArmId], page: &[String]| {
            let known: Vec<ArmId> = page.iter().map(|id| ArmId::parse(id).unwrap()).collect();
            choose(found.to_vec(), |_| true, &known, 2).attended
        };
        // c and d are there first; then c goes for a while, and b comes in its place.
        let page = remembered(&[], &pick(&all[2..], &[]), 3);
        assert_eq!(names(&page), ["c", "d"]);
        let page = remembered(&page, &pick(&[all[1].clone(), all[3].clone()], &page), 3);
        assert_eq!(names(&page), ["c", "b", "d"]);
        // All of them are there now, and nothing but the page tells who was attended.
        assert_eq!(pick(&all, &page), [all[1].clone(), all[3].clone()]);
        assert_eq!(names(&remembered(&page, &all[..2], 3)), ["d", "a", "b"], "the oldest is forgotten");
        assert_eq!(remembered(&page, &all, 3).len(), 4, "none that is attended is");
    }

    #[test]
    fn of_several_targets_the_one_that_needs_a_hand_is_told() {
        let (a, b) = (id(STORAGE, "a"), id(STORAGE, "b"));
        let choice = Choice { attended: vec![a.clone(), b.clone()], ..Choice::default() };
        let say = |first, second| {
            summary(
                &group(),
                &choice,
                &[(a.clone(), Verdict::new(first, "m")), (b.clone(), Verdict::new(second, "m"))],
                false,
            )
        };
        assert_eq!(say(Reason::InForce, Reason::InForce).reason, Reason::InForce);
        let said = say(Reason::Updating, Reason::LedgerDamaged);
        assert!(said.reason == Reason::LedgerDamaged && said.message.starts_with(b.as_str()), "{said:?}");
        assert!(say(Reason::Locked, Reason::Locked).message.contains("1 more"));
        assert_eq!(say(Reason::InForce, Reason::Updating).reason, Reason::Updating);
        let none = Choice { skipped: vec![a.clone()], ..Choice::default() };
        assert_eq!(summary(&group(), &none, &[], false).reason, Reason::ScopeNotAllowed);
        assert_eq!(
            summary(&group(), &Choice::default(), &[], false).reason,
            Reason::InForce,
            "an empty group is no fault"
        );
    }
}
