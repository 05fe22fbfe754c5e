//! Dense backward motion between two small grey pictures: where was each pixel one frame ago?
//!
//! Dense inverse search (Kroeger et al. 2016): patches of the new picture are searched in the old one by gradient
//! descent, coarse to fine; every pixel takes the mean of the patches that cover it, weighted by how
//! well they fit.

use super::plane::{PAD, Plane, Pyramid, floor};

const PATCH: usize = 8;
const STRIDE: usize = 4;
const AREA: f32 = (PATCH * PATCH) as f32;
/// Steps of the descent at most; most patches need four.
const ITERATIONS: usize = 12;
/// A patch that moved farther than this from where its search began has got lost.
const LOST: f32 = PATCH as f32;
/// Less gradient than this, squared and summed over a patch, is flat: its motion is what is around it.
const FLAT: f32 = 40.0;

/// Weight of a patch over its pixels: where one patch ends the next has taken over, so that motion is continuous and
/// the carried history shows no lattice of patches.
const TENT: [f32; PATCH] = [1.0, 3.0, 5.0, 7.0, 7.0, 5.0, 3.0, 1.0];

/// A vector in pixels, x then y.
pub type Vector = [f32; 2];

/// Dense motion: for each pixel of the new picture the way to its place in the old one.
#[derive(Debug, Clone, Default)]
pub struct Flow {
    /// Pixels in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Row after row.
    pub vectors: Vec<Vector>,
}

impl Flow {
    fn resize(&mut self, width: usize, height: usize) {
        (self.width, self.height) = (width, height);
        self.vectors.clear();
        self.vectors.resize(width * height, [0.0; 2]);
    }

    /// The vector of a pixel, or of the nearest to it.
    #[inline(always)]
    pub fn at(&self, x: usize, y: usize) -> Vector {
        self.vectors[y.min(self.height - 1) * self.width + x.min(self.width - 1)]
    }
}

/// The search and its memory.
#[derive(Debug, Default)]
pub struct Search {
    flow: Flow,
    coarser: Flow,
    patches: Vec<Vector>,
    weights: Vec<f32>,
}

/// A patch of the new picture, ready to be searched.
struct Template {
    x: f32,
    y: f32,
    pixels: [[f32; PATCH]; PATCH],
    dx: [[f32; PATCH]; PATCH],
    dy: [[f32; PATCH]; PATCH],
    sums: Vector,
    inverse: [f32; 3],
}

/// How a patch fits at a place: what is left when the means are taken off, and the step that would mend it.
struct Fit {
    error: f32,
    step: Vector,
}

impl Search {
    /// The motion from `new` back to `old`, in pixels of the largest level. Both must have the same sizes.
    pub fn run(&mut self, new: &Pyramid, old: &Pyramid) -> &Flow {
        self.flow.resize(0, 0);
        for (new, old) in new.levels().iter().zip(old.levels()).rev() {
            std::mem::swap(&mut self.flow, &mut self.coarser);
            self.flow.resize(new.width(), new.height());
            if new.width() < PATCH || new.height() < PATCH {
                continue;
            }
            self.search_level(new, old);
            self.densify(new, old);
        }
        &self.flow
    }

    fn search_level(&mut self, new: &Plane, old: &Plane) {
        let (columns, rows) = (count(new.width()), count(new.height()));
        self.patches.clear();
        self.patches.resize(columns * rows, [0.0; 2]);
        for row in 0..rows {
            for column in 0..columns {
                let (x, y) = (place(column, new.width()), place(row, new.height()));
                let index = row * columns + column;
                let template = Template::cut(new, x, y);
                let left = (column > 0).then(|| self.patches[index - 1]);
                let above = (row > 0).then(|| self.patches[index - columns]);
                let candidates = [Some(self.guess(x, y)), left, above];
                self.patches[index] = template.search(old, candidates);
            }
        }
        // Backwards, so that motion spreads from below and from the right too.
        for index in (0..columns * rows).rev() {
            let (row, column) = (index / columns, index % columns);
            let right = (column + 1 < columns).then(|| self.patches[index + 1]);
            let below = (row + 1 < rows).then(|| self.patches[index + columns]);
            let own = self.patches[index];
            let differs = |other: &Option<Vector>| other.is_some_and(|o| distance(o, own) > 0.5);
            if differs(&right) || differs(&below) {
                let template = Template::cut(new, place(column, new.width()), place(row, new.height()));
                self.patches[index] = template.search(old, [Some(own), right, below]);
            }
        }
    }

