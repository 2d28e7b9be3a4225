//! Starting a control plane, waiting until it is ready, and using it.

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::process::Command;

use crate::Error;
use crate::certificates::Certificates;
use crate::guard::{Guard, Process};
use crate::kubeconfig::{self, Credential};
use crate::programs::{self, Ports};
use crate::tools::{self, Tools};

/// How long to wait for kube-apiserver, and then for the first namespace. Far more than the few seconds it takes: on a
/// machine that is busy compiling it may be a minute.
const PATIENCE: Duration = Duration::from_secs(120);
/// How often readiness is asked for.
const POLL: Duration = Duration::from_millis(50);
/// How often to start over when another program was faster to take a port.
const ATTEMPTS: u32 = 5;
/// How much of a log an error shows, in bytes.
const LOG_TAIL: usize = 3000;

/// A running control plane. Dropping it stops it and removes all it wrote.
#[derive(Debug)]
pub struct ControlPlane {
    guard: Guard,
    tools: Tools,
    url: String,
    authority: String,
    kubeconfig: String,
    kubeconfig_path: PathBuf,
}

impl ControlPlane {
    /// Starts etcd, kube-apiserver and kube-controller-manager on free loopback ports and returns when kube-apiserver
    /// is ready and the namespace `default` has its service account. The programs are built first if need be
    /// ([`tools::ensure`]).
    ///
    /// # Errors
    /// If the programs are missing and cannot be built, one of them ends, or they are not ready within two minutes.
    pub async fn start() -> Result<Self, Error> {
        let tools = tokio::task::spawn_blocking(tools::ensure).await.map_err(|e| Error::Start(e.into()))??;
        let mut attempt = 1;
        loop {
            match Self::try_start(tools.clone()).await {
                Err(Error::Exited { log, .. }) if attempt < ATTEMPTS && log.contains("address already in use") => {
                    attempt += 1;
                }
                outcome => return outcome,
            }
        }
    }

    async fn try_start(tools: Tools) -> Result<Self, Error> {
        let guard = Guard::new().map_err(Error::Start)?;
        let folder = guard.folder().to_owned();
        let certificates = Certificates::generate()?;
        let files = certificates.write(&folder)?;
        let ports = Ports::find().map_err(Error::Start)?;
        let url = format!("https://127.0.0.1:{}", ports.api);

        let write_kubeconfig = |name: &str, identity| {
            let path = folder.join(name);
            let content = kubeconfig::render(&url, &certificates.authority, &Credential::Certificate(identity));
            fs::write(&path, &content).map_err(|source| Error::file(&path, source)).map(|()| (path, content))
        };
        let (kubeconfig_path, kubeconfig) = write_kubeconfig("kubeconfig", &certificates.admin)?;
        let (manager_path, _) = write_kubeconfig("controller-manager.kubeconfig", &certificates.controller_manager)?;

        let spawn = |name, command| guard.spawn(name, command).map_err(Error::Start);
        let etcd = spawn("etcd", programs::etcd(&tools, &folder, ports))?;
        let api = spawn("kube-apiserver", programs::api_server(&tools, &files, &folder, ports))?;
        let mut wait = Readiness::new(&certificates, &url, vec![etcd, api])?;
        wait.until("kube-apiserver to be ready", "/readyz").await?;
        // Only now: it asks for kube-apiserver at increasing intervals, so starting it earlier makes it later.
        let manager = programs::controller_manager(&tools, &files, &manager_path);
        wait.processes.push(spawn("kube-controller-manager", manager)?);
        wait.until("the default service account", "/api/v1/namespaces/default/serviceaccounts/default").await?;

        Ok(Self { guard, tools, url, authority: certificates.authority, kubeconfig, kubeconfig_path })
    }

