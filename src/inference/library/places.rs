//! Where ONNX Runtime may lie, in the order in which it is looked for.
//!
//! Comes in: the plugin's folder, environment variables, the machine's file system. Goes out: candidates. What the user or
//! an installation names comes first. Among the others, a library with a provider for a GPU that is there comes before those
//! without; otherwise the order is: beside the plugin, the system's loader and library folders, the wheels of the installed
//! Python.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::{RECORD, VARIABLE};

/// The file names the loader is asked for.
pub(super) const SYSTEM_NAMES: [&str; 2] = ["libonnxruntime.so.1", "libonnxruntime.so"];

/// Device files, and the provider libraries that can use the device; they lie beside `libonnxruntime.so`.
const DEVICES: &[(&str, &[&str], &str)] = &[
    ("nvidia0", &["libonnxruntime_providers_cuda.so"], "an NVIDIA GPU"),
    ("nvidiactl", &["libonnxruntime_providers_cuda.so"], "an NVIDIA GPU"),
    ("kfd", &["libonnxruntime_providers_migraphx.so", "libonnxruntime_providers_rocm.so"], "an AMD GPU"),
];

/// A place where the library may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Why this place is looked at.
    pub origin: &'static str,
    /// The library's path, or a bare name for the system's loader.
    pub path: PathBuf,
    /// The GPU that is there and that the library has a provider for.
    pub device: Option<&'static str>,
}

/// What the search reads of a machine.
#[derive(Debug, Default)]
pub(super) struct Machine {
    pub plugin: Option<PathBuf>,
    /// Value of [`VARIABLE`].
    pub variable: Option<OsString>,
    /// Folder of device files.
    pub devices: PathBuf,
    /// Folders whose libraries the loader finds by their whole name only: Debian's package has `libonnxruntime.so.1.21` and
    /// neither of the names that the loader is asked for.
    pub system: Vec<PathBuf>,
    /// Prefixes of Python installations, as `/usr` and `~/.local`.
    pub pythons: Vec<PathBuf>,
}

impl Machine {
    /// This one.
    pub fn this(plugin: Option<&Path>) -> Self {
        let of_debian = format!("/usr/lib/{}-linux-gnu", std::env::consts::ARCH);
        Self {
            plugin: plugin.map(Path::to_owned),
            variable: std::env::var_os(VARIABLE),
            devices: "/dev".into(),
            system: ["/usr/local/lib", &of_debian, "/usr/lib64", "/usr/lib"].map(PathBuf::from).to_vec(),
            pythons: python_prefixes(),
        }
    }

    /// Every place, the first to try first.
    pub fn candidates(&self) -> Vec<Candidate> {
        let candidate = |origin, path| Candidate { origin, path, device: None };
        let mut named = Vec::new();
        if let Some(path) = self.variable.clone().filter(|path| !path.is_empty()) {
            named.push(candidate("environment variable ORT_DYLIB_PATH", path.into()));
        }
        let mut found = Vec::new();
        if let Some(folder) = &self.plugin {
            if let Ok(text) = std::fs::read_to_string(folder.join(RECORD)) {
                named.push(candidate("file 'styletransfer.onnxruntime' beside the plugin", folder.join(text.trim())));
            }
            found.extend(libraries_in(folder).map(|path| candidate("beside the plugin", path)));
        }
        found.extend(SYSTEM_NAMES.map(|name| candidate("the system's loader", name.into())));
        let in_system = self.system.iter().flat_map(|folder| libraries_in(folder));
        found.extend(in_system.map(|path| candidate("the system's library folders", path)));
        found.extend(self.wheels().map(|path| candidate("wheel of an installed Python", path)));
        for candidate in named.iter_mut().chain(&mut found) {
            candidate.device = self.device_for(&candidate.path);
        }
        found.sort_by_key(|candidate| candidate.device.is_none());
        named.extend(found);
        named
    }

    /// Whether the machine has an NVIDIA GPU with its driver.
    pub fn has_nvidia(&self) -> bool {
        DEVICES.iter().any(|(file, ..)| file.starts_with("nvidia") && self.devices.join(file).exists())
    }

