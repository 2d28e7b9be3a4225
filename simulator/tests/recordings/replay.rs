//! Plays a cassette against a simulator that knows only the subscription and who asks.
//!
//! The simulator's clock stands still but for one step between two interactions, and before each request the durations
//! are set so that what it begins ends between the last answer that shows it running and the first that shows it done.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use arm_simulator::{
    OperationSeconds, Seed, SeedAssignment, SeedPrincipal, SeedResource, SeedSubscription, Settings, Simulator,
};
use reqwest::{Client, Method};
use serde_json::Value;

use crate::allowed::{EITHER, UNPLAYED, Unplayed};
use crate::cassette::{self, Cassette, Interaction, Request};
use crate::compare::{self, Names};

/// Simulated seconds between two interactions.
const STEP: f64 = 10.0;
/// The recordings have their tenant blanked out like this.
const TENANT: &str = "00000000-0000-0000-0000-000000000000";
const PRINCIPAL: &str = "7d1ad9e8-1f0c-4a55-8f6e-0f3a3b2c1d00";

/// What the simulator answered.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// How a cassette went.
pub(crate) struct Outcome {
    pub(crate) name: String,
    pub(crate) compared: usize,
    /// Each with the interaction's number and request, and what differs.
    pub(crate) differing: Vec<(String, Vec<String>)>,
    /// Each with the reason.
    pub(crate) unplayed: Vec<(String, String)>,
}

/// Plays a cassette from its first interaction to its last.
pub(crate) async fn play(cassette: &Cassette) -> Outcome {
    let sim = Simulator::start(seed(cassette), settings(cassette)).await.unwrap();
    let ca = reqwest::Certificate::from_pem(sim.ca_pem().as_bytes()).unwrap();
    let client = Client::builder().tls_certs_only([ca]).build().unwrap();
    let token = sign_in(&client, &sim).await;
    let mut names = Names::default();
    let mut outcome = Outcome { name: cassette.name.clone(), compared: 0, differing: Vec::new(), unplayed: Vec::new() };
    let mut operations = BTreeMap::new();
    let mut unmade = BTreeSet::new();
    for (index, interaction) in cassette.interactions.iter().enumerate() {
        let request = &interaction.request;
        let title = format!("[{index}] {} {}", request.method, cassette::path(&request.url));
        if let Some(why) = unplayed(interaction, &unmade) {
            sim.seed(Seed { resources: made(interaction).into_iter().collect(), ..Seed::default() }).unwrap();
            unmade.extend(operations_of(interaction).map(str::to_ascii_lowercase));
            if request.method == "PUT" {
                unmade.insert(cassette::path(&request.url).to_ascii_lowercase());
            }
            outcome.unplayed.push((title, why));
        } else {
            sim.settings(|settings| settings.operation_seconds = durations(cassette, index));
            names.sent(&request.url);
            names.sent(&request.body);
            let url = operations.get(&operation_key(&request.url)).cloned();
            let url = url.unwrap_or_else(|| names.translate(&request.url));
            let answer = send(&client, &sim, &token, request, &url, &names).await;
            let either = either(interaction, &answer);
            let differences =
                if either { Vec::new() } else { compare::answers(&mut names, &interaction.response, &answer) };
            operations.extend(begun_operations(interaction, &answer));
            outcome.compared += 1;
            if !differences.is_empty() {
                outcome.differing.push((title, differences));
            }
        }
        sim.clock().advance(Duration::from_secs_f64(STEP));
    }
    crate::contract::hold(&sim, env!("CARGO_TARGET_TMPDIR"));
    sim.stop().await;
    outcome
}

fn seed(cassette: &Cassette) -> Seed {
    let subscriptions = cassette.subscriptions().into_iter();
    Seed {
        service_principals: vec![SeedPrincipal {
            tenant_id: TENANT.into(),
            client_id: "player".into(),
            object_id: PRINCIPAL.into(),
            secret: Some("secret".into()),
            ..SeedPrincipal::default()
        }],
        subscriptions: subscriptions
            .map(|subscription_id| SeedSubscription { subscription_id, tenant_id: TENANT.into() })
            .collect(),
        role_assignments: vec![SeedAssignment {
            scope: "/".into(),
            role: "Owner".into(),
            principal_id: PRINCIPAL.into(),
            ..SeedAssignment::default()
        }],
        ..Seed::default()
    }
}

fn settings(cassette: &Cassette) -> Settings {
    Settings {
        clock_speed: 0.0,
        token_lifetime_seconds: 1_000_000,
        principal_replication_seconds: replication(cassette),
        // The recorded workspace says so of itself.
        soft_delete: false,
        ..Settings::default()
    }
}

/// How long the recording's new principals stayed unknown to role assignments.
fn replication(cassette: &Cassette) -> f64 {
    let unknown = |interaction: &Interaction| interaction.response.body.contains("\"PrincipalNotFound\"");
    let Some(last) = cassette.interactions.iter().rposition(unknown) else { return 0.0 };
    let asked: Value = serde_json::from_str(&cassette.interactions[last].request.body).unwrap_or_default();
    let principal = asked["properties"]["principalId"].as_str().unwrap_or_default();
    let born = cassette.interactions.iter().position(|interaction| interaction.response.body.contains(principal));
    (last - born.unwrap_or(last)) as f64 * STEP + STEP / 2.0
}

