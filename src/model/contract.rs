//! What a model wants and gives, settled: from hints and declared shapes to one validated [`Contract`].

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};

use crate::model::facts::{Dim, ModelFacts, TensorFacts};
use crate::model::metadata::{Hints, TensorHints, key};
use crate::model::recurrent::{Confidence, Recurrent, is_previous};
use crate::model::style_weights::{self, StyleWeights};
use crate::model::sub_pixel::SubPixel;
use crate::tensor::layout::{Axes, Channels, Element, Format, Range};

/// A picture tensor of a model.
#[derive(Debug, Clone, PartialEq)]
pub struct PictureTensor {
    /// Name in the file.
    pub name: String,
    /// Element type.
    pub element: Element,
    /// How the picture lies in it.
    pub format: Format,
    /// Fixed width, if the model has one.
    pub width: Option<usize>,
    /// Fixed height, if the model has one.
    pub height: Option<usize>,
}

impl PictureTensor {
    /// Dimensions at a size, batch 1.
    pub fn dims(&self, width: usize, height: usize) -> Vec<i64> {
        self.format.axes.dims(3, width, height)
    }
}

/// A scalar input and the value it is fed.
#[derive(Debug, Clone, PartialEq)]
pub struct ScalarInput {
    /// Name in the file.
    pub name: String,
    /// Element type: `f32` or `f16`.
    pub element: Element,
    /// Dimensions: none, or ones.
    pub dims: Vec<i64>,
    /// What it is fed.
    pub value: f32,
}

/// What a model wants and gives.
#[derive(Debug, Clone, PartialEq)]
pub struct Contract {
    /// The frame going in.
    pub input: PictureTensor,
    /// The stylized frame coming out.
    pub output: PictureTensor,
    /// A second picture: the style, fed once.
    pub style: Option<PictureTensor>,
    /// What a recurrent model is fed of what was shown last.
    pub recurrent: Option<Recurrent>,
    /// The weights that mix the model's styles.
    pub style_weights: Option<StyleWeights>,
    /// The names of its styles; empty: it does not tell.
    pub styles: Vec<String>,
    /// Numbers, fed once.
    pub scalars: Vec<ScalarInput>,
    /// What it does last, if its metadata tell and its output is floats, channels first.
    pub sub_pixel: Option<SubPixel>,
    /// Width and height must be multiples of this; `None`: not known, find out by trying.
    pub size_multiple: Option<usize>,
    /// What had to be guessed, for the log.
    pub guesses: Vec<String>,
}

impl Contract {
    /// Settles what `facts` declare and `hints` say; what neither tells is guessed and noted in `guesses`.
    ///
    /// # Errors
    /// No plausible picture input or output, or an input of unknown purpose: the message lists the model's tensors.
    pub fn resolve(facts: &ModelFacts, hints: &Hints) -> Result<Self> {
        Self::build(facts, hints).with_context(|| format!("the model has {facts}"))
    }

    fn build(facts: &ModelFacts, hints: &Hints) -> Result<Self> {
        let mut guesses = Vec::new();
        let pictures = || facts.inputs.iter().filter(|t| axes_of(t, hints.input.axes).is_some());
        let previous = pictures().find(|t| is_previous(&t.name));
        let pictures: Vec<_> = pictures().filter(|t| Some(*t) != previous).collect();
        let (first, second) = match pictures[..] {
            [] => bail!("no input can take a picture: {WANTED}"),
            [only] => (only, None),
            [a, b] if is_style_name(&a.name) && !is_style_name(&b.name) => (b, Some(a)),
            [a, b] => (a, Some(b)),
            _ => bail!("{} inputs could take a picture; at most two (frame and style) are known", pictures.len()),
        };
        let outputs: Vec<_> = facts.outputs.iter().filter(|t| axes_of(t, hints.output.axes).is_some()).collect();
        let Some(output) = outputs.first() else { bail!("no output can hold a picture: {WANTED}") };
        let input = picture(first, &hints.input, Direction::Input, &mut guesses)?;
        let output_hints =
            TensorHints { channels: hints.output.channels.or(Some(input.format.channels)), ..hints.output };
        let output = picture(output, &output_hints, Direction::Output, &mut guesses)?;
        let style = second.map(|t| picture(t, &hints.input, Direction::Input, &mut guesses)).transpose()?;
        let others = || facts.inputs.iter().filter(|t| *t != first && Some(*t) != second);
        let recurrent = previous.map(|t| recurrent(t, hints.input.axes, facts, &output)).transpose()?;
        let style_weights = others().find_map(StyleWeights::of);
        let styles = style_weights::names(style_weights.as_ref(), &hints.styles)?;
        let others = others().filter(|t| style_weights.as_ref().is_none_or(|w| w.name != t.name));
        let fed = recurrent.iter().flat_map(Recurrent::names).collect::<Vec<_>>();
        let others = others.filter(|t| !fed.contains(&t.name.as_str()));
        let scalars: Result<Vec<_>> = others.map(|t| scalar(t, &hints.scalars, &mut guesses)).collect();
        let scalars = scalars?;
        for name in hints.scalars.keys() {
            ensure!(
                scalars.iter().any(|s| s.name == *name),
                "'{}': the model has no scalar input '{name}'",
                key::SCALAR_INPUTS
            );
        }
        let plain = output.element == Element::F32 && output.format.axes == Axes::Nchw;
        let sub_pixel = SubPixel::of(&facts.metadata)?.filter(|_| plain);
        let size_multiple = hints.size_multiple;
        Ok(Self { input, output, style, recurrent, style_weights, styles, scalars, sub_pixel, size_multiple, guesses })
    }
}

