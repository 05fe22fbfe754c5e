//! Every file in `pipelines/` runs, with stand-ins for camera, screen and network; and so do the examples.

mod common;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::run::{clip, init, launch, repo};
use gst::prelude::*;

/// Frames after which a pipeline without an end has shown that it works.
const ENOUGH: u64 = 8;

fn line(name: &str) -> String {
    let text = std::fs::read_to_string(repo("pipelines").join(format!("{name}.launch"))).unwrap();
    text.lines().filter(|line| !line.starts_with('#')).collect()
}

/// Plays until the end, or until enough frames were stylized. Returns the number of stylized frames.
fn stylized(line: &str) -> u64 {
    init();
    let pipeline = gst::parse::launch(line).unwrap_or_else(|error| panic!("{line}: {error}"));
    let bin = pipeline.downcast_ref::<gst::Bin>().unwrap();
    let is_ours = |e: gst::Element| e.factory().is_some_and(|f| f.name() == "styletransfer");
    let element = bin.iterate_recurse().find(is_ours).expect("the element");
    let frames = || element.property::<gst::Structure>("stats").get::<u64>("inferred").unwrap();
    pipeline.set_state(gst::State::Playing).unwrap();
    let (bus, started) = (pipeline.bus().unwrap(), Instant::now());
    while frames() < ENOUGH {
        match bus.timed_pop(gst::ClockTime::from_mseconds(50)).as_ref().map(|m| m.view()) {
            Some(gst::MessageView::Eos(_)) => break,
            Some(gst::MessageView::Error(error)) => panic!("{line}: {}", error.error()),
            _ => assert!(started.elapsed() < Duration::from_secs(60), "{line}: {} frames after a minute", frames()),
        }
    }
    let count = frames();
    pipeline.set_state(gst::State::Null).unwrap();
    count
}

#[test]
fn every_file_has_a_test() {
    let mut names: Vec<_> = std::fs::read_dir(repo("pipelines")).unwrap().flatten().map(|e| e.path()).collect();
    names.retain(|path| path.extension().is_some_and(|e| e == "launch"));
    let mut names: Vec<_> = names.iter().map(|p| p.file_stem().unwrap().to_string_lossy().into_owned()).collect();
    names.sort();
    let tested =
        ["benchmark", "file_to_file", "image_sequence", "raw_average_motion", "rtsp", "side_by_side", "srt", "webcam"];
    assert_eq!(names, tested, "a launch line without a test");
}

/// What the README offers first, as it is typed in the project's folder.
#[test]
fn first_lines_of_the_readme() {
    let readme = std::fs::read_to_string(repo("README.md")).unwrap();
    let section = readme.split("\n## ").find(|section| section.starts_with("Try it")).expect("a section 'Try it'");
    let lines: Vec<_> = section.lines().filter_map(|line| line.strip_prefix("    gst-launch-1.0 ")).collect();
    assert!(lines.len() >= 3, "{lines:?}");
    let folder = tempfile::tempdir().unwrap();
    for line in lines {
        let mut line = line.trim_start_matches("-e ").replace("autovideosink", "fakesink");
        line = line.replace("v4l2src", "videotestsrc is-live=true num-buffers=60");
        line = line.replace("location=out", &format!("location={}/out", folder.path().display()));
        for place in ["assets", "models"] {
            line = line.replace(&format!("={place}/"), &format!("={}/", repo(place).display()));
        }
        assert!(stylized(&line) >= ENOUGH, "{line}");
    }
}

#[test]
fn webcam() {
    let line = line("webcam").replace("v4l2src device=CAMERA", "videotestsrc is-live=true num-buffers=60");
    assert!(stylized(&line.replace("autovideosink", "fakesink")) >= ENOUGH);
}

#[test]
fn benchmark() {
    assert!(stylized(&line("benchmark")) >= ENOUGH);
}

#[test]
fn side_by_side() {
    let line = line("side_by_side").replace("INPUT", &clip().display().to_string());
    assert!(stylized(&line.replace("autovideosink", "fakesink")) >= ENOUGH);
}

