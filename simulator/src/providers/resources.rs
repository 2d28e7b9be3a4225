//! Microsoft.Resources: subscriptions and resource groups.

use serde_json::json;

use crate::call::{Answer, Call};
use crate::error::ArmError;
use crate::http::Reply;
use crate::ids;
use crate::routes::{Provider, Route};

const VERSIONS: &[&str] =
    &["2020-01-01", "2020-06-01", "2021-04-01", "2022-09-01", "2022-12-01", "2024-11-01", "2025-04-01"];

const ROUTES: &[Route] = &[
    Route { method: "GET", path: "/subscriptions/{}", versions: VERSIONS, run: subscription },
    Route { method: "GET", path: "/subscriptions/{}/resourceGroups", versions: VERSIONS, run: groups },
    Route { method: "GET", path: "/subscriptions/{}/resourceGroups/{}", versions: VERSIONS, run: group },
];

pub(crate) const PROVIDER: Provider = Provider {
    namespace: "Microsoft.Resources",
    source: "ARM RPC, recordings",
    missing: &[],
    types: &[],
    routes: &[ROUTES],
};

fn subscription(call: &mut Call<'_>) -> Answer {
    let known = call.world.subscriptions.get(&ids::key(call.param(0)));
    let known = known.ok_or_else(|| ArmError::subscription_not_found(call.param(0)))?;
    Ok(Reply::ok(json!({
        "id": format!("/subscriptions/{}", known.id),
        "subscriptionId": known.id,
        "tenantId": known.tenant,
        "displayName": known.id,
        "state": "Enabled",
    })))
}

fn groups(call: &mut Call<'_>) -> Answer {
    let subscription = format!("/subscriptions/{}", call.param(0));
    let groups = &call.world.groups;
    let items = groups.iter().filter(|(id, _)| ids::contains(&subscription, id)).map(|(_, group)| group.clone());
    let items = items.collect();
    Ok(call.page(items, "$skipToken"))
}

fn group(call: &mut Call<'_>) -> Answer {
    let group = call.world.groups.get(&ids::key(&call.path));
    group.cloned().map(Reply::ok).ok_or_else(|| ArmError::group_not_found(call.param(1)))
}
