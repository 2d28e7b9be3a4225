//! The operator's command line: arguments become a configuration, the configuration runs.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use aml_operator::azure::client::{CallHook, CallRecord};
use aml_operator::azure::throttle::{Key, Kind, Level, LevelHook, Throttle, ThrottlePace};
use aml_operator::azure::transport::{HttpPace, Transport};
use aml_operator::effects::Seam;
use aml_operator::operator::{Operator, installation_id};
use aml_operator::runtime::context::AzureParts;
use aml_operator::runtime::lease::{Election, LeasePace};
use aml_operator::runtime::pace::Pace;
use aml_operator::runtime::{kube_client, shutdown};
use aml_operator::telemetry::{self, AzureAnswer, LogFormat, Metrics, Readiness, ThrottleKind};
use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};
use reqwest::StatusCode;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::info;

/// Keeps the network security of Azure Machine Learning workspaces as declared in Kubernetes objects.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs the operator.
    Run(Box<Run>),
    /// Prints the custom resource definitions as YAML.
    Crds {
        /// Writes one file each into this folder instead.
        #[arg(long)]
        output_dir: Option<PathBuf>,
    },
}

#[derive(Args)]
struct Run {
    /// The operator's own namespace: Secrets of AzureConnections and the ledger lie there.
    #[arg(long, env = "POD_NAMESPACE", default_value = "aml-operator")]
    namespace: String,
    /// Name of this instance, for leader election and events; a restarted pod keeps it and so its leadership.
    #[arg(long, env = "POD_NAME")]
    instance: Option<String>,
    /// What tells this installation's resources in Azure from others'; left out, the uid of kube-system. Set it to the old value
    /// to have a rebuilt cluster take up its resources again.
    #[arg(long, value_parser = installation)]
    installation_id: Option<String>,
    /// Where /healthz, /readyz and /metrics are served.
    #[arg(long, default_value = "0.0.0.0:8080")]
    listen: SocketAddr,
    /// Log filter, for example `info` or `aml_operator=debug,info`.
    #[arg(long, default_value = "info")]
    log_level: String,
    /// Log format.
    #[arg(long, value_enum, default_value = "json")]
    log_format: LogFormat,
    /// Seconds between two looks at something that is as declared.
    #[arg(long, default_value_t = 3600, value_parser = clap::value_parser!(u64).range(1..))]
    resync: u64,
    /// Multiplies every wait, for trying things out against a simulator.
    #[arg(long, default_value_t = 1.0, hide = true)]
    pace_factor: f64,
    /// Runs without leader election; only for a single instance.
    #[arg(long)]
    no_leader_election: bool,
}

fn installation(text: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    if !text.is_empty() && text.len() <= 63 && text.chars().all(plain) {
        Ok(text.to_owned())
    } else {
        Err("1 to 63 letters, digits, dots and dashes".into())
    }
}

