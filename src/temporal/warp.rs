//! The carried history: bicubic warp and blend in one pass, and what keeps it sharp.
//!
//! Comes in: the history, the motion, the new painting. Goes out: the blend. Pixels lie as red, green, blue and a
//! spare lane, so that one tap of the warp is one vector.

use wide::f32x4;

use super::confidence::Field;

/// Red, green, blue, spare.
pub type Pixel = f32x4;

/// How much of the history is taken.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Weights {
    /// Where history and painting agree.
    pub low: f32,
    /// Where they differ: with the scene unchanged, that is flicker.
    pub high: f32,
}

/// Difference of history and painting at which the weight is half way from low to high.
const FLICKER: f32 = 0.05;
/// Less trust than this is none.
const LEAST: f32 = 0.02;

/// As close to a pixel as this is on it: nothing to interpolate, as in most of what a still camera sees.
const ON_PIXEL: Pixel = Pixel::new([0.02, 0.02, 0.0, 0.0]);
/// Leaves columns and rows to be judged, and not the other lanes.
const BOTH_AXES: Pixel = Pixel::new([0.0, 0.0, f32::from_bits(u32::MAX), f32::from_bits(u32::MAX)]);

/// Size of the painting, and where the picture that moved lies in it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Canvas {
    /// Pixels in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// First pixel of the picture, and its size; around it is padding.
    pub origin: (usize, usize),
    /// Size of the picture in the painting.
    pub picture: (usize, usize),
}

/// Where a row or column of the painting lies between those of the motion field.
#[derive(Debug, Clone, Copy)]
struct Between {
    low: u32,
    share: f32,
}

/// Warps and blends; holds tables and scratch of one size.
#[derive(Debug, Default)]
pub struct Carrier {
    canvas: Option<Canvas>,
    field: (usize, usize),
    columns: Vec<Between>,
    rows: Vec<Between>,
    row: Vec<Pixel>,
}

impl Carrier {
    fn prepare(&mut self, canvas: Canvas, field: &Field) {
        if self.canvas == Some(canvas) && self.field == (field.width, field.height) {
            return;
        }
        let table = |count: usize, origin: usize, picture: usize, cells: usize| -> Vec<Between> {
            let scale = cells as f32 / picture as f32;
            let place = |i: usize| {
                let at = ((i as f32 - origin as f32 + 0.5) * scale - 0.5).clamp(0.0, cells as f32 - 1.0);
                let low = (at as usize).min(cells.saturating_sub(2));
                Between { low: low as u32, share: at - low as f32 }
            };
            (0..count).map(place).collect()
        };
        self.columns = table(canvas.width, canvas.origin.0, canvas.picture.0, field.width);
        self.rows = table(canvas.height, canvas.origin.1, canvas.picture.1, field.height);
        self.row.resize(field.width + 1, Pixel::ZERO);
        (self.canvas, self.field) = (Some(canvas), (field.width, field.height));
    }

    /// The motion and trust of one row of the painting, at the columns of the field.
    fn take_row(&mut self, field: &Field, y: usize) {
        let Between { low, share } = self.rows[y];
        let above = &field.cells[low as usize * field.width..][..field.width];
        let below = &field.cells[(low as usize + 1).min(field.height - 1) * field.width..][..field.width];
        for ((cell, a), b) in self.row.iter_mut().zip(above).zip(below) {
            let lanes = |v: &[f32; 3]| Pixel::new([v[0], v[1], v[2], 0.0]);
            *cell = lanes(a) + (lanes(b) - lanes(a)) * share;
        }
        self.row[field.width] = self.row[field.width - 1];
    }

