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
