//! A picture file for models that take the style as a second image.
//!
//! Comes in: a path and the size that the model expects. Goes out: planar RGB, 8 bit, upright.

use std::io::Cursor;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use image::imageops::FilterType;
use image::{DynamicImage, ImageDecoder, ImageReader, Limits};

use crate::frame::image::{Image, Shape};
use crate::model::file::read_bounded;

/// Longest side of a style picture for models that take any size: more costs time and changes strokes little.
const LONGEST_SIDE: u32 = 512;
/// Longest side of a picture that is decoded.
const LARGEST_SIDE: u32 = 16_384;
/// Bytes of a file that is read, and of memory to decode it.
const LARGEST_FILE: u64 = 256 << 20;
/// As [`LARGEST_FILE`], decoded.
const LARGEST_PICTURE: u64 = 512 << 20;

/// A decoded picture.
pub struct StyleImage {
    planes: [Vec<u8>; 3],
    shape: Shape,
}

impl StyleImage {
    /// Decodes JPEG, PNG, WebP, TIFF or BMP, turns it upright as its EXIF orientation says and scales it to the fixed
    /// sides, keeping the proportions where a side is free.
    ///
    /// # Errors
    /// A file that cannot be read or decoded, or is larger than 256 MiB or 16384 pixels a side: always with its name.
    pub fn open(path: &Path, fixed: (Option<usize>, Option<usize>)) -> Result<Self> {
        let named = || format!("style picture '{}' (property 'style-image')", path.display());
        let bytes = read_bounded(path, LARGEST_FILE).with_context(named)?;
        Self::decode(&bytes, fixed).with_context(named)
    }

    /// Decodes the content of a file, see [`StyleImage::open`].
    ///
    /// # Errors
    /// As [`StyleImage::open`], without a name.
    pub fn decode(bytes: &[u8], fixed: (Option<usize>, Option<usize>)) -> Result<Self> {
        let picture = decoded(bytes)?;
        let (width, height) = match fixed {
            (Some(w), Some(h)) => (u32::try_from(w)?, u32::try_from(h)?),
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

fn decoded(bytes: &[u8]) -> Result<DynamicImage> {
    let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format()?;
    let mut limits = Limits::default();
    limits.max_alloc = Some(LARGEST_PICTURE);
    reader.limits(limits);
    let mut decoder = reader.into_decoder()?;
    let (width, height) = decoder.dimensions();
    ensure!(
        width.max(height) <= LARGEST_SIDE && decoder.total_bytes() <= LARGEST_PICTURE,
        "{width}x{height} pixels are too many: expected at most {LARGEST_SIDE} a side and {} MiB decoded",
        LARGEST_PICTURE >> 20
    );
    ensure!(width > 0 && height > 0, "it has no pixels");
    let orientation = decoder.orientation()?;
    let mut picture = DynamicImage::from_decoder(decoder)?;
    picture.apply_orientation(orientation);
    Ok(picture)
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

    #[test]
    fn pictures_are_turned_upright() {
        // A JPEG with an EXIF orientation: the marker stands behind the first two bytes of the file.
        let turned = |orientation: u8| {
            let picture = image::RgbImage::from_fn(64, 32, |x, _| image::Rgb([if x < 32 { 250 } else { 5 }; 3]));
            let mut jpeg = Cursor::new(Vec::new());
            picture.write_to(&mut jpeg, image::ImageFormat::Jpeg).unwrap();
            let exif = [
                &b"\xff\xe1\x00\x22Exif\x00\x00MM\x00\x2a\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00"
                    [..],
                &[orientation],
                b"\x00\x00\x00\x00\x00\x00",
            ];
            let mut bytes = jpeg.into_inner();
            bytes.splice(2..2, exif.concat());
            StyleImage::decode(&bytes, (None, None)).unwrap()
        };
        let corners = |picture: &StyleImage| {
            let (view, last) = (picture.view().unwrap(), picture.shape.height - 1);
            [view.row(0, 0)[0], view.row(0, last)[0]].map(|v| v > 128)
        };
        let (lying, upright) = (turned(1), turned(6));
        assert_eq!((lying.shape.width, corners(&lying)), (64, [true, true]));
        assert_eq!((upright.shape.width, corners(&upright)), (32, [true, false]));
    }

    #[test]
    fn huge_pictures_are_refused_before_they_are_decoded() {
        // A PNG header of 100000 x 100000 pixels.
        let mut png = Cursor::new(Vec::new());
        image::RgbImage::new(8, 8).write_to(&mut png, image::ImageFormat::Png).unwrap();
        let mut bytes = png.into_inner();
        bytes[16..20].copy_from_slice(&100_000u32.to_be_bytes());
        bytes[20..24].copy_from_slice(&100_000u32.to_be_bytes());
        let checksum = crc32(&bytes[12..29]);
        bytes[29..33].copy_from_slice(&checksum.to_be_bytes());
        let error = format!("{:#}", StyleImage::decode(&bytes, (None, None)).err().unwrap());
        assert!(error.contains("100000x100000") || error.contains("imits"), "{error}");
        let error = format!("{:#}", StyleImage::open(Path::new("/dev/zero"), (None, None)).err().unwrap());
        assert!(error.contains("a device") && error.contains("style-image"), "{error}");
    }

    /// The checksum of PNG's chunks (ISO 3309).
    fn crc32(bytes: &[u8]) -> u32 {
        let step = |crc: u32, bit: u8| {
            let mixed = crc ^ u32::from(bit);
            if mixed & 1 == 1 { (mixed >> 1) ^ 0xedb8_8320 } else { mixed >> 1 }
        };
        let byte = |crc, byte: &u8| (0..8).fold(crc, |crc, i| step(crc, (byte >> i) & 1));
        !bytes.iter().fold(u32::MAX, byte)
    }
}
