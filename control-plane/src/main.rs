//! Runs a control plane, or builds the programs for one.

use std::io::Write;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use control_plane::{ControlPlane, tools};
use tokio::signal::unix::{SignalKind, signal};

/// A real Kubernetes control plane on loopback.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Builds kube-apiserver, kube-controller-manager, etcd, kubectl and helm if they are not there yet
    Tools {
        /// Print the path of this program instead of the list
        #[arg(long, value_name = "PROGRAM")]
        print: Option<String>,
    },
    /// Starts a control plane, prints the path of a kubeconfig for it, and runs until Ctrl-C
    Run,
}

fn main() -> Result<()> {
    match Arguments::parse().command {
        Command::Tools { print } => print_tools(print.as_deref()),
        Command::Run => run(),
    }
}

fn print_tools(program: Option<&str>) -> Result<()> {
    let tools = tools::ensure()?;
    let Some(program) = program else {
        for (_, path) in tools.list() {
            println!("{}", path.display());
        }
        return Ok(());
    };
    let list = tools.list();
    let (_, path) = list.iter().find(|(name, _)| *name == program).with_context(|| {
        let names: Vec<_> = list.iter().map(|(name, _)| *name).collect();
        format!("no program {program}; there are {}", names.join(", "))
    })?;
    println!("{}", path.display());
    Ok(())
}

#[tokio::main]
async fn run() -> Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let cluster = tokio::select! {
        cluster = ControlPlane::start() => cluster?,
        _ = interrupt.recv() => return Ok(()),
        _ = terminate.recv() => return Ok(()),
    };
    println!("{}", cluster.kubeconfig_path().display());
    std::io::stdout().flush()?;
    eprintln!("{} is ready; use it with KUBECONFIG set to the path above; Ctrl-C ends it", cluster.url());
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}
