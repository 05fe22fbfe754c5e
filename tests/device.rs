//! A provider with memory of its own: ONNX Runtime's WebGPU provider over software Vulkan, in the element.
//!
//! `scripts/test.sh` installs what it needs in a folder and names that in STYLETRANSFER_WEBGPU; without the variable nothing
//! is tested, with it everything must be there. Every test runs itself again in a child process, where this ONNX Runtime and
//! this Vulkan driver, and no other, are in the environment.

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use common::frames::{triples, worst};
use common::onnx::{Builder, F32, NCHW, identity, negative};
use common::run::{init, wait};
use gst::prelude::*;

/// Set in the child process.
const CHILD: &str = "STYLETRANSFER_DEVICE_CHILD";
const FOLDER: &str = "STYLETRANSFER_WEBGPU";

/// Whether the driver claims what Dawn asks for; see tests/vulkan/icd.c.
const WORKING: &str = "1";
const REFUSED: &str = "0";

/// In the child process: true. Else runs the test of this name in one, with a driver that works or that Dawn refuses.
fn in_child(test: &str, claims: &str) -> bool {
    if std::env::var_os(CHILD).is_some() {
        return true;
    }
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else {
        println!("not tested: {FOLDER} is not set; scripts/test.sh sets it");
        return false;
    };
    let (library, driver) = (folder.join("libonnxruntime.so"), folder.join("icd.json"));
    assert!(library.is_file() && driver.is_file(), "{FOLDER} names '{}', which lacks them", folder.display());
    let cache = tempfile::tempdir().unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([test, "--exact", "--nocapture"]).env(CHILD, "1").env("ORT_DYLIB_PATH", library);
    command.env("VK_ICD_FILENAMES", &driver).env("VK_DRIVER_FILES", &driver).env("ICD_CLAIM", claims);
    command.env("XDG_CACHE_HOME", cache.path()).env("MESA_SHADER_CACHE_DIR", folder.join("shaders"));
    let run = command.output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    assert!(run.status.success(), "the child process ended with {}:\n{out}\n{err}", run.status);
    assert!(out.contains("1 passed"), "{out}");
    false
}

/// What a play showed: the frames as RGB triples.
type Frames = Vec<Vec<[u8; 3]>>;

/// A pipeline whose frames are looked at one by one.
struct Play {
    pipeline: gst::Element,
    element: gst::Element,
    sink: gst_app::AppSink,
}

impl Play {
    fn new(model: &Path, provider: &str, caps: &str, properties: &str) -> Self {
        init();
        let line = format!(
            "videotestsrc pattern=ball num-buffers=30 ! video/x-raw,format=RGB,framerate=30/1,{caps} ! \
             styletransfer name=style execution-provider={provider} model-file={} governor=off {properties} ! \
             appsink name=sink sync=false max-buffers=1",
            model.display()
        );
        let pipeline = gst::parse::launch(&line).unwrap_or_else(|error| panic!("{line}: {error}"));
        let bin = pipeline.downcast_ref::<gst::Bin>().unwrap();
        let (element, sink) = (bin.by_name("style").unwrap(), bin.by_name("sink").unwrap().downcast().unwrap());
        pipeline.set_state(gst::State::Playing).unwrap();
        Self { pipeline, element, sink }
    }

    fn next(&self) -> Option<Vec<[u8; 3]>> {
        let Ok(sample) = self.sink.pull_sample() else {
            let said = wait(&self.pipeline);
            assert!(said.eos, "{said:?}");
            return None;
        };
        let info = gst_video::VideoInfo::from_caps(sample.caps().unwrap()).unwrap();
        Some(triples(&sample.buffer_owned().unwrap(), &info))
    }

    fn provider(&self) -> String {
        self.element.property("active-provider")
    }
}

impl Drop for Play {
    fn drop(&mut self) {
        self.pipeline.set_state(gst::State::Null).unwrap();
    }
}

