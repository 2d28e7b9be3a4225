//! Private DNS: zones, their links to virtual networks, their record sets.

pub(super) mod links;
pub(super) mod lookup;
pub(super) mod records;
pub(super) mod zones;

use crate::call::{Answer, Call, Monitor, Style};
use crate::resource_type::Write;
use crate::routes::{Route, row};

/// The versions of the recordings, of the specification and of the clients.
pub(super) const VERSIONS: &[&str] = &["2018-09-01", "2020-01-01", "2020-06-01", "2024-06-01"];

macro_rules! operation {
    ($what:literal) => {
        concat!("/subscriptions/{}/resourceGroups/{}/providers/Microsoft.Network/", $what, "/{}")
    };
}

pub(super) const ROUTES: &[Route] = &[
    row("GET", operation!("privateDnsOperationStatuses"), VERSIONS, status),
    row("GET", operation!("privateDnsOperationResults"), VERSIONS, |call| call.operation_result(Some(30))),
];

const fn write(kind: &'static str, busy: &'static str, done: u16) -> Write {
    Write { kind, seconds: |times| times.private_dns, busy, style: Style::private_dns(done) }
}

/// 202 while it runs, with both URLs again (recording of zones and links).
fn status(call: &mut Call<'_>) -> Answer {
    let reply = call.monitor(Monitor { running: 202, retry_after: Some(30), percent: false })?;
    if reply.status != 202 {
        return Ok(reply);
    }
    let (base, query) = (&call.request.base, &call.request.raw_query);
    let result = call.path.replace("privateDnsOperationStatuses", "privateDnsOperationResults");
    Ok(reply
        .header("Azure-AsyncOperation", format!("{base}{}?{query}", call.path))
        .header("Location", format!("{base}{result}?{query}")))
}
