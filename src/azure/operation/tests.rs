use reqwest::header::{HeaderName, HeaderValue};
use serde_json::json;

use super::*;
use crate::azure::cloud::Cloud;

const RESOURCE: &str = "/subscriptions/S1/resourceGroups/rg/providers/Microsoft.Network/privateDnsZones/z.net";
const BASE: &str = "https://management.azure.com";

fn place() -> Place {
    Place::resource_manager(Cloud::Public.endpoints().unwrap().resource_manager)
}

fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    pairs
        .iter()
        .map(|(name, value)| (HeaderName::try_from(*name).unwrap(), HeaderValue::from_str(value).unwrap()))
        .collect()
}

fn read_back(raw: &str) -> Result<OperationUrl, UntrustedUrl> {
    OperationUrl::read_back(&place(), RESOURCE, "v1", raw)
}

fn url(style: Style) -> OperationUrl {
    let mark = if style == Style::Location { "#location" } else { "" };
    read_back(&format!("{BASE}/subscriptions/S1/providers/Microsoft.Network/locations/w/operations/1{mark}")).unwrap()
}

#[test]
fn urls_of_the_resource_and_its_provider_s_operations_are_followed() {
    for path in [
        RESOURCE.to_owned(),
        RESOURCE.to_lowercase(),
        "/subscriptions/s1/providers/Microsoft.Network/locations/westus3/operations/0d1".into(),
        "/subscriptions/S1/providers/microsoft.network/locations/eastus/operationResults/0d1".into(),
        "/subscriptions/S1/resourceGroups/rg/providers/Microsoft.Network/locations/eu/operationStatus/default/operationId/1".into(),
        "/subscriptions/S1/resourceGroups/RG/providers/Microsoft.Network/privateDnsOperationStatuses/RnJv==".into(),
        format!("{RESOURCE}/operationStatuses/registries-1"),
    ] {
        let followed = read_back(&format!("{BASE}{path}?t=1&c=a%2Fb")).unwrap();
        assert_eq!(followed.to_string(), format!("{BASE}{path}?t=1&c=a%2Fb&api-version=v1"));
    }
    let own = read_back(&format!("{BASE}{RESOURCE}?Api-Version=v0")).unwrap();
    assert_eq!(own.to_string(), format!("{BASE}{RESOURCE}?Api-Version=v0"), "its own version stays");
}

#[test]
fn a_planted_url_is_not_followed() {
    use UntrustedUrl::{ForeignOrigin, ForeignPath, Malformed, TooLong};
    let good = "/subscriptions/S1/providers/Microsoft.Network/locations/w/operations/1";
    let long = format!("{BASE}{good}?s={}", "x".repeat(8192));
    for (raw, why) in [
        (format!("https://evil.test{good}"), ForeignOrigin),
        (format!("http://management.azure.com{good}"), ForeignOrigin),
        (format!("{BASE}:8443{good}"), ForeignOrigin),
        (format!("{BASE}.evil.test{good}"), ForeignOrigin),
        (format!("{BASE}@evil.test{good}"), ForeignOrigin),
        (format!("https://user:pw@management.azure.com{good}"), ForeignOrigin),
        (format!("https://evil.test#{BASE}{good}"), ForeignOrigin),
        (good.into(), Malformed),
        (format!("{BASE}//evil.test{good}"), Malformed),
        (format!("{BASE}\\@evil.test{good}"), Malformed),
        (format!("{BASE}{good}\n"), Malformed),
        (format!("{BASE}{good}#other"), Malformed),
        (format!("{BASE}/subscriptions/S2/../S1/providers/Microsoft.Network/locations/w/operations/1"), Malformed),
        (format!("{BASE}/subscriptions/S1/providers/Microsoft.Network/locations/w/operations/%2e%2e/1"), Malformed),
        (format!("{BASE}/subscriptions/S1/providers/Microsoft.Network/locations/w/operations/a%2fb"), Malformed),
        (format!("{BASE}/subscriptions/S1/providers/Microsoft.Network/locations/w/operations//1"), Malformed),
        (format!("{BASE}/subscriptions/S2/providers/Microsoft.Network/locations/w/operations/1"), ForeignPath),
        (format!("{BASE}/subscriptions/S1/providers/Microsoft.KeyVault/locations/w/operations/1"), ForeignPath),
        (
            format!(
                "{BASE}/subscriptions/S1/resourceGroups/other/providers/Microsoft.Network/privateDnsOperationStatuses/1"
            ),
            ForeignPath,
        ),
        (
            format!("{BASE}/subscriptions/S1/resourceGroups/rg/providers/Microsoft.Network/privateDnsZones/other"),
            ForeignPath,
        ),
        (
            format!(
                "{BASE}/subscriptions/S1/resourceGroups/rg/providers/Microsoft.Network/privateDnsZones/other/operationStatuses/1"
            ),
            ForeignPath,
        ),
        (format!("{BASE}{RESOURCE}/virtualNetworkLinks/l"), ForeignPath),
        (format!("{BASE}/subscriptions/S1/providers/Microsoft.Network/locations/w/usages/1"), ForeignPath),
        (format!("{BASE}/subscriptions/S1/providers/Microsoft.Network/locations/w/operations"), ForeignPath),
        (
            format!(
                "{BASE}/subscriptions/S1/providers/Microsoft.Network/providers/Microsoft.Network/locations/w/operations/1"
            ),
            ForeignPath,
        ),
        (format!("{BASE}/subscriptions/S1"), ForeignPath),
        (BASE.into(), ForeignPath),
        (long, TooLong),
        (String::new(), Malformed),
    ] {
        assert_eq!(read_back(&raw).unwrap_err(), why, "{raw}");
    }
}

