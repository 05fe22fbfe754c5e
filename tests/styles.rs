//! One model, several styles: choosing, mixing, changing and fading while playing.

mod common;

use std::path::{Path, PathBuf};

use common::frames::{Bench, worst};
use common::onnx::{Builder, F32, NCHW};
use common::run::{launch, repo};
use gst::prelude::*;

/// Every style fills the frame with one colour.
const COLORS: [f32; 9] = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0];

fn builder() -> Builder {
    Builder::default()
        .input("x", F32, &NCHW)
        .input("style_weights", F32, &[1, 3])
        .output("y", F32, &NCHW)
        .constant("colors", &[3, 3], COLORS.to_vec())
        .constant("zero", &[1], vec![0.0])
        .constant_i64("shape", vec![1, 3, 1, 1])
        .node("MatMul", &["style_weights", "colors"], "mixed")
        .node("Reshape", &["mixed", "shape"], "color")
        .node("Mul", &["x", "zero"], "nothing")
        .node("Add", &["nothing", "color"], "y")
        .meta("input-range", "0,1")
        .meta("output-range", "0,1")
}

fn model(folder: &Path) -> PathBuf {
    builder().meta("styles", "red,green,blue").save(folder, "colors")
}

fn bench(folder: &Path, properties: &str) -> Bench {
    Bench::new(&format!("model-file={} {properties}", model(folder).display()), 40, 30)
}

fn is(frame: &[[u8; 3]], color: [u8; 3]) {
    assert!(worst(frame, &vec![color; frame.len()]) <= 1, "{:?}, wanted {color:?}", frame[0]);
}

/// The warning that the element posts while `action` runs.
fn warning(element: &gst::Element, action: impl FnOnce()) -> String {
    let bus = gst::Bus::new();
    element.set_bus(Some(&bus));
    action();
    let message = bus.pop_filtered(&[gst::MessageType::Warning]).expect("a warning");
    let gst::MessageView::Warning(warning) = message.view() else { panic!() };
    warning.error().to_string()
}

#[test]
fn names_and_mixes_choose_the_style() {
    let folder = tempfile::tempdir().unwrap();
    let shown = |style: &str| bench(folder.path(), style).frame(0);
    is(&shown(""), [255, 0, 0]);
    is(&shown("style=blue"), [0, 0, 255]);
    is(&shown("style=red:0.6,green:0.4"), [153, 102, 0]);
    is(&shown("style=green:3,blue:1"), [0, 191, 64]);
}

#[test]
fn styles_without_names_are_numbered_and_can_be_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = builder().save(folder.path(), "unnamed").display().to_string();
    is(&Bench::new(&format!("model-file={path} style=2"), 40, 30).frame(0), [0, 0, 255]);
    is(&Bench::new(&format!("model-file={path} styles=a,b,c style=b"), 40, 30).frame(0), [0, 255, 0]);
}

#[test]
fn a_change_is_immediate_or_fades_by_the_frames_time() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = bench(folder.path(), "style=red");
    let element = bench.element();
    is(&bench.frame(0), [255, 0, 0]);
    element.set_property("style", "green");
    is(&bench.frame(0), [0, 255, 0]);
    element.set_property("style-fade", 160u32);
    element.set_property("style", "blue");
    for share in [0.0, 0.25, 0.5, 0.75, 1.0, 1.0] {
        let part = |s: f32| (s * 255.0).round() as u8;
        is(&bench.frame(0), [0, part(1.0 - share), part(share)]);
    }
}

#[test]
fn a_folded_style_gives_the_same_frame_as_its_weights() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = bench(folder.path(), "style=red:0.3,blue:0.7");
    let element = bench.element();
    let at_rest = bench.frame(0);
    element.set_property("style", "green");
    is(&bench.frame(0), [0, 255, 0]);
    element.set_property("style", "red:0.3,blue:0.7");
    // The folded session arrives from its thread some time during these frames.
    for _ in 0..50 {
        assert_eq!(bench.frame(0), at_rest);
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
}

