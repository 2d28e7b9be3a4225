//! The command line: checks a file of exchanges, and says which operations tests have exercised.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use arm_contract::{Collector, Contract, Coverage, Filter, Level, read_exchanges};
use clap::{Parser, Subcommand};

/// Holds exchanges with Azure Resource Manager to Microsoft's specifications.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Check exchanges; fails if some contradict the specifications
    Check {
        /// Folder of specifications
        #[arg(long, value_name = "DIR", env = "ARM_SPECS_DIR")]
        specs: PathBuf,
        /// Show warnings too
        #[arg(long)]
        warnings: bool,
        /// HTTP Archives, or JSON lists of exchanges
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Show which operations tests have exercised, and which not
    Report {
        /// Folder of specifications
        #[arg(long, value_name = "DIR", env = "ARM_SPECS_DIR")]
        specs: PathBuf,
        /// Show only resource types that begin like this, such as Microsoft.Network/privateEndpoints; may be repeated
        #[arg(long, value_name = "TYPE")]
        only: Vec<String>,
        /// Folders of counts that tests have written
        #[arg(required = true, value_name = "DIR")]
        counts: Vec<PathBuf>,
    },
}

fn main() -> anyhow::Result<ExitCode> {
    match Arguments::parse().command {
        Command::Check { specs, warnings, files } => check(&Contract::load(&specs)?, warnings, &files),
        Command::Report { specs, only, counts } => {
            let contract = Contract::load(&specs)?;
            let mut coverage = Coverage::default();
            for folder in counts {
                coverage.add(&Coverage::read(&folder)?);
            }
            print!("{}", coverage.table(&contract, &Filter { types: only, exercised_only: false }));
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn check(contract: &Contract, warnings: bool, files: &[PathBuf]) -> anyhow::Result<ExitCode> {
    let mut collector = Collector::new(contract);
    for path in files {
        let read = || anyhow::Ok(read_exchanges(&fs::read_to_string(path)?)?);
        for exchange in read().with_context(|| path.display().to_string())? {
            collector.add(&exchange);
        }
    }
    let report = collector.report();
    for gap in contract.gaps() {
        eprintln!("not understood: {gap}");
    }
    print!("{}", report.exercised.table(contract, &Filter { types: Vec::new(), exercised_only: true }));
    if warnings {
        print!("{}", report.listed(Level::Warning));
    }
    match report.verdict() {
        Ok(()) => {
            println!("{} exchanges, none contradicts the specifications", report.checked);
            Ok(ExitCode::SUCCESS)
        }
        Err(text) => {
            print!("{text}");
            Ok(ExitCode::FAILURE)
        }
    }
}