    fn guess(&self, x: usize, y: usize) -> Vector {
        if self.coarser.vectors.is_empty() {
            return [0.0; 2];
        }
        self.coarser.at((x + PATCH / 2) / 2, (y + PATCH / 2) / 2).map(|v| 2.0 * v)
    }

    /// Every pixel: the mean of the patches over it, by the inverse of how far their colours are off.
    fn densify(&mut self, new: &Plane, old: &Plane) {
        let (width, columns) = (new.width(), count(new.width()));
        self.weights.clear();
        self.weights.resize(self.flow.vectors.len(), 0.0);
        for (index, vector) in self.patches.iter().enumerate() {
            let (x, y) = (place(index % columns, width), place(index / columns, new.height()));
            let window = Window::at(old, x as f32 + vector[0], y as f32 + vector[1]);
            for (row, tent) in TENT.iter().enumerate() {
                let (seen, start) = (window.row(old, row), (y + row) * width + x);
                let own: &[f32; PATCH] = new.run(x as isize, (y + row) as isize);
                let weights = &mut self.weights[start..start + PATCH];
                let vectors = &mut self.flow.vectors[start..start + PATCH];
                for i in 0..PATCH {
                    let weight = tent * TENT[i] / (seen[i] - own[i]).abs().max(1.0);
                    weights[i] += weight;
                    vectors[i][0] += weight * vector[0];
                    vectors[i][1] += weight * vector[1];
                }
            }
        }
        for (vector, weight) in self.flow.vectors.iter_mut().zip(&self.weights) {
            *vector = vector.map(|v| v / weight);
        }
    }
}

/// Patches along a side.
fn count(side: usize) -> usize {
    (side - PATCH).div_ceil(STRIDE) + 1
}

/// First pixel of a patch; the last one ends with the side.
fn place(index: usize, side: usize) -> usize {
    (index * STRIDE).min(side - PATCH)
}

/// Squared length of the difference.
pub fn square(a: Vector, b: Vector) -> f32 {
    (a[0] - b[0]).powi(2) + (a[1] - b[1]).powi(2)
}

fn distance(a: Vector, b: Vector) -> f32 {
    (a[0] - b[0]).abs().max((a[1] - b[1]).abs())
}

/// A patch-sized window at a place between the pixels.
struct Window {
    x: isize,
    y: isize,
    weights: [f32; 4],
}

impl Window {
    fn at(plane: &Plane, x: f32, y: f32) -> Self {
        let limit = |v: f32, side: usize| v.clamp(1.0 - PAD as f32, (side + PAD - PATCH) as f32 - 2.0);
        let (x, y) = (limit(x, plane.width()), limit(y, plane.height()));
        let (left, top) = (floor(x), floor(y));
        let (fx, fy) = (x - left as f32, y - top as f32);
        let weights = [(1.0 - fx) * (1.0 - fy), fx * (1.0 - fy), (1.0 - fx) * fy, fx * fy];
        Self { x: left as isize, y: top as isize, weights }
    }

    #[inline(always)]
    fn row(&self, plane: &Plane, row: usize) -> [f32; PATCH] {
        let above: &[f32; PATCH + 1] = plane.run(self.x, self.y + row as isize);
        let below: &[f32; PATCH + 1] = plane.run(self.x, self.y + row as isize + 1);
        let [a, b, c, d] = self.weights;
        std::array::from_fn(|i| a * above[i] + b * above[i + 1] + c * below[i] + d * below[i + 1])
    }
}

