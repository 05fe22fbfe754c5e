//! The conductor: owns the generator, its geometry and the history; one call per frame.
//!
//! Comes in: an image of the size that [`Stylizer::prepare`] settled. Goes out: the painting.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::geometry::{Size, fit, round_up};
use crate::image::{Image, ImageMut, Sample};
use crate::inference::{Generator, TensorMut, TensorRef};
use crate::model::contract::PictureTensor;
use crate::style::{StyleFade, StyleMix};
use crate::temporal::stabilizer::{Report, Smoothing, Stabilizer};
use crate::temporal::warp::Canvas;
use crate::tensor::egress::{all_finite, to_image, to_planar};
use crate::tensor::ingest::{Number, ingest};
use crate::tensor::layout::Format;
use crate::tensor::placement::Placement;

/// Multiples that are tried for models that do not tell theirs.
const MULTIPLES: [usize; 6] = [1, 4, 8, 16, 32, 64];

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
    /// The generator gave NaN or infinity. The output image is untouched and the history forgotten.
    NotFinite,
}

/// What is wanted of one frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Controls {
    /// What the history is used for.
    pub smoothing: Smoothing,
    /// When the frame is shown: what a fade of styles goes by.
    pub time: Option<Duration>,
}

impl Controls {
    /// A picture for itself.
    pub const STILL: Controls = Controls { smoothing: Smoothing::OFF, time: None };
}

/// Paints frames.
pub struct Stylizer {
    generator: Box<dyn Generator>,
    input: Placement,
    output: Placement,
    planar: Vec<f32>,
    stabilizer: Stabilizer,
    style: StyleFade,
}

