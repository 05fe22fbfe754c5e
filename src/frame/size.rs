//! Sizes: the inference size, and linear interpolation between two sizes.
//!
//! Input: the frame's size and property `inference-size`. Output: the size of the generator's picture; tables that map
//! pixels of one size to those of another.

use std::fmt;
use std::str::FromStr;

use anyhow::{Result, bail};

/// Width and height in pixels.
pub type Size = (usize, usize);

/// Least side of a picture that is stylized, in pixels.
pub const SMALLEST: usize = 16;

/// Value of property `inference-size`.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum InferenceSize {
    /// The frame's own size.
    #[default]
    Frame,
    /// At most this width and height, with the frame's aspect ratio.
    Within(usize, usize),
    /// A factor of the frame's size; as text 0 < factor <= 4.
    Scale(f64),
}

impl InferenceSize {
    /// The inference size for frames of this size.
    pub fn of(self, frame: Size) -> Size {
        match self {
            InferenceSize::Frame => frame,
            InferenceSize::Within(width, height) => fit(frame, (width, height)),
            InferenceSize::Scale(factor) => scaled(frame, factor),
        }
    }

    /// The size at which a generator's strokes are `style_scale` times as large in the frame (property `style-scale`): it
    /// paints strokes of so many pixels, however many the frame has.
    pub fn for_strokes(self, style_scale: f64) -> Self {
        let side = |v: usize| ((v as f64 / style_scale).round() as usize).max(SMALLEST);
        match self {
            _ if style_scale == 1.0 => self,
            Self::Frame => Self::Scale(1.0 / style_scale),
            Self::Within(width, height) => Self::Within(side(width), side(height)),
            Self::Scale(factor) => Self::Scale(factor / style_scale),
        }
    }
}

/// The largest size with the aspect ratio of `frame` within `bounds`.
pub fn fit(frame: Size, bounds: Size) -> Size {
    let factor = (bounds.0 as f64 / frame.0 as f64).min(bounds.1 as f64 / frame.1 as f64);
    let (w, h) = scaled(frame, factor);
    (w.min(bounds.0), h.min(bounds.1))
}

fn scaled(frame: Size, factor: f64) -> Size {
    let side = |v: usize| ((v as f64 * factor).round() as usize).max(SMALLEST);
    (side(frame.0), side(frame.1))
}

/// `value` rounded up to a multiple.
pub fn round_up(value: usize, multiple: usize) -> usize {
    value.div_ceil(multiple) * multiple
}

/// Linear interpolation of a pixel between two cells of a row or column of another size.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Lerp {
    /// The cell before the pixel.
    pub low: u32,
    /// The cell after it; the same at the end of the row.
    pub high: u32,
    /// Share of the second cell, 0..=1.
    pub share: f32,
}

/// Interpolation of `count` pixels between `cells`, which span the `picture` pixels from `origin` on; clamped outside.
pub fn lerp_table(count: usize, origin: usize, picture: usize, cells: usize) -> Vec<Lerp> {
    let scale = cells as f32 / picture as f32;
    let lerp = |i: usize| {
        let at = ((i as f32 - origin as f32 + 0.5) * scale - 0.5).clamp(0.0, cells as f32 - 1.0);
        let low = (at as usize).min(cells.saturating_sub(2));
        Lerp { low: low as u32, high: (low + 1).min(cells - 1) as u32, share: at - low as f32 }
    };
    (0..count).map(lerp).collect()
}

impl FromStr for InferenceSize {
    type Err = anyhow::Error;

    /// `0`, `WIDTHxHEIGHT` or a factor such as `0.5` or `1/2`.
    fn from_str(text: &str) -> Result<Self> {
        let text = text.trim();
        let side = |t: &str| t.trim().parse().ok().filter(|v| (SMALLEST..=8192).contains(v));
        if let Some((width, height)) = text.split_once('x')
            && let (Some(width), Some(height)) = (side(width), side(height))
        {
            return Ok(Self::Within(width, height));
        }
        let factor = match text.split_once('/') {
            Some((part, whole)) => part.trim().parse().and_then(|part: f64| Ok(part / whole.trim().parse::<f64>()?)),
            None => text.parse::<f64>(),
        };
        match factor {
            Ok(0.0) => Ok(Self::Frame),
            Ok(factor) if factor > 0.0 && factor <= 4.0 => Ok(Self::Scale(factor)),
            _ => bail!(
                "'{text}' is no inference size: expected 0, WIDTHxHEIGHT (16 to 8192 each) or a factor up to 4 (0.5, 1/3)"
            ),
        }
    }
}

