//! Finding and loading ONNX Runtime, once per process.
//!
//! Comes in: the folder the plugin lies in. Goes out: the process-wide environment, or one error that names every
//! place that was looked at. The library is never linked, so the plugin loads without it.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock};

use anyhow::{Result, bail};
use ort::environment::Environment;

/// Environment variable with the path of the library.
pub const VARIABLE: &str = "ORT_DYLIB_PATH";

/// File beside the plugin that holds the path of the library; written by whoever installs.
pub const RECORD: &str = "styletransfer.onnxruntime";

/// The file name the loader is asked for.
const SYSTEM_NAMES: [&str; 2] = ["libonnxruntime.so.1", "libonnxruntime.so"];

const ADVICE: &str = "Install ONNX Runtime (Debian 13: 'apt install libonnxruntime1.21'; anywhere: \
                      'pip install onnxruntime'), or name the library in the environment variable ORT_DYLIB_PATH";

/// Where the library came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Why this place is looked at.
    pub origin: &'static str,
    /// The library's path, or a bare name for the system's loader.
    pub path: PathBuf,
}

/// The environment, loading the library on the first call. A failure is tried again on the next call; the first
/// success is for ever, because a process can have only one ONNX Runtime environment.
///
/// # Errors
/// No usable library: every place and what was wrong there, and how to get one.
pub fn environment(plugin_folder: Option<&Path>) -> Result<&'static Environment> {
    static ENVIRONMENT: OnceLock<Environment> = OnceLock::new();
    static LOADING: Mutex<()> = Mutex::new(());
    if let Some(environment) = ENVIRONMENT.get() {
        return Ok(environment);
    }
    let _one_at_a_time = LOADING.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    if let Some(environment) = ENVIRONMENT.get() {
        return Ok(environment);
    }
    let environment = load(&candidates(plugin_folder))?;
    Ok(ENVIRONMENT.get_or_init(|| environment))
}

fn load(candidates: &[Candidate]) -> Result<Environment> {
    let mut refused = Vec::new();
    for candidate in candidates {
        let builder = match ort::init_from(&candidate.path) {
            Ok(builder) => builder,
            Err(error) => {
                refused.push(format!("{}: {}", candidate.origin, reason(&error)));
                continue;
            }
        };
        let logger = |level, category: &str, _id: &str, place: &str, message: &str| {
            crate::inference::log::runtime(level, category, place, message)
        };
        match builder.with_name("styletransfer").with_telemetry(false).with_logger(std::sync::Arc::new(logger)).build()
        {
            Ok(environment) => {
                environment.set_log_level(crate::inference::log::runtime_level());
                return Ok(environment);
            }
            Err(error) => {
                bail!("ONNX Runtime '{}' ({}) does not start: {error}", candidate.path.display(), candidate.origin)
            }
        }
    }
    if refused.is_empty() {
        refused.push("no library anywhere".into());
    }
    bail!("ONNX Runtime 1.{} or newer was not found. Looked at: {}. {ADVICE}", ort::MINOR_VERSION, refused.join("; "))
}

/// The loader's own words, which the error's text leaves out.
fn reason(error: &ort::LoadDynamicError) -> String {
    let source = match error {
        ort::LoadDynamicError::Dlopen { error, .. } => std::error::Error::source(error),
        _ => None,
    };
    source.map_or_else(|| error.to_string(), |source| source.to_string())
}

/// The places to look at, in the documented order: environment variable, path recorded at install, beside the
/// plugin, the system's loader and library folders, the wheels of the installed Python.
pub fn candidates(plugin_folder: Option<&Path>) -> Vec<Candidate> {
    let mut list = Vec::new();
    if let Some(path) = std::env::var_os(VARIABLE).filter(|v| !v.is_empty()) {
        list.push(Candidate { origin: "environment variable ORT_DYLIB_PATH", path: path.into() });
    }
    if let Some(folder) = plugin_folder {
        if let Ok(text) = std::fs::read_to_string(folder.join(RECORD)) {
            let path = folder.join(text.trim());
            list.push(Candidate { origin: "file 'styletransfer.onnxruntime' beside the plugin", path });
        }
        list.extend(libraries_in(folder).map(|path| Candidate { origin: "beside the plugin", path }));
    }
    list.extend(SYSTEM_NAMES.map(|name| Candidate { origin: "the system's loader", path: name.into() }));
    let in_system = system_folders().into_iter().flat_map(|folder| libraries_in(&folder));
    list.extend(in_system.map(|path| Candidate { origin: "the system's library folders", path }));
    list.extend(python_libraries().map(|path| Candidate { origin: "wheel of an installed Python", path }));
    list
}

