//! What averaging takes from a painting, and what it must not change: fine detail and mean colour, measured in passing.
//!
//! Comes in: a painting, interleaved or planar. Goes out: numbers to compare.

use super::warp::{Canvas, Pixel};

/// Rows between those that detail is measured in.
const EVERY: usize = 4;

/// Sum of the absolute Laplacian of green over every fourth row.
pub fn detail(pixels: &[Pixel], width: usize) -> f32 {
    let row = |y: usize| pixels[y * width..(y + 1) * width].iter().map(|p| p.as_array()[1]);
    detail_of_rows(pixels.len() / width, row)
}

/// The same of a planar painting.
pub fn detail_planar(planar: &[f32], canvas: Canvas) -> f32 {
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
pub fn mean(pixels: &[Pixel], width: usize) -> Pixel {
    let rows = pixels.chunks_exact(width).step_by(EVERY);
    let count = rows.len() * width;
    rows.flatten().fold(Pixel::ZERO, |sum, p| sum + *p) * RGB * (1.0 / count as f32)
}

/// The same of a planar painting.
pub fn mean_planar(planar: &[f32], canvas: Canvas) -> Pixel {
    let mut mean = [0.0; 4];
    for (mean, plane) in mean.iter_mut().zip(planar.chunks_exact(canvas.width * canvas.height)) {
        let rows = plane.chunks_exact(canvas.width).step_by(EVERY);
        let count = rows.len() * canvas.width;
        *mean = rows.flatten().map(|v| v.clamp(0.0, 1.0)).sum::<f32>() / count as f32;
    }
    Pixel::new(mean)
}

const RGB: Pixel = Pixel::new([1.0, 1.0, 1.0, 0.0]);
