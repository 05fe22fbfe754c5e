//! Planar RGB images as borrowed views.
//!
//! Input: three planes (red, green, blue) of 8 bit, 16 bit or float samples, each with its own stride, and an optional
//! alpha plane. Output: rows. Nothing is copied; constructors check that the planes are large enough for every row.

use anyhow::{Result, ensure};

/// A sample of a plane: `u8`, `u16` for depths above 8 bits, or `f32` with a white level of 1.
pub trait Sample: Copy + Send + Sync + Default + PartialEq + std::fmt::Debug + 'static {
    /// The sample as a float, 0 ..= white.
    fn to_f32(self) -> f32;
    /// `value` rounded to the nearest sample. `value` must lie in 0 ..= white; NaN gives an arbitrary sample.
    fn from_f32(value: f32) -> Self;
}

/// 2^23: added to a float below it, it leaves the rounded integer in the low mantissa bits; this vectorises on every
/// target.
const ROUND: f32 = 8_388_608.0;

impl Sample for u8 {
    #[inline(always)]
    fn to_f32(self) -> f32 {
        f32::from(self)
    }
    #[inline(always)]
    fn from_f32(value: f32) -> Self {
        (value + ROUND).to_bits() as u8
    }
}

impl Sample for u16 {
    #[inline(always)]
    fn to_f32(self) -> f32 {
        f32::from(self)
    }
    #[inline(always)]
    fn from_f32(value: f32) -> Self {
        (value + ROUND).to_bits() as u16
    }
}

impl Sample for f32 {
    #[inline(always)]
    fn to_f32(self) -> f32 {
        self
    }
    #[inline(always)]
    fn from_f32(value: f32) -> Self {
        value
    }
}

/// Width, height and white level of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Pixels in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// The sample value of full intensity: 255 for 8 bit, 4095 for 12 bit in `u16`, 1 for `f32`.
    pub white: u16,
}

impl Shape {
    fn check(&self, plane: &str, samples: usize, stride: usize) -> Result<()> {
        ensure!(self.width > 0 && self.height > 0, "an image of {}x{} pixels", self.width, self.height);
        ensure!(stride >= self.width, "{plane} plane: stride of {stride} samples for rows of {}", self.width);
        let needed = stride * (self.height - 1) + self.width;
        ensure!(samples >= needed, "{plane} plane: {samples} samples, {needed} needed");
        Ok(())
    }
}

const NAMES: [&str; 3] = ["red", "green", "blue"];

/// A readable image: red, green and blue plane, and an alpha plane if it has one.
#[derive(Clone, Copy)]
pub struct Image<'a, S> {
    planes: [&'a [S]; 3],
    strides: [usize; 3],
    alpha: Option<(&'a [S], usize)>,
    shape: Shape,
}

impl<'a, S: Sample> Image<'a, S> {
    /// Planes in the order red, green, blue; strides in samples.
    ///
    /// # Errors
    /// A plane that is too short for its stride and the height, named by its colour.
    pub fn new(planes: [&'a [S]; 3], strides: [usize; 3], shape: Shape) -> Result<Self> {
        for i in 0..3 {
            shape.check(NAMES[i], planes[i].len(), strides[i])?;
        }
        Ok(Self { planes, strides, alpha: None, shape })
    }

    /// The same image with an alpha plane: 0 is invisible, [`Shape::white`] opaque, colours not premultiplied. `stride` in
    /// samples. What reads the image ignores the colours of invisible pixels: the input tensor has mid-grey there, and the
    /// motion search, the confidence and the scene-cut decision weigh every pixel by its alpha.
    ///
    /// # Errors
    /// A plane that is too short for its stride and the height.
    pub fn with_alpha(self, alpha: &'a [S], stride: usize) -> Result<Self> {
        self.shape.check("alpha", alpha.len(), stride)?;
        Ok(Self { alpha: Some((alpha, stride)), ..self })
    }

    /// Size and white level.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// Row `y` of the alpha plane, if there is one.
    #[inline]
    pub fn alpha_row(&self, y: usize) -> Option<&'a [S]> {
        self.alpha.map(|(plane, stride)| &plane[y * stride..y * stride + self.shape.width])
    }

    /// Row `y` of channel 0 (red), 1 (green) or 2 (blue).
    #[inline]
    pub fn row(&self, channel: usize, y: usize) -> &'a [S] {
        let start = y * self.strides[channel];
        &self.planes[channel][start..start + self.shape.width]
    }
}

