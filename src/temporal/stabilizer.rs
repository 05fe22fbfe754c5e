//! The blend of the new painting with the history of earlier ones.
//!
//! Comes in: a frame, then its painting, planar RGB `f32` in 0..=1. Goes out: the painting to show. The history is
//! carried along the motion of the frames (temporal accumulation as in Yang et al. 2020, "A Survey of Temporal
//! Antialiasing Techniques"; motion as trust in it after Ruder et al. 2018).

use std::time::Duration;

use super::estimator::Estimator;
use super::meter::{Errors, Meter};
use super::scene_cut::{Change, Watch};
use super::warp::{Canvas, Carrier, Finish, Pixel, Weights, finish};
use crate::image::{Image, Sample};

/// How the history is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Not at all.
    None,
    /// Exponential average: the share `smoothing` of what is shown comes from what was shown before.
    Average,
    /// Average along the motion, where the history can be trusted.
    Motion,
}

/// What the user wants of the history.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Smoothing {
    /// How it is used.
    pub method: Method,
    /// Its share, 0 (none) ..= 1 (with `Average`: never changes).
    pub amount: f32,
}

impl Smoothing {
    /// Every painting for itself.
    pub const OFF: Smoothing = Smoothing { method: Method::None, amount: 0.0 };

    /// Whether there is nothing to do.
    pub fn is_off(self) -> bool {
        self.method == Method::None || self.amount <= 0.0
    }

    /// The share of history where it agrees with the painting, and where it does not. At 0.75: 0.72 and 0.92; never so
    /// much that the picture freezes.
    fn weights(self) -> Weights {
        let amount = self.amount.clamp(0.0, 1.0);
        Weights { low: 0.96 * amount, high: amount.powf(0.29).min(0.97) }
    }
}

/// What became of the last frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Report {
    /// What happened since the frame before; `Cut` for the first.
    pub change: Change,
    /// Mean trust in the history, 0..=1.
    pub trust: f32,
    /// Mean warping errors so far.
    pub errors: Errors,
    /// How long the motion search took, on its thread.
    pub motion: Duration,
    /// How long warp and blend took.
    pub blend: Duration,
}

impl Report {
    const NOTHING: Report = Report {
        change: Change::Cut,
        trust: 0.0,
        errors: Errors { raw: 0.0, shown: 0.0 },
        motion: Duration::ZERO,
        blend: Duration::ZERO,
    };
}

/// Detail of the shown painting that is asked for, as a share of the raw one's.
const DETAIL: f32 = 0.91;
/// How fast the sharpening rises with what is missing, and where it ends.
const SLOPE: f32 = 3.4;
const STRONGEST: f32 = 2.0;
/// Makes up for the blur of one bicubic warp.
const KEPT: f32 = 0.18;

/// Share of the difference in mean colour that is taken off with every frame.
const LIFT: f32 = 0.3;

/// Holds the history.
#[derive(Debug)]
pub struct Stabilizer {
    /// What was shown last; for the average it is the history.
    shown: Vec<f32>,
    canvas: Option<Canvas>,
    method: Method,
    estimator: Estimator,
    watch: Watch,
    meter: Meter,
    carrier: Carrier,
    history: Vec<Pixel>,
    blend: Vec<Pixel>,
    blur: Vec<f32>,
    column: Vec<Pixel>,
    report: Report,
}

impl Default for Stabilizer {
    fn default() -> Self {
        Self {
            shown: Vec::new(),
            canvas: None,
            method: Method::None,
            estimator: Estimator::default(),
            watch: Watch::default(),
            meter: Meter::default(),
            carrier: Carrier::default(),
            history: Vec::new(),
            blend: Vec::new(),
            blur: Vec::new(),
            column: Vec::new(),
            report: Report::NOTHING,
        }
    }
}

impl Stabilizer {
    /// Forgets the history: the next painting is shown as it is. The memory is kept.
    pub fn reset(&mut self) {
        self.canvas = None;
        self.estimator.reset();
        self.meter.reset();
        self.report = Report::NOTHING;
    }

