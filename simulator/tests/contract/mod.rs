//! Holds what a simulator and its clients said to each other to Microsoft's specifications.

use std::path::Path;

use arm_contract::{Exchange, hold_to_specifications};
use arm_simulator::{Headers, Simulator};
use url::Url;

/// Fails the test if an exchange contradicts the specifications that `ARM_SPECS_DIR` names. `folder` is where Cargo lets
/// tests write; the counts of what was exercised are kept there, for `arm-contract report`.
pub(crate) fn hold(simulator: &Simulator, folder: &str) {
    // What failed already has a better reason.
    if std::thread::panicking() {
        return;
    }
    let answered = simulator.exchanges().into_iter().filter_map(exchange);
    let held = hold_to_specifications(answered, &Path::new(folder).join("arm-contract"));
    assert!(held.is_ok(), "{}", held.err().unwrap_or_default());
}

/// An exchange as the specifications see it; nothing if the client was not answered, is only about to be, or was told
/// something that the test made up.
fn exchange(exchange: arm_simulator::Exchange) -> Option<Exchange> {
    let status = exchange.status.filter(|_| !exchange.duration.is_zero() && !exchange.fault)?;
    let owned = |headers: &Headers| headers.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let bare = Exchange {
        request_headers: owned(&exchange.request_headers),
        status,
        response_headers: owned(&exchange.response_headers),
        ..Exchange::of_url(&exchange.method, &Url::parse(&exchange.url()).ok()?)
    };
    let request = String::from_utf8_lossy(&exchange.request_body);
    let response = String::from_utf8_lossy(&exchange.response_body);
    Some(bare.with_request_text(&request).with_response_text(&response))
}