/// A writable image: red, green and blue plane.
pub struct ImageMut<'a, S> {
    planes: [&'a mut [S]; 3],
    strides: [usize; 3],
    shape: Shape,
}

impl<'a, S: Sample> ImageMut<'a, S> {
    /// As [`Image::new`].
    ///
    /// # Errors
    /// A plane that is too short for its stride and the height, named by its colour.
    pub fn new(planes: [&'a mut [S]; 3], strides: [usize; 3], shape: Shape) -> Result<Self> {
        for i in 0..3 {
            shape.check(NAMES[i], planes[i].len(), strides[i])?;
        }
        Ok(Self { planes, strides, shape })
    }

    /// Size and white level.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// Row `y` of channel 0 (red), 1 (green) or 2 (blue).
    #[inline]
    pub fn row_mut(&mut self, channel: usize, y: usize) -> &mut [S] {
        let start = y * self.strides[channel];
        &mut self.planes[channel][start..start + self.shape.width]
    }

    /// A readable view.
    pub fn view(&self) -> Image<'_, S> {
        let [red, green, blue] = &self.planes;
        Image { planes: [red, green, blue], strides: self.strides, alpha: None, shape: self.shape }
    }

    /// A writable view with a shorter lifetime.
    pub fn view_mut(&mut self) -> ImageMut<'_, S> {
        let [red, green, blue] = &mut self.planes;
        ImageMut { planes: [red, green, blue], strides: self.strides, shape: self.shape }
    }

    /// Sets the colours of invisible pixels (alpha 0) to mid-grey and leaves all others as they are: call it before an
    /// image with alpha is scaled, so that hidden colours do not bleed into visible pixels. `stride` in samples.
    ///
    /// # Errors
    /// A plane that is too short for its stride and the height.
    pub fn hide_invisible(&mut self, alpha: &[S], stride: usize) -> Result<()> {
        self.shape.check("alpha", alpha.len(), stride)?;
        let (width, grey) = (self.shape.width, S::from_f32(0.5 * f32::from(self.shape.white)));
        for (y, alpha) in alpha.chunks(stride).take(self.shape.height).enumerate() {
            for plane in self.rows_mut(y) {
                let pixels = plane.iter_mut().zip(&alpha[..width]);
                pixels.for_each(|(value, alpha)| *value = if *alpha == S::default() { grey } else { *value });
            }
        }
        Ok(())
    }

    /// Splits off the first `rows` rows, at most all, as an image of their own; either image may then have no rows.
    pub fn split_off(&mut self, rows: usize) -> ImageMut<'a, S> {
        let rows = rows.min(self.shape.height);
        let mut planes = self.planes.iter_mut().zip(self.strides).map(|(plane, stride)| {
            let samples = (rows * stride).min(plane.len());
            let (above, below) = std::mem::take(plane).split_at_mut(samples);
            *plane = below;
            above
        });
        let planes = [(); 3].map(|()| planes.next().unwrap_or_default());
        self.shape.height -= rows;
        ImageMut { planes, strides: self.strides, shape: Shape { height: rows, ..self.shape } }
    }

    /// Divides a tensor of `height` rows, in which this image starts at row `top`, into bands of `rows` rows: for each
    /// the band's first row, the part of this image in it, which may be empty, and the tensor's row at which that part
    /// starts.
    pub fn bands(
        &mut self,
        height: usize,
        top: usize,
        rows: usize,
    ) -> impl Iterator<Item = (usize, (ImageMut<'_, S>, usize))> {
        let bottom = top + self.shape.height;
        let mut rest = self.view_mut();
        (0..height).step_by(rows).map(move |first| {
            let [start, end] = [first, first + rows].map(|y| y.clamp(top, bottom));
            (first, (rest.split_off(end - start), start))
        })
    }

    /// Row `y` of red, green and blue.
    #[inline]
    pub fn rows_mut(&mut self, y: usize) -> [&mut [S]; 3] {
        let (width, [r, g, b]) = (self.shape.width, self.strides.map(|stride| y * stride));
        let [red, green, blue] = &mut self.planes;
        [&mut red[r..r + width], &mut green[g..g + width], &mut blue[b..b + width]]
    }
}

