//! The client against a server on loopback, over TLS, at the clouds' own host names.

use std::process::Command;
use std::sync::Mutex;

use futures::future::BoxFuture;
use serde_json::json;

use super::super::testing::{Reply, SECRET, Seen, Server, arm_error, ok};
use super::*;
use crate::azure::cloud::CustomCloud;
use crate::effects::Observer;

const WORKSPACE: &str = "/subscriptions/S/resourceGroups/rg/providers/Microsoft.MachineLearningServices/workspaces/ws";
const V: &str = "2025-12-01";

fn ops(tail: &str) -> String {
    format!(
        "https://management.azure.com/subscriptions/S/providers/Microsoft.MachineLearningServices/locations/w/{tail}"
    )
}

#[tokio::test]
async fn a_list_is_read_to_its_last_page() {
    let server = Server::start(|seen| match seen.target.split_once("$skip=").map(|(_, skip)| skip.chars().next()) {
        None => ok(json!({"value": [1, 2], "nextLink": format!("https://management.azure.com{WORKSPACE}/outboundRules?$skip=2")})),
        Some(Some('2')) => {
            ok(json!({"value": [], "nextLink": format!("https://management.azure.com:443{}/outboundrules?$skip=3&api-version=x", WORKSPACE.to_lowercase())}))
        }
        _ => ok(json!({"value": [3], "nextLink": null})),
    })
    .await;
    let items = server.client().list(&format!("{WORKSPACE}/outboundRules"), V, Priority::Resync).await.unwrap();
    assert_eq!(items, [json!(1), json!(2), json!(3)]);
    let calls = server.calls();
    assert!(calls[1].target.contains("$skip=2") && calls[1].target.contains("api-version=2025-12-01"), "{calls:?}");
    assert!(calls[2].target.ends_with("api-version=x"), "a link's own version stays: {calls:?}");
}

#[tokio::test]
async fn a_next_page_elsewhere_is_refused_and_never_sees_the_token() {
    for link in [
        format!("https://evil.test{WORKSPACE}/outboundRules?$skip=1"),
        format!("http://management.azure.com{WORKSPACE}/outboundRules"),
        format!("https://management.azure.com:8443{WORKSPACE}/outboundRules"),
        format!("https://management.azure.com@evil.test{WORKSPACE}/outboundRules"),
        format!("https://management.azure.com{WORKSPACE}/computes"),
        format!("https://management.azure.com{WORKSPACE}/outboundRules/../computes"),
        format!("{WORKSPACE}/outboundRules?$skip=1"),
    ] {
        let answer = link.clone();
        let server = Server::start(move |_| ok(json!({"value": [1], "nextLink": answer}))).await;
        let error = server.client().list(&format!("{WORKSPACE}/outboundRules"), V, Priority::Resync).await.unwrap_err();
        assert_eq!((error.code.as_str(), error.class), ("NextLinkRefused", ErrorClass::Protocol), "{link}");
        assert_eq!(server.calls().len(), 1, "{link}");
        assert!(server.all().iter().all(|seen| seen.host != "evil.test"), "{link}");
    }
}

#[tokio::test]
async fn a_list_that_never_ends_is_an_error() {
    let server =
        Server::start(|seen| {
            let page = seen.target.split_once("$skip=").map_or(0, |(_, n)| n.split('&').next().unwrap().parse::<u32>().unwrap());
            ok(json!({"value": [page], "nextLink": format!("https://management.azure.com{WORKSPACE}/computes?$skip={}", page + 1)}))
        })
        .await;
    let mut config = server.config();
    config.pace.page_cap = 3;
    let client = Client::new(config).unwrap();
    let error = client.list(&format!("{WORKSPACE}/computes"), V, Priority::Resync).await.unwrap_err();
    assert_eq!(error.code, "ListTooLong");
    assert_eq!(server.calls().len(), 3);

    let server = Server::start(|_| {
        ok(json!({"value": [], "nextLink": format!("https://management.azure.com{WORKSPACE}/computes?api-version={V}")}))
    })
    .await;
    let error = server.client().list(&format!("{WORKSPACE}/computes"), V, Priority::Resync).await.unwrap_err();
    assert_eq!(error.code, "ListLoops");
}

