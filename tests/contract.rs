//! Models of every shape give the right picture: here the picture itself, because the models change nothing.

mod common;

use std::path::Path;

use common::frames::{Bench, picture, worst};
use common::onnx::{BOOL, Builder, F16, F32, I32, I64, NCHW, NHWC, U8, identity, negative};
use common::run::launch;

/// Runs a model on one frame and compares with the input, or with its negative.
fn check(model: Builder, properties: &str, size: (usize, usize), tolerance: u8) {
    let folder = tempfile::tempdir().unwrap();
    let path = model.save(folder.path(), "model");
    let line = format!("model-file={} execution-provider=cpu {properties}", path.display());
    let mut bench = Bench::new(&line, size.0, size.1);
    let shown = bench.frame(1);
    let difference = worst(&shown, &picture(size.0, size.1, 1));
    assert!(difference <= tolerance, "{properties} at {size:?}: {difference}");
}

#[test]
fn layouts_and_types() {
    let permute = |to: &[i64], dims: &[i64]| {
        let model = Builder::default().input("x", F32, &NCHW).output("y", F32, dims);
        model.transpose("x", "y", to).meta("input-range", "0,255").meta("output-range", "0,255")
    };
    check(identity(), "", (37, 21), 0);
    check(permute(&[0, 2, 3, 1], &NHWC), "", (37, 21), 0);
    let squeezed = |name: &str, axes: &[i64], dims: &[i64]| {
        let base = Builder::default().input("x", F32, dims).output("y", F32, &NCHW);
        let base = base.transpose("x", "t", axes).constant_i64("first", vec![0]);
        base.node("Unsqueeze", &["t", "first"], "y")
            .meta("input-layout", name)
            .meta("input-range", "0,1")
            .meta("output-range", "0,1")
    };
    check(squeezed("hwc", &[2, 0, 1], &[-1, -1, 3]), "", (37, 21), 0);
    check(squeezed("chw", &[0, 1, 2], &[3, -1, -1]), "", (37, 21), 0);
    for element in [F16, U8] {
        let model =
            Builder::default().input("x", element, &NHWC).output("y", element, &NHWC).node("Identity", &["x"], "y");
        check(model, "input-range=0,255 output-range=0,255", (37, 21), 0);
        let mixed = Builder::default().input("x", F32, &NCHW).output("y", element, &NCHW).cast("x", "y", element);
        check(mixed, "input-range=0,255 output-range=0,255", (37, 21), 1);
    }
}

#[test]
fn ranges_and_channels() {
    let plain = || Builder::default().input("x", F32, &NCHW).output("y", F32, &NCHW).node("Identity", &["x"], "y");
    let ranges = ["0,1", "0,255", "-1,1", "mean=0.485,0.456,0.406;std=0.229,0.224,0.225"];
    for range in ranges {
        for channels in ["rgb", "bgr"] {
            let line = format!("input-range=\"{range}\" output-range=\"{range}\" input-channels={channels}");
            check(plain(), &line, (20, 18), 0);
        }
    }
    // Two different ranges: 0..255 in, -1..1 out.
    let model = plain_scaled();
    check(model, "input-range=0,255 output-range=-1,1", (20, 18), 0);
}

fn plain_scaled() -> Builder {
    let model = Builder::default().input("x", F32, &NCHW).output("y", F32, &NHWC);
    let model = model.constant("a", &[1], vec![2.0 / 255.0]).constant("b", &[1], vec![-1.0]);
    model.node("Mul", &["x", "a"], "m").node("Add", &["m", "b"], "n").transpose("n", "y", &[0, 2, 3, 1])
}

#[test]
fn channels_are_not_swapped_by_accident() {
    let folder = tempfile::tempdir().unwrap();
    // Keeps the first channel only: red for an RGB model, blue for a BGR one.
    let first = || {
        let model = Builder::default().input("x", F32, &NCHW).output("y", F32, &NCHW);
        model.constant("mask", &[1, 3, 1, 1], vec![1.0, 0.0, 0.0]).node("Mul", &["x", "mask"], "y")
    };
    let path = first().save(folder.path(), "first");
    for (channels, kept) in [("rgb", 0), ("bgr", 2)] {
        let line = format!("model-file={} input-channels={channels} input-range=0,1 output-range=0,1", path.display());
        let shown = Bench::new(&line, 20, 18).frame(0);
        for (a, b) in shown.iter().zip(picture(20, 18, 0)) {
            let mut wanted = [0; 3];
            wanted[kept] = b[kept];
            assert_eq!(*a, wanted);
        }
    }
}

