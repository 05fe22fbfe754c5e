//! Every shipped style stylizes: on real footage the picture changes, keeps its structure, and has no border or grid.

mod common;

use common::run::{clip, init, repo};
use gst::prelude::*;
use gststyletransfer::inference::config::{ModelSource, SessionConfig};
use gststyletransfer::inference::session::OrtGenerator;
use gststyletransfer::inference::{Generator, TensorMut, TensorRef};
use gststyletransfer::model::built_in::styles;

const WIDTH: usize = 640;
const HEIGHT: usize = 360;

/// Luma of one frame of the clip, before and after.
fn frame(element: &str) -> Vec<f32> {
    init();
    let line = format!(
        "filesrc location={} ! decodebin ! videoconvert ! videoscale ! video/x-raw,format=RGB,width={WIDTH},height={HEIGHT} ! \
         {element} ! videoconvert ! video/x-raw,format=GRAY8 ! appsink name=sink sync=false",
        clip().display()
    );
    let pipeline = gst::parse::launch(&line).unwrap().downcast::<gst::Pipeline>().unwrap();
    pipeline.set_state(gst::State::Playing).unwrap();
    let sink = pipeline.by_name("sink").unwrap().downcast::<gst_app::AppSink>().unwrap();
    let sample = sink.pull_sample().unwrap();
    let map = sample.buffer().unwrap().map_readable().unwrap();
    let luma = map.iter().map(|v| f32::from(*v) / 255.0).collect();
    drop(map);
    pipeline.set_state(gst::State::Null).unwrap();
    luma
}

fn correlation(a: &[f32], b: &[f32]) -> f32 {
    let mean = |v: &[f32]| v.iter().sum::<f32>() / v.len() as f32;
    let (ma, mb) = (mean(a), mean(b));
    let (mut ab, mut aa, mut bb) = (0.0, 0.0, 0.0);
    for (x, y) in a.iter().zip(b) {
        ab += (x - ma) * (y - mb);
        aa += (x - ma).powi(2);
        bb += (y - mb).powi(2);
    }
    ab / (aa * bb).sqrt()
}

/// Mean brightness of areas of 16x16 pixels: strokes are smaller, what is dark in the scene stays dark.
fn areas(luma: &[f32]) -> Vec<f32> {
    let row = |y: usize, x: usize| luma[y * WIDTH + x..y * WIDTH + x + 16].iter().sum::<f32>();
    let corners = (0..HEIGHT / 16).flat_map(|y| (0..WIDTH / 16).map(move |x| (16 * y, 16 * x)));
    corners.map(|(y, x)| (y..y + 16).map(|y| row(y, x)).sum::<f32>() / 256.0).collect()
}

/// Every style on the first frame of the clip.
fn stylized_frames() -> impl Iterator<Item = (&'static str, Vec<f32>)> {
    styles().map(|style| (style.name, frame(&format!("styletransfer style={}", style.name))))
}

fn difference(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).sum::<f32>() / a.len() as f32
}

#[test]
fn the_paintings_differ_and_the_scene_stays_readable() {
    let original = frame("identity");
    let all: Vec<_> = stylized_frames().collect();
    for (index, (style, stylized)) in all.iter().enumerate() {
        let changed = difference(&original, stylized);
        assert!(changed > 0.03, "{style}: hardly stylized: {changed}");
        let similar = correlation(&areas(&original), &areas(stylized));
        assert!(similar > 0.75, "{style}: scene lost: {similar}");
        for (other, theirs) in &all[..index] {
            let apart = difference(stylized, theirs);
            assert!(apart > 0.02, "{style} looks like {other}: {apart}");
        }
    }
}

/// What every cell of 4x4 pixels (the network's stride) has in common: a lattice tied to the stride stays in the mean.
#[test]
fn no_grid_of_the_networks_stride() {
    for (style, stylized) in stylized_frames() {
        let mut pattern = [[0f32; 4]; 4];
        for (y, x) in (0..HEIGHT / 4).flat_map(|y| (0..WIDTH / 4).map(move |x| (4 * y, 4 * x))) {
            let at = |i: usize| stylized[(y + i / 4) * WIDTH + x + i % 4];
            let mean = (0..16).map(at).sum::<f32>() / 16.0;
            (0..16).for_each(|i| pattern[i / 4][i % 4] += (at(i) - mean) / (WIDTH * HEIGHT / 16) as f32);
        }
        let worst = pattern.iter().flatten().fold(0f32, |worst, p| worst.max(p.abs()));
        assert!(worst < 2.0 / 255.0, "{style}: {pattern:?}");
    }
}

/// Differences of brightness between rows, and between columns, that are six apart, from one side to the other.
fn steps(luma: &[f32]) -> [Vec<f32>; 2] {
    let line = |y: usize| luma[y * WIDTH..(y + 1) * WIDTH].iter().sum::<f32>() / WIDTH as f32;
    let column = |x: usize| luma.iter().skip(x).step_by(WIDTH).sum::<f32>() / HEIGHT as f32;
    let apart = |means: Vec<f32>| means.windows(7).map(|w| w[0] - w[6]).collect();
    [apart((0..HEIGHT).map(line).collect()), apart((0..WIDTH).map(column).collect())]
}

