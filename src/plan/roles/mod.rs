//! Which roles a workspace's identity needs, whether it holds them, and what is assigned or taken back.

mod approver;
mod asked;
mod grants;
mod needs;
mod record;

pub use approver::{
    Approver, ApproverInput, Blocked, RuleOnTarget, Surprise, attend as attend_target, newly_approved, written,
};
pub use asked::{Asked, due, is_kept, is_taken, turns_on};
pub use grants::{
    Assign, Grants, GrantsInput, RolesReady, TakeBack, assignment_path, description, is_grantable, is_harmless,
    is_ours, plan, same_as_pinned,
};
pub use needs::{
    Checked, Identity, IdentityKind, KEY_VAULT_ADMINISTRATOR, Need, Role, RoleCheck, acting, check, check_all,
    check_role, declared, held_since, missing, missing_role, of_key, of_target, of_workspace,
};
pub use record::{End, Entry, Pin, Record, Spent, Term};

#[cfg(test)]
mod histories;
#[cfg(test)]
mod tests;
