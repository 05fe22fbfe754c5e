//! Which cells were dragged along: every old cell has one heir.
//!
//! What comes into view from behind something has no place in the old picture, but the search finds one for it all the
//! same: one that another cell has come from too. (The uniqueness constraint of stereo matching, Zitnick and Kanade 2000,
//! for motion.) Comes in: the motion, and how badly every cell fits. Goes out: the cells that lost.

use crate::flow::Flow;
use crate::flow::patch::square;
use crate::flow::pyramid::floor;

/// Motions that differ by more cells than this belong to different things.
const APART: f32 = 1.5;
/// No cell.
const NOWHERE: u32 = u32::MAX;

/// The search for heirs and its memory.
#[derive(Debug, Default)]
pub struct Occlusion {
    /// The old cell that each new one comes from.
    sources: Vec<u32>,
    /// The new cell that fits an old one best.
    occlusion: Vec<u32>,
}

impl Occlusion {
    /// Where several cells of different motion come from one old cell, calls `lose` for all but the one that is the least
    /// `off`, and returns the sum of what it returns.
    pub fn settle(&mut self, flow: &Flow, off: &[f32], lose: impl FnMut(usize) -> f32) -> f32 {
        if is_one_motion(flow) {
            return 0.0;
        }
        self.sources.clear();
        let rows = flow.vectors.chunks_exact(flow.width.max(1));
        self.sources.extend(rows.enumerate().flat_map(|(y, row)| {
            let source =
                move |(x, vector): (usize, &[f32; 2])| source(flow, [x as f32 + vector[0], y as f32 + vector[1]]);
            row.iter().enumerate().map(source)
        }));
        self.occlusion.clear();
        self.occlusion.resize(flow.vectors.len(), NOWHERE);
        for (i, source) in self.sources.iter().enumerate() {
            let Some(heir) = self.occlusion.get_mut(*source as usize) else { continue };
            if off.get(*heir as usize).is_none_or(|least| off[i] < *least) {
                *heir = i as u32;
            }
        }
        let heir_of = |source: &u32| self.occlusion.get(*source as usize).map(|heir| *heir as usize);
        let disputed = self.sources.iter().enumerate().filter(|(i, source)| {
            let apart = |heir: usize| square(flow.vectors[heir], flow.vectors[*i]) > APART * APART;
            heir_of(source).is_some_and(|heir| heir != *i && apart(heir))
        });
        disputed.map(|(i, _)| i).map(lose).sum()
    }
}

/// Whether no two cells move so differently that they could belong to different things: a still scene, a pan.
fn is_one_motion(flow: &Flow) -> bool {
    let (mut low, mut high) = ([f32::MAX; 2], [f32::MIN; 2]);
    for vector in &flow.vectors {
        for i in 0..2 {
            // Without the care for NaN of the standard ones, so that it is one instruction.
            low[i] = if vector[i] < low[i] { vector[i] } else { low[i] };
            high[i] = if vector[i] > high[i] { vector[i] } else { high[i] };
        }
    }
    square(low, high) <= APART * APART
}

/// The cell at a place.
fn source(flow: &Flow, place: [f32; 2]) -> u32 {
    let [x, y] = place.map(|v| floor(v + 0.5));
    let inside = (0..flow.width as i32).contains(&x) && (0..flow.height as i32).contains(&y);
    if inside { (y * flow.width as i32 + x) as u32 } else { NOWHERE }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_cells_from_one_place_the_better_one_stays() {
        // The third cell stands still; the first claims the same place, from two cells away.
        let mut flow = Flow { width: 4, height: 1, vectors: vec![[0.0; 2]; 4] };
        flow.vectors[0] = [2.0, 0.0];
        let losers = |flow: &Flow, off: &[f32]| {
            let mut lost = vec![];
            Occlusion::default().settle(flow, off, |i| {
                lost.push(i);
                1.0
            });
            lost
        };
        assert_eq!(losers(&flow, &[0.5, 0.0, 0.1, 0.0]), [0]);
        assert_eq!(losers(&flow, &[0.1, 0.0, 0.5, 0.0]), [2]);
        flow.vectors[0] = [9.0, 0.0];
        assert!(losers(&flow, &[0.5; 4]).is_empty(), "beyond the border nobody is in the way");
        flow.vectors = vec![[0.0; 2], [-0.4, 0.0], [-0.8, 0.0], [-1.2, 0.0]];
        assert!(losers(&flow, &[0.5; 4]).is_empty(), "a zoom, whose cells come from the same places, is one thing");
    }
}
