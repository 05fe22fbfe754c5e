//! Warping error between consecutive stylized frames, with a reference motion of their input frames.
//!
//! Input: pyramids of two input frames, then pairs of stylized frames. Output: the error of Lai et al. 2018 ("Learning
//! Blind Video Temporal Consistency"): squared difference to the warped previous frame, summed over the channels, mean
//! over the pixels that are visible in both frames.

use crate::flow::Flow;
use crate::flow::pyramid::Pyramid;
use crate::flow::search::Search;

/// Motion from a frame back to the previous one, and the pixels that are visible in both.
#[derive(Debug, Clone, Default)]
pub struct Reference {
    /// Motion in pixels.
    pub flow: Flow,
    /// 1 for pixels that are visible in both frames, otherwise 0.
    pub visible: Vec<f32>,
}

impl Reference {
    /// Motion between two frames; a pixel is visible in both if forward and backward motion agree (Sundaram et al. 2010).
    pub fn between(new: &Pyramid, old: &Pyramid) -> Self {
        let (mut backward, mut forward) = (Search::default(), Search::default());
        let (flow, forward) = (backward.run(new, old).clone(), forward.run(old, new));
        let limit = |v: f32, side: usize| v.round().clamp(0.0, side as f32 - 1.0) as usize;
        let mut visible = Vec::with_capacity(flow.vectors.len());
        for (index, [u, v]) in flow.vectors.iter().enumerate() {
            let (x, y) = ((index % flow.width) as f32 + u, (index / flow.width) as f32 + v);
            let inside = x >= 0.0 && y >= 0.0 && x <= flow.width as f32 - 1.0 && y <= flow.height as f32 - 1.0;
            let [p, q] = forward.vectors[limit(y, flow.height) * flow.width + limit(x, flow.width)];
            let off = (u + p).powi(2) + (v + q).powi(2);
            let allowed = 0.01 * (u * u + v * v + p * p + q * q) + 0.5;
            visible.push(if inside && off <= allowed { 1.0 } else { 0.0 });
        }
        Self { flow, visible }
    }

    /// Share of the pixels that are visible in both frames; below a half it is a scene cut.
    pub fn visible_share(&self) -> f32 {
        self.visible.iter().sum::<f32>() / self.visible.len().max(1) as f32
    }

    /// The warping error between two stylized frames, 0..=3.
    pub fn warping_error(&self, new: &[f32], old: &[f32]) -> f32 {
        let (width, area) = (self.flow.width, self.visible.len());
        let mut sum = 0.0;
        for (index, visible) in self.visible.iter().enumerate().filter(|(_, v)| **v > 0.0) {
            let [u, v] = self.flow.vectors[index];
            let (x, y) = ((index % width) as f32 + u, (index / width) as f32 + v);
            for (old, new) in old.chunks_exact(area).zip(new.chunks_exact(area)) {
                sum += visible * (linear(old, width, x, y) - new[index]).powi(2);
            }
        }
        sum / self.visible.iter().sum::<f32>().max(1.0)
    }
}

/// Samples a plane bilinearly; positions are clamped to it.
pub(crate) fn linear(plane: &[f32], width: usize, x: f32, y: f32) -> f32 {
    let height = plane.len() / width;
    let (x, y) = (x.clamp(0.0, width as f32 - 1.0), y.clamp(0.0, height as f32 - 1.0));
    let (left, top) = (x as usize, y as usize);
    let (right, bottom) = ((left + 1).min(width - 1), (top + 1).min(height - 1));
    let (fx, fy) = (x - left as f32, y - top as f32);
    let row = |y: usize| plane[y * width + left] * (1.0 - fx) + plane[y * width + right] * fx;
    row(top) * (1.0 - fy) + row(bottom) * fy
}
