//! Time of the stages of a frame, without the generator. `cargo bench --no-default-features`

use criterion::{Criterion, criterion_group, criterion_main};
use gststyletransfer::confidence::disocclusion::DisoccludedArea;
use gststyletransfer::confidence::{ConfidenceEstimator, MotionField};
use gststyletransfer::flow::pyramid::Pyramid;
use gststyletransfer::flow::search::Search;
use gststyletransfer::frame::image::{Image, ImageMut, Shape};
use gststyletransfer::frame::mix::{Mix, mix};
use gststyletransfer::temporal::accumulate::Accumulator;
use gststyletransfer::temporal::blend::Weights;
use gststyletransfer::temporal::sharpen::Sharpening;
use gststyletransfer::temporal::stabilizer::{Method, Smoothing, Stabilizer};
use gststyletransfer::tensor::egress::{all_finite, to_image};
use gststyletransfer::tensor::ingest::ingest;
use gststyletransfer::tensor::layout::Format;
use gststyletransfer::tensor::placement::Placement;
use gststyletransfer::upsample::{Guided, Light};
use gststyletransfer::warp::pixel::{Pixel, pixel_of};

const SIZE: (usize, usize) = (640, 360);

/// Smooth waves with some grain, moved by (x, y) pixels.
fn plane((width, height): (usize, usize), x: f32, y: f32) -> Vec<u8> {
    let value = |i: usize| {
        let (px, py) = ((i % width) as f32 + x, (i / width) as f32 + y);
        let waves = (px * 0.13).sin() + (py * 0.17 + px * 0.03).cos() + (px * 0.51 + py * 0.37).sin() * 0.6;
        (128.0 + 40.0 * waves) as u8 ^ (i as u8 & 3)
    };
    (0..width * height).map(value).collect()
}

fn image(plane: &[u8], (width, height): (usize, usize)) -> Image<'_, u8> {
    Image::new([plane; 3], [width; 3], Shape { width, height, white: 255 }).unwrap()
}

fn temporal(c: &mut Criterion) {
    let mut group = c.benchmark_group("temporal 640x360");
    let frames = [plane(SIZE, 0.0, 0.0), plane(SIZE, 1.3, 0.7)];
    let mut pyramids = [Pyramid::default(), Pyramid::default()];
    for (pyramid, frame) in pyramids.iter_mut().zip(&frames) {
        pyramid.take(&image(frame, SIZE), 2);
    }
    let mut search = Search::default();
    group.bench_function("motion search", |b| b.iter(|| search.run(&pyramids[1], &pyramids[0]).vectors.len()));
    let (mut estimator, mut field) = (ConfidenceEstimator::default(), MotionField::default());
    let flow = search.run(&pyramids[1], &pyramids[0]).clone();
    estimator.estimate(&pyramids[1], &pyramids[0], &flow, &mut field);
    group
        .bench_function("confidence", |b| b.iter(|| estimator.estimate(&pyramids[1], &pyramids[0], &flow, &mut field)));

    let mut area = DisoccludedArea::default();
    group.bench_function("largest disoccluded area", |b| b.iter(|| area.largest(&field, &pyramids[1])));
    let mut pyramid = Pyramid::default();
    group.bench_function("pyramid", |b| b.iter(|| pyramid.take(&image(&frames[1], SIZE), 2)));

    let place = Placement::centered(SIZE, SIZE);
    let area = SIZE.0 * SIZE.1;
    let stylized: Vec<f32> = (0..3 * area).map(|i| f32::from(frames[0][i % area]) / 255.0).collect();
    let history: Vec<Pixel> = frames[0].iter().map(|v| pixel_of([f32::from(*v) / 255.0; 4])).collect();
    let (mut next, mut accumulator) = (history.clone(), Accumulator::default());
    let mut planes = [frames[0].clone(), frames[0].clone(), frames[0].clone()];
    let [r, g, b] = &mut planes;
    let mut shown = ImageMut::new([r, g, b], [SIZE.0; 3], image(&frames[0], SIZE).shape()).unwrap();
    let weights = Weights { low: 0.7, high: 0.9 };
    let how = Sharpening { shown: 0.5, history: 0.2, color_offset: [0.0; 3] };
    group.bench_function("accumulate", |b| {
        b.iter(|| accumulator.accumulate(place, &field, &history, &stylized, (weights, how), (&mut shown, &mut next)))
    });
    let (mut stabilizer, smoothing) = (Stabilizer::default(), Smoothing { method: Method::Motion, amount: 0.75 });
    let mut turn = 0;
    group.bench_function("stabilizer", |b| {
        b.iter(|| {
            turn += 1;
            stabilizer.observe(&image(&frames[turn % 2], SIZE), smoothing);
            stabilizer.stabilize(&stylized, place, smoothing, &mut shown).unwrap()
        })
    });
}

