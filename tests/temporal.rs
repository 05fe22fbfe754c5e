//! The stabilizer on synthetic videos whose motion is known exactly.

use gststyletransfer::confidence::scene_cut::Change;
use gststyletransfer::flow::pyramid::Pyramid;
use gststyletransfer::flow::search::Search;
use gststyletransfer::frame::image::{Image, ImageMut, Shape};
use gststyletransfer::metrics::sharpness::detail;
use gststyletransfer::temporal::stabilizer::{Method, Smoothing, Stabilizer};
use gststyletransfer::tensor::ingest::ingest;
use gststyletransfer::tensor::layout::Format;
use gststyletransfer::tensor::placement::Placement;

const MOTION: Smoothing = Smoothing { method: Method::Motion, amount: 0.75 };

/// Reproducible noise, 0..1.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f32 / (1u64 << 24) as f32
    }
}

/// A texture of waves in all directions, 0..1, defined everywhere.
fn texture(x: f32, y: f32, seed: u64) -> f32 {
    let mut noise = Noise(seed.wrapping_mul(77) + 5);
    let mut sum = 0.0;
    for octave in 0..18 {
        let (angle, phase) = (noise.next() * 6.3, noise.next() * 6.3);
        let wave = 6.0 + 4.0 * octave as f32;
        sum += ((x * angle.cos() + y * angle.sin()) * 6.3 / wave + phase).sin();
    }
    (0.5 + sum * 0.06).clamp(0.0, 1.0)
}

#[derive(Clone)]
struct Frame {
    width: usize,
    height: usize,
    planes: [Vec<u8>; 3],
}

impl Frame {
    /// `color(x, y)` gives 0..1 for every channel.
    fn new(width: usize, height: usize, color: impl Fn(f32, f32) -> [f32; 3]) -> Self {
        let mut planes = [vec![], vec![], vec![]];
        for (x, y) in (0..height).flat_map(|y| (0..width).map(move |x| (x as f32, y as f32))) {
            for (plane, v) in planes.iter_mut().zip(color(x, y)) {
                plane.push((v.clamp(0.0, 1.0) * 255.0).round() as u8);
            }
        }
        Self { width, height, planes }
    }

    fn textured(width: usize, height: usize, seed: u64, place: impl Fn(f32, f32) -> (f32, f32)) -> Self {
        Self::new(width, height, |x, y| {
            let (x, y) = place(x, y);
            [texture(x, y, seed), texture(x, y, seed + 1), texture(x, y, seed + 2)]
        })
    }

    fn image(&self) -> Image<'_, u8> {
        let [r, g, b] = &self.planes;
        let shape = Shape { width: self.width, height: self.height, white: 255 };
        Image::new([r, g, b], [self.width; 3], shape).unwrap()
    }

    /// The frame as its own stylized frame.
    fn planar(&self) -> Vec<f32> {
        self.planes.iter().flatten().map(|v| f32::from(*v) / 255.0).collect()
    }

    fn place(&self) -> Placement {
        let size = (self.width, self.height);
        Placement::centered(size, size)
    }
}

fn show(stabilizer: &mut Stabilizer, frame: &Frame, stylized: &[f32]) -> Vec<f32> {
    stabilizer.observe(&frame.image(), MOTION);
    shown(frame.place(), |into| stabilizer.stabilize(stylized, frame.place(), MOTION, into).unwrap()).unwrap()
}

/// The frame that `show` writes, planar, if it returns true.
fn shown(place: Placement, show: impl FnOnce(&mut ImageMut<f32>) -> bool) -> Option<Vec<f32>> {
    let mut planar = vec![9.0; 3 * place.picture.0 * place.picture.1];
    show(&mut ImageMut::of_planar(&mut planar, place.picture).unwrap()).then_some(planar)
}

