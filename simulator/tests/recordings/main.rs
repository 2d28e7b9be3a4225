//! Recorded exchanges with the real Azure Resource Manager are played against the simulator, and every answer is
//! compared with Azure's, field by field. `ARM_RECORDINGS_DIR` names the folder of recordings.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test's helpers fail the test")]

mod allowed;
mod cassette;
mod compare;
#[path = "../contract/mod.rs"]
mod contract;
mod replay;
mod rules;

use std::io::Write as _;
use std::path::PathBuf;

use cassette::Cassette;

/// Says something also when the test passes: the test harness keeps back only what `println!` writes.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "recordings: {line}");
}

#[tokio::test]
async fn azures_recorded_answers_are_the_simulators() {
    let Some(folder) = std::env::var_os("ARM_RECORDINGS_DIR").map(PathBuf::from) else {
        say("skipped: ARM_RECORDINGS_DIR is not set");
        return;
    };
    let cassettes = Cassette::all_in(&folder).unwrap();
    assert!(!cassettes.is_empty(), "no recordings in {}", folder.display());
    let mut differing = 0;
    for cassette in &cassettes {
        let outcome = replay::play(cassette).await;
        let (differ, unplayed) = (outcome.differing.len(), outcome.unplayed.len());
        say(&format!("{}: {} compared, {differ} differ, {unplayed} not played", outcome.name, outcome.compared));
        for (request, differences) in &outcome.differing {
            println!("  differs: {request}");
            differences.iter().for_each(|difference| println!("    {difference}"));
        }
        outcome.unplayed.iter().for_each(|(request, why)| println!("  not played: {request}: {why}"));
        differing += outcome.differing.len();
    }
    println!("may differ, everywhere: ids that the service makes up (consistently), and times");
    for field in allowed::FIELDS {
        println!("may differ: {} ({:?}): {}", field.pointer, field.may, field.why);
    }
    for row in allowed::EITHER {
        println!("may differ: {} of {}: {:?}: {}", row.method, row.path, row.codes, row.why);
    }
    for header in allowed::HEADERS {
        println!("not compared: header {}: {}", header.name, header.why);
    }
    assert_eq!(differing, 0, "answers differ from Azure's");
}