/// All frames of a play; `change` is called before each one.
fn frames(model: &Path, provider: &str, properties: &str, change: impl Fn(&gst::Element, usize)) -> Frames {
    let play = Play::new(model, provider, "width=64,height=48", properties);
    let shown = (0..).map_while(|count| {
        change(&play.element, count);
        play.next()
    });
    let shown = shown.collect();
    assert_eq!(play.provider(), provider);
    shown
}

/// Both providers show the same 30 frames, and successive ones differ.
fn compare(model: &Path, properties: &str) -> Frames {
    let (device, cpu) = (frames(model, "webgpu", properties, |_, _| ()), frames(model, "cpu", properties, |_, _| ()));
    assert_eq!((device.len(), cpu.len()), (30, 30));
    for (number, (a, b)) in device.iter().zip(&cpu).enumerate() {
        assert!(worst(a, b) <= 1, "frame {number}: {} between the providers", worst(a, b));
    }
    for pair in device.windows(2) {
        assert!(worst(&pair[0], &pair[1]) > 20, "successive frames are alike");
    }
    device
}

/// 0.5 x the sum over styles of weight x colour, plus 0.5 x the picture: every style tints.
fn tints() -> Builder {
    Builder::default()
        .input("x", F32, &NCHW)
        .input("style", F32, &[1, 2])
        .output("y", F32, &NCHW)
        .constant("colours", &[2, 3], vec![1.0, 0.0, 0.0, 0.0, 0.0, 1.0])
        .constant("half", &[1], vec![0.5])
        .constant_i64("shape", vec![1, 3, 1, 1])
        .node("MatMul", &["style", "colours"], "mixed")
        .node("Reshape", &["mixed", "shape"], "colour")
        .node("Add", &["x", "colour"], "sum")
        .node("Mul", &["sum", "half"], "y")
        .meta("styles", "red,blue")
        .meta("input-range", "0,1")
        .meta("output-range", "0,1")
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

#[test]
fn successive_frames_differ_and_equal_those_of_the_cpu() {
    if in_child("successive_frames_differ_and_equal_those_of_the_cpu", WORKING) {
        let folder = folder();
        compare(&negative().save(folder.path(), "negative"), "temporal-method=none");
        compare(&identity().down_up("x", "z", 2).save(folder.path(), "unused"), "temporal-method=motion");
    }
}

#[test]
fn styles_that_change_while_playing_reach_the_device() {
    if in_child("styles_that_change_while_playing_reach_the_device", WORKING) {
        let folder = folder();
        let model = tints().save(folder.path(), "tints");
        let play = |provider| {
            frames(&model, provider, "style=red temporal-method=none style-fade=200", |element, count| match count {
                6 => element.set_property("style", "blue"),
                18 => element.set_property("style", "red:1,blue:3"),
                _ => {}
            })
        };
        let (device, cpu) = (play("webgpu"), play("cpu"));
        assert_eq!((device.len(), cpu.len()), (30, 30));
        // A change reaches a frame up to three frames later, and the fade takes six: between them the style rests.
        for (rest, corner) in [(0..6, [128, 0, 0]), (16..18, [0, 0, 128]), (28..30, [32, 0, 96])] {
            for (a, b) in device[rest.clone()].iter().zip(&cpu[rest.clone()]) {
                assert!(worst(a, b) <= 1, "{rest:?}: {} between the providers", worst(a, b));
                assert!(worst(&a[..1], &[corner]) <= 1, "{rest:?}: {:?}, expected {corner:?}", a[0]);
            }
        }
    }
}

#[test]
fn a_recurrent_model_sees_what_was_shown() {
    if in_child("a_recurrent_model_sees_what_was_shown", WORKING) {
        let folder = folder();
        // The mean of the frame and, where the confidence is 1, the previous output.
        let model = Builder::default()
            .input("x", F32, &NCHW)
            .input("previous", F32, &NCHW)
            .input("confidence", F32, &[1, 1, -1, -1])
            .output("y", F32, &NCHW)
            .constant("half", &[1], vec![0.5])
            .node("Sub", &["previous", "x"], "difference")
            .node("Mul", &["difference", "confidence"], "believed")
            .node("Mul", &["believed", "half"], "part")
            .node("Add", &["x", "part"], "y")
            .meta("input-range", "0,1")
            .meta("output-range", "0,1");
        let model = model.save(folder.path(), "recurrent");
        let shown = compare(&model, "temporal-method=motion");
        let plain = frames(&identity().save(folder.path(), "identity"), "cpu", "temporal-method=none", |_, _| ());
        assert!(shown.iter().zip(&plain).any(|(a, b)| worst(a, b) > 20), "the previous output counts");
    }
}

#[test]
fn another_size_and_another_model_while_playing() {
    if in_child("another_size_and_another_model_while_playing", WORKING) {
        let folder = folder();
        let (first, second) = (negative().save(folder.path(), "negative"), identity().save(folder.path(), "identity"));
        let inverse = |frame: &[[u8; 3]]| frame.iter().map(|p| p.map(|v| 255 - v)).collect::<Vec<_>>();
        let play = |size: &str, model: &Path, provider: &str| {
            let play = Play::new(model, provider, size, "temporal-method=none");
            std::iter::from_fn(|| play.next()).collect::<Frames>()
        };
        let wide = play("width=96,height=64", &second, "cpu");
        let device = Play::new(&first, "webgpu", "width=96,height=64", "temporal-method=none style-fade=0");
        assert!(worst(&device.next().unwrap(), &inverse(&wide[0])) <= 1);
        device.element.set_property("model-file", second.to_str().unwrap());
        let swapped = (1..30).any(|number| {
            // The new model is loaded beside: time for that.
            std::thread::sleep(Duration::from_millis(100));
            device.next().is_some_and(|frame| worst(&frame, &wide[number]) <= 1)
        });
        assert!(swapped, "the second model never showed");
        drop(device);
        sizes(&first, inverse);
    }
}

/// The same element gets frames of two sizes.
fn sizes(model: &Path, inverse: impl Fn(&[[u8; 3]]) -> Vec<[u8; 3]>) {
    let line = format!(
        "styletransfer temporal-method=none governor=off execution-provider=webgpu model-file={}",
        model.display()
    );
    let mut harness = gst_check::Harness::new_parse(&line);
    for (size, count) in [((64, 48), 3), ((96, 64), 3), ((64, 48), 3)] {
        let (_, info) = common::frames::rgb_buffer(size.0, size.1, 0);
        harness.set_src_caps(info.to_caps().unwrap());
        for number in 0..count {
            let (buffer, info) = common::frames::rgb_buffer(size.0, size.1, number);
            let shown = triples(&harness.push_and_pull(buffer).unwrap(), &info);
            let expected = inverse(&common::frames::picture(size.0, size.1, number));
            assert!(worst(&shown, &expected) <= 1, "{size:?}, frame {number}");
        }
    }
}

#[test]
fn a_driver_that_dawn_refuses_is_an_error_and_no_abort() {
    if in_child("a_driver_that_dawn_refuses_is_an_error_and_no_abort", REFUSED) {
        init();
        let folder = folder();
        let model = negative().save(folder.path(), "negative");
        let line = format!(
            "videotestsrc num-buffers=2 ! styletransfer execution-provider=webgpu model-file={} ! fakesink",
            model.display()
        );
        let pipeline = gst::parse::launch(&line).unwrap();
        let started = Instant::now();
        assert!(pipeline.set_state(gst::State::Paused).is_err(), "the error comes when the element starts");
        let said = wait(&pipeline);
        pipeline.set_state(gst::State::Null).unwrap();
        println!("after {:?}: {said:?}", started.elapsed());
        assert_eq!(said.errors.len(), 1);
        assert!(said.errors[0].contains("'webgpu'") && said.errors[0].contains("child process"), "{said:?}");
    }
}
