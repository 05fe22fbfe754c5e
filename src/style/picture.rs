//! A picture file for models that take the style as a second image.
//!
//! Comes in: a path and the size the model wants. Goes out: planar RGB, 8 bit.

use std::path::Path;

use anyhow::{Context, Result};
use image::imageops::FilterType;

use crate::frame::image::{Image, Shape};

/// Longest side of a style picture for models that take any size: more costs time and changes strokes little.
const LONGEST_SIDE: u32 = 512;

/// A decoded picture.
pub struct StyleImage {
    planes: [Vec<u8>; 3],
    shape: Shape,
}

impl StyleImage {
    /// Decodes JPEG, PNG, WebP, TIFF or BMP and scales it to the fixed sides, keeping the proportions where a side
    /// is free.
    ///
    /// # Errors
    /// A file that cannot be read or decoded, by name.
    pub fn open(path: &Path, fixed: (Option<usize>, Option<usize>)) -> Result<Self> {
        let named = || format!("style picture '{}' (property 'style-image')", path.display());
        let reader = image::ImageReader::open(path).with_context(named)?.with_guessed_format().with_context(named)?;
        let picture = reader.decode().with_context(named)?;
        let (width, height) = match fixed {
            (Some(w), Some(h)) => (w as u32, h as u32),
            _ => fitted(picture.width(), picture.height()),
        };
        let pixels = picture.resize_exact(width, height, FilterType::Lanczos3).to_rgb8();
        let plane = |c: usize| pixels.pixels().map(|p| p.0[c]).collect();
        let shape = Shape { width: width as usize, height: height as usize, white: 255 };
        Ok(Self { planes: [0, 1, 2].map(plane), shape })
    }

    /// The picture as the core sees images.
    ///
    /// # Errors
    /// None for a picture that was decoded.
    pub fn view(&self) -> Result<Image<'_, u8>> {
        let [r, g, b] = &self.planes;
        Image::new([r, g, b], [self.shape.width; 3], self.shape)
    }
}

/// Not longer than [`LONGEST_SIDE`], and a multiple of 8 for networks that halve three times.
fn fitted(width: u32, height: u32) -> (u32, u32) {
    let scale = (f64::from(LONGEST_SIDE) / f64::from(width.max(height).max(1))).min(1.0);
    let side = |v: u32| (((f64::from(v) * scale) as u32) / 8 * 8).max(8);
    (side(width), side(height))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_scaled_to_what_the_model_takes() {
        let file = tempfile::NamedTempFile::with_suffix(".png").unwrap();
        image::RgbImage::from_pixel(2000, 1000, image::Rgb([10, 20, 30])).save(file.path()).unwrap();
        let free = StyleImage::open(file.path(), (None, None)).unwrap();
        assert_eq!((free.shape.width, free.shape.height), (512, 256));
        let fixed = StyleImage::open(file.path(), (Some(64), Some(48))).unwrap();
        assert_eq!((fixed.shape.width, fixed.shape.height), (64, 48));
        assert_eq!([0, 1, 2].map(|c| fixed.view().unwrap().row(c, 47)[63]), [10, 20, 30]);
    }

    #[test]
    fn bad_pictures_are_named() {
        let file = tempfile::NamedTempFile::with_suffix(".png").unwrap();
        std::fs::write(file.path(), b"no picture").unwrap();
        for path in [file.path(), Path::new("/nowhere/style.jpg")] {
            let error = format!("{:#}", StyleImage::open(path, (None, None)).err().unwrap());
            assert!(error.contains(&path.display().to_string()) && error.contains("style-image"), "{error}");
        }
    }
}