    /// Blends `fresh` (planar) with the warped `history` into `blend`. The spare lane of a blended pixel is the share
    /// of history in it, and `blur` the strength of the blur that the warp's interpolation left, 0..=1.
    pub fn carry(
        &mut self,
        canvas: Canvas,
        field: &Field,
        history: &[Pixel],
        fresh: &[f32],
        weights: Weights,
        (blend, blur): (&mut [Pixel], &mut [f32]),
    ) {
        let (red, rest) = fresh.split_at(canvas.width * canvas.height);
        let (green, blue) = rest.split_at(canvas.width * canvas.height);
        self.walk(canvas, field, history, Reach::Trusted, |at, found| {
            let new = unit(Pixel::new([red[at], green[at], blue[at], 0.0]));
            (blend[at], blur[at]) = match found {
                Some(found) => (mixed(new, found.pixel, found.trust, weights), found.blur),
                None => (new, 0.0),
            };
        });
    }

    /// The `history` carried along the motion, whether it can be trusted or not; for a frame that is not painted.
    pub fn slide(
        &mut self,
        canvas: Canvas,
        field: &Field,
        history: &[Pixel],
        (blend, blur): (&mut [Pixel], &mut [f32]),
    ) {
        self.walk(canvas, field, history, Reach::Everywhere, |at, found| {
            if let Some(found) = found {
                (blend[at], blur[at]) = (unit(found.pixel), found.blur);
            }
        });
    }

    /// The `history` carried along the motion (planar), and the trust in it: what a recurrent model is fed. Both are 0
    /// where there is nothing to trust.
    pub fn guide(
        &mut self,
        canvas: Canvas,
        field: &Field,
        history: &[Pixel],
        (previous, confidence): (&mut [f32], &mut [f32]),
    ) {
        let (red, rest) = previous.split_at_mut(canvas.width * canvas.height);
        let (green, blue) = rest.split_at_mut(canvas.width * canvas.height);
        self.walk(canvas, field, history, Reach::Trusted, |at, found| {
            let (pixel, trust) = found.map_or((Pixel::ZERO, 0.0), |found| (unit(found.pixel), found.trust));
            let [r, g, b, _] = pixel.to_array();
            (red[at], green[at], blue[at], confidence[at]) = (r, g, b, trust.min(1.0));
        });
    }

    /// Looks up every pixel of the painting where it was in the `history`, row after row.
    #[inline(always)]
    fn walk(
        &mut self,
        canvas: Canvas,
        field: &Field,
        history: &[Pixel],
        reach: Reach,
        mut visit: impl FnMut(usize, Option<Found>),
    ) {
        self.prepare(canvas, field);
        let (width, height) = (canvas.width, canvas.height);
        let scale = |picture: usize, cells: usize| picture as f32 / cells as f32;
        let scale = Pixel::new([scale(canvas.picture.0, field.width), scale(canvas.picture.1, field.height), 1.0, 0.0]);
        let least = Pixel::new([0.0, 0.0, LEAST, 0.0]);
        let most = Pixel::new([(width - 1) as f32, (height - 1) as f32, f32::MAX, 0.0]);
        for y in 0..height {
            self.take_row(field, y);
            for x in 0..width {
                let Between { low, share } = self.columns[x];
                let (left, right) = (self.row[low as usize], self.row[low as usize + 1]);
                // Column, row and trust, side by side.
                let mut at = (left + (right - left) * share) * scale + Pixel::new([x as f32, y as f32, 0.0, 0.0]);
                if reach == Reach::Everywhere {
                    at = at.fast_max(Pixel::ZERO).fast_min(most);
                } else if !(at.simd_ge(least) & at.simd_le(most)).all() {
                    visit(y * width + x, None);
                    continue;
                }
                let whole = (at + ON_PIXEL).fast_trunc_int();
                let fraction = at - Pixel::from_i32x4(whole);
                let [column, line, ..] = whole.to_array();
                let place = (column as usize, line as usize);
                let pixel = match (fraction.simd_le(ON_PIXEL) | BOTH_AXES).all() {
                    true => history[place.1 * width + place.0],
                    false => sample(history, width, height, place, fraction),
                };
                let [fx, fy, ..] = (fraction * (Pixel::ONE - fraction) * 4.0).to_array();
                let found = Found { pixel, trust: at.to_array()[2], blur: fx.max(fy).max(0.0) };
                visit(y * width + x, Some(found));
            }
        }
    }
}

