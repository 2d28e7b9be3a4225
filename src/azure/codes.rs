//! The one table that says what an ARM error means to the operator.

/// What an error means, and so who has to act.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorClass {
    /// 429: too many requests, for the subscription or for one provider.
    Throttled,
    /// Another operation holds the target, whatever the status says.
    Busy,
    /// A fault that passes: 5xx, 408, a broken connection, a timeout. A write may have happened.
    Transient,
    /// The resource asked for does not exist.
    NotFound,
    /// Something above or beside it does not exist: subscription, resource group, parent, a referenced resource.
    ParentNotFound,
    /// The operator's identity lacks a role.
    Forbidden,
    /// The token was refused, or none could be had.
    Unauthenticated,
    /// A lock on the resource or above it forbids the write.
    Locked,
    /// An Azure Policy assignment forbids the write.
    PolicyDenied,
    /// A quota or the region's capacity is used up.
    Quota,
    /// The subscription has not registered the resource provider.
    NotRegistered,
    /// A principal that was just made is not known everywhere yet.
    PrincipalNotReady,
    /// The request itself is wrong; the same request fails again.
    Validation,
    /// The workspace's identity (or the caller) may not approve connections on a rule's target.
    ApproverRoleMissing,
    /// A deleted workspace of the same name is kept, and was neither asked for nor purged.
    SoftDeleted,
    /// 412: the resource has changed since it was read.
    Precondition,
    /// What was to be created exists already under another name.
    Exists,
    /// An answer that cannot be read, or that asks for something the client refuses to do.
    Protocol,
    /// Nothing known: retried late, never given up.
    Unknown,
}

impl ErrorClass {
    /// The class as a metric label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Throttled => "throttled",
            Self::Busy => "busy",
            Self::Transient => "transient",
            Self::NotFound => "not_found",
            Self::ParentNotFound => "parent_not_found",
            Self::Forbidden => "forbidden",
            Self::Unauthenticated => "unauthenticated",
            Self::Locked => "locked",
            Self::PolicyDenied => "policy_denied",
            Self::Quota => "quota",
            Self::NotRegistered => "not_registered",
            Self::PrincipalNotReady => "principal_not_ready",
            Self::Validation => "validation",
            Self::ApproverRoleMissing => "approver_role_missing",
            Self::SoftDeleted => "soft_deleted",
            Self::Precondition => "precondition",
            Self::Exists => "exists",
            Self::Protocol => "protocol",
            Self::Unknown => "unknown",
        }
    }
}

/// What a code says on its own.
enum Row {
    /// It has this meaning wherever it appears.
    Means(ErrorClass),
    /// It says nothing: the details decide, and if they do not, the HTTP status.
    Wraps,
}

use ErrorClass as C;
use Row::{Means, Wraps};