#[tokio::test]
async fn only_a_404_about_the_resource_itself_is_absence() {
    let own = "The Resource 'Microsoft.MachineLearningServices/workspaces/ws' under resource group 'rg' was not found.";
    let other =
        "The Resource 'Microsoft.MachineLearningServices/workspaces/other' under resource group 'rg' was not found.";
    for (reply, expected) in [
        (("ResourceNotFound", own), None),
        (("NotFound", "no such thing"), None),
        (("WorkspaceNotFound", ""), None),
        (("ResourceNotFound", other), Some(ErrorClass::ParentNotFound)),
        (("ResourceGroupNotFound", "Resource group 'rg' could not be found."), Some(ErrorClass::ParentNotFound)),
        (("SubscriptionNotFound", ""), Some(ErrorClass::ParentNotFound)),
        (("ParentResourceNotFound", ""), Some(ErrorClass::ParentNotFound)),
        (("VaultNotFound", ""), Some(ErrorClass::ParentNotFound)),
        (("SomethingNew", ""), Some(ErrorClass::Unknown)),
    ] {
        let server = Server::start(move |_| arm_error(404, reply.0, reply.1)).await;
        let found = server.client().find(WORKSPACE, V, Priority::Change).await;
        match expected {
            None => assert_eq!(found, Ok(None), "{reply:?}"),
            Some(class) => assert_eq!(found.unwrap_err().class, class, "{reply:?}"),
        }
    }
    let server = Server::start(|_| Reply::Text(404, "<html>not found</html>".into())).await;
    let error = server.client().find(WORKSPACE, V, Priority::Change).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Unknown, "a proxy's page is no evidence");
}

#[tokio::test]
async fn a_write_gives_the_operation_s_url_and_its_polls_end() {
    let server = Server::start(|seen| match seen.method.as_str() {
        "PUT" => Reply::Json(
            202,
            vec![
                ("azure-asyncoperation", ops("workspaceOperationsStatus/1?t=1&s=sig")),
                ("location", ops("workspaceOperationResults/1")),
                ("retry-after", "15".into()),
                ("x-ms-request-id", "req-7".into()),
            ],
            json!(null),
        ),
        _ if seen.target.contains("s=sig") => {
            Reply::Json(200, vec![("retry-after", "7".into())], json!({"status": "InProgress"}))
        }
        _ => ok(json!({"status": "Succeeded"})),
    })
    .await;
    let client = server.client();
    let accepted =
        client.send(Method::PUT, WORKSPACE, V, Some(&json!({"location": "w"})), Priority::Change).await.unwrap();
    assert_eq!((accepted.status, accepted.retry_after), (202, Some(Duration::from_secs(15))));
    assert_eq!(accepted.request_id.as_deref(), Some("req-7"));
    let written = accepted.operation.unwrap().to_string();
    assert_eq!(written, ops("workspaceOperationsStatus/1?t=1&s=sig&api-version=2025-12-01"));
    let url = client.operation_url(WORKSPACE, V, &written).unwrap();
    assert_eq!(
        client.poll(&url, Priority::Change).await.unwrap(),
        Poll::Running { retry_after: Some(Duration::from_secs(7)), moved: None }
    );
    let calls = server.calls();
    assert_eq!(calls[0].body, "{\"location\":\"w\"}");
    assert_eq!(calls[0].headers["user-agent"], concat!("aml-operator/", env!("CARGO_PKG_VERSION")));
    assert_ne!(calls[0].headers["x-ms-client-request-id"], calls[1].headers["x-ms-client-request-id"]);
    assert!(calls[1].target.contains("s=sig") && calls[1].target.contains("api-version=2025-12-01"));
}

#[tokio::test]
async fn a_foreign_operation_url_is_dropped_but_the_write_counts() {
    let server =
        Server::start(|_| Reply::Json(202, vec![("azure-asyncoperation", "https://evil.test/x".into())], json!(null)))
            .await;
    let accepted = server.client().send(Method::DELETE, WORKSPACE, V, None, Priority::Urgent).await.unwrap();
    assert_eq!((accepted.status, accepted.operation), (202, None));
}

/// Notes the moment of each effect and how many requests the server had seen by then.
struct Notes {
    log: Arc<Mutex<Vec<Seen>>>,
    notes: Mutex<Vec<(Moment, String, usize)>>,
}

impl Observer for Notes {
    fn reach<'a>(&'a self, moment: Moment, effect: &'a Effect) -> BoxFuture<'a, ()> {
        let sent = self.log.lock().unwrap().iter().filter(|seen| seen.method == effect.method).count();
        self.notes.lock().unwrap().push((moment, effect.to_string(), sent));
        Box::pin(std::future::ready(()))
    }
}

