//! What a model expects and gives, settled: from declared tensors and hints to one validated [`Contract`].
//!
//! Comes in: [`ModelFacts`] and [`Hints`]. Goes out: a [`Contract`] that gives every input a role, or a
//! [`ContractError`] with a list of the model's tensors.

use std::collections::BTreeMap;

use anyhow::{Context, Result, anyhow, ensure};

use crate::model::facts::{Dim, ModelFacts, ScalarType, TensorFacts};
use crate::model::metadata::{Direction, Hints, TensorHints, key};
use crate::model::recurrent::{Confidence, Recurrent};
use crate::model::roles::{self, Scale};
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
    /// Axis order, channel order and range of values.
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

    /// Width and height of a picture of these dimensions; `None` if it is not one.
    pub fn size(&self, dims: &[i64]) -> Option<(usize, usize)> {
        let axes = self.format.axes;
        let (_, y, x) = axes.positions();
        let side = |axis: usize| usize::try_from(*dims.get(axis)?).ok().filter(|side| *side > 0);
        let (width, height) = (side(x)?, side(y)?);
        (axes.dims(3, width, height) == dims).then_some((width, height))
    }
}

/// An input that takes the frame once more, at another size: for example the enlarged frame to which a model adds
/// detail.
#[derive(Debug, Clone, PartialEq)]
pub struct FrameCopy {
    /// The input.
    pub tensor: PictureTensor,
    /// Its size where it has no fixed one.
    pub scale: Scale,
}

impl FrameCopy {
    /// Width and height for a frame of a size.
    pub fn size(&self, (width, height): (usize, usize)) -> (usize, usize) {
        let side = |fixed: Option<usize>, frame| fixed.unwrap_or_else(|| self.scale.of(frame));
        (side(self.tensor.width, width), side(self.tensor.height, height))
    }
}

/// An input of a single number or flag, and the value it is fed.
#[derive(Debug, Clone, PartialEq)]
pub struct ScalarInput {
    /// Name in the file.
    pub name: String,
    /// Element type.
    pub element: ScalarType,
    /// Dimensions: none, or ones.
    pub dims: Vec<i64>,
    /// The value; a flag is 0 or 1.
    pub value: f64,
}

/// What a model expects and gives.
#[derive(Debug, Clone, PartialEq)]
pub struct Contract {
    /// Takes the frame.
    pub input: PictureTensor,
    /// Holds the stylized frame.
    pub output: PictureTensor,
    /// What is said of an output that declares no shape: its layout is known after the first run only. `None` if it is
    /// known.
    pub open_output: Option<TensorHints>,
    /// Takes the style picture, fed once.
    pub style: Option<PictureTensor>,
    /// Takes the frame once more, at another size.
    pub copy: Option<FrameCopy>,
    /// What a recurrent model is fed of the previous stylized frame.
    pub recurrent: Option<Recurrent>,
    /// The weights that mix the model's styles.
    pub style_weights: Option<StyleWeights>,
    /// The names of its styles; empty: none are given.
    pub styles: Vec<String>,
    /// Numbers and flags, fed once.
    pub scalars: Vec<ScalarInput>,
    /// What the model does last, if its metadata say so and its output is floats, channels first.
    pub sub_pixel: Option<SubPixel>,
    /// Width and height must be multiples of this; `None`: not known, found by trying.
    pub size_multiple: Option<usize>,
    /// What had to be guessed, for the log.
    pub guesses: Vec<String>,
}

