//! The blend of the new painting with the history of earlier ones.
//!
//! Comes in: a painting, planar RGB `f32` in 0..=1. Goes out: the painting to show, which becomes the history.

/// How the history is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Not at all.
    None,
    /// Exponential average: the share `smoothing` of what is shown comes from what was shown before.
    Average,
}

/// What the user wants of the history.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Smoothing {
    /// How it is used.
    pub method: Method,
    /// Its share, 0 (none) ..= 1 (never changes).
    pub amount: f32,
}

impl Smoothing {
    /// Every painting for itself.
    pub const OFF: Smoothing = Smoothing { method: Method::None, amount: 0.0 };

    fn is_off(self) -> bool {
        self.method == Method::None || self.amount <= 0.0
    }
}

/// Holds the history.
#[derive(Default)]
pub struct Stabilizer {
    history: Vec<f32>,
    is_valid: bool,
}

impl Stabilizer {
    /// Forgets the history: the next painting is shown as it is. The memory is kept.
    pub fn reset(&mut self) {
        self.is_valid = false;
    }

    /// Blends `fresh` into the history and returns what to show.
    ///
    /// A painting of another length than the history starts a new history. `fresh` must be finite.
    pub fn steady<'a>(&'a mut self, fresh: &'a [f32], smoothing: Smoothing) -> &'a [f32] {
        if smoothing.is_off() {
            self.reset();
            return fresh;
        }
        if !self.is_valid || self.history.len() != fresh.len() {
            self.history.clear();
            self.history.extend_from_slice(fresh);
            self.is_valid = true;
            return &self.history;
        }
        let share = 1.0 - smoothing.amount.min(1.0);
        for (old, new) in self.history.iter_mut().zip(fresh) {
            *old += (new - *old) * share;
        }
        &self.history
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HALF: Smoothing = Smoothing { method: Method::Average, amount: 0.5 };

    #[test]
    fn the_average_approaches_a_step_by_halves() {
        let mut stabilizer = Stabilizer::default();
        assert_eq!(stabilizer.steady(&[0.0], HALF), [0.0]);
        let shown: Vec<f32> = (0..4).map(|_| stabilizer.steady(&[1.0], HALF)[0]).collect();
        assert_eq!(shown, [0.5, 0.75, 0.875, 0.9375]);
    }

    #[test]
    fn reset_size_change_and_off_forget() {
        let mut stabilizer = Stabilizer::default();
        stabilizer.steady(&[0.0], HALF);
        stabilizer.reset();
        assert_eq!(stabilizer.steady(&[1.0], HALF), [1.0]);
        assert_eq!(stabilizer.steady(&[0.0, 0.5], HALF), [0.0, 0.5]);
        assert_eq!(stabilizer.steady(&[1.0, 1.0], Smoothing::OFF), [1.0, 1.0]);
        assert_eq!(stabilizer.steady(&[0.5, 0.5], HALF), [0.5, 0.5]);
    }
}
