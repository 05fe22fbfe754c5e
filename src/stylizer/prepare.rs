//! Sizes: which one the generator works at, and where the frame lies in its tensors.
//!
//! Comes in: the size of a picture. Goes out: a [`Geometry`], with the generator bound to it. A generator of fixed size
//! gets the picture scaled into it. One that needs multiples, or whose output lacks a border (convolutions without
//! padding), gets the picture with a margin of its own reflection.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::frame::size::{Size, fit, round_up};
use crate::model::contract::PictureTensor;
use crate::stylizer::{Geometry, Stylizer};
use crate::temporal::stabilizer::Stabilizer;
use crate::tensor::placement::Placement;

/// Multiples that are tried for models that do not declare theirs, in this order. Each stands for its divisors too.
const MULTIPLES: [usize; 19] = [1, 4, 8, 16, 32, 64, 12, 14, 24, 28, 48, 56, 20, 40, 36, 80, 96, 112, 128];
/// Those before this one are tried whatever sizes came out before.
const COMMON: usize = 6;

impl Stylizer {
    /// Makes ready for pictures of `wanted` size and returns the sizes it settled on.
    ///
    /// # Errors
    /// The model cannot work at any size it was tried at.
    pub fn prepare(&mut self, wanted: Size) -> Result<Geometry> {
        // Another size needs other memory; that of a larger one is given back.
        self.stabilizer = Stabilizer::default();
        let tried = match self.generator.contract().size_multiple {
            Some(multiple) => self.try_multiple(wanted, multiple),
            None => self.find_multiple(wanted),
        };
        tried.with_context(|| format!("the model does not work on pictures of {}x{}", wanted.0, wanted.1))
    }

    /// Runs the generator once on whatever its input holds, and returns how long it takes.
    ///
    /// # Errors
    /// The runtime's.
    pub fn warm_up(&mut self) -> Result<Duration> {
        let started = Instant::now();
        self.generator.run()?;
        Ok(started.elapsed())
    }

    /// Tries multiples, the one that was found for the last size first. The first one is taken with which the generator
    /// gives a whole multiple of its input.
    fn find_multiple(&mut self, wanted: Size) -> Result<Geometry> {
        let mut first_problem = None;
        let (mut tensors, mut outputs) = (Vec::<Size>::new(), Vec::<Size>::new());
        let candidates = self.multiple.into_iter().chain(MULTIPLES);
        for (index, multiple) in candidates.enumerate() {
            let tensor = place(&self.generator.contract().input, wanted, multiple, 0).tensor;
            let plausible = |size: &Size| size.0.is_multiple_of(multiple) && size.1.is_multiple_of(multiple);
            if tensors.contains(&tensor) || (index > COMMON && !outputs.iter().all(plausible)) {
                continue;
            }
            tensors.push(tensor);
            match self.try_multiple(wanted, multiple) {
                Ok(geometry) => return self.confirm(wanted, multiple, geometry),
                Err(problem) => {
                    outputs.extend(problem.downcast_ref::<WrongSize>().map(|wrong| wrong.output));
                    first_problem = first_problem.or(Some(problem));
                }
            }
        }
        let problem = first_problem.context("no size to try")?;
        // What gives a size with every multiple needs another one least of all.
        if outputs.len() == tensors.len() {
            return Err(problem);
        }
        let sizes: Vec<_> = tensors.iter().map(|(width, height)| format!("{width}x{height}")).collect();
        Err(problem.context(format!(
            "none of the input sizes {} works: if width and height must be multiples of another number, property \
             'size-multiple' names it",
            sizes.join(", ")
        )))
    }

    /// A generator that enlarges, and one that rounds a small size up to its multiple, give the same: then the multiple
    /// decides.
    fn confirm(&mut self, wanted: Size, multiple: usize, geometry: Geometry) -> Result<Geometry> {
        let (tensor, stylized) = (self.input.tensor, self.output.tensor);
        self.multiple = Some(multiple);
        let rounds = |m: &&usize| **m > multiple && (round_up(tensor.0, **m), round_up(tensor.1, **m)) == stylized;
        let Some(larger) = MULTIPLES.iter().find(rounds).filter(|_| tensor != stylized) else { return Ok(geometry) };
        match self.try_multiple(wanted, *larger) {
            Ok(geometry) if self.input.tensor == self.output.tensor => {
                self.multiple = Some(*larger);
                Ok(geometry)
            }
            _ => self.try_multiple(wanted, multiple),
        }
    }

    fn try_multiple(&mut self, wanted: Size, multiple: usize) -> Result<Geometry> {
        let input = self.place(wanted, multiple, 0);
        let stylized = self.generator.bind(input.tensor.0, input.tensor.1)?;
        if let Ok(output) = input.scaled_to(stylized) {
            return self.settle(input, output);
        }
        let wrong = WrongSize { input: input.tensor, output: stylized };
        let Some(border) = Border::of(wrong) else { return Err(wrong.into()) };
        let wider = self.place(wanted, multiple, border.margin());
        let stylized = match wider.tensor == input.tensor {
            true => stylized,
            false => self.generator.bind(wider.tensor.0, wider.tensor.1)?,
        };
        let output = border.output(&wider, stylized).ok_or(wrong)?;
        self.settle(wider, output)
    }