/// Why a model cannot be used. [`Contract::resolve`] adds a list of its tensors.
#[derive(Debug, thiserror::Error)]
pub enum ContractError {
    /// No input has the shape of a picture.
    #[error("no input can take a picture: {EXPECTED}")]
    NoInput,
    /// The only input that may take a picture declares no shape.
    #[error(
        "input '{0}' declares no shape: property '{key}' names its layout (nchw, nhwc, chw or hwc)",
        key = key::INPUT_LAYOUT
    )]
    NoInputShape(String),
    /// No output has the shape of a picture.
    #[error("no output can hold a picture: {EXPECTED}")]
    NoOutput,
    /// A tensor that the user or the file names does not exist.
    #[error("'{key}' is '{name}', but the model has {known}")]
    UnknownName {
        /// The key or property.
        key: &'static str,
        /// Its value.
        name: String,
        /// The names that exist.
        known: String,
    },
    /// More picture inputs than there are roles.
    #[error(
        "picture input '{0}' has no role: known are the frame, a style picture, a resized copy of the frame and the \
         previous stylized frame"
    )]
    TooManyPictures(String),
    /// A tensor that the user or the file names as a picture is none.
    #[error("{tensor} cannot hold a picture{layout}: {EXPECTED}")]
    NoPicture {
        /// The tensor as declared.
        tensor: String,
        /// The layout that was asked for.
        layout: String,
    },
    /// An input that is neither a picture nor a single value.
    #[error("input {0} is neither a picture nor a single number or flag")]
    NoRole(String),
}

const EXPECTED: &str = "expected a tensor of type f32, f16 or u8 with three channels, [1, 3, height, width], \
                        [1, height, width, 3], [3, height, width] or [height, width, 3]";

impl Contract {
    /// A model with one picture input and one picture output.
    pub fn plain(input: PictureTensor, output: PictureTensor) -> Self {
        Self {
            input,
            output,
            open_output: None,
            style: None,
            copy: None,
            recurrent: None,
            style_weights: None,
            styles: vec![],
            scalars: vec![],
            sub_pixel: None,
            size_multiple: None,
            guesses: vec![],
        }
    }

    /// Settles what `facts` declare and `hints` say; what neither says is guessed and noted in `guesses`.
    ///
    /// # Errors
    /// A [`ContractError`], or a value that does not fit; the message lists the model's tensors.
    pub fn resolve(facts: &ModelFacts, hints: &Hints) -> Result<Self> {
        Self::build(facts, hints).with_context(|| format!("the model has {facts}"))
    }

    fn build(facts: &ModelFacts, hints: &Hints) -> Result<Self> {
        let mut guesses = Vec::new();
        let roles = roles::inputs(facts, hints)?;
        let (output, choice) = roles::output(facts, hints, roles.frame)?;
        guesses.extend(choice);
        let of_input = |t: &TensorFacts| hints.of(Direction::Input, &t.name);
        let input = picture(roles.frame, &of_input(roles.frame), Direction::Input, &mut guesses)?;
        let output_hints = hints.of(Direction::Output, &output.name);
        let output_hints =
            TensorHints { channels: output_hints.channels.or(Some(input.format.channels)), ..output_hints };
        let open_output = output.may_have_any_shape().then_some(output_hints);
        let layout = TensorHints { axes: output_hints.axes.or(Some(input.format.axes)), ..output_hints };
        let first_layout = if open_output.is_some() { layout } else { output_hints };
        let output = picture(output, &first_layout, Direction::Output, &mut guesses)?;
        let mut another = |t: &TensorFacts| picture(t, &of_input(t), Direction::Input, &mut Vec::new());
        let style = roles.style.map(&mut another).transpose()?;
        let copy = roles.copy.map(|(t, scale)| copy(another(t)?, scale, &input)).transpose()?;
        if let Some(copy) = &copy {
            guesses.push(format!("input '{}' is fed the frame, resized", copy.tensor.name));
        }
        let recurrent = roles.previous.map(|t| recurrent(t, of_input(t).axes, facts, &output)).transpose()?;
        let style_weights = facts.inputs.iter().filter(|t| *t != roles.frame).find_map(StyleWeights::of);
        let styles = style_weights::names(style_weights.as_ref(), &hints.styles)?;
        let mut fed: Vec<&str> = vec![&input.name];
        fed.extend(style.iter().chain(copy.iter().map(|c| &c.tensor)).map(|t| t.name.as_str()));
        fed.extend(style_weights.iter().map(|w| w.name.as_str()).chain(recurrent.iter().flat_map(Recurrent::names)));
        let scalars = scalars(facts.inputs.iter().filter(|t| !fed.contains(&t.name.as_str())), hints, &mut guesses)?;
        let plain = output.element == Element::F32 && output.format.axes == Axes::Nchw;
        let sub_pixel = SubPixel::of(&facts.metadata)?.filter(|_| plain);
        let size_multiple = hints.size_multiple;
        Ok(Self {
            style,
            copy,
            recurrent,
            style_weights,
            styles,
            scalars,
            sub_pixel,
            size_multiple,
            guesses,
            open_output,
            ..Self::plain(input, output)
        })
    }

