//! Where the history may be trusted: where the frame, carried along the motion, still looks like the new one.
//!
//! Comes in: two small pictures and the motion between them. Goes out: motion and trust, cell by cell, and what
//! the frames as a whole have in common.

use super::heirs::Heirs;
use super::motion::{Flow, Vector, square};
use super::plane::{Plane, Pyramid, TINT};

/// Motion (x, y in cells) and trust (0..=1) of every cell.
#[derive(Debug, Clone, Default)]
pub struct Field {
    /// Cells in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Row after row.
    pub cells: Vec<[f32; 3]>,
}

/// What the two frames have in common.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Resemblance {
    /// Mean trust.
    pub trust: f32,
    /// Share of the cells that are hardly trusted.
    pub lost: f32,
    /// Share of the new frame that has come into view, by the motion alone: from beyond the border, or from behind
    /// something.
    pub uncovered: f32,
    /// By how much (0..=255) the new frame is brighter throughout.
    pub brighter: f32,
}

/// Mean difference (0..=255) over 3 x 3 cells at which trust has fallen to 1/e.
const TOLERANCE: f32 = 22.0;
/// The same for the tints, both together.
const TINGE: f32 = 80.0;
/// Difference of the motion on the two sides of a cell at which trust is halved: an edge that covers or uncovers.
const EDGE: f32 = 4.0;
/// Trust below this is hardly any.
const LOST: f32 = 0.3;

/// The photometric check and its memory.
#[derive(Debug, Default)]
pub struct Check {
    carried: Vec<f32>,
    sums: Vec<f32>,
    /// Difference of the tints, and the columns of it.
    tinge: (Vec<f32>, usize),
    /// How far off each cell is: 1 where trust has fallen to 1/e.
    off: Vec<f32>,
    heirs: Heirs,
}

impl Check {
    /// Fills `field` from the motion `flow` (cells of the largest level) of `from` back to `to`; tells what the frames have in common.
    pub fn run(&mut self, from: &Pyramid, to: &Pyramid, flow: &Flow, field: &mut Field) -> Resemblance {
        let (Some(new), Some(old)) = (from.levels().first(), to.levels().first()) else {
            return Resemblance::default();
        };
        let (width, height) = (new.width(), new.height());
        (field.width, field.height) = (width, height);
        field.cells.resize(width * height, [0.0; 3]);
        self.carried.resize(width * height, 0.0);
        self.off.resize(width * height, 0.0);
        self.carry(old, flow);
        self.compare_tints(from.tints(), to.tints(), flow);
        let (gain, offset, brighter) = self.brightness(new);
        for (y, line) in self.carried.chunks_exact_mut(width).enumerate() {
            for (carried, new) in line.iter_mut().zip(new.row(y)) {
                *carried = (*carried * gain + offset - new).abs();
            }
        }
        let mut total = Resemblance { brighter, ..Default::default() };
        for y in 0..height {
            self.trust_row(y, width, height, flow, field, &mut total);
        }
        total.trust -= self.heirs.settle(flow, &self.off, |loser| std::mem::take(&mut field.cells[loser][2]));
        total.trust /= (width * height) as f32;
        total.lost /= (width * height) as f32;
        total.uncovered /= (width * height) as f32;
        total
    }

    /// The old picture, carried along the motion.
    fn carry(&mut self, old: &Plane, flow: &Flow) {
        let lines = self.carried.chunks_exact_mut(flow.width).zip(flow.vectors.chunks_exact(flow.width));
        for (y, (line, vectors)) in lines.enumerate() {
            for (x, (pixel, vector)) in line.iter_mut().zip(vectors).enumerate() {
                *pixel = old.between(x as f32 + vector[0], y as f32 + vector[1]);
            }
        }
    }

    /// How much the tints differ, carried along the motion: things of the same luma may have other colours.
    fn compare_tints(&mut self, new: &[Plane; 2], old: &[Plane; 2], flow: &Flow) {
        let (width, height) = (new[0].width(), new[0].height());
        let (off, columns) = &mut self.tinge;
        off.clear();
        *columns = width;
        for y in 0..height {
            let rows = [new[0].row(y), new[1].row(y)];
            for x in 0..width {
                let vector = flow.at(TINT * x, TINT * y);
                let (px, py) = (x as f32 + vector[0] / TINT as f32, y as f32 + vector[1] / TINT as f32);
                off.push(old.iter().zip(rows).map(|(old, row)| (old.between(px, py) - row[x]).abs()).sum());
            }
        }
    }

