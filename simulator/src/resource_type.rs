//! Resource types: one description each, from which every type gets the same GET, list, PUT, PATCH and DELETE.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use serde_json::{Value, json};

use crate::body;
use crate::call::{Answer, Call, Style};
use crate::directory::Principal;
use crate::error::ArmError;
use crate::http::Reply;
use crate::ids;
use crate::operations::{Plan, State};
use crate::providers;
use crate::settings::OperationSeconds;
use crate::world::World;

/// What somebody wants a resource to become.
pub(crate) struct Proposal<'a> {
    /// The id: as it was created, or as the client spells it now.
    pub(crate) id: &'a str,
    /// The resource as stored, if there is one.
    pub(crate) existing: Option<&'a Value>,
    /// The whole wanted resource; a PATCH is already merged into what is stored. Names have their canonical spelling.
    pub(crate) body: &'a Value,
    pub(crate) caller: &'a Principal,
    pub(crate) api_version: &'a str,
}

/// See [`ResourceType::accept`].
type Accept = fn(&World, &Proposal<'_>) -> Result<Value, ArmError>;

/// How a kind of write goes: for how long, and what is seen of it.
#[derive(Clone, Copy)]
pub(crate) struct Write {
    /// For the log and the fault plan: `privateEndpointPut`, …
    pub(crate) kind: &'static str,
    /// Simulated seconds.
    pub(crate) seconds: fn(&OperationSeconds) -> f64,
    /// The resource's `provisioningState` meanwhile.
    pub(crate) busy: &'static str,
    pub(crate) style: Style,
}

/// What PATCH may change.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Patch {
    /// `tags`, which are replaced as a whole; everything else in the body is ignored.
    Tags,
    /// `tags` as a whole, the rest by JSON merge-patch (ARM RPC, resource-api-reference).
    Merge,
    /// `tags` as a whole, these members and these ones of `properties` by JSON merge-patch; everything else is ignored.
    Only { members: &'static [&'static str], properties: &'static [&'static str] },
}

/// Entity tags.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Etag {
    None,
    /// A read-only member of the body, in its form of a weak tag.
    Member,
    /// A member of the body that `If-Match` and `If-None-Match: *` are compared with.
    Conditional,
    /// The same, and the quotes belong to the member (recording of virtual network links).
    ConditionalQuoted,
}

impl Etag {
    fn write(self, tag: uuid::Uuid) -> Option<Value> {
        match self {
            Self::None => None,
            Self::Member => Some(json!(format!("W/\"{tag}\""))),
            Self::Conditional => Some(json!(tag)),
            Self::ConditionalQuoted => Some(json!(format!("\"{tag}\""))),
        }
    }
}

/// A resource type.
pub(crate) struct ResourceType {
    /// `Microsoft.Network/virtualNetworks/subnets`.
    pub(crate) kind: &'static str,
    /// Judges a proposal and makes the members of the document that the type is about (`location`, `sku`,
    /// `properties`, …); `id`, `name`, `type`, `tags` and `etag` are added.
    pub(crate) accept: Accept,
    /// What follows at once when a resource (its key) has been stored.
    pub(crate) stored: fn(&mut World, &str),
    /// What follows beside when a seed has stored it, which says less than a body that was accepted.
    pub(crate) seeded: fn(&mut World, &str),
    /// What follows when the operation that wrote it has ended.
    pub(crate) settled: fn(&mut World, &str) -> Result<(), ArmError>,
    /// Whether a resource may be deleted.
    pub(crate) removable: fn(&World, &Value) -> Result<(), ArmError>,
    /// What follows when it is gone; children are gone already.
    pub(crate) removed: fn(&mut World, &Value),
    /// Completes the document with what others decide; `provisioningState` is there already.
    pub(crate) render: fn(&World, Value) -> Value,
    /// Names of the members a body may have, in their canonical spelling: ARM compares them without case.
    pub(crate) names: &'static [&'static str],
    /// Whether it has `location` and `tags`; both are missing on children.
    pub(crate) tracked: bool,
    /// Whether `properties.provisioningState` is shown.
    pub(crate) shows_state: bool,
    pub(crate) create: Write,
    pub(crate) update: Write,
    pub(crate) patch: Option<(Patch, Write)>,
    pub(crate) delete: Write,
    pub(crate) etag: Etag,
    /// The continuation parameter of lists.
    pub(crate) page_token: &'static str,
}

/// A write that is done when it is answered: 201 or 200, with the resource.
pub(crate) const fn at_once(kind: &'static str, status: u16) -> Write {
    Write { kind, seconds: |_| 0.0, busy: "Succeeded", style: Style::at_once(status) }
}