impl<'a> ImageMut<'a, f32> {
    /// Planar red, green and blue, 0..=1.
    ///
    /// # Errors
    /// Not 3 x width x height values.
    pub fn of_planar(planar: &'a mut [f32], (width, height): (usize, usize)) -> Result<Self> {
        ensure!(planar.len() == 3 * width * height, "{} values for 3x{height}x{width}", planar.len());
        let (red, rest) = planar.split_at_mut(width * height);
        let (green, blue) = rest.split_at_mut(width * height);
        ImageMut::new([red, green, blue], [width; 3], Shape { width, height, white: 1 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_skip_the_padding() {
        let plane: Vec<u8> = (0..12).collect();
        let shape = Shape { width: 3, height: 3, white: 255 };
        let image = Image::new([&plane; 3], [4; 3], shape).unwrap();
        assert_eq!(image.row(1, 2), [8, 9, 10]);
    }

    #[test]
    fn bands_cover_the_rows_of_an_image() {
        let [mut r, mut g, mut b] = [0u8, 20, 40].map(|from| (from..from + 12).collect::<Vec<u8>>());
        let shape = Shape { width: 3, height: 3, white: 255 };
        let mut image = ImageMut::new([&mut r, &mut g, &mut b], [4; 3], shape).unwrap();
        // Rows 3, 4 and 5 of ten.
        let mut seen = vec![];
        for (first, (mut band, start)) in image.bands(10, 3, 2) {
            let rows = 0..band.shape().height;
            seen.push((first, start, rows.map(|y| band.row_mut(1, y).to_vec()).collect::<Vec<_>>()));
        }
        let row = |y: u8| [20, 21, 22].map(|v| v + 4 * y).to_vec();
        let wanted =
            [(0, 3, vec![]), (2, 3, vec![row(0)]), (4, 4, vec![row(1), row(2)]), (6, 6, vec![]), (8, 6, vec![])];
        assert_eq!(seen, wanted);
    }

    #[test]
    fn hide_invisible_changes_only_pixels_of_alpha_zero() {
        let shape = Shape { width: 3, height: 2, white: 255 };
        let (mut r, mut g, mut b) = ([1u8; 8], [2u8; 8], [3u8; 8]);
        let alpha = [0, 1, 255, 77, 9, 0, 0];
        let mut image = ImageMut::new([&mut r[..], &mut g[..], &mut b[..]], [4; 3], shape).unwrap();
        image.hide_invisible(&alpha, 4).unwrap();
        assert_eq!([r[..3].to_vec(), r[4..7].to_vec()], [[128, 1, 1], [1, 128, 128]]);
        assert_eq!((g[0], g[1], b[0], b[1]), (128, 2, 128, 3));
        let mut image = ImageMut::new([&mut r[..], &mut g[..], &mut b[..]], [4; 3], shape).unwrap();
        let error = image.hide_invisible(&alpha[..5], 4).unwrap_err().to_string();
        assert!(error.contains("alpha plane: 5 samples, 7 needed"), "{error}");
    }

    #[test]
    fn errors_name_the_plane_that_is_too_short() {
        let (long, short) = (vec![0u8; 12], vec![0u8; 10]);
        let shape = Shape { width: 3, height: 3, white: 255 };
        let error = Image::new([&long, &short, &long], [4; 3], shape).err().unwrap().to_string();
        assert!(error.contains("green plane: 10 samples, 11 needed"), "{error}");
    }

    #[test]
    fn rounding_is_to_nearest() {
        for (value, wanted) in [(0.0, 0), (0.49, 0), (0.51, 1), (254.6, 255), (255.0, 255)] {
            assert_eq!(u8::from_f32(value), wanted);
        }
        assert_eq!(u16::from_f32(4094.7), 4095);
    }
}
