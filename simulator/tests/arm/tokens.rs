use arm_simulator::{SeedPrincipal, Settings};
use serde_json::{Value, json};

use crate::issuer;
use crate::lab::{Answer, GROUP, Lab, SUB, TENANT, principal, seed};

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
        (TENANT, format!("grant_type=client_credentials&client_id=owner-client{SCOPE}"), 401, 7_000_218),
        (TENANT, format!("grant_type=client_credentials{SCOPE}"), 400, 900_144),
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

fn group() -> String {
    format!("{GROUP}?api-version=2021-04-01")
}

impl Lab {
    async fn refusal(&self, token: &str) -> Answer {
        self.send("GET", &group(), token, None).await.unwrap().expect(401)
    }

    async fn public(&self, path: &str) -> Answer {
        self.send("GET", path, "", None).await.unwrap()
    }
}

#[tokio::test]
async fn tokens_are_signed_so_that_anybody_can_check_them() {
    let lab = Lab::start(Settings { token_lifetime_seconds: 1234, ..Settings::fast() }).await;
    let token = lab.sign_in("owner").await;
    let claims = issuer::claims(&token);
    for (name, value) in [
        ("aud", "https://management.azure.com"),
        ("iss", &format!("https://sts.windows.net/{TENANT}/")),
        ("tid", TENANT),
        ("oid", "owner-object"),
        ("sub", "owner-object"),
        ("appid", "owner-client"),
        ("idtyp", "app"),
        ("ver", "1.0"),
    ] {
        assert_eq!(claims[name], value, "{name}");
    }
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 1234);
    assert_eq!(issuer::header(&token)["alg"], "RS256");

    let configuration = format!("/{TENANT}/v2.0/.well-known/openid-configuration");
    let configuration = lab.public(&configuration).await.expect(200).body;
    assert_eq!(configuration["issuer"], format!("{}/{TENANT}/v2.0", lab.sim.endpoint()));
    assert_eq!(configuration["token_endpoint"], format!("{}/{TENANT}/oauth2/v2.0/token", lab.sim.endpoint()));
    let keys = lab.public(configuration["jwks_uri"].as_str().unwrap()).await.expect(200).body;
    assert!(issuer::verifies(&keys, &token));
    // After a revocation there is another key, and the old token has none.
    lab.sim.revoke_tokens();
    let keys = lab.public(configuration["jwks_uri"].as_str().unwrap()).await.expect(200).body;
    assert!(!issuer::verifies(&keys, &token));
    assert!(issuer::verifies(&keys, &lab.sign_in("owner").await));
}

#[tokio::test]
async fn a_forged_token_opens_nothing() {
    let lab = Lab::start(Settings::fast()).await;
    let (header, claims) = (issuer::header(&lab.token), issuer::claims(&lab.token));
    let signature = lab.token.rsplit('.').next().unwrap();
    let join = |header: &Value, claims: &Value, signature: &str| {
        format!("{}.{}.{signature}", issuer::encode(header), issuer::encode(claims))
    };
    let mut promoted = claims.clone();
    promoted["oid"] = json!("guest-object");
    let mut stretched = claims.clone();
    stretched["exp"] = json!(issuer::now() + 999_999);
    let none = json!({ "alg": "none", "typ": "JWT" });
    let none_with_key = json!({ "alg": "none", "typ": "JWT", "kid": header["kid"] });
    for (what, token) in [
        ("no signature", join(&none, &claims, "")),
        ("no algorithm and a signature", join(&none_with_key, &claims, signature)),
        ("another holder", join(&header, &promoted, signature)),
        ("a longer life", join(&header, &stretched, signature)),
        ("another key under the same name", issuer::sign(header["kid"].as_str().unwrap(), &claims)),
        ("another key under its own name", issuer::sign(issuer::KID, &claims)),
        ("another algorithm", join(&json!({ "alg": "HS256", "kid": header["kid"] }), &claims, signature)),
    ] {
        let refused = lab.refusal(&token).await;
        assert_eq!(refused.code(), "InvalidAuthenticationToken", "{what}");
    }
    // Another simulator of the same process, with the same people in it, has nothing to do with this one.
    let other = Lab::start(Settings::fast()).await;
    assert_eq!(lab.refusal(&other.token).await.code(), "InvalidAuthenticationToken");
    lab.send("GET", &group(), &lab.token, None).await.unwrap().expect(200);
}

