//! How steady, sharp and true a stylized film is.
//!
//! Comes in: stylized frames (planar RGB, 0..=1) and the motion of the frames they were stylized from. Goes out: numbers.
//! The warping error is that of Lai et al. 2018: squared differences to the warped frame before, summed over the
//! channels, mean over the pixels that are seen in both.

pub mod meter;

use crate::flow::pyramid::Pyramid;
use crate::flow::{Flow, Search};

/// Motion from a frame back to the one before, and which pixels are seen in both.
#[derive(Debug, Clone, Default)]
pub struct Reference {
    /// In pixels.
    pub flow: Flow,
    /// 1 for pixels that are seen in both frames, else 0.
    pub visible: Vec<f32>,
}

impl Reference {
    /// Motion between two frames at their full size, checked forward and backward (Sundaram et al. 2010).
    pub fn between(new: &Pyramid, old: &Pyramid) -> Self {
        let (mut there, mut back) = (Search::default(), Search::default());
        let (flow, forward) = (there.run(new, old).clone(), back.run(old, new));
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

    /// Share of the pixels that are seen in both frames; below a half it is a cut.
    pub fn seen(&self) -> f32 {
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

/// A plane between its pixels; outside, its edge.
pub(crate) fn linear(plane: &[f32], width: usize, x: f32, y: f32) -> f32 {
    let height = plane.len() / width;
    let (x, y) = (x.clamp(0.0, width as f32 - 1.0), y.clamp(0.0, height as f32 - 1.0));
    let (left, top) = (x as usize, y as usize);
    let (right, bottom) = ((left + 1).min(width - 1), (top + 1).min(height - 1));
    let (fx, fy) = (x - left as f32, y - top as f32);
    let row = |y: usize| plane[y * width + left] * (1.0 - fx) + plane[y * width + right] * fx;
    row(top) * (1.0 - fy) + row(bottom) * fy
}

/// Mean absolute Laplacian of the three planes: fine detail.
pub fn detail(planar: &[f32], width: usize, height: usize) -> f32 {
    let mut sum = 0.0;
    for plane in planar.chunks_exact(width * height) {
        let at = |x: usize, y: usize| plane[y * width + x];
        for (x, y) in (1..height - 1).flat_map(|y| (1..width - 1).map(move |x| (x, y))) {
            sum += (at(x - 1, y) + at(x + 1, y) + at(x, y - 1) + at(x, y + 1) - 4.0 * at(x, y)).abs();
        }
    }
    sum / planar.len() as f32
}

/// Mean squared difference of two stylized frames.
pub fn mean_square(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f32>() / a.len().max(1) as f32
}

/// Peak signal-to-noise ratio in dB of a mean square, for values in 0..=1.
pub fn psnr(mean_square: f32) -> f32 {
    -10.0 * mean_square.max(1e-12).log10()
}