    fn device_for(&self, library: &Path) -> Option<&'static str> {
        let folder = library.canonicalize().ok()?.parent()?.to_owned();
        let usable = DEVICES.iter().filter(|(file, ..)| self.devices.join(file).exists());
        let has = |providers: &[&str]| providers.iter().any(|name| folder.join(name).exists());
        usable.filter(|(_, providers, _)| has(providers)).map(|(.., device)| *device).next()
    }

    /// Libraries inside `site-packages/onnxruntime/capi`.
    fn wheels(&self) -> impl Iterator<Item = PathBuf> {
        let folders = self.site_packages().into_iter().map(|folder| folder.join("onnxruntime/capi"));
        folders.flat_map(|folder| libraries_in(&folder))
    }

    /// Folders in which pip's packages lie, each once.
    pub fn site_packages(&self) -> Vec<PathBuf> {
        let mut folders: Vec<PathBuf> = Vec::new();
        for folder in self.pythons.iter().flat_map(|prefix| site_packages(prefix)) {
            if !folders.contains(&folder) {
                folders.push(folder);
            }
        }
        folders
    }
}

/// The active virtual environment, the user, the Python on the PATH, the system.
fn python_prefixes() -> Vec<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path)
        .map(|folder| folder.join("python3"))
        .filter_map(|python| Some(python.canonicalize().ok()?.parent()?.parent()?.to_owned()));
    let mut prefixes: Vec<PathBuf> = variable("VIRTUAL_ENV").into_iter().collect();
    prefixes.extend(variable("HOME").map(|home| home.join(".local")));
    prefixes.extend(on_path);
    prefixes.extend(["/usr/local", "/usr"].map(PathBuf::from));
    prefixes
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
pub(super) fn version_in(path: &Path) -> Vec<u32> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    name.split('.').filter_map(|part| part.parse().ok()).collect()
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

    /// A folder with files of these names.
    fn tree(files: &[&str]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for file in files {
            let path = root.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, b"").unwrap();
        }
        root
    }

    fn machine(root: &Path) -> Machine {
        let (plugin, devices) = (Some(root.join("plugins")), root.join("dev"));
        Machine { plugin, variable: None, devices, system: vec![root.join("lib")], pythons: vec![root.join("venv")] }
    }

    fn paths(root: &Path, machine: &Machine) -> Vec<String> {
        let path = |c: Candidate| c.path.strip_prefix(root).unwrap_or(&c.path).to_string_lossy().into_owned();
        machine.candidates().into_iter().map(path).collect()
    }

    const WHEEL: &str = "venv/lib/python3.11/site-packages/onnxruntime/capi/libonnxruntime.so.1.26.0";
    const WHEELS_CUDA: &str = "venv/lib/python3.11/site-packages/onnxruntime/capi/libonnxruntime_providers_cuda.so";

    #[test]
    fn the_order_is_the_documented_one() {
        let beside = ["plugins/libonnxruntime.so.1.9.0", "plugins/libonnxruntime.so.1.24.1", "plugins/other.so"];
        let root = tree(&[&beside[..], &["lib/libonnxruntime.so.1.21", WHEEL]].concat());
        std::fs::write(root.path().join("plugins").join(RECORD), "/opt/onnxruntime.so\n").unwrap();
        let mut machine = machine(root.path());
        machine.variable = Some("/from/variable.so".into());
        let expected =
            ["/from/variable.so", "/opt/onnxruntime.so", beside[1], beside[0], SYSTEM_NAMES[0], SYSTEM_NAMES[1]];
        let expected = [&expected[..], &["lib/libonnxruntime.so.1.21", WHEEL]].concat();
        assert_eq!(paths(root.path(), &machine), expected);
    }

    #[test]
    fn a_library_that_can_use_the_gpu_comes_first() {
        let beside = "plugins/libonnxruntime.so.1.24.1";
        let root = tree(&[beside, WHEEL, WHEELS_CUDA, "dev/null"]);
        assert_eq!(paths(root.path(), &machine(root.path()))[0], beside, "there is no GPU");
        assert!(!machine(root.path()).has_nvidia());
        for (device, first) in [("dev/kfd", beside), ("dev/nvidiactl", WHEEL)] {
            std::fs::write(root.path().join(device), b"").unwrap();
            assert_eq!(paths(root.path(), &machine(root.path()))[0], first, "{device}");
        }
        assert!(machine(root.path()).has_nvidia());
        let first = machine(root.path()).candidates().remove(0);
        assert_eq!(first.device, Some("an NVIDIA GPU"));
        let mut machine = machine(root.path());
        machine.variable = Some(root.path().join(beside).into());
        assert_eq!(paths(root.path(), &machine)[0], beside, "what the user names stays first");
    }
}