#[test]
fn size_multiples_are_declared_or_found() {
    for multiple in [1, 4, 8, 32] {
        let model = || {
            let base = Builder::default().input("x", F32, &NCHW).output("y", F32, &NCHW);
            base.down_up("x", "y", multiple).meta("input-range", "0,1").meta("output-range", "0,1")
        };
        for size in [(64, 32), (67, 41), (33, 90)] {
            check(model().meta("size-multiple", &multiple.to_string()), "", size, 0);
            check(model(), "", size, 0);
        }
    }
}

#[test]
fn fixed_sizes_get_the_picture_scaled_into_them() {
    let fixed = |dims: &[i64]| {
        let model = Builder::default().input("x", F32, dims).output("y", F32, dims);
        model.node("Identity", &["x"], "y").meta("input-range", "0,1").meta("output-range", "0,1")
    };
    check(fixed(&[1, 3, 48, 64]), "", (64, 48), 0);
    // Smooth picture: scaling down and up again costs little but at the edges of the pattern.
    let folder = tempfile::tempdir().unwrap();
    let path = fixed(&[-1, 3, 128, 128]).save(folder.path(), "square");
    let shown = Bench::new(&format!("model-file={}", path.display()), 128, 72).frame(0);
    let original = picture(128, 72, 0);
    let mean: f64 = shown.iter().zip(&original).map(|(a, b)| f64::from(a[0].abs_diff(b[0]))).sum::<f64>() / 9216.0;
    assert!(mean < 1.0, "{mean}");
}

#[test]
fn enlarging_models_are_scaled_back() {
    let model = Builder::default().input("x", F32, &NCHW).output("y", F32, &NCHW);
    let model = model.constant("none", &[0], vec![]).constant("twice", &[4], vec![1.0, 1.0, 2.0, 2.0]);
    let model =
        model.node("Resize", &["x", "none", "twice"], "y").meta("input-range", "0,1").meta("output-range", "0,1");
    let folder = tempfile::tempdir().unwrap();
    let path = model.save(folder.path(), "twice");
    let shown = Bench::new(&format!("model-file={}", path.display()), 64, 48).frame(0);
    let original = picture(64, 48, 0);
    let mean: f64 = shown.iter().zip(&original).map(|(a, b)| f64::from(a[1].abs_diff(b[1]))).sum::<f64>() / 3072.0;
    assert!(mean < 2.0, "{mean}");
}

#[test]
fn scalars_and_style_pictures_are_fed() {
    let folder = tempfile::tempdir().unwrap();
    // y = x + alpha * (mean(style) - x)
    let model = || {
        let model = Builder::default().input("x", F32, &NCHW).input("style", F32, &NCHW).input("alpha", F32, &[]);
        let model = model.output("y", F32, &NCHW).meta("input-range", "0,1").meta("output-range", "0,1");
        let model = model.node("GlobalAveragePool", &["style"], "mean").node("Sub", &["mean", "x"], "difference");
        model.node("Mul", &["difference", "alpha"], "change").node("Add", &["x", "change"], "y")
    };
    let path = model().meta("scalar-inputs", "alpha=0").save(folder.path(), "style");
    let style = folder.path().join("style.png");
    image::RgbImage::from_pixel(50, 40, image::Rgb([200, 100, 0])).save(&style).unwrap();
    let line = format!("model-file={} style-image={}", path.display(), style.display());
    assert_eq!(Bench::new(&line, 24, 16).frame(0), picture(24, 16, 0));
    let shown = Bench::new(&format!("{line} scalar-inputs=alpha=1"), 24, 16).frame(0);
    assert!(shown.iter().all(|p| *p == [200, 100, 0]), "{:?}", shown[0]);
}

