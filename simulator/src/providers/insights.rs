//! Microsoft.Insights/components: what a workspace refers to; read only.

use crate::call::{Answer, Call};
use crate::http::Reply;
use crate::routes::Route;

const VERSIONS: &[&str] = &["2015-05-01", "2020-02-02"];

pub(crate) const ROUTES: &[Route] = &[Route {
    method: "GET",
    path: "/subscriptions/{}/resourceGroups/{}/providers/Microsoft.Insights/components/{}",
    versions: VERSIONS,
    run: get,
}];

fn get(call: &mut Call<'_>) -> Answer {
    Ok(Reply::ok(call.world.resource(&call.path)?.clone()))
}
