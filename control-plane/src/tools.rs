//! The programs a control plane consists of, and kubectl and helm of matching versions.
//!
//! They come from the folder named by `KUBEBUILDER_ASSETS`, or are built once from the versions pinned in the
//! repository's `tools/`, into the user's cache. Nothing is downloaded but Go modules, which `go.sum` checks.

mod build;

use std::env;
use std::io;
use std::path::{Path, PathBuf};

use build::{Builder, Module, Program};

/// The variable with which developers of controllers name a folder of ready-made programs.
const ASSETS: &str = "KUBEBUILDER_ASSETS";
/// What [`ASSETS`] must hold; the others are built if it does not.
const REQUIRED_ASSETS: [&str; 3] = [KUBE_APISERVER, ETCD, KUBECTL];

const KUBE_APISERVER: &str = "kube-apiserver";
const KUBE_CONTROLLER_MANAGER: &str = "kube-controller-manager";
const KUBECTL: &str = "kubectl";
const ETCD: &str = "etcd";
const HELM: &str = "helm";

/// The pinned modules. etcd is quick to build and so comes first: what is missing (network, space) shows early.
const MODULES: [Module; 3] = [
    Module {
        name: "etcd",
        go_mod: include_str!("../../tools/etcd/go.mod"),
        go_sum: include_str!("../../tools/etcd/go.sum"),
        main: "go.etcd.io/etcd/server/v3",
        linker_flags: |_| Ok(Vec::new()),
        programs: &[Program { name: ETCD, package: "go.etcd.io/etcd/server/v3" }],
    },
    Module {
        name: "kubernetes",
        go_mod: include_str!("../../tools/kubernetes/go.mod"),
        go_sum: include_str!("../../tools/kubernetes/go.sum"),
        main: "k8s.io/kubernetes",
        linker_flags: kubernetes_linker_flags,
        programs: &[
            Program { name: KUBE_APISERVER, package: "k8s.io/kubernetes/cmd/kube-apiserver" },
            Program { name: KUBE_CONTROLLER_MANAGER, package: "k8s.io/kubernetes/cmd/kube-controller-manager" },
            Program { name: KUBECTL, package: "k8s.io/kubernetes/cmd/kubectl" },
        ],
    },
    Module {
        name: "helm",
        go_mod: include_str!("../../tools/helm/go.mod"),
        go_sum: include_str!("../../tools/helm/go.sum"),
        main: "helm.sh/helm/v3",
        linker_flags: helm_linker_flags,
        programs: &[Program { name: HELM, package: "helm.sh/helm/v3/cmd/helm" }],
    },
];

/// A build that is not told its version calls itself v0.0.0, and kube-apiserver derives from that which API versions
/// and features are current.
fn kubernetes_linker_flags(module: &Module) -> Result<Vec<String>, Error> {
    let version = module.version()?;
    let (major, minor) = major_and_minor(version);
    let flags = [("gitVersion", version), ("gitMajor", major), ("gitMinor", minor)];
    Ok(flags.map(|(name, value)| format!("-X k8s.io/component-base/version.{name}={value}")).into())
}

/// As helm's own Makefile has it. A build that is not told takes the cluster for Kubernetes 1.20 where it does not ask
/// one (`helm template`). Kubernetes 1.N comes with client-go 0.N.
fn helm_linker_flags(module: &Module) -> Result<Vec<String>, Error> {
    let mut flags = vec![format!("-X helm.sh/helm/v3/internal/version.version={}", module.version()?)];
    let (_, minor) = major_and_minor(module.pin("k8s.io/client-go")?);
    for package in ["chartutil", "lint/rules"] {
        flags.push(format!("-X helm.sh/helm/v3/pkg/{package}.k8sVersionMajor=1"));
        flags.push(format!("-X helm.sh/helm/v3/pkg/{package}.k8sVersionMinor={minor}"));
    }
    Ok(flags)
}

/// `1` and `36` of `v1.36.3`.
fn major_and_minor(version: &str) -> (&str, &str) {
    let mut parts = version.trim_start_matches('v').split('.');
    (parts.next().unwrap_or_default(), parts.next().unwrap_or_default())
}