#[test]
fn modelinfo_beside_the_model_is_read_and_metadata_wins() {
    let folder = tempfile::tempdir().unwrap();
    let plain = || Builder::default().input("x", F32, &NCHW).output("y", F32, &NCHW).node("Identity", &["x"], "y");
    let path = plain().meta("output-range", "0,1").save(folder.path(), "m");
    let info = "[modelinfo]\nversion=1.0\n\n[x]\ndir=input\ntype=float32\ndims=1,3,-1,-1\nranges=0.0,1.0\n\
                [y]\ndir=output\nranges=0.0,255.0\n";
    std::fs::write(folder.path().join("m.onnx.modelinfo"), info).unwrap();
    let shown = Bench::new(&format!("model-file={}", path.display()), 24, 16).frame(0);
    assert_eq!(shown, picture(24, 16, 0));
}

#[test]
fn the_negative_is_the_negative() {
    let folder = tempfile::tempdir().unwrap();
    let path = negative().save(folder.path(), "negative");
    let shown = Bench::new(&format!("model-file={}", path.display()), 24, 16).frame(0);
    let wanted: Vec<_> = picture(24, 16, 0).iter().map(|p| p.map(|v| 255 - v)).collect();
    assert_eq!(shown, wanted);
}

/// A model of one frame in 0..1, channels first, whose output `y` is still to be made.
fn of_frame() -> Builder {
    let model = Builder::default().input("x", F32, &NCHW).constant("one", &[1], vec![1.0]);
    model.meta("input-range", "0,1").meta("output-range", "0,1")
}

/// Runs a model on one frame.
fn shown(model: Builder, properties: &str, size: (usize, usize)) -> Vec<[u8; 3]> {
    let folder = tempfile::tempdir().unwrap();
    let path = model.save(folder.path(), "model");
    Bench::new(&format!("model-file={} execution-provider=cpu {properties}", path.display()), size.0, size.1).frame(0)
}

fn inverse(picture: &[[u8; 3]]) -> Vec<[u8; 3]> {
    picture.iter().map(|p| p.map(|v| 255 - v)).collect()
}

/// What a run says that cannot begin.
fn refusal(model: Builder, properties: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = model.save(folder.path(), "model");
    let line = format!(
        "videotestsrc num-buffers=2 ! video/x-raw,width=64,height=48 ! styletransfer execution-provider=cpu model-file={} \
         {properties} ! fakesink",
        path.display()
    );
    launch(&line).errors.join("; ")
}

#[test]
fn an_output_without_a_shape_is_settled_by_a_run() {
    let by_rank = || of_frame().open_output("y", F32).node("Sub", &["one", "x"], "y");
    assert_eq!(shown(by_rank(), "", (37, 21)), inverse(&picture(37, 21, 0)));
    // Two branches of different rank: nothing can be inferred.
    let branches = || {
        let model = of_frame().input("flag", BOOL, &[]).open_output("y", F32);
        let model = model.constant_i64("first", vec![0]).node("Squeeze", &["x", "first"], "three");
        model.node("Sub", &["one", "three"], "inverse").choose("flag", "x", "inverse", "y")
    };
    assert_eq!(shown(branches(), "", (37, 21)), inverse(&picture(37, 21, 0)));
    assert_eq!(shown(branches(), "output-layout=chw", (37, 21)), inverse(&picture(37, 21, 0)));
    let error = refusal(branches(), "output-layout=nhwc");
    assert!(error.contains("output 'y' came out as [3, 48, 64]"), "{error}");
}

#[test]
fn an_input_without_a_shape_needs_its_layout() {
    let model = || {
        let model = Builder::default().open_input("x", F32).open_output("y", F32).constant("one", &[1], vec![1.0]);
        model.node("Sub", &["one", "x"], "y").meta("input-range", "0,1").meta("output-range", "0,1")
    };
    let error = refusal(model(), "");
    assert!(error.contains("'x' declares no shape") && error.contains("'input-layout'"), "{error}");
    assert_eq!(shown(model(), "input-layout=nhwc", (37, 21)), inverse(&picture(37, 21, 0)));
}

