//! What brings one datastore to what is declared. A plan never holds a secret: it knows its fingerprint, and a stand-in goes into the
//! body until the request goes out.

mod consent;
mod reach;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::api::OWNER_TAG;
use crate::api::condition::{ConditionDraft, ConditionStatus};
use crate::api::connection::Verb;
use crate::api::datastore::{AmlDatastoreSpec, AmlDatastoreStatus, CREDENTIAL_TAG, DatastoreCredential, Place};
use crate::api::ids::ArmId;
use crate::azure::datastore::{API_VERSION, Datastore};
use crate::azure::storage::Account;

use super::attached::{Decided, Farewell, Policies, Site};
use super::difference::{Comparison, Difference, Mend};
use super::existing::{Existing, Next};
use super::outcome::{Reason, Verdict};
use super::ownership::{Origin, Owner};
use super::step::Step;

pub use consent::{HOW_TO_ALLOW, consents};
pub use reach::{Coming, REACHABLE};

/// Says whether a change of the Secret is seen at once.
pub const CREDENTIAL_FOLLOWED: &str = "CredentialFollowed";
/// Why what differs can only be made anew (`x-ms-mutability` of the specification).
const AT_CREATION: Mend = Mend::Recreate("Azure takes it at creation only");
/// Azure does not try the place out: it looks from outside of every network, where a closed account does not answer. That the account
/// is the one that is meant is seen otherwise. Microsoft's own client does the same.
const UNTRIED: &str = "skipValidation=true";

/// What the decision knows of a credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// Name of the Secret that it stands in.
    pub secret: String,
    /// What it is recognised by.
    pub fingerprint: String,
    /// Whether a change of the Secret is seen at once; `None` if that is not known yet.
    pub followed: Option<bool>,
}

/// What was seen of everything that one datastore is about.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Observed {
    /// The datastore, if there is one.
    pub datastore: Option<Datastore>,
    /// The storage account, if there is one of that very id.
    pub account: Option<Account>,
    /// The credential, where one is declared, or why it cannot be used.
    pub credential: Option<Result<Credential, Verdict>>,
    /// An OutboundRule that is to lead to the place.
    pub coming: Option<Coming>,
}

/// What one datastore's decision looks at.
#[derive(Clone, Copy, Debug)]
pub struct DatastoreInput<'a> {
    /// Where it is.
    pub site: &'a Site<'a>,
    /// Its ARM id.
    pub id: &'a ArmId,
    /// What is declared.
    pub spec: &'a AmlDatastoreSpec,
    /// What every such kind declares.
    pub policies: Policies<'a>,
    /// What was seen.
    pub observed: &'a Observed,
}

/// Where `spec` leads, and the account there.
///
/// # Errors
/// With the verdict to report if it leads nowhere, which the schema refuses.
pub fn place(spec: &AmlDatastoreSpec) -> Result<(Place<'_>, ArmId), Verdict> {
    let invalid = |message: String| Verdict::new(Reason::Invalid, message);
    let place =
        spec.place().ok_or_else(|| invalid("a datastore is exactly one of blob, adlsGen2, file; give one".into()))?;
    let account = ArmId::parse(place.account).map_err(|error| invalid(error.to_string()))?;
    Ok((place, account))
}

/// Refuses what no grant allows, before Azure is asked.
///
/// # Errors
/// With the verdict to report.
pub fn check(spec: &AmlDatastoreSpec, site: &Site<'_>, id: &ArmId) -> Result<(), Verdict> {
    site.fence.allows_reading(id)?;
    site.fence.allows(Verb::Reach, &place(spec)?.1)
}

/// Decides about the datastore.
pub fn plan(input: DatastoreInput<'_>) -> Decided<AmlDatastoreStatus> {
    let mut status = status(&input);
    let (place, account) = match place(input.spec) {
        Ok(found) => found,
        Err(verdict) => return Decided::stopped(status, verdict),
    };
    let shown = match input.site.shown() {
        Ok(shown) => shown,
        Err(verdict) => return Decided::stopped(status, verdict),
    };
    status.target = Some(format!("{}/{}", account.name(), place.container));
    let Some(found) = &input.observed.account else {
        // Account names are everybody's: under an id that does not exist, the name may be a stranger's account.
        let message = format!("there is no storage account {account}; create it, or correct the id");
        return Decided::stopped(status, Verdict::new(Reason::ParentMissing, message));
    };
    let (reachable, suggested) = reach::judge(&input, shown, (&place, &account), found);
    status.suggested_rule = suggested;
    let credential = match &input.observed.credential {
        Some(Err(verdict)) => return Decided::stopped(status, verdict.clone()).with([reachable]),
        Some(Ok(credential)) => Some(credential),
        None => None,
    };
    let wanted = Wanted { place, account, credential };
    let decided = match &input.observed.datastore {
        Some(observed) => existing(&input, &wanted, observed, status),
        None => absent(&input, &wanted, status),
    };
    decided.with([reachable]).with(credential.and_then(followed))
}

