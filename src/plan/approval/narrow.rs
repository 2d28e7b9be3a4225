//! What an entry's expression says of a connection. It comes on top of all else that the entry states, so it can only narrow.
//!
//! Three-valued as everything here: a part that asks for what ARM does not state is unknown, and what is unknown does not allow.
//! `&&` and `||` go by CEL's own rule, by which `false && …` and `true || …` hold whatever the rest is.

use crate::api::expression::{List, Test, Text};
use crate::azure::private_link::Stated;

use super::matching::{Facts, Truth, is_own};

/// Whether `test` holds.
pub(super) fn holds(test: &Test, facts: &Facts, own_subscriptions: &[String]) -> Truth {
    let compare =
        |left: &Text, right: &Text, compare: fn(&str, &str) -> bool| match (text(left, facts), text(right, facts)) {
            (Some(left), Some(right)) => compare(&left, &right).into(),
            _ => Truth::Unknown,
        };
    let each = |test| holds(test, facts, own_subscriptions);
    match test {
        Test::Constant(value) => (*value).into(),
        Test::OwnSubscription => facts
            .private_endpoint()
            .map_or(Truth::Unknown, |endpoint| is_own(endpoint.subscription(), own_subscriptions).into()),
        Test::Not(test) => !each(test),
        Test::All(tests) => tests.iter().map(each).fold(Truth::Yes, Truth::and),
        // Not all of them fail.
        Test::Any(tests) => !tests.iter().map(|test| !each(test)).fold(Truth::Yes, Truth::and),
        Test::Equal(left, right) => compare(left, right, |left, right| left == right),
        Test::StartsWith(left, right) => compare(left, right, |left, right| left.starts_with(right)),
        Test::EndsWith(left, right) => compare(left, right, |left, right| left.ends_with(right)),
        Test::Contains(left, right) => compare(left, right, |left, right| left.contains(right)),
        Test::In(wanted, List::Literal(texts)) => {
            !texts.iter().map(|one| !compare(wanted, one, |left, right| left == right)).fold(Truth::Yes, Truth::and)
        }
        Test::In(wanted, List::SubResources) => match (text(wanted, facts), &facts.sub_resources) {
            (Some(wanted), Stated::Groups(groups)) => {
                groups.iter().any(|group| group.eq_ignore_ascii_case(&wanted)).into()
            }
            _ => Truth::Unknown,
        },
    }
}

/// What a text is, in lower case, if ARM states it.
fn text(text: &Text, facts: &Facts) -> Option<String> {
    let endpoint = facts.private_endpoint();
    Some(match text {
        Text::Literal(literal) => literal.clone(),
        Text::Id => endpoint?.key(),
        Text::Subscription => endpoint?.subscription().to_ascii_lowercase(),
        Text::ResourceGroup => endpoint?.resource_group().to_ascii_lowercase(),
        Text::Name => endpoint?.name().to_ascii_lowercase(),
    })
}
