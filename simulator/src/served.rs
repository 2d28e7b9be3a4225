//! What is served, for people: the route table by provider.

use std::collections::BTreeMap;

use crate::providers;

/// A resource provider as [`providers()`] shows it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServedProvider {
    /// `Microsoft.Storage`.
    pub namespace: &'static str,
    /// What it is held to: specifications and recordings.
    pub source: &'static str,
    /// What Azure has and the simulator has not, a sentence each.
    pub missing: &'static [&'static str],
    /// Its paths, in the order of the table.
    pub paths: Vec<ServedPath>,
}

/// A path with what can be done on it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServedPath {
    /// `{}` stands for one segment, a leading `{scope}` for any scope, from nothing to a resource.
    pub path: &'static str,
    /// In the order of the table.
    pub methods: Vec<&'static str>,
    /// The api-versions taken.
    pub versions: &'static [&'static str],
}

/// All providers, with all that they serve, and the data plane of Synapse workspaces.
pub fn providers() -> Vec<ServedProvider> {
    let served = |provider: &&'static crate::routes::Provider| {
        let mut places = BTreeMap::new();
        let mut paths: Vec<ServedPath> = Vec::new();
        for row in provider.routes.iter().copied().flatten() {
            let at = *places.entry((row.path, row.versions)).or_insert_with(|| {
                paths.push(ServedPath { path: row.path, methods: Vec::new(), versions: row.versions });
                paths.len() - 1
            });
            if let Some(path) = paths.get_mut(at) {
                path.methods.push(row.method);
            }
        }
        ServedProvider { namespace: provider.namespace, source: provider.source, missing: provider.missing, paths }
    };
    providers::ALL.iter().chain([&&providers::synapse::data_plane::PROVIDER]).map(served).collect()
}