fn status(input: &DatastoreInput<'_>) -> AmlDatastoreStatus {
    let cut = |text: Option<&str>| text.map(|text| text.chars().take(64).collect::<String>());
    let shown = input.observed.datastore.as_ref();
    let own = shown.map(|shown| &shown.properties);
    let credentials = own.and_then(|own| own.credentials.as_ref());
    AmlDatastoreStatus {
        connection: Some(input.site.workspace.spec.connection_ref.name.clone()),
        resource_id: shown.map(|_| input.id.to_string()),
        type_: cut(own.and_then(|own| own.datastore_type.as_deref()).or(input.spec.place().map(|place| place.type_))),
        credentials_type: cut(credentials.and_then(|credentials| credentials.credentials_type.as_deref())),
        ..AmlDatastoreStatus::default()
    }
}

/// What is said of how a change of the Secret is noticed.
fn followed(credential: &Credential) -> Option<ConditionDraft> {
    let secret = &credential.secret;
    let (reason, message) = if credential.followed? {
        ("Watched", format!("a change of Secret {secret} is seen at once"))
    } else {
        let message = format!(
            "the operator may not list and watch Secret {secret}, so a change of it is seen at the next regular look only; {}",
            consent::HOW_TO_ALLOW
        );
        ("Polled", message)
    };
    let status = ConditionStatus::from(reason == "Watched");
    Some(ConditionDraft { type_: CREDENTIAL_FOLLOWED, status, reason: reason.to_owned(), message })
}

/// What is declared, resolved.
struct Wanted<'a> {
    place: Place<'a>,
    account: ArmId,
    credential: Option<&'a Credential>,
}

fn absent(input: &DatastoreInput<'_>, wanted: &Wanted<'_>, status: AmlDatastoreStatus) -> Decided<AmlDatastoreStatus> {
    let verdict = Verdict::new(Reason::Creating, format!("Azure is registering the datastore {}", input.id.name()));
    let body = body(input, wanted, None, &input.site.owner.tag(Origin::Created));
    let step = Step::put(input.id, API_VERSION, body, verdict).with_query(UNTRIED);
    let step = step.needing(Verb::Create, input.id).needing(Verb::Reach, &wanted.account);
    Decided::writing(status, step)
}

fn existing(
    input: &DatastoreInput<'_>,
    wanted: &Wanted<'_>,
    observed: &Datastore,
    status: AmlDatastoreStatus,
) -> Decided<AmlDatastoreStatus> {
    let differences = compare(input, wanted, observed);
    let found = observed.tag(OWNER_TAG);
    let existing = Existing {
        noun: "the datastore",
        tag: found,
        moving: None,
        failed: None,
        differences: &differences,
        recreate: Some(input.spec.recreate.unwrap_or_default()),
        loss: "takes it away for a moment from jobs that begin just then, and touches no data",
    };
    let put = |tag: &str, changes: &[Difference], words: &str| {
        let body = body(input, wanted, Some(observed), tag);
        let step = Step::put(input.id, API_VERSION, body, Verdict::new(Reason::Updating, words)).with_query(UNTRIED);
        let step = step.needing(Verb::Configure, input.id).needing(Verb::Reach, &wanted.account);
        step.changing(changes)
    };
    let decided = match existing.next(input.site, &input.policies) {
        Next::Stop(verdict) => Decided::stopped(status, verdict),
        Next::Anew(why) => {
            let message = format!("deleting the datastore to make it anew: {why}");
            let step = Step::delete(input.id, API_VERSION, Verdict::new(Reason::Updating, message));
            Decided::writing(status, step.needing(Verb::Configure, input.id))
        }
        Next::Take(tag) => {
            let mut changes = vec![Difference::of(format!("properties.tags.{OWNER_TAG}"), found, &tag)];
            changes.extend(differences.iter().cloned());
            Decided::writing(status, put(&tag, &changes, "taking the datastore over"))
        }
        Next::Change => {
            let tag = found.map_or_else(|| input.site.owner.tag(Origin::Created), ToOwned::to_owned);
            let changes: Vec<String> = differences.iter().map(Difference::change).collect();
            let words = format!("Azure is changing the datastore: {}", changes.join("; "));
            Decided::writing(status, put(&tag, &differences, &words))
        }
        Next::AsDeclared => {
            let message = "registered; the data is read with the rights of whoever reads";
            let verdict = match wanted.credential {
                None => Verdict::new(Reason::Registered, message),
                Some(credential) => {
                    let message = format!("registered with the credential in Secret {}", credential.secret);
                    Verdict::new(Reason::Registered, message)
                }
            };
            Decided::stopped(status, verdict)
        }
    };
    decided.differing(differences)
}