impl fmt::Display for InferenceSize {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Frame => f.write_str("0"),
            Self::Within(w, h) => write!(f, "{w}x{h}"),
            Self::Scale(factor) => write!(f, "{factor}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_keep_the_aspect_ratio() {
        let of = |text: &str| text.parse::<InferenceSize>().unwrap().of((1920, 1080));
        assert_eq!(of("0"), (1920, 1080));
        assert_eq!(of("640x640"), (640, 360));
        assert_eq!(of("4000x540"), (960, 540));
        assert_eq!([of("0.5"), of("1/2"), of("2 / 3")], [(960, 540), (960, 540), (1280, 720)]);
        assert_eq!("0.001".parse::<InferenceSize>().unwrap().of((1920, 1080)), (16, 16));
    }

    #[test]
    fn larger_strokes_are_painted_at_a_smaller_size() {
        let of = |text: &str, scale| text.parse::<InferenceSize>().unwrap().for_strokes(scale).of((1280, 720));
        assert_eq!([of("0", 1.0), of("0", 2.0), of("0", 0.5)], [(1280, 720), (640, 360), (2560, 1440)]);
        assert_eq!([of("1/2", 2.0), of("640x640", 2.0), of("640x640", 0.5)], [(320, 180), (320, 180), (1280, 720)]);
        assert_eq!(of("32x18", 4.0), (16, 16), "never below the smallest side");
    }

    #[test]
    fn invalid_text_is_refused() {
        for text in ["", "x", "8x8", "640", "-1", "640x", "NaN", "9000x100", "1/0", "1/", "/2", "9/2"] {
            assert!(text.parse::<InferenceSize>().is_err(), "{text}");
        }
        for text in ["0", "640x360", "0.5"] {
            assert_eq!(text.parse::<InferenceSize>().unwrap().to_string(), text);
        }
    }

    proptest::proptest! {
        #[test]
        fn a_fitted_size_touches_its_bounds_and_keeps_the_proportions(
            frame in (16usize..5000, 16usize..5000),
            bounds in (16usize..5000, 16usize..5000),
        ) {
            let (width, height) = fit(frame, bounds);
            proptest::prop_assert!(width <= bounds.0 && height <= bounds.1);
            proptest::prop_assert!(width == bounds.0 || height == bounds.1);
            // Within a pixel, unless the smallest side holds.
            let exact = frame.0 as f64 * height as f64 / frame.1 as f64;
            let step = 1.0 + frame.0 as f64 / frame.1 as f64;
            proptest::prop_assert!((width as f64 - exact).abs() <= step || width.min(height) == SMALLEST);
        }

        #[test]
        fn rounding_up_gives_the_next_multiple(value in 0usize..100_000, multiple in 1usize..600) {
            let rounded = round_up(value, multiple);
            proptest::prop_assert!(rounded >= value && rounded < value + multiple && rounded.is_multiple_of(multiple));
        }

        #[test]
        fn cells_around_a_pixel_are_neighbours_in_order(
            count in 1usize..300, origin in 0usize..40, picture in 1usize..300, cells in 1usize..80,
        ) {
            let found = lerp_table(count, origin, picture, cells);
            let at = |b: &Lerp| b.low as f32 + b.share;
            proptest::prop_assert_eq!(found.len(), count);
            for b in &found {
                proptest::prop_assert!((b.high as usize) < cells && b.high - b.low <= 1 && (0.0..=1.0).contains(&b.share));
            }
            proptest::prop_assert!(found.windows(2).all(|pair| at(&pair[0]) <= at(&pair[1])));
        }
    }
}
