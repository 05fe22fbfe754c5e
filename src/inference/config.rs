//! Which model to run, and on what.
//!
//! Comes in: the user's settings. Goes out: the model's file, and the hints of a `.modelinfo` file beside it.

use std::fmt;
use std::path::PathBuf;

use anyhow::Result;
use ort::session::builder::GraphOptimizationLevel;
use prost::bytes::Bytes;

use crate::frame::threads;
use crate::inference::providers::{Options, Precision};
use crate::model::built_in::EmbeddedModel;
use crate::model::metadata::Hints;
use crate::model::onnx::reader::OnnxFile;

/// Value of property `execution-provider` for the first provider that can be used.
pub const AUTO: &str = "auto";

/// Which model.
#[derive(Clone)]
pub enum ModelSource {
    /// A file.
    File(PathBuf),
    /// One that ships inside the plugin.
    Embedded(&'static EmbeddedModel),
}

/// What to run a model on, and with which options.
#[derive(Debug, Clone)]
pub struct SessionConfig {
    /// `auto` or the name of a row of [`crate::inference::providers::PROVIDERS`].
    pub provider: String,
    /// Number of the device.
    pub device_id: i32,
    /// Arithmetic.
    pub precision: Precision,
    /// Threads of the inference; 0: as many as processors that this process may use.
    pub threads: usize,
    /// How far the runtime may rewrite the graph.
    pub optimization: GraphOptimizationLevel,
    /// Folder for prepared engines; `None`: [`crate::inference::engines::default_cache_dir`]. Made when it is needed.
    pub cache: Option<PathBuf>,
    /// Folder of the plugin's file: the library may be beside it.
    pub plugin_folder: Option<PathBuf>,
    /// The user's settings for the model's tensors.
    pub overrides: Hints,
    /// Picture for a model's second picture input.
    pub style_image: Option<PathBuf>,
    /// A style file, or a folder of them, whose styles the model gets.
    pub style_files: Option<PathBuf>,
    /// Whether to wait for a provider that takes minutes to prepare. If not, another one stands in for it.
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
            style_files: None,
            waits: true,
        }
    }
}

impl SessionConfig {
    /// What every session of a provider is configured with.
    pub(super) fn options(&self) -> Options<'static> {
        let threads = if self.threads == 0 { threads::available() } else { self.threads };
        Options { device_id: self.device_id, precision: self.precision, threads, ..Options::default() }
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
    /// The file, checked, and the hints of a `.modelinfo` file beside it.
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
                let found = model.styles.iter().find(|s| s.name == style).and_then(|s| s.int8);
                Ok(found.map(|bytes| OnnxFile::Bytes(Bytes::from_static(bytes))))
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
