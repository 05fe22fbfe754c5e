//! What happened between two frames, as far as the history is concerned.

use crate::confidence::Resemblance;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// The scene goes on.
    None,
    /// The same scene in another light: the history stays as it is, the new stylized frame is shown whole.
    Flash,
    /// Another scene.
    Cut,
}

impl Change {
    /// What two frames by themselves look like.
    pub fn of(seen: Resemblance) -> Self {
        match seen {
            Resemblance { lost, .. } if lost > LOST_AT_CUT => Change::Cut,
            Resemblance { brighter, .. } if brighter.abs() > FLASH => Change::Flash,
            _ => Change::None,
        }
    }
}

/// More cells than this hardly relied on: another scene.
const LOST_AT_CUT: f32 = 0.6;
/// A jump of the mean brightness (0..=255) beyond this is a flash; a fade takes smaller steps.
const FLASH: f32 = 14.0;
/// So many frames in another light are no flash any more, but how the scene looks now.
const LONGEST_FLASH: u32 = 3;

/// Tells flashes from lasting changes.
#[derive(Debug, Default)]
pub struct Watch {
    flashing: u32,
}

impl Watch {
    /// What happened on the way to a new frame.
    pub fn judge(&mut self, seen: Resemblance) -> Change {
        let change = Change::of(seen);
        self.flashing = if change == Change::Flash { self.flashing + 1 } else { 0 };
        match change {
            Change::Flash if self.flashing > LONGEST_FLASH => {
                self.flashing = 0;
                Change::Cut
            }
            change => change,
        }
    }
}
