//! Reads `.modelinfo` files: the ini files beside a model that GStreamer's `onnxinference` reads (GstAnalyticsModelInfo,
//! format 1.0 and 1.1).
//!
//! Comes in: a path. Goes out: one [`Section`] a tensor, in the order of the file. Of its keys `dir`, `dims`,
//! `dims-order`, `ranges` and `caps` matter here; the others are ignored.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use crate::model::file::read_bounded;
use crate::model::metadata::{Direction, TensorHints};
use crate::tensor::layout::{Axes, Channels, Range};

/// A megabyte describes every tensor that a model may have.
const LARGEST: u64 = 1 << 20;
/// The section about the file itself.
const FILE: &str = "modelinfo";
/// What `modelinfo-generator.py` writes for a value that its user must fill in.
const PLACEHOLDER: &str = "PLACEHOLDER";

/// What the file says about one tensor.
#[derive(Debug, Clone, PartialEq)]
pub struct Section {
    /// Title: the tensor's name.
    pub title: String,
    /// Key `dir`; `None`: either.
    pub direction: Option<Direction>,
    /// The other keys.
    pub hints: TensorHints,
}

/// `model.onnx.modelinfo`, else `model.modelinfo`: the names that GStreamer tries, in its order.
pub fn beside(model: &Path) -> Option<PathBuf> {
    let mut appended = model.as_os_str().to_owned();
    appended.push(".modelinfo");
    [appended.into(), model.with_extension("modelinfo")].into_iter().find(|path| path.is_file())
}

/// Reads a file.
///
/// # Errors
/// A file that cannot be read, of another format version, or with a bad value: file, section and key are named.
pub fn read(path: &Path) -> Result<Vec<Section>> {
    let named = || format!("modelinfo file '{}'", path.display());
    let bytes = read_bounded(path, LARGEST).with_context(named)?;
    parse(std::str::from_utf8(&bytes).with_context(named)?).with_context(named)
}

/// Reads the text of a file.
///
/// # Errors
/// As [`read`], without the file's name.
pub fn parse(text: &str) -> Result<Vec<Section>> {
    let file = ini::Ini::load_from_str(text)?;
    if let Some(version) = file.get_from(Some(FILE), "version") {
        ensure!(version.split('.').next() == Some("1"), "section [{FILE}]: version '{version}', expected 1.0 or 1.1");
    }
    let mut sections = Vec::new();
    for (title, values) in file.iter().filter_map(|(title, values)| Some((title?, values))) {
        let direction = match values.get("dir") {
            Some("input") => Some(Direction::Input),
            Some("output") => Some(Direction::Output),
            None => None,
            Some(_) => continue,
        };
        if title != FILE {
            let hints = hints(values).with_context(|| format!("section [{title}]"))?;
            sections.push(Section { title: title.to_owned(), direction, hints });
        }
    }
    Ok(sections)
}

fn hints(values: &ini::Properties) -> Result<TensorHints> {
    for (key, value) in values.iter() {
        ensure!(!value.starts_with(PLACEHOLDER), "key '{key}' is still '{value}': a value is expected");
    }
    let mut dims: Vec<_> = values.get("dims").map(|d| d.split(',').map(str::trim).collect()).unwrap_or_default();
    if values.get("dims-order") == Some("col-major") {
        dims.reverse();
    }
    let axes = match dims[..] {
        [_, _, _, "3"] => Some(Axes::Nhwc),
        [_, "3", _, _] => Some(Axes::Nchw),
        [_, _, "3"] => Some(Axes::Hwc),
        ["3", _, _] => Some(Axes::Chw),
        _ => None,
    };
    let range = values.get("ranges").map(ranges).transpose().context("key 'ranges'")?;
    Ok(TensorHints { axes, channels: values.get("caps").and_then(channels), range })
}

/// The channel order of `video/x-raw, format=RGB`.
fn channels(caps: &str) -> Option<Channels> {
    let format = caps.split(',').find_map(|field| field.trim().strip_prefix("format")?.trim().strip_prefix('='))?;
    let format = format.trim().trim_start_matches("(string)").trim_matches(['"', ' ']);
    match format {
        "RGB" | "RGBx" | "RGBA" | "RGBP" => Some(Channels::Rgb),
        "BGR" | "BGRx" | "BGRA" | "BGRP" => Some(Channels::Bgr),
        _ => None,
    }
}

/// One pair `low,high` for all channels, or one for each, separated by semicolons.
fn ranges(text: &str) -> Result<Range> {
    let pairs: Result<Vec<Range>> = text.split(';').filter(|p| !p.trim().is_empty()).map(str::parse).collect();
    match pairs?[..] {
        [all] => Ok(all),
        [r, g, b] => {
            Ok(Range { scale: [r.scale[0], g.scale[1], b.scale[2]], offset: [r.offset[0], g.offset[1], b.offset[2]] })
        }
        ref pairs => bail!("expected one pair or three, found {}", pairs.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_become_hints() {
        let sections = parse(
            "[modelinfo]\nversion=1.1\ngroup-id=style\n\n[x]\nid=frame\ndir=input\ntype=float32\ndims=-1,64,64,3\n\
             ranges=-1,1;-1,1;0,1\ncaps=video/x-raw, format=(string)BGR\n[y]\ndir=output\ndims=3,-1,-1\nranges=0.0,255.0\n\
             [z]\ndims=-1,-1,3,1\ndims-order=col-major\n",
        );
        let sections = sections.unwrap();
        let directions: Vec<_> = sections.iter().map(|s| (s.title.as_str(), s.direction)).collect();
        assert_eq!(directions, [("x", Some(Direction::Input)), ("y", Some(Direction::Output)), ("z", None)]);
        let [x, y, z] = &sections[..] else { panic!() };
        assert_eq!((x.hints.axes, x.hints.channels), (Some(Axes::Nhwc), Some(Channels::Bgr)));
        assert_eq!(x.hints.range.unwrap().offset, [-1.0, -1.0, 0.0]);
        assert_eq!(y.hints, TensorHints { axes: Some(Axes::Chw), channels: None, range: Some(Range::BYTE) });
        assert_eq!(z.hints.axes, Some(Axes::Nchw), "the first dimension of a column-major tensor varies fastest");
    }

    #[test]
    fn bad_values_name_their_place() {
        for (text, words) in [
            ("[x]\ndir=input\nranges=1\n", ["[x]", "ranges"]),
            ("[x]\nranges=0,1;0,1\n", ["[x]", "one pair or three"]),
            ("[x]\nranges=PLACEHOLDER\n", ["[x]", "PLACEHOLDER"]),
            ("[modelinfo]\nversion=2.0\n", ["2.0", "1.0 or 1.1"]),
        ] {
            let error = format!("{:#}", parse(text).unwrap_err());
            assert!(words.iter().all(|word| error.contains(word)), "{error}");
        }
    }

    #[test]
    fn the_file_beside_a_model_is_found_and_named_in_errors() {
        let folder = tempfile::tempdir().unwrap();
        let model = folder.path().join("m.onnx");
        assert_eq!(beside(&model), None);
        for name in ["m.modelinfo", "m.onnx.modelinfo"] {
            std::fs::write(folder.path().join(name), "[x]\nranges=1\n").unwrap();
            assert_eq!(beside(&model), Some(folder.path().join(name)));
        }
        let error = format!("{:#}", read(&folder.path().join("m.modelinfo")).unwrap_err());
        assert!(error.contains("m.modelinfo"), "{error}");
    }
}
