//! `arm-simulator serve`: the simulator as a program of its own.

use std::fs;
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context;
use arm_simulator::{Seed, Settings, Simulator};
use clap::{Parser, Subcommand};
use serde::de::DeserializeOwned;
use tokio::signal::unix::{SignalKind, signal};

/// An Azure Resource Manager that runs on loopback.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve until SIGTERM or SIGINT; one JSON line with the endpoints says that it answers.
    Serve {
        /// The address of the HTTPS listener; only loopback is accepted.
        #[arg(long, default_value = "127.0.0.1:0")]
        listen: SocketAddr,
        /// Where to write `ca.pem`, the certificate to trust.
        #[arg(long)]
        tls_dir: PathBuf,
        /// What there is at the start, YAML or JSON.
        #[arg(long)]
        seed: Option<PathBuf>,
        /// Switches, YAML or JSON.
        #[arg(long)]
        settings: Option<PathBuf>,
    },
}

/// YAML is a superset of JSON, so one reader takes both.
fn read<T: DeserializeOwned + Default>(path: Option<&Path>) -> anyhow::Result<T> {
    let Some(path) = path else { return Ok(T::default()) };
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_saphyr::from_str(&text).with_context(|| format!("cannot understand {}", path.display()))
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let Command::Serve { listen, tls_dir, seed, settings } = Arguments::parse().command;
    let seed: Seed = read(seed.as_deref())?;
    let settings: Settings = read(settings.as_deref())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let simulator = Simulator::start_on(listen, seed, settings).await?;
    fs::create_dir_all(&tls_dir).with_context(|| format!("cannot make {}", tls_dir.display()))?;
    let ca = tls_dir.join("ca.pem");
    fs::write(&ca, simulator.ca_pem()).with_context(|| format!("cannot write {}", ca.display()))?;
    let arm = simulator.endpoint();
    let line = serde_json::json!({
        "arm": arm,
        "authority": arm,
        "imds": simulator.imds_endpoint(),
        "ca": ca,
        "control": format!("{arm}/_simulator"),
    });
    let mut out = std::io::stdout();
    writeln!(out, "{line}")?;
    out.flush()?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    simulator.stop().await;
    Ok(())
}
