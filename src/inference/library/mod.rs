//! Finding and loading ONNX Runtime, once per process.
//!
//! Comes in: the folder the plugin lies in. Goes out: the process-wide environment, or one error that names every
//! place that was looked at. The library is never linked, so the plugin loads without it.

mod cuda;
mod places;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, Once, OnceLock};

use anyhow::{Result, bail};
use ort::environment::Environment;

use crate::frame::threads::lock;
use crate::inference::{errors, log};
use places::{Candidate, Machine};

/// Environment variable with the path of the library.
pub const VARIABLE: &str = "ORT_DYLIB_PATH";

/// File beside the plugin that holds the path of the library; written by an installation.
pub const RECORD: &str = "styletransfer.onnxruntime";

const ADVICE: &str = "Install ONNX Runtime (Debian 13: 'apt install libonnxruntime1.21'; anywhere: \
                      'pip install onnxruntime', which Debian's own Python takes with --user --break-system-packages), or name the library in the environment variable ORT_DYLIB_PATH";

/// The library that was loaded.
#[derive(Debug, Clone)]
pub struct Library {
    /// Its file, or the bare name if the file is unknown.
    pub path: PathBuf,
    /// As in the file's name, as `1.24.1`; empty if it has none.
    pub version: String,
    /// The place where it was found.
    pub origin: &'static str,
    /// The GPU on account of which it was preferred.
    pub device: Option<&'static str>,
}

impl fmt::Display for Library {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(
            f,
            "ONNX Runtime {}{}'{}'",
            self.version,
            if self.version.is_empty() { "" } else { " " },
            self.path.display()
        )
    }
}

static LIBRARY: OnceLock<Library> = OnceLock::new();

/// The library that was loaded, in words.
pub(super) fn in_use() -> String {
    LIBRARY.get().map_or_else(|| "ONNX Runtime".to_owned(), Library::to_string)
}

/// Version of the library that was loaded; empty if it is unknown.
pub(super) fn version() -> &'static str {
    LIBRARY.get().map_or("", |library| &library.version)
}

/// Loads CUDA's libraries from pip's packages, once, if there is an NVIDIA GPU.
pub(super) fn preload_cuda() {
    static ONCE: Once = Once::new();
    let machine = Machine::this(None);
    if machine.has_nvidia() {
        ONCE.call_once(|| {
            let of_library = LIBRARY.get().and_then(|library| library.path.ancestors().nth(3));
            let mut folders: Vec<PathBuf> = of_library.map(Path::to_owned).into_iter().collect();
            folders.extend(machine.site_packages());
            cuda::preload(&folders);
        });
    }
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
    let _one_at_a_time = lock(&LOADING);
    if let Some(environment) = ENVIRONMENT.get() {
        return Ok(environment);
    }
    let environment = load(&Machine::this(plugin_folder).candidates())?;
    Ok(ENVIRONMENT.get_or_init(|| environment))
}

fn load(candidates: &[Candidate]) -> Result<Environment> {
    let mut refused = Vec::new();
    for candidate in candidates {
        match ort::init_from(&candidate.path) {
            Ok(builder) => {
                let library = LIBRARY.get_or_init(|| describe(candidate));
                return start(builder, library);
            }
            Err(error) => refused.push(format!("{}: {}", candidate.origin, reason(&error))),
        }
    }
    if refused.is_empty() {
        refused.push("no library anywhere".into());
    }
    bail!("ONNX Runtime 1.{} or newer was not found. Looked at: {}. {ADVICE}", ort::MINOR_VERSION, refused.join("; "))
}

fn start(builder: ort::environment::EnvironmentBuilder, library: &Library) -> Result<Environment> {
    let logger = |level, category: &str, _id: &str, place: &str, message: &str| {
        log::runtime(level, category, place, message);
    };
    let built =
        builder.with_name("styletransfer").with_telemetry(false).with_logger(std::sync::Arc::new(logger)).build();
    match built {
        Ok(environment) => {
            environment.set_log_level(log::runtime_level());
            let why = library.device.map_or(String::new(), |device| format!(", preferred for {device}"));
            log::info(&format!("{library}, found at: {}{why}", library.origin));
            Ok(environment)
        }
        Err(error) => bail!("{library} ({}) does not start: {:#}", library.origin, errors::plain(error)),
    }
}

/// The file is read off the process's own memory map, which also knows what the system's loader found for a bare name.
fn describe(candidate: &Candidate) -> Library {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let path = mapped(&maps, &candidate.path).unwrap_or_else(|| candidate.path.clone());
    let numbers: Vec<String> = places::version_in(&path).iter().map(u32::to_string).collect();
    Library { version: numbers.join("."), path, origin: candidate.origin, device: candidate.device }
}

/// The mapped file that `library` is, or, for a bare name, the one whose name begins like it.
fn mapped(maps: &str, library: &Path) -> Option<PathBuf> {
    let files = maps.lines().filter_map(|line| Some(PathBuf::from(&line[line.find('/')?..])));
    if library.is_absolute() {
        return library.canonicalize().ok();
    }
    files
        .into_iter()
        .find(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("libonnxruntime.so")))
}

/// The loader's own words, which the error's text leaves out.
fn reason(error: &ort::LoadDynamicError) -> String {
    let source = match error {
        ort::LoadDynamicError::Dlopen { error, .. } => std::error::Error::source(error),
        _ => None,
    };
    source.map_or_else(|| error.to_string(), |source| source.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loaded_file_and_its_version_are_known() {
        let maps = "7f00-7f01 r--p 00000000 08:01 5   /lib/libc.so.6\n\
                    7f02-7f03 r-xp 00000000 08:01 6   /usr/lib/x86_64-linux-gnu/libonnxruntime.so.1.21.0\n";
        let path = mapped(maps, Path::new("libonnxruntime.so.1")).unwrap();
        assert_eq!(path, Path::new("/usr/lib/x86_64-linux-gnu/libonnxruntime.so.1.21.0"));
        assert_eq!(places::version_in(&path), [1, 21, 0]);
        assert_eq!(mapped("", Path::new("libonnxruntime.so.1")), None);
    }

    #[test]
    fn an_error_names_every_place_and_what_to_install() {
        let folder = tempfile::tempdir().unwrap();
        let broken = folder.path().join("libonnxruntime.so");
        std::fs::write(&broken, b"not a library").unwrap();
        let gone = folder.path().join("gone.so");
        let list = [("first", &broken), ("second", &gone)].map(|(origin, path)| Candidate {
            origin,
            path: path.clone(),
            device: None,
        });
        let error = load(&list).unwrap_err().to_string();
        for part in ["first", "second", "pip install onnxruntime", VARIABLE] {
            assert!(error.contains(part), "{error}");
        }
        for path in [broken, gone] {
            assert!(error.contains(&path.display().to_string()), "{error}");
        }
    }
}