#[test]
fn an_unknown_style_is_refused_by_name_and_the_old_one_stays() {
    let folder = tempfile::tempdir().unwrap();
    let line = |style: &str, model: &str| {
        format!(
            "videotestsrc num-buffers=2 ! video/x-raw,width=32,height=24 ! styletransfer {model} style={style} ! fakesink"
        )
    };
    let file = format!("model-file={}", model(folder.path()).display());
    for (style, model, words) in [
        ("mauve", file.as_str(), ["'style'", "'mauve'", "red, green, blue"]),
        ("red:x", &file, ["'style'", "'x'", "number"]),
        ("mauve", "", ["'style'", "'mauve'", "great-wave"]),
    ] {
        let error = launch(&line(style, model)).errors.join("\n");
        assert!(words.iter().all(|w| error.contains(w)), "{error}");
    }
    let mut bench = bench(folder.path(), "style=green");
    let element = bench.element();
    is(&bench.frame(0), [0, 255, 0]);
    let said = warning(&element, || {
        element.set_property("style", "mauve");
        is(&bench.frame(0), [0, 255, 0]);
    });
    assert!(said.contains("the old style stays") && said.contains("'mauve'"), "{said}");
    element.set_property("style", "blue");
    is(&bench.frame(0), [0, 0, 255]);
}

#[test]
fn a_style_of_another_model_loads_that_model() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = bench(folder.path(), "style=green");
    let element = bench.element();
    is(&bench.frame(0), [0, 255, 0]);
    element.set_property("style", "great-wave");
    element.set_property("model-file", "");
    let wanted = Bench::new("style=great-wave", 40, 30).frame(0);
    // One of them may be stylized by a session made for the size, which rounds a little otherwise.
    let near = |(a, b): (&[u8; 3], &[u8; 3])| (0..3).all(|c| a[c].abs_diff(b[c]) <= 2);
    bench.frame_until(0, |shown| shown.iter().zip(&wanted).all(near));
}