    /// Gain and offset that make the carried picture as bright as the new one, if that explains much of the difference
    /// (a flash, a fade), and by how much it is brighter; else none.
    fn brightness(&self, new: &Plane) -> (f32, f32, f32) {
        let [mut sum, mut squares, mut carried_sum, mut carried_squares, mut both] = [0f32; 5];
        let lines = || self.carried.chunks_exact(new.width()).enumerate().map(|(y, line)| (line, new.row(y)));
        for (line, row) in lines() {
            let mut part = [0f32; 5];
            for (carried, new) in line.iter().zip(row) {
                part[0] += new;
                part[1] += new * new;
                part[2] += carried;
                part[3] += carried * carried;
                part[4] += new * carried;
            }
            sum += part[0];
            squares += part[1];
            carried_sum += part[2];
            carried_squares += part[3];
            both += part[4];
        }
        let n = self.carried.len() as f32;
        let variance = (carried_squares - carried_sum * carried_sum / n).max(1e-3);
        let covariance = both - sum * carried_sum / n;
        let gain = (covariance / variance).clamp(0.25, 4.0);
        let offset = (sum - gain * carried_sum) / n;
        let before = squares - 2.0 * both + carried_squares;
        let own = (squares - sum * sum / n).max(0.0);
        let after = own - 2.0 * gain * covariance + gain * gain * variance;
        let brighter = (sum - carried_sum) / n;
        let alike = covariance.max(0.0).powi(2) > 0.5 * variance * own;
        if alike && after < 0.5 * before && brighter.abs() > 1.0 { (gain, offset, brighter) } else { (1.0, 0.0, 0.0) }
    }

    fn trust_row(
        &mut self,
        y: usize,
        width: usize,
        height: usize,
        flow: &Flow,
        field: &mut Field,
        total: &mut Resemblance,
    ) {
        let (tinge, columns) = &self.tinge;
        let tinge = &tinge[(y / TINT).min(tinge.len() / columns - 1) * columns..][..*columns];
        let line = |y: usize| &self.carried[y * width..(y + 1) * width];
        let (above, here, below) = (line(y.saturating_sub(1)), line(y), line((y + 1).min(height - 1)));
        self.sums.clear();
        self.sums.extend(above.iter().zip(here).zip(below).map(|((a, b), c)| a + b + c));
        let cells = &mut field.cells[y * width..(y + 1) * width];
        let vectors_of = |y: usize| &flow.vectors[y * width..(y + 1) * width];
        let (up, vectors, down) = (vectors_of(y.saturating_sub(1)), vectors_of(y), vectors_of((y + 1).min(height - 1)));
        for (x, (cell, vector)) in cells.iter_mut().zip(vectors).enumerate() {
            let sum = self.sums[x.saturating_sub(1)] + self.sums[x] + self.sums[(x + 1).min(width - 1)];
            let off = sum * (1.0 / (9.0 * TOLERANCE)) + tinge[(x / TINT).min(columns - 1)] * (1.0 / TINGE);
            self.off[y * width + x] = off;
            let around = [vectors[x.saturating_sub(1)], vectors[(x + 1).min(width - 1)], up[x], down[x]];
            let bend = bend(around);
            let trust = bell(off * off) / (1.0 + bend * (1.0 / (EDGE * EDGE)));
            total.trust += trust;
            let (px, py) = (x as f32 + vector[0], y as f32 + vector[1]);
            let inside = px >= 0.0 && py >= 0.0 && px <= (width - 1) as f32 && py <= (height - 1) as f32;
            total.uncovered += if inside { stretch(around) } else { 1.0 };
            total.lost += f32::from(u8::from(trust < LOST));
            *cell = [vector[0], vector[1], trust];
        }
    }
}

/// How much the motion differs on the two sides of a cell, across and along: squared cells.
fn bend([left, right, above, below]: [Vector; 4]) -> f32 {
    square(left, right) + square(above, below)
}

/// The part of a cell that has come into view between its neighbours: 1 where all of them come from the same place.
fn stretch([left, right, above, below]: [Vector; 4]) -> f32 {
    let across = [0.5 * (right[0] - left[0]), 0.5 * (right[1] - left[1])];
    let along = [0.5 * (below[0] - above[0]), 0.5 * (below[1] - above[1])];
    let area = (1.0 + across[0]) * (1.0 + along[1]) - across[1] * along[0];
    (1.0 - area).clamp(0.0, 1.0)
}

/// About exp(-x) for x >= 0, and 0 from 8 on; smooth enough for a weight and made of what vector units have.
fn bell(x: f32) -> f32 {
    let base = (1.0 - x * (1.0 / 8.0)).max(0.0);
    let squared = base * base;
    squared * squared * squared * squared
}