#[test]
fn multiples_that_are_no_powers_of_two_are_found() {
    for multiple in [14, 24, 48] {
        let model = || of_frame().output("y", F32, &NCHW).windows("x", "y", multiple);
        assert_eq!(shown(model(), "", (61, 43)), picture(61, 43, 0), "{multiple}");
    }
    let error = refusal(of_frame().output("y", F32, &NCHW).windows("x", "y", 34), "");
    assert!(error.contains("'size-multiple'") && error.contains("64x48"), "{error}");
    let found = of_frame().output("y", F32, &NCHW).windows("x", "y", 34);
    assert_eq!(shown(found, "size-multiple=34", (61, 43)), picture(61, 43, 0));
}

#[test]
fn convolutions_without_padding_get_a_margin() {
    let model = || of_frame().output("y", F32, &[1, 3, -1, -1]).valid_padding("x", "y", 6);
    assert_eq!(shown(model(), "", (61, 43)), picture(61, 43, 0));
    let fixed = || {
        let model = Builder::default().input("x", F32, &[1, 3, 60, 76]).output("y", F32, &[1, 3, 48, 64]);
        model.valid_padding("x", "y", 6).meta("input-range", "0,1").meta("output-range", "0,1")
    };
    assert_eq!(shown(fixed(), "", (64, 48)), picture(64, 48, 0));
}

#[test]
fn the_output_that_looks_like_a_picture_is_taken_or_the_one_that_is_named() {
    // As many models have it: something else comes first.
    let model = || {
        let model =
            of_frame().output("side", F32, &NCHW).output("mask", F32, &[1, 1, -1, -1]).output("painting", F32, &NCHW);
        let model = model.constant("mix", &[1, 3, 1, 1], vec![1.0, 0.0, 0.0]).node("Mul", &["x", "mix"], "side");
        model.node("Conv", &["x", "mix"], "mask").node("Sub", &["one", "x"], "painting")
    };
    let (frame, side) = (picture(37, 21, 0), |p: &[u8; 3]| [p[0], 0, 0]);
    assert_eq!(shown(model(), "", (37, 21)), inverse(&frame));
    assert_eq!(shown(model(), "output-name=side", (37, 21)), frame.iter().map(side).collect::<Vec<_>>());
    assert_eq!(shown(model().meta("output-name", "side"), "", (37, 21)), frame.iter().map(side).collect::<Vec<_>>());
    let error = refusal(model(), "output-name=stylized");
    assert!(["'output-name' is 'stylized'", "side, mask, painting"].iter().all(|word| error.contains(word)), "{error}");
    let error = refusal(model(), "output-name=mask");
    assert!(error.contains("'mask'") && error.contains("cannot hold a picture"), "{error}");
    let error = refusal(model(), "input-name=frame");
    assert!(error.contains("'input-name' is 'frame', but the model has x"), "{error}");
}

#[test]
fn the_input_that_takes_the_frame_can_be_named() {
    let folder = tempfile::tempdir().unwrap();
    let style = folder.path().join("style.png");
    image::RgbImage::from_pixel(8, 8, image::Rgb([0, 255, 0])).save(&style).unwrap();
    let model = of_frame().input("second", F32, &NCHW).output("y", F32, &NCHW);
    let model = model.node("GlobalAveragePool", &["x"], "mean").constant("none", &[1], vec![0.0]);
    let model = model.node("Mul", &["mean", "none"], "nothing").node("Add", &["second", "nothing"], "y");
    let line = format!("input-name=second style-image={}", style.display());
    assert_eq!(shown(model, &line, (37, 21)), picture(37, 21, 0));
}

