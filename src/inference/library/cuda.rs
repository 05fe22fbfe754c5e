//! The libraries that ONNX Runtime's CUDA and TensorRT providers are linked with, loaded from pip's packages.
//!
//! Comes in: folders of Python packages. Goes out: libraries that are in the process when the provider's own library asks
//! for them by name. The wheels of ONNX Runtime have no path to those of CUDA (`nvidia/*/lib`, `nvidia/cu13/lib`), and the
//! system's loader looks there no more than it looks into `tensorrt_libs`.

use std::path::{Path, PathBuf};

/// In the order in which they need each other. The first few of cuDNN's load the others by name themselves.
const NAMES: [&str; 18] = [
    "libcudart.so",
    "libnvJitLink.so",
    "libcublasLt.so",
    "libcublas.so",
    "libnvrtc.so",
    "libcurand.so",
    "libcufft.so",
    "libcudnn.so",
    "libcudnn_graph.so",
    "libcudnn_ops.so",
    "libcudnn_heuristic.so",
    "libcudnn_adv.so",
    "libcudnn_cnn.so",
    "libcudnn_engines_precompiled.so",
    "libcudnn_engines_runtime_compiled.so",
    "libnvinfer.so",
    "libnvinfer_plugin.so",
    "libnvonnxparser.so",
];

/// Loads what is found; one that does not load is named in the log, and the provider's own error names what it misses.
pub(super) fn preload(site_packages: &[PathBuf]) {
    for library in find(site_packages) {
        let message = match ort::util::preload_dylib(&library) {
            Ok(()) => format!("loaded '{}' for CUDA", library.display()),
            Err(problem) => format!("cannot load '{}': {problem}", library.display()),
        };
        crate::inference::log::info(&message);
    }
}

/// Every file name once, from the first folder that has it. Releases 12 and 13 of CUDA have other names, and the provider
/// asks for one of them.
fn find(site_packages: &[PathBuf]) -> Vec<PathBuf> {
    let folders: Vec<PathBuf> = site_packages.iter().flat_map(|folder| library_folders(folder)).collect();
    let mut found: Vec<PathBuf> = Vec::new();
    for path in NAMES.iter().flat_map(|name| folders.iter().flat_map(|folder| versioned(folder, name))) {
        if !found.iter().any(|known| known.file_name() == path.file_name()) {
            found.push(path);
        }
    }
    found
}

fn library_folders(site_packages: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(site_packages.join("nvidia")).into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> = entries.map(|entry| entry.path().join("lib")).collect();
    folders.sort();
    folders.push(site_packages.join("tensorrt_libs"));
    folders
}

/// `libcudart.so.13` for `libcudart.so`.
fn versioned(folder: &Path, name: &str) -> impl Iterator<Item = PathBuf> + use<> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let begins = format!("{name}.");
    entries.filter(move |path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&begins)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_library_comes_once_and_after_those_it_needs() {
        let root = tempfile::tempdir().unwrap();
        let files = [
            "nvidia/cudnn/lib/libcudnn_ops.so.9",
            "nvidia/cudnn/lib/libcudnn.so.9",
            "nvidia/cu13/lib/libcublas.so.13",
            "nvidia/cu13/lib/libcublasLt.so.13",
            "nvidia/cublas/lib/libcublas.so.12",
            "nvidia/cublas/lib/libcublasLt.so.12",
            "nvidia/cu13/lib/libcudart.so.13",
            "tensorrt_libs/libnvinfer.so.10",
            "nvidia/cu13/lib/libunknown.so.1",
        ];
        for file in files {
            let path = root.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, b"").unwrap();
        }
        let found = find(&[root.path().join("nowhere"), root.path().to_owned()]);
        let names: Vec<_> = found.iter().map(|p| p.strip_prefix(root.path()).unwrap().to_str().unwrap()).collect();
        let expected = [files[6], files[3], files[5], files[2], files[4], files[1], files[0], files[7]];
        assert_eq!(names, expected);
    }
}
