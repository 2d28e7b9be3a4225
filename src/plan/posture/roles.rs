//! Where the workspace's identity may approve connections. Whoever holds that right on a resource may approve anything that is pending
//! there; it is needed only while a rule's connection is approved.

use crate::api::ids::ArmId;
use crate::api::workspace::Check;

use super::Sight;
use super::facts::Facts;

pub(super) fn judge(facts: &Facts<'_>) -> Vec<Sight> {
    let id = facts.id.as_str();
    let held = match facts.roles {
        Ok(held) => held,
        Err(why) => {
            let unknown =
                |check| Sight::unknown(check, id, format!("the identity's role assignments are not known: {why}"));
            return vec![unknown(Check::ApproverRoleTooWide), unknown(Check::ApproverRoleStanding)];
        }
    };
    let mut sights = Vec::new();
    for role in held {
        // A group, a subscription or more has no resource's id.
        if ArmId::parse(&role.scope).is_err() {
            let evidence = format!(
                "the workspace's identity holds {} here, and may approve whatever asks on anything below",
                role.name
            );
            sights.push(Sight::fail(Check::ApproverRoleTooWide, scope(&role.scope), evidence).about(&role.id));
        } else if !role.temporary {
            let evidence = format!("the workspace's identity holds {} here, and may approve whatever asks", role.name);
            sights.push(Sight::fail(Check::ApproverRoleStanding, &role.scope, evidence).about(&role.id));
        }
    }
    for check in [Check::ApproverRoleTooWide, Check::ApproverRoleStanding] {
        if !sights.iter().any(|sight| sight.check == check) {
            sights.push(Sight::pass(check, id));
        }
    }
    sights
}

/// The root of a tenant has an empty path.
fn scope(scope: &str) -> &str {
    if scope.is_empty() { "/" } else { scope }
}
