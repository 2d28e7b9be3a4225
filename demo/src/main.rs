//! Runs `examples/secure-workspace/`, and after it `examples/private-workspace/`, with the real operator on a real Kubernetes control plane and a simulated Azure, and
//! tells what happens: from the objects, their conditions, the events and the ARM calls, not from a script.
//!
//! With a terminal it stays up until Ctrl-C. Without one, or with `DEMO=once`, it ends when all goals are reached (exit
//! code 0), or when they were not in time (exit code 1). However it ends, nothing of it stays behind.

mod azure;
mod calls;
mod changes;
mod goals;
mod leave;
mod narrator;
mod objects;
mod people;
mod private;
mod rules;
mod stage;
mod story;

use std::io::IsTerminal;
use std::process::ExitCode;

use narrator::Narrator;

/// As shells have it for what SIGINT has ended.
const INTERRUPTED: u8 = 130;

#[tokio::main]
async fn main() -> ExitCode {
    let terminal = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    let stay = terminal && std::env::var_os("DEMO").is_none_or(|demo| demo != "once");
    let mut out = Narrator::new();
    let mut reached = None;
    let outcome = tokio::select! {
        // First: Ctrl-C also ends a kubectl that is running, and that is no failure.
        biased;
        left = leave::asked() => left.map(Some).map_err(anyhow::Error::from),
        outcome = story::run(&mut out, stay, &mut reached) => outcome.map(|()| None),
    };
    // All that was started has ended by now: it went with the story.
    match outcome {
        Ok(why) => {
            if let Some(why) = why {
                // Nobody may be there to read it any more.
                let _ =
                    out.say(&format!("{why}: everything the demo started has been ended and its files are removed"));
            }
            match reached {
                Some(true) => ExitCode::SUCCESS,
                Some(false) => ExitCode::FAILURE,
                None => ExitCode::from(INTERRUPTED),
            }
        }
        Err(error) => {
            eprintln!("demo: {error:#}");
            ExitCode::FAILURE
        }
    }
}