const WANTED: &str = "wanted is a tensor of type f32, f16 or u8 with three channels, [1, 3, height, width], \
                      [1, height, width, 3], [3, height, width] or [height, width, 3]";

#[derive(Clone, Copy, PartialEq)]
enum Direction {
    Input,
    Output,
}

fn is_style_name(name: &str) -> bool {
    name.to_ascii_lowercase().contains("style")
}

/// Fixed sides below this are no picture's.
const SMALLEST_SIDE: usize = 8;

/// The axis order that the hint or the shape gives; `None` for what cannot be a picture.
fn axes_of(tensor: &TensorFacts, hint: Option<Axes>) -> Option<Axes> {
    tensor.element?;
    let fits = |axes: Axes| -> bool {
        let (c, y, x) = axes.positions();
        let dims = &tensor.dims;
        let batch = axes.rank() == 3 || dims.first().is_some_and(|n| n.admits(1));
        let sized = |d: &Dim| matches!(d, Dim::Free(_)) || d.fixed().is_some_and(|n| n >= SMALLEST_SIDE);
        dims.len() == axes.rank() && batch && dims[c].admits(3) && sized(&dims[y]) && sized(&dims[x])
    };
    let candidates = || Axes::ALL.into_iter().map(|(_, axes)| axes).filter(|axes| fits(*axes));
    if let Some(axes) = hint {
        return Some(axes).filter(|axes| fits(*axes));
    }
    // A channel dimension that says 3 is better evidence than one that says nothing.
    let said = |axes: &Axes| tensor.dims[axes.positions().0] == Dim::Fixed(3);
    candidates().find(said).or_else(|| candidates().next())
}

fn picture(
    tensor: &TensorFacts,
    hints: &TensorHints,
    direction: Direction,
    guesses: &mut Vec<String>,
) -> Result<PictureTensor> {
    let name = &tensor.name;
    let (Some(axes), Some(element)) = (axes_of(tensor, hints.axes), tensor.element) else {
        bail!("{tensor} cannot hold a picture of layout {:?}", hints.axes);
    };
    let mut guess = |what: &str, value: String, key: [&str; 2]| {
        let property = key[usize::from(direction == Direction::Output)];
        guesses.push(format!("{what} of '{name}' is taken to be {value} (property '{property}' overrides)"));
    };
    let (c, y, x) = axes.positions();
    if hints.axes.is_none() && tensor.dims[c] != Dim::Fixed(3) {
        guess("layout", axes.to_string(), [key::INPUT_LAYOUT, key::OUTPUT_LAYOUT]);
    }
    let channels = hints.channels.unwrap_or_else(|| {
        guess("channel order", Channels::Rgb.to_string(), [key::INPUT_CHANNELS, key::OUTPUT_CHANNELS]);
        Channels::Rgb
    });
    let range = hints.range.unwrap_or_else(|| {
        let range = likely_range(element, axes);
        guess("value range", range.to_string(), [key::INPUT_RANGE, key::OUTPUT_RANGE]);
        range
    });
    let format = Format { axes, channels, range };
    Ok(PictureTensor {
        name: name.clone(),
        element,
        format,
        width: tensor.dims[x].fixed(),
        height: tensor.dims[y].fixed(),
    })
}

