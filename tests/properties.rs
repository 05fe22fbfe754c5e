//! What holds for any picture, motion and history: optimised routines against plain ones, and what never may happen.

use gststyletransfer::confidence::MotionField;
use gststyletransfer::flow::pyramid::Plane;
use gststyletransfer::frame::image::{Image, ImageMut, Shape};
use gststyletransfer::stylizer::{Controls, Outcome, Stylizer};
use gststyletransfer::temporal::accumulate::Accumulator;
use gststyletransfer::temporal::blend::{INITIAL_WEIGHT, Weights};
use gststyletransfer::temporal::sharpen::Sharpening;
use gststyletransfer::temporal::stabilizer::{Method, Smoothing, Stabilizer};
use gststyletransfer::tensor::layout::Format;
use gststyletransfer::tensor::placement::Placement;
use gststyletransfer::warp::pixel::{Pixel, WHITE, pixel_of};
use proptest::collection::vec;
use proptest::prelude::*;

#[path = "common/copier.rs"]
mod copier;
use copier::Copier;

const SMOOTHING: Smoothing = Smoothing { method: Method::Motion, amount: 0.75 };

fn whole(width: usize, height: usize) -> Placement {
    Placement::centered((width, height), (width, height))
}

/// Bytes of three planes.
fn frame(width: usize, height: usize) -> impl Strategy<Value = [Vec<u8>; 3]> {
    let plane = || vec(any::<u8>(), width * height);
    [plane(), plane(), plane()]
}

fn image<'a>(planes: &'a [Vec<u8>; 3], width: usize, height: usize) -> Image<'a, u8> {
    let [r, g, b] = planes;
    Image::new([r, g, b], [width; 3], Shape { width, height, white: 255 }).unwrap()
}

fn sized<S: Strategy>(of: impl Fn(usize, usize) -> S + Clone) -> impl Strategy<Value = (usize, usize, S::Value)> {
    (8usize..50, 8usize..40).prop_flat_map(move |(w, h)| (Just(w), Just(h), of.clone()(w, h)))
}

/// Keys' cubic with a = -1/2.
fn cubic(x: f32) -> f32 {
    match x.abs() {
        x if x < 1.0 => 1.5 * x.powi(3) - 2.5 * x.powi(2) + 1.0,
        x if x < 2.0 => -0.5 * x.powi(3) + 2.5 * x.powi(2) - 4.0 * x + 2.0,
        _ => 0.0,
    }
}

/// The history at a place, pixel by pixel, beyond the border its edge.
fn plain_sample(history: &[[f32; 4]], (width, height): (usize, usize), x: f32, y: f32) -> [f32; 4] {
    let mut sum = [0.0; 4];
    for dy in -1..=2 {
        for dx in -1..=2 {
            let (column, row) = (x.floor() as i32 + dx, y.floor() as i32 + dy);
            let weight = cubic(x - column as f32) * cubic(y - row as f32);
            let at = row.clamp(0, height as i32 - 1) as usize * width + column.clamp(0, width as i32 - 1) as usize;
            (0..4).for_each(|c| sum[c] += weight * history[at][c]);
        }
    }
    sum
}

/// The blend of one pixel.
fn plain_mix(old: [f32; 4], confidence: f32, stylized: [f32; 3], weights: Weights) -> [f32; 4] {
    let (old, stylized) = (old.map(|v| v.clamp(0.0, 1.0)), stylized.map(|v| v.clamp(0.0, 1.0)));
    let off = (0..3).map(|i| (old[i] - stylized[i]).abs()).sum::<f32>() / 3.0;
    let flicker = off * off / (off * off + 0.05 * 0.05);
    let share = (confidence * (weights.low + (weights.high - weights.low) * flicker)).min(old[3]);
    let [r, g, b] = [0, 1, 2].map(|i| stylized[i] + (old[i] - stylized[i]) * share);
    [r, g, b, INITIAL_WEIGHT + (1.0 - INITIAL_WEIGHT) * share]
}