fn main() -> ExitCode {
    // First of all: with two providers compiled in by accident, TLS would fall over at its first use.
    if rustls::crypto::aws_lc_rs::default_provider().install_default().is_err() {
        eprintln!("a TLS provider is installed already");
        return ExitCode::FAILURE;
    }
    let result = match Arguments::parse().command {
        Command::Crds { output_dir } => crds(output_dir),
        Command::Run(arguments) => run(*arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("aml-operator: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn crds(output_dir: Option<PathBuf>) -> anyhow::Result<()> {
    for definition in aml_operator::api::definitions() {
        let yaml = serde_saphyr::to_string(&definition)?;
        match &output_dir {
            None => println!("---\n{yaml}"),
            Some(folder) => {
                let name = definition.metadata.name.as_deref().unwrap_or_default();
                let file = folder.join(format!("{}.yaml", name.split('.').next().unwrap_or(name)));
                std::fs::write(&file, yaml).with_context(|| format!("writing {}", file.display()))?;
            }
        }
    }
    Ok(())
}

#[tokio::main]
async fn run(arguments: Run) -> anyhow::Result<()> {
    telemetry::init_logs(arguments.log_format, &arguments.log_level)?;
    let signals = shutdown::on_signals()?;
    let immediate = signals.immediate.clone();
    tokio::select! {
        result = operate(arguments, signals.graceful) => result,
        () = immediate.cancelled() => anyhow::bail!("stopped at once by a second signal"),
    }
}

async fn operate(arguments: Run, graceful: CancellationToken) -> anyhow::Result<()> {
    let pace = Pace { resync: Duration::from_secs(arguments.resync), ..Pace::default() }.scaled(arguments.pace_factor);
    let metrics = Metrics::new();
    let readiness = Readiness::default();
    let config = kube::Config::infer().await.context("finding the cluster")?;
    let seam = Seam::default();
    let kube = kube_client::client(config, pace.kubernetes_call, seam.clone(), metrics.clone())?;
    let listener =
        TcpListener::bind(arguments.listen).await.with_context(|| format!("listening on {}", arguments.listen))?;
    info!(address = %listener.local_addr()?, version = env!("CARGO_PKG_VERSION"), "serving health and metrics");
    let stopped = CancellationToken::new();
    tokio::spawn(telemetry::serve(listener, metrics.clone(), readiness.clone(), stopped.clone()));
    let installation = match arguments.installation_id {
        Some(id) => id,
        None => installation_id(&kube).await.context("reading the uid of kube-system")?,
    };
    let instance = arguments.instance.unwrap_or_else(|| format!("aml-operator-{}", std::process::id()));
    let hook = {
        let metrics = metrics.clone();
        move |record: &CallRecord| {
            metrics.azure_request(AzureAnswer {
                provider: &record.resource_type,
                method: &record.method,
                status: record.status.and_then(|status| StatusCode::from_u16(status).ok()),
                code: record.class.map(|class| class.as_str()),
                elapsed: record.duration,
            });
        }
    };
    let levels = {
        let metrics = metrics.clone();
        move |key: &Key, level: Level| {
            let kind = match key.kind {
                Kind::Reads => ThrottleKind::Reads,
                Kind::Writes => ThrottleKind::Writes,
                Kind::Deletes => ThrottleKind::Deletes,
            };
            metrics.throttle_level(key.subscription.as_deref(), kind, level.remaining, level.paused_until);
        }
    };
    let operator = Operator {
        kube: kube.clone(),
        namespace: arguments.namespace.clone(),
        installation,
        selector: None,
        instance: Some(instance.clone()),
        pace,
        azure: AzureParts {
            throttle: Throttle::watched(ThrottlePace::default(), Some(std::sync::Arc::new(levels) as LevelHook)),
            pace: HttpPace::default(),
            transport: Transport::default(),
            hook: Some(std::sync::Arc::new(hook) as CallHook),
            seam,
        },
        metrics: metrics.clone(),
        readiness: readiness.clone(),
    };
    let result = if arguments.no_leader_election {
        operator.run(graceful).await;
        Ok(())
    } else {
        // Followers are ready: they have nothing to sync and take over at any time.
        readiness.set_ready();
        lead(operator, kube, arguments.namespace, instance, graceful, metrics).await
    };
    stopped.cancel();
    result
}

/// Runs the operator while this instance leads. Losing the lease ends the process: whoever leads now must be alone.
async fn lead(
    operator: Operator,
    client: kube::Client,
    namespace: String,
    identity: String,
    graceful: CancellationToken,
    metrics: Metrics,
) -> anyhow::Result<()> {
    let election = Election { client, namespace, name: "aml-operator".into(), identity, pace: LeasePace::default() };
    let (sender, mut leading) = watch::channel(false);
    let vacate = CancellationToken::new();
    let mut elected = tokio::spawn(election.run(vacate.clone(), sender));
    let gained = async { leading.wait_for(|leads| *leads).await.map(|_| ()) };
    tokio::select! {
        gained = gained => gained.context("the election ended before it was decided")?,
        () = graceful.cancelled() => {
            vacate.cancel();
            elected.await??;
            return Ok(());
        }
    }
    metrics.leading(true);
    info!("leading");
    tokio::select! {
        // The lease is held until what is under way has ended.
        () = operator.run(graceful) => {
            vacate.cancel();
            elected.await??;
            Ok(())
        }
        lost = &mut elected => {
            lost??;
            anyhow::bail!("the election ended")
        }
    }
}
