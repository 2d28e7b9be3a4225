//! Building pinned Go programs once into a cache that several runs share.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use super::Error;

/// Flags of every build: no path of this machine in the program, no debug information.
const FLAGS: [&str; 2] = ["-trimpath", "-mod=readonly"];
const LINKER_FLAGS: &str = "-s -w";
/// How often a running build is looked at, and how often it is told that it still runs.
const POLL: Duration = Duration::from_millis(100);
const TELL: Duration = Duration::from_secs(10);
/// How much of Go's output an error shows, in bytes.
const OUTPUT_TAIL: usize = 3000;

/// A Go module in `tools/`.
#[derive(Clone)]
pub(super) struct Module {
    /// Its folder there.
    pub(super) name: &'static str,
    pub(super) go_mod: &'static str,
    pub(super) go_sum: &'static str,
    /// The module it pins, whose version the programs say they are.
    pub(super) main: &'static str,
    /// What the linker is told about versions.
    pub(super) linker_flags: fn(&Module) -> Result<Vec<String>, Error>,
    pub(super) programs: &'static [Program],
}

/// A program in a module.
#[derive(Clone, Copy)]
pub(super) struct Program {
    pub(super) name: &'static str,
    pub(super) package: &'static str,
}

impl Module {
    /// The pinned version of the module the programs come from.
    pub(super) fn version(&self) -> Result<&'static str, Error> {
        self.pin(self.main)
    }

    /// The pinned version of a module, such as `v1.2.3`.
    pub(super) fn pin(&self, package: &'static str) -> Result<&'static str, Error> {
        let required = self.go_mod.lines().find_map(|line| {
            let mut words = line.trim().trim_start_matches("require ").split_whitespace();
            (words.next() == Some(package)).then(|| words.next()).flatten()
        });
        required.ok_or(Error::NotPinned { module: self.name, package })
    }

    fn linker_flags(&self) -> Result<String, Error> {
        let mut flags = vec![LINKER_FLAGS.to_owned()];
        flags.extend((self.linker_flags)(self)?);
        Ok(flags.join(" "))
    }
}

/// The Go version the pinned modules ask for.
pub(super) fn go_version() -> &'static str {
    let line = super::MODULES[1].go_mod.lines().find_map(|line| line.strip_prefix("go "));
    line.unwrap_or("1.26")
}

/// Builds the programs of some modules into one folder of the cache.
pub(super) struct Builder {
    cache: PathBuf,
    modules: Vec<Module>,
    /// Named by a hash of all that decides what the programs are: other pins, another folder.
    pub(super) folder: PathBuf,
}

impl Builder {
    pub(super) fn new(cache: PathBuf, modules: Vec<Module>) -> Result<Self, Error> {
        let mut hash = Sha256::new();
        hash.update(go(&["env", "GOVERSION", "GOHOSTOS", "GOHOSTARCH"], "its version")?);
        for flag in FLAGS {
            hash.update(flag);
        }
        for module in &modules {
            for part in [module.name, module.go_mod, module.go_sum, &module.linker_flags()?] {
                hash.update(part.len().to_be_bytes());
                hash.update(part);
            }
        }
        let key: String = hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { folder: cache.join(format!("tools-{key}")), cache, modules })
    }

    /// Builds those programs that are `wanted` and not there yet, and returns how many those were.
    pub(super) fn run(&self, wanted: &dyn Fn(&str) -> bool) -> Result<usize, Error> {
        let missing = || {
            let programs = self.modules.iter().flat_map(|module| module.programs.iter().map(move |p| (module, p)));
            let missing = programs.filter(|(_, p)| wanted(p.name) && !self.folder.join(p.name).is_file());
            missing.collect::<Vec<_>>()
        };
        // A program appears in the folder by renaming, so what is there is whole and needs no lock.
        if missing().is_empty() {
            return Ok(0);
        }
        fs::create_dir_all(&self.folder).map_err(|source| file_error(&self.folder, source))?;
        let _lock = self.lock()?;
        let programs = missing();
        for (n, (module, program)) in programs.iter().enumerate() {
            self.build(module, program, &format!("{} of {}", n + 1, programs.len()))?;
        }
        Ok(programs.len())
    }

    /// Held until dropped; the system takes it back from a process that dies.
    fn lock(&self) -> Result<File, Error> {
        let path = self.cache.join("tools.lock");
        let error = |source| file_error(&path, source);
        let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(error)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                eprintln!("tools: waiting for another run that is building them");
                file.lock().map_err(error)?;
            }
            Err(TryLockError::Error(source)) => return Err(error(source)),
        }
        Ok(file)
    }

    fn build(&self, module: &Module, program: &Program, position: &str) -> Result<(), Error> {
        let start = Instant::now();
        let title = format!("{} {}", program.name, module.version()?);
        eprintln!("tools: building {title} ({position})");

        let source = self.folder.join("modules").join(module.name);
        fs::create_dir_all(&source).map_err(|e| file_error(&source, e))?;
        for (name, content) in [("go.mod", module.go_mod), ("go.sum", module.go_sum)] {
            let path = source.join(name);
            fs::write(&path, content).map_err(|e| file_error(&path, e))?;
        }
        let unfinished = self.folder.join(format!("{}.unfinished", program.name));
        let log_path = self.folder.join(format!("{}.log", program.name));
        let log = File::create(&log_path).map_err(|e| file_error(&log_path, e))?;

        let mut command = go_command(&["build"]);
        command.args(FLAGS).arg("-ldflags").arg(module.linker_flags()?);
        command.arg("-o").arg(&unfinished).arg(program.package).current_dir(&source);
        command.stdout(Stdio::null()).stderr(log);
        let mut child = command.spawn().map_err(Error::NoGo)?;
        let mut told = start;
        let status = loop {
            if let Some(status) = child.try_wait().map_err(|e| file_error(&log_path, e))? {
                break status;
            }
            if told.elapsed() >= TELL {
                told = Instant::now();
                eprintln!("tools: building {title} ({position}), {} s", start.elapsed().as_secs());
            }
            std::thread::sleep(POLL);
        };
        if !status.success() {
            let output = fs::read(&log_path).map_err(|e| file_error(&log_path, e))?;
            return Err(Error::Go { what: title, output: tail(&output) });
        }
        let path = self.folder.join(program.name);
        fs::rename(&unfinished, &path).map_err(|e| file_error(&path, e))?;
        fs::remove_file(&log_path).map_err(|e| file_error(&log_path, e))?;
        eprintln!("tools: built {title} ({position}) in {} s", start.elapsed().as_secs());
        Ok(())
    }
}