/// Where Azure is not as declared. What decides whose data is read with whose rights is looked at also where nothing is declared.
fn compare(input: &DatastoreInput<'_>, wanted: &Wanted<'_>, observed: &Datastore) -> Vec<Difference> {
    let (spec, own, place) = (input.spec, &observed.properties, &wanted.place);
    let mut found = Comparison::default();
    found.word("properties.datastoreType", own.datastore_type.as_deref(), place.type_, AT_CREATION);
    found.word("properties.accountName", own.account_name.as_deref(), wanted.account.name(), AT_CREATION);
    // Container names are lower case; what is not is another one.
    let (field, shown) = match place.member {
        "containerName" => ("properties.containerName", &own.container_name),
        "filesystem" => ("properties.filesystem", &own.filesystem),
        _ => ("properties.fileShareName", &own.file_share_name),
    };
    found.text(field, shown.as_deref(), Some(place.container), AT_CREATION);
    let identity = spec.service_data_access_auth_identity.unwrap_or_default().as_str();
    let shown = own.service_data_access_auth_identity.as_deref().unwrap_or("None");
    found.word("properties.serviceDataAccessAuthIdentity", Some(shown), identity, AT_CREATION);
    let account = &wanted.account;
    // Azure takes them and need not show them.
    if let Some(shown) = &own.subscription_id {
        found.word("properties.subscriptionId", Some(shown), account.subscription(), Mend::Whole);
    }
    if let Some(shown) = &own.resource_group {
        found.word("properties.resourceGroup", Some(shown), account.resource_group(), Mend::Whole);
    }
    found.text("properties.description", own.description.as_deref(), spec.description.as_deref(), Mend::Whole);
    credentials(spec.credential.as_ref(), wanted.credential, observed, &mut found);
    found.0
}

fn credentials(
    declared: Option<&DatastoreCredential>,
    credential: Option<&Credential>,
    observed: &Datastore,
    found: &mut Comparison,
) {
    let none = crate::azure::datastore::Credentials::default();
    let shown = observed.properties.credentials.as_ref().unwrap_or(&none);
    let kind = declared.and_then(DatastoreCredential::kind).map_or("None", |(kind, _)| kind.as_str());
    let now = shown.credentials_type.as_deref().unwrap_or("None");
    found.word("properties.credentials.credentialsType", Some(now), kind, Mend::Whole);
    let Some(declared) = declared else { return };
    let mut word = |field, now: &Option<String>, wanted: &str| found.word(field, now.as_deref(), wanted, Mend::Whole);
    if let Some(principal) = &declared.service_principal {
        word("properties.credentials.tenantId", &shown.tenant_id, &principal.tenant_id);
        word("properties.credentials.clientId", &shown.client_id, &principal.client_id);
    }
    if let Some(certificate) = &declared.certificate {
        word("properties.credentials.tenantId", &shown.tenant_id, &certificate.tenant_id);
        word("properties.credentials.clientId", &shown.client_id, &certificate.client_id);
        word("properties.credentials.thumbprint", &shown.thumbprint, &certificate.thumbprint);
    }
    if let Some(credential) = credential {
        let now = observed.tag(CREDENTIAL_TAG);
        if now != Some(credential.fingerprint.as_str()) {
            found.note(format!("properties.tags.{CREDENTIAL_TAG}"), now, &credential.fingerprint, Mend::Whole);
        }
    }
}

