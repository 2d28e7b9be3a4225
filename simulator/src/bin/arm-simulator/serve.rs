//! `arm-simulator serve`.

use std::fs;
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use anyhow::Context;
use arm_simulator::{Fault, Seed, Settings, Simulator};
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use crate::{explain, files};

/// What `serve` takes.
#[derive(Args)]
pub(crate) struct Options {
    /// The address of the HTTPS listener; only loopback is accepted.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Where to write `ca.pem`, the certificate to trust.
    #[arg(long)]
    tls_dir: PathBuf,
    /// What there is at the start, YAML or JSON.
    #[arg(long, conflicts_with = "world")]
    seed: Option<PathBuf>,
    /// What there is at the start, a ready-made world; `seed --list` says which there are.
    #[arg(long)]
    world: Option<String>,
    /// Switches, YAML or JSON.
    #[arg(long)]
    settings: Option<PathBuf>,
    /// What goes wrong, YAML or JSON: a list of faults.
    #[arg(long)]
    faults: Option<PathBuf>,
    /// How simulated time passes: `real`, `by-hand` (only `/_simulator/clock` moves it), or so many times as fast as real
    /// time. It overrules the settings.
    #[arg(long)]
    clock: Option<Pace>,
    /// Decides everything random, so that two runs of one story give the same answers. It overrules the settings.
    #[arg(long)]
    seed_number: Option<u64>,
    /// Print how to point clients at it, instead of the JSON line.
    #[arg(long)]
    explain: bool,
}

/// Simulated seconds for each real one.
#[derive(Clone, Copy, Debug)]
struct Pace(f64);

impl FromStr for Pace {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "real" => Ok(Self(1.0)),
            "by-hand" => Ok(Self(0.0)),
            factor => match factor.parse() {
                Ok(factor) if f64::is_finite(factor) && factor > 0.0 => Ok(Self(factor)),
                _ => Err("neither real nor by-hand nor a factor above 0".to_owned()),
            },
        }
    }
}

/// Serves until it is told to end.
#[tokio::main]
pub(crate) async fn run(options: Options) -> anyhow::Result<()> {
    let seed: Seed = match &options.world {
        Some(name) => serde_saphyr::from_str(files::world(name)?.yaml)?,
        None => files::read(options.seed.as_deref())?,
    };
    let mut settings: Settings = files::read(options.settings.as_deref())?;
    if let Some(Pace(factor)) = options.clock {
        settings.clock_speed = factor;
    }
    settings.random_seed = options.seed_number.or(settings.random_seed);
    let faults: Vec<Fault> = files::read(options.faults.as_deref())?;
    faults.iter().try_for_each(Fault::check)?;

    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let credentials = explain::Credentials::of(&seed);
    let simulator = Simulator::start_on(options.listen, seed, settings).await?;
    faults.into_iter().for_each(|fault| simulator.add_fault(fault));
    fs::create_dir_all(&options.tls_dir).with_context(|| format!("cannot make {}", options.tls_dir.display()))?;
    let ca = options.tls_dir.join("ca.pem");
    fs::write(&ca, simulator.ca_pem()).with_context(|| format!("cannot write {}", ca.display()))?;
    let arm = simulator.endpoint();
    let mut out = std::io::stdout();
    if options.explain {
        let ca = fs::canonicalize(&ca).unwrap_or(ca);
        write!(out, "{}", explain::text(&arm, &simulator.imds_endpoint(), &ca, &credentials))?;
    } else {
        let line = serde_json::json!({
            "arm": arm,
            "authority": arm,
            "imds": simulator.imds_endpoint(),
            "ca": ca,
            "control": format!("{arm}/_simulator"),
        });
        writeln!(out, "{line}")?;
    }
    out.flush()?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    simulator.stop().await;
    Ok(())
}
