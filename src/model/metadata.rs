//! What somebody said about a model's tensors: the element's properties, the file's metadata, a `.modelinfo` file.
//!
//! All three fill the same [`Hints`]; the first one that knows a thing wins.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::tensor::layout::{Axes, Channels, Range};

/// Prefix of the metadata keys inside an ONNX file.
pub const PREFIX: &str = "styletransfer.";

/// The keys, without prefix: also the names of the element's properties.
pub mod key {
    /// Axis order of the picture going in.
    pub const INPUT_LAYOUT: &str = "input-layout";
    /// Axis order of the picture coming out.
    pub const OUTPUT_LAYOUT: &str = "output-layout";
    /// Channel order of the picture going in.
    pub const INPUT_CHANNELS: &str = "input-channels";
    /// Channel order of the picture coming out.
    pub const OUTPUT_CHANNELS: &str = "output-channels";
    /// Value range of the picture going in.
    pub const INPUT_RANGE: &str = "input-range";
    /// Value range of the picture coming out.
    pub const OUTPUT_RANGE: &str = "output-range";
    /// Width and height must be multiples of this.
    pub const SIZE_MULTIPLE: &str = "size-multiple";
    /// Values of scalar inputs: `name=value,name=value`.
    pub const SCALAR_INPUTS: &str = "scalar-inputs";
    /// Names of the model's styles, in the order of its weights: `name,name`.
    pub const STYLES: &str = "styles";

