//! What holds from any state, for any objects, whatever ARM refuses.

use proptest::prelude::*;

use super::*;

/// A standing drawn at random; the number tells contents apart.
fn any_standing() -> impl Strategy<Value = Standing> {
    prop_oneof![
        4 => (0..3u8).prop_map(|n| Standing::Wanted(fqdn(&format!("{n}.org")))),
        1 => Just(Standing::Frozen(Verdict::new(Reason::Suspended, ""))),
        1 => (0..3u8).prop_map(|n| Standing::Observed(fqdn(&format!("{n}.org")))),
        1 => (0..3u8).prop_map(|n| Standing::Removing(Some(fqdn(&format!("{n}.org"))))),
    ]
}

fn any_claim() -> impl Strategy<Value = Option<Adoption>> {
    prop_oneof![3 => Just(None), 1 => Just(Some(Adoption::IfMatching)), 1 => Just(Some(Adoption::Always))]
}

proptest! {
    /// From any state, whatever ARM refuses: it comes to rest, what is wanted is there, and nobody else's rule is touched.
    #[test]
    fn it_comes_to_rest_and_loses_nobodys_rule(
        objects in prop::collection::btree_map(0..8u8, (any_standing(), any_claim()), 0..8),
        existing in prop::collection::btree_map(0..12u8, 0..3u8, 0..10),
        bad in prop::collection::btree_set(0..12u8, 0..3),
        orphan in any::<bool>(),
        exclusive in prop::option::of(prop::collection::btree_set(0..12u8, 0..12)), prune in any::<bool>(), index_whole in any::<bool>(), replaces in any::<bool>(),
    ) {
        let name = |n: &u8| format!("rule-{n:02}");
        let objects: Vec<Declared> = objects
            .into_iter()
            .map(|(n, (standing, claim))| Declared { claim, ..declared(&name(&n), standing) })
            .collect();
        let mut before: Vec<OutboundRule> = existing.iter().map(|(n, host)| active(&name(n), &format!("{host}.org"))).collect();
        before.push(service_made());
        let orphan_name = names::rule_name(INSTALLATION, "team", "gone");
        before.extend(orphan.then(|| active(&orphan_name, "o.org")));
        let bad: Vec<String> = bad.iter().map(name).collect();
        let mut lane = Lane::new(objects, before.clone());
        let acknowledged: Option<BTreeSet<String>> = exclusive.map(|names| names.iter().map(name).collect());
        (lane.exclusive, lane.prune, lane.index_whole) = (acknowledged.clone(), prune, index_whole);

        let writes = lane.settle(&bad, replaces);
        for write in &writes {
            prop_assert!(!write.names().contains("login-rule"));
            if let RuleWrite::Patch { rules, .. } = write {
                prop_assert!(!rules.contains_key("login-rule"), "the service's rules are never sent");
            }
        }
        let decided = lane.plan();
        prop_assert_eq!(&decided.write, &None);
        for rule in &before {
            let owner = lane.declared.iter().find(|declared| declared.azure_name == rule.name);
            let may_go = match owner.map(|owner| &owner.standing) {
                Some(Standing::Frozen(_) | Standing::Observed(_)) => false,
                Some(_) => !bad.contains(&rule.name)
                    && ![Reason::AdoptionRefused, Reason::ManagedElsewhere].contains(&decided.states[&key(&rule.name)].verdict.reason)
                    && !(owner.unwrap().claim == Some(Adoption::IfMatching)),
                None if !rule.is_user_defined() => false,
                None if rule.name == orphan_name => index_whole && prune,
                None => index_whole && !bad.contains(&rule.name)
                    && acknowledged.as_ref().is_some_and(|names| names.contains(&rule.name)),
            };
            prop_assert!(may_go || lane.shows(&rule.name) == RuleBody::observed(rule) || owner.is_some_and(|owner| {
                matches!((&owner.standing, &owner.claim), (Standing::Removing(_), Some(Adoption::IfMatching)))
                    && owner.standing == Standing::Removing(RuleBody::observed(rule))
            }), "{} was touched", rule.name);
        }
        for declared in &lane.declared {
            let state = &decided.states[&declared.key];
            match &declared.standing {
                Standing::Wanted(body) => {
                    let there = lane.shows(&declared.azure_name).is_some_and(|shown| shown == *body);
                    prop_assert_eq!(there, state.verdict.reason == Reason::Active, "{:?}", state);
                    let excused = [Reason::AdoptionRefused, Reason::ManagedElsewhere].contains(&state.verdict.reason);
                    prop_assert!(there || bad.contains(&declared.azure_name) || excused, "{:?}", state);
                }
                Standing::Removing(_) => prop_assert!(state.gone || bad.contains(&declared.azure_name)),
                Standing::Frozen(_) | Standing::Observed(_) => {}
            }
        }
    }

    /// The order in which the objects and ARM's rules come makes no difference: neither to what is written nor to what is said.
    #[test]
    fn the_order_of_objects_makes_no_difference(
        objects in prop::collection::vec((any_standing(), any_claim(), 0..3u8), 1..8),
        existing in prop::collection::btree_map(0..8u8, 0..3u8, 0..8),
        exclusive in any::<bool>(),
        seed in any::<prop::sample::Index>(),
    ) {
        let name = |n: usize| format!("rule-{n:02}");
        let objects: Vec<Declared> = objects
            .into_iter()
            .enumerate()
            .map(|(n, (standing, claim, age))| {
                Declared { claim, created: format!("2026-01-0{}T00:00:00Z", age + 1), ..declared(&name(n), standing) }
            })
            .collect();
        let observed: Vec<OutboundRule> =
            existing.iter().map(|(n, host)| active(&name(usize::from(*n)), &format!("{host}.org"))).collect();
        let mut one = Lane::new(objects, observed);
        one.exclusive = exclusive.then(|| said(&["rule-07"]));
        let mut other = one.clone();
        let (half, third) = (seed.index(other.declared.len()), seed.index(other.observed.len().max(1)));
        other.declared.rotate_left(half);
        other.declared.reverse();
        other.observed.reverse();
        let third = third.min(other.observed.len());
        other.observed.rotate_left(third);
        let (decided, mut again) = (one.plan(), other.plan());
        // Lists of names are told as ARM shows them.
        again.unmanaged.sort();
        let mut decided = decided;
        decided.unmanaged.sort();
        decided.door = decided.door.map(|door| Verdict::new(door.reason, ""));
        again.door = again.door.map(|door| Verdict::new(door.reason, ""));
        prop_assert_eq!(decided, again);
    }

    /// Without the word for the firewall no host name is written, alone or among others, unless there is one already.
    #[test]
    fn no_plan_starts_a_firewall_without_a_word(
        hosts in prop::collection::btree_set(0..6u8, 1..6), endpoints in prop::collection::btree_set(6..9u8, 0..3),
        running in any::<bool>(), mode in 0..3usize,
    ) {
        let target = |n: u8| RuleBody::PrivateEndpoint {
            resource_id: format!("{LAKE}{n}"), subresource: "dfs".into(), spark_enabled: false, fqdns: vec![],
        };
        let mut objects: Vec<Declared> = hosts.iter().map(|n| wanted(&format!("host-{n}"))).collect();
        objects.extend(endpoints.iter().map(|n| declared(&format!("lake-{n}"), Standing::Wanted(target(*n)))));
        let mut lane = Lane::new(objects, if running { vec![active("theirs", "x.org")] } else { vec![service_made()] });
        lane.firewall_closed = Some("Basic");
        lane.isolation =
            [IsolationMode::AllowOnlyApprovedOutbound, IsolationMode::AllowInternetOutbound, IsolationMode::Disabled][mode];
        // What the service itself makes says nothing about a firewall of ours.
        lane.observed.retain(OutboundRule::is_user_defined);
        for write in lane.settle(&[], true) {
            let bodies: Vec<Value> = match write {
                RuleWrite::Patch { rules, .. } => rules.into_iter().map(|(_, body)| body).collect(),
                RuleWrite::Put { properties, .. } => vec![properties],
                RuleWrite::Delete { .. } => vec![],
            };
            let names_host = bodies.iter().any(|body| body["type"] == "FQDN");
            prop_assert!(!names_host || (running && mode == 0), "{bodies:?}");
            prop_assert!(mode != 2 || bodies.is_empty(), "there is no network to write to");
        }
    }
}

/// Hundreds of rules cost one look at each: what a plan does grows with their number and not with its square.
#[test]
fn five_hundred_rules_come_in_one_write_and_leave_nothing_to_do() {
    for (count, strangers) in [(500, 0), (500, 5)] {
        let names: Vec<String> = (0..count).map(|n| format!("rule-{n:03}")).collect();
        let theirs = (0..strangers).map(|n| active(&format!("theirs-{n}"), &format!("x{n}.org")));
        let mut lane = Lane::new(names.iter().map(|name| wanted(name)).collect(), theirs.collect());
        if strangers == 0 {
            assert_eq!(lane.settle(&[], true).len(), 1);
        } else {
            // One by one, as many as there are rules: enough to see where it goes without 500 x 500 steps.
            for _ in 0..20 {
                let write = lane.turn().write.unwrap();
                assert!(matches!(write, RuleWrite::Put { .. }), "{write:?}");
                lane.apply(&write, true);
            }
            assert_eq!(lane.plan().states.values().filter(|state| state.verdict.reason == Reason::Active).count(), 20);
        }
    }
}
