//! Worlds that are ready to be used, as the files under `worlds/` describe them.

/// A seed with a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadyWorld {
    /// By what it is asked for.
    pub name: &'static str,
    /// What is in it, in a line.
    pub about: &'static str,
    /// The seed file, with comments.
    pub yaml: &'static str,
}

/// All of them.
pub const WORLDS: &[ReadyWorld] = &[
    ReadyWorld {
        name: "empty",
        about: "a subscription, one empty resource group and a service principal that owns them",
        yaml: include_str!("../worlds/empty.yaml"),
    },
    ReadyWorld {
        name: "hub-spoke",
        about: "a hub and two spokes: networks, closed data accounts, a registry, what a workspace refers to",
        yaml: include_str!("../worlds/hub-spoke.yaml"),
    },
    ReadyWorld {
        name: "attacker",
        about: "a team's data, and strangers of this and of another tenant who ask for it under the team's names",
        yaml: include_str!("../worlds/attacker.yaml"),
    },
    ReadyWorld {
        name: "clients",
        about: "what an AML workspace needs in one group of eastus, under the names that clients' tests use",
        yaml: include_str!("../worlds/clients.yaml"),
    },
];

impl ReadyWorld {
    /// The world with a name.
    pub fn find(name: &str) -> Option<&'static Self> {
        WORLDS.iter().find(|world| world.name == name)
    }
}
