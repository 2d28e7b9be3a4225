//! Doors: what opens a resource, costs money or takes somebody's entries away waits for a word.

use std::collections::BTreeSet;

use crate::api::common::{Acknowledgement, Door, acknowledged};
use crate::plan::difference::Difference;
use crate::plan::outcome::{Reason, Verdict};

use super::declared::{Openness, Posture};
use super::entries::{Entry, List};
use super::firewall::{DEFAULT_ACTION, PUBLIC_ACCESS};
use super::observed::Observed;
use super::{ResourceInput, registry};

/// The most characters of a word.
const WORD_LIMIT: usize = 1024;

/// What the doors of one resource look at.
pub(super) struct Doors<'a> {
    pub(super) input: &'a ResourceInput<'a>,
    pub(super) posture: &'a Posture,
    /// Whether it shows addresses that nobody here declares: they come in once its public address is opened.
    pub(super) strangers: bool,
}

/// True if a person agreed to lose the stranger's `entry`.
pub(super) fn agreed(acknowledge: &[Acknowledgement], entry: &Entry) -> bool {
    let words = acknowledge.iter().filter(|word| word.door == Door::ExclusiveRules);
    words.flat_map(|word| word.value.split(',')).any(|name| name.trim().eq_ignore_ascii_case(&entry.words()))
}

/// Asks for the word to remove strangers' entries.
pub(super) fn exclusive(asked: &BTreeSet<Entry>) -> Verdict {
    let mut value = String::new();
    for words in asked.iter().map(Entry::words) {
        if value.len() + words.len() + 1 > WORD_LIMIT {
            break;
        }
        if !value.is_empty() {
            value.push(',');
        }
        value.push_str(&words);
    }
    Verdict::new(
        Reason::AcknowledgementRequired,
        format!(
            "with network.ownership: Exclusive, entries that nobody here declares are removed, and whoever came in by them is kept out. If \
             that is meant, acknowledge {{door: ExclusiveRules, value: {value:?}}}"
        ),
    )
}

/// How far the change opens the resource, if at all.
fn opens(difference: &Difference, posture: &Posture, strangers: bool) -> Openness {
    let wanted = difference.wanted.as_deref().unwrap_or_default();
    if difference.field.starts_with(PUBLIC_ACCESS) && wanted == "Enabled" {
        posture.openness().max(if strangers { Openness::Selected } else { Openness::Closed })
    } else if difference.field.ends_with(DEFAULT_ACTION) && wanted == "Allow" {
        Openness::Everybody
    } else if difference.field.ends_with(List::Addresses.member()) && adds(difference) {
        Openness::Selected
    } else {
        Openness::Closed
    }
}

fn adds(difference: &Difference) -> bool {
    let split = |text: Option<&str>| -> BTreeSet<String> {
        text.unwrap_or_default().split(',').filter(|part| !part.is_empty()).map(ToOwned::to_owned).collect()
    };
    !split(difference.wanted.as_deref()).is_subset(&split(difference.found.as_deref()))
}

impl Doors<'_> {
    /// The door of a resource that is created.
    ///
    /// # Errors
    /// With the verdict that asks for the word.
    pub(super) fn creating(&self) -> Result<(), Verdict> {
        self.public(self.posture.openness())
    }

    /// The doors that a difference's change leads through.
    ///
    /// # Errors
    /// With the verdict that asks for the word, or says who wants it otherwise.
    pub(super) fn of(&self, difference: &Difference, observed: &Observed) -> Result<(), Verdict> {
        if let Observed::Registry(shown) = observed {
            registry::door(shown, difference, self.posture, &self.input.spec.acknowledge)?;
        }
        self.contested(difference)?;
        self.public(opens(difference, self.posture, self.strangers))
    }

    fn public(&self, openness: Openness) -> Result<(), Verdict> {
        let said = |value| acknowledged(&self.input.spec.acknowledge, Door::PublicNetworkAccess, value);
        let (value, whom) = match openness {
            Openness::Closed => return Ok(()),
            _ if said("Enabled") => return Ok(()),
            Openness::Selected if said("SelectedAddresses") => return Ok(()),
            Openness::Selected => ("SelectedAddresses", "from the addresses in its list"),
            Openness::Everybody => ("Enabled", "from the internet"),
        };
        Err(Verdict::new(
            Reason::AcknowledgementRequired,
            format!(
                "network.access: {} makes it reachable {whom}. If that is meant, acknowledge {{door: PublicNetworkAccess, value: {value}}}",
                self.posture.access.as_str()
            ),
        ))
    }

    /// Two objects that want one resource otherwise would change it for ever; the stricter one wins.
    fn contested(&self, difference: &Difference) -> Result<(), Verdict> {
        let peers = self.input.peers;
        let wanted = difference.wanted.as_deref().unwrap_or_default();
        let stricter = if difference.field.starts_with(PUBLIC_ACCESS) && wanted == "Enabled" {
            peers.closing.as_ref()
        } else if difference.field.ends_with(DEFAULT_ACTION) && wanted == "Allow" {
            peers.denying.as_ref()
        } else if difference.field.to_ascii_lowercase().contains("bypass") && wanted.contains("AzureServices") {
            peers.untrusting.as_ref()
        } else {
            None
        };
        let Some(stricter) = stricter else { return Ok(()) };
        Err(Verdict::new(
            Reason::ManagedElsewhere,
            format!(
                "AmlWorkspace {stricter} declares it stricter: {} stays {}. Declare the same in both",
                difference.field,
                difference.found()
            ),
        ))
    }
}
