//! Lag: how many frames a stabilized video takes to follow a step of the stylized frames.
//!
//! Input: the mean value of every shown frame from the step on. Output: a number of frames.

/// Frames until nine tenths of the step `from` to `to` are shown; `None` if `shown` ends before.
pub fn lag(mut shown: impl Iterator<Item = f32>, from: f32, to: f32) -> Option<usize> {
    shown.position(|value| (value - from) / (to - from) >= 0.9)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lag_counts_frames_until_nine_tenths_of_the_step() {
        let halves = |from: f32, to: f32| (1..9).map(move |i| to + (from - to) * 0.5f32.powi(i));
        assert_eq!(lag(halves(0.3, 0.7), 0.3, 0.7), Some(3));
        assert_eq!(lag(halves(0.7, 0.3), 0.7, 0.3), Some(3));
        assert_eq!(lag([0.7].into_iter(), 0.3, 0.7), Some(0));
        assert_eq!(lag([0.3; 5].into_iter(), 0.3, 0.7), None);
    }
}
