//! Sharpness and fidelity of a stylized frame.
//!
//! Input: planar RGB, 0..=1. Output: mean absolute Laplacian, mean squared error, peak signal-to-noise ratio.

/// Fine detail: mean absolute Laplacian of the three planes.
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

/// Mean squared error of two frames.
pub fn mean_square(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f32>() / a.len().max(1) as f32
}

/// Peak signal-to-noise ratio in dB of a mean squared error, for values in 0..=1.
pub fn psnr(mean_square: f32) -> f32 {
    -10.0 * mean_square.max(1e-12).log10()
}
