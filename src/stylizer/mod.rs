//! The conductor: owns the generator, its geometry and the history; one call per frame.
//!
//! Comes in: an image of the size that [`Stylizer::prepare`] settled. Goes out: the painting.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::geometry::Size;
use crate::image::{Image, ImageMut, Sample};
use crate::inference::{Generator, Refusal};
use crate::style::{StyleFade, StyleMix};
use crate::temporal::canvas::Canvas;
use crate::temporal::stabilizer::{Report, Smoothing, Stabilizer};
use crate::tensor::egress::all_finite;
use crate::tensor::placement::Placement;

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
    /// Painted; how long the generator took.
    Painted(Duration),
    /// Not painted, but shown as the painting of earlier frames, carried along the motion.
    Carried,
    /// With lookahead, the first frame: the output image is untouched and its painting comes with the next.
    /// How long the generator took.
    Held(Duration),
    /// The generator gave NaN or infinity. The output image is of no use. With lookahead [`Stylizer::drain`] gives what
    /// was held; otherwise the history is forgotten.
    NotFinite,
}

/// Whether a frame needs a painting of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// Every frame is painted.
    Every,
    /// This frame is painted, others are carried.
    Paint,
    /// Carried if that can be, else painted.
    Carry,
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
    /// Whether the frame needs a painting of its own.
    pub pace: Pace,
    /// Shows every frame one frame later, and so knows the next one. Not for recurrent models.
    pub lookahead: bool,
}

impl Controls {
    /// A picture for itself.
    pub const STILL: Controls = Controls::every(Smoothing::OFF, None);

    /// Every frame painted and shown at once.
    pub const fn every(smoothing: Smoothing, time: Option<Duration>) -> Self {
        Controls { smoothing, time, pace: Pace::Every, lookahead: false }
    }
}

/// Paints frames.
pub struct Stylizer {
    generator: Box<dyn Generator>,
    input: Placement,
    output: Placement,
    planar: Vec<f32>,
    previous: Vec<f32>,
    confidence: Vec<f32>,
    stabilizer: Stabilizer,
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

    /// See [`Generator::warm_up`].
    pub fn warm_up(&mut self) {
        self.generator.warm_up();
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

    /// Forgets what was painted before: called on every break in the stream.
    pub fn reset(&mut self) {
        self.stabilizer.reset();
    }

    /// Goes on where `other` leaves off, which has painted the same frames at another size.
    pub fn follow_on(&mut self, other: &mut Stylizer) {
        let canvas = self.canvas();
        self.stabilizer.follow_on(&mut other.stabilizer, self.input.picture, canvas);
    }

    /// Shows one frame, carried or painted. After the first frames of a size nothing is allocated but a
    /// few bytes for each thread that helps.
    ///
    /// # Errors
    /// Images of other sizes than settled, or the runtime's error.
    pub fn process<S: Sample>(
        &mut self,
        image: &Image<S>,
        painting: &mut ImageMut<S>,
        controls: Controls,
    ) -> Result<Outcome> {
        match self.carry(image, painting, controls)? {
            Some(outcome) => Ok(outcome),
            None => self.paint(image, image, painting, controls),
        }
    }

    /// Shows a frame without painting it, if its pace asks for that and it can be; else [`Stylizer::paint`] must
    /// follow. `seen` is the frame, or its lightness in every plane: its motion is found in it.
    ///
    /// # Errors
    /// As [`Stylizer::process`].
    pub fn carry<L: Sample, S: Sample>(
        &mut self,
        seen: &Image<L>,
        painting: &mut ImageMut<S>,
        controls: Controls,
    ) -> Result<Option<Outcome>> {
        self.check(painting)?;
        let ahead = self.begin(controls);
        self.observed = matches!(controls.pace, Pace::Carry | Pace::Hurry) && !self.is_recurrent();
        if !self.observed {
            return Ok(None);
        }
        self.stabilizer.observe(seen, controls.smoothing);
        let canvas = self.canvas();
        if !self.stabilizer.can_carry(canvas, controls.pace == Pace::Hurry) {
            return Ok(None);
        }
        let shown = match ahead {
            true => self.stabilizer.steady_behind(None, canvas, controls.smoothing, painting)?,
            false => self.stabilizer.carry(canvas, painting),
        };
        ensure!(shown, "there is no history to carry");
        Ok(Some(Outcome::Carried))
    }

    /// Paints a frame. `seen` as in [`Stylizer::carry`], and the same picture if that came before.
    ///
    /// # Errors
    /// As [`Stylizer::process`].
    pub fn paint<L: Sample, S: Sample>(
        &mut self,
        seen: &Image<L>,
        image: &Image<S>,
        painting: &mut ImageMut<S>,
        controls: Controls,
    ) -> Result<Outcome> {
        self.check(painting)?;
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
        let fresh = tensors::painting(self.generator.output(), &format, &self.output, &mut self.planar)?;
        let smoothing = controls.smoothing;
        let (finite, shown) = match ahead {
            true if !all_finite(fresh) => (false, false),
            true => (true, self.stabilizer.steady_behind(Some(fresh), canvas, smoothing, painting)?),
            false => (self.stabilizer.steady(fresh, canvas, smoothing, painting)?, true),
        };
        Ok(match (finite, shown) {
            (false, _) => Outcome::NotFinite,
            (true, false) => Outcome::Held(took),
            (true, true) => Outcome::Painted(took),
        })
    }

    /// With lookahead: paints the last frame, to which no next one comes, and forgets the history. False if no frame was
    /// held.
    ///
    /// # Errors
    /// An image of another size than settled.
    pub fn drain<S: Sample>(&mut self, painting: &mut ImageMut<S>, smoothing: Smoothing) -> Result<bool> {
        let canvas = self.canvas();
        self.check(painting)?;
        self.stabilizer.drain(canvas, smoothing, painting)
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

    fn check<S: Sample>(&self, painting: &ImageMut<S>) -> Result<()> {
        let shape = painting.shape();
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