#[test]
fn an_input_becomes_a_constant_and_a_missing_one_is_refused() {
    use gststyletransfer::model::onnx::editor::with_constant;
    let bytes = builder().bytes();
    let edited = with_constant(&bytes, "style_weights", &[1, 3], &[0.0, 1.0, 0.0]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("green.onnx");
    std::fs::write(&path, edited).unwrap();
    is(&Bench::new(&format!("model-file={}", path.display()), 40, 30).frame(0), [0, 255, 0]);
    let error = with_constant(&bytes, "weights", &[1, 3], &[0.0; 3]).unwrap_err().to_string();
    assert!(error.contains("'weights'"), "{error}");
    for length in [1, 20, bytes.len() / 2, bytes.len() - 1] {
        assert!(with_constant(&bytes[..length], "style_weights", &[1, 3], &[0.0; 3]).is_err());
    }
}

#[test]
fn an_inner_tensor_becomes_the_output_and_unneeded_nodes_go() {
    use gststyletransfer::model::onnx::editor::with_output;
    let bytes = std::fs::read(repo("models/van-gogh.onnx")).unwrap();
    let edited = with_output(&bytes, "/up2/Conv_output_0").unwrap();
    let has = |name: &str| edited.windows(name.len()).any(|bytes| bytes == name.as_bytes());
    assert!(has("/up2/Conv_output_0") && !has("stylized"));
    for missing in ["image", "nowhere"] {
        let error = with_output(&bytes, missing).unwrap_err().to_string();
        assert!(error.contains(missing), "{error}");
    }
    for length in [0, 1, 20, bytes.len() / 2, bytes.len() - 1] {
        assert!(with_output(&bytes[..length], "/up2/Conv_output_0").is_err());
    }
    let error = with_output(&[8, 7], "x").unwrap_err().to_string();
    assert!(error.contains("0 graphs"), "{error}");
}

/// Fills every frame with one colour.
fn filler(color: [f32; 3]) -> Builder {
    Builder::default()
        .input("x", F32, &NCHW)
        .output("y", F32, &NCHW)
        .constant("zero", &[1], vec![0.0])
        .constant("color", &[1, 3, 1, 1], color.to_vec())
        .node("Mul", &["x", "zero"], "nothing")
        .node("Add", &["nothing", "color"], "y")
        .meta("input-range", "0,1")
        .meta("output-range", "0,1")
}

#[test]
fn the_int8_variant_of_a_style_is_used_where_precision_asks_for_it() {
    let folder = tempfile::tempdir().unwrap();
    // A variant that differs from the model.
    filler([1.0, 1.0, 0.0]).save(folder.path(), "colors.green.int8");
    let stylized = |properties: &str| bench(folder.path(), properties).frame(0);
    is(&stylized("execution-provider=cpu precision=int8 style=green"), [255, 255, 0]);
    is(&stylized("execution-provider=cpu style=green"), [0, 255, 0]);
    is(&stylized("precision=fp32 style=green"), [0, 255, 0]);
    is(&stylized("execution-provider=cpu precision=int8 style=red"), [255, 0, 0]);
    // Changed while playing; a mix has no variant.
    let mut bench = bench(folder.path(), "execution-provider=cpu precision=int8 style=red");
    bench.element().set_property("style", "green");
    is(&bench.frame_until(1, |frame| frame[0] == [255, 255, 0]), [255, 255, 0]);
    bench.element().set_property("style", "green:1,red:1");
    is(&bench.frame(2), [128, 128, 0]);
    // A model of one style.
    let one = filler([0.0, 0.0, 1.0]).save(folder.path(), "one");
    filler([0.0, 1.0, 1.0]).save(folder.path(), "one.int8");
    let stylized = |precision: &str| {
        let properties = format!("model-file={} execution-provider=cpu precision={precision}", one.display());
        Bench::new(&properties, 40, 30).frame(0)
    };
    is(&stylized("int8"), [0, 255, 255]);
    is(&stylized("auto"), [0, 0, 255]);
}

#[test]
fn a_broken_int8_variant_is_replaced_by_the_model() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("colors.green.int8.onnx"), "no model").unwrap();
    is(&bench(folder.path(), "precision=int8 style=green").frame(0), [0, 255, 0]);
}

#[test]
fn int8_without_a_variant_is_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let model = model(folder.path());
    filler([1.0, 1.0, 0.0]).save(folder.path(), "colors.green.int8");
    let is_said = |style: &str| {
        let said = launch(&format!(
            "videotestsrc num-buffers=2 ! video/x-raw,width=40,height=32 ! \
             styletransfer precision=int8 model-file={} style={style} ! fakesink",
            model.display()
        ));
        said.warnings.iter().any(|w| w.contains("no int8 variant"))
    };
    assert!(is_said("red") && !is_said("green"));
}

/// A style file for the model of [`based`]: a row for its table of colours.
fn style_file(folder: &Path, name: &str, color: [f32; 3]) -> PathBuf {
    let file = Builder::default().constant("colors", &[1, 3], color.to_vec()).meta("styles", name).meta("base", "abc");
    saved_style(folder, name, file)
}

fn saved_style(folder: &Path, name: &str, file: Builder) -> PathBuf {
    let path = folder.join(format!("{name}.style"));
    std::fs::write(&path, file.bytes()).unwrap();
    path
}

/// The model of three colours, to which style files fit.
fn based(folder: &Path) -> PathBuf {
    builder().meta("styles", "red,green,blue").meta("base", "abc").save(folder, "based")
}

