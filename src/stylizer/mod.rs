//! The stylizer: owns the generator, its geometry, its style and the stabilizer; one call a frame.
//!
//! Input: an image of the size that [`Stylizer::prepare`] returned. Output: the stylized or propagated frame.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::frame::image::{Image, ImageMut, Sample};
use crate::frame::size::Size;
use crate::inference::Generator;
use crate::style::{StyleFade, StyleMix};
use crate::temporal::stabilizer::{Report, Smoothing, Stabilizer};
use crate::tensor::egress::all_finite;
use crate::tensor::placement::Placement;

mod prepare;
mod tensors;

/// Sizes of the images that [`Stylizer::process`] reads and writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Geometry {
    /// Of the input image.
    pub input: Size,
    /// Of the output image.
    pub output: Size,
}

/// Result of one frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Outcome {
    /// Stylized; time of the inference.
    Stylized(Duration),
    /// Not stylized: the output is the history, propagated along the motion.
    Propagated,
    /// With lookahead, the first frame: the output image is unchanged; the frame follows with the next call. Time of the
    /// inference.
    Delayed(Duration),
    /// The generator's output has NaN or infinite values: the output image must not be shown. With lookahead
    /// [`Stylizer::drain`] returns the held frame; otherwise the history is dropped.
    NotFinite,
}

/// Whether a frame is stylized or propagated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// Every frame is stylized.
    Every,
    /// This frame is stylized, others are propagated.
    Infer,
    /// This frame is propagated if possible, otherwise stylized.
    Propagate,
    /// The same for a late frame: twice as much may be disoccluded.
    Hurry,
}

/// Settings of one frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Controls {
    /// Temporal method and strength.
    pub smoothing: Smoothing,
    /// Presentation time, the clock of a style fade; nothing else depends on it.
    pub time: Option<Duration>,
    /// Whether the frame is stylized or propagated.
    pub pace: Pace,
    /// Delays the output by one frame, to blend each frame with the next one too. Ignored for recurrent models.
    pub lookahead: bool,
}

impl Controls {
    /// A single image.
    pub const STILL: Controls = Controls::every(Smoothing::OFF, None);

    /// Every frame is stylized, without lookahead.
    pub const fn every(smoothing: Smoothing, time: Option<Duration>) -> Self {
        Controls { smoothing, time, pace: Pace::Every, lookahead: false }
    }
}

/// Stylizes frames.
pub struct Stylizer {
    generator: Box<dyn Generator>,
    input: Placement,
    output: Placement,
    planar: Vec<f32>,
    previous: Vec<f32>,
    confidence: Vec<f32>,
    stabilizer: Stabilizer,
    /// The size multiple that was found by trying.
    multiple: Option<usize>,
    /// Whether the stabilizer has observed the present frame.
    observed: bool,
    style: StyleFade,
}

impl Stylizer {
    /// A stylizer for a generator, with its first style; call [`Stylizer::prepare`] next.
    pub fn new(generator: Box<dyn Generator>) -> Self {
        let nothing = Placement::centered((0, 0), (0, 0));
        let (stabilizer, mut style) = (Stabilizer::default(), StyleFade::default());
        let first = generator.contract().style_weights.as_ref().map(|w| w.first());
        style.set(first.unwrap_or_default(), Duration::ZERO);
        let (planar, previous, confidence) = Default::default();
        Self {
            generator,
            input: nothing,
            output: nothing,
            planar,
            previous,
            confidence,
            stabilizer,
            multiple: None,
            observed: false,
            style,
        }
    }

    /// Sets the style, with a fade of `fade` in presentation time. Ignored by models without style weights.
    ///
    /// # Errors
    /// A style that the model does not have; the present one stays.
    pub fn set_style(&mut self, mix: &StyleMix, fade: Duration) -> Result<()> {
        let contract = self.generator.contract();
        if contract.styles.is_empty() {
            return Ok(());
        }
        let weights = mix.weights(&contract.styles)?;
        if contract.style_weights.is_none() {
            return Ok(());
        }
        if fade.is_zero() {
            self.stabilizer.reset();
        }
        self.style.set(weights, fade);
        self.generator.set_style(self.style.now());
        Ok(())
    }

    /// The generator.
    pub fn generator(&self) -> &dyn Generator {
        &*self.generator
    }

    /// The generator, to change it.
    pub fn generator_mut(&mut self) -> &mut dyn Generator {
        &mut *self.generator
    }

    /// Report of the stabilizer on the last frame.
    pub fn temporal_report(&self) -> Report {
        self.stabilizer.report()
    }

    fn output_is_canonical(&self) -> bool {
        let output = &self.generator.contract().output;
        output.format.is_canonical() && output.element == crate::tensor::layout::Element::F32
    }

    /// Drops the history: at every discontinuity of the stream.
    pub fn reset(&mut self) {
        self.stabilizer.reset();
    }

