//! What lies where in a folder of specifications, known from the paths of its files alone.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use crate::resource::data_plane_of;

/// The files of one provider's api-version.
pub(crate) type Versions = BTreeMap<String, Vec<PathBuf>>;

/// Where the files are; nothing of them is read yet, for there are megabytes of them.
#[derive(Debug, Default)]
pub(crate) struct Folder {
    /// OpenAPI files by provider (in small letters) and api-version:
    /// `…/resource-manager/<provider>/[…/]{stable,preview}/<api-version>/*.json`; those of its data plane
    /// (`…/data-plane/…`) under a name of their own, see [`data_plane_of`].
    pub(crate) providers: BTreeMap<String, Provider>,
    /// JSON schemas by api-version: `schemas/…/<api-version>/<provider>.schema.json`.
    pub(crate) schemas: Versions,
    /// Bicep types by api-version: `bicep-types/…/<api-version>/types.json`.
    pub(crate) types: Versions,
}

/// A provider's specifications.
#[derive(Debug, Default)]
pub(crate) struct Provider {
    /// As its folder is spelled.
    pub(crate) namespace: String,
    pub(crate) versions: Versions,
}

impl Folder {
    pub(crate) fn scan(root: &Path) -> io::Result<Self> {
        let mut folder = Self::default();
        folder.visit(root, root)?;
        Ok(folder)
    }

    fn visit(&mut self, root: &Path, directory: &Path) -> io::Result<()> {
        let mut entries: Vec<_> = fs::read_dir(directory)?.collect::<Result<_, _>>()?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let path = entry.path();
            // Follows links, as a checkout of specifications may be one.
            if path.is_dir() {
                if entry.file_name() != "examples" {
                    self.visit(root, &path)?;
                }
            } else if path.extension().is_some_and(|extension| extension == "json") {
                self.file(root, path);
            }
        }
        Ok(())
    }

    fn file(&mut self, root: &Path, path: PathBuf) {
        let relative = path.strip_prefix(root).unwrap_or(&path);
        let parts: Vec<&str> = relative.components().filter_map(text).collect();
        let position = |name: &str| parts.iter().position(|part| *part == name);
        let parent = parts.len().checked_sub(2).and_then(|index| parts.get(index)).map(|part| (*part).to_owned());
        let name = parts.last().copied().unwrap_or_default();
        let planes = [("resource-manager", false), ("data-plane", true)];
        let plane = planes.into_iter().find_map(|(name, is_data)| Some((position(name)?, is_data)));
        if let Some((start, is_data)) = plane {
            let below = parts.get(start + 1..).unwrap_or_default();
            let stage = below.iter().position(|part| matches!(*part, "stable" | "preview"));
            let version = stage.and_then(|stage| below.get(stage + 1));
            if let (Some(namespace), Some(version)) = (below.first(), version) {
                let namespace = if is_data { data_plane_of(namespace) } else { (*namespace).to_owned() };
                let provider = self.providers.entry(namespace.to_lowercase()).or_default();
                provider.namespace = namespace;
                provider.versions.entry((*version).to_owned()).or_default().push(path);
            }
        } else if position("schemas").is_some() && name.ends_with(".schema.json") {
            self.schemas.entry(parent.unwrap_or_default()).or_default().push(path);
        } else if position("bicep-types").is_some() && name == "types.json" {
            self.types.entry(parent.unwrap_or_default()).or_default().push(path);
        }
    }
}

fn text(component: Component<'_>) -> Option<&str> {
    match component {
        Component::Normal(part) => part.to_str(),
        _ => None,
    }
}

impl Provider {
    /// The api-versions, the one asked for or the nearest in time first. At the same distance a version of the same stage
    /// (stable or preview) comes first, then the newer one.
    pub(crate) fn nearest(&self, wanted: &str) -> Vec<String> {
        let (day, stage) = (day(wanted), wanted.contains("preview"));
        let mut versions: Vec<&String> = self.versions.keys().rev().collect();
        versions.sort_by_key(|version| {
            let exact = version.eq_ignore_ascii_case(wanted);
            (!exact, self::day(version).abs_diff(day), version.contains("preview") != stage)
        });
        versions.into_iter().cloned().collect()
    }
}

/// A measure of when an api-version is from, in days, with months of 31 days.
fn day(version: &str) -> i64 {
    let mut parts = version.split('-').map(|part| part.parse::<i64>().unwrap_or(0));
    let mut next = || parts.next().unwrap_or(0);
    (next() * 12 + next()) * 31 + next()
}
