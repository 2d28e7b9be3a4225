//! Names that follow from the object, so that losing all status loses nothing.

use sha2::{Digest, Sha256};

use crate::api::ids::ArmId;

/// Letters of a hash in a name: lower case without the ones people confuse.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// How much of the object's name a derived name keeps.
const KEPT: usize = 20;
/// How much a name of something with room for more keeps.
const DERIVED: usize = 36;
/// Letters that tell objects apart: 25 bits within one workspace and one kept name.
const IDENTITY: usize = 5;
/// Letters that tell our installation's names from strangers': one in 32,768 strangers' names of this very form passes.
const SEAL: usize = 3;

fn letters(parts: &[&str], count: usize) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        // The length in front keeps ("ab","c") and ("a","bc") apart.
        hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(part.as_bytes());
    }
    hash.finalize().iter().take(count).map(|byte| char::from(ALPHABET[usize::from(byte % 32)])).collect()
}

/// The Azure name of the rule that object `namespace`/`name` of `installation` declares: 12 to 29 characters that
/// `^[a-zA-Z0-9][a-zA-Z0-9_-]{2,32}$` takes (REST specification of outboundRules).
///
/// The last eight letters are five that identify the object and three that seal the name with the installation, so that
/// [`is_ours`] can tell a rule of ours whose object is gone from a stranger's.
pub fn rule_name(installation: &str, namespace: &str, name: &str) -> String {
    let kept: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(KEPT).collect();
    let kept = kept.trim_end_matches('-');
    let kept = if kept.is_empty() { "rule" } else { kept };
    let body = format!("{kept}-{}", letters(&[installation, namespace, name], IDENTITY));
    let seal = letters(&[installation, &body], SEAL);
    format!("{body}{seal}")
}

/// A name that follows from `parts`, recognisable by what it keeps of `kept`: at most 45 characters, letters, digits and dashes.
pub fn derived(kept: &str, parts: &[&str]) -> String {
    let kept: String = kept.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(DERIVED).collect();
    format!("{}-{}", kept.trim_end_matches('-'), letters(parts, IDENTITY + SEAL))
}

/// True if `azure_name` was derived by [`rule_name`] in this installation.
pub fn is_ours(installation: &str, azure_name: &str) -> bool {
    let Some(at) = azure_name.len().checked_sub(SEAL).filter(|at| azure_name.is_char_boundary(*at)) else {
        return false;
    };
    let (body, seal) = azure_name.split_at(at);
    body.rsplit_once('-').is_some_and(|(kept, identity)| !kept.is_empty() && identity.len() == IDENTITY)
        && letters(&[installation, body], SEAL) == seal
}

/// The name of what is created for `field` of the workspace `id`: a letter, then letters and digits, 13 to 24 characters all lower case,
/// which every type takes (naming rules of storage accounts, key vaults, registries, components and log workspaces). It follows from
/// the workspace's ARM id alone, and names of storage accounts, vaults and registries are unique in all of Azure: 60 bits tell them
/// apart.
pub fn resource_name(id: &ArmId, field: &str) -> String {
    const KEPT: usize = 12;
    const IDENTITY: usize = 12;
    let plain = id.name().chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase());
    let kept: String = plain.skip_while(char::is_ascii_digit).take(KEPT).collect();
    let kept = if kept.is_empty() { "ml" } else { kept.as_str() };
    format!("{kept}{}", letters(&[&id.key(), field], IDENTITY))
}

/// A mark by which one of some hundred texts is recognised: 30 bits.
pub fn mark(text: &str) -> String {
    letters(&[text], 6)
}

/// How many letters of a name are random: 80 bits, which nobody guesses.
const RANDOM: usize = 16;

/// A name that begins with `prefix` and goes on with what nobody can know before: `noise` is fresh random bytes.
pub fn random(prefix: &str, noise: [u8; 32]) -> String {
    let noise: Vec<String> = noise.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{prefix}-{}", letters(&[&noise.concat()], RANDOM))
}

/// True if `name` has the form of a name made by [`random`] with this `prefix`.
pub fn is_random_of(prefix: &str, name: &str) -> bool {
    let rest = name.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('-'));
    rest.is_some_and(|rest| rest.len() == RANDOM && rest.bytes().all(|byte| ALPHABET.contains(&byte)))
}

/// A name for what may hold letters, digits and underscores and begins with a letter: that of [`rule_name`], respelled.
pub fn identifier(installation: &str, namespace: &str, name: &str) -> String {
    let name = rule_name(installation, namespace, name).replace('-', "_");
    if name.starts_with(|first: char| first.is_ascii_alphabetic()) { name } else { format!("l_{name}") }
}

/// A short hash of `parts`, for names of Secrets and for what people acknowledge.
pub fn fingerprint(parts: &[&str]) -> String {
    letters(parts, 16)
}

/// Hash of a request body, to recognise it.
pub fn body_hash(body: Option<&serde_json::Value>) -> String {
    fingerprint(&[&body.map(ToString::to_string).unwrap_or_default()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_same_object_always_has_the_same_name() {
        let name = rule_name("cluster-1", "team-fraud", "datalake");
        assert_eq!(name, rule_name("cluster-1", "team-fraud", "datalake"));
        assert!(name.starts_with("datalake-"), "people recognise it: {name}");
        assert_ne!(name, rule_name("cluster-2", "team-fraud", "datalake"));
        assert_ne!(name, rule_name("cluster-1", "team-risk", "datalake"));
        assert!(is_ours("cluster-1", &name));
        assert!(!is_ours("cluster-2", &name), "another installation's rule is a stranger's");
        for stranger in ["", "a", "datalake", "datalake-abcdefgh", "__SYS_PE_x_blob_1234abcd", "ü-ü"] {
            assert!(!is_ours("cluster-1", stranger), "{stranger}");
        }
    }

    proptest! {
        #[test]
        fn every_type_takes_every_name_of_a_resource(name in "[a-zA-Z0-9][a-zA-Z0-9_-]{2,32}") {
            let id = "00000000-0000-0000-0000-000000000001";
            let id = ArmId::of(id, "rg", "Microsoft.MachineLearningServices/workspaces", &name).unwrap();
            let derived = resource_name(&id, "storageAccount");
            prop_assert!((13..=24).contains(&derived.len()), "{derived}");
            prop_assert!(derived.starts_with(|c: char| c.is_ascii_lowercase()));
            prop_assert!(derived.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit()));
        }

        #[test]
        fn azure_takes_every_derived_name(namespace in "[a-z0-9-]{1,63}", name in "[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?") {
            let derived = rule_name("i", &namespace, &name);
            prop_assert!((3..=33).contains(&derived.len()), "{derived}");
            prop_assert!(derived.chars().next().is_some_and(|c| c.is_ascii_alphanumeric()));
            prop_assert!(derived.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_'));
            prop_assert!(is_ours("i", &derived));
        }
    }
}