    /// The output as a run of the model gave it, `dims`: where the file declares no shape, these settle the layout.
    ///
    /// # Errors
    /// What came is no picture.
    pub fn output_as(&self, dims: &[i64]) -> Result<PictureTensor> {
        let output = &self.output;
        let layout = output.format.axes;
        let wrong = || anyhow!("output '{}' came out as {dims:?}, not as a picture of layout {layout}", output.name);
        let Some(hints) = &self.open_output else {
            return output.size(dims).map(|_| output.clone()).with_context(wrong);
        };
        let facts = TensorFacts {
            name: output.name.clone(),
            element: Some(output.element),
            scalar: None,
            type_name: output.element.to_string(),
            dims: dims.iter().map(|d| Dim::Fixed(*d)).collect(),
        };
        let found = picture(&facts, hints, Direction::Output, &mut Vec::new()).map_err(|_| wrong())?;
        Ok(PictureTensor { width: None, height: None, ..found })
    }

    /// Takes over the output as a run gave it, see [`Contract::output_as`].
    pub fn settle_output(&mut self, output: PictureTensor) {
        (self.output, self.open_output) = (output, None);
    }
}

/// Fixed sides below this are no picture's.
const SMALLEST_SIDE: usize = 8;

/// The axis order that the hint or the shape gives; `None` for what cannot be a picture. Any order fits a tensor that
/// declares no shape, if it is given.
pub(super) fn axes_of(tensor: &TensorFacts, hint: Option<Axes>) -> Option<Axes> {
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
) -> Result<PictureTensor, ContractError> {
    let name = &tensor.name;
    let axes = axes_of(tensor, hints.axes).or(hints.axes.filter(|_| tensor.may_have_any_shape()));
    let (Some(axes), Some(element)) = (axes, tensor.element) else {
        let layout = hints.axes.map_or(String::new(), |axes| format!(" of layout {axes}"));
        return Err(ContractError::NoPicture { tensor: tensor.to_string(), layout });
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
    let side = |axis: usize| tensor.dims.get(axis).and_then(Dim::fixed);
    Ok(PictureTensor { name: name.clone(), element, format, width: side(x), height: side(y) })
}

/// What models of this shape mostly have: the PyTorch style networks after Johnson et al. 2016 work in 0..255, channels
/// first; the TensorFlow ones (AnimeGAN, CartoonGAN) in -1..1, channels last.
fn likely_range(element: Element, axes: Axes) -> Range {
    match (element, axes.is_planar()) {
        (Element::U8, _) | (_, true) => Range::BYTE,
        (_, false) => Range::SIGNED,
    }
}

/// A copy has the layout, channels and range of the frame.
fn copy(tensor: PictureTensor, scale: Scale, frame: &PictureTensor) -> Result<FrameCopy, ContractError> {
    if tensor.format.axes != frame.format.axes {
        return Err(ContractError::TooManyPictures(tensor.name));
    }
    Ok(FrameCopy { tensor: PictureTensor { format: frame.format, ..tensor }, scale })
}

/// The previous stylized frame has the range and channels of the output.
fn recurrent(
    tensor: &TensorFacts,
    hint: Option<Axes>,
    facts: &ModelFacts,
    output: &PictureTensor,
) -> Result<Recurrent> {
    let given = TensorHints { axes: hint, channels: Some(output.format.channels), range: Some(output.format.range) };
    let previous = picture(tensor, &given, Direction::Input, &mut Vec::new())?;
    let maps: Result<Vec<_>> = facts.inputs.iter().map(|t| Confidence::of(t, previous.format.axes)).collect();
    Ok(Recurrent { previous, confidence: maps?.into_iter().flatten().next() })
}

fn scalars<'a>(
    tensors: impl Iterator<Item = &'a TensorFacts>,
    hints: &Hints,
    guesses: &mut Vec<String>,
) -> Result<Vec<ScalarInput>> {
    let scalars: Result<Vec<_>> = tensors.map(|t| scalar(t, &hints.scalars, guesses)).collect();
    let scalars = scalars?;
    for name in hints.scalars.keys() {
        let known = || scalars.iter().map(|s| s.name.as_str()).collect::<Vec<_>>().join(", ");
        ensure!(
            scalars.iter().any(|s| s.name == *name),
            "'{}': the model has no scalar input '{name}', only [{}]",
            key::SCALAR_INPUTS,
            known()
        );
    }
    Ok(scalars)
}

