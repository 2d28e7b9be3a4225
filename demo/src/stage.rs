//! Everything the story needs, started in order: Kubernetes, Azure, the chart, the operator, the example.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use control_plane::{ControlPlane, Process};
use serde_json::{Value, json};

use crate::azure::Azure;
use crate::narrator::{Narrator, Voice};
use crate::objects::{Look, RESOURCES};
use crate::people;

/// The checkout.
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
/// Namespace and name of the operator's installation.
const OPERATOR: &str = "aml-operator";
/// The Secret in the operator's namespace that the connection is pointed at, and the key in it.
const SECRET: (&str, &str) = ("contoso", "client-secret");
/// The application of `azure.yaml`: its client id and secret, which open nothing but the simulator.
const CLIENT: (&str, &str) = ("44444444-4444-4444-4444-444444444444", "demo-secret");
/// What the chart installs except what needs a node: the operator runs as a process here.
const TEMPLATES: [&str; 5] = ["crds", "guard", "rbac", "serviceaccount", "user-roles"];
/// The operator waits for things a twentieth as long as it would on the real Azure, where half an hour is nothing.
const PACE: &str = "0.05";
/// Seconds between two looks at what is as declared, before they are made shorter like all waits: 15 s, not the three minutes of an hour.
const RESYNC: &str = "300";
/// How much of a log is shown, in lines.
const LOG_TAIL: usize = 20;

/// All that runs. Dropping it ends everything and removes every file.
#[derive(Debug)]
pub(crate) struct Stage {
    root: PathBuf,
    cluster: ControlPlane,
    azure: Azure,
    operator: Process,
}

impl Stage {
    /// Starts everything, and applies the example.
    ///
    /// # Errors
    /// If something is missing, or does not start.
    pub(crate) async fn build(out: &Narrator) -> Result<Self> {
        let root = fs::canonicalize(ROOT).context(ROOT)?;
        let (operator, simulator) = (sibling("aml-operator")?, sibling("arm-simulator")?);

        out.line(Voice::Demo, "starting a Kubernetes control plane: etcd, kube-apiserver, kube-controller-manager")?;
        let cluster = ControlPlane::start().await?;
        out.line(Voice::Demo, &format!("Kubernetes answers at {}", cluster.url()))?;

        let seed = root.join("examples/secure-workspace/azure.yaml");
        let azure = Azure::start(&simulator, &seed, cluster.guard()).await?;
        let arm = &azure.endpoints().arm;
        out.line(Voice::Demo, &format!("a simulated Azure answers at {arm}, with what azure.yaml holds"))?;

        install_chart(&cluster, &root.join("charts/aml-operator")).await?;
        out.line(Voice::Demo, "the chart's definitions, admission policy, service account and roles are installed")?;
        let operator = start_operator(&cluster, &operator).await?;
        out.line(Voice::Demo, "the operator runs, with the rights of the chart's service account")?;

        let (secret, key) = SECRET;
        let literal = format!("--from-literal={key}={}", CLIENT.1);
        cluster.kubectl(&["create", "secret", "generic", secret, "--namespace", OPERATOR, &literal]).await?;

        let stage = Self { root, cluster, azure, operator };
        stage.apply(out, "secure-workspace").await?;
        Ok(stage)
    }

    /// The cluster.
    pub(crate) fn cluster(&self) -> &ControlPlane {
        &self.cluster
    }

    /// The simulated Azure.
    pub(crate) fn azure(&self) -> &Azure {
        &self.azure
    }

    /// The operator's objects and the events, as they are now.
    pub(crate) async fn look(&self) -> Result<Look> {
        let answer = self.cluster.kubectl(&["get", RESOURCES, "--all-namespaces", "--output=json"]).await?;
        Ok(Look::new(&serde_json::from_str(&answer).context("kubectl prints no JSON")?))
    }

    /// Sees that operator and simulator run.
    ///
    /// # Errors
    /// With the end of its log if one of them has ended.
    pub(crate) fn check(&self) -> Result<()> {
        for process in [&self.operator, self.azure.process()] {
            if let Some(status) = process.exited()? {
                bail!("{} ended ({status}); the end of its log:\n{}", process.name(), tail(process));
            }
        }
        Ok(())
    }

    /// The operator's log file.
    pub(crate) fn operator_log(&self) -> &Path {
        self.operator.log()
    }

    /// The end of it.
    pub(crate) fn operator_log_tail(&self) -> String {
        tail(&self.operator)
    }

    /// Brings to Azure what the azure.yaml of the example `name` holds.
    ///
    /// # Errors
    /// If the simulated Azure refuses.
    pub(crate) async fn seed(&self, name: &str) -> Result<()> {
        self.azure.seed(&self.root.join("examples").join(name).join("azure.yaml")).await
    }

    /// Applies the example `name` with the one change that a simulated Azure needs: how the connection reaches it.
    ///
    /// # Errors
    /// If kubectl refuses.
    pub(crate) async fn apply(&self, out: &Narrator, name: &str) -> Result<()> {
        let example = self.root.join("examples").join(name);
        let folder = self.cluster.guard().folder().join(name);
        copy_manifests(&example, &folder.join("example"))?;
        let overlay = folder.join("overlay");
        fs::create_dir_all(&overlay).with_context(|| overlay.display().to_string())?;
        let endpoints = self.azure.endpoints();
        let content = kustomization(&endpoints.arm, &endpoints.authority, self.azure.ca()).to_string();
        fs::write(overlay.join("kustomization.yaml"), content).with_context(|| overlay.display().to_string())?;

        out.line(Voice::Demo, &format!("kubectl apply -k examples/{name}"))?;
        out.more(&format!(
            "with one patch: its AzureConnection gets cloud: Custom at {} and the client secret of the simulated \
             application in place of workload identity, which needs the real Entra",
            endpoints.arm
        ))?;
        self.cluster.kubectl(&["apply", "--server-side", "-k", &overlay.to_string_lossy()]).await?;
        Ok(())
    }
}