fn worst(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

fn mean(v: &[f32]) -> f32 {
    v.iter().sum::<f32>() / v.len() as f32
}

/// Mean endpoint error of the flow in pixels, away from the border.
fn endpoint_error(new: &Frame, old: &Frame, step: usize, truth: impl Fn(f32, f32) -> (f32, f32)) -> f32 {
    let (mut a, mut b, mut search) = (Pyramid::default(), Pyramid::default(), Search::default());
    a.take(&new.image(), step);
    b.take(&old.image(), step);
    let flow = search.run(&a, &b);
    let (mut sum, mut count) = (0.0, 0);
    for y in flow.height / 6..flow.height * 5 / 6 {
        for x in flow.width / 6..flow.width * 5 / 6 {
            let middle = |i: usize| (i as f32 + 0.5) * step as f32 - 0.5;
            let (u, v) = truth(middle(x), middle(y));
            let [p, q] = flow.vectors[y * flow.width + x].map(|d| d * step as f32);
            sum += ((p - u).powi(2) + (q - v).powi(2)).sqrt();
            count += 1;
        }
    }
    sum / count as f32
}

#[test]
fn translations_zooms_and_rotations_are_estimated_within_a_quarter_pixel() {
    let (width, height) = (192, 144);
    let old = Frame::textured(width, height, 1, |x, y| (x, y));
    let middle = |x: f32, y: f32| (x - 96.0, y - 72.0);
    type MotionFn = Box<dyn Fn(f32, f32) -> (f32, f32)>;
    let moves: [MotionFn; 6] = [
        Box::new(|_, _| (0.0, 0.0)),
        Box::new(|_, _| (0.5, -0.25)),
        Box::new(|_, _| (-7.3, 4.6)),
        Box::new(|_, _| (15.0, -11.0)),
        Box::new(move |x, y| (middle(x, y).0 * 0.04, middle(x, y).1 * 0.04)),
        Box::new(move |x, y| (-middle(x, y).1 * 0.05, middle(x, y).0 * 0.05)),
    ];
    for (index, motion) in moves.iter().enumerate() {
        let new = Frame::textured(width, height, 1, |x, y| (x + motion(x, y).0, y + motion(x, y).1));
        let error = endpoint_error(&new, &old, 1, motion);
        assert!(error < 0.25, "motion {index}: {error} px");
    }
}

#[test]
fn motion_of_32_pixels_with_a_change_of_exposure_is_estimated() {
    let (width, height) = (640, 360);
    let old = Frame::textured(width, height, 4, |x, y| (x, y));
    for (u, v) in [(32.0, 0.0), (-22.0, 23.0)] {
        let new = Frame::new(width, height, |x, y| [4, 5, 6].map(|seed| 0.1 + 0.8 * texture(x + u, y + v, seed)));
        let error = endpoint_error(&new, &old, 2, |_, _| (u, v));
        assert!(error < 0.5, "({u}, {v}): {error} px");
    }
}

/// In noise every patch finds another match; the flow must be continuous from one patch to the next all the same.
#[test]
fn flow_is_continuous_from_patch_to_patch() {
    let mut noise = Noise(6);
    let mut grain = || {
        let values: Vec<f32> = (0..128 * 96).map(|_| 0.5 + 0.06 * (noise.next() - 0.5)).collect();
        Frame::new(128, 96, |x, y| [values[y as usize * 128 + x as usize]; 3])
    };
    let (mut new, mut old, mut search) = (Pyramid::default(), Pyramid::default(), Search::default());
    new.take(&grain().image(), 1);
    old.take(&grain().image(), 1);
    let flow = search.run(&new, &old);
    let (mut between, mut within) = (0.0, 0.0);
    for row in flow.vectors.chunks_exact(flow.width) {
        for (x, pair) in row.windows(2).enumerate() {
            let step = (pair[0][0] - pair[1][0]).abs() + (pair[0][1] - pair[1][1]).abs();
            // Patches start at every fourth pixel; three of four steps are inside of one.
            if (x + 1) % 4 == 0 { between += 3.0 * step } else { within += step }
        }
    }
    assert!(between < 1.5 * within, "steps of {between} between patches, {within} within");
}

#[test]
fn flicker_of_a_static_scene_is_removed_and_the_mean_stays() {
    let (width, height) = (128, 96);
    let frame = Frame::textured(width, height, 8, |x, y| (x, y));
    let (clean, mut noise) = (frame.planar(), Noise(3));
    let mut stabilizer = Stabilizer::default();
    let (mut raw, mut stabilized) = (vec![], vec![]);
    for _ in 0..300 {
        let mut noisy = |amount: f32| with_noise(&clean, amount, &mut noise);
        let (seen, stylized) = (noisy(0.02), noisy(0.1));
        let planes: Vec<Vec<u8>> =
            seen.chunks(width * height).map(|p| p.iter().map(|v| (v * 255.0) as u8).collect()).collect();
        let seen = Frame { width, height, planes: planes.try_into().unwrap() };
        let shown = show(&mut stabilizer, &seen, &stylized);
        raw.push(stylized);
        stabilized.push(shown);
    }
    let errors = stabilizer.report().errors;
    assert!(errors.raw > 0.0 && errors.shown < 0.15 * errors.raw, "{errors:?}");
    let energy = |frames: &[Vec<f32>]| -> f32 {
        frames[20..].windows(2).map(|p| p[0].iter().zip(&p[1]).map(|(a, b)| (a - b).powi(2)).sum::<f32>()).sum()
    };
    let left = energy(&stabilized) / energy(&raw);
    assert!(left < 0.1, "{left} of the flicker is left");
    for (raw, stabilized) in raw.iter().zip(&stabilized).skip(20).step_by(40) {
        let drift = (mean(raw) - mean(stabilized)).abs() * 255.0;
        assert!(drift < 1.0, "the mean is off by {drift}/255");
    }
}

fn with_noise(clean: &[f32], amount: f32, noise: &mut Noise) -> Vec<f32> {
    clean.iter().map(|v| (v + amount * (noise.next() - 0.5)).clamp(0.0, 1.0)).collect()
}

#[test]
fn detail_survives_a_hundred_frames_of_a_slow_pan() {
    let (width, height) = (160, 120);
    let mut stabilizer = Stabilizer::default();
    let mut ratio = 0.0;
    for i in 0..100 {
        let frame = Frame::textured(width, height, 12, |x, y| (x + 0.37 * i as f32, y + 0.21 * i as f32));
        let stylized = frame.planar();
        let shown = show(&mut stabilizer, &frame, &stylized);
        ratio = detail(&shown, width, height) / detail(&stylized, width, height);
    }
    assert!((0.85..1.3).contains(&ratio), "{ratio} of the detail is left");
}

/// A bright square on a darker background, both moving.
fn square(i: usize) -> Frame {
    let at = 20.0 + 5.0 * i as f32;
    Frame::new(200, 120, |x, y| {
        let inside = (at..at + 40.0).contains(&x) && (40.0..80.0).contains(&y);
        match inside {
            true => [0.7, 0.9, 0.8].map(|v| v + 0.1 * texture(x - at, y, 30)),
            false => [21, 22, 23].map(|seed| 0.45 * texture(x + i as f32, y, seed)),
        }
    })
}

/// A red square of the background's luma; the background has no red.
fn red_square(i: usize, speed: usize) -> Frame {
    let at = (20 + speed * i) as f32;
    Frame::new(200, 120, |x, y| {
        let inside = (at..at + 40.0).contains(&x) && (40.0..80.0).contains(&y);
        match inside {
            true => [0.8 + 0.2 * texture(x - at, y, 30), 0.2 * texture(x - at, y, 31), 0.2],
            false => [0.0, 0.6 * texture(x + i as f32, y, 22), 0.6 * texture(x + i as f32, y, 23)],
        }
    })
}

/// The largest `ghost(shown, stylized, pixel)` in the area that the square has uncovered two to six frames ago.
fn worst_ghost(speed: usize, frame: impl Fn(usize) -> Frame, ghost: impl Fn(&[f32], &[f32], usize) -> f32) -> f32 {
    let mut stabilizer = Stabilizer::default();
    let mut most = 0f32;
    for i in 0..16 {
        let stylized = frame(i).planar();
        let shown = show(&mut stabilizer, &frame(i), &stylized);
        for age in (2..7).filter(|age| *age < i) {
            let (from, to) = (20 + speed * (i - age), 20 + speed * (i + 1 - age));
            let left = (40..80).flat_map(|y| (from..to).map(move |x| y * 200 + x));
            most = left.map(|at| ghost(&shown, &stylized, at)).fold(most, f32::max);
        }
    }
    most
}

#[test]
fn a_disoccluded_area_shows_no_ghost() {
    for speed in [2, 3, 5, 7] {
        let red = worst_ghost(speed, |i| red_square(i, speed), |shown, _, at| shown[at]);
        assert!(red < 0.04, "{red} of the red square is left, {speed} pixels a frame");
    }
    // Share of the square's red (0.75); here background that was propagated with the square counts too.
    let share = |shown: &[f32], stylized: &[f32], at: usize| (shown[at] - stylized[at]) / (0.75 - stylized[at]);
    let grey = worst_ghost(5, square, share);
    assert!(grey < 0.15, "a share of {grey}");
}

#[test]
fn ghosts_of_propagated_frames_end_with_the_next_inference() {
    let mut stabilizer = Stabilizer::default();
    stabilizer.keep_history(true);
    for i in 0..6 {
        show(&mut stabilizer, &square(i), &square(i).planar());
    }
    for i in 6..9 {
        stabilizer.observe(&square(i).image(), MOTION);
        let place = square(i).place();
        shown(place, |into| stabilizer.propagate(place, into)).expect("there is a history");
    }
    let stylized = square(9).planar();
    let shown = show(&mut stabilizer, &square(9), &stylized);
    // Disoccluded since the last inference: between the square's position then and now.
    let disoccluded = (44..76).flat_map(|y| (46..64).map(move |x| y * 200 + x));
    let ghosts: Vec<f32> = disoccluded.map(|at| ((shown[at] - stylized[at]) / (0.75 - stylized[at])).abs()).collect();
    assert!(mean(&ghosts) < 0.08, "a share of {} on average", mean(&ghosts));
}

#[test]
fn a_cut_drops_the_history_and_a_flash_or_a_fade_keeps_it() {
    let scene = |seed: u64, light: f32| {
        Frame::new(160, 120, move |x, y| [seed, seed + 1, seed + 2].map(|s| light * texture(x, y, s)))
    };
    let mut stabilizer = Stabilizer::default();
    let mut noise = Noise(9);
    let mut step = |frame: &Frame| {
        let stylized = with_noise(&frame.planar(), 0.1, &mut noise);
        let shown = show(&mut stabilizer, frame, &stylized);
        (stabilizer.report(), worst(&shown, &stylized))
    };
    for _ in 0..5 {
        step(&scene(50, 0.8));
    }
    let (report, _) = step(&scene(50, 1.2));
    assert_eq!(report.change, Change::Flash);
    let (report, off) = step(&scene(50, 0.8));
    assert_eq!(report.change, Change::None, "after the flash the history is there again");
    assert!(off > 0.02);
    for i in 0..20 {
        let (report, _) = step(&scene(50, 0.8 - 0.035 * i as f32));
        assert_eq!(report.change, Change::None, "frame {i} of a fade");
    }
    step(&scene(50, 0.8));
    let (report, off) = step(&scene(90, 0.8));
    assert_eq!((report.change, off), (Change::Cut, 0.0), "nothing of the old scene is left");
    let (report, off) = step(&scene(90, 0.8));
    assert_eq!(report.change, Change::None);
    assert!(off > 0.0);
}

/// Remaining flicker of a moving, noisy stylized video, as a share of the raw one's.
fn flicker_left(lookahead: bool) -> f32 {
    let (width, height) = (128, 96);
    let (mut stabilizer, mut noise) = (Stabilizer::default(), Noise(21));
    stabilizer.look_ahead(lookahead);
    let frame = |i: usize| Frame::textured(width, height, 60, |x, y| (x + i as f32, y));
    let (mut left, mut raw) = (0.0, 0.0);
    for i in 0..40 {
        let (frame, clean) = (frame(i), frame(i).planar());
        let stylized = with_noise(&clean, 0.2, &mut noise);
        stabilizer.observe(&frame.image(), MOTION);
        let place = frame.place();
        let show = |into: &mut ImageMut<f32>| match lookahead {
            false => stabilizer.stabilize(&stylized, place, MOTION, into).unwrap(),
            true => stabilizer.stabilize_delayed(Some(&stylized), place, MOTION, into).unwrap(),
        };
        let (shown, of) = (shown(place, show), i.saturating_sub(usize::from(lookahead)));
        let (Some(shown), true) = (shown, i > 12) else { continue };
        let truth = Frame::textured(width, height, 60, |x, y| (x + of as f32, y)).planar();
        let off = |v: &[f32]| v.iter().zip(&truth).map(|(a, b)| (a - b).powi(2)).sum::<f32>();
        left += off(&shown);
        raw += clean.iter().zip(&stylized).map(|(a, b)| (a - b).powi(2)).sum::<f32>();
    }
    left / raw
}

#[test]
fn lookahead_removes_more_flicker() {
    let (without, with) = (flicker_left(false), flicker_left(true));
    assert!(with < 0.97 * without, "{with} instead of {without}");
}

#[test]
fn a_propagated_frame_is_the_history_moved_along_the_motion() {
    let (width, height) = (160, 120);
    let frame = |i: usize| Frame::textured(width, height, 70, |x, y| (x + 1.5 * i as f32, y - i as f32));
    let mut stabilizer = Stabilizer::default();
    stabilizer.keep_history(true);
    let place = frame(0).place();
    stabilizer.observe(&frame(0).image(), Smoothing::OFF);
    shown(place, |into| stabilizer.stabilize(&frame(0).planar(), place, Smoothing::OFF, into).unwrap());
    for i in 1..4 {
        let (now, still) = (frame(i), frame(0).planar());
        stabilizer.observe(&now.image(), Smoothing::OFF);
        assert!(stabilizer.can_propagate(place, false));
        let shown = shown(place, |into| stabilizer.propagate(place, into)).unwrap();
        let off = |v: &[f32]| mean(&v.iter().zip(&now.planar()).map(|(a, b)| (a - b).abs()).collect::<Vec<_>>());
        assert!(off(&shown) < 0.25 * off(&still), "frame {i}: {} instead of {}", off(&shown), off(&still));
    }
    let cut = Frame::textured(width, height, 99, |x, y| (x, y));
    stabilizer.observe(&cut.image(), Smoothing::OFF);
    assert!(!stabilizer.can_propagate(place, false), "a new scene has to be stylized");
}

#[test]
fn another_inference_size_continues_the_history() {
    let scene = |i: usize, shrink: usize| {
        let scale = shrink as f32;
        let place = move |x: f32, y: f32| ((x + 0.5) * scale - 0.5 + 2.0 * i as f32, (y + 0.5) * scale - 0.5);
        Frame::textured(192 / shrink, 128 / shrink, 80, place)
    };
    for (before, after) in [(1, 2), (2, 1), (1, 3)] {
        let mut old = Stabilizer::default();
        (0..8).for_each(|i| drop(show(&mut old, &scene(i, before), &scene(i, before).planar())));
        // Brighter than the history, which darkens it if it was taken over.
        let (next, mut new) = (scene(8, after), Stabilizer::default());
        let stylized: Vec<f32> = next.planar().iter().map(|v| (v + 0.1).min(1.0)).collect();
        new.continue_from(&mut old, (next.width, next.height), next.place());
        let shown = show(&mut new, &next, &stylized);
        assert_eq!(new.report().change, Change::None, "1/{before} to 1/{after}");
        let apart = |a: &[f32], b: &[f32]| mean(&a.iter().zip(b).map(|(a, b)| (a - b).abs()).collect::<Vec<_>>());
        let off = apart(&shown, &next.planar());
        assert!(off < 0.07, "1/{before} to 1/{after}: {off} from the history, where the stylized frame alone has 0.1");
        let mut fresh = Stabilizer::default();
        assert_eq!(show(&mut fresh, &next, &stylized), stylized, "without it the stylized frame is shown as it is");
    }
}

/// An opaque disc with a moving texture on a transparent background; `hidden` gives the colours under alpha 0.
struct Sprite {
    frame: Frame,
    alpha: Vec<u8>,
}

impl Sprite {
    fn new(i: usize, seed: u64, hidden: impl FnMut() -> u8) -> Self {
        let (width, height) = (128, 96);
        let mut frame = Frame::textured(width, height, seed, |x, y| (x - 1.5 * i as f32, y - 0.5 * i as f32));
        let disc = |at: usize| ((at % width) as f32 - 64.0, (at / width) as f32 - 48.0);
        let radius = |(x, y): (f32, f32)| (x * x + y * y).sqrt();
        let alpha: Vec<u8> =
            (0..width * height).map(|at| ((24.0 - radius(disc(at))) * 80.0).clamp(0.0, 255.0) as u8).collect();
        let mut hidden = hidden;
        for plane in &mut frame.planes {
            plane.iter_mut().zip(&alpha).filter(|(_, a)| **a == 0).for_each(|(v, _)| *v = hidden());
        }
        Self { frame, alpha }
    }

    fn image(&self) -> Image<'_, u8> {
        self.frame.image().with_alpha(&self.alpha, self.frame.width).unwrap()
    }
}

