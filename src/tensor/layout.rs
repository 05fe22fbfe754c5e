//! Format of a picture in a tensor: axis order, channel order, value range, element type.
//!
//! Input: the text of element properties and metadata keys. Output: plain data for the model contract, printed with the
//! same words; views of a tensor by channel, row and column.

use std::fmt;
use std::str::FromStr;

use anyhow::{Result, bail, ensure};
use ndarray::{ArrayView3, ArrayViewMut3, ShapeBuilder};

/// Order of the axes. Batch (N) is always 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Axes {
    /// Batch, channel, row, column.
    Nchw,
    /// Batch, row, column, channel.
    Nhwc,
    /// Channel, row, column.
    Chw,
    /// Row, column, channel.
    Hwc,
}

impl Axes {
    /// Every axis order with its name.
    pub const ALL: [(&'static str, Axes); 4] =
        [("nchw", Axes::Nchw), ("nhwc", Axes::Nhwc), ("chw", Axes::Chw), ("hwc", Axes::Hwc)];

    /// Number of axes.
    pub fn rank(self) -> usize {
        match self {
            Axes::Nchw | Axes::Nhwc => 4,
            Axes::Chw | Axes::Hwc => 3,
        }
    }

    /// Index of the (channel, row, column) axis.
    pub fn positions(self) -> (usize, usize, usize) {
        match self {
            Axes::Nchw => (1, 2, 3),
            Axes::Nhwc => (3, 1, 2),
            Axes::Chw => (0, 1, 2),
            Axes::Hwc => (2, 0, 1),
        }
    }

    /// Whether each channel is a plane of its own.
    pub fn is_planar(self) -> bool {
        matches!(self, Axes::Nchw | Axes::Chw)
    }

    /// Dimensions of a tensor of `channels` x `height` x `width`, batch 1.
    pub fn dims(self, channels: usize, width: usize, height: usize) -> Vec<i64> {
        let (c, y, x) = self.positions();
        let mut dims = vec![1; self.rank()];
        dims[c] = channels as i64;
        dims[y] = height as i64;
        dims[x] = width as i64;
        dims
    }

    /// Element strides of (channel, row, column).
    fn strides(self, channels: usize, width: usize, height: usize) -> (usize, usize, usize) {
        match self.is_planar() {
            true => (width * height, width, 1),
            false => (1, width * channels, channels),
        }
    }
}

/// Order of the colour channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channels {
    /// Red, green, blue.
    Rgb,
    /// Blue, green, red.
    Bgr,
}

impl Channels {
    /// Every channel order with its name.
    pub const ALL: [(&'static str, Channels); 2] = [("rgb", Channels::Rgb), ("bgr", Channels::Bgr)];

    /// Index of channel `c` of an RGB image.
    pub fn index(self, c: usize) -> usize {
        match self {
            Channels::Rgb => c,
            Channels::Bgr => 2 - c,
        }
    }
}

fn by_name<T: Copy>(all: &[(&str, T)], what: &str, text: &str) -> Result<T> {
    let names = || all.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    match all.iter().find(|(name, _)| name.eq_ignore_ascii_case(text.trim())) {
        Some((_, value)) => Ok(*value),
        None => bail!("'{text}' is no {what}: expected one of {}", names()),
    }
}

fn name_of<T: PartialEq>(all: &[(&'static str, T)], value: &T) -> &'static str {
    all.iter().find(|(_, v)| v == value).map_or("?", |(name, _)| name)
}

impl FromStr for Axes {
    type Err = anyhow::Error;
    fn from_str(text: &str) -> Result<Self> {
        by_name(&Self::ALL, "tensor layout", text)
    }
}

impl fmt::Display for Axes {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(name_of(&Self::ALL, self))
    }
}

impl FromStr for Channels {
    type Err = anyhow::Error;
    fn from_str(text: &str) -> Result<Self> {
        by_name(&Self::ALL, "channel order", text)
    }
}

impl fmt::Display for Channels {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(name_of(&Self::ALL, self))
    }
}

/// Type of a tensor's elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Element {
    /// 32 bit float.
    F32,
    /// 16 bit float (IEEE 754 binary16).
    F16,
    /// 8 bit unsigned integer.
    U8,
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            Element::F32 => "f32",
            Element::F16 => "f16",
            Element::U8 => "u8",
        })
    }
}

/// Range of values: `tensor = intensity * scale + offset` per RGB channel, with intensity in 0..=1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Range {
    /// Factor of each channel, in RGB order whatever the tensor's channel order.
    pub scale: [f32; 3],
    /// Value of black, in RGB order.
    pub offset: [f32; 3],
}

impl Range {
    /// 0..=1.
    pub const UNIT: Range = Range::between(0.0, 1.0);
    /// 0..=255.
    pub const BYTE: Range = Range::between(0.0, 255.0);
    /// -1..=1.
    pub const SIGNED: Range = Range::between(-1.0, 1.0);

    /// The same range for all three channels.
    pub const fn between(low: f32, high: f32) -> Self {
        Self { scale: [high - low; 3], offset: [low; 3] }
    }