#[tokio::test]
async fn every_write_passes_the_seam_before_and_after_and_reads_do_not() {
    let server =
        Server::start(
            |seen| {
                if seen.method == "PATCH" { arm_error(500, "InternalServerError", "") } else { ok(json!({})) }
            },
        )
        .await;
    let notes = Arc::new(Notes { log: server.log(), notes: Mutex::default() });
    let mut config = server.config();
    config.seam = Seam::watched(notes.clone());
    let client = Client::new(config).unwrap();
    client.get(WORKSPACE, V, Priority::Change).await.unwrap();
    client.send(Method::PUT, &format!("{WORKSPACE}?x=1"), V, Some(&json!({})), Priority::Change).await.unwrap();
    client.send(Method::PATCH, WORKSPACE, V, Some(&json!({})), Priority::Change).await.unwrap_err();
    let expected = |moment, method: &str, sent| (moment, format!("Arm {method} {WORKSPACE}"), sent);
    assert_eq!(
        *notes.notes.lock().unwrap(),
        [
            expected(Moment::Before, "PUT", 0),
            expected(Moment::After, "PUT", 1),
            expected(Moment::Before, "PATCH", 0),
            expected(Moment::After, "PATCH", 1),
        ]
    );
}

#[tokio::test]
async fn a_refused_token_is_replaced_once_for_reads_and_reported_for_writes() {
    let server = Server::start(|seen| match seen.authorization.as_deref() {
        Some("Bearer token-1") => arm_error(401, "ExpiredAuthenticationToken", "expired"),
        _ => ok(json!({"ok": true})),
    })
    .await;
    let client = server.client();
    assert_eq!(client.get(WORKSPACE, V, Priority::Change).await.unwrap(), json!({"ok": true}));
    assert_eq!(server.calls().len(), 2);

    let server = Server::start(|_| arm_error(401, "InvalidAuthenticationToken", "no")).await;
    let client = server.client();
    let error = client.send(Method::PUT, WORKSPACE, V, Some(&json!({})), Priority::Change).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Unauthenticated);
    assert!(!error.outcome_unknown());
    assert_eq!(server.calls().len(), 1);
    client.get(WORKSPACE, V, Priority::Change).await.unwrap_err();
    assert_eq!(server.calls().len(), 3, "a read tries twice and gives up");
}