    /// What became of the last frame.
    pub fn report(&self) -> Report {
        self.report
    }

    /// Takes a frame before it is painted, so that its motion is found meanwhile.
    pub fn observe<S: Sample>(&mut self, image: &Image<S>, smoothing: Smoothing) {
        if smoothing.method == Method::Motion && !smoothing.is_off() {
            self.estimator.begin(image);
        }
    }

    /// Blends `fresh` with the history and returns what to show.
    ///
    /// A painting of another size, or another method, starts a new history. `fresh` must be finite and of
    /// 3 x width x height values.
    pub fn steady<'a>(&'a mut self, fresh: &'a [f32], canvas: Canvas, smoothing: Smoothing) -> &'a [f32] {
        if smoothing.is_off() {
            self.reset();
            return fresh;
        }
        if self.canvas != Some(canvas) || self.method != smoothing.method {
            self.canvas = None;
            self.method = smoothing.method;
        }
        match smoothing.method {
            Method::Motion => self.follow(fresh, canvas, smoothing),
            _ => self.average(fresh, canvas, smoothing),
        }
    }

    fn average<'a>(&'a mut self, fresh: &[f32], canvas: Canvas, smoothing: Smoothing) -> &'a [f32] {
        if self.canvas.replace(canvas).is_none() {
            self.shown.clear();
            self.shown.extend_from_slice(fresh);
            return &self.shown;
        }
        let share = 1.0 - smoothing.amount.min(1.0);
        for (old, new) in self.shown.iter_mut().zip(fresh) {
            *old += (new - *old) * share;
        }
        &self.shown
    }

    fn follow<'a>(&'a mut self, fresh: &'a [f32], canvas: Canvas, smoothing: Smoothing) -> &'a [f32] {
        let started = std::time::Instant::now();
        let had_history = self.canvas.replace(canvas).is_some();
        let found = self.estimator.estimate();
        let change = found.map_or(Change::Cut, |found| self.watch.judge(found.seen));
        self.report = Report { change, errors: self.meter.errors(), ..Report::NOTHING };
        if let Some(found) = found {
            (self.report.trust, self.report.motion) = (found.seen.trust, found.took);
        }
        match (change, found) {
            // The history waits for the light to come back, and so does the frame that it belongs to.
            (Change::Flash, _) if had_history => return fresh,
            (Change::None, Some(found)) if had_history => {
                let weights = smoothing.weights();
                let into = (&mut self.blend[..], &mut self.blur[..]);
                self.carrier.carry(canvas, found.field, &self.history, fresh, weights, into);
            }
            _ => {
                self.meter.reset();
                self.estimator.accept();
                self.restart(fresh, canvas);
                return fresh;
            }
        }
        let missing = DETAIL * detail_planar(fresh, canvas) / detail(&self.blend, canvas.width).max(1e-6) - 1.0;
        let lift = (mean_planar(fresh, canvas) - mean(&self.blend, canvas.width)) * LIFT;
        let how = Finish { shown: (SLOPE * missing).clamp(0.0, STRONGEST), kept: KEPT, lift };
        self.shown.resize(fresh.len(), 0.0);
        finish(canvas.width, &self.blend, &self.blur, how, &mut self.column, &mut self.shown, &mut self.history);
        if let Some(found) = self.estimator.estimate() {
            self.meter.look(canvas, found.field, fresh, &self.shown);
        }
        self.estimator.accept();
        self.report.blend = started.elapsed();
        &self.shown
    }

    /// The painting becomes the history.
    fn restart(&mut self, fresh: &[f32], canvas: Canvas) {
        let area = canvas.width * canvas.height;
        self.blend.resize(area, Pixel::ZERO);
        self.blur.resize(area, 0.0);
        self.history.clear();
        let (red, rest) = fresh.split_at(area);
        let (green, blue) = rest.split_at(area);
        let pixels =
            red.iter().zip(green).zip(blue).map(|((r, g), b)| Pixel::new([*r, *g, *b, 0.0].map(|v| v.clamp(0.0, 1.0))));
        self.history.extend(pixels);
    }
}

