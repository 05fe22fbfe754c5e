//! Bad input ends with a message on the bus that names the cause: no panic, no hang.

mod common;

use std::path::Path;

use common::onnx::{Builder, F32, I64, NCHW, identity, not_a_number};
use common::run::{Said, init, launch};

fn run(properties: &str) -> Said {
    launch(&format!(
        "videotestsrc num-buffers=5 ! video/x-raw,width=64,height=48 ! styletransfer {properties} ! fakesink"
    ))
}

/// The error that a run must end with, and what it must name.
fn refused(properties: &str, names: &[&str]) {
    let said = run(properties);
    assert!(!said.eos && said.errors.len() == 1, "{properties}: {said:?}");
    for name in names {
        assert!(said.errors[0].contains(name), "{properties}: '{name}' is not in: {}", said.errors[0]);
    }
}

fn model(path: &Path) -> String {
    format!("model-file={}", path.display())
}

#[test]
fn files_that_are_no_models() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        model(&path)
    };
    let whole = identity().bytes();
    refused("model-file=/nowhere/model.onnx", &["model-file", "/nowhere/model.onnx"]);
    refused(&file("empty.onnx", b""), &["empty.onnx", "is empty"]);
    refused(&file("text.onnx", b"This is no model.\n"), &["text.onnx", "no ONNX model"]);
    refused(&file("short.onnx", &whole[..whole.len() / 2]), &["short.onnx"]);
    refused(&file("page.onnx", b"<!DOCTYPE html>"), &["page.onnx", "a web page"]);
    refused(&model(folder.path()), &["cannot be read", "a folder"]);
}

#[test]
fn files_that_have_no_end_are_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let started = std::time::Instant::now();
    refused("model-file=/dev/zero", &["/dev/zero", "a device", "regular file"]);
    let pipe = folder.path().join("pipe.onnx");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    refused(&model(&pipe), &["pipe.onnx", "a pipe", "regular file"]);
    let huge = folder.path().join("huge.onnx");
    std::fs::File::create(&huge).unwrap().set_len(100 << 30).unwrap();
    refused(&model(&huge), &["huge.onnx", "too large", "2147483647"]);
    refused("style-image=/dev/zero", &["style-image"]);
    assert!(started.elapsed().as_secs() < 20);
}

#[test]
fn unreadable_files() {
    let folder = tempfile::tempdir().unwrap();
    // Root may read every file, but no socket.
    let path = folder.path().join("socket.onnx");
    let _socket = std::os::unix::net::UnixListener::bind(&path).unwrap();
    refused(&model(&path), &["socket.onnx", "cannot be read", "a socket"]);
}

#[test]
fn models_without_a_picture() {
    let folder = tempfile::tempdir().unwrap();
    let wrong = |name: &str, element: i32, dims: &[i64]| {
        let builder = Builder::default().input("x", element, dims).output("y", element, dims);
        model(&builder.node("Identity", &["x"], "y").save(folder.path(), name))
    };
    refused(&wrong("rank", F32, &[1, 10]), &["rank.onnx", "'x'", "[1, 10]", "no input can take a picture"]);
    refused(&wrong("type", I64, &NCHW), &["type.onnx", "'x'", "no input can take a picture"]);
    refused(&wrong("zero", F32, &[1, 3, 0, 8]), &["zero.onnx"]);
    refused(&wrong("gray", F32, &[1, 1, -1, -1]), &["gray.onnx", "three channels"]);
    let classes = Builder::default().input("x", F32, &NCHW).output("y", F32, &[1, 3, 1]);
    let classes = classes.constant_i64("axis", vec![3]).node("GlobalAveragePool", &["x"], "p");
    let classes = classes.node("Squeeze", &["p", "axis"], "y").save(folder.path(), "classes");
    refused(&model(&classes), &["classes.onnx", "no output can hold a picture"]);
}

#[test]
fn unknown_operators() {
    let folder = tempfile::tempdir().unwrap();
    let builder = Builder::default().input("x", F32, &NCHW).output("y", F32, &NCHW).node("Frobnicate", &["x"], "y");
    refused(&model(&builder.save(folder.path(), "odd")), &["odd.onnx", "Frobnicate"]);
}

#[test]
fn external_data_outside_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    let inside = folder.path().join("inside");
    std::fs::create_dir(&inside).unwrap();
    std::fs::write(folder.path().join("outside.bin"), [0u8; 4]).unwrap();
    let with = |location: &str| {
        let builder = Builder::default().input("x", F32, &NCHW).output("y", F32, &NCHW);
        builder.external("w", 1, location).node("Mul", &["x", "w"], "y").meta("input-range", "0,1")
    };
    refused(&model(&with("../outside.bin").save(&inside, "out")), &["out.onnx", "'w'", "../outside.bin"]);
    std::fs::write(inside.join("w.bin"), 1f32.to_le_bytes()).unwrap();
    let said = run(&model(&with("w.bin").save(&inside, "in")));
    assert!(said.eos && said.errors.is_empty(), "{said:?}");
}

#[test]
fn bad_property_values() {
    refused("style=no-such-style", &["style", "no-such-style", "great-wave"]);
    refused("execution-provider=abacus", &["abacus", "cuda", "cpu"]);
    refused("inference-size=huge", &["inference-size", "huge", "WIDTHxHEIGHT"]);
    refused("input-layout=whcn", &["input-layout", "whcn", "nchw"]);
    refused("input-range=5", &["input-range", "'5'"]);
    refused("size-multiple=0", &["size-multiple"]);
    refused("scalar-inputs=alpha=1", &["alpha"]);
    refused("style-image=/nowhere/style.png", &["style-image", "/nowhere/style.png"]);
    refused("model-cache-dir=/proc/nothing/here", &["model-cache-dir", "/proc/nothing/here"]);
}

#[test]
fn an_unavailable_provider_says_why() {
    // Neither a machine without a GPU nor the plain library has these.
    refused("execution-provider=cuda", &["'cuda'", "onnxruntime-gpu"]);
    refused("execution-provider=tensorrt", &["'tensorrt'", "onnxruntime-gpu"]);
}

#[test]
fn a_precision_that_the_provider_lacks_is_a_warning() {
    let said = run("execution-provider=cpu precision=fp16");
    assert!(said.eos && said.warnings.len() == 1 && said.warnings[0].contains("'cpu' has no fp16"), "{said:?}");
}

#[test]
fn not_a_number_shows_the_frame_as_it_came_and_warns_once() {
    init();
    let folder = tempfile::tempdir().unwrap();
    let path = not_a_number().save(folder.path(), "nan");
    let said = run(&model(&path));
    assert!(said.eos && said.errors.is_empty(), "{said:?}");
    assert_eq!(said.warnings.len(), 2, "one for the first frame, one at the end: {said:?}");
    assert!(said.warnings[0].contains("NaN") && said.warnings[1].contains("5 of 5 frames"), "{said:?}");
    let shown = common::frames::Bench::new(&model(&path), 40, 30).frame(2);
    assert_eq!(shown, common::frames::picture(40, 30, 2));
}

#[test]
fn a_model_too_small_for_its_operators_is_refused_at_caps() {
    let folder = tempfile::tempdir().unwrap();
    // Adds a constant of 9 columns: works at no width but 9.
    let builder = Builder::default().input("x", F32, &NCHW).output("y", F32, &NCHW);
    let path = builder.constant("nine", &[1, 1, 1, 9], vec![0.0; 9]).node("Add", &["x", "nine"], "y");
    refused(&model(&path.save(folder.path(), "nine")), &["64x48"]);
}
