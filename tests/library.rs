//! Without ONNX Runtime the plugin loads and says what is missing; each test is a process of its own.

mod common;

use std::path::PathBuf;
use std::process::Command;

/// The plugin that cargo built beside this test, as a folder that holds nothing else.
fn plugin_folder() -> tempfile::TempDir {
    let built: PathBuf = std::env::current_exe().unwrap().with_file_name("libgststyletransfer.so");
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(&built, folder.path().join("libgststyletransfer.so")).unwrap_or_else(|e| panic!("{built:?}: {e}"));
    folder
}

/// A program that sees only our plugin and GStreamer's, and no Python wheel.
fn without_library(program: &str, folder: &std::path::Path) -> Command {
    let mut command = Command::new(program);
    command.env_remove("ORT_DYLIB_PATH").env_remove("VIRTUAL_ENV").env("HOME", folder).env("PATH", "/usr/bin:/bin");
    command.env("GST_PLUGIN_PATH", folder).env("GST_REGISTRY", folder.join("registry.bin"));
    command
}

#[test]
fn inspect_works_without_the_library() {
    let folder = plugin_folder();
    let run = without_library("gst-inspect-1.0", folder.path()).arg("styletransfer").output().unwrap();
    let said = String::from_utf8_lossy(&run.stdout).into_owned();
    assert!(run.status.success(), "{said} {}", String::from_utf8_lossy(&run.stderr));
    for part in ["Filter/Effect/Video", "execution-provider", "temporal-smoothing"] {
        assert!(said.contains(part), "{said}");
    }
    let run = without_library("gst-inspect-1.0", folder.path()).arg("-b").output().unwrap();
    assert!(!String::from_utf8_lossy(&run.stdout).contains("gststyletransfer"), "blacklisted");
}

#[test]
fn playing_without_the_library_says_where_it_was_looked_for() {
    let folder = plugin_folder();
    std::fs::write(folder.path().join("styletransfer.onnxruntime"), "/nowhere/libonnxruntime.so\n").unwrap();
    std::fs::write(folder.path().join("libonnxruntime.so.1.99.0"), "not a library").unwrap();
    let mut command = without_library("gst-launch-1.0", folder.path());
    command.env("ORT_DYLIB_PATH", "/from/variable.so");
    let run =
        command.args(["-q", "videotestsrc", "num-buffers=1", "!", "styletransfer", "!", "fakesink"]).output().unwrap();
    let said = String::from_utf8_lossy(&run.stderr).into_owned();
    if run.status.success() {
        // The system's loader has the library (Debian 13): nothing to refuse.
        return;
    }
    let places = ["/from/variable.so", "/nowhere/libonnxruntime.so", "libonnxruntime.so.1.99.0", "the system's loader"];
    for part in places.into_iter().chain(["pip install onnxruntime"]) {
        assert!(said.contains(part), "'{part}' is not in: {said}");
    }
    assert!(!said.contains("panicked"), "{said}");
}

#[test]
fn the_recorded_path_and_the_place_beside_the_plugin_are_used() {
    let library = std::env::var("ORT_DYLIB_PATH").expect("ORT_DYLIB_PATH names the library for the tests");
    let play = |folder: &std::path::Path| {
        let mut command = without_library("gst-launch-1.0", folder);
        let line = ["-q", "videotestsrc", "num-buffers=1", "!", "video/x-raw,width=32,height=32", "!", "styletransfer"];
        command.args(line).args(["!", "fakesink"]).output().unwrap()
    };
    let recorded = plugin_folder();
    std::fs::write(recorded.path().join("styletransfer.onnxruntime"), format!("{library}\n")).unwrap();
    let run = play(recorded.path());
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let beside = plugin_folder();
    std::os::unix::fs::symlink(&library, beside.path().join("libonnxruntime.so.1.24.1")).unwrap();
    let run = play(beside.path());
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
}

