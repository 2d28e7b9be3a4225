//! Kubernetes events: one for each change of what is said, none for each pass.

use kube::Client;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use tracing::debug;

use super::kind::Kind;

/// The longest note the API server takes, in bytes.
const NOTE_LIMIT: usize = 1000;

/// Publishes events. A failure to do so never fails what it speaks of.
#[derive(Clone)]
pub struct Events {
    client: Client,
    reporter: Reporter,
}

impl Events {
    /// Events in the name of this instance.
    pub fn new(client: Client, instance: Option<String>) -> Self {
        Self { client, reporter: Reporter { controller: "aml-operator".into(), instance } }
    }

    /// Says `note` about `object`.
    pub async fn publish<K: Kind>(&self, object: &K, warning: bool, reason: &str, note: &str) {
        let mut note = note.to_owned();
        if note.len() > NOTE_LIMIT {
            let end = (0..=NOTE_LIMIT).rev().find(|at| note.is_char_boundary(*at)).unwrap_or(0);
            note.truncate(end);
        }
        let event = Event {
            type_: if warning { EventType::Warning } else { EventType::Normal },
            reason: reason.to_owned(),
            note: Some(note),
            action: "Reconcile".into(),
            secondary: None,
        };
        // A recorder of its own for each: a shared one would repeat the first note of a reason for as long as it recurs.
        let recorder = Recorder::new(self.client.clone(), self.reporter.clone());
        if let Err(error) = recorder.publish(&event, &object.object_ref(&())).await {
            debug!(%error, reason, "an event could not be published");
        }
    }
}