/// Folders whose libraries the loader finds by their whole name only: Debian's package has `libonnxruntime.so.1.21`
/// and neither of the names that the loader is asked for.
fn system_folders() -> [PathBuf; 4] {
    let of_debian = format!("/usr/lib/{}-linux-gnu", std::env::consts::ARCH);
    ["/usr/local/lib", &of_debian, "/usr/lib64", "/usr/lib"].map(PathBuf::from)
}

/// Files `libonnxruntime.so*` of a folder, newest version first.
fn libraries_in(folder: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let is_library = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        name.starts_with("libonnxruntime.so")
    };
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut found: Vec<PathBuf> = entries.filter(is_library).collect();
    found.sort_by_key(|path| std::cmp::Reverse(version_in(path)));
    found.into_iter()
}

/// The numbers in a file name `libonnxruntime.so.1.24.1`.
fn version_in(path: &Path) -> Vec<u32> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    name.split('.').filter_map(|part| part.parse().ok()).collect()
}

/// Libraries inside `site-packages/onnxruntime/capi` of the active virtual environment, the user, the Python on the
/// PATH and the system.
fn python_libraries() -> impl Iterator<Item = PathBuf> {
    let variable = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path)
        .map(|folder| folder.join("python3"))
        .filter_map(|python| Some(python.canonicalize().ok()?.parent()?.parent()?.to_owned()));
    let mut prefixes: Vec<PathBuf> = variable("VIRTUAL_ENV").into_iter().collect();
    prefixes.extend(variable("HOME").map(|home| home.join(".local")));
    prefixes.extend(on_path);
    prefixes.extend(["/usr/local", "/usr"].map(PathBuf::from));
    let mut folders: Vec<PathBuf> = Vec::new();
    for folder in prefixes.iter().flat_map(|prefix| site_packages(prefix)) {
        let folder = folder.join("onnxruntime/capi");
        if !folders.contains(&folder) {
            folders.push(folder);
        }
    }
    folders.into_iter().flat_map(|folder| libraries_in(&folder))
}

fn site_packages(prefix: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(prefix.join("lib")).into_iter().flatten().flatten().map(|entry| entry.path());
    let is_python = |path: &PathBuf| path.file_name().is_some_and(|n| n.to_string_lossy().starts_with("python3"));
    let mut pythons: Vec<PathBuf> = entries.filter(is_python).collect();
    pythons.sort_by_key(|path| std::cmp::Reverse(version_in(path)));
    pythons.iter().flat_map(|python| ["site-packages", "dist-packages"].map(|name| python.join(name))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_is_the_documented_one() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["libonnxruntime.so.1.9.0", "libonnxruntime.so.1.24.1", "other.so"] {
            std::fs::write(folder.path().join(name), b"").unwrap();
        }
        std::fs::write(folder.path().join(RECORD), "/opt/onnxruntime.so\n").unwrap();
        // SAFETY: nextest runs every test in a process of its own; no other thread reads the environment.
        unsafe { std::env::set_var(VARIABLE, "/from/variable.so") };
        let list = candidates(Some(folder.path()));
        let paths: Vec<_> = list.iter().map(|c| c.path.to_string_lossy().into_owned()).take(6).collect();
        let beside = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
        assert_eq!(paths[..2], ["/from/variable.so", "/opt/onnxruntime.so"]);
        assert_eq!(paths[2..4], [beside("libonnxruntime.so.1.24.1"), beside("libonnxruntime.so.1.9.0")]);
        assert_eq!(paths[4..], SYSTEM_NAMES);
    }

    #[test]
    fn nothing_found_names_every_place_and_the_way_out() {
        let folder = tempfile::tempdir().unwrap();
        let broken = folder.path().join("libonnxruntime.so");
        std::fs::write(&broken, b"not a library").unwrap();
        let gone = folder.path().join("gone.so");
        let list =
            [Candidate { origin: "first", path: broken.clone() }, Candidate { origin: "second", path: gone.clone() }];
        let error = load(&list).unwrap_err().to_string();
        for part in ["first", "second", "pip install onnxruntime", VARIABLE] {
            assert!(error.contains(part), "{error}");
        }
        for path in [broken, gone] {
            assert!(error.contains(&path.display().to_string()), "{error}");
        }
    }
}
