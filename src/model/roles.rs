//! Which tensor of a model has which role: the frame, the style picture, a resized copy of the frame, the previous
//! stylized frame, the stylized frame. Names the user gives decide, then shapes, then what names hint at.
//!
//! Comes in: declared tensors and hints. Goes out: [`Inputs`] and the output, with a line for the log where there was a
//! choice.

use crate::model::contract::{ContractError, axes_of};
use crate::model::facts::{Dim, ModelFacts, TensorFacts};
use crate::model::metadata::{Direction, Hints, key};
use crate::model::recurrent::is_previous;
use crate::tensor::layout::Axes;

/// The picture inputs of a model.
#[derive(Debug, PartialEq)]
pub(super) struct Inputs<'a> {
    /// Takes the frame.
    pub frame: &'a TensorFacts,
    /// Takes the style picture.
    pub style: Option<&'a TensorFacts>,
    /// Takes the frame once more, at another size.
    pub copy: Option<(&'a TensorFacts, Scale)>,
    /// Takes the previous stylized frame.
    pub previous: Option<&'a TensorFacts>,
}

/// Size of a copy of the frame: the frame's times `up`, divided by `down`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scale {
    /// Factor.
    pub up: usize,
    /// Divisor.
    pub down: usize,
}

impl Scale {
    /// The frame's own size.
    pub const SAME: Scale = Scale { up: 1, down: 1 };

    /// A side of the copy, for a side of the frame.
    pub fn of(self, side: usize) -> usize {
        (side * self.up / self.down).max(1)
    }
}

const STYLE: &[&str] = &["style"];
const CONTENT: &[&str] = &["content"];
/// Words for a copy of the frame that was resized.
const COPY: &[&str] =
    &["bicubic", "bilinear", "resize", "upscale", "upsample", "downscale", "downsample", "lowres", "interp"];
/// Words for the picture that a model makes.
const PICTURE: &[&str] = &[
    "stylized",
    "styled",
    "stylised",
    "output",
    "image",
    "picture",
    "paint",
    "result",
    "generated",
    "fake",
    "transfer",
];
/// Words for what it makes beside that.
const ASIDE: &[&str] = &[
    "mask",
    "alpha",
    "depth",
    "gray",
    "grey",
    "side",
    "aux",
    "feature",
    "edge",
    "attention",
    "flow",
    "noise",
    "recon",
];

fn says(tensor: &TensorFacts, words: &[&str]) -> bool {
    let name = tensor.name.to_ascii_lowercase();
    words.iter().any(|word| name.contains(word))
}

/// The roles of the picture inputs.
pub(super) fn inputs<'a>(facts: &'a ModelFacts, hints: &Hints) -> Result<Inputs<'a>, ContractError> {
    let axes = |t: &TensorFacts| axes_of(t, hints.of(Direction::Input, &t.name).axes);
    let pictures = || facts.inputs.iter().filter(|t| axes(t).is_some());
    let named = hints.input_name.as_deref().map(|name| by_name(&facts.inputs, key::INPUT_NAME, name)).transpose()?;
    let previous = pictures().find(|t| Some(*t) != named && is_previous(&t.name));
    let rest: Vec<_> = pictures().filter(|t| Some(*t) != previous).collect();
    let aside = |t: &TensorFacts| says(t, STYLE) || says(t, COPY);
    let first = rest.iter().find(|t| !aside(t)).or(rest.first()).copied();
    let frame = match named.or(first) {
        Some(frame) => frame,
        None => without_shape(facts, hints)?,
    };
    let mut found = Inputs { frame, style: None, copy: None, previous };
    for other in rest.into_iter().filter(|t| *t != frame) {
        match (scale(frame, other, axes(frame).zip(axes(other))), found.style) {
            (Some(scale), _) if found.copy.is_none() => found.copy = Some((other, scale)),
            (None, None) => found.style = Some(other),
            _ => return Err(ContractError::TooManyPictures(other.name.clone())),
        }
    }
    Ok(found)
}

/// An input that declares no shape takes the frame if its layout is given.
fn without_shape<'a>(facts: &'a ModelFacts, hints: &Hints) -> Result<&'a TensorFacts, ContractError> {
    let open = facts.inputs.iter().find(|t| t.may_have_any_shape()).ok_or(ContractError::NoInput)?;
    match hints.of(Direction::Input, &open.name).axes {
        Some(_) => Ok(open),
        None => Err(ContractError::NoInputShape(open.name.clone())),
    }
}

