//! Frames per second as bars.

use std::path::Path;

use anyhow::{Context, Result};
use image::{Rgb, RgbImage};

const COLORS: [[u8; 3]; 6] =
    [[20, 150, 60], [40, 190, 110], [200, 30, 30], [240, 120, 40], [40, 80, 220], [120, 120, 200]];
const HEIGHT: u32 = 360;
const BAR: u32 = 26;
/// Frames per second at the top; a line is drawn at 30.
const MOST: f64 = 90.0;

/// A group of bars for every size.
pub fn bars(path: &Path, groups: &[Vec<f64>]) -> Result<()> {
    let width = groups.iter().map(|g| (g.len() as u32 + 2) * BAR).sum::<u32>().max(1);
    let mut canvas = RgbImage::from_pixel(width, HEIGHT, Rgb([255; 3]));
    let top = |fps: f64| ((1.0 - (fps / MOST).clamp(0.0, 1.0)) * f64::from(HEIGHT - 1)) as u32;
    let mut left = BAR;
    for group in groups {
        for (fps, color) in group.iter().zip(COLORS.iter().cycle()) {
            for (x, y) in (left..left + BAR - 3).flat_map(|x| (top(*fps)..HEIGHT).map(move |y| (x, y))) {
                canvas.put_pixel(x, y, Rgb(*color));
            }
            left += BAR;
        }
        left += 2 * BAR;
    }
    (0..width).for_each(|x| canvas.put_pixel(x, top(30.0), Rgb([0; 3])));
    canvas.save(path).with_context(|| path.display().to_string())
}
