//! One patch of the search: its photometric error at a position between pixels, and the gradient descent to a smaller one.
//!
//! Input: a plane of the new frame, a plane of the previous one, candidate vectors. Output: the best vector of the patch. It
//! is inverse compositional Lucas-Kanade with the mean subtracted (Baker and Matthews 2004; Kroeger et al. 2016,
//! section 2.1).

use fearless_simd::{f32x8, prelude::*};

use crate::flow::Vector;
use crate::flow::pyramid::{PAD, Plane, floor};
use crate::frame::lanes::{LANES, eight};

/// Side of a patch in pixels: a row is one SIMD vector.
pub const PATCH: usize = LANES;
const AREA: f32 = (PATCH * PATCH) as f32;
/// Most steps of the descent; most patches need four.
const ITERATIONS: usize = 12;
/// A patch that moves farther than this from its start, in pixels, has diverged.
const DIVERGED: f32 = PATCH as f32;
/// Vectors that differ by less than this, in pixels, are equal.
const CONVERGED: f32 = 0.06;
/// Added to the diagonal of the Hessian (squared gradient summed over a patch): patches with one straight edge do not slide
/// along it, and flat ones keep the motion of their neighbours.
const DAMPING: f32 = 40.0;

/// Squared Euclidean distance.
pub fn squared_distance(a: Vector, b: Vector) -> f32 {
    (a[0] - b[0]).powi(2) + (a[1] - b[1]).powi(2)
}

/// Chebyshev distance: the larger of the horizontal and the vertical difference.
pub fn distance(a: Vector, b: Vector) -> f32 {
    (a[0] - b[0]).abs().max((a[1] - b[1]).abs())
}

/// A patch of the new frame with its gradients and inverse Hessian.
pub struct Template {
    x: f32,
    y: f32,
    pixels: [[f32; PATCH]; PATCH],
    dx: [[f32; PATCH]; PATCH],
    dy: [[f32; PATCH]; PATCH],
    sums: Vector,
    inverse: [f32; 3],
}

/// A patch at a position: the squared error with the mean subtracted, and the Gauss-Newton step.
struct Fit {
    error: f32,
    step: Vector,
}

/// A patch-sized window at a position between pixels, sampled bilinearly.
pub struct Window {
    x: isize,
    y: isize,
    across: f32,
    down: f32,
}

impl Window {
    /// At column `x` and row `y`, clamped to the padding.
    #[inline(always)]
    pub fn at(plane: &Plane, x: f32, y: f32) -> Self {
        let limit = |v: f32, side: usize| v.clamp(1.0 - PAD as f32, (side + PAD - PATCH) as f32 - 2.0);
        let (x, y) = (limit(x, plane.width()), limit(y, plane.height()));
        let (left, top) = (floor(x), floor(y));
        Self { x: left as isize, y: top as isize, across: x - left as f32, down: y - top as f32 }
    }

    /// Calls `each` with the index and the pixels of every row.
    #[inline(always)]
    pub fn rows<S: Simd>(&self, simd: S, plane: &Plane, mut each: impl FnMut(usize, f32x8<S>)) {
        let mut above = self.line(simd, plane, 0);
        for row in 0..PATCH {
            let below = self.line(simd, plane, row + 1);
            each(row, below.mul_add(self.down, above * (1.0 - self.down)));
            above = below;
        }
    }

    /// A row of pixels, interpolated horizontally.
    #[inline(always)]
    fn line<S: Simd>(&self, simd: S, plane: &Plane, row: usize) -> f32x8<S> {
        let run: &[f32; PATCH + 1] = plane.run(self.x, self.y + row as isize);
        part(simd, run, 1).mul_add(self.across, part(simd, run, 0) * (1.0 - self.across))
    }
}

/// Eight pixels from index `from` on.
#[inline(always)]
fn part<S: Simd>(simd: S, run: &[f32], from: usize) -> f32x8<S> {
    f32x8::from_slice(simd, &run[from..from + LANES])
}

