use arm_simulator::Settings;

use crate::lab::{GROUP, Lab, SUB, TENANT, principal, seed};

const SCOPE: &str = "&scope=https%3A%2F%2Fmanagement.azure.com%2F.default";

#[tokio::test]
async fn the_token_endpoint_refuses_as_entra_does() {
    let mut seed = seed();
    let mut workload = principal("workload");
    workload.secret = None;
    workload.federated_assertions = vec!["signed-by-the-cluster".into()];
    seed.service_principals.push(workload);
    let lab = Lab::with(seed, Settings::fast()).await;
    let jwt =
        "&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&client_assertion=";
    let good = "grant_type=client_credentials&client_id=owner-client&client_secret=owner-secret";
    for (tenant, form, status, number) in [
        (TENANT, format!("{good}{SCOPE}"), 200, 0),
        (
            TENANT,
            format!("grant_type=client_credentials&client_id=workload-client{jwt}signed-by-the-cluster{SCOPE}"),
            200,
            0,
        ),
        (TENANT, format!("grant_type=client_credentials&client_id=workload-client{jwt}forged{SCOPE}"), 401, 700_213),
        (
            TENANT,
            format!("grant_type=client_credentials&client_id=owner-client&client_secret=wrong{SCOPE}"),
            401,
            7_000_215,
        ),
        (TENANT, format!("grant_type=client_credentials&client_id=nobody&client_secret=x{SCOPE}"), 400, 700_016),
        ("22222222-2222-2222-2222-222222222222", format!("{good}{SCOPE}"), 400, 90_002),
        (TENANT, format!("{good}&scope=https%3A%2F%2Fvault.azure.net%2F.default"), 400, 500_011),
        (TENANT, format!("grant_type=password{SCOPE}"), 400, 70_003),
    ] {
        let answer = lab.form(&format!("/{tenant}/oauth2/v2.0/token"), &form).await.expect(status);
        if status != 200 {
            assert_eq!(answer.body["error_codes"][0], number, "{form}");
            let text = answer.body["error_description"].as_str().unwrap();
            assert!(text.starts_with(&format!("AADSTS{number}: ")), "{text}");
        }
    }
}

#[tokio::test]
async fn arm_wants_a_token_it_knows_of_the_subscriptions_tenant() {
    let mut seed = seed();
    let mut foreign = principal("foreign");
    foreign.tenant_id = "33333333-3333-3333-3333-333333333333".into();
    seed.service_principals.push(foreign);
    let lab = Lab::with(seed, Settings::fast()).await;
    let url = format!("{GROUP}?api-version=2021-04-01");
    for (token, code) in [("", "AuthenticationFailed"), ("made-up", "InvalidAuthenticationToken")] {
        let answer = lab.send("GET", &url, token, None).await.unwrap().expect(401);
        assert_eq!(answer.code(), code);
        assert!(answer.header("WWW-Authenticate").unwrap().starts_with("Bearer "));
    }
    let form = format!("grant_type=client_credentials&client_id=foreign-client&client_secret=foreign-secret{SCOPE}");
    let token = lab.form("/33333333-3333-3333-3333-333333333333/oauth2/v2.0/token", &form).await.expect(200);
    let token = token.body["access_token"].as_str().unwrap();
    let answer = lab.send("GET", &format!("/subscriptions/{SUB}?api-version=2021-04-01"), token, None).await.unwrap();
    assert_eq!((answer.status, answer.code()), (401, "InvalidAuthenticationTokenTenant"));
}

#[tokio::test]
async fn tokens_end_with_their_lifetime_and_when_they_are_revoked() {
    let lab = Lab::start(Settings { token_lifetime_seconds: 0, ..Settings::fast() }).await;
    let answer = lab.get(GROUP, "2021-04-01").await.expect(401);
    assert_eq!(answer.code(), "ExpiredAuthenticationToken");
    lab.sim.settings(|settings| settings.token_lifetime_seconds = 3600);
    let token = lab.sign_in("owner").await;
    let url = format!("{GROUP}?api-version=2021-04-01");
    lab.send("GET", &url, &token, None).await.unwrap().expect(200);
    lab.sim.revoke_tokens();
    lab.send("GET", &url, &token, None).await.unwrap().expect(401);
}

#[tokio::test]
async fn the_metadata_service_answers_with_and_without_tls() {
    let mut seed = seed();
    let mut identity = principal("node");
    identity.managed_identity = true;
    seed.service_principals.push(identity);
    seed.role_assignments.push(crate::lab::assignment("/", "Reader", "node-object"));
    let lab = Lab::with(seed, Settings::fast()).await;
    let query = "api-version=2018-02-01&resource=https%3A%2F%2Fmanagement.azure.com%2F";
    for base in [lab.sim.endpoint(), lab.sim.imds_endpoint()] {
        let path = format!("{base}/metadata/identity/oauth2/token");
        let get = |query: &str| lab.client.get(format!("{path}?{query}"));
        let body: serde_json::Value = get(query).header("Metadata", "true").send().await.unwrap().json().await.unwrap();
        assert_eq!(body["client_id"], "node-client");
        assert!(body["expires_on"].is_string());
        let token = body["access_token"].as_str().unwrap();
        lab.send("GET", &format!("{GROUP}?api-version=2021-04-01"), token, None).await.unwrap().expect(200);
        assert_eq!(get(query).send().await.unwrap().status(), 400, "without the header");
        let other = get(&format!("{query}&client_id=other")).header("Metadata", "true").send().await.unwrap();
        assert_eq!(other.status(), 400, "an identity that is not there");
    }
    let arm_without_tls = lab.client.get(format!("{}{GROUP}", lab.sim.imds_endpoint())).send().await.unwrap();
    assert_eq!(arm_without_tls.status(), 404);
}