/// Codes in lower case. Sources: the table of Azure's own operator, the recordings and specifications of the providers.
const CODES: &[(&str, Row)] = &[
    // Throttling of ARM itself, by subscription or tenant.
    ("subscriptionrequeststhrottled", Means(C::Throttled)),
    ("tenantrequeststhrottled", Means(C::Throttled)),
    // SQL answers this one with 503, and its siblings with 429.
    ("toomanyrequests", Means(C::Throttled)),
    ("subscriptiontoomanyrequests", Means(C::Throttled)),
    ("subscriptiontoomanycreateupdaterequests", Means(C::Throttled)),
    // Network says 429 when another operation locks the target: a busy target, not an empty bucket.
    ("retryableerrorduetoanotheroperation", Means(C::Busy)),
    ("anotheroperationinprogress", Means(C::Busy)),
    // Storage refuses a second write while the first one runs.
    ("storageaccountoperationinprogress", Means(C::Busy)),
    ("operationinprogress", Means(C::Busy)),
    // Network: a referenced resource is still being provisioned.
    ("referencedresourcenotprovisioned", Means(C::Busy)),
    ("retryableerror", Means(C::Busy)),
    // The general 409; AML's own body for it is undocumented.
    ("conflict", Means(C::Busy)),
    // SQL: another workflow overtook this one.
    ("operationinterrupted", Means(C::Busy)),
    ("operationcancelled", Means(C::Busy)),
    // Faults of the service, sometimes inside a 200 status document.
    ("internalservererror", Means(C::Transient)),
    ("internalerror", Means(C::Transient)),
    ("servererror", Means(C::Transient)),
    ("serviceunavailable", Means(C::Transient)),
    ("serverbusy", Means(C::Transient)),
    ("gatewaytimeout", Means(C::Transient)),
    ("operationtimedout", Means(C::Transient)),
    ("requesttimeout", Means(C::Transient)),
    // A long PATCH of an AML-like service reports this although the change was applied.
    ("transienterror", Means(C::Transient)),
    // Identity assignment to a resource failed half-way; Azure's own operator retries it.
    ("failedidentityoperation", Means(C::Transient)),
    // Above the resource.
    ("resourcegroupnotfound", Means(C::ParentNotFound)),
    ("parentresourcenotfound", Means(C::ParentNotFound)),
    ("subscriptionnotfound", Means(C::ParentNotFound)),
    // The body names a resource that is not there (yet): somebody else may be making it.
    ("invalidresourcereference", Means(C::ParentNotFound)),
    ("linkedinvalidpropertyid", Means(C::ParentNotFound)),
    // Roles.
    ("authorizationfailed", Means(C::Forbidden)),
    ("linkedauthorizationfailed", Means(C::Forbidden)),
    ("forbidden", Means(C::Forbidden)),
    ("roleassignmentupdatenotpermitted", Means(C::Forbidden)),
    // Tokens.
    ("invalidauthenticationtoken", Means(C::Unauthenticated)),
    ("invalidauthenticationtokentenant", Means(C::Unauthenticated)),
    ("expiredauthenticationtoken", Means(C::Unauthenticated)),
    ("authenticationfailed", Means(C::Unauthenticated)),
    // Locks and policies: their owners act.
    ("scopelocked", Means(C::Locked)),
    ("requestdisallowedbypolicy", Means(C::PolicyDenied)),
    // Capacity.
    ("resourcequotaexceeded", Means(C::Quota)),
    ("quotaexceeded", Means(C::Quota)),
    ("allocationfailed", Means(C::Quota)),
    ("skunotavailable", Means(C::Quota)),
    ("regionisofferrestricted", Means(C::Quota)),
    // 400 once a scope has as many role assignments as Azure allows.
    ("roleassignmentlimitexceeded", Means(C::Quota)),
    // The subscription's owner registers the provider; the operator never does.
    ("missingsubscriptionregistration", Means(C::NotRegistered)),
    ("missingregistrationforlocation", Means(C::NotRegistered)),
    ("subscriptionnotregistered", Means(C::NotRegistered)),
    ("invalidsubscriptionregistrationstate", Means(C::NotRegistered)),
    ("noregisteredproviderfound", Means(C::NotRegistered)),
    ("networkingsubscriptionnotregisteredwithsqlrp", Means(C::NotRegistered)),
    // Entra replicates a new managed identity within minutes.
    ("principalnotfound", Means(C::PrincipalNotReady)),
    // An assignment of the same role to the same principal exists under another id.
    ("roleassignmentexists", Means(C::Exists)),
    // Names of accounts, vaults and registries are host names, and somebody has this one. The status is 409, and no operation runs.
    ("storageaccountalreadytaken", Means(C::Exists)),
    ("vaultalreadyexists", Means(C::Exists)),
    ("alreadyinuse", Means(C::Exists)),
    ("preconditionfailed", Means(C::Precondition)),
    // About the request itself.
    ("locationnotavailableforresourcetype", Means(C::Validation)),
    ("invalidresourcegrouplocation", Means(C::Validation)),
    ("invalidresourcelocation", Means(C::Validation)),
    ("invalidresourcetype", Means(C::Validation)),
    ("invalidresourcename", Means(C::Validation)),
    ("reservedresourcename", Means(C::Validation)),
    ("invalidrequestcontent", Means(C::Validation)),
    ("invalidrequestformat", Means(C::Validation)),
    ("invalidparameter", Means(C::Validation)),
    ("invalidparametervalue", Means(C::Validation)),
    ("invalidvaluesforrequestparameters", Means(C::Validation)),
    ("invalidapiversionparameter", Means(C::Validation)),
    ("missingapiversionparameter", Means(C::Validation)),
    ("invalidtemplate", Means(C::Validation)),
    ("locationrequired", Means(C::Validation)),
    ("missingrequiredparameter", Means(C::Validation)),
    ("propertychangenotallowed", Means(C::Validation)),
    ("privateipaddressinreservedrange", Means(C::Validation)),
    ("privateipaddressnotinsubnet", Means(C::Validation)),
    ("methodnotallowed", Means(C::Validation)),
    ("badrequestformat", Means(C::Validation)),
    // SQL: the connection is already in a terminal state; a repeat cannot help.
    ("privateendpointconnectionstatusnotpending", Means(C::Validation)),
    ("incorrectprivatelinkserviceconnectionstatestatus", Means(C::Validation)),
    // Envelopes around the real error.
    ("deploymentfailed", Wraps),
    ("resourcedeploymentfailure", Wraps),
    ("invalidtemplatedeployment", Wraps),
    ("badrequest", Wraps),
    ("usererror", Wraps),
    ("validationerror", Wraps),
    ("systemerror", Wraps),
    ("multipleerrorsoccurred", Wraps),
];

/// Texts by which a service says that connections on a rule's target may not be approved. The codes beside them
/// (`UserError`, `ValidationError`) are used for everything, so the text has to decide: 2024 for the caller's right,
/// since 2025 for the workspace identity's.
const APPROVER_TEXTS: &[&str] = &[
    "does not have permission to approve private link connections",
    "have required permissions to read and approve private endpoint connections",
];