/// Rows between those that detail is measured in.
const EVERY: usize = 4;

/// Sum of the absolute Laplacian of green over every fourth row.
fn detail(pixels: &[Pixel], width: usize) -> f32 {
    let row = |y: usize| pixels[y * width..(y + 1) * width].iter().map(|p| p.as_array()[1]);
    detail_of_rows(pixels.len() / width, row)
}

/// The same of a planar painting.
fn detail_planar(planar: &[f32], canvas: Canvas) -> f32 {
    let green = &planar[canvas.width * canvas.height..];
    let row = |y: usize| green[y * canvas.width..(y + 1) * canvas.width].iter().map(|v| v.clamp(0.0, 1.0));
    detail_of_rows(canvas.height, row)
}

fn detail_of_rows<I: Iterator<Item = f32>>(height: usize, row: impl Fn(usize) -> I) -> f32 {
    let mut sum = 0.0;
    for y in (1..height.saturating_sub(1)).step_by(EVERY) {
        let middle = row(y).zip(row(y).skip(1)).zip(row(y).skip(2));
        let beside = row(y - 1).skip(1).zip(row(y + 1).skip(1));
        sum += middle.zip(beside).map(|(((a, b), c), (d, e))| (a + c + d + e - 4.0 * b).abs()).sum::<f32>();
    }
    sum
}

/// Mean colour of every fourth row.
fn mean(pixels: &[Pixel], width: usize) -> Pixel {
    let rows = pixels.chunks_exact(width).step_by(EVERY);
    let count = rows.len() * width;
    rows.flatten().fold(Pixel::ZERO, |sum, p| sum + *p) * RGB * (1.0 / count as f32)
}

/// The same of a planar painting.
fn mean_planar(planar: &[f32], canvas: Canvas) -> Pixel {
    let mut mean = [0.0; 4];
    for (mean, plane) in mean.iter_mut().zip(planar.chunks_exact(canvas.width * canvas.height)) {
        let rows = plane.chunks_exact(canvas.width).step_by(EVERY);
        let count = rows.len() * canvas.width;
        *mean = rows.flatten().map(|v| v.clamp(0.0, 1.0)).sum::<f32>() / count as f32;
    }
    Pixel::new(mean)
}

const RGB: Pixel = Pixel::new([1.0, 1.0, 1.0, 0.0]);

#[cfg(test)]
mod tests {
    use super::*;

    const HALF: Smoothing = Smoothing { method: Method::Average, amount: 0.5 };

    fn canvas(width: usize) -> Canvas {
        Canvas { width, height: 1, origin: (0, 0), picture: (width, 1) }
    }

    #[test]
    fn the_average_approaches_a_step_by_halves() {
        let mut stabilizer = Stabilizer::default();
        assert_eq!(stabilizer.steady(&[0.0; 3], canvas(1), HALF), [0.0; 3]);
        let shown: Vec<f32> = (0..4).map(|_| stabilizer.steady(&[1.0; 3], canvas(1), HALF)[0]).collect();
        assert_eq!(shown, [0.5, 0.75, 0.875, 0.9375]);
    }

    #[test]
    fn reset_size_change_and_off_forget() {
        let mut stabilizer = Stabilizer::default();
        stabilizer.steady(&[0.0; 3], canvas(1), HALF);
        stabilizer.reset();
        assert_eq!(stabilizer.steady(&[1.0; 3], canvas(1), HALF), [1.0; 3]);
        assert_eq!(stabilizer.steady(&[0.5; 6], canvas(2), HALF), [0.5; 6]);
        assert_eq!(stabilizer.steady(&[1.0; 6], canvas(2), Smoothing::OFF), [1.0; 6]);
        assert_eq!(stabilizer.steady(&[0.5; 6], canvas(2), HALF), [0.5; 6]);
    }
}
