//! What the user or a file says about a model's tensors.
//!
//! Comes in: the element's properties, the model's metadata, a `.modelinfo` file. Goes out: [`Hints`] of each; joined by
//! [`Hints::or`], the first that says a thing wins.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::model::modelinfo::{self, Section};
use crate::tensor::layout::{Axes, Channels, Range};

/// Prefix of the metadata keys inside an ONNX file.
pub const PREFIX: &str = "styletransfer.";

/// The keys, without prefix: also the names of the element's properties.
pub mod key {
    /// Name of the input that takes the frame.
    pub const INPUT_NAME: &str = "input-name";
    /// Name of the output that holds the stylized frame.
    pub const OUTPUT_NAME: &str = "output-name";
    /// Axis order of the input.
    pub const INPUT_LAYOUT: &str = "input-layout";
    /// Axis order of the output.
    pub const OUTPUT_LAYOUT: &str = "output-layout";
    /// Channel order of the input.
    pub const INPUT_CHANNELS: &str = "input-channels";
    /// Channel order of the output.
    pub const OUTPUT_CHANNELS: &str = "output-channels";
    /// Value range of the input.
    pub const INPUT_RANGE: &str = "input-range";
    /// Value range of the output.
    pub const OUTPUT_RANGE: &str = "output-range";
    /// Width and height must be multiples of this.
    pub const SIZE_MULTIPLE: &str = "size-multiple";
    /// Values of scalar inputs: `name=value,name=value`.
    pub const SCALAR_INPUTS: &str = "scalar-inputs";
    /// Names of the model's styles, in the order of its weights: `name,name`.
    pub const STYLES: &str = "styles";

    /// Every key.
    pub const ALL: [&str; 11] = [
        INPUT_NAME,
        OUTPUT_NAME,
        INPUT_LAYOUT,
        OUTPUT_LAYOUT,
        INPUT_CHANNELS,
        OUTPUT_CHANNELS,
        INPUT_RANGE,
        OUTPUT_RANGE,
        SIZE_MULTIPLE,
        SCALAR_INPUTS,
        STYLES,
    ];
}

/// Which way a tensor goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Into the model.
    Input,
    /// Out of it.
    Output,
}

/// What is said of one picture tensor.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct TensorHints {
    /// Axis order.
    pub axes: Option<Axes>,
    /// Channel order.
    pub channels: Option<Channels>,
    /// Value range.
    pub range: Option<Range>,
}

impl TensorHints {
    /// `self`, and where it says nothing, `other`.
    pub fn or(self, other: Self) -> Self {
        Self {
            axes: self.axes.or(other.axes),
            channels: self.channels.or(other.channels),
            range: self.range.or(other.range),
        }
    }
}

/// What is said of a model.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Hints {
    /// Name of the input that takes the frame.
    pub input_name: Option<String>,
    /// Name of the output that holds the stylized frame.
    pub output_name: Option<String>,
    /// Every picture input.
    pub input: TensorHints,
    /// The stylized frame.
    pub output: TensorHints,
    /// Width and height must be multiples of this.
    pub size_multiple: Option<usize>,
    /// Values of scalar inputs, by name. A flag is 0 or 1.
    pub scalars: BTreeMap<String, f64>,
    /// Names of the styles; empty: not said.
    pub styles: Vec<String>,
    /// What a `.modelinfo` file says, tensor by tensor.
    pub sections: Vec<Section>,
}

impl Hints {
    /// `self`, and where it says nothing, `other`.
    pub fn or(self, other: Self) -> Self {
        let mut scalars = other.scalars;
        scalars.extend(self.scalars);
        Self {
            input_name: self.input_name.or(other.input_name),
            output_name: self.output_name.or(other.output_name),
            input: self.input.or(other.input),
            output: self.output.or(other.output),
            size_multiple: self.size_multiple.or(other.size_multiple),
            scalars,
            styles: if self.styles.is_empty() { other.styles } else { self.styles },
            sections: if self.sections.is_empty() { other.sections } else { self.sections },
        }
    }

    /// What is said of the tensor `name`: of all that go its way, else of it alone, else what the first section of that
    /// direction says where none has its name (as GStreamer matches them).
    pub fn of(&self, direction: Direction, name: &str) -> TensorHints {
        let general = match direction {
            Direction::Input => self.input,
            Direction::Output => self.output,
        };
        let named = self.sections.iter().find(|section| section.title == name);
        let section = named.or_else(|| self.sections.iter().find(|section| section.direction == Some(direction)));
        general.or(section.map(|section| section.hints).unwrap_or_default())
    }

    /// Reads one value; an empty text says nothing.
    ///
    /// # Errors
    /// A text that is no value for `key`, or an unknown key, by name.
    pub fn set(&mut self, name: &str, text: &str) -> Result<()> {
        if text.trim().is_empty() {
            return Ok(());
        }
        self.set_value(name, text.trim()).with_context(|| format!("'{name}'"))
    }

