//! Writes the posture as report objects, where the cluster has a kind for these and the operator may write it.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams};
use kube::{Client, ResourceExt};
use tracing::debug;

use super::super::{Memory, Turn};
use super::{DUE, younger};
use crate::api::AmlWorkspace;
use crate::plan::names::body_hash;
use crate::plan::posture::{ReportKind, Subject, to_object};
use crate::runtime::status::FIELD_MANAGER;

/// Which kinds of reports can be written, as last asked. They come and go with their definitions, and with the operator's rights.
#[derive(Debug, Default)]
pub struct ReportKinds(Mutex<Option<(Vec<ReportKind>, Timestamp)>>);

impl ReportKinds {
    /// Those that the API server serves; asked again after `believed`.
    async fn served(&self, kube: &Client, now: Timestamp, believed: Duration) -> Vec<ReportKind> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((kinds, _)) = known.filter(|(_, at)| younger(*at, now, believed)) {
            return kinds;
        }
        let mut kinds = Vec::new();
        for kind in ReportKind::ALL {
            let (group, version, _, plural) = kind.names();
            let served = kube.list_api_group_resources(&format!("{group}/{version}")).await;
            if served.is_ok_and(|served| served.resources.iter().any(|resource| resource.name == plural)) {
                kinds.push(kind);
            }
        }
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((kinds.clone(), now));
        kinds
    }

    /// Not this one: the operator may not, or it has just gone.
    fn leave_out(&self, kind: ReportKind) {
        if let Some((kinds, _)) = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            kinds.retain(|known| *known != kind);
        }
    }
}

/// Writes what there is to say of `workspace`, if it is news, or was written long ago and somebody may have changed it.
pub(in super::super) async fn write(turn: &Turn<'_>, workspace: &AmlWorkspace, memory: &mut Memory) {
    let context = turn.context;
    let now = context.now();
    let memory = &mut memory.posture;
    let Some(said) = &memory.said else { return };
    let (name, namespace) = (workspace.name_any(), workspace.namespace().unwrap_or_default());
    let uid = workspace.uid().unwrap_or_default();
    let subject = Subject { name: &name, namespace: &namespace, uid: &uid };
    for kind in context.report_kinds.served(&context.kube, now, context.pace.slow).await {
        let object = to_object(kind, subject, said);
        let (hash, key) = (body_hash(Some(&object)), kind.names().0);
        let written = memory
            .written
            .get(key)
            .is_some_and(|(known, at)| *known == hash && younger(*at, now, context.pace.resync.mul_f64(DUE)));
        if written {
            continue;
        }
        let (group, version, word, plural) = kind.names();
        let resource = ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, word), plural);
        let api: Api<DynamicObject> = Api::namespaced_with(context.kube.clone(), &namespace, &resource);
        let at = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        match api.patch(&at, &PatchParams::apply(FIELD_MANAGER).force(), &Patch::Apply(&object)).await {
            Ok(_) => drop(memory.written.insert(key, (hash, now))),
            Err(error) => {
                debug!(namespace, name = at, kind = word, %error, "the posture cannot be written as a report");
                context.report_kinds.leave_out(kind);
            }
        }
    }
}