/// Changes, confidences and shown frames of sprites; the stylized frame is the input tensor itself.
fn stabilize_sprite(frames: &[Sprite]) -> Vec<(Change, f32, Vec<f32>)> {
    let mut stabilizer = Stabilizer::default();
    let stabilize = |sprite: &Sprite| {
        let (place, mut tensor) = (sprite.frame.place(), vec![0.0; sprite.frame.planar().len()]);
        ingest(&sprite.image(), &mut tensor, &Format::CANONICAL, &place).unwrap();
        stabilizer.observe(&sprite.image(), MOTION);
        let shown = shown(place, |into| stabilizer.stabilize(&tensor, place, MOTION, into).unwrap()).unwrap();
        (stabilizer.report().change, stabilizer.report().confidence, shown)
    };
    frames.iter().map(stabilize).collect()
}

#[test]
fn colours_under_alpha_zero_change_neither_motion_nor_confidence_nor_output() {
    let frames = |hidden: &mut dyn FnMut() -> u8| (0..8).map(|i| Sprite::new(i, 8, &mut *hidden)).collect::<Vec<_>>();
    let mut noise = Noise(4);
    let plain = stabilize_sprite(&frames(&mut || 0));
    let noisy = stabilize_sprite(&frames(&mut || (noise.next() * 255.0) as u8));
    for (i, (plain, noisy)) in plain.iter().zip(&noisy).enumerate() {
        assert_eq!(noisy.0, if i == 0 { Change::Cut } else { Change::None }, "frame {i}");
        assert!(plain == noisy, "frame {i} differs by what is hidden");
        assert!(i == 0 || noisy.1 > 0.8, "a confidence of {} in frame {i}", noisy.1);
    }
}