    fn place(&self, wanted: Size, multiple: usize, margin: usize) -> Placement {
        place(&self.generator.contract().input, wanted, multiple, margin)
    }

    /// Takes over where the pictures lie.
    fn settle(&mut self, input: Placement, output: Placement) -> Result<Geometry> {
        let recurrent = self.generator.contract().recurrent.is_some();
        let ((width, height), stylized) = (input.tensor, output.tensor);
        ensure!(
            !recurrent || stylized == input.tensor,
            "a recurrent model must stylize at the size of its input, {width}x{height}, not at {}x{}",
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

/// An output that is no whole multiple of the input.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error(
    "the model turns {}x{} into {}x{}, which is neither a whole multiple of it nor one without a border of constant width",
    .input.0, .input.1, .output.0, .output.1
)]
struct WrongSize {
    input: Size,
    output: Size,
}

/// A border that the output lacks, of the same width on all sides.
#[derive(Debug, Clone, Copy)]
struct Border {
    /// How many times larger than the input the output would be with it.
    factor: usize,
    /// Pixels of the output that two sides lack together.
    lost: usize,
}

impl Border {
    /// The border if the output may lack one: the next whole multiple of the input, less the same number both ways.
    fn of(WrongSize { input, output }: WrongSize) -> Option<Self> {
        let factor = output.0.div_ceil(input.0.max(1));
        let lost = (factor * input.0).checked_sub(output.0)?;
        let same = (factor * input.1).checked_sub(output.1) == Some(lost);
        (same && lost > 0).then_some(Self { factor, lost })
    }

    /// Pixels that the input needs more.
    fn margin(self) -> usize {
        self.lost.div_ceil(self.factor)
    }

