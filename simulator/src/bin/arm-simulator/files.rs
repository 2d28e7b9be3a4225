//! Reading what the program is given.

use std::fs;
use std::path::Path;

use anyhow::Context;
use arm_simulator::{ReadyWorld, WORLDS};
use serde::de::DeserializeOwned;

/// Reads a file, the default without one. YAML is a superset of JSON, so one reader takes both.
pub(crate) fn read<T: DeserializeOwned + Default>(path: Option<&Path>) -> anyhow::Result<T> {
    let Some(path) = path else { return Ok(T::default()) };
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_saphyr::from_str(&text).with_context(|| format!("cannot understand {}", path.display()))
}

/// A ready-made world by its name.
pub(crate) fn world(name: &str) -> anyhow::Result<&'static ReadyWorld> {
    ReadyWorld::find(name).with_context(|| {
        let names: Vec<&str> = WORLDS.iter().map(|world| world.name).collect();
        format!("there is no world '{name}'; there are {}", names.join(", "))
    })
}