/// Which pixels of the history are looked up.
#[derive(Clone, Copy, PartialEq)]
enum Reach {
    /// Those that can be trusted and lie inside.
    Trusted,
    /// All; beyond the border is what lies on it.
    Everywhere,
}

/// A pixel of the history, where it was.
struct Found {
    pixel: Pixel,
    trust: f32,
    /// Strength of the blur that the interpolation left, 0..=1.
    blur: f32,
}

#[inline(always)]
pub(super) fn unit(pixel: Pixel) -> Pixel {
    pixel.fast_max(Pixel::ZERO).fast_min(Pixel::ONE)
}

#[inline(always)]
fn mixed(new: Pixel, old: Pixel, trust: f32, weights: Weights) -> Pixel {
    let old = unit(old);
    let [r, g, b, before] = (new - old).abs().to_array();
    let off = (r + g + b) * (1.0 / 3.0);
    let flicker = off * off / (off * off + FLICKER * FLICKER);
    // A history that was hardly trusted itself is a mean of few frames: it counts as one.
    let most = 0.6 + 0.4 * before;
    let share = (trust * (weights.low + (weights.high - weights.low) * flicker)).min(most);
    // The spare lane of `new` is 0, and that of the difference becomes the share.
    let step = (old - new) * SCENE + SPARE;
    new + step * share
}

const SCENE: Pixel = Pixel::new([1.0, 1.0, 1.0, 0.0]);
const SPARE: Pixel = Pixel::new([0.0, 0.0, 0.0, 1.0]);

/// Catmull-Rom weights (Keys 1981, a = -1/2) of the four taps around a place, for each lane.
#[inline(always)]
fn cubic(f: Pixel) -> [Pixel; 4] {
    let (f2, f3) = (f * f, f * f * f);
    let ends = (f3 + f) * -0.5;
    [f2 + ends, f3 * 1.5 - f2 * 2.5 + Pixel::ONE, f2 * 2.0 + f * 0.5 - f3 * 1.5, (f3 - f2) * 0.5]
}

/// The history between its pixels; `at` is the pixel above and to the left, `fraction` the way to the next.
#[inline(always)]
fn sample(history: &[Pixel], width: usize, height: usize, at: (usize, usize), fraction: Pixel) -> Pixel {
    let weights = cubic(fraction).map(Pixel::to_array);
    let (wx, wy) = (weights.map(|w| w[0]), weights.map(|w| w[1]));
    if at.0 >= 1 && at.0 + 2 < width && at.1 >= 1 && at.1 + 2 < height {
        let line = |j: usize| history[(at.1 + j - 1) * width + at.0 - 1..].first_chunk::<4>();
        if let (Some(a), Some(b), Some(c), Some(d)) = (line(0), line(1), line(2), line(3)) {
            return weigh([a, b, c, d], wx, wy);
        }
    }
    let near = |i: usize, side: usize| i.saturating_sub(1).min(side - 1);
    let line = |j: usize| [0, 1, 2, 3].map(|i| history[near(at.1 + j, height) * width + near(at.0 + i, width)]);
    weigh([&line(0), &line(1), &line(2), &line(3)], wx, wy)
}

#[inline(always)]
fn weigh(taps: [&[Pixel; 4]; 4], wx: [f32; 4], wy: [f32; 4]) -> Pixel {
    let wx = wx.map(Pixel::splat);
    let line = |[a, b, c, d]: &[Pixel; 4]| *a * wx[0] + *b * wx[1] + *c * wx[2] + *d * wx[3];
    line(taps[0]) * wy[0] + line(taps[1]) * wy[1] + line(taps[2]) * wy[2] + line(taps[3]) * wy[3]
}
