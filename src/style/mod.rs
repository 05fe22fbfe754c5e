//! Which style to use: one, or a mix of several, and the fade from one to the next.
//!
//! Comes in: a text like `great-wave:0.6,udnie:0.4` and the names of a model's styles. Goes out: weights with sum 1.

pub mod picture;

use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

/// Shares of styles by name; nothing named means the model's first style.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StyleMix(Vec<(String, f32)>);

impl FromStr for StyleMix {
    type Err = anyhow::Error;

    /// # Errors
    /// A share that is not a number from 0, a name that is missing or stands twice, or shares that are all 0.
    fn from_str(text: &str) -> Result<Self> {
        let mut parts: Vec<(String, f32)> = Vec::new();
        for part in text.split(',').map(str::trim).filter(|p| !p.is_empty()) {
            let (name, share) = part.split_once(':').map_or((part, "1"), |(name, share)| (name.trim(), share.trim()));
            let number = share.parse::<f32>().ok().filter(|s| s.is_finite() && *s >= 0.0);
            let number =
                number.with_context(|| format!("'{part}': '{share}' is no share, expected a number from 0"))?;
            ensure!(!name.is_empty(), "'{part}': no style is named, expected NAME or NAME:SHARE,NAME:SHARE");
            ensure!(!parts.iter().any(|(n, _)| n == name), "style '{name}' stands twice in '{text}'");
            parts.push((name.to_owned(), number));
        }
        ensure!(parts.is_empty() || parts.iter().any(|(_, s)| *s > 0.0), "every share in '{text}' is 0");
        ensure!(parts.iter().map(|(_, s)| s).sum::<f32>().is_finite(), "the shares in '{text}' are too large");
        Ok(Self(parts))
    }
}

impl StyleMix {
    /// The names that are mixed.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    /// One weight for each of `names`, in their order; their sum is 1.
    ///
    /// # Errors
    /// A style that is not among `names`.
    pub fn weights(&self, names: &[String]) -> Result<Vec<f32>> {
        let mut weights = vec![0.0; names.len()];
        if self.0.is_empty() {
            weights.iter_mut().take(1).for_each(|w| *w = 1.0);
        }
        let sum: f32 = self.0.iter().map(|(_, share)| share).sum();
        for (name, share) in &self.0 {
            match names.iter().position(|n| n == name) {
                Some(index) => weights[index] = share / sum,
                None => bail!("the model has no style '{name}'; it has: {}", names.join(", ")),
            }
        }
        Ok(weights)
    }
}

/// Progress from one picture to the next, by the frames' time.
#[derive(Debug, Clone, Default)]
pub struct Fade {
    length: Duration,
    started: Option<Duration>,
}

impl Fade {
    /// A fade that begins with the next frame and takes `length`.
    pub fn new(length: Duration) -> Self {
        Self { length, started: None }
    }

    /// Progress at a frame of `time`, 0..=1. It is 1 for a frame without a time and for one from before the beginning (a
    /// seek).
    pub fn share(&mut self, time: Option<Duration>) -> f32 {
        let elapsed = time.and_then(|time| time.checked_sub(*self.started.get_or_insert(time)));
        match elapsed {
            Some(elapsed) if elapsed < self.length => elapsed.as_secs_f32() / self.length.as_secs_f32(),
            _ => 1.0,
        }
    }
}

/// Weights that fade from one mix to another, by the frames' time.
#[derive(Debug, Clone, Default)]
pub struct StyleFade {
    now: Vec<f32>,
    from: Vec<f32>,
    target: Vec<f32>,
    fade: Fade,
}

impl StyleFade {
    /// Starts the fade to `target`. With a `length` of 0, or before the first frame, the next frame has it whole.
    pub fn set(&mut self, target: Vec<f32>, length: Duration) {
        if self.now.len() != target.len() || length.is_zero() {
            self.now.clone_from(&target);
        }
        self.from.clone_from(&self.now);
        (self.target, self.fade) = (target, Fade::new(length));
    }

    /// Whether a fade is under way.
    pub fn is_fading(&self) -> bool {
        self.now != self.target
    }

    /// The weights of the last frame.
    pub fn now(&self) -> &[f32] {
        &self.now
    }

    /// The weights for a frame at `time`. The fade begins at the first frame after [`StyleFade::set`].
    pub fn at(&mut self, time: Option<Duration>) -> &[f32] {
        if self.is_fading() {
            let share = self.fade.share(time);
            for ((now, from), target) in self.now.iter_mut().zip(&self.from).zip(&self.target) {
                *now = if share >= 1.0 { *target } else { from + (target - from) * share };
            }
        }
        &self.now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Vec<String> {
        ["wave", "scream", "udnie"].map(str::to_owned).into()
    }

    fn weights(text: &str) -> Result<Vec<f32>> {
        text.parse::<StyleMix>()?.weights(&names())
    }

    #[test]
    fn mixes_become_weights_that_add_up_to_one() {
        assert_eq!(weights("").unwrap(), [1.0, 0.0, 0.0]);
        assert_eq!(weights("udnie").unwrap(), [0.0, 0.0, 1.0]);
        assert_eq!(weights(" udnie:3 , wave ").unwrap(), [0.25, 0.0, 0.75]);
        assert_eq!(weights("wave:0.6,udnie:0.4,").unwrap(), [0.6, 0.0, 0.4]);
    }

    #[test]
    fn bad_mixes_are_refused_by_name() {
        for (text, word) in [
            ("wav", "it has: wave, scream, udnie"),
            ("wave:x", "'x' is no share"),
            ("wave:-1", "'-1'"),
            ("wave:nan", "'nan'"),
            (":0.5", "no style is named"),
            ("wave,wave:2", "twice"),
            ("wave:0,udnie:0", "is 0"),
            ("wave:3e38,udnie:3e38", "too large"),
        ] {
            let error = format!("{:#}", weights(text).unwrap_err());
            assert!(error.contains(word), "{text}: {error}");
        }
    }

    #[test]
    fn a_fade_follows_the_frames_time() {
        let seconds = |s: f32| Some(Duration::from_secs_f32(s));
        let mut fade = StyleFade::default();
        fade.set(vec![1.0, 0.0], Duration::from_secs(1));
        assert_eq!(fade.at(seconds(5.0)), [1.0, 0.0], "no frame came before: no fade");
        fade.set(vec![0.0, 1.0], Duration::from_secs(1));
        assert_eq!(fade.at(seconds(6.0)), [1.0, 0.0]);
        assert_eq!(fade.at(seconds(6.5)), [0.5, 0.5]);
        fade.set(vec![1.0, 0.0], Duration::from_secs(1));
        assert_eq!(fade.at(seconds(7.0)), [0.5, 0.5], "a change during a fade starts from the present weights");
        assert_eq!(fade.at(seconds(7.5)), [0.75, 0.25]);
        assert!(fade.is_fading());
        assert_eq!(fade.at(seconds(1.0)), [1.0, 0.0], "a seek back ends it");
        fade.set(vec![0.0, 1.0], Duration::ZERO);
        assert_eq!(fade.at(None), [0.0, 1.0]);
    }
}