#[test]
fn file_to_file() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("out.mp4");
    let line = line("file_to_file").replace("INPUT", &clip().display().to_string());
    let said = launch(&line.replace("OUTPUT", &output.display().to_string()));
    assert!(said.eos && said.errors.is_empty(), "{said:?}");
    assert_eq!(streams(&output), (132, 1));
}

#[test]
fn raw_average_motion() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("out.mp4");
    let line = line("raw_average_motion").replace("INPUT", &clip().display().to_string());
    let line = line.replace("640", "160").replace("1280", "320").replace("360", "90");
    let said = launch(&line.replace("OUTPUT", &output.display().to_string()));
    assert!(said.eos && said.errors.is_empty(), "{said:?}");
    assert_eq!(streams(&output), (132, 0));
}

#[test]
fn image_sequence() {
    let folder = tempfile::tempdir().unwrap();
    let pattern = |name: &str| folder.path().join(format!("{name}_%03d.png")).display().to_string();
    for i in 0..10 {
        let picture = image::RgbImage::from_fn(96, 64, |x, y| image::Rgb([(x * 2) as u8, (y * 3) as u8, i * 20]));
        picture.save(folder.path().join(format!("in_{i:03}.png"))).unwrap();
    }
    let said =
        launch(&line("image_sequence").replace("IN_PATTERN", &pattern("in")).replace("OUT_PATTERN", &pattern("out")));
    assert!(said.eos && said.errors.is_empty(), "{said:?}");
    let shown = image::open(folder.path().join("out_009.png")).unwrap().to_rgb8();
    assert_eq!(shown.dimensions(), (96, 64));
    assert_ne!(shown, image::open(folder.path().join("in_009.png")).unwrap().to_rgb8());
}

/// A child process that ends with the test.
struct Helper(Child);

impl Drop for Helper {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn srt() {
    init();
    let sender = gst::parse::launch(
        "videotestsrc is-live=true ! video/x-raw,width=160,height=90,framerate=25/1 ! \
         x264enc tune=zerolatency key-int-max=10 ! h264parse config-interval=1 ! mpegtsmux alignment=7 ! \
         srtsink uri=srt://127.0.0.1:47011?mode=listener wait-for-connection=false",
    );
    let sender = sender.unwrap();
    sender.set_state(gst::State::Playing).unwrap();
    let line = line("srt").replace("SRT_IN", "srt://127.0.0.1:47011");
    let line = line
        .replace("SRT_OUT", "srt://127.0.0.1:47012?mode=listener")
        .replace("srtsink", "srtsink wait-for-connection=false");
    let count = stylized(&line);
    sender.set_state(gst::State::Null).unwrap();
    assert!(count >= ENOUGH);
}

#[test]
fn rtsp() {
    let server = Command::new("/usr/bin/python3").arg(repo("tests/rtsp_server.py")).stdout(Stdio::piped()).spawn();
    let mut server = Helper(server.expect("python3 with gi and GstRtspServer"));
    let mut ready = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(server.0.stdout.take().unwrap()), &mut ready).unwrap();
    assert_eq!(ready.trim(), "ready", "the RTSP server did not start");
    let line = line("rtsp").replace("RTSP_URL", "rtsp://127.0.0.1:47013/test").replace("HOST", "127.0.0.1");
    assert!(stylized(&line) >= ENOUGH);
}