#[tokio::test]
async fn answers_that_cannot_be_used_are_errors_that_say_what_is_known() {
    type Case = (fn() -> Reply, &'static str, ErrorClass, bool);
    let cases: [Case; 7] = [
        (|| Reply::Text(502, "<html>Bad Gateway</html>".into()), "Http502", ErrorClass::Transient, true),
        (|| Reply::Text(504, String::new()), "Http504", ErrorClass::Transient, true),
        (|| Reply::Text(200, "x".repeat(5000)), "AnswerTooLong", ErrorClass::Protocol, true),
        (|| Reply::Text(400, "x".repeat(5000)), "AnswerTooLong", ErrorClass::Protocol, false),
        (|| Reply::Broken(200), "ConnectionLost", ErrorClass::Transient, true),
        (|| arm_error(409, "Conflict", "busy"), "Conflict", ErrorClass::Busy, false),
        (
            || Reply::Json(307, vec![("location", "https://evil.test/".into())], json!({})),
            "RedirectRefused",
            ErrorClass::Protocol,
            true,
        ),
    ];
    for (reply, code, class, unknown) in cases {
        let server = Server::start(move |_| reply()).await;
        let mut config = server.config();
        config.pace.body_cap = 4096;
        let client = Client::new(config).unwrap();
        let error = client.send(Method::PUT, WORKSPACE, V, Some(&json!({})), Priority::Change).await.unwrap_err();
        assert_eq!((error.code.as_str(), error.class), (code, class), "{error}");
        assert_eq!(error.outcome_unknown(), unknown, "{error}");
        assert_eq!(server.calls().len(), 1, "never repeated: {error}");
    }
}

#[tokio::test]
async fn without_a_connection_nothing_was_sent() {
    let server = Server::start(|_| ok(json!({}))).await;
    let mut config = server.config();
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    config.transport.hosts[0].1 = closed;
    let client = Client::new(config).unwrap();
    let error = client.send(Method::PUT, WORKSPACE, V, Some(&json!({})), Priority::Change).await.unwrap_err();
    assert_eq!(
        (error.code.as_str(), error.class, error.outcome_unknown()),
        ("ConnectFailed", ErrorClass::Transient, false)
    );
}

#[tokio::test]
async fn arm_s_429_stops_the_subscription_s_writes_and_no_more() {
    let server = Server::start(|seen| match (seen.method.as_str(), seen.target.contains("/S/")) {
        ("PUT", true) => Reply::Json(
            429,
            vec![("retry-after", "60".into())],
            json!({"error": {"code": "SubscriptionRequestsThrottled", "message": "slow down"}}),
        ),
        _ => ok(json!({})),
    })
    .await;
    let client = server.client();
    let put = async |path: &str| client.send(Method::PUT, path, V, Some(&json!({})), Priority::Change).await;
    let error = put(WORKSPACE).await.unwrap_err();
    assert_eq!((error.class, error.retry_after), (ErrorClass::Throttled, Some(Duration::from_secs(60))));
    // Another client of the same principal in the same subscription hears of it without asking.
    let error = put(&format!("{WORKSPACE}2")).await.unwrap_err();
    assert_eq!((error.class, error.status), (ErrorClass::Throttled, None));
    assert!(error.retry_after.is_some_and(|wait| wait <= Duration::from_secs(60) && wait > Duration::from_secs(30)));
    put(&WORKSPACE.replace("/S/", "/T/")).await.unwrap();
    client.get(WORKSPACE, V, Priority::Resync).await.unwrap();
    assert_eq!(server.calls().len(), 3);
}

#[tokio::test]
async fn a_provider_s_429_stops_only_its_target() {
    let server = Server::start(|seen| match (seen.method.as_str(), seen.target.contains("/ws?")) {
        ("PUT", true) => Reply::Json(
            429,
            vec![("retry-after", "10".into()), ("x-ms-ratelimit-remaining-subscription-writes", "0".into())],
            json!({"error": {"code": "RetryableErrorDueToAnotherOperation", "message": "another"}}),
        ),
        _ => ok(json!({})),
    })
    .await;
    let client = server.client();
    let put = async |path: &str| client.send(Method::PUT, path, V, Some(&json!({})), Priority::Change).await;
    assert_eq!(put(WORKSPACE).await.unwrap_err().class, ErrorClass::Busy);
    assert_eq!(put(&WORKSPACE.to_uppercase().replace("/WS", "/ws")).await.unwrap_err().class, ErrorClass::Busy);
    assert_eq!(server.calls().len(), 1, "the busy target is left alone");
    put(&format!("{WORKSPACE}2")).await.unwrap();
    client.get(WORKSPACE, V, Priority::Change).await.unwrap();
}

#[tokio::test]
async fn a_path_that_could_mean_another_resource_is_never_sent() {
    let server = Server::start(|_| ok(json!({}))).await;
    let client = server.client();
    for name in ["..", ".", "", "a%2Fb", "a\\b", "a#b", "a b", "a\nb"] {
        let path = format!("/subscriptions/S/resourceGroups/{name}/providers/P/t/n");
        let error = client.get(&path, V, Priority::Change).await.unwrap_err();
        assert_eq!((error.code.as_str(), error.class), ("PathRefused", ErrorClass::Validation), "{name:?}");
    }
    assert_eq!(server.all().len(), 0);
}

#[tokio::test]
async fn the_metrics_hook_hears_of_every_call_without_names() {
    let server = Server::start(|_| arm_error(403, "AuthorizationFailed", "no")).await;
    let records = Arc::new(Mutex::new(Vec::new()));
    let mut config = server.config();
    let into = Arc::clone(&records);
    config.hook = Some(Arc::new(move |record: &CallRecord| into.lock().unwrap().push(record.clone())));
    Client::new(config).unwrap().get(&format!("{WORKSPACE}/outboundRules/r"), V, Priority::Change).await.unwrap_err();
    let records = records.lock().unwrap();
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].resource_type, "Microsoft.MachineLearningServices/workspaces/outboundRules");
    assert_eq!((records[0].status, records[0].class), (Some(403), Some(ErrorClass::Forbidden)));
}

