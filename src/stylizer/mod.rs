//! The conductor: owns the generator, its geometry and the history; one call per frame.
//!
//! Comes in: an image of the size that [`Stylizer::prepare`] settled. Goes out: the stylized frame.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::frame::image::{Image, ImageMut, Sample};
use crate::frame::size::Size;
use crate::inference::{Generator, Refusal};
use crate::style::{StyleFade, StyleMix};
use crate::temporal::stabilizer::{Report, Smoothing, Stabilizer};
use crate::tensor::egress::all_finite;
use crate::tensor::placement::Placement;
use crate::warp::canvas::Canvas;

mod prepare;
mod tensors;

/// Sizes of the pictures that go into and come out of [`Stylizer::process`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Geometry {
    /// Wanted of the input image.
    pub input: Size,
    /// Given in the output image.
    pub output: Size,
}

/// How a frame went.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Outcome {
    /// Stylized; how long the generator took.
    Stylized(Duration),
    /// Not stylized, but shown as the stylized frame of earlier frames, propagated along the motion.
    Propagated,
    /// With lookahead, the first frame: the output image is untouched and its stylized frame comes with the next.
    /// How long the generator took.
    Delayed(Duration),
    /// The generator gave NaN or infinity. The output image is of no use. With lookahead [`Stylizer::drain`] gives what
    /// was held; otherwise the history is forgotten.
    NotFinite,
}

/// Whether a frame needs a stylized frame of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// Every frame is stylized.
    Every,
    /// This frame is stylized, others are propagated.
    Infer,
    /// Propagated if that can be, else stylized.
    Propagate,
    /// The same where there is no time: more may have come into view.
    Hurry,
}

/// What is wanted of one frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Controls {
    /// What the history is used for.
    pub smoothing: Smoothing,
    /// When the frame is shown: what a fade of styles goes by.
    pub time: Option<Duration>,
    /// Whether the frame needs a stylized frame of its own.
    pub pace: Pace,
    /// Shows every frame one frame later, and so knows the next one. Not for recurrent models.
    pub lookahead: bool,
}

impl Controls {
    /// A picture for itself.
    pub const STILL: Controls = Controls::every(Smoothing::OFF, None);

    /// Every frame stylized and shown at once.
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
    /// Whether the frame has been observed already.
    observed: bool,
    style: StyleFade,
}

impl Stylizer {
    /// A stylizer around a generator, with its first style; [`Stylizer::prepare`] comes next.
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

    /// See [`Generator::take_refusals`].
    pub fn take_refusals(&mut self) -> Vec<Refusal> {
        self.generator.take_refusals()
    }

    /// Chooses the style, over `fade` of the frames' time. A model of one unnamed style takes any.
    ///
    /// # Errors
    /// A style that the model does not have; the old one stays.
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

    /// See [`Generator::prepare_style`].
    pub fn prepare_style(&mut self) {
        self.generator.prepare_style();
    }

    /// The generator.
    pub fn generator(&self) -> &dyn Generator {
        &*self.generator
    }

    /// What the history had to do with the last frame.
    pub fn temporal_report(&self) -> Report {
        self.stabilizer.report()
    }

    fn output_is_canonical(&self) -> bool {
        let output = &self.generator.contract().output;
        output.format.is_canonical() && output.element == crate::tensor::layout::Element::F32
    }

    /// Forgets what was stylized before: called on every break in the stream.
    pub fn reset(&mut self) {
        self.stabilizer.reset();
    }

    /// Goes on where `other` leaves off, which has stylized the same frames at another size.
    pub fn continue_from(&mut self, other: &mut Stylizer) {
        let canvas = self.canvas();
        self.stabilizer.continue_from(&mut other.stabilizer, self.input.picture, canvas);
    }

    /// Shows one frame, propagated or stylized. After the first frames of a size nothing is allocated but a
    /// few bytes for each thread that helps.
    ///
    /// # Errors
    /// Images of other sizes than settled, or the runtime's error.
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

    /// Shows a frame without stylized frame it, if its pace asks for that and it can be; else [`Stylizer::stylize`] must
    /// follow. `seen` is the frame, or its lightness in every plane: its motion is found in it.
    ///
    /// # Errors
    /// As [`Stylizer::process`].
    pub fn propagate<L: Sample, S: Sample>(
        &mut self,
        seen: &Image<L>,
        stylized: &mut ImageMut<S>,
        controls: Controls,
    ) -> Result<Option<Outcome>> {
        self.check(stylized)?;
        let ahead = self.begin(controls);
        self.observed = matches!(controls.pace, Pace::Propagate | Pace::Hurry) && !self.is_recurrent();
        if !self.observed {
            return Ok(None);
        }
        self.stabilizer.observe(seen, controls.smoothing);
        let canvas = self.canvas();
        if !self.stabilizer.can_propagate(canvas, controls.pace == Pace::Hurry) {
            return Ok(None);
        }
        let shown = match ahead {
            true => self.stabilizer.stabilize_delayed(None, canvas, controls.smoothing, stylized)?,
            false => self.stabilizer.propagate(canvas, stylized),
        };
        ensure!(shown, "there is no history to carry");
        Ok(Some(Outcome::Propagated))
    }

    /// Stylizes a frame. `seen` as in [`Stylizer::propagate`], and the same picture if that came before.
    ///
    /// # Errors
    /// As [`Stylizer::process`].
    pub fn stylize<L: Sample, S: Sample>(
        &mut self,
        seen: &Image<L>,
        image: &Image<S>,
        stylized: &mut ImageMut<S>,
        controls: Controls,
    ) -> Result<Outcome> {
        self.check(stylized)?;
        let (ahead, recurrent, canvas) = (self.begin(controls), self.is_recurrent(), self.canvas());
        if !std::mem::take(&mut self.observed) {
            self.stabilizer.observe(seen, controls.smoothing);
        }
        self.fill_input(image)?;
        if recurrent {
            self.feed_back()?;
        }
        let started = Instant::now();
        self.generator.run()?;
        let took = started.elapsed();
        let format = self.generator.contract().output.format;
        let fresh = tensors::stylized(self.generator.output(), &format, &self.output, &mut self.planar)?;
        let smoothing = controls.smoothing;
        let (finite, shown) = match ahead {
            true if !all_finite(fresh) => (false, false),
            true => (true, self.stabilizer.stabilize_delayed(Some(fresh), canvas, smoothing, stylized)?),
            false => (self.stabilizer.stabilize(fresh, canvas, smoothing, stylized)?, true),
        };
        Ok(match (finite, shown) {
            (false, _) => Outcome::NotFinite,
            (true, false) => Outcome::Delayed(took),
            (true, true) => Outcome::Stylized(took),
        })
    }

    /// With lookahead: stylizes the last frame, to which no next one comes, and forgets the history. False if no frame was
    /// held.
    ///
    /// # Errors
    /// An image of another size than settled.
    pub fn drain<S: Sample>(&mut self, stylized: &mut ImageMut<S>, smoothing: Smoothing) -> Result<bool> {
        let canvas = self.canvas();
        self.check(stylized)?;
        self.stabilizer.drain(canvas, smoothing, stylized)
    }

    /// Takes up what is wanted of a frame; tells whether frames wait for the next one.
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
        ensure!((shape.width, shape.height) == wanted, "an image of {shape:?} for a picture of {wanted:?}");
        Ok(())
    }

    fn is_recurrent(&self) -> bool {
        self.generator.contract().recurrent.is_some()
    }

    fn canvas(&self) -> Canvas {
        let (width, height) = self.output.tensor;
        Canvas { width, height, origin: self.output.origin, picture: self.output.picture }
    }
}
