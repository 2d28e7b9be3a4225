//! How the connections of one provider differ from another's.

use crate::call::Style;
use crate::ids;

mod targets;
mod workspace;

/// What stands before the guid in a connection's name.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Naming {
    /// `{account}.{guid}` (recordings of Storage).
    Target,
    /// `{endpoint}.{guid}`.
    Endpoint,
    /// `{endpoint}-{guid}` (an exported template of a SQL server).
    EndpointDashed,
    /// `{guid}` (examples of OpenAPI EventHub 2024-01-01 and ServiceBus 2021-06-01-preview).
    Guid,
}

/// How a connection states its sub-resources.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Stated {
    /// It does not: nobody but the requester can tell.
    Not,
    /// In the list `groupIds`.
    GroupIds,
    /// In the text `groupId`.
    GroupId,
}

/// How the target's own document shows its connections.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Embedded {
    Not,
    /// `properties.privateEndpointConnections`, each as it is.
    Whole,
    /// The same without `name` and `type`.
    Brief,
    /// `properties.registryPrivateEndpointConnections`, with names of its own (OpenAPI MachineLearningServices
    /// 2024-10-01, registries).
    Registry,
}

/// What a DELETE shows that is done when it is answered.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Farewell {
    Nothing,
    /// A body of no characters (recording of Storage).
    EmptyText,
    /// The connection by its `provisioningState` only (OpenAPI KeyVault 2024-11-01 and its example).
    State,
    /// The connection, disconnected (example of OpenAPI Search 2020-08-01).
    Connection,
}

/// The values of a connection's `provisioningState`.
pub(super) struct States {
    /// Before anybody has decided; `None` is not shown.
    pub(super) waiting: Option<&'static str>,
    pub(super) settled: &'static str,
    pub(super) approving: &'static str,
    pub(super) rejecting: &'static str,
    pub(super) deleting: &'static str,
}

/// A sub-resource that an endpoint can be connected to.
pub(super) struct Group {
    pub(super) name: &'static str,
    /// `{name}` stands for the target's name, `{location}` for its region.
    pub(super) members: &'static [&'static str],
    /// The private DNS zones that its names need (Microsoft's page on the DNS of private endpoints).
    pub(super) zones: &'static [&'static str],
}

/// How a provider's connections differ from the others'.
pub(crate) struct Dialect {
    /// The type of the target.
    kind: &'static str,
    /// Storage spells it in the singular; `None` where there is no such field.
    pub(super) actions_field: Option<&'static str>,
    /// A version that spells it otherwise, and how.
    pub(super) other_spelling: Option<(&'static str, &'static str)>,
    /// `None` where a connection has no `provisioningState`.
    pub(super) states: Option<States>,
    pub(super) naming: Naming,
    pub(super) stated: Stated,
    /// Whether a connection says since when it is there. Chosen: wherever its specification has `systemData`.
    pub(super) dated: bool,
    pub(super) embedded: Embedded,
    /// What a PUT may state.
    pub(super) statuses: &'static [&'static str],
    /// The code for a status that is not one of these.
    pub(super) bad_status: &'static str,
    pub(super) description_required: bool,
    /// Whether only a pending connection can be decided.
    pub(super) decided_once: bool,
    pub(super) put: Style,
    pub(super) delete: Style,
    pub(super) farewell: Farewell,
    /// Whether deleting what is not there is an error.
    pub(super) delete_insists: bool,
    pub(super) groups: &'static [Group],
    /// Where a target decides what can be connected to: the list in its `properties` whose items these are.
    pub(super) groups_in: Option<&'static str>,
}

const UPDATING: States = States {
    waiting: Some("Succeeded"),
    settled: "Succeeded",
    approving: "Updating",
    rejecting: "Updating",
    deleting: "Deleting",
};

const CREATING: States = States { approving: "Creating", rejecting: "Creating", ..UPDATING };

/// From the common private-link types of ARM; what the providers below do not say otherwise.
const COMMON: Dialect = Dialect {
    kind: "",
    actions_field: Some("actionsRequired"),
    other_spelling: None,
    states: Some(UPDATING),
    naming: Naming::Endpoint,
    stated: Stated::GroupIds,
    dated: false,
    embedded: Embedded::Whole,
    statuses: &["Pending", "Approved", "Rejected", "Disconnected"],
    bad_status: "BadRequest",
    description_required: false,
    decided_once: false,
    put: Style::at_once(200),
    delete: Style::at_once(200),
    farewell: Farewell::Nothing,
    delete_insists: false,
    groups: &[],
    groups_in: None,
};

/// The dialect of a target, by its type.
pub(crate) fn dialect(target: &str) -> &'static Dialect {
    let kind = ids::resource_type(target).unwrap_or_default();
    let mut known = workspace::DIALECTS.iter().chain(targets::DIALECTS);
    known.find(|dialect| dialect.kind.eq_ignore_ascii_case(&kind)).unwrap_or(&COMMON)
}

/// Whether a target of a known type has this sub-resource; unknown types are not judged.
pub(crate) fn has_group(target: &str, group: &str) -> bool {
    let groups = dialect(target).groups;
    groups.is_empty() || groups.iter().any(|known| known.name.eq_ignore_ascii_case(group))
}