impl Template {
    fn cut(plane: &Plane, x: usize, y: usize) -> Self {
        let zero = [[0.0; PATCH]; PATCH];
        let (mut pixels, mut dx, mut dy) = (zero, zero, zero);
        let [mut xx, mut xy, mut yy] = [[0.0f32; PATCH]; 3];
        let [mut sx, mut sy] = [[0.0f32; PATCH]; 2];
        for row in 0..PATCH {
            let (left, top) = (x as isize - 1, (y + row) as isize);
            let here: &[f32; PATCH + 2] = plane.run(left, top);
            let above: &[f32; PATCH] = plane.run(left + 1, top - 1);
            let below: &[f32; PATCH] = plane.run(left + 1, top + 1);
            for i in 0..PATCH {
                pixels[row][i] = here[i + 1];
                let (gx, gy) = (0.5 * (here[i + 2] - here[i]), 0.5 * (below[i] - above[i]));
                (dx[row][i], dy[row][i]) = (gx, gy);
                xx[i] += gx * gx;
                xy[i] += gx * gy;
                yy[i] += gy * gy;
                sx[i] += gx;
                sy[i] += gy;
            }
        }
        let [xx, xy, yy, sx, sy] = [xx, xy, yy, sx, sy].map(|lanes| lanes.iter().sum::<f32>());
        let (xx, xy, yy) = (xx - sx * sx / AREA, xy - sx * sy / AREA, yy - sy * sy / AREA);
        Self { x: x as f32, y: y as f32, pixels, dx, dy, sums: [sx, sy], inverse: inverse(xx, xy, yy) }
    }

    fn fit(&self, old: &Plane, vector: Vector) -> Fit {
        let window = Window::at(old, self.x + vector[0], self.y + vector[1]);
        let [mut bx, mut by, mut sum, mut squares] = [[0.0f32; PATCH]; 4];
        for row in 0..PATCH {
            let seen = window.row(old, row);
            for i in 0..PATCH {
                let off = seen[i] - self.pixels[row][i];
                bx[i] += off * self.dx[row][i];
                by[i] += off * self.dy[row][i];
                sum[i] += off;
                squares[i] += off * off;
            }
        }
        let [bx, by, sum, squares] = [bx, by, sum, squares].map(|lanes| lanes.iter().sum::<f32>());
        let (bx, by) = (bx - self.sums[0] * sum / AREA, by - self.sums[1] * sum / AREA);
        let [a, b, c] = self.inverse;
        Fit { error: squares - sum * sum / AREA, step: [a * bx + b * by, b * bx + c * by] }
    }

    /// The best of the candidates, improved by descent.
    fn search(&self, old: &Plane, candidates: [Option<Vector>; 3]) -> Vector {
        let [Some(mut best), ..] = candidates else { return [0.0; 2] };
        let mut fit = self.fit(old, best);
        for other in candidates[1..].iter().flatten() {
            if distance(*other, best) > 0.1 {
                let rival = self.fit(old, *other);
                if rival.error < fit.error {
                    (best, fit) = (*other, rival);
                }
            }
        }
        let start = best;
        for _ in 0..ITERATIONS {
            let next = [best[0] - fit.step[0], best[1] - fit.step[1]];
            if distance(next, start) > LOST {
                return start;
            }
            let moved = self.fit(old, next);
            if moved.error >= fit.error {
                break;
            }
            let close = distance(next, best) < 0.02;
            (best, fit) = (next, moved);
            if close {
                break;
            }
        }
        best
    }
}

/// Inverse of the symmetric matrix; nothing for a patch in which there is nothing to hold on to.
fn inverse(xx: f32, xy: f32, yy: f32) -> [f32; 3] {
    // A little on the diagonal keeps patches with one straight edge from sliding along it.
    let (xx, yy) = (xx + FLAT, yy + FLAT);
    let determinant = xx * yy - xy * xy;
    [yy / determinant, -xy / determinant, xx / determinant]
}
