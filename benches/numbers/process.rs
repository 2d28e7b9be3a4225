//! The operator as it ships, and what the system says of its process.

use std::time::Instant;

use crate::executable::Executable;
use crate::support::World;

/// Starts the operator; alone, so that it is ready when it has seen the cluster.
pub(crate) async fn start(world: &World, program: &str, arguments: &[&str]) -> Executable {
    let installation = format!("installation-{}", world.mark);
    let all = [
        &["--no-leader-election", "--installation-id", &installation, "--log-level", "warn,aml_operator=info"],
        arguments,
    ];
    Executable::start(program, "bench", &all.concat()).await
}

/// Starts the operator and says how many milliseconds it took until it was ready.
pub(crate) async fn start_timed(world: &World, program: &str) -> (Executable, f64) {
    let begin = Instant::now();
    let operator = start(world, program, &[]).await;
    operator.ready().await;
    (operator, begin.elapsed().as_secs_f64() * 1000.0)
}

pub(crate) async fn stop(operator: Executable) {
    let status = operator.stop().await;
    assert!(status.is_some_and(|status| status.success()), "the operator did not end well: {}", operator.log());
}

/// Resident memory in MiB; none where the system does not tell it in /proc.
pub(crate) fn resident(operator: &Executable) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", operator.id())).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<f64>().ok().map(|kib| kib / 1024.0)
}

/// Clock ticks a second in /proc, on every Linux there is.
const TICKS: f64 = 100.0;

/// Seconds of processor time so far; none where the system does not tell it in /proc.
pub(crate) fn processor(operator: &Executable) -> Option<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", operator.id())).ok()?;
    // The name before the last parenthesis may hold anything; user and system time are the twelfth and thirteenth field after it.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |field: usize| fields.get(field)?.parse::<f64>().ok();
    Some((ticks(11)? + ticks(12)?) / TICKS)
}