/// Less than a fifth of the frame is visible, and all of it changes.
#[test]
fn a_cut_within_the_visible_part_is_a_cut() {
    let mut frames: Vec<Sprite> = (0..3).map(|i| Sprite::new(i, 8, || 0)).collect();
    frames.extend((3..6).map(|i| Sprite::new(i, 90, || 0)));
    let changes: Vec<Change> = stabilize_sprite(&frames).iter().map(|frame| frame.0).collect();
    let expected = [Change::Cut, Change::None, Change::None, Change::Cut, Change::None, Change::None];
    assert_eq!(changes, expected);
}

#[test]
fn frames_in_which_nothing_is_visible_are_no_cut() {
    let mut noise = Noise(4);
    let mut frames: Vec<Sprite> = (0..3).map(|i| Sprite::new(i, 8, || (noise.next() * 255.0) as u8)).collect();
    frames.iter_mut().for_each(|sprite| sprite.alpha.fill(0));
    let reports = stabilize_sprite(&frames);
    assert!(reports[1..].iter().all(|(change, confidence, _)| (*change, *confidence) == (Change::None, 1.0)));
}

/// A square that moves fast enough to uncover a large area, or a pan that uncovers a strip along the border.
fn propagated_until_inference(frame: impl Fn(usize) -> Frame, late: bool) -> usize {
    let (mut stabilizer, place) = (Stabilizer::default(), frame(0).place());
    stabilizer.keep_history(true);
    stabilizer.observe(&frame(0).image(), Smoothing::OFF);
    shown(place, |into| stabilizer.stabilize(&frame(0).planar(), place, Smoothing::OFF, into).unwrap());
    let mut propagated = 0;
    while propagated < 12 {
        stabilizer.observe(&frame(propagated + 1).image(), Smoothing::OFF);
        if !stabilizer.can_propagate(place, late) {
            break;
        }
        shown(place, |into| stabilizer.propagate(place, into)).unwrap();
        propagated += 1;
    }
    propagated
}

