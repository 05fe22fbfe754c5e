//! What a model does last to its stylized frame, where that is a pixel shuffle and a crop: the element does both faster.
//!
//! Comes in: a model's metadata. Goes out: the tensor before, and how much is cropped.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::{Context, Result};

use crate::model::metadata::PREFIX;

/// Key of the metadata, without prefix.
pub const KEY: &str = "sub-pixel";

/// The output of a sub-pixel convolution (Shi et al. 2016), `[1, 12, h, w]`: the pixel `(2y + i, 2x + j)` of channel `c` is
/// its channel `4c + 2i + j` at `(y, x)`. The model's output `[1, 3, 2h - 2 crop, 2w - 2 crop]` is that without the border.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubPixel {
    /// Name in the file.
    pub tensor: String,
    /// Pixels of the stylized frame on each side that are no part of the output; even.
    pub crop: usize,
}

impl fmt::Display for SubPixel {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "metadata '{PREFIX}{KEY}={},{}'", self.tensor, self.crop)
    }
}

impl SubPixel {
    /// Reads metadata `TENSOR,CROP`; `None` if there is no such key.
    ///
    /// # Errors
    /// A value that cannot be read, with its key.
    pub fn of(metadata: &BTreeMap<String, String>) -> Result<Option<Self>> {
        let Some(text) = metadata.get(&format!("{PREFIX}{KEY}")) else { return Ok(None) };
        let parsed = text.rsplit_once(',').and_then(|(tensor, crop)| {
            let crop = crop.trim().parse().ok().filter(|crop: &usize| crop.is_multiple_of(2))?;
            Some(Self { tensor: tensor.trim().to_owned(), crop }).filter(|found| !found.tensor.is_empty())
        });
        let wanted = || format!("metadata '{PREFIX}{KEY}' is '{text}', expected TENSOR,CROP with CROP an even number");
        parsed.with_context(wanted).map(Some)
    }

    /// Width and height of the stylized frame, if the tensor has these dimensions.
    pub fn size(&self, dims: &[i64]) -> Option<(usize, usize)> {
        let [1, 12, height, width] = *dims else { return None };
        let lost = i64::try_from(self.crop).ok()?.checked_mul(2)?;
        let side = |cells: i64| {
            let side = cells.checked_mul(2)?.checked_sub(lost)?;
            usize::try_from(side).ok().filter(|side| *side > 0)
        };
        Some((side(width)?, side(height)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_read_or_refused_by_name() {
        let of = |text: &str| SubPixel::of(&BTreeMap::from([("styletransfer.sub-pixel".into(), text.into())]));
        assert_eq!(of("/up2/Conv, 20").unwrap(), Some(SubPixel { tensor: "/up2/Conv".into(), crop: 20 }));
        assert_eq!(SubPixel::of(&BTreeMap::new()).unwrap(), None);
        for wrong in ["", "x", "x,3", "x,-2", ",4"] {
            let error = of(wrong).unwrap_err().to_string();
            assert!(error.contains("styletransfer.sub-pixel") && error.contains("TENSOR,CROP"), "{error}");
        }
        let found = SubPixel { tensor: "x".into(), crop: 20 };
        assert_eq!(found.size(&[1, 12, 200, 340]), Some((640, 360)));
        for dims in
            [&[1, 3, 200, 340][..], &[1, 12, 20, 340], &[1, 12, 200], &[1, 12, -1, 340], &[1, 12, i64::MAX, 340]]
        {
            assert_eq!(found.size(dims), None);
        }
    }
}
