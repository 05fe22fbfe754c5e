//! Which model to run, on what and how; and reading its file.
//!
//! Comes in: the user's choices. Goes out: the file's bytes and what a `.modelinfo` file beside it says.

use std::fmt;
use std::path::PathBuf;

use anyhow::Result;
use ort::session::builder::GraphOptimizationLevel;
use prost::bytes::Bytes;

use crate::inference::providers::Precision;
use crate::model::built_in::EmbeddedModel;
use crate::model::metadata::Hints;
use crate::model::onnx::reader::OnnxFile;

/// Word of property `execution-provider` for: the first that can be had.
pub const AUTO: &str = "auto";

/// Which model.
#[derive(Clone)]
pub enum ModelSource {
    /// A file.
    File(PathBuf),
    /// One that ships inside the plugin.
    Embedded(&'static EmbeddedModel),
}

/// What to run a model on, and how.
#[derive(Debug, Clone)]
pub struct SessionConfig {
    /// `auto` or the name of a row of [`crate::inference::providers::PROVIDERS`].
    pub provider: String,
    /// Number of the device.
    pub device_id: i32,
    /// Arithmetic.
    pub precision: Precision,
    /// Threads of the inference; 0: as many as cores.
    pub threads: usize,
    /// How far the runtime may rewrite the graph.
    pub optimization: GraphOptimizationLevel,
    /// Folder for prepared engines.
    pub cache: Option<PathBuf>,
    /// Folder the plugin lies in: the library may be beside it.
    pub plugin_folder: Option<PathBuf>,
    /// What the user says about the model's tensors.
    pub overrides: Hints,
    /// Picture for a model's second picture input.
    pub style_image: Option<PathBuf>,
    /// Whether to wait for a provider that takes minutes to prepare, or to take the next best for now.
    pub waits: bool,
}

impl Default for SessionConfig {
    fn default() -> Self {
        Self {
            provider: AUTO.to_owned(),
            device_id: 0,
            precision: Precision::Auto,
            threads: 0,
            optimization: GraphOptimizationLevel::All,
            cache: None,
            plugin_folder: None,
            overrides: Hints::default(),
            style_image: None,
            waits: true,
        }
    }
}

impl PartialEq for ModelSource {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (ModelSource::File(a), ModelSource::File(b)) => a == b,
            (ModelSource::Embedded(a), ModelSource::Embedded(b)) => std::ptr::eq(*a, *b),
            _ => false,
        }
    }
}

impl fmt::Display for ModelSource {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            ModelSource::File(path) => write!(f, "model file '{}'", path.display()),
            ModelSource::Embedded(model) => {
                let names: Vec<_> = model.styles.iter().map(|s| s.name).collect();
                write!(f, "embedded model of {}", names.join(", "))
            }
        }
    }
}

impl ModelSource {
    /// The file, checked, and what a `.modelinfo` file beside it says.
    ///
    /// # Errors
    /// As [`OnnxFile::open`] and [`Hints::beside`].
    pub fn read(&self) -> Result<(OnnxFile, Hints)> {
        match self {
            ModelSource::Embedded(model) => Ok((OnnxFile::Bytes(Bytes::from_static(model.onnx)), Hints::default())),
            ModelSource::File(path) => Ok((OnnxFile::open(path)?, Hints::beside(path)?)),
        }
    }

    /// The int8 variant of one style: inside the plugin, or a file `MODEL.STYLE.int8.onnx` or, for a model of one style,
    /// `MODEL.int8.onnx` beside `MODEL.onnx`.
    ///
    /// # Errors
    /// As [`OnnxFile::open`].
    pub fn int8(&self, style: &str, alone: bool) -> Result<Option<OnnxFile>> {
        match self {
            ModelSource::Embedded(model) => {
                let found = model.styles.iter().find(|s| s.name == style);
                Ok(found.map(|s| OnnxFile::Bytes(Bytes::from_static(s.int8))))
            }
            ModelSource::File(path) => {
                let of_style = path.with_extension(format!("{style}.int8.onnx"));
                let names = [Some(of_style), alone.then(|| path.with_extension("int8.onnx"))];
                let found = names.into_iter().flatten().find(|path| path.is_file());
                found.map(|path| OnnxFile::open(&path)).transpose()
            }
        }
    }
}
