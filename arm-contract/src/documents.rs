//! The files, read when first needed, and what refers to what in them.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

/// A place in a file: its path and a JSON pointer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    pub(crate) file: Arc<Path>,
    pub(crate) pointer: String,
}

#[derive(Debug, Default)]
pub(crate) struct Documents {
    read: HashMap<PathBuf, Arc<Value>>,
    /// The definitions that extend a definition, by `allOf`.
    extended: HashMap<Place, Vec<Place>>,
    /// Files that are missing or unreadable, and references that lead nowhere: what they describe is taken as open.
    pub(crate) gaps: BTreeSet<String>,
}

impl Documents {
    /// A file's content; `Null` (and a gap) if it cannot be had.
    pub(crate) fn read(&mut self, path: &Path) -> Arc<Value> {
        if let Some(document) = self.read.get(path) {
            return document.clone();
        }
        let parsed = fs::read(path).map_err(|error| error.to_string()).and_then(|bytes| {
            // Some of the upstream files begin with a byte-order mark.
            let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
            serde_json::from_slice::<Value>(bytes).map_err(|error| error.to_string())
        });
        let document = Arc::new(parsed.unwrap_or_else(|error| {
            self.gaps.insert(format!("{}: {error}", path.display()));
            Value::Null
        }));
        self.read.insert(path.to_owned(), document.clone());
        self.note_extensions(path, &document);
        document
    }

    fn note_extensions(&mut self, path: &Path, document: &Value) {
        let file: Arc<Path> = path.into();
        let definitions = document["definitions"].as_object();
        for (name, definition) in definitions.into_iter().flatten() {
            for base in definition["allOf"].as_array().into_iter().flatten() {
                if let Some(base) = base["$ref"].as_str().map(|reference| target(&file, reference)) {
                    let own = Place { file: file.clone(), pointer: format!("/definitions/{}", escaped(name)) };
                    self.extended.entry(base).or_default().push(own);
                }
            }
        }
    }

    /// The definitions that extend one, directly or not, among the files read so far.
    pub(crate) fn descendants(&self, place: &Place) -> Vec<Place> {
        let mut found: Vec<Place> = Vec::new();
        let mut open = vec![place.clone()];
        while let Some(place) = open.pop() {
            for child in self.extended.get(&place).into_iter().flatten() {
                if !found.contains(child) {
                    found.push(child.clone());
                    open.push(child.clone());
                }
            }
        }
        found
    }

    /// What stands at a place; `Null` (and a gap) if nothing does.
    pub(crate) fn at(&mut self, place: &Place) -> Value {
        let document = self.read(&place.file);
        document.pointer(&place.pointer).cloned().unwrap_or_else(|| {
            self.gaps.insert(format!("{}#{}: nothing there", place.file.display(), place.pointer));
            Value::Null
        })
    }

    /// Follows `$ref`s until a value is none; with the file that it stands in.
    pub(crate) fn followed(&mut self, file: &Arc<Path>, value: &Value) -> (Arc<Path>, Value) {
        let (mut file, mut value) = (file.clone(), value.clone());
        // Chains are short; one that is not runs in a circle.
        for _ in 0..16 {
            let Some(reference) = value["$ref"].as_str() else { break };
            let place = target(&file, reference);
            value = self.at(&place);
            file = place.file;
        }
        (file, value)
    }
}

/// Where a reference leads.
pub(crate) fn target(from: &Arc<Path>, reference: &str) -> Place {
    let (file, pointer) = reference.split_once('#').unwrap_or((reference, ""));
    let pointer = pointer.to_owned();
    if file.is_empty() {
        return Place { file: from.clone(), pointer };
    }
    let joined = from.parent().unwrap_or(Path::new("")).join(file);
    let mut plain = PathBuf::new();
    for component in joined.components() {
        match component {
            Component::ParentDir => {
                plain.pop();
            }
            Component::CurDir => {}
            other => plain.push(other),
        }
    }
    Place { file: plain.into(), pointer }
}

fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}