/// Number of video frames and of audio streams in a file.
fn streams(path: &Path) -> (usize, usize) {
    init();
    let line = format!("filesrc location={} ! decodebin name=d", path.display());
    let pipeline = gst::parse::launch(&line).unwrap().downcast::<gst::Pipeline>().unwrap();
    let counts = std::sync::Arc::new(std::sync::Mutex::new((0, 0)));
    let (shared, bin) = (counts.clone(), pipeline.clone());
    pipeline.by_name("d").unwrap().connect_pad_added(move |_, pad| {
        let sink = gst::ElementFactory::make("fakesink").property("signal-handoffs", true).build().unwrap();
        let is_video = pad.current_caps().is_some_and(|c| c.structure(0).unwrap().name().starts_with("video/"));
        if is_video {
            let shared = shared.clone();
            sink.connect("handoff", false, move |_| {
                shared.lock().unwrap().0 += 1;
                None
            });
        } else {
            shared.lock().unwrap().1 += 1;
        }
        bin.add(&sink).unwrap();
        pad.link(&sink.static_pad("sink").unwrap()).unwrap();
        sink.sync_state_with_parent().unwrap();
    });
    let said = common::run::play(pipeline.upcast_ref());
    assert!(said.eos && said.errors.is_empty(), "{said:?}");
    let counts = counts.lock().unwrap();
    *counts
}

/// A built example: cargo puts them beside the folder of this test.
fn example(name: &str) -> Command {
    let folder: PathBuf = std::env::current_exe().unwrap().parent().unwrap().parent().unwrap().join("examples");
    Command::new(folder.join(name))
}

#[test]
fn example_stylize_file_keeps_the_audio() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("out.mkv");
    let run =
        example("stylize_file").arg(clip()).arg(&output).args(["--set", "inference-size=160x90"]).output().unwrap();
    let said = String::from_utf8_lossy(&run.stdout).into_owned();
    assert!(run.status.success(), "{said} {}", String::from_utf8_lossy(&run.stderr));
    assert!(said.contains("132 frames stylized"), "{said}");
    assert_eq!(streams(&output), (132, 1));
}

#[test]
fn example_style_sheet_shows_every_style() {
    let folder = tempfile::tempdir().unwrap();
    let sheet = folder.path().join("sheet.png");
    let arguments = ["--at", "2.5", "--width", "160", "--columns", "5", "--set", "strength=0.9"];
    let run = example("style_sheet").arg(clip()).arg(&sheet).args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&run.stdout).into_owned();
    assert!(run.status.success(), "{said} {}", String::from_utf8_lossy(&run.stderr));
    let count = gststyletransfer::model::built_in::styles().count() + 1;
    assert!(said.contains(&format!("{count} pictures")) && said.contains("red-chalk"), "{said}");
    let shown = image::open(&sheet).unwrap().to_rgb8();
    assert_eq!(shown.dimensions(), (5 * 166 - 6, count.div_ceil(5) as u32 * 96 - 6));
    // Every tile is another picture.
    let tile = |i: u32| image::imageops::crop_imm(&shown, i % 5 * 166, i / 5 * 96 + 40, 160, 50).to_image();
    for i in 1..count as u32 {
        assert_ne!(tile(i).as_raw(), tile(i - 1).as_raw(), "tile {i}");
    }
    for (wrong, word) in [("--at=1000", "no frame at 1000"), ("--style-files=/nowhere", "/nowhere")] {
        let run = example("style_sheet").arg(clip()).arg(&sheet).arg(wrong).output().unwrap();
        let said = String::from_utf8_lossy(&run.stderr).into_owned();
        assert!(!run.status.success() && said.contains(word), "{said}");
    }
}

/// A film of 20 frames of a test picture, 96x64, made by ffmpeg with `arguments`.
fn film(folder: &Path, name: &str, arguments: &[&str]) -> PathBuf {
    let path = folder.join(name);
    let made = Command::new("ffmpeg")
        .args(["-v", "error", "-y", "-f", "lavfi", "-i", "testsrc=size=96x64:rate=25:duration=0.8"])
        .args(arguments)
        .arg(&path)
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    path
}

/// Width and height of a film's video.
fn size_of(path: &Path) -> String {
    let probe = ["-v", "error", "-select_streams", "v:0", "-show_entries", "stream=width,height", "-of", "csv=p=0"];
    let shown = Command::new("ffprobe").args(probe).arg(path).output().unwrap();
    String::from_utf8(shown.stdout).unwrap().trim().to_owned()
}

