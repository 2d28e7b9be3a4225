use arm_simulator::{Seed, SeedFederatedCredential, SeedIssuer, SeedPrincipal, SeedResource, Settings};
use serde_json::{Value, json};

use crate::issuer;
use crate::lab::{GROUP, Lab, TENANT, assignment, id, principal, seed};

const ISSUER: &str = "https://cluster.example/";
const SUBJECT: &str = "system:serviceaccount:aml:operator";
const AUDIENCE: &str = "api://AzureADTokenExchange";

fn registered() -> Vec<SeedIssuer> {
    vec![SeedIssuer { issuer: ISSUER.into(), jwks: issuer::jwks() }]
}

fn claims() -> Value {
    let now = issuer::now();
    json!({ "iss": ISSUER, "sub": SUBJECT, "aud": [AUDIENCE], "iat": now, "nbf": now - 5, "exp": now + 600 })
}

async fn exchange(lab: &Lab, client: &str, assertion: &str) -> crate::lab::Answer {
    let form = format!(
        "grant_type=client_credentials&client_id={client}&scope=https%3A%2F%2Fmanagement.azure.com%2F.default\
         &client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer\
         &client_assertion={assertion}"
    );
    lab.form(&format!("/{TENANT}/oauth2/v2.0/token"), &form).await
}

fn workload() -> SeedPrincipal {
    let credential = json!({ "issuer": ISSUER, "subject": SUBJECT });
    let credential: SeedFederatedCredential = serde_json::from_value(credential).unwrap();
    SeedPrincipal { secret: None, federated_credentials: vec![credential], ..principal("workload") }
}

async fn lab() -> Lab {
    let mut seed = seed();
    seed.token_issuers = registered();
    seed.service_principals.push(workload());
    seed.role_assignments.push(assignment(GROUP, "Reader", "workload-object"));
    Lab::with(seed, Settings::fast()).await
}

#[tokio::test]
async fn a_clusters_token_is_exchanged_for_one_of_arm() {
    let lab = lab().await;
    let answer = exchange(&lab, "workload-client", &issuer::sign(issuer::KID, &claims())).await.expect(200);
    let token = answer.body["access_token"].as_str().unwrap();
    assert_eq!(issuer::claims(token)["oid"], "workload-object");
    lab.send("GET", &format!("{GROUP}?api-version=2021-04-01"), token, None).await.unwrap().expect(200);
}

#[tokio::test]
async fn an_assertion_that_is_not_the_registered_one_is_refused_with_its_number() {
    let lab = lab().await;
    let now = issuer::now();
    let with = |name: &str, value: Value| {
        let mut changed = claims();
        changed[name] = value;
        issuer::sign(issuer::KID, &changed)
    };
    let good = issuer::sign(issuer::KID, &claims());
    let (signed, _) = good.rsplit_once('.').unwrap();
    let (_, signature) = good.rsplit_once('.').unwrap();
    let unsigned = format!("{}.{}.", issuer::encode(&json!({ "alg": "none" })), issuer::encode(&claims()));
    let mut later = claims();
    later["exp"] = json!(now + 999_999);
    let stretched = format!("{}.{}.{signature}", signed.split('.').next().unwrap(), issuer::encode(&later));
    for (what, assertion, number) in [
        ("another issuer", with("iss", json!("https://cluster.example")), 700_211),
        ("another audience", with("aud", json!(["api://kubernetes"])), 700_212),
        ("another service account", with("sub", json!("system:serviceaccount:aml:other")), 700_213),
        ("in another case", with("sub", json!(SUBJECT.to_uppercase())), 700_213),
        ("past", with("exp", json!(now - 1)), 700_024),
        ("to come", with("nbf", json!(now + 300)), 700_024),
        ("without a signature", unsigned, 700_027),
        ("stretched", stretched, 700_027),
        ("under a key that is not there", issuer::sign("unknown", &claims()), 700_027),
        ("no token", "rubbish".to_owned(), 700_213),
    ] {
        let answer = exchange(&lab, "workload-client", &assertion).await.expect(401);
        assert_eq!(answer.body["error_codes"], json!([number]), "{what}: {}", answer.text);
        assert_eq!(answer.body["error"], "invalid_client");
        assert!(answer.body["error_description"].as_str().unwrap().starts_with(&format!("AADSTS{number}: ")));
    }
    // The token of one workload is of no use for another application.
    let answer = exchange(&lab, "owner-client", &good).await.expect(401);
    assert_eq!(answer.body["error_codes"], json!([700_211]));
}

#[tokio::test]
async fn a_token_of_an_issuer_without_registered_keys_is_worth_nothing() {
    let mut seed = seed();
    seed.service_principals.push(workload());
    let lab = Lab::with(seed, Settings::fast()).await;
    let answer = exchange(&lab, "workload-client", &issuer::sign(issuer::KID, &claims())).await.expect(401);
    assert_eq!(answer.body["error_codes"], json!([700_027]));
    let nothing = Seed {
        token_issuers: vec![SeedIssuer { issuer: ISSUER.into(), jwks: json!({ "keys": [] }) }],
        ..Seed::default()
    };
    assert!(lab.sim.seed(nothing).unwrap_err().to_string().contains(ISSUER));
    lab.sim.seed(Seed { token_issuers: registered(), ..Seed::default() }).unwrap();
    exchange(&lab, "workload-client", &issuer::sign(issuer::KID, &claims())).await.expect(200);
}

#[tokio::test]
async fn a_user_assigned_identity_is_signed_in_to_by_the_credentials_on_its_resource() {
    let identity = id("Microsoft.ManagedIdentity/userAssignedIdentities", "uai1");
    let mut seed = seed();
    seed.token_issuers = registered();
    seed.service_principals.push(SeedPrincipal { secret: None, managed_identity: true, ..principal("uai") });
    seed.resources.push(
        SeedResource::new(identity.as_str(), "westeurope")
            .property("principalId", json!("uai-object"))
            .property("clientId", json!("uai-client")),
    );
    let lab = Lab::with(seed, Settings::fast()).await;
    let assertion = issuer::sign(issuer::KID, &claims());
    let before = exchange(&lab, "uai-client", &assertion).await.expect(401);
    assert_eq!(before.body["error_codes"], json!([700_211]));
    let credential = SeedResource::new(format!("{identity}/federatedIdentityCredentials/cluster"), "")
        .property("issuer", json!(ISSUER))
        .property("subject", json!(SUBJECT))
        .property("audiences", json!([AUDIENCE]));
    lab.sim.seed(Seed { resources: vec![credential], ..Seed::default() }).unwrap();
    let after = exchange(&lab, "uai-client", &assertion).await.expect(200);
    assert_eq!(issuer::claims(after.body["access_token"].as_str().unwrap())["oid"], "uai-object");
    // Another identity does not have it.
    exchange(&lab, "guest-client", &assertion).await.expect(401);
}