#[test]
fn a_copy_of_the_frame_is_fed_at_its_size() {
    // What is left of the copy when the enlarged frame is taken away is nearly nothing, also after a second frame.
    let model = |copy: &[&str]| {
        let model = Builder::default().named_input("0", F32, &["1", "3", "h", "w"]).named_input("1", F32, copy);
        let model =
            model.output("2", F32, &[1, 3, -1, -1]).enlarge("0", "large", 2.0).constant("half", &[1], vec![0.5]);
        let model = model.node("Sub", &["1", "large"], "difference").node("Add", &["difference", "half"], "2");
        model.meta("input-range", "0,1").meta("output-range", "0,1")
    };
    let folder = tempfile::tempdir().unwrap();
    let fixed = ["1", "3", "96", "128"];
    let fixed_model = Builder::default().input("0", F32, &[1, 3, 48, 64]).named_input("1", F32, &fixed);
    let fixed_model = fixed_model.output("2", F32, &[1, 3, 96, 128]).node("Identity", &["1"], "2");
    let fixed_model = fixed_model.meta("input-range", "0,1").meta("output-range", "0,1").save(folder.path(), "fixed");
    let mut bench = Bench::new(&format!("model-file={} execution-provider=cpu", fixed_model.display()), 64, 48);
    for frame in 0..2 {
        let (shown, input) = (bench.frame(frame), picture(64, 48, frame));
        let mean = shown.iter().zip(&input).map(|(a, b)| f64::from(a[0].abs_diff(b[0]))).sum::<f64>() / 3072.0;
        assert!(mean < 2.0, "frame {frame}: {mean}");
    }
    let shown = shown(model(&["1", "3", "2*h", "2*w"]), "", (64, 48));
    let mean = shown.iter().map(|p| f64::from(p[0].abs_diff(128))).sum::<f64>() / 3072.0;
    assert!(mean < 4.0, "{mean}");
}

#[test]
fn flags_and_whole_numbers_have_defaults_and_can_be_set() {
    let flag = || {
        let model =
            of_frame().input("training", BOOL, &[]).output("y", F32, &NCHW).node("Sub", &["one", "x"], "inverse");
        model.choose("training", "inverse", "x", "y")
    };
    let frame = picture(37, 21, 0);
    assert_eq!(shown(flag(), "", (37, 21)), frame);
    assert_eq!(shown(flag(), "scalar-inputs=training=true", (37, 21)), inverse(&frame));
    for element in [I32, I64] {
        let number = || {
            let model = of_frame().input("times", element, &[1]).output("y", F32, &NCHW).cast("times", "factor", F32);
            model.node("Mul", &["x", "factor"], "y")
        };
        assert_eq!(shown(number(), "", (37, 21)), frame);
        assert_eq!(shown(number(), "scalar-inputs=times=0", (37, 21)), vec![[0; 3]; 37 * 21]);
        let error = refusal(number(), "scalar-inputs=times=0.5");
        assert!(error.contains("'times'") && error.contains("a whole number"), "{error}");
    }
}

#[test]
fn weights_in_the_cache_that_the_model_is_linked_into_are_used() {
    let folder = tempfile::tempdir().unwrap();
    let (blobs, snapshot) = (folder.path().join("blobs"), folder.path().join("snapshots/1"));
    std::fs::create_dir_all(&blobs).unwrap();
    std::fs::create_dir_all(&snapshot).unwrap();
    let model = of_frame().output("y", F32, &NCHW).external("w", 1, "model.onnx_data").node("Mul", &["x", "w"], "y");
    std::fs::rename(model.save(folder.path(), "model"), blobs.join("1111")).unwrap();
    std::fs::write(blobs.join("2222"), 1f32.to_le_bytes()).unwrap();
    for (blob, name) in [("1111", "model.onnx"), ("2222", "model.onnx_data")] {
        std::os::unix::fs::symlink(Path::new("../../blobs").join(blob), snapshot.join(name)).unwrap();
    }
    let line = format!("model-file={}", snapshot.join("model.onnx").display());
    assert_eq!(Bench::new(&line, 37, 21).frame(0), picture(37, 21, 0));
}

#[test]
fn the_table_of_the_contract_has_every_key() {
    let text = std::fs::read_to_string(common::run::repo("models/README.md")).unwrap();
    let rows: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("| `styletransfer.")).collect();
    let found: Vec<_> = rows.iter().filter_map(|row| row.split_once('`')).map(|(key, _)| key).collect();
    assert_eq!(found, gststyletransfer::model::metadata::key::ALL);
}
