//! Models of every shape give the right picture: here the picture itself, because the models change nothing.

mod common;

use common::frames::{Bench, picture, worst};
use common::onnx::{Builder, F16, F32, NCHW, NHWC, U8, identity, negative};

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
fn size_multiples_are_told_or_found() {
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
