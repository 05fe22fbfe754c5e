//! Scene cuts and flashes, decided from the statistics of consecutive frames.
//!
//! Input: the similarity of a frame and the previous one. Output: whether the history is used, kept for later, or dropped.

use crate::confidence::Similarity;

/// What changed from one frame to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// The scene continues.
    None,
    /// The same scene at another exposure for a moment: the new stylized frame is shown unblended, the history is kept.
    Flash,
    /// Another scene: the history is dropped.
    Cut,
}

impl Change {
    /// The change between two frames, without regard to the frames before.
    pub fn of(similarity: Similarity) -> Self {
        match similarity {
            Similarity { unmatched, .. } if unmatched > UNMATCHED_AT_CUT => Change::Cut,
            Similarity { brightness_change, .. } if brightness_change.abs() > FLASH => Change::Flash,
            _ => Change::None,
        }
    }
}

/// Share of unmatched cells above which the scene is another one.
const UNMATCHED_AT_CUT: f32 = 0.6;
/// Change of the mean luma (0..=255) in one frame above which it is a flash; fades take smaller steps.
const FLASH: f32 = 14.0;
/// Frames that a flash lasts at most; after them the exposure counts as changed for good.
const LONGEST_FLASH: u32 = 3;

/// Distinguishes flashes from lasting changes of exposure.
#[derive(Debug, Default)]
pub struct SceneCutDetector {
    flash_frames: u32,
}

impl SceneCutDetector {
    /// The change from the previous frame to the next one of the stream.
    pub fn next(&mut self, similarity: Similarity) -> Change {
        let change = Change::of(similarity);
        self.flash_frames = if change == Change::Flash { self.flash_frames + 1 } else { 0 };
        match change {
            Change::Flash if self.flash_frames > LONGEST_FLASH => {
                self.flash_frames = 0;
                Change::Cut
            }
            change => change,
        }
    }
}