    fn set_value(&mut self, name: &str, text: &str) -> Result<()> {
        match name {
            key::INPUT_NAME => self.input_name = Some(text.to_owned()),
            key::OUTPUT_NAME => self.output_name = Some(text.to_owned()),
            key::INPUT_LAYOUT => self.input.axes = Some(text.parse()?),
            key::OUTPUT_LAYOUT => self.output.axes = Some(text.parse()?),
            key::INPUT_CHANNELS => self.input.channels = Some(text.parse()?),
            key::OUTPUT_CHANNELS => self.output.channels = Some(text.parse()?),
            key::INPUT_RANGE => self.input.range = Some(text.parse()?),
            key::OUTPUT_RANGE => self.output.range = Some(text.parse()?),
            key::SIZE_MULTIPLE => self.size_multiple = Some(parse_multiple(text)?),
            key::SCALAR_INPUTS => self.scalars.extend(parse_scalars(text)?),
            key::STYLES => self.styles = text.split(',').map(|name| name.trim().to_owned()).collect(),
            _ => bail!("unknown key, expected one of {}", key::ALL.join(", ")),
        }
        Ok(())
    }

    /// From a model's metadata: the keys that begin with [`PREFIX`]; other keys (name, licence, …) are ignored.
    ///
    /// # Errors
    /// A value that cannot be read, with its key.
    pub fn from_metadata(metadata: &BTreeMap<String, String>) -> Result<Self> {
        let mut hints = Self::default();
        for (name, text) in metadata {
            if let Some(name) = name.strip_prefix(PREFIX).filter(|name| key::ALL.contains(name)) {
                hints.set(name, text).with_context(|| format!("metadata of the model, prefix '{PREFIX}'"))?;
            }
        }
        Ok(hints)
    }

    /// From the `.modelinfo` file beside a model, if there is one.
    ///
    /// # Errors
    /// As [`modelinfo::read`].
    pub fn beside(model: &Path) -> Result<Self> {
        let sections = modelinfo::beside(model).map(|path| modelinfo::read(&path)).transpose()?;
        Ok(Self { sections: sections.unwrap_or_default(), ..Self::default() })
    }
}

fn parse_multiple(text: &str) -> Result<usize> {
    match text.parse() {
        Ok(n) if (1..=512).contains(&n) => Ok(n),
        _ => bail!("'{text}': expected a whole number from 1 to 512"),
    }
}

fn parse_scalars(text: &str) -> Result<BTreeMap<String, f64>> {
    let value = |text: &str| match text {
        "true" => Some(1.0),
        "false" => Some(0.0),
        number => number.parse().ok().filter(|number: &f64| number.is_finite()),
    };
    let pair = |pair: &str| -> Result<(String, f64)> {
        let parsed = pair.split_once('=').and_then(|(n, v)| Some((n.trim().to_owned(), value(v.trim())?)));
        parsed.with_context(|| format!("'{pair}': expected name=number, name=true or name=false"))
    };
    text.split(',').filter(|part| !part.trim().is_empty()).map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_that_says_a_thing_wins() {
        let (mut user, mut file) = (Hints::default(), Hints::default());
        user.set(key::INPUT_RANGE, "0,255").unwrap();
        file.set(key::INPUT_RANGE, "0,1").unwrap();
        file.set(key::OUTPUT_LAYOUT, "nhwc").unwrap();
        file.set(key::OUTPUT_NAME, "y").unwrap();
        file.set(key::SCALAR_INPUTS, "alpha=0.5, beta=2, training=true").unwrap();
        user.set(key::SCALAR_INPUTS, "alpha=1").unwrap();
        let both = user.or(file);
        assert_eq!(both.input.range, Some(Range::BYTE));
        assert_eq!(both.output.axes, Some(Axes::Nhwc));
        assert_eq!(both.output_name.as_deref(), Some("y"));
        assert_eq!(["alpha", "beta", "training"].map(|name| both.scalars[name]), [1.0, 2.0, 1.0]);
    }

    #[test]
    fn bad_values_name_their_key() {
        for (key, text) in [
            (key::SIZE_MULTIPLE, "0"),
            (key::INPUT_CHANNELS, "rbg"),
            (key::SCALAR_INPUTS, "alpha"),
            (key::SCALAR_INPUTS, "alpha=nan"),
        ] {
            let error = format!("{:#}", Hints::default().set(key, text).unwrap_err());
            assert!(error.contains(key) && error.contains(text), "{error}");
        }
        let error = Hints::default().set("colour", "red").unwrap_err();
        assert!(format!("{error:#}").contains("input-name, output-name"), "{error:#}");
    }

    #[test]
    fn sections_belong_to_their_tensors_and_else_to_the_first_of_their_direction() {
        let sections = modelinfo::parse("[a]\ndir=input\nranges=0,1\n[b]\ndir=input\nranges=-1,1\n").unwrap();
        let mut hints = Hints { sections, ..Hints::default() };
        let range = |hints: &Hints, name| hints.of(Direction::Input, name).range;
        assert_eq!([range(&hints, "b"), range(&hints, "c")], [Some(Range::SIGNED), Some(Range::UNIT)]);
        assert_eq!(hints.of(Direction::Output, "c"), TensorHints::default());
        hints.input.range = Some(Range::BYTE);
        assert_eq!(range(&hints, "b"), Some(Range::BYTE));
    }
}