/// `go` for this machine, whatever the caller's environment would have it build for.
fn go_command(args: &[&str]) -> Command {
    let mut command = Command::new("go");
    command.args(args).env("CGO_ENABLED", "0").env("GOWORK", "off").env("GOFLAGS", "").stdin(Stdio::null());
    for variable in ["GOOS", "GOARCH"] {
        command.env_remove(variable);
    }
    command
}

fn go(args: &[&str], what: &str) -> Result<String, Error> {
    let output = go_command(args).output().map_err(Error::NoGo)?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(Error::Go { what: what.to_owned(), output: tail(&output.stderr) })
}

fn tail(output: &[u8]) -> String {
    String::from_utf8_lossy(&output[output.len().saturating_sub(OUTPUT_TAIL)..]).into_owned()
}

fn file_error(path: &Path, source: io::Error) -> Error {
    Error::File { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The replacement keeps Go from asking the network for a module that does not exist.
    const SMALL_GO_MOD: &str = "module example.org/small\n\ngo 1.26\n\nrequire example.org/pinned v1.2.3 // indirect\n\n\
                                replace example.org/pinned => ./pinned\n";

    /// A module without requirements; the package is one of Go's own, so that nothing has to be downloaded.
    const SMALL: Module = Module {
        name: "small",
        go_mod: SMALL_GO_MOD,
        go_sum: "",
        main: "example.org/pinned",
        linker_flags: |module| Ok(vec![format!("-X main.version={}", module.version()?)]),
        programs: &[Program { name: "small", package: "cmd/test2json" }],
    };

    fn go_is_missing() -> bool {
        let missing = go(&["version"], "its version").is_err();
        if missing {
            eprintln!("SKIPPED: no `go` to build with");
        }
        missing
    }

    #[test]
    fn two_runs_at_once_build_once_and_both_get_a_whole_program() {
        if go_is_missing() {
            return;
        }
        let cache = tempfile::tempdir().unwrap();
        let runs: Vec<_> = std::thread::scope(|scope| {
            let start = || {
                let builder = Builder::new(cache.path().to_owned(), vec![SMALL]).unwrap();
                let count = builder.run(&|_| true).unwrap();
                (count, builder.folder)
            };
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(start)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(runs.iter().map(|(count, _)| count).sum::<usize>(), 1);
        for (_, folder) in &runs {
            assert_eq!(folder, &runs[0].1);
            let output = Command::new(folder.join("small")).arg("true").output().unwrap();
            assert!(output.status.success(), "{output:?}");
        }
    }

    #[test]
    fn a_failed_build_says_what_go_said_and_leaves_no_program() {
        if go_is_missing() {
            return;
        }
        let cache = tempfile::tempdir().unwrap();
        let module = Module { programs: &[Program { name: "small", package: "example.org/absent" }], ..SMALL };
        let builder = Builder::new(cache.path().to_owned(), vec![module]).unwrap();
        let error = builder.run(&|_| true).unwrap_err().to_string();
        assert!(error.contains("small v1.2.3") && error.contains("example.org"), "{error}");
        assert!(!builder.folder.join("small").exists());
    }

    #[test]
    fn another_pin_is_another_folder() {
        if go_is_missing() {
            return;
        }
        let folder = |module| Builder::new(PathBuf::from("/cache"), vec![module]).unwrap().folder;
        assert_eq!(folder(SMALL), folder(SMALL));
        assert_ne!(folder(SMALL), folder(Module { go_sum: "changed", ..SMALL }));
        let newer = "require example.org/pinned v1.2.4";
        assert_ne!(folder(SMALL), folder(Module { go_mod: newer, ..SMALL }));
    }

    #[test]
    fn every_module_pins_a_version() {
        for module in super::super::MODULES {
            assert!(module.version().unwrap().starts_with('v'), "{}", module.name);
        }
    }
}