    /// Normalised by mean and standard deviation: `(intensity - mean) / std`, RGB order.
    ///
    /// # Errors
    /// A standard deviation that is not positive.
    pub fn normalized(mean: [f32; 3], std: [f32; 3]) -> Result<Self> {
        ensure!(
            std.iter().zip(mean).all(|(s, mean)| *s > 0.0 && (1.0 / s).is_finite() && (mean / s).is_finite()),
            "standard deviations must be positive and not tiny, found {std:?}"
        );
        let mut range = Self::UNIT;
        for c in 0..3 {
            range.scale[c] = 1.0 / std[c];
            range.offset[c] = -mean[c] / std[c];
        }
        Ok(range)
    }
}

impl FromStr for Range {
    type Err = anyhow::Error;

    /// `LOW,HIGH`, or `mean=R,G,B;std=R,G,B`.
    fn from_str(text: &str) -> Result<Self> {
        const WANTED: &str = "expected LOW,HIGH (for example 0,255) or mean=R,G,B;std=R,G,B";
        let numbers = |list: &str| -> Result<Vec<f32>> {
            let parsed: Result<Vec<f32>, _> = list.split(',').map(|n| n.trim().parse()).collect();
            match parsed {
                Ok(numbers) if numbers.iter().all(|n| n.is_finite()) => Ok(numbers),
                _ => bail!("'{text}' is no range of values: {WANTED}"),
            }
        };
        if let Some((mean, std)) = text.split_once(';') {
            let part = |part: &str, key: &str| -> Result<[f32; 3]> {
                let list = part.trim().strip_prefix(key).and_then(|p| p.trim_start().strip_prefix('='));
                let Some(list) = list else { bail!("'{text}' is no range of values: {WANTED}") };
                numbers(list)?.try_into().map_err(|_| anyhow::anyhow!("'{part}': expected three numbers"))
            };
            return Range::normalized(part(mean, "mean")?, part(std, "std")?);
        }
        match numbers(text)?[..] {
            [low, high] if high > low && (high - low).is_finite() => Ok(Range::between(low, high)),
            _ => bail!("'{text}' is no range of values: {WANTED}, with LOW below HIGH"),
        }
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        if *self == Range::between(self.offset[0], self.offset[0] + self.scale[0]) {
            return write!(f, "{},{}", self.offset[0], self.offset[0] + self.scale[0]);
        }
        let (s, o) = (self.scale, self.offset);
        let mean = [0, 1, 2].map(|c| -o[c] / s[c]);
        let std = s.map(|s| 1.0 / s);
        write!(f, "mean={},{},{};std={},{},{}", mean[0], mean[1], mean[2], std[0], std[1], std[2])
    }
}

/// Format of a picture in one tensor.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Format {
    /// Axis order.
    pub axes: Axes,
    /// Channel order.
    pub channels: Channels,
    /// Value range.
    pub range: Range,
}

impl Format {
    /// Planar RGB in 0..=1, the format that the crate computes with.
    pub const CANONICAL: Format = Format { axes: Axes::Nchw, channels: Channels::Rgb, range: Range::UNIT };

    /// Whether a tensor of this format is planar RGB in 0..=1.
    pub fn is_canonical(&self) -> bool {
        self.axes.is_planar() && self.channels == Channels::Rgb && self.range == Range::UNIT
    }

    /// `data` as (tensor channel, row, column), whatever the axis order. `None` if its length does not fit.
    pub fn view<'a, T>(&self, data: &'a [T], width: usize, height: usize) -> Option<ArrayView3<'a, T>> {
        let shape = (3, height, width).strides(self.axes.strides(3, width, height));
        (data.len() == 3 * width * height).then(|| ArrayView3::from_shape(shape, data).ok())?
    }

    /// As [`Format::view`], writable.
    pub fn view_mut<'a, T>(&self, data: &'a mut [T], width: usize, height: usize) -> Option<ArrayViewMut3<'a, T>> {
        let shape = (3, height, width).strides(self.axes.strides(3, width, height));
        (data.len() == 3 * width * height).then(|| ArrayViewMut3::from_shape(shape, data).ok())?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axis_orders_round_trip_as_text() {
        for (name, axes) in Axes::ALL {
            assert_eq!(name.parse::<Axes>().unwrap(), axes);
            assert_eq!(axes.to_string(), name);
        }
        let error = "nwhc".parse::<Axes>().unwrap_err().to_string();
        assert!(error.contains("nwhc") && error.contains("nchw, nhwc, chw, hwc"), "{error}");
    }

    #[test]
    fn ranges_round_trip_as_text() {
        for text in ["0,255", "0,1", "-1,1"] {
            assert_eq!(text.parse::<Range>().unwrap().to_string(), text);
        }
        let range: Range = "mean=0.5,0.25,0;std=0.5,0.25,1".parse().unwrap();
        assert_eq!(range.offset, [-1.0, -1.0, 0.0]);
        assert_eq!(range.to_string().parse::<Range>().unwrap(), range);
        for bad in [
            "",
            "1",
            "1,0",
            "a,b",
            "0,inf",
            "mean=1,2,3",
            "mean=1,2;std=1,2,3",
            "mean=0,0,0;std=0,1,1",
            "-3e38,3e38",
            "mean=0,0,0;std=1e-40,1,1",
        ] {
            assert!(bad.parse::<Range>().is_err(), "{bad}");
        }
    }
}