/// The size of `other` if it takes a copy of the frame; `None` if it takes another picture.
fn scale(frame: &TensorFacts, other: &TensorFacts, axes: Option<(Axes, Axes)>) -> Option<Scale> {
    if says(other, STYLE) || says(frame, CONTENT) {
        return None;
    }
    let declared = axes.and_then(|(of_frame, of_other)| {
        let ((_, y, x), (_, v, u)) = (of_frame.positions(), of_other.positions());
        let (vertical, horizontal) = (ratio(&frame.dims[y], &other.dims[v])?, ratio(&frame.dims[x], &other.dims[u])?);
        (vertical == horizontal).then_some(vertical)
    });
    match declared {
        Some(scale) if scale != Scale::SAME || says(other, COPY) => Some(scale),
        _ => says(other, COPY).then_some(Scale::SAME),
    }
}

/// How many times larger or smaller a dimension is declared than another: by its number, or by a symbol that holds the
/// other's, such as `4*height`, `height_x4` or `height/2`.
fn ratio(of: &Dim, is: &Dim) -> Option<Scale> {
    if let (Some(a), Some(b)) = (of.fixed(), is.fixed()) {
        return match () {
            () if a > 0 && b.is_multiple_of(a) => Some(Scale { up: b / a, down: 1 }),
            () if b > 0 && a.is_multiple_of(b) => Some(Scale { up: 1, down: a / b }),
            () => None,
        };
    }
    let (of, is) = (of.symbol()?, is.symbol()?);
    let rest = is.replacen(of, "", 1);
    if rest.len() == is.len() {
        return None;
    }
    if rest.is_empty() {
        return Some(Scale::SAME);
    }
    let number: String = rest.chars().filter(char::is_ascii_digit).collect();
    let number = number.parse().ok().filter(|n| (1..=16).contains(n))?;
    Some(if rest.contains('/') || rest.contains("div") {
        Scale { up: 1, down: number }
    } else {
        Scale { up: number, down: 1 }
    })
}

/// The output that holds the stylized frame, with a line for the log if others could.
pub(super) fn output<'a>(
    facts: &'a ModelFacts,
    hints: &Hints,
    frame: &TensorFacts,
) -> Result<(&'a TensorFacts, Option<String>), ContractError> {
    if let Some(name) = hints.output_name.as_deref() {
        return Ok((by_name(&facts.outputs, key::OUTPUT_NAME, name)?, None));
    }
    let axes = |t: &TensorFacts| axes_of(t, hints.of(Direction::Output, &t.name).axes);
    let mut pictures: Vec<_> = facts.outputs.iter().filter(|t| axes(t).is_some()).collect();
    if pictures.is_empty() {
        pictures = facts.outputs.iter().filter(|t| t.may_have_any_shape()).collect();
    }
    let of_frame = axes_of(frame, hints.of(Direction::Input, &frame.name).axes);
    let likeness = |t: &TensorFacts| {
        let name = i32::from(says(t, PICTURE)) - i32::from(says(t, ASIDE));
        let (three, sized) = axes(t).zip(of_frame).map_or((false, false), |(axes, of_frame)| {
            let ((c, y, x), (_, v, u)) = (axes.positions(), of_frame.positions());
            let alike = |a: &Dim, b: &Dim| a == b || ratio(b, a).is_some();
            (t.dims[c] == Dim::Fixed(3), alike(&t.dims[y], &frame.dims[v]) && alike(&t.dims[x], &frame.dims[u]))
        });
        (i32::from(three) + i32::from(sized), name)
    };
    let best = pictures.iter().map(|t| likeness(t)).max();
    let first = pictures.iter().find(|t| Some(likeness(t)) == best).copied().ok_or(ContractError::NoOutput)?;
    let names: Vec<_> = pictures.iter().map(|t| format!("'{}'", t.name)).collect();
    let choice = || {
        let (property, names) = (key::OUTPUT_NAME, names.join(", "));
        format!(
            "the stylized frame is taken to be output '{}' of {names} (property '{property}' overrides)",
            first.name
        )
    };
    Ok((first, (pictures.len() > 1).then(choice)))
}

fn by_name<'a>(tensors: &'a [TensorFacts], key: &'static str, name: &str) -> Result<&'a TensorFacts, ContractError> {
    let known = || tensors.iter().map(|t| t.name.as_str()).collect::<Vec<_>>().join(", ");
    let found = tensors.iter().find(|t| t.name == name);
    found.ok_or_else(|| ContractError::UnknownName { key, name: name.to_owned(), known: known() })
}