/// The body of the PUT: what is declared, and for the rest what is there. It states everything, because Azure knows no PATCH of a
/// datastore.
fn body(input: &DatastoreInput<'_>, wanted: &Wanted<'_>, observed: Option<&Datastore>, tag: &str) -> Value {
    let (spec, place) = (input.spec, &wanted.place);
    let none = Datastore::default();
    let there = &observed.unwrap_or(&none).properties;
    let mut tags: BTreeMap<String, Option<String>> = there.tags.clone().unwrap_or_default();
    tags.retain(|name, _| ![OWNER_TAG, CREDENTIAL_TAG].iter().any(|own| name.eq_ignore_ascii_case(own)));
    tags.insert(OWNER_TAG.into(), Some(tag.to_owned()));
    if let Some(credential) = wanted.credential {
        tags.insert(CREDENTIAL_TAG.into(), Some(credential.fingerprint.clone()));
    }
    let mut properties = json!({
        "datastoreType": place.type_,
        "accountName": wanted.account.name(),
        place.member: place.container,
        "subscriptionId": wanted.account.subscription(),
        "resourceGroup": wanted.account.resource_group(),
        "serviceDataAccessAuthIdentity": spec.service_data_access_auth_identity.unwrap_or_default().as_str(),
        "credentials": sent(spec.credential.as_ref(), wanted.credential),
        "tags": tags,
    });
    let description = spec.description.as_ref().or(there.description.as_ref());
    for (name, value) in
        [("description", description), ("endpoint", there.endpoint.as_ref()), ("protocol", there.protocol.as_ref())]
    {
        if let Some(value) = value {
            properties[name] = json!(value);
        }
    }
    if let Some(others) = &there.properties {
        properties["properties"] = Value::Object(others.clone());
    }
    json!({ "properties": properties })
}

/// The credentials as a plan may show them: whoever carries the plan out puts the secret in place of its stand-in.
fn sent(declared: Option<&DatastoreCredential>, credential: Option<&Credential>) -> Value {
    let kind = declared.and_then(|declared| Some((declared, declared.kind()?.0)));
    let (Some((declared, kind)), Some(credential)) = (kind, credential) else {
        return json!({ "credentialsType": "None" });
    };
    let mut sent = json!({
        "credentialsType": kind.as_str(),
        "secrets": { "secretsType": kind.as_str(), kind.member(): format!("from Secret {}", credential.secret) },
    });
    if let Some(principal) = &declared.service_principal {
        sent["tenantId"] = json!(principal.tenant_id);
        sent["clientId"] = json!(principal.client_id);
    }
    if let Some(certificate) = &declared.certificate {
        sent["tenantId"] = json!(certificate.tenant_id);
        sent["clientId"] = json!(certificate.client_id);
        sent["thumbprint"] = json!(certificate.thumbprint);
    }
    sent
}

/// The fingerprint of the credential that the body of a PUT is for, and the place in it that the secret goes to; `None` if it needs none.
pub fn stand_in(body: &mut Value) -> Option<(String, &mut Value)> {
    let properties = body.get_mut("properties")?;
    let fingerprint = properties.get("tags")?.get(CREDENTIAL_TAG)?.as_str()?.to_owned();
    let secrets = properties.pointer_mut("/credentials/secrets")?.as_object_mut()?;
    let (_, place) = secrets.iter_mut().find(|(name, _)| *name != "secretsType")?;
    Some((fingerprint, place))
}

/// Decides what the deletion of the object means for Azure.
pub fn farewell(owner: &Owner, id: &ArmId, observed: Option<&Datastore>) -> Farewell {
    let Some(observed) = observed else {
        return Farewell::Release("there is no such datastore in Azure".into());
    };
    if !observed.tag(OWNER_TAG).is_some_and(|tag| owner.is(tag)) {
        return Farewell::Release("Azure keeps the datastore: it does not carry this object's owner tag".into());
    }
    let verdict = Verdict::new(Reason::Deleting, format!("Azure is deleting the datastore {}", id.name()));
    Farewell::Remove(vec![Step::delete(id, API_VERSION, verdict)])
}

#[cfg(test)]
mod tests;