impl ResourceType {
    /// A tracked resource that is written and deleted at once and whose properties are taken as they come.
    pub(crate) const DEFAULT: Self = Self {
        kind: "",
        accept: |_, proposal| Ok(body::members(proposal.body, &["location", "sku", "kind", "identity", "properties"])),
        stored: |_, _| {},
        seeded: |_, _| {},
        settled: |_, _| Ok(()),
        removable: |_, _| Ok(()),
        removed: |_, _| {},
        render: |_, document| document,
        names: &[],
        tracked: true,
        shows_state: true,
        create: at_once("create", 201),
        update: at_once("update", 200),
        patch: None,
        delete: at_once("delete", 200),
        etag: Etag::None,
        page_token: "$skipToken",
    };
}

/// The description of a type, whatever the case of its name.
pub(crate) fn find(kind: &str) -> Option<&'static ResourceType> {
    static INDEX: OnceLock<BTreeMap<String, &'static ResourceType>> = OnceLock::new();
    let index = INDEX.get_or_init(|| {
        let types = providers::ALL.iter().flat_map(|provider| provider.types);
        types.map(|kind| (ids::key(kind.kind), kind)).collect()
    });
    index.get(&ids::key(kind)).copied()
}

fn type_of(call: &Call<'_>) -> Result<&'static ResourceType, ArmError> {
    let kind = ids::path_type(&call.path);
    find(&kind).ok_or_else(|| ArmError::invalid_type(&kind, &call.api_version))
}

/// A stored resource as GET shows it: with the state of the last operation on it, and completed by its type.
pub(crate) fn render(world: &World, document: &Value) -> Value {
    let Some(kind) = document["type"].as_str().and_then(find) else { return document.clone() };
    let mut shown = document.clone();
    if kind.shows_state {
        let id = document["id"].as_str().unwrap_or_default();
        let state = match world.operations.latest(&ids::key(id)) {
            Some((operation, State::Running)) => kind.busy(operation).unwrap_or("Succeeded"),
            Some((operation, State::Failed(_))) if kind.busy(operation).is_some() => "Failed",
            _ => "Succeeded",
        };
        if !shown["properties"].is_object() {
            shown["properties"] = json!({});
        }
        shown["properties"]["provisioningState"] = json!(state);
    }
    (kind.render)(world, shown)
}

impl ResourceType {
    /// The `provisioningState` while an operation of this kind runs; `None` if the operation is not one on the resource.
    fn busy(&self, operation: &str) -> Option<&'static str> {
        let patch = self.patch.map(|(_, write)| write);
        [Some(self.create), Some(self.update), patch, Some(self.delete)]
            .into_iter()
            .flatten()
            .find(|write| write.kind == operation)
            .map(|write| write.busy)
    }
}

/// `GET` of one resource. Where it has an entity tag, the header says it too (recordings of Network and privateDns).
pub(crate) fn get(call: &mut Call<'_>) -> Answer {
    let document = render(call.world, call.world.resource(&call.path)?);
    let tag = document["etag"].as_str().map(str::to_owned);
    let reply = Reply::ok(document);
    Ok(match tag {
        Some(tag) => reply.header("ETag", tag),
        None => reply,
    })
}

/// `GET` of the resources of a type: of a subscription, a resource group or a parent.
pub(crate) fn list(call: &mut Call<'_>) -> Answer {
    let kind = type_of(call)?;
    let is_child = kind.kind.matches('/').count() > 1;
    let segments = call.path.trim_matches('/').split('/').count();
    let scope = if is_child {
        ids::ancestor(&call.path, segments.saturating_sub(1))
    } else {
        ids::list_scope(&call.path).to_owned()
    };
    if is_child {
        call.world.resource(&scope)?;
    }
    let call = &*call;
    let items = call.world.list(&scope, kind.kind);
    Ok(call.page_of(items, |document| render(call.world, document), kind.page_token))
}

/// `PUT`: creates or replaces.
pub(crate) fn put(call: &mut Call<'_>) -> Answer {
    let kind = type_of(call)?;
    let sent = call.json(kind.names)?;
    let existing = call.world.resources.get(&ids::key(&call.path)).cloned();
    let write = if existing.is_some() { kind.update } else { kind.create };
    store(call, kind, sent, existing, write, kind.accept)
}

