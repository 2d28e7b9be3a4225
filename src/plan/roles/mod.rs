//! Which roles a workspace's identity needs, whether it holds them, and what is assigned or taken back.

mod approver;
mod grants;
mod needs;
mod record;

pub use approver::{
    Approver, ApproverInput, Blocked, RuleOnTarget, Surprise, attend as attend_target, newly_approved, permits, written,
};
pub use grants::{
    Assign, Grants, GrantsInput, RolesReady, TakeBack, assignment_path, description, is_ours, may_grant, plan,
    same_as_pinned,
};
pub use needs::{
    Identity, IdentityKind, KEY_VAULT_ADMINISTRATOR, Need, Role, RoleCheck, acting, check, check_all, missing,
    of_target, of_workspace,
};
pub use record::{End, Entry, Pin, Record, Spent, Term};

#[cfg(test)]
mod tests;