    /// Every key.
    pub const ALL: [&str; 9] = [
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
    fn or(self, other: Self) -> Self {
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
    /// The picture going in.
    pub input: TensorHints,
    /// The picture coming out.
    pub output: TensorHints,
    /// Width and height must be multiples of this.
    pub size_multiple: Option<usize>,
    /// Values of scalar inputs, by name.
    pub scalars: BTreeMap<String, f32>,
    /// Names of the styles; empty: not told.
    pub styles: Vec<String>,
}

impl Hints {
    /// `self`, and where it is silent, `other`.
    pub fn or(self, other: Self) -> Self {
        let mut scalars = other.scalars;
        scalars.extend(self.scalars);
        Self {
            input: self.input.or(other.input),
            output: self.output.or(other.output),
            size_multiple: self.size_multiple.or(other.size_multiple),
            scalars,
            styles: if self.styles.is_empty() { other.styles } else { self.styles },
        }
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
            key::INPUT_LAYOUT => self.input.axes = Some(text.parse()?),
            key::OUTPUT_LAYOUT => self.output.axes = Some(text.parse()?),
            key::INPUT_CHANNELS => self.input.channels = Some(text.parse()?),
            key::OUTPUT_CHANNELS => self.output.channels = Some(text.parse()?),
            key::INPUT_RANGE => self.input.range = Some(text.parse()?),
            key::OUTPUT_RANGE => self.output.range = Some(text.parse()?),
            key::SIZE_MULTIPLE => self.size_multiple = Some(parse_multiple(text)?),
            key::SCALAR_INPUTS => self.scalars.extend(parse_scalars(text)?),
            key::STYLES => self.styles = text.split(',').map(|name| name.trim().to_owned()).collect(),
            _ => bail!("no such key; known are {}", key::ALL.join(", ")),
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

    /// From the ini-style `.modelinfo` file of GStreamer's analytics elements: a section per tensor, of whose keys
    /// `dir`, `dims` and `ranges` (`low,high` per channel, separated by semicolons) matter here.
    ///
    /// # Errors
    /// A file that cannot be read, or a value that makes no sense, with file, section and key.
    pub fn from_modelinfo(path: &Path) -> Result<Self> {
        let named = || format!("modelinfo file '{}'", path.display());
        let ini = ini::Ini::load_from_file(path).with_context(named)?;
        let mut hints = Self::default();
        for (section, values) in ini.iter() {
            let target = match values.get("dir") {
                Some("input") => &mut hints.input,
                Some("output") => &mut hints.output,
                _ => continue,
            };
            let said = modelinfo_section(values).with_context(|| format!("section [{}]", section.unwrap_or("")));
            *target = target.or(said.with_context(named)?);
        }
        Ok(hints)
    }
}

fn parse_multiple(text: &str) -> Result<usize> {
    match text.parse() {
        Ok(n) if (1..=512).contains(&n) => Ok(n),
        _ => bail!("'{text}': expected a whole number from 1 to 512"),
    }
}

fn parse_scalars(text: &str) -> Result<BTreeMap<String, f32>> {
    let pair = |pair: &str| -> Result<(String, f32)> {
        let parsed = pair.split_once('=').and_then(|(n, v)| Some((n.trim().to_owned(), v.trim().parse().ok()?)));
        parsed.with_context(|| format!("'{pair}': expected name=number"))
    };
    text.split(',').map(pair).collect()
}

fn modelinfo_section(values: &ini::Properties) -> Result<TensorHints> {
    let dims = values.get("dims").map(|d| d.split(',').map(str::trim).collect::<Vec<_>>()).unwrap_or_default();
    let axes = match dims[..] {
        [_, _, _, "3"] => Some(Axes::Nhwc),
        [_, "3", _, _] => Some(Axes::Nchw),
        [_, _, "3"] => Some(Axes::Hwc),
        ["3", _, _] => Some(Axes::Chw),
        _ => None,
    };
    let range = values.get("ranges").map(modelinfo_ranges).transpose()?;
    Ok(TensorHints { axes, channels: None, range })
}

/// One pair for all channels, or one for each.
fn modelinfo_ranges(text: &str) -> Result<Range> {
    let pairs: Result<Vec<Range>> = text.split(';').filter(|p| !p.trim().is_empty()).map(str::parse).collect();
    let pairs = pairs.context("key 'ranges'")?;
    match pairs[..] {
        [all] => Ok(all),
        [r, g, b] => {
            Ok(Range { scale: [r.scale[0], g.scale[1], b.scale[2]], offset: [r.offset[0], g.offset[1], b.offset[2]] })
        }
        _ => bail!("key 'ranges': expected one pair or three, found {}", pairs.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_who_knows_wins() {
        let (mut user, mut file) = (Hints::default(), Hints::default());
        user.set(key::INPUT_RANGE, "0,255").unwrap();
        file.set(key::INPUT_RANGE, "0,1").unwrap();
        file.set(key::OUTPUT_LAYOUT, "nhwc").unwrap();
        file.set(key::SCALAR_INPUTS, "alpha=0.5, beta=2").unwrap();
        user.set(key::SCALAR_INPUTS, "alpha=1").unwrap();
        let both = user.or(file);
        assert_eq!(both.input.range, Some(Range::BYTE));
        assert_eq!(both.output.axes, Some(Axes::Nhwc));
        assert_eq!((both.scalars["alpha"], both.scalars["beta"]), (1.0, 2.0));
    }

    #[test]
    fn bad_values_name_their_key() {
        for (key, text) in [(key::SIZE_MULTIPLE, "0"), (key::INPUT_CHANNELS, "rbg"), (key::SCALAR_INPUTS, "alpha")] {
            let error = format!("{:#}", Hints::default().set(key, text).unwrap_err());
            assert!(error.contains(key) && error.contains(text), "{error}");
        }
    }

    #[test]
    fn modelinfo_files_are_read() {
        let file = tempfile::NamedTempFile::with_suffix(".modelinfo").unwrap();
        let text = "[modelinfo]\nversion=1.0\n[x]\ndir=input\ntype=float32\ndims=-1,64,64,3\nranges=-1,1;-1,1;0,1\n\
                    [y]\ndir=output\ndims=3,-1,-1\nranges=0.0,255.0\n";
        std::fs::write(file.path(), text).unwrap();
        let hints = Hints::from_modelinfo(file.path()).unwrap();
        assert_eq!(hints.input.axes, Some(Axes::Nhwc));
        assert_eq!(hints.input.range.unwrap().offset, [-1.0, -1.0, 0.0]);
        assert_eq!(hints.output, TensorHints { axes: Some(Axes::Chw), channels: None, range: Some(Range::BYTE) });
        std::fs::write(file.path(), "[x]\ndir=input\nranges=1\n").unwrap();
        let error = format!("{:#}", Hints::from_modelinfo(file.path()).unwrap_err());
        assert!(error.contains("[x]") && error.contains("ranges"), "{error}");
    }
}
