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
        name: "mess",
        about: "a workspace with its dependencies and two networks, to be cleaned up: one flaw of each kind, named in the file",
        yaml: include_str!("../worlds/mess.yaml"),
    },
    ReadyWorld {
        name: "clean",
        about: "the same as it should be: a private workspace that two networks use",
        yaml: include_str!("../worlds/clean.yaml"),
    },
    ReadyWorld {
        name: "clients",
        about: "what an AML workspace needs in one group of eastus, under the names that clients' tests use",
        yaml: include_str!("../worlds/clients.yaml"),
    },
];

/// What stands before the name of a flaw, in the comments of a world that has any.
const FLAW: &str = "# flaw: ";

impl ReadyWorld {
    /// The names of the flaws that are planted in it, in the order of the file; what each is stands beside its name in
    /// [`Self::yaml`].
    pub fn flaws(&self) -> impl Iterator<Item = &'static str> + use<> {
        let comments = self.yaml.lines().filter_map(|line| line.trim().strip_prefix(FLAW));
        comments.filter_map(|comment| comment.split_once(':')).map(|(name, _)| name)
    }

    /// The world with a name.
    pub fn find(name: &str) -> Option<&'static Self> {
        WORLDS.iter().find(|world| world.name == name)
    }
}