/// What models of this shape mostly have: the PyTorch style networks after Johnson et al. work in 0..255, channels
/// first; the TensorFlow ones (AnimeGAN, CartoonGAN) in -1..1, channels last.
fn likely_range(element: Element, axes: Axes) -> Range {
    match (element, axes.is_planar()) {
        (Element::U8, _) | (_, true) => Range::BYTE,
        (_, false) => Range::SIGNED,
    }
}

/// What comes back has the range and channels of the stylized frame.
fn recurrent(
    tensor: &TensorFacts,
    hint: Option<Axes>,
    facts: &ModelFacts,
    output: &PictureTensor,
) -> Result<Recurrent> {
    let (Some(axes), Some(element)) = (axes_of(tensor, hint), tensor.element) else {
        bail!("{tensor} cannot hold a picture of layout {hint:?}");
    };
    let (_, y, x) = axes.positions();
    let previous = PictureTensor {
        name: tensor.name.clone(),
        element,
        format: Format { axes, ..output.format },
        width: tensor.dims[x].fixed(),
        height: tensor.dims[y].fixed(),
    };
    let maps: Result<Vec<_>> = facts.inputs.iter().map(|t| Confidence::of(t, axes)).collect();
    Ok(Recurrent { previous, confidence: maps?.into_iter().flatten().next() })
}