/// Why the programs cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// `KUBEBUILDER_ASSETS` is set, but not to a folder with the programs it promises.
    #[error(
        "KUBEBUILDER_ASSETS is {}, but there is no {program} in it; set it to a folder with kube-apiserver, etcd and \
         kubectl, or unset it to have them built with Go", folder.display()
    )]
    Asset {
        /// What `KUBEBUILDER_ASSETS` says.
        folder: PathBuf,
        /// The first program missing.
        program: &'static str,
    },
    /// There is no Go to build with.
    #[error(
        "cannot run `go` ({0}): install Go {version} or later (https://go.dev/doc/install) so that the control plane's \
         programs can be built, or set KUBEBUILDER_ASSETS to a folder with kube-apiserver, etcd and kubectl (and, \
         unless they are to be built too, kube-controller-manager and helm)", version = build::go_version()
    )]
    NoGo(#[source] io::Error),
    /// No folder to keep the programs in.
    #[error("set HOME, XDG_CACHE_HOME or AML_OPERATOR_TOOLS_DIR so that there is a folder to keep the programs in")]
    NoCache,
    /// A file of the cache could not be written or read.
    #[error("{}: {source}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A pinned module does not name the version it pins.
    #[error("tools/{module}/go.mod requires no version of {package}")]
    NotPinned {
        /// The folder in `tools/`.
        module: &'static str,
        /// The Go module that should be required.
        package: &'static str,
    },
    /// Go could not build a program.
    #[error("`go` failed for {what}; the end of what it said:\n{output}")]
    Go {
        /// What was to be built or asked.
        what: String,
        /// The last lines of its output.
        output: String,
    },
}

/// Where the programs are.
#[derive(Clone, Debug)]
pub struct Tools {
    /// kube-apiserver.
    pub kube_apiserver: PathBuf,
    /// kube-controller-manager.
    pub kube_controller_manager: PathBuf,
    /// kubectl.
    pub kubectl: PathBuf,
    /// etcd.
    pub etcd: PathBuf,
    /// helm.
    pub helm: PathBuf,
}

impl Tools {
    /// Name and path of each.
    #[must_use]
    pub fn list(&self) -> [(&'static str, &Path); 5] {
        [
            (ETCD, &self.etcd),
            (KUBE_APISERVER, &self.kube_apiserver),
            (KUBE_CONTROLLER_MANAGER, &self.kube_controller_manager),
            (KUBECTL, &self.kubectl),
            (HELM, &self.helm),
        ]
    }
}

/// Finds the programs, building what is missing. That takes minutes the first time, told on standard error, and
/// milliseconds from then on. Safe to be called by several processes at once: one builds, the others wait.
///
/// Environment: `KUBEBUILDER_ASSETS` (a folder of ready-made programs), `AML_OPERATOR_TOOLS_DIR` (the cache folder, by
/// default `aml-operator` in `XDG_CACHE_HOME` or `~/.cache`).
///
/// # Errors
/// If the programs are neither there nor can be built; the message says what to install or set.
pub fn ensure() -> Result<Tools, Error> {
    let assets = set(ASSETS);
    if let Some(folder) = &assets
        && let Some(program) = REQUIRED_ASSETS.into_iter().find(|program| !folder.join(program).is_file())
    {
        return Err(Error::Asset { folder: folder.clone(), program });
    }
    let asset = |program: &str| assets.as_ref().map(|folder| folder.join(program)).filter(|path| path.is_file());
    let missing = |program: &str| asset(program).is_none();

    let mut built = None;
    if MODULES.iter().flat_map(|module| module.programs).any(|program| missing(program.name)) {
        let builder = Builder::new(cache_folder()?, MODULES.into())?;
        builder.run(&missing)?;
        built = Some(builder.folder);
    }
    let path = |program: &str| {
        asset(program).unwrap_or_else(|| built.as_deref().unwrap_or_else(|| Path::new("")).join(program))
    };
    Ok(Tools {
        kube_apiserver: path(KUBE_APISERVER),
        kube_controller_manager: path(KUBE_CONTROLLER_MANAGER),
        kubectl: path(KUBECTL),
        etcd: path(ETCD),
        helm: path(HELM),
    })
}

fn cache_folder() -> Result<PathBuf, Error> {
    if let Some(folder) = set("AML_OPERATOR_TOOLS_DIR") {
        return Ok(folder);
    }
    let cache = set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache")));
    Ok(cache.ok_or(Error::NoCache)?.join("aml-operator"))
}

/// An environment variable that names a folder; empty is unset, as the XDG base directory specification says.
fn set(variable: &str) -> Option<PathBuf> {
    env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from)
}