impl Template {
    /// The patch whose first pixel is at column `x` and row `y`.
    #[inline(always)]
    pub fn cut<S: Simd>(simd: S, plane: &Plane, x: usize, y: usize) -> Self {
        let zero = [[0.0; PATCH]; PATCH];
        let (mut pixels, mut dx, mut dy) = (zero, zero, zero);
        let none = f32x8::splat(simd, 0.0);
        let (mut xx, mut xy, mut yy, mut sx, mut sy) = (none, none, none, none, none);
        let line = |row: usize| -> &[f32; PATCH + 2] { plane.run(x as isize - 1, (y + row) as isize - 1) };
        let (mut above, mut here) = (line(0), line(1));
        for row in 0..PATCH {
            let below = line(row + 2);
            let gx = (part(simd, here, 2) - part(simd, here, 0)) * 0.5;
            let gy = (part(simd, below, 1) - part(simd, above, 1)) * 0.5;
            pixels[row].copy_from_slice(&here[1..=PATCH]);
            gx.store_array(&mut dx[row]);
            gy.store_array(&mut dy[row]);
            xx = gx.mul_add(gx, xx);
            xy = gx.mul_add(gy, xy);
            yy = gy.mul_add(gy, yy);
            sx += gx;
            sy += gy;
            (above, here) = (here, below);
        }
        let (sx, sy) = (sx.reduce_sum(), sy.reduce_sum());
        let (xx, xy, yy) = (xx.reduce_sum(), xy.reduce_sum(), yy.reduce_sum());
        let (xx, xy, yy) = (xx - sx * sx / AREA, xy - sx * sy / AREA, yy - sy * sy / AREA);
        Self { x: x as f32, y: y as f32, pixels, dx, dy, sums: [sx, sy], inverse: damped_inverse(xx, xy, yy) }
    }

    #[inline(always)]
    fn fit<S: Simd>(&self, simd: S, old: &Plane, vector: Vector) -> Fit {
        let window = Window::at(old, self.x + vector[0], self.y + vector[1]);
        let none = f32x8::splat(simd, 0.0);
        let (mut bx, mut by, mut sum, mut squares) = (none, none, none, none);
        window.rows(
            simd,
            old,
            #[inline(always)]
            |row, there| {
                let error = there - eight(simd, &self.pixels[row]);
                bx = error.mul_add(eight(simd, &self.dx[row]), bx);
                by = error.mul_add(eight(simd, &self.dy[row]), by);
                sum += error;
                squares = error.mul_add(error, squares);
            },
        );
        let (sum, squares) = (sum.reduce_sum(), squares.reduce_sum());
        let (bx, by) = (bx.reduce_sum(), by.reduce_sum());
        let (bx, by) = (bx - self.sums[0] * sum / AREA, by - self.sums[1] * sum / AREA);
        let [a, b, c] = self.inverse;
        Fit { error: squares - sum * sum / AREA, step: [a * bx + b * by, b * bx + c * by] }
    }

    /// The best of the candidates, refined by descent; zero motion if the first candidate is missing.
    #[inline(always)]
    pub fn search<S: Simd>(&self, simd: S, old: &Plane, candidates: [Option<Vector>; 3]) -> Vector {
        let [Some(mut best), ..] = candidates else { return [0.0; 2] };
        let mut fit = self.fit(simd, old, best);
        for other in candidates[1..].iter().flatten() {
            if distance(*other, best) > CONVERGED {
                let rival = self.fit(simd, old, *other);
                if rival.error < fit.error {
                    (best, fit) = (*other, rival);
                }
            }
        }
        let start = best;
        for _ in 0..ITERATIONS {
            let next = [best[0] - fit.step[0], best[1] - fit.step[1]];
            if distance(next, start) > DIVERGED {
                return start;
            }
            if distance(next, best) < CONVERGED {
                return next;
            }
            let moved = self.fit(simd, old, next);
            if moved.error >= fit.error {
                break;
            }
            (best, fit) = (next, moved);
        }
        best
    }
}

/// Inverse of the damped symmetric Hessian: its elements xx, xy and yy.
fn damped_inverse(xx: f32, xy: f32, yy: f32) -> [f32; 3] {
    let (xx, yy) = (xx + DAMPING, yy + DAMPING);
    let determinant = xx * yy - xy * xy;
    [yy / determinant, -xy / determinant, xx / determinant]
}