#[test]
fn example_stylize_file_turns_and_deinterlaces() {
    let folder = tempfile::tempdir().unwrap();
    let upright = film(folder.path(), "upright.mp4", &["-pix_fmt", "yuv420p"]);
    let rotated = folder.path().join("rotated.mp4");
    let copied = Command::new("ffmpeg")
        .args(["-v", "error", "-i", upright.to_str().unwrap(), "-c", "copy", "-metadata:s:v:0", "rotate=90"])
        .arg(&rotated)
        .status();
    assert!(copied.unwrap().success());
    let interlaced = film(
        folder.path(),
        "interlaced.mpg",
        &["-c:v", "mpeg2video", "-flags", "+ildct+ilme", "-vf", "setfield=tff", "-top", "1"],
    );
    for (input, size) in [(rotated, "64,96"), (interlaced, "96,64")] {
        let output = folder.path().join("out.mp4");
        let run = example("stylize_file").arg(&input).arg(&output).output().unwrap();
        assert!(run.status.success(), "{input:?}: {}", String::from_utf8_lossy(&run.stderr));
        assert_eq!(size_of(&output), size, "{input:?}");
    }
}

#[test]
fn example_stylize_file_fails_where_frames_are_not_stylized() {
    let folder = tempfile::tempdir().unwrap();
    let input = film(folder.path(), "film.mp4", &["-pix_fmt", "yuv420p"]);
    let model = common::onnx::not_a_number().save(folder.path(), "nan");
    let model = format!("model-file={}", model.display());
    let output = folder.path().join("out.mp4");
    let run = example("stylize_file").arg(&input).arg(&output).args(["--set", &model]).output().unwrap();
    let said = String::from_utf8_lossy(&run.stderr).into_owned();
    assert_eq!(run.status.code(), Some(1), "{said}");
    assert!(said.contains("20 of 20 frames") && said.contains("not stylized: 0-19"), "{said}");
    let set = ["--set", &model, "--set", "on-error=error"];
    let run = example("stylize_file").arg(&input).arg(&output).args(set).output().unwrap();
    assert_eq!(run.status.code(), Some(1));
}

#[test]
fn example_stylize_file_names_what_is_wrong() {
    let (clip, folder) = (clip().display().to_string(), tempfile::tempdir().unwrap());
    let output = folder.path().join("x.mkv").display().to_string();
    let cases = [
        (vec!["/nowhere.mp4", &output], "/nowhere.mp4"),
        (vec![&clip, "out.avi"], "out.avi"),
        (vec![&clip, &output, "--set", "colour=1"], "colour"),
        (vec![&clip, &output, "--set", "style=no-such-style"], "no-such-style"),
    ];
    for (arguments, named) in cases {
        let run = example("stylize_file").args(&arguments).output().unwrap();
        let said = String::from_utf8_lossy(&run.stderr).into_owned();
        assert!(!run.status.success() && said.contains(named), "{arguments:?}: {said}");
    }
}

#[test]
fn example_live_controls_obeys() {
    let source = "videotestsrc is-live=true ! video/x-raw,width=64,height=48,framerate=25/1";
    let mut child = example("live_controls");
    let child = child.args(["--source", source, "--sink", "fakesink"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = child.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    for line in ["-", "-", "style great-wave", "smooth 0.5", "color", "model /nowhere.onnx", "dance", "quit"] {
        std::thread::sleep(Duration::from_millis(200));
        writeln!(input, "{line}").unwrap();
    }
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}");
    for part in ["strength 0.8", "warning:", "/nowhere.onnx", "commands: + -"] {
        assert!(said.contains(part), "'{part}' is not in: {said}");
    }
}

#[test]
fn example_stylize_image_paints() {
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (folder.path().join("in.png"), folder.path().join("out.png"));
    image::RgbImage::from_fn(101, 67, |x, y| image::Rgb([x as u8 * 2, y as u8 * 3, 90])).save(&input).unwrap();
    let run = example("stylize_image").arg(&input).arg(&output).output().unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    assert_eq!(image::open(&output).unwrap().to_rgb8().dimensions(), (101, 67));
}