#[test]
fn a_location_stays_one_when_it_is_written_down_and_read_back() {
    let at = "https://management.azure.com/subscriptions/S1/providers/Microsoft.Network/locations/w/operationResults/1";
    let started = |status, pairs: &[(&str, &str)]| {
        OperationUrl::started(&place(), RESOURCE, "v1", status, &headers(pairs)).unwrap()
    };
    let written = started(202, &[("location", at)]).unwrap().to_string();
    assert_eq!(written, format!("{at}?api-version=v1#location"));
    let back = read_back(&written).unwrap();
    assert_eq!(back.style, Style::Location);
    assert_eq!(back.url().fragment(), None);
    assert_eq!(started(200, &[("location", at)]), None, "a 200 is done");
    assert!(started(200, &[("azure-asyncoperation", at)]).is_some());
    let both = started(201, &[("location", RESOURCE), ("Azure-AsyncOperation", at)]).unwrap();
    assert_eq!(both.style, Style::Async);
    assert_eq!(started(204, &[]), None);
}

#[test]
fn answers_to_polls_mean_what_the_protocol_says() {
    let running = Ok(Poll::Running { retry_after: None, moved: None });
    let read = |style, status, body: Value| {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        url(style).read(&place(), status, &HeaderMap::new(), body.as_bytes())
    };
    for style in [Style::Async, Style::Location] {
        for state in ["Running", "InProgress", "Accepted", "SomethingNew"] {
            assert_eq!(read(style, 200, json!({"status": state})), running, "{state}");
        }
        assert_eq!(read(style, 200, json!({"status": "succeeded"})), Ok(Poll::Succeeded));
        assert_eq!(read(style, 202, Value::Null), running);
        assert_eq!(read(style, 204, Value::Null), Ok(Poll::Succeeded));
        // The resource itself, which may have a status of its own.
        assert_eq!(read(style, 200, json!({"type": "P/t", "status": "Failed"})), Ok(Poll::Succeeded));
        for state in ["Failed", "CANCELED"] {
            let body = json!({"status": state, "error": {"code": "UserError", "message": "User does not have permission to approve private link connections to resource: x"}});
            let Ok(Poll::Failed(error)) = read(style, 200, body) else { panic!("{state} has failed") };
            assert_eq!((error.class, error.outcome_unknown()), (ErrorClass::ApproverRoleMissing, false));
        }
        let Ok(Poll::Failed(error)) = read(style, 200, json!({"status": "Canceled"})) else { panic!("has failed") };
        assert_eq!((error.code.as_str(), error.class), ("Canceled", ErrorClass::Unknown));
        // What may be a failure to read never ends an operation.
        for status in [401, 403, 404, 408, 429, 500, 503, 504] {
            assert!(read(style, status, json!({"error": {"code": "X", "message": "m"}})).is_err(), "{status}");
        }
    }
    let refused = json!({"error": {"code": "BadRequest", "message": "m"}});
    assert!(matches!(read(Style::Location, 400, refused.clone()), Ok(Poll::Failed(_))));
    assert!(matches!(read(Style::Location, 409, json!({"error": {"code": "X", "message": "m"}})), Ok(Poll::Failed(_))));
    assert!(read(Style::Async, 400, refused).is_err(), "an error at the status URL is a failure to read");
}

#[test]
fn an_operation_may_move_but_not_away() {
    let here = url(Style::Location);
    let moved_to = |to: &str| match here.read(&place(), 202, &headers(&[("location", to), ("retry-after", "11")]), b"")
    {
        Ok(Poll::Running { retry_after: Some(wait), moved }) if wait.as_secs() == 11 => moved,
        other => panic!("{other:?}"),
    };
    let next = "https://management.azure.com/subscriptions/S1/providers/Microsoft.Network/locations/w/operations/2";
    assert_eq!(moved_to(next).unwrap().to_string(), format!("{next}?api-version=v1#location"));
    assert_eq!(moved_to("https://evil.test/"), None);
    assert_eq!(moved_to(here.url().as_str()), None);
}

#[test]
fn waits_are_read_and_capped() {
    for (pairs, wait) in [
        (&[][..], None),
        (&[("retry-after", "17")], Some(Duration::from_secs(17))),
        (&[("retry-after", "0")], None),
        (&[("retry-after", "86400")], Some(RETRY_AFTER_CAP)),
        (&[("retry-after", "99999999999999999999999")], None),
        (&[("retry-after", "Wed, 21 Oct 2026 07:28:00 GMT")], None),
        (&[("retry-after", "-5")], None),
        (&[("retry-after", "17"), ("x-ms-retry-after-ms", "50")], Some(Duration::from_millis(50))),
        (&[("retry-after-ms", "250")], Some(Duration::from_millis(250))),
        (&[("x-ms-retry-after-ms", "18446744073709551615")], Some(RETRY_AFTER_CAP)),
    ] {
        assert_eq!(retry_after(&headers(pairs)), wait, "{pairs:?}");
    }
}