#[test]
fn a_library_that_is_too_old_is_refused_with_its_version() {
    let folder = plugin_folder();
    let old = folder.path().join("old");
    std::fs::create_dir(&old).unwrap();
    // A library with ONNX Runtime's entry point that calls itself 1.10.0.
    let code = "typedef struct { const void *(*api)(unsigned); const char *(*version)(void); } Base;\n\
                static const void *api(unsigned v) { (void)v; return 0; }\n\
                static const char *version(void) { return \"1.10.0\"; }\n\
                static const Base base = { api, version };\n\
                const Base *OrtGetApiBase(void) { return &base; }\n";
    std::fs::write(old.join("old.c"), code).unwrap();
    let library = old.join("libonnxruntime.so");
    let built =
        Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(old.join("old.c")).status().unwrap();
    assert!(built.success());
    let mut command = without_library("gst-launch-1.0", folder.path());
    command.env("ORT_DYLIB_PATH", &library);
    let run =
        command.args(["-q", "videotestsrc", "num-buffers=1", "!", "styletransfer", "!", "fakesink"]).output().unwrap();
    let said = String::from_utf8_lossy(&run.stderr).into_owned();
    if !run.status.success() {
        assert!(said.contains("1.10.0") && said.contains("1.17"), "{said}");
    }
    assert!(!said.contains("panicked"), "{said}");
}

/// A play of one small frame with this provider, and what it said.
fn play(provider: &str, caps: &[(&str, &str)]) -> (bool, String) {
    let folder = plugin_folder();
    let mut command = without_library("gst-launch-1.0", folder.path());
    command.env("ORT_DYLIB_PATH", std::env::var("ORT_DYLIB_PATH").unwrap()).env_remove("G_DEBUG");
    command.envs(caps.iter().copied()).env("GST_DEBUG_NO_COLOR", "1");
    command.args(["-q", "videotestsrc", "num-buffers=1", "!", "video/x-raw,width=32,height=32", "!", "styletransfer"]);
    let run = command.args([&format!("execution-provider={provider}"), "!", "fakesink"]).output().unwrap();
    (run.status.success(), String::from_utf8_lossy(&run.stderr).into_owned())
}

#[test]
fn a_provider_that_is_named_is_used_or_an_error() {
    let library = std::env::var("ORT_DYLIB_PATH").unwrap();
    for (provider, package) in
        [("tensorrt", "onnxruntime-gpu"), ("cuda", "onnxruntime-gpu"), ("webgpu", "onnxruntime-webgpu")]
    {
        let (played, said) = play(provider, &[]);
        assert!(!played, "another provider computed: {said}");
        for part in [&format!("'{provider}'"), &library, package] {
            assert!(said.contains(part), "'{part}' is not in: {said}");
        }
        assert!(!said.contains("panicked"), "{said}");
    }
}

#[test]
fn the_log_names_the_library_its_version_and_its_place() {
    let library = PathBuf::from(std::env::var("ORT_DYLIB_PATH").unwrap()).canonicalize().unwrap();
    let version = library.file_name().unwrap().to_str().unwrap().trim_start_matches("libonnxruntime.so.").to_owned();
    let (played, said) = play("cpu", &[("GST_DEBUG", "styletransfer*:4")]);
    assert!(played, "{said}");
    let line = format!("ONNX Runtime {version} '{}', found at: environment variable ORT_DYLIB_PATH", library.display());
    assert!(said.contains(&line), "'{line}' is not in: {said}");
}

#[test]
fn providers_without_engines_leave_the_cache_folder_alone() {
    let cache = tempfile::tempdir().unwrap();
    let (played, said) = play("cpu", &[("XDG_CACHE_HOME", cache.path().to_str().unwrap())]);
    assert!(played, "{said}");
    assert_eq!(
        std::fs::read_dir(cache.path())
            .unwrap()
            .filter(|e| e.as_ref().unwrap().file_name() == "gst-plugin-styletransfer")
            .count(),
        0
    );
}
