//! A small cloud, and a client of it.

use arm_simulator::{
    Seed, SeedAssignment, SeedGroup, SeedPrincipal, SeedResource, SeedSubscription, Settings, Simulator,
};
use reqwest::{Client, Method, Response};
use serde_json::{Value, json};

pub(crate) const TENANT: &str = "11111111-1111-1111-1111-111111111111";
pub(crate) const SUB: &str = "00000000-0000-0000-0000-000000000001";
pub(crate) const GROUP: &str = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg1";
pub(crate) const ML: &str = "2025-12-01";
pub(crate) const OWNER: &str = "owner-object";
pub(crate) const APPROVER: &str = "b556d68e-0be0-4f35-a333-ad7ee1ce17ea";

pub(crate) fn id(kind: &str, name: &str) -> String {
    format!("{GROUP}/providers/{kind}/{name}")
}

pub(crate) fn storage(name: &str) -> String {
    id("Microsoft.Storage/storageAccounts", name)
}

pub(crate) fn vault() -> String {
    id("Microsoft.KeyVault/vaults", "kv1")
}

pub(crate) fn workspace(name: &str) -> String {
    id("Microsoft.MachineLearningServices/workspaces", name)
}

pub(crate) fn principal(name: &str) -> SeedPrincipal {
    SeedPrincipal {
        tenant_id: TENANT.into(),
        client_id: format!("{name}-client"),
        object_id: format!("{name}-object"),
        secret: Some(format!("{name}-secret")),
        ..SeedPrincipal::default()
    }
}

pub(crate) fn assignment(scope: &str, role: &str, principal: &str) -> SeedAssignment {
    SeedAssignment {
        scope: scope.into(),
        role: role.into(),
        principal_id: principal.into(),
        ..SeedAssignment::default()
    }
}

/// An owner, a subscription, a group, two accounts of which one is the workspace's, a vault.
pub(crate) fn seed() -> Seed {
    Seed {
        service_principals: vec![principal("owner"), principal("guest")],
        subscriptions: vec![SeedSubscription { subscription_id: SUB.into(), tenant_id: TENANT.into() }],
        resource_groups: vec![SeedGroup {
            subscription_id: SUB.into(),
            name: "rg1".into(),
            location: "westeurope".into(),
        }],
        resources: [storage("own"), storage("lake"), vault()].map(|id| SeedResource::new(id, "westeurope")).to_vec(),
        role_assignments: vec![assignment("/", "Owner", OWNER)],
        ..Seed::default()
    }
}

pub(crate) struct Lab {
    pub(crate) sim: Simulator,
    pub(crate) client: Client,
    pub(crate) token: String,
}

impl Drop for Lab {
    fn drop(&mut self) {
        crate::contract::hold(&self.sim, env!("CARGO_TARGET_TMPDIR"));
    }
}

/// An answer, read whole.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) text: String,
    pub(crate) body: Value,
}

impl Answer {
    async fn read(response: Response) -> Self {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.unwrap();
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        Self { status, headers, text, body }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub(crate) fn code(&self) -> &str {
        self.body["error"]["code"].as_str().unwrap_or_default()
    }

    pub(crate) fn message(&self) -> &str {
        self.body["error"]["message"].as_str().unwrap_or_default()
    }

    /// Fails the test unless the answer has one of these statuses.
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }
}

impl Lab {
    pub(crate) async fn start(settings: Settings) -> Self {
        Self::with(seed(), settings).await
    }

    pub(crate) async fn with(seed: Seed, settings: Settings) -> Self {
        let sim = Simulator::start(seed, settings).await.unwrap();
        let ca = reqwest::Certificate::from_pem(sim.ca_pem().as_bytes()).unwrap();
        let client = Client::builder().tls_certs_only([ca]).build().unwrap();
        let mut lab = Self { sim, client, token: String::new() };
        lab.token = lab.sign_in("owner").await;
        lab
    }