/// Texts that mean "another operation is running" under a code that does not say so.
const BUSY_TEXTS: &[&str] = &["another operation is in progress", "another operation on this or dependent resource"];

/// The text by which AML refuses a creation under the name of a deleted workspace that it keeps; its code is `BadRequest` (public
/// deployment logs: "Soft-deleted workspace exists. Please purge or recover it.").
const SOFT_DELETED_TEXT: &str = "soft-deleted workspace exists";

/// The text by which Key Vault refuses a creation under the name of a deleted vault that it keeps, under the code `ConflictError`, which
/// it also has for requests that meet.
const DELETED_VAULT_TEXT: &str = "already exists in deleted state";

/// One error as the service sent it, with the path it answers.
pub(super) struct Evidence<'a> {
    /// The HTTP status; none for the `error` of an operation's status document.
    pub(super) status: Option<u16>,
    /// Code and message, outermost first, then the details.
    pub(super) errors: &'a [(&'a str, &'a str)],
    /// The path asked for, if there is one.
    pub(super) path: Option<&'a str>,
}

/// What the evidence means.
pub(super) fn classify(evidence: &Evidence<'_>) -> ErrorClass {
    for (_, message) in evidence.errors {
        let message = message.to_lowercase();
        if APPROVER_TEXTS.iter().any(|text| message.contains(text)) {
            return C::ApproverRoleMissing;
        }
        if message.contains(SOFT_DELETED_TEXT) {
            return C::SoftDeleted;
        }
        if message.contains(DELETED_VAULT_TEXT) {
            return C::Exists;
        }
        if BUSY_TEXTS.iter().any(|text| message.contains(text)) {
            return C::Busy;
        }
    }
    // A refused token is a refused token, whatever the gateway calls it.
    if evidence.status == Some(401) {
        return C::Unauthenticated;
    }
    evidence
        .errors
        .iter()
        .find_map(|(code, message)| by_code(code, message, evidence))
        .unwrap_or_else(|| by_status(evidence))
}

fn by_code(code: &str, message: &str, evidence: &Evidence<'_>) -> Option<ErrorClass> {
    let code = code.to_lowercase();
    match CODES.iter().find(|(known, _)| *known == code) {
        Some((_, Means(class))) => Some(*class),
        Some((_, Wraps)) => None,
        None if evidence.status == Some(404) => missing(&code, message, evidence.path?),
        None => None,
    }
}

/// Which resource a 404 is about. Reading a missing parent as "the resource is absent" would make the operator create,
/// or forget, on no evidence: so a 404 counts only if what it names is the resource asked for.
fn missing(code: &str, message: &str, path: &str) -> Option<ErrorClass> {
    let subject = code.strip_suffix("notfound")?;
    let path = path.split('?').next().unwrap_or(path).trim_end_matches('/').to_lowercase();
    let own = match subject {
        // The gateway's text quotes the resource as 'Provider/type/name'; other texts quote nothing.
        "" | "resource" => quoted_resource(message).is_none_or(|name| path.ends_with(&format!("/{name}"))),
        // `RoleAssignmentNotFound`, `VaultNotFound`: the code names the type.
        _ => last_type(&path).is_some_and(|kind| singular(kind) == subject),
    };
    Some(if own { C::NotFound } else { C::ParentNotFound })
}

/// The first single-quoted `Provider/type/name` of a message, in lower case.
fn quoted_resource(message: &str) -> Option<String> {
    message.split('\'').skip(1).step_by(2).find(|quoted| quoted.contains('/')).map(str::to_lowercase)
}

/// The type of the resource that a lower-case path names: its last segment but one.
fn last_type(path: &str) -> Option<&str> {
    path.rsplit('/').nth(1)
}

fn singular(kind: &str) -> String {
    match (kind.strip_suffix("ies"), kind.strip_suffix('s')) {
        (Some(stem), _) => format!("{stem}y"),
        (None, Some(stem)) => stem.to_owned(),
        (None, None) => kind.to_owned(),
    }
}

/// What the HTTP status alone says, for codes that the table does not know.
fn by_status(evidence: &Evidence<'_>) -> ErrorClass {
    match evidence.status {
        // "Retry 408, 5xx" (ARM RPC, Addendum).
        Some(408 | 500..=599) => C::Transient,
        Some(429) => C::Throttled,
        // ARM documents no body for an AML 409; it ends with the operation that runs.
        Some(409) => C::Busy,
        Some(412) => C::Precondition,
        Some(403) => C::Forbidden,
        // A 400 about the body; an unknown code does not make it less so.
        Some(400 | 405 | 413 | 415 | 422) => C::Validation,
        // A failed operation whose error is only an envelope for bad input.
        None if evidence.errors.first().is_some_and(|(code, _)| {
            ["badrequest", "usererror", "validationerror"].contains(&code.to_lowercase().as_str())
        }) =>
        {
            C::Validation
        }
        // A 404 that names nothing (a proxy's, say) is no evidence of absence.
        _ => C::Unknown,
    }
}
