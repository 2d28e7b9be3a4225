//! Tags: whose the workspace is, and which other tags its object declares. Everybody else's stay as they are.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::api::workspace::AmlWorkspaceSpec;
use crate::api::{OWNER_TAG, TAGS_TAG};

use crate::plan::difference::{Difference, Mend};

/// The most characters that Azure takes for a tag's value.
pub(super) const VALUE_LIMIT: usize = 256;

/// The value of the tag that lists the names of all tags that the object declares.
pub(super) fn listed(spec: &AmlWorkspaceSpec) -> String {
    spec.tags.keys().map(String::as_str).collect::<Vec<_>>().join(",")
}

/// The tags of a workspace as they were read, and what the declaration makes of them.
#[derive(Clone, Copy)]
pub(super) struct Tags<'a> {
    spec: &'a AmlWorkspaceSpec,
    read: Option<&'a BTreeMap<String, String>>,
    /// Whether the workspace carries this object's owner tag, so that the list beside it is this object's too. Another's list says
    /// nothing of what may be removed.
    ours: bool,
}

impl<'a> Tags<'a> {
    /// The tags `read` from a workspace.
    pub(super) fn new(spec: &'a AmlWorkspaceSpec, read: Option<&'a BTreeMap<String, String>>, ours: bool) -> Self {
        Self { spec, read, ours }
    }

    /// Tag names compare without regard to case (Azure's tagging rules).
    fn find(&self, name: &str) -> Option<&'a String> {
        self.read?.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    fn declares(&self, name: &str) -> bool {
        self.spec.tags.keys().any(|key| key.eq_ignore_ascii_case(name))
    }

    /// The names that were declared before and are not any more.
    fn given_up(&self) -> impl Iterator<Item = &'a str> + '_ {
        let before = self.find(TAGS_TAG).filter(|_| self.ours).map(String::as_str).unwrap_or_default();
        before.split(',').filter(|name| !name.is_empty() && !self.declares(name))
    }

    /// The whole map to send, since ARM's PATCH replaces it (ARM RPC, resource-api-reference).
    pub(super) fn laid(&self, owner: Option<&str>) -> Map<String, Value> {
        let own = |name: &str| {
            [OWNER_TAG, TAGS_TAG].iter().any(|tag| tag.eq_ignore_ascii_case(name))
                || self.declares(name)
                || self.given_up().any(|gone| gone.eq_ignore_ascii_case(name))
        };
        let others = self.read.into_iter().flatten().filter(|(name, _)| !own(name));
        let mut tags: Map<String, Value> =
            others.chain(&self.spec.tags).map(|(name, value)| (name.clone(), value.clone().into())).collect();
        if let Some(owner) = owner {
            tags.insert(OWNER_TAG.into(), owner.into());
            if !self.spec.tags.is_empty() {
                tags.insert(TAGS_TAG.into(), listed(self.spec).into());
            }
        }
        tags
    }

    /// Where the tags are not as declared.
    pub(super) fn differences(&self) -> Vec<Difference> {
        let tag = |name: &str, wanted: Option<&str>| {
            let found = self.find(name).cloned();
            (found.as_deref() != wanted).then(|| Difference {
                field: format!("tags.{name}").into(),
                found,
                wanted: wanted.map(ToOwned::to_owned),
                mend: Mend::Tags,
            })
        };
        let declared = self.spec.tags.iter().filter_map(|(name, value)| tag(name, Some(value)));
        let gone = self.given_up().filter_map(|name| tag(name, None));
        // The list goes with the owner's tag: who does not own the workspace yet says what he declares when he takes it.
        let list = Some(listed(self.spec)).filter(|list| !list.is_empty());
        let list = self.ours.then(|| tag(TAGS_TAG, list.as_deref())).flatten();
        declared.chain(gone).chain(list).collect()
    }
}
