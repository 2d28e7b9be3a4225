//! `arm-simulator`: the simulator as a program of its own.

mod check;
mod explain;
mod files;
mod serve;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use arm_simulator::{ReadyWorld, WORLDS};
use clap::{Parser, Subcommand};

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
    Serve(Box<serve::Options>),
    /// Print a ready-made world, to be changed and served with `serve --seed FILE`.
    Seed {
        /// Its name.
        #[arg(required_unless_present = "list")]
        name: Option<String>,
        /// Say which there are.
        #[arg(long, conflicts_with = "name")]
        list: bool,
    },
    /// Say whether seeds, settings and fault plans are understood. Ends with 0 if all are, with 1 if one is not, with 2
    /// if a file cannot be read.
    Check {
        /// YAML or JSON; of which kind each is shows in what it holds.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
}

fn seed(name: Option<&str>) -> anyhow::Result<()> {
    let mut out = std::io::stdout();
    match name {
        Some(name) => out.write_all(files::world(name)?.yaml.as_bytes())?,
        None => {
            for ReadyWorld { name, about, .. } in WORLDS {
                writeln!(out, "{name:<12}{about}")?;
            }
        }
    }
    Ok(())
}

fn main() -> anyhow::Result<ExitCode> {
    match Arguments::parse().command {
        Command::Serve(options) => serve::run(*options)?,
        Command::Seed { name, .. } => seed(name.as_deref())?,
        Command::Check { files } => return Ok(check::run(&files)?),
    }
    Ok(ExitCode::SUCCESS)
}