fn upsampling(c: &mut Criterion) {
    let mut group = c.benchmark_group("guided upsampling");
    for (large, divisor) in [((1280, 720), 2), ((1280, 720), 3), ((1920, 1080), 3)] {
        let small = (large.0 / divisor, large.1 / divisor);
        let (guide, stylized) = (plane(large, 0.0, 0.0), plane(small, 0.0, 0.0));
        let (mut light, mut guided) = (Light::default(), Guided::new(small, large));
        let mut planes = [guide.clone(), guide.clone(), guide.clone()];
        let shape = Shape { width: large.0, height: large.1, white: 255 };
        group.bench_function(format!("{}x{} from 1/{divisor}", large.0, large.1), |b| {
            b.iter(|| {
                let [r, g, b] = &mut planes;
                let mut into = ImageMut::new([r, g, b], [large.0; 3], shape).unwrap();
                light.take(&image(&guide, large), small);
                guided.run(&image(&stylized, small), &light.image().unwrap(), &image(&guide, large), &mut into);
            })
        });
    }
}

fn numbers(c: &mut Criterion) {
    let mut group = c.benchmark_group("images and tensors");
    for (name, strength, preserve_color) in [("strength", 0.5, false), ("preserve color", 1.0, true)] {
        let size = (1280, 720);
        let (original, stylized) = (plane(size, 0.0, 0.0), plane(size, 9.0, 5.0));
        let mut planes = [stylized.clone(), stylized.clone(), stylized.clone()];
        let shape = Shape { width: size.0, height: size.1, white: 255 };
        group.bench_function(format!("{name} 1280x720"), |b| {
            b.iter(|| {
                let [r, g, b] = &mut planes;
                let mut stylized = ImageMut::new([r, g, b], [size.0; 3], shape).unwrap();
                mix(&image(&original, size), &mut stylized, Mix { strength, preserve_color });
            })
        });
    }
    for size in [SIZE, (1280, 720)] {
        let (frame, place) = (plane(size, 0.0, 0.0), Placement::centered(size, size));
        let mut tensor = vec![0f32; 3 * size.0 * size.1];
        let name = |what: &str| format!("{what} {}x{}", size.0, size.1);
        group.bench_function(name("ingest"), |b| {
            b.iter(|| ingest(&image(&frame, size), &mut tensor, &Format::CANONICAL, &place).unwrap())
        });
        group.bench_function(name("all finite"), |b| b.iter(|| all_finite(&tensor)));
        let mut planes = [frame.clone(), frame.clone(), frame.clone()];
        let shape = Shape { width: size.0, height: size.1, white: 255 };
        group.bench_function(name("to image"), |b| {
            b.iter(|| {
                let [r, g, b] = &mut planes;
                to_image(&tensor, &place, &mut ImageMut::new([r, g, b], [size.0; 3], shape).unwrap()).unwrap();
            })
        });
    }
}

criterion_group!(stages, temporal, upsampling, numbers);
criterion_main!(stages);
