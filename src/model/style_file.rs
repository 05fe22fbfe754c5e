//! Style files: one further style for a model of several styles, some ten kB.
//!
//! Comes in: an ONNX file without nodes, as the trainer's `learn` writes it: initializers that are rows for the tables of
//! weights of one certain model, and metadata. Goes out: that model with these styles before its own.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use prost::Message;
use prost::bytes::Bytes;

use crate::model::file::read_bounded;
use crate::model::metadata::{PREFIX, key};
use crate::model::onnx::editor::{Rows, with_metadata, with_rows};
use crate::model::onnx::floats::floats;
use crate::model::onnx::reader::OnnxFile;
use crate::model::onnx::schema::type_proto::Value;
use crate::model::onnx::schema::{ModelProto, ValueInfoProto};

/// Ending of the files that are looked for in a folder.
pub const SUFFIX: &str = "style";
/// Bytes in a style file, at most.
const LARGEST: u64 = 64 << 20;
/// Metadata key of a digest of the weights that all styles of a model share: rows fit to no other model.
const BASE: &str = "base";

/// One style.
struct StyleFile {
    path: PathBuf,
    name: String,
    base: String,
    rows: Rows,
}

/// The model with the styles of `path`, a style file or a folder of them, before its own.
///
/// # Errors
/// A file that is no style file or belongs to another model, a name that exists already; each names the file.
pub fn with_styles(model: &Bytes, path: &Path) -> Result<Bytes> {
    let styles = paths(path)?.iter().map(|path| StyleFile::open(path)).collect::<Result<Vec<_>>>()?;
    let decoded = ModelProto::decode(model.clone())?;
    let metadata = |name: &str| metadata(&decoded, name);
    let base = metadata(BASE).context(
        "the model takes no style files: it has no metadata 'styletransfer.base' (the trainer's export writes it)",
    )?;
    let own = metadata(key::STYLES).context("the model takes no style files: its metadata name no styles")?;
    let mut names: Vec<&str> = own.split(',').collect();
    for style in styles.iter().rev() {
        let file = style.path.display();
        ensure!(
            style.base == base,
            "style file '{file}' is for another model: its base is '{}', the model's is '{base}'; 'learn' it anew from \
             this model",
            style.base
        );
        ensure!(
            !names.contains(&style.name.as_str()),
            "style file '{file}': there is a style '{}' already; 'learn --name' gives another name",
            style.name
        );
        names.insert(0, &style.name);
    }
    let inputs = decoded.graph.iter().flat_map(|graph| &graph.input);
    let weights = inputs.into_iter().find(|input| is_weights(input)).context("the model has no style weights")?.name();
    let rows: Vec<Rows> = styles.iter().map(|style| style.rows.clone()).collect();
    let longer = with_rows(model, weights, &rows).with_context(|| format!("style file '{}'", path.display()))?;
    with_metadata(&longer, &format!("{PREFIX}{}", key::STYLES), &names.join(","))
}

/// Whether an input is that of the style weights, by its name and its number of dimensions.
fn is_weights(input: &ValueInfoProto) -> bool {
    let Some(Value::TensorType(tensor)) = input.r#type.as_ref().and_then(|kind| kind.value.as_ref()) else {
        return false;
    };
    let dims = tensor.shape.as_ref().map_or(0, |shape| shape.dim.len());
    (1..=2).contains(&dims) && input.name().to_ascii_lowercase().contains("style")
}

/// The style files that `path` means: itself, or, in order, those of the folder.
///
/// # Errors
/// A folder without any, or that cannot be listed.
pub fn paths(path: &Path) -> Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let folder = || format!("folder of style files '{}'", path.display());
    let entries = std::fs::read_dir(path).with_context(folder)?;
    let mut found: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    found.retain(|path| path.extension().is_some_and(|ending| ending == SUFFIX));
    found.sort();
    ensure!(!found.is_empty(), "{}: there is no file *.{SUFFIX} in it", folder());
    Ok(found)
}

fn metadata<'a>(model: &'a ModelProto, name: &str) -> Option<&'a str> {
    let entry = model.metadata_props.iter().find(|entry| entry.key().strip_prefix(PREFIX) == Some(name))?;
    Some(entry.value()).filter(|value| !value.is_empty())
}

impl StyleFile {
    fn open(path: &Path) -> Result<Self> {
        Self::read(path).with_context(|| format!("style file '{}'", path.display()))
    }

    fn read(path: &Path) -> Result<Self> {
        let bytes = Bytes::from(read_bounded(path, LARGEST)?);
        OnnxFile::from_bytes(bytes.clone())?;
        Self::of(path, &ModelProto::decode(bytes)?)
    }

    fn of(path: &Path, file: &ModelProto) -> Result<Self> {
        let graph = file.graph.as_ref().context("it has no graph")?;
        ensure!(graph.node.is_empty(), "it is a model, not a style file: property 'model-file' takes it");
        let text = |name: &str| {
            let missing = || format!("it has no metadata '{PREFIX}{name}': expected a file that 'learn' wrote");
            metadata(file, name).map(str::to_owned).with_context(missing)
        };
        let (name, base) = (text(key::STYLES)?, text(BASE)?);
        ensure!(
            !name.contains([',', ':']) && name.trim() == name,
            "its style is named '{name}': expected a name without ',', ':' and spaces around it"
        );
        let mut rows = Rows::new();
        for tensor in &graph.initializer {
            let values = floats(tensor)?;
            ensure!(
                values.iter().all(|value| value.is_finite()),
                "tensor '{}' holds a value that is no number",
                tensor.name()
            );
            rows.insert(tensor.name().to_owned(), values);
        }
        Ok(Self { path: path.to_owned(), name, base, rows })
    }
}