    pub(crate) async fn sign_in(&self, name: &str) -> String {
        let form = format!(
            "grant_type=client_credentials&client_id={name}-client&client_secret={name}-secret\
             &scope=https%3A%2F%2Fmanagement.azure.com%2F.default"
        );
        let answer = self.form(&format!("/{TENANT}/oauth2/v2.0/token"), &form).await.expect(200);
        answer.body["access_token"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn form(&self, path: &str, form: &str) -> Answer {
        let request = self.client.post(format!("{}{path}", self.sim.endpoint()));
        let request = request.header("Content-Type", "application/x-www-form-urlencoded").body(form.to_owned());
        Answer::read(request.send().await.unwrap()).await
    }

    pub(crate) async fn send(
        &self,
        method: &str,
        url: &str,
        token: &str,
        body: Option<Value>,
    ) -> reqwest::Result<Answer> {
        let url = if url.starts_with('/') { format!("{}{url}", self.sim.endpoint()) } else { url.to_owned() };
        let mut request = self.client.request(Method::from_bytes(method.as_bytes()).unwrap(), url);
        if !token.is_empty() {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        Ok(Answer::read(request.send().await?).await)
    }

    pub(crate) async fn get(&self, path: &str, version: &str) -> Answer {
        self.send("GET", &format!("{path}?api-version={version}"), &self.token, None).await.unwrap()
    }

    pub(crate) async fn put(&self, path: &str, version: &str, body: Value) -> Answer {
        self.send("PUT", &format!("{path}?api-version={version}"), &self.token, Some(body)).await.unwrap()
    }

    pub(crate) async fn patch(&self, path: &str, body: Value) -> Answer {
        self.send("PATCH", &format!("{path}?api-version={ML}"), &self.token, Some(body)).await.unwrap()
    }

    pub(crate) async fn post(&self, path: &str, body: Option<Value>) -> Answer {
        self.send("POST", &format!("{path}?api-version={ML}"), &self.token, body).await.unwrap()
    }

    /// A request with a body, in a version other than AML's.
    pub(crate) async fn call(&self, method: &str, path: &str, version: &str, body: Option<Value>) -> Answer {
        let mark = if path.contains('?') { '&' } else { '?' };
        self.send(method, &format!("{path}{mark}api-version={version}"), &self.token, body).await.unwrap()
    }

    pub(crate) async fn delete(&self, path: &str, version: &str) -> Answer {
        self.send("DELETE", &format!("{path}?api-version={version}"), &self.token, None).await.unwrap()
    }

    /// A workspace with an isolation mode.
    pub(crate) async fn workspace(&self, name: &str, isolation: &str) -> String {
        let id = workspace(name);
        self.put(&id, ML, workspace_body(isolation)).await.expect(200);
        id
    }

    /// A workspace whose network is built.
    pub(crate) async fn built(&self, name: &str, isolation: &str) -> String {
        let id = self.workspace(name, isolation).await;
        self.provision(&id).await;
        id
    }

    pub(crate) async fn provision(&self, workspace: &str) -> Answer {
        self.post(&format!("{workspace}/provisionManagedNetwork"), Some(json!({ "includeSpark": true }))).await
    }

    pub(crate) async fn rule(&self, workspace: &str, name: &str, properties: Value) -> Answer {
        self.put(&format!("{workspace}/outboundRules/{name}"), ML, json!({ "properties": properties })).await
    }

    /// The status of a rule; nothing if it is not there.
    pub(crate) async fn rule_status(&self, workspace: &str, name: &str) -> Option<String> {
        let answer = self.get(&format!("{workspace}/outboundRules/{name}"), ML).await;
        (answer.status == 200).then(|| answer.body["properties"]["status"].as_str().unwrap().to_owned())
    }

    /// The names of the user-defined rules, sorted.
    pub(crate) async fn user_rules(&self, workspace: &str) -> Vec<String> {
        let list = self.get(&format!("{workspace}/outboundRules"), ML).await.expect(200);
        let mut names: Vec<String> = list.body["value"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|rule| rule["properties"]["category"] == "UserDefined")
            .map(|rule| rule["name"].as_str().unwrap().to_owned())
            .collect();
        names.sort();
        names
    }

    /// Lets the workspace's identity approve on a target.
    pub(crate) async fn let_approve(&self, workspace: &str, target: &str) {
        let identity = self.get(workspace, ML).await.body["identity"]["principalId"].as_str().unwrap().to_owned();
        let seed = Seed { role_assignments: vec![assignment(target, APPROVER, &identity)], ..Seed::default() };
        self.sim.seed(seed).unwrap();
    }

    /// The connections on a target: endpoint name and status.
    pub(crate) async fn connections(&self, target: &str) -> Vec<Value> {
        let list = self.get(&format!("{target}/privateEndpointConnections"), "2023-05-01").await.expect(200);
        list.body["value"].as_array().unwrap().clone()
    }
}

pub(crate) fn workspace_body(isolation: &str) -> Value {
    json!({
        "location": "westeurope",
        "identity": { "type": "SystemAssigned" },
        "properties": {
            "storageAccount": storage("own"), "keyVault": vault(),
            "managedNetwork": { "isolationMode": isolation },
        }
    })
}

pub(crate) fn endpoint_rule(target: &str, group: &str) -> Value {
    json!({ "type": "PrivateEndpoint", "destination": { "serviceResourceId": target, "subresourceTarget": group } })
}

pub(crate) fn fqdn_rule(host: &str) -> Value {
    json!({ "type": "FQDN", "category": "UserDefined", "destination": host })
}

pub(crate) fn status_of(connection: &Value) -> &str {
    connection["properties"]["privateLinkServiceConnectionState"]["status"].as_str().unwrap()
}