    /// Where kube-apiserver serves: `https://127.0.0.1:{port}`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The certificate authority that kube-apiserver's certificate comes from, PEM.
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        &self.authority
    }

    /// A kubeconfig file for a user who may do everything.
    #[must_use]
    pub fn kubeconfig_path(&self) -> &Path {
        &self.kubeconfig_path
    }

    /// The content of [`Self::kubeconfig_path`].
    #[must_use]
    pub fn kubeconfig_yaml(&self) -> &str {
        &self.kubeconfig
    }

    /// The programs this control plane runs, and those that go with it.
    #[must_use]
    pub fn tools(&self) -> &Tools {
        &self.tools
    }

    /// Takes further processes that are to end with this control plane, before it.
    #[must_use]
    pub fn guard(&self) -> &Guard {
        &self.guard
    }

    /// Runs `kubectl` as a user who may do everything and returns what it prints.
    ///
    /// # Errors
    /// [`Error::Command`] with its standard error if it fails.
    pub async fn kubectl<A: AsRef<OsStr>>(&self, args: &[A]) -> Result<String, Error> {
        self.command(&self.tools.kubectl, args, "").await
    }

    /// Like [`Self::kubectl`], with `input` on its standard input (for `-f -`).
    ///
    /// # Errors
    /// [`Error::Command`] with its standard error if it fails.
    pub async fn kubectl_with_input<A: AsRef<OsStr>>(&self, args: &[A], input: &str) -> Result<String, Error> {
        self.command(&self.tools.kubectl, args, input).await
    }

    /// Runs `helm` as a user who may do everything and returns what it prints.
    ///
    /// # Errors
    /// [`Error::Command`] with its standard error if it fails.
    pub async fn helm<A: AsRef<OsStr>>(&self, args: &[A]) -> Result<String, Error> {
        self.command(&self.tools.helm, args, "").await
    }

    /// A kubeconfig, as text, for a service account: what runs with it has that account's rights and no more. The
    /// token in it is valid for a day.
    ///
    /// # Errors
    /// [`Error::Command`] if there is no such service account.
    pub async fn service_account_kubeconfig(&self, namespace: &str, name: &str) -> Result<String, Error> {
        let token = self.kubectl(&["create", "token", name, "--namespace", namespace, "--duration=24h"]).await?;
        Ok(kubeconfig::render(&self.url, &self.authority, &Credential::Token(token.trim())))
    }

    async fn command<A: AsRef<OsStr>>(&self, program: &Path, args: &[A], input: &str) -> Result<String, Error> {
        // A file and not a pipe: nobody has to feed it while the output is read.
        let mut stdin = tempfile::tempfile_in(self.guard.folder()).map_err(Error::Start)?;
        stdin.write_all(input.as_bytes()).map_err(Error::Start)?;
        std::io::Seek::rewind(&mut stdin).map_err(Error::Start)?;
        let output = Command::new(program)
            .args(args)
            .env("KUBECONFIG", &self.kubeconfig_path)
            // Not the user's own caches and settings: ports are used again, and another run's discovery would be believed.
            .env("HOME", self.guard.folder())
            .env("KUBECACHEDIR", self.guard.folder().join("kube-cache"))
            .stdin(Stdio::from(stdin))
            .kill_on_drop(true)
            .output()
            .await
            .map_err(Error::Start)?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let args: Vec<_> = args.iter().map(|arg| arg.as_ref().to_string_lossy()).collect();
        let name = program.file_name().unwrap_or(program.as_os_str());
        Err(Error::Command {
            command: format!("{} {}", name.display(), args.join(" ")),
            status: output.status,
            stderr: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        })
    }
}

/// Asks kube-apiserver until it answers well, as long as the processes it depends on run.
struct Readiness {
    client: reqwest::Client,
    url: String,
    processes: Vec<Process>,
}

impl Readiness {
    fn new(certificates: &Certificates, url: &str, processes: Vec<Process>) -> Result<Self, Error> {
        let admin = format!("{}{}", certificates.admin.certificate, certificates.admin.key);
        let client = reqwest::Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(10))
            .tls_certs_only([reqwest::Certificate::from_pem(certificates.authority.as_bytes())?])
            .identity(reqwest::Identity::from_pem(admin.as_bytes())?)
            .build()?;
        Ok(Self { client, url: url.to_owned(), processes })
    }

    async fn until(&self, what: &'static str, path: &str) -> Result<(), Error> {
        let start = Instant::now();
        loop {
            let answer = self.client.get(format!("{}{path}", self.url)).send().await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return Ok(());
            }
            for process in &self.processes {
                if let Some(status) = process.exited().map_err(Error::Start)? {
                    return Err(Error::Exited { name: process.name().to_owned(), status, log: tail(process)? });
                }
            }
            if start.elapsed() > PATIENCE {
                let log = self.processes.last().map(tail).transpose()?.unwrap_or_default();
                return Err(Error::NotReady { what, seconds: PATIENCE.as_secs(), log });
            }
            tokio::time::sleep(POLL).await;
        }
    }
}

fn tail(process: &Process) -> Result<String, Error> {
    let log = fs::read(process.log()).map_err(|source| Error::file(process.log(), source))?;
    Ok(String::from_utf8_lossy(&log[log.len().saturating_sub(LOG_TAIL)..]).into_owned())
}