/// The last lines that a process has printed.
pub(crate) fn tail(process: &Process) -> String {
    let log = fs::read(process.log()).unwrap_or_default();
    let log = String::from_utf8_lossy(&log);
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(LOG_TAIL)..].join("\n")
}

/// A program that is built together with this one.
fn sibling(name: &str) -> Result<PathBuf> {
    let program = std::env::current_exe()?.with_file_name(name);
    ensure!(program.is_file(), "there is no {}: start the demo with `make demo`, which builds it", program.display());
    Ok(program)
}

async fn install_chart(cluster: &ControlPlane, chart: &Path) -> Result<()> {
    let chart = chart.to_string_lossy();
    let templates = TEMPLATES.map(|name| format!("--show-only=templates/{name}.yaml"));
    let mut args = vec!["template", OPERATOR, &chart, "--namespace", OPERATOR];
    args.extend(templates.iter().map(String::as_str));
    let manifests = cluster.helm(&args).await?;
    cluster.kubectl(&["create", "namespace", OPERATOR]).await?;
    cluster.kubectl_with_input(&["apply", "--server-side", "-f", "-"], &manifests).await?;
    let established = ["wait", "--for=condition=Established", "--timeout=60s", "crd", "--all"];
    cluster.kubectl(&established).await?;
    people::guarded(cluster, OPERATOR).await
}

async fn start_operator(cluster: &ControlPlane, program: &Path) -> Result<Process> {
    let kubeconfig = cluster.guard().folder().join("operator.kubeconfig");
    let content = cluster.service_account_kubeconfig(OPERATOR, OPERATOR).await?;
    fs::write(&kubeconfig, content).with_context(|| kubeconfig.display().to_string())?;
    let mut command = Command::new(program);
    command
        .args([
            "run",
            "--namespace",
            OPERATOR,
            "--log-format",
            "json",
            "--pace-factor",
            PACE,
            "--resync",
            RESYNC,
            "--listen",
            "127.0.0.1:0",
        ])
        .env("KUBECONFIG", &kubeconfig)
        // A proxy of the user's would be asked for loopback addresses too.
        .env("NO_PROXY", "127.0.0.1,localhost");
    cluster.guard().spawn("aml-operator", command).context("cannot start the operator")
}

/// Copies the manifests, since a kustomization may only point below or beside itself.
fn copy_manifests(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).with_context(|| to.display().to_string())?;
    for entry in fs::read_dir(from).with_context(|| from.display().to_string())? {
        let entry = entry?;
        if entry.path().extension().is_some_and(|extension| extension == "yaml") {
            fs::copy(entry.path(), to.join(entry.file_name())).with_context(|| entry.path().display().to_string())?;
        }
    }
    Ok(())
}

/// The example with another cloud and credential. JSON is YAML too.
fn kustomization(arm: &str, authority: &str, ca: &str) -> Value {
    let (secret, key) = SECRET;
    let patch = json!([
        { "op": "replace", "path": "/spec/cloud", "value": "Custom" },
        { "op": "add", "path": "/spec/customCloud", "value": {
            "resourceManagerEndpoint": arm, "authorityHost": authority, "caBundle": ca,
        } },
        { "op": "add", "path": "/spec/credential/clientSecret", "value": {
            "clientId": CLIENT.0, "secretRef": { "name": secret, "key": key },
        } },
        { "op": "remove", "path": "/spec/credential/workloadIdentity" },
    ]);
    json!({
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": ["../example"],
        "patches": [{ "target": { "kind": "AzureConnection" }, "patch": patch.to_string() }],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn yaml(text: &str) -> Value {
        serde_saphyr::from_str(text).unwrap()
    }

    #[test]
    fn the_patch_fits_the_examples() {
        the_patch_fits(include_str!("../../examples/secure-workspace/10-connection.yaml"));
        the_patch_fits(include_str!("../../examples/private-workspace/10-connection.yaml"));
    }

    fn the_patch_fits(connection: &str) {
        let connection = yaml(connection);
        let overlay = kustomization("https://arm", "https://entra", "PEM");
        assert_eq!(overlay["patches"][0]["target"]["kind"], connection["kind"]);
        let patch: Vec<Value> = serde_json::from_str(overlay["patches"][0]["patch"].as_str().unwrap()).unwrap();
        for step in patch.iter().filter(|step| step["op"] != "add") {
            assert!(connection.pointer(step["path"].as_str().unwrap()).is_some(), "{step}");
        }
        let teaches = |step: &Value| step["path"].as_str().unwrap().starts_with("/spec/grants");
        assert!(!patch.iter().any(teaches), "what the example teaches is applied as it is");
    }

    #[test]
    fn the_seed_knows_the_demos_credential_and_the_example_its_own() {
        let seed = yaml(include_str!("../../examples/secure-workspace/azure.yaml"));
        let connection = yaml(include_str!("../../examples/secure-workspace/10-connection.yaml"));
        let principal = &seed["servicePrincipals"][0];
        assert_eq!((principal["clientId"].as_str(), principal["secret"].as_str()), (Some(CLIENT.0), Some(CLIENT.1)));
        assert_eq!(principal["tenantId"], connection["spec"]["tenantId"]);
    }
}
