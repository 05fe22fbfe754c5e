//! Sizes: which one the generator works at, and where the frame lies in its tensors.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::frame::size::{Size, fit, round_up};
use crate::model::contract::PictureTensor;
use crate::stylizer::{Geometry, Stylizer};
use crate::tensor::placement::Placement;

/// Multiples that are tried for models that do not tell theirs.
const MULTIPLES: [usize; 6] = [1, 4, 8, 16, 32, 64];

impl Stylizer {
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

    /// See [`crate::inference::Generator::fit`].
    pub fn fit(&mut self) {
        self.generator.fit();
    }

    /// Runs the generator once on whatever its input holds, and tells how long it takes.
    ///
    /// # Errors
    /// The runtime's.
    pub fn warm_up(&mut self) -> Result<Duration> {
        let started = Instant::now();
        self.generator.run()?;
        Ok(started.elapsed())
    }

    /// A stylized frame of the tensor's own size is the best sign of a multiple that fits; a generator that enlarges gives
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
        let stylized = self.generator.bind(input.tensor.0, input.tensor.1)?;
        let output = input.scaled_to(stylized)?;
        let recurrent = self.generator.contract().recurrent.is_some();
        ensure!(
            !recurrent || stylized == input.tensor,
            "a recurrent model must stylize at the size of its input, {}x{}, not at {}x{}",
            input.tensor.0,
            input.tensor.1,
            stylized.0,
            stylized.1
        );
        let area = if recurrent { stylized.0 * stylized.1 } else { 0 };
        self.previous.resize(3 * area, 0.0);
        self.confidence.resize(area, 0.0);
        self.planar.clear();
        if !self.output_is_canonical() {
            self.planar.resize(3 * stylized.0 * stylized.1, 0.0);
        }
        (self.input, self.output) = (input, output);
        Ok(Geometry { input: input.picture, output: output.picture })
    }
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
    use crate::tensor::layout::{Element, Format};

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