#[test]
fn a_large_connected_disoccluded_area_ends_propagation_early() {
    // 11 pixels a frame uncover 11 x 40 of 200 x 120 pixels: 1.8 % of the frame in one place.
    let uncovering = |i: usize| red_square(i, 11);
    let pan = |i: usize| Frame::textured(200, 120, 70, |x, y| (x + 2.0 * i as f32, y));
    let (square, late, pan) = (
        propagated_until_inference(uncovering, false),
        propagated_until_inference(uncovering, true),
        propagated_until_inference(pan, false),
    );
    assert!(square < 2, "{square} frames are propagated over a large uncovered area");
    assert!(late >= square, "a late frame is propagated no less: {late}");
    assert!(pan >= 8, "only {pan} frames of a slow pan are propagated");
}

/// Frames are identified by their order: every one comes out once, one call later, whatever its time.
#[test]
fn lookahead_returns_every_frame_once_and_in_order() {
    let mut stabilizer = Stabilizer::default();
    stabilizer.look_ahead(true);
    let frame = |i: usize| Frame::new(32, 24, move |_, _| [0.1 * i as f32; 3]);
    let (place, mut out) = (frame(0).place(), vec![]);
    for i in 0..5 {
        stabilizer.observe(&frame(i).image(), Smoothing::OFF);
        let stylized = frame(i).planar();
        let show = |into: &mut ImageMut<f32>| {
            stabilizer.stabilize_delayed(Some(&stylized), place, Smoothing::OFF, into).unwrap()
        };
        out.extend(shown(place, show));
        assert_eq!(out.len(), i);
    }
    out.extend(shown(place, |into| stabilizer.drain(place, Smoothing::OFF, into).unwrap()));
    let expected: Vec<Vec<f32>> = (0..5).map(|i| frame(i).planar()).collect();
    assert_eq!(out, expected);
    assert!(shown(place, |into| stabilizer.drain(place, Smoothing::OFF, into).unwrap()).is_none(), "drained twice");
}