    /// Takes over the history of `other`, which has processed the same frames at another size.
    pub fn continue_from(&mut self, other: &mut Stylizer) {
        self.stabilizer.continue_from(&mut other.stabilizer, self.input.picture, self.output);
    }

    /// Processes one frame: propagates or stylizes it. After the first frames of a size nothing is allocated except a
    /// few bytes for each thread of the pool that takes part. An alpha plane of `image` weighs its pixels.
    ///
    /// # Errors
    /// Images of other sizes than [`Geometry`] has, or the generator's error.
    pub fn process<S: Sample>(
        &mut self,
        image: &Image<S>,
        stylized: &mut ImageMut<S>,
        controls: Controls,
    ) -> Result<Outcome> {
        match self.propagate(image, stylized, controls)? {
            Some(outcome) => Ok(outcome),
            None => self.stylize(image, image, stylized, controls),
        }
    }

    /// Propagates a frame, if its pace asks for it and it is possible; otherwise (`None`) call [`Stylizer::stylize`].
    /// `observed` is the frame, or its luma in every plane: the motion is estimated from it.
    ///
    /// # Errors
    /// As [`Stylizer::process`].
    pub fn propagate<L: Sample, S: Sample>(
        &mut self,
        observed: &Image<L>,
        stylized: &mut ImageMut<S>,
        controls: Controls,
    ) -> Result<Option<Outcome>> {
        self.check(stylized)?;
        let ahead = self.begin(controls);
        self.observed = matches!(controls.pace, Pace::Propagate | Pace::Hurry) && !self.is_recurrent();
        if !self.observed {
            return Ok(None);
        }
        self.stabilizer.observe(observed, controls.smoothing);
        let place = self.output;
        if !self.stabilizer.can_propagate(place, controls.pace == Pace::Hurry) {
            return Ok(None);
        }
        let shown = match ahead {
            true => self.stabilizer.stabilize_delayed(None, place, controls.smoothing, stylized)?,
            false => self.stabilizer.propagate(place, stylized),
        };
        ensure!(shown, "there is no history to propagate");
        Ok(Some(Outcome::Propagated))
    }

    /// Stylizes a frame. `observed` as in [`Stylizer::propagate`], and the same image if that was called for this frame.
    ///
    /// # Errors
    /// As [`Stylizer::process`].
    pub fn stylize<L: Sample, S: Sample>(
        &mut self,
        observed: &Image<L>,
        image: &Image<S>,
        stylized: &mut ImageMut<S>,
        controls: Controls,
    ) -> Result<Outcome> {
        self.check(stylized)?;
        let (ahead, recurrent, place) = (self.begin(controls), self.is_recurrent(), self.output);
        if !std::mem::take(&mut self.observed) {
            self.stabilizer.observe(observed, controls.smoothing);
        }
        self.fill_input(image)?;
        if recurrent {
            self.fill_recurrent_inputs()?;
        }
        let started = Instant::now();
        self.generator.run()?;
        let took = started.elapsed();
        let format = self.generator.contract().output.format;
        let values = tensors::stylized(self.generator.output(), &format, &self.output, &mut self.planar)?;
        let smoothing = controls.smoothing;
        let (finite, shown) = match ahead {
            true if !all_finite(values) => (false, false),
            true => (true, self.stabilizer.stabilize_delayed(Some(values), place, smoothing, stylized)?),
            false => (self.stabilizer.stabilize(values, place, smoothing, stylized)?, true),
        };
        Ok(match (finite, shown) {
            (false, _) => Outcome::NotFinite,
            (true, false) => Outcome::Delayed(took),
            (true, true) => Outcome::Stylized(took),
        })
    }

    /// With lookahead: writes the held frame, after which no other comes, and drops the history. False if no frame is held.
    ///
    /// # Errors
    /// An image of another size than [`Geometry`] has.
    pub fn drain<S: Sample>(&mut self, stylized: &mut ImageMut<S>, smoothing: Smoothing) -> Result<bool> {
        self.check(stylized)?;
        self.stabilizer.drain(self.output, smoothing, stylized)
    }

    /// Applies the settings of a frame; returns whether lookahead is on.
    fn begin(&mut self, controls: Controls) -> bool {
        let recurrent = self.is_recurrent();
        let ahead = controls.lookahead && !recurrent;
        self.stabilizer.keep_history(recurrent || controls.pace != Pace::Every);
        self.stabilizer.look_ahead(ahead);
        self.generator.set_style(self.style.at(controls.time));
        ahead
    }

    fn check<S: Sample>(&self, stylized: &ImageMut<S>) -> Result<()> {
        let shape = stylized.shape();
        let wanted = self.output.picture;
        ensure!(
            (shape.width, shape.height) == wanted,
            "the output image has {}x{} pixels, expected {}x{}",
            shape.width,
            shape.height,
            wanted.0,
            wanted.1
        );
        Ok(())
    }

    fn is_recurrent(&self) -> bool {
        self.generator.contract().recurrent.is_some()
    }
}
