//! The specifications of a folder, and the check of an exchange against them.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use thiserror::Error;

use crate::check;
use crate::dialects::bicep::BicepTypes;
use crate::dialects::json_schema::JsonSchema;
use crate::dialects::swagger::Swagger;
use crate::documents::Documents;
use crate::exchange::Exchange;
use crate::folder::Folder;
use crate::operation::{Compiled, Operation};
use crate::outcome::{OperationKey, Outcome};
use crate::resource::namespaces;
use crate::shape::Shapes;
use crate::template::split;

/// Why a folder of specifications cannot be used.
#[derive(Debug, Error)]
pub enum ContractError {
    /// The folder cannot be listed.
    #[error("{folder}: {source}")]
    Unreadable {
        /// The folder.
        folder: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// There is no specification of a resource provider in it.
    #[error(
        "{0}: no file of the form specification/*/resource-manager/<provider>/{{stable,preview}}/<api-version>/*.json"
    )]
    Empty(PathBuf),
}

/// An operation as the specifications have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribedOperation {
    /// Which it is.
    pub key: OperationKey,
    /// Its HTTP method.
    pub method: String,
    /// Its path with parameters in braces.
    pub path: String,
}

/// Microsoft's specifications of ARM, as far as they lie in one folder.
///
/// Files are read, and operations made ready for checks, when an exchange first needs them.
#[derive(Debug)]
pub struct Contract {
    state: Mutex<State>,
}

/// Everything that grows with use.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) folder: Folder,
    pub(crate) documents: Documents,
    pub(crate) shapes: Shapes,
    pub(crate) swagger: Swagger,
    /// Operations by provider (in small letters) and api-version.
    operations: HashMap<(String, String), Vec<Operation>>,
    pub(crate) types: HashMap<String, Vec<BicepTypes>>,
    pub(crate) schemas: HashMap<String, Vec<JsonSchema>>,
}

/// The operation that describes an exchange.
pub(crate) struct Found {
    pub(crate) key: OperationKey,
    /// Whether its api-version is the exchange's.
    pub(crate) exact: bool,
    /// The path's parameters with their values.
    pub(crate) values: Vec<(String, String)>,
    /// The operation; `None` if the path has no such method.
    pub(crate) compiled: Option<Arc<Compiled>>,
}

impl Contract {
    /// Looks through a folder of the layout of the specifications' public repository: OpenAPI files at
    /// `specification/<any>/resource-manager/<provider>/…/{stable,preview}/<api-version>/`, and beside them, where there are,
    /// `schemas/<api-version>/<provider>.schema.json` and `bicep-types/<api-version>/types.json`.
    ///
    /// # Errors
    /// [`ContractError`] if the folder cannot be listed, or holds no specification of a resource provider.
    pub fn load(folder: &Path) -> Result<Self, ContractError> {
        let unreadable = |source| ContractError::Unreadable { folder: folder.to_owned(), source };
        let scanned = Folder::scan(folder).map_err(unreadable)?;
        if scanned.providers.is_empty() {
            return Err(ContractError::Empty(folder.to_owned()));
        }
        Ok(Self { state: Mutex::new(State { folder: scanned, ..State::default() }) })
    }

    /// What is wrong with an exchange.
    pub fn check(&self, exchange: &Exchange) -> Outcome {
        check::outcome(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner), exchange)
    }

    /// All operations of a provider's api-version.
    pub fn operations(&self, namespace: &str, api_version: &str) -> Vec<DescribedOperation> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let operations = state.operations_of(&namespace.to_lowercase(), api_version);
        operations
            .iter()
            .map(|operation| DescribedOperation {
                key: operation.key.clone(),
                method: operation.method.clone(),
                path: operation.path.clone(),
            })
            .collect()
    }

    /// What of the specifications read so far is missing, unreadable or not understood; what it describes is taken as open.
    pub fn gaps(&self) -> Vec<String> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.documents.gaps.iter().cloned().collect()
    }
}

impl State {
    fn operations_of(&mut self, namespace: &str, version: &str) -> &mut Vec<Operation> {
        let Self { folder, documents, operations, .. } = self;
        operations.entry((namespace.to_owned(), version.to_owned())).or_insert_with(|| {
            let provider = folder.providers.get(namespace);
            provider
                .and_then(|provider| {
                    let files = provider.versions.get(version)?;
                    Some(Operation::read_all(&provider.namespace, version, files, documents))
                })
                .unwrap_or_default()
        })
    }

    /// The operation that describes an exchange best: of the exchange's api-version or else of the nearest one that knows
    /// the path, and of the template with the most given segments.
    pub(crate) fn find(&mut self, exchange: &Exchange, version: &str) -> Option<Found> {
        let path: Vec<&str> = split(&exchange.path).collect();
        for namespace in namespaces(exchange) {
            let versions = self.folder.providers.get(&namespace).map(|provider| provider.nearest(version));
            for candidate in versions.unwrap_or_default() {
                let exact = candidate.eq_ignore_ascii_case(version);
                if let Some(found) = self.find_in(&namespace, &candidate, exchange, &path, exact) {
                    return Some(found);
                }
            }
        }
        None
    }

    fn find_in(
        &mut self,
        namespace: &str,
        version: &str,
        exchange: &Exchange,
        path: &[&str],
        exact: bool,
    ) -> Option<Found> {
        let operations = self.operations_of(namespace, version);
        let best = operations
            .iter()
            .enumerate()
            .filter(|(_, operation)| {
                let wanted = &operation.template.query;
                wanted.iter().all(|(name, value)| match (exchange.query(name), value) {
                    (Some(given), Some(value)) => given == *value,
                    (given, None) => given.is_some(),
                    (None, Some(_)) => false,
                })
            })
            .filter_map(|(index, operation)| Some((index, operation.template.matches(path)?, operation)))
            .max_by_key(|(index, _, operation)| {
                let (literals, query) = (operation.template.literals(), operation.template.query.len());
                // The first of equals.
                (operation.method == exchange.method, literals, query, usize::MAX - index)
            });
        let (index, values, operation) = best?;
        let (key, matching) = (operation.key.clone(), operation.method == exchange.method);
        let compiled = matching.then(|| self.compiled(namespace, version, index)).flatten();
        Some(Found { key, exact, values, compiled })
    }

    fn compiled(&mut self, namespace: &str, version: &str, index: usize) -> Option<Arc<Compiled>> {
        let Self { documents, shapes, swagger, operations, .. } = self;
        let operations = operations.get_mut(&(namespace.to_owned(), version.to_owned()))?;
        Some(operations.get_mut(index)?.compiled(swagger, documents, shapes))
    }
}