#[test]
fn style_files_add_styles_that_mix_with_the_models_own() {
    let folder = tempfile::tempdir().unwrap();
    let model = based(folder.path());
    let own = folder.path().join("own");
    std::fs::create_dir(&own).unwrap();
    let violet = style_file(&own, "violet", [0.6, 0.0, 1.0]);
    style_file(&own, "white", [1.0; 3]);
    std::fs::write(own.join("notes.txt"), "no style").unwrap();
    let shown = |properties: &str| Bench::new(&format!("model-file={} {properties}", model.display()), 40, 30).frame(0);
    let file = format!("style-file={}", violet.display());
    is(&shown(&file), [153, 0, 255]);
    is(&shown(&format!("{file} style=green")), [0, 255, 0]);
    is(&shown(&format!("{file} style=violet:0.5,green:0.5")), [77, 128, 128]);
    // A folder of them.
    let folder = format!("style-file={}", own.display());
    is(&shown(&folder), [153, 0, 255]);
    is(&shown(&format!("{folder} style=white:0.5,blue:0.5")), [128, 128, 255]);
    // While playing.
    let mut bench = Bench::new(&format!("model-file={} style=blue", model.display()), 40, 30);
    let bus = gst::Bus::new();
    bench.element().set_bus(Some(&bus));
    bench.element().set_property("style-file", violet.display().to_string());
    bench.element().set_property("style", "violet");
    is(&bench.frame_until(1, |frame| frame[0] == [153, 0, 255]), [153, 0, 255]);
    let complaint = bus.pop_filtered(&[gst::MessageType::Warning, gst::MessageType::Error]);
    assert!(complaint.is_none(), "{complaint:?}");
}

#[test]
fn a_style_file_that_does_not_fit_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let (folder, based) = (folder.path(), based(folder.path()));
    let white = || Builder::default().constant("colors", &[1, 3], vec![1.0; 3]);
    let saved = |name: &str, file: Builder| saved_style(folder, name, file);
    let nowhere = folder.join("nowhere.style");
    let empty = folder.join("empty");
    std::fs::create_dir(&empty).unwrap();
    let text = folder.join("text.style");
    std::fs::write(&text, "red").unwrap();
    let unbased = model(folder);
    for (model, file, words) in [
        (&based, nowhere, ["nowhere.style", "does not exist"]),
        (&based, empty, ["empty", "no file *.style"]),
        (&based, text, ["text.style", "no ONNX model"]),
        (&based, unbased.clone(), ["colors.onnx", "'model-file'"]),
        (&based, style_file(folder, "red", [0.0; 3]), ["red.style", "'learn --name'"]),
        (&based, style_file(folder, "a,b", [0.0; 3]), ["a,b.style", "without ','"]),
        (&based, saved("other", white().meta("styles", "w").meta("base", "xyz")), ["other.style", "'xyz'"]),
        (&based, saved("nameless", white().meta("base", "abc")), ["nameless.style", "styletransfer.styles"]),
        (
            &based,
            saved(
                "short",
                Builder::default().constant("colors", &[2], vec![1.0; 2]).meta("styles", "s").meta("base", "abc"),
            ),
            ["short.style", "2 values, expected 3"],
        ),
        (
            &based,
            saved("more", white().constant("tones", &[1], vec![1.0]).meta("styles", "m").meta("base", "abc")),
            ["more.style", "'tones'"],
        ),
        (
            &based,
            saved(
                "less",
                Builder::default().constant_i64("colors", vec![1, 2, 3]).meta("styles", "l").meta("base", "abc"),
            ),
            ["less.style", "INT64"],
        ),
        (
            &based,
            saved(
                "nan",
                Builder::default().constant("colors", &[3], vec![f32::NAN; 3]).meta("styles", "n").meta("base", "abc"),
            ),
            ["nan.style", "no number"],
        ),
        (&unbased, style_file(folder, "fits", [0.0; 3]), ["takes no style files", "styletransfer.base"]),
    ] {
        let line = format!(
            "videotestsrc num-buffers=2 ! video/x-raw,width=32,height=24 ! styletransfer model-file={} style-file=\"{}\" ! \
             fakesink",
            model.display(),
            file.display()
        );
        let error = launch(&line).errors.join("\n");
        assert!(error.contains("'style-file'") && words.iter().all(|word| error.contains(word)), "{file:?}: {error}");
    }
}
