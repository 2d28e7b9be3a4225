//! Microsoft.ContainerRegistry/registries: what a workspace refers to; read only.

use crate::call::{Answer, Call};
use crate::http::Reply;
use crate::routes::Route;

const VERSIONS: &[&str] = &["2019-12-01-preview", "2023-07-01", "2025-04-01", "2025-11-01"];

pub(crate) const ROUTES: &[Route] = &[Route {
    method: "GET",
    path: "/subscriptions/{}/resourceGroups/{}/providers/Microsoft.ContainerRegistry/registries/{}",
    versions: VERSIONS,
    run: get,
}];

fn get(call: &mut Call<'_>) -> Answer {
    Ok(Reply::ok(call.world.resource(&call.path)?.clone()))
}
