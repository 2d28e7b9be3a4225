//! Memory and start with many small objects.

use futures::{StreamExt, stream};
use kube::api::{DeleteParams, ListParams};
use serde_json::json;

use crate::executable::until;
use crate::process::{resident, start, start_timed, stop};
use crate::support::World;
use crate::table::Table;
use crate::{SETTLE, rule};

/// How many objects memory is measured with, one after the other.
const OBJECTS: [usize; 2] = [1_000, 10_000];

/// Memory and start with many small objects: rules that wait for a workspace, which is what is left when a folder is applied in
/// the wrong order. They come on top of the workspaces and rules of the other measurements.
pub(crate) async fn many_objects(world: &World, program: &str, table: &mut Table) {
    let few = start(world, program, &[]).await;
    few.ready().await;
    tokio::time::sleep(SETTLE).await;
    let before = resident(&few);
    stop(few).await;
    if let Some(before) = before {
        table.told("resident memory, 22 workspaces with 60 rules, MiB", format!("{before:.1}"));
    }
    let mut there = 0;
    for objects in OBJECTS {
        more_objects(world, program, table, there, objects).await;
        there = objects;
    }
    // What is measured next is measured without them.
    let api = world.api("OutboundRule", Some(&world.team));
    let waiting = ListParams::default().fields("spec.workspaceRef.name=later");
    api.delete_collection(&DeleteParams::default(), &waiting).await.expect("they go");
}

/// Makes of `there` such objects `objects`, and measures.
async fn more_objects(world: &World, program: &str, table: &mut Table, there: usize, objects: usize) {
    let later = |i| {
        let mut rule = rule(world, "many", i);
        rule["spec"]["workspaceRef"] = json!({"name": "later"});
        // Without a finalizer they are the same size but for a line, and half the time passes until all have their status.
        rule["spec"]["managementPolicy"] = "Observe".into();
        rule
    };
    stream::iter((there..objects).map(later)).for_each_concurrent(16, |rule| world.apply(rule)).await;
    let first = start(world, program, &[]).await;
    for some in 1..=10 {
        let written = async || {
            let written = first.metric("aml_operator_status_writes_total", "OutboundRule").await;
            (written * 10.0 >= ((objects - there) * some) as f64).then_some(())
        };
        until("a status for each rule", written).await;
    }
    tokio::time::sleep(SETTLE).await;
    let busy = resident(&first);
    stop(first).await;
    let (second, time) = start_timed(world, program).await;
    table.held(&format!("start to ready, {objects} objects, ms"), time, 0, "< 1000", time < 1000.0);
    tokio::time::sleep(2 * SETTLE).await;
    let restarted = resident(&second);
    stop(second).await;
    if let (Some(busy), Some(restarted)) = (busy, restarted) {
        table.told(
            &format!("resident memory, {objects} objects more, all just given a status, MiB"),
            format!("{busy:.1}"),
        );
        let what = format!("resident memory, {objects} objects more, MiB");
        table.held(&what, restarted, 1, "< 48", restarted < 48.0);
    }
}