#[tokio::test]
async fn why_there_is_no_token_is_one_line_without_the_secret() {
    let server = Server::start_raw(|_| {
        Reply::Json(
            401,
            vec![],
            json!({"error": "invalid_client", "error_codes": [7000215],
                "error_description": format!("AADSTS7000215: Invalid client secret '{SECRET}' or eyJhbGci.x.y.\r\nTrace ID: 1")}),
        )
    })
    .await;
    let client = server.client();
    let error = client.token_check().await.unwrap_err();
    assert_eq!(error.code.as_deref(), Some("AADSTS7000215"));
    assert!(error.message.starts_with("AADSTS7000215: Invalid client secret"), "{error}");
    assert!(
        !error.message.contains(SECRET) && !error.message.contains("eyJ") && !error.message.contains('\n'),
        "{error}"
    );
    let failed = client.get(WORKSPACE, V, Priority::Change).await.unwrap_err();
    assert_eq!(failed.class, ErrorClass::Unauthenticated);
    assert!(failed.to_string().contains("AADSTS7000215"));
    assert_eq!(server.all().len(), 1, "a failure is remembered for a while");
    let config = server.config();
    let shown = format!("{client:?} {:?}", config.credential);
    assert!(!shown.contains(SECRET), "{shown}");
}

#[tokio::test]
async fn the_token_of_a_known_cloud_comes_from_its_own_authority() {
    let server = Server::start(|_| ok(json!({}))).await;
    server.client().token_check().await.unwrap();
    let asked = server.all();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].host, "login.microsoftonline.com");
    let form = String::from_utf8_lossy(&asked[0].body).into_owned();
    assert!(form.contains("scope=https%3A%2F%2Fmanagement.azure.com%2F.default"), "{form}");
}

#[test]
fn the_environment_cannot_move_a_known_cloud_s_authority() {
    // A process of its own, since the environment belongs to the whole process.
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "azure::client::tests::the_token_of_a_known_cloud_comes_from_its_own_authority"])
        .env("AZURE_AUTHORITY_HOST", "https://evil.test")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

#[tokio::test]
async fn a_custom_cloud_takes_only_a_client_secret() {
    let server = Server::start(|_| ok(json!({}))).await;
    let sources = [
        CredentialSource::WorkloadIdentity { client_id: None, token_file: None },
        CredentialSource::ManagedIdentity { client_id: Some("id".into()) },
    ];
    for credential in sources {
        let mut config = server.config();
        config.credential = credential;
        config.cloud = Cloud::Custom(Box::new(CustomCloud {
            resource_manager: Url::parse("https://evil.test").unwrap(),
            audience: "https://evil.test".into(),
            authority: Url::parse("https://evil.test").unwrap(),
            ca_bundle: None,
            synapse: None,
        }));
        let error = Client::new(config).unwrap_err();
        assert!(matches!(error, ClientError::Source(SourceError::ForeignAuthority(_))), "{error}");
    }
}

#[tokio::test]
async fn a_server_that_the_bundle_does_not_vouch_for_gets_nothing() {
    let (server, stranger) = (Server::start(|_| ok(json!({}))).await, Server::start(|_| ok(json!({}))).await);
    let mut config = server.config();
    config.transport.ca_bundle = stranger.transport().ca_bundle;
    Client::new(config).unwrap().get(WORKSPACE, V, Priority::Change).await.unwrap_err();
    assert_eq!(server.all().len(), 0);
}

