//! Occlusion by uniqueness: a cell of the previous frame belongs to one cell of the new frame only.
//!
//! Input: the optical flow and the residual of every cell. Output: the cells that are disoccluded. The search gives a
//! disoccluded cell a match all the same, one that another cell has too; the cell with the larger residual loses it.
//! This is the uniqueness constraint of stereo matching (Zitnick and Kanade 2000), applied to motion.

use crate::flow::patch::squared_distance;
use crate::flow::pyramid::floor;
use crate::flow::{Flow, Vector};

/// Motions that differ by more cells than this belong to different objects.
const DIFFERENT_MOTION: f32 = 1.5;
/// No cell.
const NONE: u32 = u32::MAX;

/// Finds occlusions; holds scratch of one size.
#[derive(Debug, Default)]
pub struct Occlusion {
    /// The cell of the previous frame that each cell of the new frame comes from.
    sources: Vec<u32>,
    /// The best match in the new frame of each cell of the previous frame.
    matches: Vec<u32>,
}

impl Occlusion {
    /// Calls `disoccluded` for every cell whose source is matched better by a cell of another motion; returns the sum
    /// of what it returns.
    pub fn resolve(&mut self, flow: &Flow, residuals: &[f32], disoccluded: impl FnMut(usize) -> f32) -> f32 {
        if is_one_motion(flow) {
            return 0.0;
        }
        self.sources.clear();
        let rows = flow.vectors.chunks_exact(flow.width.max(1));
        self.sources.extend(rows.enumerate().flat_map(|(y, row)| {
            let source =
                move |(x, vector): (usize, &Vector)| source(flow, [x as f32 + vector[0], y as f32 + vector[1]]);
            row.iter().enumerate().map(source)
        }));
        self.matches.clear();
        self.matches.resize(flow.vectors.len(), NONE);
        for (cell, source) in self.sources.iter().enumerate() {
            let Some(best) = self.matches.get_mut(*source as usize) else { continue };
            if residuals.get(*best as usize).is_none_or(|least| residuals[cell] < *least) {
                *best = cell as u32;
            }
        }
        let best_match = |source: &u32| self.matches.get(*source as usize).map(|best| *best as usize);
        let losers = self.sources.iter().enumerate().filter(|(cell, source)| {
            let limit = DIFFERENT_MOTION * DIFFERENT_MOTION;
            let moves_apart = |best: usize| squared_distance(flow.vectors[best], flow.vectors[*cell]) > limit;
            best_match(source).is_some_and(|best| best != *cell && moves_apart(best))
        });
        losers.map(|(cell, _)| cell).map(disoccluded).sum()
    }
}

/// Whether no two cells move differently enough to belong to different objects: a static scene, a pan.
fn is_one_motion(flow: &Flow) -> bool {
    let (mut low, mut high) = ([f32::MAX; 2], [f32::MIN; 2]);
    for vector in &flow.vectors {
        for i in 0..2 {
            // f32::min and f32::max handle NaN and do not compile to a single instruction.
            low[i] = if vector[i] < low[i] { vector[i] } else { low[i] };
            high[i] = if vector[i] > high[i] { vector[i] } else { high[i] };
        }
    }
    squared_distance(low, high) <= DIFFERENT_MOTION * DIFFERENT_MOTION
}

/// The cell at a position, [`NONE`] outside the frame.
fn source(flow: &Flow, position: [f32; 2]) -> u32 {
    let [x, y] = position.map(|v| floor(v + 0.5));
    let inside = (0..flow.width as i32).contains(&x) && (0..flow.height as i32).contains(&y);
    if inside { (y * flow.width as i32 + x) as u32 } else { NONE }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worse_of_two_cells_with_one_source_is_disoccluded() {
        // Cell 2 does not move; cell 0 has the same source, two cells away.
        let mut flow = Flow { width: 4, height: 1, vectors: vec![[0.0; 2]; 4] };
        flow.vectors[0] = [2.0, 0.0];
        let losers = |flow: &Flow, residuals: &[f32]| {
            let mut lost = vec![];
            Occlusion::default().resolve(flow, residuals, |cell| {
                lost.push(cell);
                1.0
            });
            lost
        };
        assert_eq!(losers(&flow, &[0.5, 0.0, 0.1, 0.0]), [0]);
        assert_eq!(losers(&flow, &[0.1, 0.0, 0.5, 0.0]), [2]);
        flow.vectors[0] = [9.0, 0.0];
        assert!(losers(&flow, &[0.5; 4]).is_empty(), "a source outside the frame belongs to no other cell");
        flow.vectors = vec![[0.0; 2], [-0.4, 0.0], [-0.8, 0.0], [-1.2, 0.0]];
        assert!(losers(&flow, &[0.5; 4]).is_empty(), "cells of a zoom share sources and belong to one object");
    }
}