/// A number is 1 if nothing is said, a flag is false.
fn scalar(tensor: &TensorFacts, values: &BTreeMap<String, f64>, guesses: &mut Vec<String>) -> Result<ScalarInput> {
    let single = tensor.dims.len() <= 4 && tensor.dims.iter().all(|d| d.admits(1));
    let element = tensor.scalar.filter(|_| single).ok_or_else(|| ContractError::NoRole(tensor.to_string()))?;
    let (name, flag) = (tensor.name.clone(), element == ScalarType::Bool);
    let value = values.get(&name).copied().unwrap_or_else(|| {
        let value = if flag { "false" } else { "1" };
        guesses.push(format!("input '{name}' is fed {value} (property '{}' overrides)", key::SCALAR_INPUTS));
        f64::from(u8::from(!flag))
    });
    let wrong =
        |expected: &str| format!("'{}': input '{name}' is fed {value}, expected {expected}", key::SCALAR_INPUTS);
    ensure!(!flag || value == 0.0 || value == 1.0, wrong("true or false"));
    let whole = matches!(element, ScalarType::I32 | ScalarType::I64);
    ensure!(!whole || (value.fract() == 0.0 && value.abs() <= f64::from(i32::MAX)), wrong("a whole number"));
    Ok(ScalarInput { name, element, dims: vec![1; tensor.dims.len()], value })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(name: &str, element: Option<Element>, dims: &[i64]) -> TensorFacts {
        let dim = |d: &i64| if *d == -1 { Dim::Free("None".into()) } else { Dim::Fixed(*d) };
        let type_name = element.map_or("i64".into(), |e| e.to_string());
        let scalar = match element {
            Some(Element::F32) => Some(ScalarType::F32),
            _ => None,
        };
        TensorFacts { name: name.into(), element, scalar, type_name, dims: dims.iter().map(dim).collect() }
    }

    fn facts(inputs: &[TensorFacts], outputs: &[TensorFacts]) -> ModelFacts {
        ModelFacts { inputs: inputs.into(), outputs: outputs.into(), ..Default::default() }
    }

    fn float(name: &str, dims: &[i64]) -> TensorFacts {
        tensor(name, Some(Element::F32), dims)
    }

    #[test]
    fn the_layout_follows_from_the_shape() {
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
    fn models_without_a_picture_are_refused_with_a_list_of_their_tensors() {
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
        assert_eq!(recurrent.previous.format.range, Range::SIGNED, "the previous frame is a stylized one");
        assert_eq!(recurrent.confidence.unwrap().dims(8, 6), [1, 1, 6, 8]);
        let bad = [inputs[0].clone(), inputs[1].clone(), float("confidence", &[1, 2, -1, -1])];
        let error = format!("{:#}", Contract::resolve(&facts(&bad, &outputs), &hints).unwrap_err());
        assert!(error.contains("no confidence map: expected one channel"), "{error}");
    }

    #[test]
    fn a_scalar_that_no_input_takes_is_refused() {
        let mut hints = Hints::default();
        hints.set(key::SCALAR_INPUTS, "gamma=1").unwrap();
        let model = facts(&[float("x", &[1, 3, -1, -1])], &[float("y", &[1, 3, -1, -1])]);
        let error = format!("{:#}", Contract::resolve(&model, &hints).unwrap_err());
        assert!(error.contains("no scalar input 'gamma'"), "{error}");
    }

    fn named(name: &str, dims: &[&str]) -> TensorFacts {
        let dim = |d: &&str| d.parse().map_or_else(|_| Dim::Free((*d).into()), Dim::Fixed);
        TensorFacts { dims: dims.iter().map(dim).collect(), ..float(name, &[]) }
    }

    fn hinted(pairs: &[(&str, &str)]) -> Hints {
        let mut hints = Hints::default();
        pairs.iter().for_each(|(key, value)| hints.set(key, value).unwrap());
        hints
    }

    fn picture_in() -> TensorFacts {
        named("x", &["1", "3", "height", "width"])
    }

    #[test]
    fn of_several_outputs_the_one_that_looks_like_the_frame_is_taken() {
        let output = |outputs: &[TensorFacts]| {
            let contract = Contract::resolve(&facts(&[picture_in()], outputs), &Hints::default()).unwrap();
            (contract.output.name, contract.guesses.iter().any(|g| g.contains("'output-name'")))
        };
        let frame_like = |name| named(name, &["1", "3", "height", "width"]);
        assert_eq!(output(&[frame_like("side"), frame_like("painting")]), ("painting".into(), true));
        assert_eq!(output(&[frame_like("a"), frame_like("b")]), ("a".into(), true));
        assert_eq!(
            output(&[named("output_mask", &["1", "1", "height", "width"]), frame_like("b")]),
            ("b".into(), false)
        );
        assert_eq!(output(&[named("output", &["1", "c", "h", "w"]), frame_like("b")]), ("b".into(), true));
        assert_eq!(output(&[named("small", &["1", "3", "h4", "w4"]), frame_like("b")]), ("b".into(), true));
    }

    #[test]
    fn tensors_are_chosen_by_name_and_unknown_names_list_what_exists() {
        let outputs = [picture_in(), float("b", &[1, 3, -1, -1])];
        let inputs = [float("content", &[1, 3, -1, -1]), float("other", &[1, 3, -1, -1])];
        let model = facts(&inputs, &outputs);
        let contract = Contract::resolve(&model, &hinted(&[("input-name", "other"), ("output-name", "b")])).unwrap();
        assert_eq!((contract.input.name.as_str(), contract.output.name.as_str()), ("other", "b"));
        assert_eq!(contract.style.unwrap().name, "content");
        for (key, known) in [("input-name", "content, other"), ("output-name", "x, b")] {
            let error = Contract::resolve(&model, &hinted(&[(key, "z")])).unwrap_err();
            assert!(matches!(error.downcast_ref(), Some(ContractError::UnknownName { .. })));
            let text = format!("{error:#}");
            assert!([key, "'z'", known].iter().all(|word| text.contains(word)), "{text}");
        }
    }

    #[test]
    fn a_second_picture_of_the_frames_proportions_is_a_copy_of_it() {
        let roles = |first: TensorFacts, second: TensorFacts| {
            let contract = Contract::resolve(&facts(&[first, second], &[picture_in()]), &Hints::default()).unwrap();
            let copy = contract.copy.map(|copy| (copy.tensor.name.clone(), copy.size((160, 90))));
            (contract.input.name, contract.style.map(|s| s.name), copy)
        };
        let large = Some(("1".into(), (640, 360)));
        assert_eq!(roles(float("0", &[1, 3, 90, 160]), float("1", &[1, 3, 360, 640])), ("0".into(), None, large));
        let twice = Some(("y".into(), (320, 180)));
        assert_eq!(roles(picture_in(), named("y", &["1", "3", "2*height", "width_x2"])), ("x".into(), None, twice));
        let half = Some(("y".into(), (80, 45)));
        assert_eq!(roles(picture_in(), named("y", &["1", "3", "height/2", "width/2"])), ("x".into(), None, half));
        let bicubic = named("bicubic", &["1", "3", "a", "b"]);
        assert_eq!(roles(bicubic, picture_in()), ("x".into(), None, Some(("bicubic".into(), (160, 90)))));
        // Pictures of styles.
        let style = |name: &str| (String::from("x"), Some(String::from(name)), None);
        assert_eq!(roles(picture_in(), named("y", &["1", "3", "height", "width"])), style("y"));
        assert_eq!(roles(picture_in(), named("y", &["1", "3", "h", "w"])), style("y"));
        assert_eq!(roles(float("x", &[1, 3, 512, 512]), float("style", &[1, 3, 256, 256])), style("style"));
    }

    #[test]
    fn numbers_and_flags_have_defaults_and_bounds() {
        let scalar = |name: &str, scalar| TensorFacts { scalar: Some(scalar), element: None, ..float(name, &[]) };
        let inputs =
            [picture_in(), scalar("training", ScalarType::Bool), scalar("steps", ScalarType::I64), float("a", &[1, 1])];
        let model = facts(&inputs, &[picture_in()]);
        let values = |hints: &Hints| {
            let contract = Contract::resolve(&model, hints)?;
            Ok::<_, anyhow::Error>(contract.scalars.iter().map(|s| s.value).collect::<Vec<_>>())
        };
        assert_eq!(values(&Hints::default()).unwrap(), [0.0, 1.0, 1.0]);
        assert_eq!(values(&hinted(&[("scalar-inputs", "training=true,steps=-3,a=0.5")])).unwrap(), [1.0, -3.0, 0.5]);
        for (text, word) in [("training=2", "true or false"), ("steps=0.5", "a whole number")] {
            let error = format!("{:#}", values(&hinted(&[("scalar-inputs", text)])).unwrap_err());
            assert!(error.contains(word), "{error}");
        }
    }

    #[test]
    fn an_output_without_a_shape_is_settled_by_a_run_and_an_input_by_its_layout() {
        let open = |name: &str| float(name, &[]);
        let model = facts(&[float("x", &[1, -1, -1, 3])], &[open("y")]);
        let mut contract = Contract::resolve(&model, &Hints::default()).unwrap();
        let output = contract.output_as(&[1, 3, 48, 64]).unwrap();
        assert_eq!((output.format.axes, output.size(&[1, 3, 48, 64])), (Axes::Nchw, Some((64, 48))));
        assert!(contract.output_as(&[1, 1000]).unwrap_err().to_string().contains("[1, 1000]"));
        contract.settle_output(output);
        assert!(contract.output_as(&[48, 64, 3]).is_err());
        let model = facts(&[open("x")], &[picture_in()]);
        let error = format!("{:#}", Contract::resolve(&model, &Hints::default()).unwrap_err());
        assert!(error.contains("'x' declares no shape") && error.contains("'input-layout'"), "{error}");
        let contract = Contract::resolve(&model, &hinted(&[("input-layout", "nhwc")])).unwrap();
        assert_eq!((contract.input.format.axes, contract.input.width), (Axes::Nhwc, None));
    }
}