#[tokio::test]
async fn a_token_for_somebody_else_is_not_for_arm() {
    let lab = Lab::start(Settings::fast()).await;
    // Under another of its names the simulator is another resource.
    let host = lab.sim.endpoint().replace("https://127.0.0.1", "localhost");
    let form = format!(
        "grant_type=client_credentials&client_id=owner-client&client_secret=owner-secret&scope=https://{host}/.default"
    );
    let request = lab.client.post(format!("{}/{TENANT}/oauth2/v2.0/token", lab.sim.endpoint())).header("Host", &host);
    let answer: Value = request.body(form).send().await.unwrap().json().await.unwrap();
    let token = answer["access_token"].as_str().unwrap();
    let refused = lab.refusal(token).await;
    assert_eq!(refused.code(), "InvalidAuthenticationTokenAudience");
    assert!(refused.message().contains(&host), "{}", refused.message());
    let there = lab.client.get(format!("{}{}", lab.sim.endpoint(), group())).header("Host", &host).bearer_auth(token);
    assert_eq!(there.send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn tokens_without_a_signature_are_taken_only_when_told_to() {
    let lab = Lab::start(Settings::fast()).await;
    let now = issuer::now();
    let claims = json!({
        "aud": "https://management.azure.com", "iss": format!("https://sts.windows.net/{TENANT}/"), "nbf": now - 1,
        "exp": now + 600, "oid": "owner-object", "tid": TENANT
    });
    let unsigned = |claims: &Value| {
        format!("{}.{}.sig", issuer::encode(&json!({ "alg": "none", "typ": "JWT" })), issuer::encode(claims))
    };
    lab.refusal(&unsigned(&claims)).await;
    lab.sim.settings(|settings| settings.unsigned_tokens = true);
    lab.send("GET", &group(), &unsigned(&claims), None).await.unwrap().expect(200);
    for (name, value, code) in [
        ("aud", json!("https://vault.azure.net"), "InvalidAuthenticationTokenAudience"),
        ("exp", json!(now - 1), "ExpiredAuthenticationToken"),
        ("nbf", json!(now + 600), "InvalidAuthenticationToken"),
        ("oid", json!("nobody"), "InvalidAuthenticationToken"),
        ("oid", Value::Null, "InvalidAuthenticationToken"),
        ("tid", json!("99999999-9999-9999-9999-999999999999"), "InvalidAuthenticationToken"),
        ("iss", json!("https://sts.windows.net/99999999-9999-9999-9999-999999999999/"), "InvalidAuthenticationToken"),
    ] {
        let mut changed = claims.clone();
        changed[name] = value;
        assert_eq!(lab.refusal(&unsigned(&changed)).await.code(), code, "{name}");
    }
    // Even then a token that claims a signature has to have one.
    let forged = issuer::sign(issuer::KID, &issuer::claims(&lab.token));
    lab.refusal(&forged).await;
    lab.sim.settings(|settings| settings.unsigned_tokens = false);
    lab.refusal(&unsigned(&claims)).await;
}

#[tokio::test]
async fn the_first_generation_of_endpoints_names_a_resource() {
    let lab = Lab::start(Settings::fast()).await;
    let form = "grant_type=client_credentials&client_id=owner-client&client_secret=owner-secret&resource=";
    let path = format!("/{TENANT}/oauth2/token");
    let answer = lab.form(&path, &format!("{form}https%3A%2F%2Fmanagement.core.windows.net%2F")).await.expect(200);
    assert_eq!(answer.body["resource"], "https://management.core.windows.net/");
    assert!(answer.body["expires_on"].is_string());
    let token = answer.body["access_token"].as_str().unwrap();
    assert_eq!(issuer::claims(token)["aud"], "https://management.core.windows.net/");
    lab.send("GET", &group(), token, None).await.unwrap().expect(200);
    let answer = lab.form(&path, &format!("{form}https%3A%2F%2Fgraph.microsoft.com")).await.expect(400);
    assert_eq!(answer.body["error_codes"], json!([500_011]));
}

#[tokio::test]
async fn clients_find_out_whom_to_trust() {
    let lab = Lab::start(Settings::fast()).await;
    let ask = |host: &str| {
        format!(
            "/common/discovery/instance?api-version=1.1&authorization_endpoint=https%3A%2F%2F{host}%2F{TENANT}%2Foauth2%2Fv2.0%2Fauthorize"
        )
    };
    let own = lab.sim.endpoint().replace("https://", "").replace(':', "%3A");
    for host in [own.as_str(), "login.microsoftonline.com"] {
        let answer = lab.public(&ask(host)).await.expect(200).body;
        let found = answer["tenant_discovery_endpoint"].as_str().unwrap();
        assert!(found.ends_with(&format!("/{TENANT}/v2.0/.well-known/openid-configuration")), "{found}");
        assert_eq!(answer["metadata"][0]["aliases"][0], host.replace("%3A", ":"));
    }
    let unknown = lab.public(&ask("login.evil.example")).await.expect(400).body;
    assert_eq!((unknown["error"].as_str(), &unknown["error_codes"]), (Some("invalid_instance"), &json!([50_049])));
    let unknown = lab.public("/99999999-9999-9999-9999-999999999999/v2.0/.well-known/openid-configuration").await;
    assert_eq!((unknown.status, &unknown.body["error_codes"]), (400, &json!([90_002])));
    lab.public("/common/v2.0/.well-known/openid-configuration").await.expect(200);
}

#[tokio::test]
async fn a_machine_names_its_identity_when_it_has_several() {
    let resource = crate::lab::id("Microsoft.ManagedIdentity/userAssignedIdentities", "second");
    let mut seed = seed();
    for (name, resource_id) in [("first", None), ("second", Some(resource.clone()))] {
        seed.service_principals.push(SeedPrincipal { managed_identity: true, resource_id, ..principal(name) });
    }
    let lab = Lab::with(seed, Settings::fast()).await;
    let base = "/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https%3A%2F%2Fmanagement.azure.com%2F";
    let app = "/msi/token?api-version=2019-08-01&resource=https%3A%2F%2Fmanagement.azure.com%2F";
    let secret = Settings::default().identity_header;
    let get = async |path: &str, header: (&str, &str)| {
        let request = lab.client.get(format!("{}{path}", lab.sim.imds_endpoint())).header(header.0, header.1);
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
    };
    let (status, body) = get(base, ("Metadata", "true")).await;
    assert_eq!(status, 400);
    assert!(body["error_description"].as_str().unwrap().starts_with("Multiple user assigned identities exist"));
    for named in [
        "client_id=second-client".to_owned(),
        "object_id=second-object".to_owned(),
        format!("msi_res_id={resource}"),
        format!("mi_res_id={}", resource.to_uppercase()),
    ] {
        for (path, header) in [(base, ("Metadata", "true")), (app, ("X-IDENTITY-HEADER", secret.as_str()))] {
            let (status, body) = get(&format!("{path}&{named}"), header).await;
            assert_eq!((status, body["client_id"].as_str()), (200, Some("second-client")), "{path} {named}");
            let claims = issuer::claims(body["access_token"].as_str().unwrap());
            assert_eq!((&claims["oid"], &claims["xms_mirid"]), (&json!("second-object"), &json!(resource)));
        }
    }
    // App Service's form has no `expires_in`: its clients reckon with `expires_on`.
    let (_, body) = get(&format!("{app}&client_id=first-client"), ("X-IDENTITY-HEADER", &secret)).await;
    assert!(body["expires_on"].is_string() && body["expires_in"].is_null());
    let (status, body) = get(&format!("{app}&client_id=first-client"), ("X-IDENTITY-HEADER", "guessed")).await;
    assert_eq!((status, &body["statusCode"]), (401, &json!(401)));
    let (status, _) = get(&format!("{base}&client_id=nobody"), ("Metadata", "true")).await;
    assert_eq!(status, 400);
}

#[tokio::test]
async fn a_refusal_has_the_same_ids_whenever_the_seed_is_the_same() {
    let mut runs = Vec::new();
    for random_seed in [Some(3), Some(3), Some(4)] {
        let lab = Lab::start(Settings { random_seed, ..Settings::fast() }).await;
        let refused = lab.form(&format!("/{TENANT}/oauth2/v2.0/token"), "grant_type=password").await.expect(400).body;
        let app = lab.send("GET", "/msi/token", "", None).await.unwrap().expect(401).body;
        let ids = [&refused["trace_id"], &refused["correlation_id"], &app["correlationId"]].map(Value::clone);
        assert!(ids.iter().all(Value::is_string), "{ids:?}");
        runs.push(ids);
    }
    assert_eq!(runs[0], runs[1]);
    assert_ne!(runs[0], runs[2]);
}