    /// Where the picture lies in an output of `stylized` size; `None` if the border is another one there.
    fn output(self, input: &Placement, stylized: Size) -> Option<Placement> {
        let Self { factor, lost } = self;
        let side = |tensor: usize, origin: usize, picture: usize, stylized: usize| {
            let origin = (factor * origin).checked_sub(lost / 2)?;
            (factor * tensor == stylized + lost && origin + factor * picture <= stylized).then_some(origin)
        };
        let x = side(input.tensor.0, input.origin.0, input.picture.0, stylized.0)?;
        let y = side(input.tensor.1, input.origin.1, input.picture.1, stylized.1)?;
        let picture = (factor * input.picture.0, factor * input.picture.1);
        Some(Placement { tensor: stylized, origin: (x, y), picture })
    }
}

/// Where a picture of about `wanted` size goes in the model's input, with `margin` pixels around it, two sides together.
fn place(input: &PictureTensor, wanted: Size, multiple: usize, margin: usize) -> Placement {
    let bound = |side: Option<usize>| side.map_or(usize::MAX, |side| side.saturating_sub(margin).max(1));
    let picture = match (input.width, input.height) {
        (None, None) => wanted,
        _ => fit(wanted, (bound(input.width), bound(input.height))),
    };
    let tensor = (
        input.width.unwrap_or_else(|| round_up(picture.0 + margin, multiple)),
        input.height.unwrap_or_else(|| round_up(picture.1 + margin, multiple)),
    );
    Placement::centered(picture, tensor)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use anyhow::bail;

    use super::*;
    use crate::inference::{Generator, TensorMut, TensorRef};
    use crate::model::Contract;
    use crate::tensor::layout::{Element, Format};

    fn input(width: Option<usize>, height: Option<usize>) -> PictureTensor {
        PictureTensor { name: "x".into(), element: Element::F32, format: Format::CANONICAL, width, height }
    }

    #[test]
    fn pictures_find_their_place() {
        let free = place(&input(None, None), (641, 362), 4, 0);
        assert_eq!((free.picture, free.tensor, free.origin), ((641, 362), (644, 364), (1, 1)));
        let fixed = place(&input(Some(256), Some(256)), (640, 360), 1, 0);
        assert_eq!((fixed.picture, fixed.tensor, fixed.origin), ((256, 144), (256, 256), (0, 56)));
        let high = place(&input(None, Some(100)), (640, 360), 8, 0);
        assert_eq!((high.picture, high.tensor), ((178, 100), (184, 100)));
    }

    /// The size of the output for one of the input; `None`: the run fails.
    type Sizes = fn(usize, usize) -> Option<Size>;

    /// Computes nothing but sizes, and counts runs.
    struct Sizer {
        contract: Contract,
        sizes: Sizes,
        runs: Arc<AtomicUsize>,
    }

    impl Generator for Sizer {
        fn contract(&self) -> &Contract {
            &self.contract
        }
        fn provider(&self) -> &str {
            "none"
        }
        fn bind(&mut self, width: usize, height: usize) -> Result<Size> {
            self.runs.fetch_add(1, Ordering::Relaxed);
            match (self.sizes)(width, height) {
                Some(size) => Ok(size),
                None => bail!("cannot compute {width}x{height}"),
            }
        }
        fn input(&mut self) -> TensorMut<'_> {
            TensorMut::F32(&mut [])
        }
        fn run(&mut self) -> Result<()> {
            Ok(())
        }
        fn output(&self) -> TensorRef<'_> {
            TensorRef::F32(&[])
        }
    }

    /// A stylizer, and the runs it has made.
    fn stylizer(fixed: Option<usize>, sizes: Sizes) -> (Stylizer, impl Fn() -> usize) {
        let runs = Arc::<AtomicUsize>::default();
        let contract = Contract::plain(input(fixed, fixed), input(None, None));
        let counted = runs.clone();
        let stylizer = Stylizer::new(Box::new(Sizer { contract, sizes, runs }));
        (stylizer, move || counted.swap(0, Ordering::Relaxed))
    }

    fn multiples_of(n: usize, size: Size) -> Option<Size> {
        (size.0.is_multiple_of(n) && size.1.is_multiple_of(n)).then_some(size)
    }

    #[test]
    fn enlarging_models_are_run_once() {
        let cases: [(Sizes, Size); 3] = [
            (|w, h| Some((2 * w, 2 * h)), (1282, 726)),
            (|w, h| Some((4 * w, 4 * h)), (2564, 1452)),
            (|w, h| Some((w, h)), (641, 363)),
        ];
        for (sizes, expected) in cases {
            let (mut stylizer, runs) = stylizer(None, sizes);
            assert_eq!(stylizer.prepare((641, 363)).unwrap().output, expected);
            assert_eq!(runs(), 1);
        }
    }

    #[test]
    fn a_model_that_rounds_up_is_not_taken_for_one_that_enlarges() {
        let (mut stylizer, _) = stylizer(None, |w, h| Some((round_up(w, 64), round_up(h, 64))));
        assert_eq!(stylizer.prepare((32, 32)).unwrap().output, (32, 32));
        assert_eq!(stylizer.input.tensor, (64, 64));
    }

    #[test]
    fn multiples_are_found_in_few_runs_and_remembered() {
        let cases: [(Sizes, Size); 5] = [
            (|w, h| multiples_of(8, (w, h)), (600, 344)),
            (|w, h| multiples_of(14, (w, h)), (602, 350)),
            (|w, h| multiples_of(24, (w, h)), (600, 360)),
            (|w, h| multiples_of(48, (w, h)), (624, 384)),
            (|w, h| multiples_of(56, (w, h)), (616, 392)),
        ];
        for (sizes, tensor) in cases {
            let (mut stylizer, runs) = stylizer(None, sizes);
            assert_eq!(stylizer.prepare((600, 338)).unwrap().output, (600, 338));
            assert_eq!(stylizer.input.tensor, tensor);
            assert!(runs() <= 12);
            stylizer.prepare((300, 170)).unwrap();
            assert_eq!(runs(), 1, "the multiple of the last size is tried first");
        }
    }

    #[test]
    fn another_multiple_is_asked_for_by_its_property() {
        let (mut stylizer, runs) = stylizer(None, |w, h| multiples_of(17, (w, h)));
        let error = format!("{:#}", stylizer.prepare((600, 338)).unwrap_err());
        assert!(error.contains("'size-multiple'") && error.contains("cannot compute 600x338"), "{error}");
        assert!(runs() <= MULTIPLES.len());
    }

    #[test]
    fn outputs_without_a_border_get_a_margin_around_the_picture() {
        let (mut one, runs) = stylizer(None, |w, h| Some((w - 12, h - 12)));
        assert_eq!(one.prepare((641, 363)).unwrap(), Geometry { input: (641, 363), output: (641, 363) });
        assert_eq!((one.input.tensor, one.input.origin, one.output.origin), ((653, 375), (6, 6), (0, 0)));
        assert_eq!(runs(), 2);
        let (mut twice, _) = stylizer(None, |w, h| Some((2 * w - 28, 2 * h - 28)));
        assert_eq!(twice.prepare((640, 360)).unwrap().output, (1280, 720));
        assert_eq!((twice.input.origin, twice.output.origin), ((7, 7), (0, 0)));
        let (mut fixed, runs) = stylizer(Some(256), |w, h| Some((w - 12, h - 12)));
        assert_eq!(fixed.prepare((500, 500)).unwrap().output, (244, 244));
        assert_eq!((fixed.input.origin, fixed.output.origin, runs()), ((6, 6), (0, 0), 1));
    }

    #[test]
    fn a_size_that_fits_nothing_is_refused_without_useless_advice() {
        let (mut stylizer, _) = stylizer(None, |w, h| Some((w / 2 + 3, h - 1)));
        let error = format!("{:#}", stylizer.prepare((640, 360)).unwrap_err());
        assert!(error.contains("640x360 into 323x359") && !error.contains("size-multiple"), "{error}");
    }
}