/// `PATCH`: changes what is there.
pub(crate) fn patch(call: &mut Call<'_>) -> Answer {
    let kind = type_of(call)?;
    let existing = call.world.resource(&call.path)?.clone();
    let Some((form, write)) = kind.patch else {
        return Err(ArmError::new(405, "MethodNotAllowed", format!("'{}' has no PATCH.", kind.kind)));
    };
    let sent = call.json(kind.names)?;
    let mut wanted = existing.clone();
    match form {
        Patch::Tags => {}
        Patch::Merge => body::merge(&mut wanted, &sent, &["id", "name", "type", "etag", "location", "tags"]),
        Patch::Only { members, properties } => {
            let mut taken = body::members(&sent, members);
            taken["properties"] = body::members(&sent["properties"], properties);
            body::merge(&mut wanted, &taken, &[]);
        }
    }
    if let Some(tags) = sent.get("tags") {
        wanted["tags"] = tags.clone();
    }
    // New tags leave nothing to judge: the rest is what was accepted before.
    let accept =
        if form == Patch::Tags { |_: &World, proposal: &Proposal<'_>| Ok(proposal.body.clone()) } else { kind.accept };
    store(call, kind, wanted, Some(existing), write, accept)
}

fn store(
    call: &mut Call<'_>,
    kind: &'static ResourceType,
    wanted: Value,
    existing: Option<Value>,
    write: Write,
    accept: Accept,
) -> Answer {
    check_preconditions(call, kind, existing.as_ref())?;
    if kind.kind.matches('/').count() > 1 {
        let parent = ids::parent(&call.path);
        if !call.world.resources.contains_key(&ids::key(&parent)) {
            return Err(ArmError::parent_not_found(&parent));
        }
    }
    let id = existing.as_ref().and_then(|e| e["id"].as_str()).unwrap_or(&call.path).to_owned();
    let key = ids::key(&id);
    if kind.tracked {
        check_location(&id, &wanted, existing.as_ref())?;
    }
    let (caller, api_version) = (&call.caller, call.api_version.as_str());
    let proposal = Proposal { id: &id, existing: existing.as_ref(), body: &wanted, caller, api_version };
    let mut document = accept(call.world, &proposal)?;
    document["id"] = json!(id);
    document["name"] = json!(ids::name(&id));
    document["type"] = json!(kind.kind);
    if kind.tracked {
        document["location"] = json!(body::location(wanted["location"].as_str().unwrap_or_default()));
        document["tags"] = body::tags(&wanted["tags"])?;
    }
    let location = call.world.location_of(&document);
    call.world.resources.insert(key.clone(), document);
    call.world.renew_etag(&key);
    (kind.stored)(call.world, &key);
    let seconds = (write.seconds)(&call.world.settings.operation_seconds);
    let plan = Plan {
        kind: write.kind,
        resource: key.clone(),
        seconds,
        effect: Box::new(move |world| {
            // The resource looks different now: another state, another tag (recordings of Network).
            if seconds > 0.0 && kind.etag == Etag::Member {
                world.renew_etag(&key);
            }
            (kind.settled)(world, &key)
        }),
        result: |world, id| world.render(id),
        overlay: None,
    };
    Ok(call.start(plan, write.style, &location))
}

/// ARM itself refuses a tracked resource without a location, and one that would move.
fn check_location(id: &str, wanted: &Value, existing: Option<&Value>) -> Result<(), ArmError> {
    let Some(asked) = wanted["location"].as_str().filter(|location| !location.is_empty()) else {
        return Err(ArmError::new(400, "LocationRequired", "The location property is required for this definition."));
    };
    let Some(now) = existing.and_then(|existing| existing["location"].as_str()) else { return Ok(()) };
    if body::location(now) == body::location(asked) {
        return Ok(());
    }
    // Code and sentence are of Microsoft's page on invalid resource locations.
    let (name, group) = (ids::name(id), ids::resource_group(id).unwrap_or_default());
    Err(ArmError::new(
        409,
        "InvalidResourceLocation",
        format!(
            "The resource '{name}' already exists in location '{now}' in resource group '{group}'. A resource with the \
             same name cannot be created in location '{asked}'. Please select a new resource name."
        ),
    ))
}

/// `If-Match` and `If-None-Match: *`, where the specification has them.
pub(crate) fn check_preconditions(
    call: &Call<'_>,
    kind: &ResourceType,
    existing: Option<&Value>,
) -> Result<(), ArmError> {
    if !matches!(kind.etag, Etag::Conditional | Etag::ConditionalQuoted) {
        return Ok(());
    }
    let failed = |header: &str, text: &str| {
        Err(ArmError::new(
            412,
            "PreconditionFailed",
            format!("The condition '{text}' in the {header} header is not met."),
        ))
    };
    let now = existing.and_then(|existing| existing["etag"].as_str()).map(|tag| tag.trim_matches('"'));
    if let Some(wanted) = call.request.header("If-Match").filter(|wanted| !wanted.is_empty()) {
        let bare = wanted.trim_matches('"');
        if now.is_none() || (bare != "*" && now != Some(bare)) {
            return failed("If-Match", wanted);
        }
    }
    match call.request.header("If-None-Match") {
        Some("*") if existing.is_some() => failed("If-None-Match", "*"),
        _ => Ok(()),
    }
}

/// `DELETE`, with the children; 204 if there is nothing.
pub(crate) fn delete(call: &mut Call<'_>) -> Answer {
    let kind = type_of(call)?;
    let key = ids::key(&call.path);
    let Some(document) = call.world.resources.get(&key).cloned() else {
        // Without its parent a child is not merely gone (recordings of subnets and security rules).
        if kind.kind.matches('/').count() > 1 {
            call.world.resource(&ids::parent(&call.path))?;
        }
        return Ok(Reply::empty(204));
    };
    check_preconditions(call, kind, Some(&document))?;
    (kind.removable)(call.world, &document)?;
    let location = call.world.location_of(&document);
    let plan = Plan {
        kind: kind.delete.kind,
        resource: key.clone(),
        seconds: (kind.delete.seconds)(&call.world.settings.operation_seconds),
        effect: Box::new(move |world| {
            world.remove(&key);
            Ok(())
        }),
        result: |_, _| None,
        overlay: None,
    };
    Ok(call.start(plan, kind.delete.style, &location))
}

impl World {
    /// What lies below a resource, ordered by key.
    pub(crate) fn below<'a>(&'a self, key: &str) -> impl Iterator<Item = (&'a String, &'a Value)> + use<'a> {
        let below = format!("{key}/");
        self.resources.range(below.clone()..).take_while(move |(id, _)| id.starts_with(&below))
    }

    /// The children of a resource that are of one type, as stored.
    pub(crate) fn children<'a>(&'a self, parent: &str, kind: &'a str) -> impl Iterator<Item = &'a Value> + use<'a> {
        let of_kind = |document: &&Value| document["type"].as_str().is_some_and(|t| t.eq_ignore_ascii_case(kind));
        self.below(&ids::key(parent)).map(|(_, document)| document).filter(of_kind)
    }

    /// Whether another resource of a type has this name, wherever it lies: names that are host names are one in the world.
    pub(crate) fn name_taken(&self, kind: &str, id: &str, name: &str) -> bool {
        self.resources.values().any(|other| {
            let theirs = other["id"].as_str().unwrap_or_default();
            other["type"] == kind && ids::key(theirs) != ids::key(id) && ids::name(theirs).eq_ignore_ascii_case(name)
        })
    }

    /// All resources of a type that lies in resource groups, as stored.
    pub(crate) fn all_of<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Value> {
        let tail = format!("/providers/{}", ids::key(kind));
        let of_kind = |document: &&Value| document["type"].as_str().is_some_and(|t| t.eq_ignore_ascii_case(kind));
        let ids = self.groups.keys().map(move |group| format!("{group}{tail}"));
        ids.flat_map(|id| self.below(&id)).map(|(_, document)| document).filter(of_kind)
    }

    /// How often what has this id was written, in all its lives: a resource made anew has another guid. Only types with
    /// entity tags are counted.
    pub(crate) fn lives(&self, id: &str) -> u32 {
        self.generations.get(&ids::key(&format!("etag {}", ids::key(id)))).copied().unwrap_or_default()
    }

    /// Gives a resource a new entity tag, if its type has them.
    pub(crate) fn renew_etag(&mut self, key: &str) {
        let kind = self.resources.get(key).and_then(|document| document["type"].as_str()).and_then(find);
        let Some(kind) = kind.filter(|kind| kind.etag != Etag::None) else { return };
        let generation = self.next_generation(&format!("etag {key}"));
        let tag = kind.etag.write(ids::guid(&["etag", key, &generation.to_string()]));
        if let (Some(document), Some(tag)) = (self.resources.get_mut(key), tag) {
            document["etag"] = tag;
        }
    }

    /// Removes a resource with everything below it, each as its type does; children go first.
    pub(crate) fn remove(&mut self, key: &str) -> Option<Value> {
        let children: Vec<String> = self.below(key).map(|(id, _)| id.clone()).collect();
        for child in children.iter().rev() {
            self.remove_one(child);
        }
        self.remove_one(key)
    }

    fn remove_one(&mut self, key: &str) -> Option<Value> {
        let document = self.resources.remove(key)?;
        let own: Vec<String> = self.raised_on(key).map(|connection| ids::key(&connection.id)).collect();
        own.iter().for_each(|connection| self.disconnect(connection));
        if let Some(kind) = document["type"].as_str().and_then(find) {
            (kind.removed)(self, &document);
        }
        Some(document)
    }

    /// Where a resource lies: its own location, or the one of the resource it belongs to.
    pub(crate) fn location_of(&self, document: &Value) -> String {
        let own = document["location"].as_str();
        let id = document["id"].as_str().unwrap_or_default();
        let parent = || self.resources.get(&ids::key(&ids::ancestor(id, 8)))?["location"].as_str();
        body::location(own.or_else(parent).unwrap_or("global"))
    }
}
