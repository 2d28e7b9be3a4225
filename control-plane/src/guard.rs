//! Processes and a folder that go away with us, however we go.
//!
//! A test that is killed must not leave an API server behind: it would keep its port, its memory and its data. `Drop`
//! alone cannot promise that, so a watchdog outside our own process does.

use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// How long each process has for an orderly end when the guard is dropped.
const GRACE: Duration = Duration::from_secs(2);
/// How often an ending process is looked at.
const POLL: Duration = Duration::from_millis(10);

/// The watchdog: waits until its standard input ends, which it does when we are gone in any way, then kills the group
/// `$1` and removes the folder `$2`. (`kill -s`, because dash takes no `--` after `-KILL`.) Removal is repeated because
/// a killed process may still finish a write.
const WATCHDOG: &str = r#"
trap '' HUP INT TERM
cat >/dev/null
kill -s KILL -- "-$1" 2>/dev/null
tries=0
until rm -rf -- "$2" 2>/dev/null && [ ! -e "$2" ]; do
  tries=$((tries + 1))
  [ "$tries" -lt 50 ] || exit 1
  sleep 0.1
done
"#;

/// Keeps processes in one process group and a folder for their files, and ends both.
///
/// Dropping it ends the processes in order, the youngest first. If there is no time for that (a panic that aborts,
/// `exit`, SIGKILL), a watchdog process kills the group and removes the folder.
#[derive(Debug)]
pub struct Guard {
    folder: PathBuf,
    /// Leader of the group. It does nothing but keep the group's id taken while members come and go.
    anchor: Child,
    watchdog: Child,
    processes: Mutex<Vec<Process>>,
}

impl Guard {
    /// Makes the folder (readable by its owner only) and starts the watchdog.
    ///
    /// # Errors
    /// If the folder cannot be made or `sh` or `cat` cannot be started.
    pub fn new() -> io::Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("control-plane-")
            .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700))
            .tempdir()?;
        let mut anchor = Command::new("cat");
        anchor.process_group(0).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut anchor = anchor.spawn()?;
        let watchdog = Command::new("sh")
            .args(["-c", WATCHDOG, "watchdog"])
            .arg(anchor.id().to_string())
            .arg(folder.path())
            // Away from the terminal's foreground group, so that Ctrl-C does not reach it before us.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        match watchdog {
            Ok(watchdog) => Ok(Self { folder: folder.keep(), anchor, watchdog, processes: Mutex::default() }),
            Err(error) => {
                anchor.kill()?;
                anchor.wait()?;
                Err(error)
            }
        }
    }

    /// The folder for the processes' files. It is removed with the guard.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Starts `command` in the guarded group, with no input and its output appended to `{name}.log` in the folder.
    ///
    /// # Errors
    /// If the log cannot be opened or the program cannot be started.
    pub fn spawn(&self, name: &str, mut command: Command) -> io::Result<Process> {
        let log = self.folder.join(format!("{name}.log"));
        let output = File::options().create(true).append(true).open(&log)?;
        let group = i32::try_from(self.anchor.id()).map_err(io::Error::other)?;
        command.process_group(group).stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let child = command
            .spawn()
            .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", command.get_program().display())))?;
        let process = Process(Arc::new(Inner { name: name.to_owned(), id: child.id(), log, child: Mutex::new(child) }));
        lock(&self.processes).push(process.clone());
        Ok(process)
    }

    /// Ends all processes, the youngest first: those that use others end before what they use. (kube-apiserver does
    /// not go for a minute once its etcd is gone.)
    pub(crate) fn stop_all(&self) {
        let processes = std::mem::take(&mut *lock(&self.processes));
        for process in processes.iter().rev() {
            // Nothing to be done about a failure here: the watchdog kills what is left.
            let _ = process.terminate_and_wait(GRACE);
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.stop_all();
        // The end of its input is the watchdog's call to clean up; the anchor dies with the group.
        drop(self.watchdog.stdin.take());
        let _ = self.watchdog.wait();
        let _ = self.anchor.kill();
        let _ = self.anchor.wait();
    }
}

/// A process in a [`Guard`]'s group. Clones are handles to the same process; dropping a handle ends nothing.
#[derive(Clone, Debug)]
pub struct Process(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    name: String,
    id: u32,
    log: PathBuf,
    child: Mutex<Child>,
}

impl Process {
    /// The name it was started under.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.0.id
    }

    /// The file with all it has printed so far.
    #[must_use]
    pub fn log(&self) -> &Path {
        &self.0.log
    }

    /// How it ended, or `None` while it runs.
    ///
    /// # Errors
    /// If the system cannot tell.
    pub fn exited(&self) -> io::Result<Option<ExitStatus>> {
        lock(&self.0.child).try_wait()
    }

    /// Kills it at once (SIGKILL) and returns when it is gone. No error if it already is.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn kill(&self) -> io::Result<ExitStatus> {
        let mut child = lock(&self.0.child);
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        child.kill()?;
        child.wait()
    }

    /// Asks it to end (SIGTERM) and waits at most `timeout`, blocking the thread; then kills it.
    /// Returns its status if it ended by itself in time, `None` if it had to be killed.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn terminate_and_wait(&self, timeout: Duration) -> io::Result<Option<ExitStatus>> {
        {
            let mut child = lock(&self.0.child);
            if let Some(status) = child.try_wait()? {
                return Ok(Some(status));
            }
            // Not yet waited for, so the id is still this process's own.
            kill_process(Pid::from_child(&child), Signal::TERM)?;
        }
        let deadline = Instant::now() + timeout;
        while Instant::now() < deadline {
            if let Some(status) = self.exited()? {
                return Ok(Some(status));
            }
            std::thread::sleep(POLL);
        }
        self.kill().map(|_| None)
    }
}

/// A panic elsewhere does not make a list of processes wrong; they have to be ended all the same.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