/// Shown and kept of one pixel of the blend.
fn plain_finish(
    blend: &[([f32; 4], f32)],
    (width, height): (usize, usize),
    at: usize,
    how: Sharpening,
) -> ([f32; 3], [f32; 3]) {
    let (x, y, (here, blur)) = (at % width, at / width, blend[at]);
    let near = |i: usize, c: usize| {
        let (x, y) = ((x + i % 3).saturating_sub(1).min(width - 1), (y + i / 3).saturating_sub(1).min(height - 1));
        blend[y * width + x].0[c]
    };
    let tent = [1.0, 2.0, 1.0];
    let fine = |c: usize| here[c] - (0..9).map(|i| tent[i % 3] * tent[i / 3] * near(i, c)).sum::<f32>() / 16.0;
    let averaged = (here[3] - INITIAL_WEIGHT).max(0.0) / (1.0 - INITIAL_WEIGHT);
    let sharp = |c: usize| (here[c] + fine(c) * how.shown * averaged / (1.0 + fine(c).abs() / 0.02)).clamp(0.0, 1.0);
    let keep = |c: usize| (here[c] + fine(c) * how.history * blur + how.color_offset[c]).clamp(0.0, 1.0);
    ([0, 1, 2].map(sharp), [0, 1, 2].map(keep))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..Default::default() })]

    /// One motion for all, so that the places are known without interpolating it.
    #[test]
    fn accumulation_equals_the_scalar_reference(
        (width, height, (history, stylized)) in sized(|w, h| {
            (vec([0f32..1.0, 0f32..1.0, 0f32..1.0, 0.6f32..1.0], w * h), vec(-0.1f32..1.1, 3 * w * h))
        }),
        motion in [-6i32..6, -6i32..6],
        phase in [0i32..64, 0i32..64],
        confidence in 0.05f32..1.0,
        (shown, kept, lift) in (0f32..2.0, 0f32..0.3, -0.02f32..0.02),
    ) {
        let [dx, dy] = [0, 1].map(|i| motion[i] as f32 + phase[i] as f32 / 64.0);
        let [x, y, confidences] = [dx, dy, confidence].map(|v| vec![v; width * height]);
        let field = MotionField { width, height, x, y, confidence: confidences };
        let (place, area) = (whole(width, height), width * height);
        let how = Sharpening { shown, history: kept, color_offset: [lift; 3] };
        let (mut seen, mut next) = (vec![0.0; 3 * area], vec![Pixel::default(); area]);
        // As the history holds it.
        let pixels: Vec<Pixel> = history.iter().map(|values| pixel_of(*values)).collect();
        let weights = Weights { low: 0.7, high: 0.9 };
        let mut into = ImageMut::of_planar(&mut seen, (width, height)).unwrap();
        Accumulator::default().accumulate(place, &field, &pixels, &stylized, (weights, how), (&mut into, &mut next));
        let blend: Vec<([f32; 4], f32)> = (0..area).map(|at| {
            let (x, y) = ((at % width) as f32 + dx, (at / width) as f32 + dy);
            let inside = x >= 0.0 && y >= 0.0 && x <= (width - 1) as f32 && y <= (height - 1) as f32;
            let old = if inside { plain_sample(&history, (width, height), x, y) } else { [0.0; 4] };
            let blur = [dx, dy].map(|d| d.rem_euclid(1.0)).map(|f| 4.0 * f * (1.0 - f));
            let new = [0, 1, 2].map(|c| stylized[c * area + at]);
            let blur = if inside { blur[0].max(blur[1]) } else { 0.0 };
            (plain_mix(old, if inside { confidence } else { 0.0 }, new, weights), blur)
        }).collect();
        let next: Vec<_> = next.iter().map(|pixel| pixel.map(|v| f32::from(v) / WHITE)).collect();
        for at in 0..area {
            let wanted = plain_finish(&blend, (width, height), at, how);
            for c in 0..3 {
                let (sharp, keep) = (wanted.0[c], wanted.1[c]);
                prop_assert!((seen[c * area + at] - sharp).abs() < 2e-3, "channel {c} of {at} is shown otherwise");
                prop_assert!((next[at][c] - keep).abs() < 1e-3, "channel {c} of {at} is kept otherwise");
            }
            prop_assert!((next[at][3] - blend[at].0[3].clamp(0.0, 1.0)).abs() < 1e-3, "the weight of {at}");
        }
    }

    #[test]
    fn pyramid_luma_is_the_mean_of_its_pixels((width, height, planes) in sized(frame), step in 1usize..5) {
        let mut plane = Plane::default();
        plane.take(&image(&planes, width, height), step, &mut vec![]);
        prop_assert_eq!((plane.width(), plane.height()), (width / step, height / step));
        for (x, y) in (0..width / step).flat_map(|x| (0..height / step).map(move |y| (x, y))) {
            let pixels = (0..step * step).map(|i| (y * step + i / step) * width + x * step + i % step);
            let luma = |at: usize| [0.299, 0.587, 0.114].iter().zip(&planes).map(|(w, p)| w * f32::from(p[at])).sum::<f32>();
            let mean = pixels.map(luma).sum::<f32>() / (step * step) as f32;
            prop_assert!((plane.row(y)[x] - mean).abs() < 0.01, "{} instead of {mean}", plane.row(y)[x]);
        }
    }

    /// What stands still and does not flicker is shown as it is.
    #[test]
    fn equal_frames_stay_unchanged((width, height, planes) in sized(frame)) {
        let (mut stabilizer, place) = (Stabilizer::default(), whole(width, height));
        let stylized: Vec<f32> = planes.iter().flatten().map(|v| f32::from(*v) / 255.0).collect();
        for i in 0..4 {
            stabilizer.observe(&image(&planes, width, height), SMOOTHING);
            let mut shown = vec![9.0; stylized.len()];
            let mut into = ImageMut::of_planar(&mut shown, (width, height)).unwrap();
            prop_assert!(stabilizer.stabilize(&stylized, place, SMOOTHING, &mut into).unwrap());
            let off = shown.iter().zip(&stylized).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            prop_assert!(off < 0.5 / 255.0, "frame {i} is off by {off}");
        }
    }

    /// A broken stylized frame is told, and what comes after it has nothing of it.
    #[test]
    fn nan_and_infinity_never_enter_the_history(
        (width, height, planes) in sized(frame),
        flaws in vec(prop_oneof![Just(0.0), Just(f32::NAN), Just(f32::INFINITY), Just(f32::NEG_INFINITY)], 1..8),
    ) {
        let copier = Copier::new(Format::CANONICAL);
        let flaw = copier.flaw.clone();
        let mut stylizer = Stylizer::new(Box::new(copier));
        stylizer.prepare((width, height)).unwrap();
        let seen = image(&planes, width, height);
        for value in flaws {
            *flaw.lock().unwrap() = value;
            let mut shown = [vec![7; width * height], vec![7; width * height], vec![7; width * height]];
            let [r, g, b] = &mut shown;
            let mut into = ImageMut::new([r, g, b], [width; 3], Shape { width, height, white: 255 }).unwrap();
            let outcome = stylizer.process(&seen, &mut into, Controls::every(SMOOTHING, None)).unwrap();
            let stylized = matches!(outcome, Outcome::Stylized(_));
            prop_assert_eq!(stylized, value == 0.0, "{:?} with {}", outcome, value);
            for (c, at) in (0..3).flat_map(|c| (0..width * height).map(move |at| (c, at))).filter(|_| stylized) {
                prop_assert!(shown[c][at].abs_diff(planes[c][at]) <= 1, "{} in {c}, {at}", shown[c][at]);
            }
        }
    }
}
