//! The simulated Azure: its process, and what its control interface tells.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use control_plane::{Guard, Process};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::objects::MissingRole;
use crate::stage::tail;

/// How long the simulator may take to answer. It takes milliseconds; the rest is for machines that are busy.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often its first line is looked for.
const POLL: Duration = Duration::from_millis(20);

/// Client id, object id and secret of somebody who works in the portal.
const SOMEBODY: &str = "55555555-5555-5555-5555-555555555555";
/// The version of Machine Learning in which they delete a rule.
const VERSION: &str = "2025-12-01";

/// What the simulator prints when it answers.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Endpoints {
    /// Base URL of Resource Manager.
    pub(crate) arm: String,
    /// Base URL of the token endpoint.
    pub(crate) authority: String,
    /// File of the certificate to trust.
    pub(crate) ca: String,
    /// Base URL of the control interface.
    pub(crate) control: String,
}

/// A running simulator.
#[derive(Debug)]
pub(crate) struct Azure {
    process: Process,
    endpoints: Endpoints,
    ca: String,
    client: reqwest::Client,
}

/// Operations that take seconds: long enough to be seen, short enough to be waited for.
fn settings() -> Value {
    json!({
        "operationSeconds": {
            "workspaceCreate": 4, "workspaceUpdate": 3, "provision": 8, "firewall": 4, "rule": 3, "ruleInactive": 2,
            "approval": 1
        },
        "retryAfterMs": 500,
    })
}

impl Azure {
    /// Starts `program` with what `seed` holds and waits until it answers.
    ///
    /// # Errors
    /// If it ends, says nothing in time, or what it says cannot be used.
    pub(crate) async fn start(program: &Path, seed: &Path, guard: &Guard) -> Result<Self> {
        let folder = guard.folder().join("azure");
        fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        let settings_file = folder.join("settings.json");
        fs::write(&settings_file, settings().to_string()).with_context(|| settings_file.display().to_string())?;
        let mut command = Command::new(program);
        command.args(["serve", "--listen", "127.0.0.1:0"]);
        command.arg("--tls-dir").arg(&folder).arg("--seed").arg(seed).arg("--settings").arg(&settings_file);
        let process = guard.spawn("arm-simulator", command).context("cannot start the simulated Azure")?;
        let endpoints = first_line(&process).await?;
        let ca = fs::read_to_string(&endpoints.ca).with_context(|| endpoints.ca.clone())?;
        let client = reqwest::Client::builder()
            .no_proxy()
            .timeout(PATIENCE)
            .tls_certs_only([reqwest::Certificate::from_pem(ca.as_bytes())?])
            .build()?;
        Ok(Self { process, endpoints, ca, client })
    }

    /// Its process.
    pub(crate) fn process(&self) -> &Process {
        &self.process
    }

    /// Where it answers.
    pub(crate) fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }

    /// The certificate to trust, PEM.
    pub(crate) fn ca(&self) -> &str {
        &self.ca
    }

    /// The ARM requests after number `since`.
    pub(crate) async fn requests(&self, since: u64) -> Result<Vec<Value>> {
        match self.get(&format!("requests?since={since}")).await? {
            Value::Array(requests) => Ok(requests),
            other => bail!("the simulator's requests are no list: {other}"),
        }
    }

    /// Every ARM object there is.
    pub(crate) async fn state(&self) -> Result<Value> {
        self.get("state").await
    }

    /// Brings what `file` holds into Azure.
    ///
    /// # Errors
    /// If it cannot be read, or the simulator refuses it.
    pub(crate) async fn seed(&self, file: &Path) -> Result<()> {
        let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
        let seed: Value = serde_saphyr::from_str(&text).with_context(|| file.display().to_string())?;
        self.post_seed(&seed).await.with_context(|| format!("the simulator refused {}", file.display()))
    }

    /// What a client at `from`, a network or `internet`, meets under each host name of the resource `to`.
    ///
    /// # Errors
    /// If the simulator does not answer.
    pub(crate) async fn reach_all(&self, from: &str, to: &str) -> Result<Vec<Value>> {
        let answer = self.get(&format!("reach?from={from}&to={to}")).await?;
        Ok(answer["value"].as_array().cloned().unwrap_or_default())
    }

    async fn post_seed(&self, seed: &Value) -> Result<()> {
        let answer = self.client.post(format!("{}/seed", self.endpoints.control)).json(seed).send().await?;
        if !answer.status().is_success() {
            bail!("{}", answer.text().await?);
        }
        Ok(())
    }

    /// Assigns the role as its scope's owner would: past the operator, whose identity may not.
    pub(crate) async fn grant(&self, role: &MissingRole) -> Result<()> {
        let assignment = json!({ "scope": role.scope, "role": role.role, "principalId": role.principal_id });
        let seed = json!({ "roleAssignments": [assignment] });
        self.post_seed(&seed).await.context("the simulator refused the role assignment")
    }

    /// The number of the last ARM request.
    pub(crate) async fn last(&self) -> Result<u64> {
        let last = self.get("requests?limit=1").await?;
        Ok(last[0]["seq"].as_u64().unwrap_or_default())
    }

    /// Deletes what is at `path` as somebody of `tenant` would who works in the portal: with rights of their own, and past the
    /// operator.
    pub(crate) async fn delete_as_somebody(&self, path: &str, tenant: &str) -> Result<()> {
        let subscription: Vec<&str> = path.split('/').take(3).collect();
        let somebody = json!({
            "servicePrincipals": [{"tenantId": tenant, "clientId": SOMEBODY, "objectId": SOMEBODY, "secret": SOMEBODY}],
            "roleAssignments": [{"scope": subscription.join("/"), "role": "Contributor", "principalId": SOMEBODY}],
        });
        self.post_seed(&somebody).await.context("the simulator takes nobody in")?;
        let form = format!(
            "grant_type=client_credentials&client_id={SOMEBODY}&client_secret={SOMEBODY}&scope=https%3A%2F%2Fmanagement.azure.com%2F.default"
        );
        let asked = self
            .client
            .post(format!("{}/{tenant}/oauth2/v2.0/token", self.endpoints.authority.trim_end_matches('/')))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form);
        let token: Value = asked.send().await?.error_for_status().context("no token")?.json().await?;
        let token = token["access_token"].as_str().unwrap_or_default();
        let url = format!("{}{path}?api-version={VERSION}", self.endpoints.arm.trim_end_matches('/'));
        let answer = self.client.delete(url).bearer_auth(token).send().await?;
        answer.error_for_status().context("the rule cannot be deleted")?;
        Ok(())
    }

    async fn get(&self, what: &str) -> Result<Value> {
        let answer = self.client.get(format!("{}/{what}", self.endpoints.control)).send().await?;
        Ok(answer.error_for_status()?.json().await?)
    }
}

async fn first_line(process: &Process) -> Result<Endpoints> {
    let start = Instant::now();
    loop {
        let log = fs::read_to_string(process.log()).unwrap_or_default();
        if let Some(endpoints) = log.lines().find_map(|line| serde_json::from_str(line).ok()) {
            return Ok(endpoints);
        }
        if let Some(status) = process.exited()? {
            bail!("the simulated Azure ended ({status}); the end of its log:\n{}", tail(process));
        }
        if start.elapsed() > PATIENCE {
            bail!("the simulated Azure does not answer; the end of its log:\n{}", tail(process));
        }
        tokio::time::sleep(POLL).await;
    }
}