impl Stylizer {
    /// A stylizer around a generator, with its first style; [`Stylizer::prepare`] comes next.
    pub fn new(generator: Box<dyn Generator>) -> Self {
        let nothing = Placement::centered((0, 0), (0, 0));
        let (stabilizer, mut style) = (Stabilizer::default(), StyleFade::default());
        let first = generator.contract().style_weights.as_ref().map(|w| w.first());
        style.set(first.unwrap_or_default(), Duration::ZERO);
        Self { generator, input: nothing, output: nothing, planar: Vec::new(), stabilizer, style }
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

    /// The generator.
    pub fn generator(&self) -> &dyn Generator {
        &*self.generator
    }

    /// What the history had to do with the last frame.
    pub fn temporal_report(&self) -> Report {
        self.stabilizer.report()
    }

    /// Makes ready for pictures of `wanted` size and tells the sizes it settled on: a generator of fixed size gets
    /// the picture scaled into it, one that needs multiples gets it padded by reflection.
    ///
    /// # Errors
    /// The model cannot work at any size it was tried at.
    pub fn prepare(&mut self, wanted: Size) -> Result<Geometry> {
        self.stabilizer.reset();
        let tried = match self.generator.contract().size_multiple {
            Some(multiple) => self.try_multiple(wanted, multiple),
            None => self.find_multiple(wanted),
        };
        tried.with_context(|| format!("the model does not work on pictures of {}x{}", wanted.0, wanted.1))
    }

    /// A painting of the tensor's own size is the best sign of a multiple that fits; a generator that enlarges gives
    /// it for none, and then works with the first multiple that it took.
    fn find_multiple(&mut self, wanted: Size) -> Result<Geometry> {
        let mut second_best = None;
        let mut first_problem = None;
        for multiple in MULTIPLES {
            match self.try_multiple(wanted, multiple) {
                Ok(geometry) if self.input.tensor == self.output.tensor => return Ok(geometry),
                Ok(_) => second_best = second_best.or(Some(multiple)),
                Err(problem) => first_problem = first_problem.or(Some(problem)),
            }
        }
        match (second_best, first_problem) {
            (Some(multiple), _) => self.try_multiple(wanted, multiple),
            (None, Some(problem)) => Err(problem),
            (None, None) => bail!("no size to try"),
        }
    }

    fn try_multiple(&mut self, wanted: Size, multiple: usize) -> Result<Geometry> {
        let input = place(&self.generator.contract().input, wanted, multiple);
        let painted = self.generator.bind(input.tensor.0, input.tensor.1)?;
        let output = input.scaled_to(painted)?;
        self.planar.clear();
        if !self.output_is_canonical() {
            self.planar.resize(3 * painted.0 * painted.1, 0.0);
        }
        (self.input, self.output) = (input, output);
        Ok(Geometry { input: input.picture, output: output.picture })
    }

    fn output_is_canonical(&self) -> bool {
        let output = &self.generator.contract().output;
        output.format.is_canonical() && output.element == crate::tensor::layout::Element::F32
    }

    /// Forgets what was painted before: called on every break in the stream.
    pub fn reset(&mut self) {
        self.stabilizer.reset();
    }

    /// Paints one frame. Nothing is allocated after the first frame of a size.
    ///
    /// # Errors
    /// Images of other sizes than settled, or the runtime's error.
    pub fn process<S: Sample>(
        &mut self,
        image: &Image<S>,
        painting: &mut ImageMut<S>,
        controls: Controls,
    ) -> Result<Outcome> {
        self.generator.set_style(self.style.at(controls.time));
        let format = self.generator.contract().input.format;
        match self.generator.input() {
            TensorMut::F32(tensor) => ingest(image, tensor, &format, &self.input),
            TensorMut::F16(tensor) => ingest(image, tensor, &format, &self.input),
            TensorMut::U8(tensor) => ingest(image, tensor, &format, &self.input),
        }?;
        self.stabilizer.observe(image, controls.smoothing);
        let started = Instant::now();
        self.generator.run()?;
        let took = started.elapsed();
        let format = self.generator.contract().output.format;
        let fresh = match self.generator.output() {
            TensorRef::F32(tensor) if format.is_canonical() => tensor,
            TensorRef::F32(tensor) => planar(tensor, &format, &self.output, &mut self.planar)?,
            TensorRef::F16(tensor) => planar(tensor, &format, &self.output, &mut self.planar)?,
            TensorRef::U8(tensor) => planar(tensor, &format, &self.output, &mut self.planar)?,
        };
        if !all_finite(fresh) {
            self.stabilizer.reset();
            return Ok(Outcome::NotFinite);
        }
        let (width, height) = self.output.tensor;
        let canvas = Canvas { width, height, origin: self.output.origin, picture: self.output.picture };
        to_image(self.stabilizer.steady(fresh, canvas, controls.smoothing), &self.output, painting)?;
        Ok(Outcome::Painted(took))
    }
}

fn planar<'a, T: Number>(tensor: &[T], format: &Format, place: &Placement, planar: &'a mut [f32]) -> Result<&'a [f32]> {
    to_planar(tensor, format, place.tensor, planar)?;
    Ok(planar)
}

/// Where a picture of about `wanted` size goes in the model's input.
fn place(input: &PictureTensor, wanted: Size, multiple: usize) -> Placement {
    let bounds = (input.width.unwrap_or(usize::MAX), input.height.unwrap_or(usize::MAX));
    let picture = match (input.width, input.height) {
        (None, None) => wanted,
        _ => fit(wanted, bounds),
    };
    let tensor = (
        input.width.unwrap_or_else(|| round_up(picture.0, multiple)),
        input.height.unwrap_or_else(|| round_up(picture.1, multiple)),
    );
    Placement::centered(picture, tensor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::layout::Element;

    fn input(width: Option<usize>, height: Option<usize>) -> PictureTensor {
        PictureTensor { name: "x".into(), element: Element::F32, format: Format::CANONICAL, width, height }
    }

    #[test]
    fn pictures_find_their_place() {
        let free = place(&input(None, None), (641, 362), 4);
        assert_eq!((free.picture, free.tensor, free.origin), ((641, 362), (644, 364), (1, 1)));
        let fixed = place(&input(Some(256), Some(256)), (640, 360), 1);
        assert_eq!((fixed.picture, fixed.tensor, fixed.origin), ((256, 144), (256, 256), (0, 56)));
        let high = place(&input(None, Some(100)), (640, 360), 8);
        assert_eq!((high.picture, high.tensor), ((178, 100), (184, 100)));
    }
}
