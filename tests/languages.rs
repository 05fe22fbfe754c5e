//! The examples in other languages, run without a camera or a screen.

mod common;

use std::io::Write;
use std::process::{Command, Output, Stdio};

use common::run::repo;

/// A program that sees the plugin that cargo built beside this test.
fn with_plugin(program: &str) -> (tempfile::TempDir, Command) {
    let built = std::env::current_exe().unwrap().with_file_name("libgststyletransfer.so");
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(&built, folder.path().join("libgststyletransfer.so")).unwrap_or_else(|e| panic!("{built:?}: {e}"));
    let mut command = Command::new(program);
    command.env("GST_PLUGIN_PATH", folder.path()).env("GST_REGISTRY", folder.path().join("registry.bin"));
    // Warnings of GLib's own bindings for Python are not ours.
    command.env_remove("G_DEBUG").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    (folder, command)
}

fn finish(mut command: Command, input: &str) -> String {
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&stdout).into_owned();
    assert!(status.success(), "{said}{}", String::from_utf8_lossy(&stderr));
    said
}

const SOURCE: &str = "videotestsrc is-live=true num-buffers=40 ! video/x-raw,width=160,height=96,framerate=25/1";

#[test]
fn the_python_camera_takes_keys() {
    let (_folder, mut command) = with_plugin("/usr/bin/python3");
    command.arg(repo("examples/camera.py")).args([SOURCE, "fakesink"]);
    let said = finish(command, "\nudnie\n-\n");
    let lines: Vec<_> = said.lines().collect();
    assert_eq!(lines[..3], ["starry-night, strength 1.0", "udnie, strength 1.0", "udnie, strength 0.8"], "{said}");
    assert!(lines.last().unwrap().starts_with("styletransfer-stats"), "{said}");
}

#[test]
fn frames_go_to_python_and_come_back_painted() {
    let (_folder, mut command) = with_plugin("/usr/bin/python3");
    command.arg(repo("examples/appsrc.py")).arg("the-kiss");
    let said = finish(command, "");
    let colors: Vec<Vec<u32>> = said.lines().map(|l| l.split(' ').map(|n| n.parse().unwrap()).collect()).collect();
    assert_eq!(colors.len(), 10, "{said}");
    for (i, line) in colors.iter().enumerate() {
        assert_eq!(line[0], 40 * i as u32, "{said}");
        assert!(line[1] > line[3] + 10, "gold has more red than blue: {said}");
    }
}

#[test]
fn the_c_program_builds_and_switches_styles() {
    let (folder, mut command) = with_plugin("sh");
    let program = folder.path().join("switch_styles");
    let build = format!(
        "cc -Wall -Werror {} -o {} $(pkg-config --cflags --libs gstreamer-1.0)",
        repo("examples/switch_styles.c").display(),
        program.display()
    );
    command.args(["-c", &format!("{build} && exec {} '{SOURCE}' 'fakesink sync=true'", program.display())]);
    let said = finish(command, "");
    assert!(said.contains("style starry-night") && said.contains("styletransfer-stats"), "{said}");
}