fn scalar(tensor: &TensorFacts, values: &BTreeMap<String, f32>, guesses: &mut Vec<String>) -> Result<ScalarInput> {
    let single = tensor.dims.len() <= 4 && tensor.dims.iter().all(|d| d.admits(1));
    let element = tensor.element.filter(|e| single && *e != Element::U8);
    let Some(element) = element else { bail!("input {tensor} is neither a picture nor a single number") };
    let value = values.get(&tensor.name).copied().unwrap_or_else(|| {
        guesses.push(format!("input '{}' is fed 1 (property '{}' overrides)", tensor.name, key::SCALAR_INPUTS));
        1.0
    });
    Ok(ScalarInput { name: tensor.name.clone(), element, dims: vec![1; tensor.dims.len()], value })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(name: &str, element: Option<Element>, dims: &[i64]) -> TensorFacts {
        let dim = |d: &i64| if *d == -1 { Dim::Free("None".into()) } else { Dim::Fixed(*d) };
        let type_name = element.map_or("i64".into(), |e| e.to_string());
        TensorFacts { name: name.into(), element, type_name, dims: dims.iter().map(dim).collect() }
    }

    fn facts(inputs: &[TensorFacts], outputs: &[TensorFacts]) -> ModelFacts {
        ModelFacts { inputs: inputs.into(), outputs: outputs.into(), ..Default::default() }
    }

    fn float(name: &str, dims: &[i64]) -> TensorFacts {
        tensor(name, Some(Element::F32), dims)
    }

    #[test]
    fn shapes_tell_the_layout() {
        let cases: [(&[i64], Axes); 7] = [
            (&[1, 3, 90, 160], Axes::Nchw),
            (&[-1, 3, -1, -1], Axes::Nchw),
            (&[-1, -1, -1, -1], Axes::Nchw),
            (&[1, 90, 160, 3], Axes::Nhwc),
            (&[-1, -1, -1, 3], Axes::Nhwc),
            (&[3, -1, -1], Axes::Chw),
            (&[90, 160, 3], Axes::Hwc),
        ];
        for (dims, axes) in cases {
            let contract =
                Contract::resolve(&facts(&[float("x", dims)], &[float("y", &[-1, -1, 3])]), &Hints::default());
            let contract = contract.unwrap();
            assert_eq!(contract.input.format.axes, axes, "{dims:?}");
            assert_eq!(contract.output.format.axes, Axes::Hwc);
        }
    }

    #[test]
    fn hints_win_over_guesses_and_output_follows_the_input() {
        let mut hints = Hints::default();
        hints.set(key::INPUT_CHANNELS, "bgr").unwrap();
        hints.set(key::OUTPUT_RANGE, "-1,1").unwrap();
        let model = facts(&[float("x", &[1, 3, -1, -1])], &[float("y", &[1, 3, -1, -1])]);
        let contract = Contract::resolve(&model, &hints).unwrap();
        assert_eq!(contract.output.format.channels, Channels::Bgr);
        assert_eq!(contract.output.format.range, Range::SIGNED);
        assert_eq!(contract.input.format.range, Range::BYTE);
        assert_eq!(contract.guesses.len(), 1, "{:?}", contract.guesses);
        assert!(contract.guesses[0].contains("'input-range'"));
    }

    #[test]
    fn inputs_get_their_roles() {
        let inputs = [float("style_image", &[1, 3, 64, 64]), float("content", &[1, 3, -1, -1]), float("alpha", &[1])];
        let mut hints = Hints::default();
        hints.set(key::SCALAR_INPUTS, "alpha=0.25").unwrap();
        let contract = Contract::resolve(&facts(&inputs, &[float("y", &[1, 3, -1, -1])]), &hints).unwrap();
        assert_eq!(contract.input.name, "content");
        assert_eq!(contract.style.unwrap().name, "style_image");
        assert_eq!(contract.scalars[0].value, 0.25);
    }

    #[test]
    fn style_weights_are_known_by_shape_and_name() {
        let model = |dims: &[i64]| {
            let inputs = [float("x", &[1, 3, -1, -1]), float("style_weights", dims)];
            facts(&inputs, &[float("y", &[1, 3, -1, -1])])
        };
        for dims in [&[3][..], &[1, 3], &[-1, 3]] {
            let contract = Contract::resolve(&model(dims), &Hints::default()).unwrap();
            assert_eq!((contract.style_weights.unwrap().count(), contract.styles.len()), (3, 3));
            assert_eq!(contract.scalars, []);
        }
        let mut hints = Hints::default();
        hints.set(key::STYLES, "wave, scream").unwrap();
        assert_eq!(Contract::resolve(&model(&[2]), &hints).unwrap().styles, ["wave", "scream"]);
        let error = format!("{:#}", Contract::resolve(&model(&[3]), &hints).unwrap_err());
        assert!(error.contains("wave, scream") && error.contains("3 weights"), "{error}");
    }

    #[test]
    fn what_is_no_style_model_is_refused_with_its_tensors() {
        let picture = || float("x", &[1, 3, -1, -1]);
        let bad = [
            facts(&[float("x", &[1, 10])], &[picture()]),
            facts(&[tensor("x", None, &[1, 3, 8, 8])], &[picture()]),
            facts(&[float("x", &[2, 3, 8, 8])], &[picture()]),
            facts(&[float("x", &[1, 3, 0, 8])], &[picture()]),
            facts(&[float("x", &[1, 1, 8, 8])], &[picture()]),
            facts(&[float("x", &[1, 1, -1, -1])], &[picture()]),
            facts(&[picture()], &[float("y", &[1, 1000])]),
            facts(&[picture(), float("tokens", &[1, 77])], &[picture()]),
            facts(&[], &[]),
        ];
        for model in bad {
            let error = format!("{:#}", Contract::resolve(&model, &Hints::default()).unwrap_err());
            for tensor in model.inputs.iter().chain(&model.outputs) {
                assert!(error.contains(&tensor.to_string()), "{error}");
            }
        }
    }

    #[test]
    fn recurrent_inputs_are_known_by_name() {
        let inputs =
            [float("x", &[1, 3, -1, -1]), float("previous", &[1, 3, -1, -1]), float("confidence", &[1, 1, -1, -1])];
        let outputs = [float("y", &[1, 3, -1, -1])];
        let mut hints = Hints::default();
        hints.set(key::OUTPUT_RANGE, "-1,1").unwrap();
        let contract = Contract::resolve(&facts(&inputs, &outputs), &hints).unwrap();
        assert_eq!((contract.input.name.as_str(), contract.style, contract.scalars.len()), ("x", None, 0));
        let recurrent = contract.recurrent.unwrap();
        assert_eq!(recurrent.previous.format.range, Range::SIGNED, "what comes back is a stylized frame");
        assert_eq!(recurrent.confidence.unwrap().dims(8, 6), [1, 1, 6, 8]);
        let bad = [inputs[0].clone(), inputs[1].clone(), float("confidence", &[1, 2, -1, -1])];
        let error = format!("{:#}", Contract::resolve(&facts(&bad, &outputs), &hints).unwrap_err());
        assert!(error.contains("no confidence map: expected one channel"), "{error}");
    }

    #[test]
    fn a_scalar_nobody_has_is_refused() {
        let mut hints = Hints::default();
        hints.set(key::SCALAR_INPUTS, "gamma=1").unwrap();
        let model = facts(&[float("x", &[1, 3, -1, -1])], &[float("y", &[1, 3, -1, -1])]);
        let error = format!("{:#}", Contract::resolve(&model, &hints).unwrap_err());
        assert!(error.contains("no scalar input 'gamma'"), "{error}");
    }
}