/// The outermost rows and columns stand out from those beside them no more than strokes inside the picture do.
#[test]
fn no_line_along_the_border() {
    let own = steps(&frame("identity"));
    for (style, stylized) in stylized_frames() {
        for (steps, own) in steps(&stylized).iter().zip(&own) {
            let inside = steps[10..steps.len() - 10].iter().fold(0f32, |most, step| most.max(step.abs()));
            for at in [0, steps.len() - 1] {
                let step = (steps[at] - own[at]).abs();
                assert!(step < 1.25 * inside.max(0.04), "{style}: {step} at the border, up to {inside} inside");
            }
        }
    }
}

#[test]
fn int8_paints_nearly_the_same() {
    let styles: Vec<_> = styles().filter(|style| style.int8.is_some()).collect();
    assert!(!styles.is_empty());
    for style in styles {
        let stylize = |precision: &str| frame(&format!("styletransfer style={} precision={precision}", style.name));
        let apart = difference(&stylize("fp32"), &stylize("int8")) * 255.0;
        assert!(apart > 0.02, "{}: no other model stylized", style.name);
        assert!(apart < 2.5, "{}: {apart}/255 apart", style.name);
    }
}

/// What a generator stylizes of a picture of waves.
fn stylized(generator: &mut OrtGenerator, (width, height): (usize, usize)) -> Vec<f32> {
    let TensorMut::F32(input) = generator.input() else { panic!("not f32") };
    for (i, value) in input.iter_mut().enumerate() {
        let (x, y) = (i % width, i / width % height);
        *value = 0.5 + 0.4 * (x as f32 * 0.21 + y as f32 * 0.13 + (i / (width * height)) as f32).sin();
    }
    generator.run().unwrap();
    let TensorRef::F32(output) = generator.output() else { panic!("not f32") };
    output.to_vec()
}

/// Where the model itself halves the light after the tensor that is said to hold the stylized frame.
#[test]
fn the_elements_own_shuffle_takes_the_place_of_the_models_last_steps() {
    use common::onnx::{Builder, F32, NCHW};
    init();
    let folder = tempfile::tempdir().unwrap();
    let load = |said: &str| {
        let model = Builder::default()
            .input("x", F32, &NCHW)
            .output("y", F32, &NCHW)
            .squares("x", "small")
            .constant("half", &[1], vec![0.5])
            .node("Mul", &["small", "half"], "dim")
            .shuffle("dim", "y")
            .meta("input-range", "0,1")
            .meta("output-range", "0,1")
            .meta("sub-pixel", said);
        let config = SessionConfig { provider: "cpu".into(), ..SessionConfig::default() };
        OrtGenerator::load(&ModelSource::File(model.save(folder.path(), "shuffled")), &config)
    };
    let size = (38, 22);
    for (said, light) in [("small,0", 1.0), ("dim,0", 0.5), ("small,2", 0.5), ("nowhere,0", 0.5), ("x,0", 0.5)] {
        let mut generator = load(said).unwrap();
        generator.bind(size.0, size.1).unwrap();
        for light in [0.5, light] {
            let stylized = stylized(&mut generator, size);
            let TensorMut::F32(input) = generator.input() else { panic!("not f32") };
            let worst = stylized.iter().zip(&*input).map(|(a, b)| (a - light * b).abs()).fold(0.0, f32::max);
            assert!(worst < 1e-6, "{said}: off {light} by {worst}");
            generator.fit();
        }
    }
    let error = format!("{:#}", load("small").err().unwrap());
    assert!(error.contains("styletransfer.sub-pixel") && error.contains("'small'"), "{error}");
}

#[test]
fn a_session_made_for_one_size_paints_the_same() {
    init();
    for file in ["models/live.onnx", "models/van-gogh.onnx", "models/fine.onnx"] {
        let config = SessionConfig { provider: "cpu".into(), ..SessionConfig::default() };
        let mut generator = OrtGenerator::load(&ModelSource::File(repo(file)), &config).unwrap();
        let mut weights = vec![0.0; generator.contract().styles.len()];
        weights.iter_mut().take(2).for_each(|w| *w = 0.5);
        for size in [(96, 64), (128, 72), (96, 64)] {
            generator.bind(size.0, size.1).unwrap();
            generator.set_style(&weights);
            let any = stylized(&mut generator, size);
            generator.fit();
            let one = stylized(&mut generator, size);
            let worst = any.iter().zip(&one).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(worst < 1e-4, "{file} at {size:?}: {worst}");
            let spread = any.iter().fold(f32::MIN, |m, v| m.max(*v)) - any.iter().fold(f32::MAX, |m, v| m.min(*v));
            assert!(spread > 0.2, "{file}: there is something to compare, {spread}");
        }
    }
}