async fn sign_in(client: &Client, sim: &Simulator) -> String {
    let form = "grant_type=client_credentials&client_id=player&client_secret=secret\
                &scope=https%3A%2F%2Fmanagement.azure.com%2F.default";
    let request = client.post(format!("{}/{TENANT}/oauth2/v2.0/token", sim.endpoint()));
    let request = request.header("Content-Type", "application/x-www-form-urlencoded").body(form);
    let text = request.send().await.unwrap().text().await.unwrap();
    let answer: Value = serde_json::from_str(&text).unwrap();
    answer["access_token"].as_str().unwrap_or_else(|| panic!("no token: {text}")).to_owned()
}

async fn send(client: &Client, sim: &Simulator, token: &str, request: &Request, url: &str, names: &Names) -> Answer {
    let after_host = url.split_once("://").and_then(|(_, rest)| rest.find('/').map(|start| rest[start..].to_owned()));
    let url = format!("{}{}", sim.endpoint(), after_host.unwrap_or_default());
    let method = Method::from_bytes(request.method.as_bytes()).unwrap();
    let mut builder = client.request(method, url).bearer_auth(token);
    if !request.body.is_empty() {
        builder = builder.header("Content-Type", "application/json").body(names.translate(&request.body));
    }
    let response = builder.send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let body = response.text().await.unwrap().replace(&sim.endpoint(), "https://management.azure.com");
    Answer { status, headers, body }
}

/// The paths of the operation that an answer hands out.
fn operations_of(interaction: &Interaction) -> impl Iterator<Item = &str> {
    ["Azure-AsyncOperation", "Location"]
        .into_iter()
        .filter_map(|name| interaction.response.header(name))
        .map(cassette::path)
}

/// Why a request is not played, if it is not: by the table, or because it asks for what was not made.
fn unplayed(interaction: &Interaction, unmade: &BTreeSet<String>) -> Option<String> {
    let path = cassette::path(&interaction.request.url);
    if unmade.contains(&path.to_ascii_lowercase()) {
        return Some("asks for what was not made".to_owned());
    }
    let applies = |row: &&Unplayed| {
        row.method == interaction.request.method && path.to_ascii_lowercase().contains(&row.path.to_ascii_lowercase())
    };
    UNPLAYED.iter().find(applies).map(|row| row.why.to_owned())
}

/// Whether the two answers are errors of which Azure itself answers now one, now the other.
fn either(interaction: &Interaction, answer: &Answer) -> bool {
    let code = |body: &str| {
        let body: Value = serde_json::from_str(body).unwrap_or_default();
        body["error"]["code"].as_str().unwrap_or_default().to_owned()
    };
    let (request, codes) = (&interaction.request, (code(&interaction.response.body), code(&answer.body)));
    interaction.response.code == answer.status
        && EITHER.iter().any(|row| {
            row.method == request.method
                && request.url.contains(row.path)
                && (codes.0.as_str(), codes.1.as_str()) == row.codes
        })
}

/// The resource that a request made in Azure.
fn made(interaction: &Interaction) -> Option<SeedResource> {
    let body = interaction.response.json().filter(|_| interaction.request.method == "PUT")?;
    let made = SeedResource::new(body["id"].as_str()?, body["location"].as_str()?);
    Some(SeedResource { properties: body["properties"].as_object().cloned().unwrap_or_default(), ..made })
}

/// What a later request for the recording's operation asks the simulator for.
fn begun_operations(interaction: &Interaction, answer: &Answer) -> impl Iterator<Item = (String, String)> {
    ["Azure-AsyncOperation", "Location"].into_iter().filter_map(|name| {
        let (theirs, ours) = (interaction.response.header(name)?, answer.header(name)?);
        Some((operation_key(theirs), ours.to_owned()))
    })
}

/// An operation's URL without the signature, which changes from answer to answer.
fn operation_key(url: &str) -> String {
    let query = url.split_once('?').map_or("", |(_, query)| query);
    let signature = ["t=", "c=", "s=", "h="];
    let kept: Vec<&str> =
        query.split('&').filter(|pair| !signature.iter().any(|name| pair.starts_with(name))).collect();
    format!("{}?{}", cassette::path(url), kept.join("&"))
}

/// The durations with which the request at `begun` has to be sent: what it begins ends just before
/// the first interaction that shows it done.
fn durations(cassette: &Cassette, begun: usize) -> OperationSeconds {
    let interaction = &cassette.interactions[begun];
    let operations: Vec<&str> = operations_of(interaction).collect();
    let reads = interaction.request.method == "GET";
    if reads || interaction.response.code >= 400 || (operations.is_empty() && is_over(interaction)) {
        return OperationSeconds::all(0.0);
    }
    let deletes = interaction.request.method == "DELETE";
    let resource = cassette::path(&interaction.request.url);
    let watches = |other: &Interaction| {
        let path = cassette::path(&other.request.url);
        let is_resource = path.eq_ignore_ascii_case(resource) && !(deletes && other.response.code == 200);
        other.request.method == "GET" && (operations.contains(&path) || is_resource)
    };
    let mut later = cassette.interactions.iter().enumerate().skip(begun + 1);
    let done = later.find(|(_, other)| watches(other) && is_over(other));
    // What nobody watched to its end ends before whatever comes next.
    let end = done.map_or(begun + 1, |(index, _)| index);
    OperationSeconds::all((end - begun) as f64 * STEP - STEP / 2.0)
}

/// Whether an answer shows work as done: by its status, the operation's `status` or the resource's state.
fn is_over(interaction: &Interaction) -> bool {
    let body = interaction.response.json().unwrap_or_default();
    let state = body["status"].as_str().or(body["properties"]["provisioningState"].as_str()).unwrap_or("Succeeded");
    interaction.response.code != 202 && matches!(state, "Succeeded" | "Failed" | "Canceled")
}