#[tokio::test]
async fn a_managed_identity_s_token_comes_from_the_metadata_service() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&asked);
    let app = axum::Router::new().fallback(move |request: axum::extract::Request| {
        log.lock().unwrap().push((request.uri().to_string(), request.headers().contains_key("metadata")));
        std::future::ready(axum::Json(json!({"access_token": "from-the-machine", "expires_on": "4102444800",
            "token_type": "Bearer", "resource": "https://management.azure.com"})))
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = Server::start(|_| ok(json!({}))).await;
    let mut config = server.config();
    config.credential = CredentialSource::ManagedIdentity { client_id: Some("mi".into()) };
    config.transport.metadata = Some(listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    Client::new(config).unwrap().get(WORKSPACE, V, Priority::Change).await.unwrap();
    assert_eq!(server.calls()[0].authorization.as_deref(), Some("Bearer from-the-machine"));
    let asked = asked.lock().unwrap();
    assert!(asked[0].0.contains("client_id=mi") && asked[0].0.contains("resource=https%3A%2F%2Fmanagement.azure.com"));
    assert!(asked[0].1);
}

#[tokio::test]
async fn a_workload_identity_proves_itself_with_the_present_content_of_its_file() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("token");
    std::fs::write(&file, "first-assertion").unwrap();
    let server = Server::start(|seen| match seen.authorization.as_deref() {
        Some("Bearer token-1") => arm_error(401, "ExpiredAuthenticationToken", "expired"),
        _ => ok(json!({})),
    })
    .await;
    let mut config = server.config();
    config.credential =
        CredentialSource::WorkloadIdentity { client_id: Some("wi".into()), token_file: Some(file.clone()) };
    let client = Client::new(config).unwrap();
    client.token_check().await.unwrap();
    std::fs::write(&file, "second-assertion").unwrap();
    client.get(WORKSPACE, V, Priority::Change).await.unwrap();
    let forms: Vec<String> = server
        .all()
        .iter()
        .filter(|seen| seen.target.ends_with("/token"))
        .map(|seen| String::from_utf8_lossy(&seen.body).into_owned())
        .collect();
    assert!(forms[0].contains("client_assertion=first-assertion") && forms[0].contains("client_id=wi"), "{forms:?}");
    assert!(forms[1].contains("client_assertion=second-assertion"), "{forms:?}");
}

const LINKED: &str = "synapse://ws1/linkedservices";

#[tokio::test]
async fn tokens_of_a_data_plane_go_to_that_workspace_only() {
    let server = Server::start(|seen| match seen.host.as_str() {
        "ws1.dev.azuresynapse.net" => ok(json!({"value": [1], "nextLink": null})),
        _ => ok(json!({"value": []})),
    })
    .await;
    let arm = server.client();
    let synapse = arm.synapse("WS1").unwrap();
    let place = "/subscriptions/S/resourceGroups/rg";
    arm.list(place, V, Priority::Change).await.unwrap();
    assert_eq!(synapse.list(LINKED, V, Priority::Change).await.unwrap(), [json!(1)]);
    arm.list(place, V, Priority::Change).await.unwrap();
    let calls: Vec<(String, Option<String>)> =
        server.calls().into_iter().map(|seen| (seen.host, seen.authorization)).collect();
    let expected = [
        ("management.azure.com", "Bearer token-1"),
        ("ws1.dev.azuresynapse.net", "Bearer token-2"),
        ("management.azure.com", "Bearer token-1"),
    ];
    let expected = expected.map(|(host, token)| (host.to_owned(), Some(token.to_owned())));
    assert_eq!(calls, expected);
    let asked = server.all().into_iter().filter(|seen| seen.target.ends_with("/token"));
    let scopes: Vec<String> = asked.map(|seen| String::from_utf8_lossy(&seen.body).into_owned()).collect();
    assert!(scopes[1].contains("scope=https%3A%2F%2Fdev.azuresynapse.net%2F.default"), "{scopes:?}");
}

#[tokio::test]
async fn arm_and_data_planes_refuse_each_others_paths_before_anything_is_sent() {
    let server = Server::start(|_| ok(json!({"value": []}))).await;
    let arm = server.client();
    let synapse = arm.synapse("ws1").unwrap();
    for (client, path) in [
        (&arm, LINKED),
        (&synapse, WORKSPACE),
        (&synapse, "/linkedservices"),
        (&synapse, "synapse://ws2/linkedservices"),
        (&synapse, "synapse://ws1/../linkedservices"),
    ] {
        let error = client.get(path, V, Priority::Change).await.unwrap_err();
        assert_eq!(error.code, "PathRefused", "{path}");
    }
    assert!(server.all().is_empty());
    assert!(arm.synapse("evil.test/").is_err());
}

#[tokio::test]
async fn what_a_data_plane_points_to_is_followed_only_there() {
    for (to, followed) in [
        ("https://ws1.dev.azuresynapse.net/operationResults/1?api-version=x", true),
        ("https://ws2.dev.azuresynapse.net/operationResults/1", false),
        ("https://management.azure.com/operationResults/1", false),
        ("https://ws1.dev.azuresynapse.net/linkedservices/other", false),
    ] {
        let server = Server::start(move |seen| match seen.method.as_str() {
            "PUT" => Reply::Json(202, vec![("location", to.to_owned())], json!({})),
            _ => ok(json!({"value": [], "nextLink": to})),
        })
        .await;
        let synapse = server.client().synapse("ws1").unwrap();
        let body = Some(json!({}));
        let path = format!("{LINKED}/aml");
        let accepted = synapse.send(Method::PUT, &path, V, body.as_ref(), Priority::Change).await.unwrap();
        assert_eq!(accepted.operation.is_some(), followed, "{to}");
        if let Some(operation) = accepted.operation {
            let again = synapse.operation_url(&path, V, &operation.to_string()).unwrap();
            assert_eq!(again, operation);
            assert!(server.client().operation_url(&path, V, &operation.to_string()).is_err(), "ARM's client does not");
        }
        let error = synapse.list(LINKED, V, Priority::Change).await.unwrap_err();
        assert_eq!(error.code, "NextLinkRefused", "{to}");
    }
}
