//! Reads a model's file: is it ONNX, is it whole, and do its weights lie where they may?
//!
//! Comes in: a path. Goes out: the bytes, held once and shared by all who use them, or the path itself where weights lie
//! in files beside the model, which the runtime opens. Weights that are reached by a link out of the model's folder are put
//! into the bytes.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result, ensure};
use prost::Message;
use prost::bytes::Bytes;

use crate::model::file::{FileError, read_bounded};
use crate::model::onnx::editor::{is_external, with_weights};
use crate::model::onnx::schema::{
    AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto, SparseTensorProto, TensorProto,
};

/// Protobuf's limit for one message. Larger models keep their weights in other files.
pub const LARGEST: u64 = (1 << 31) - 1;

/// A model's file that has passed the check. A clone shares the bytes.
#[derive(Debug, Clone, PartialEq)]
pub enum OnnxFile {
    /// Self-contained, in the file or with weights of other files put in.
    Bytes(Bytes),
    /// Refers to weights in files beside it, which the runtime finds from this path.
    WithExternalData(PathBuf),
}

/// Why a file is not loaded. The path is in the context of the error that [`OnnxFile::open`] returns.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It cannot be read at all.
    #[error(transparent)]
    File(#[from] FileError),
    /// It has no bytes.
    #[error("is empty: expected an ONNX model")]
    Empty,
    /// It is something else, or a part of a model.
    #[error("is no ONNX model{0}")]
    NotOnnx(String),
    /// Weights outside the folders where they may lie.
    #[error("weights of tensor '{tensor}' in external file '{location}': {reason}")]
    External {
        /// Name of the tensor.
        tensor: String,
        /// What the model says about the file's place.
        location: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl OnnxFile {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// A [`ReadError`] with the path as context.
    pub fn open(path: &Path) -> Result<Self> {
        Self::read(path).with_context(|| format!("model file '{}'", path.display()))
    }

    /// Checks a model that is in memory already, with no folder for external weights.
    ///
    /// # Errors
    /// No whole ONNX model, or weights in external files.
    pub fn from_bytes(bytes: Bytes) -> Result<Self, ReadError> {
        let model = decode(&bytes)?;
        match external(&model).first() {
            Some(tensor) => Err(refusal(tensor, "the model has no folder of its own")),
            None => Ok(Self::Bytes(bytes)),
        }
    }

    fn read(path: &Path) -> Result<Self, ReadError> {
        let bytes = Bytes::from(read_bounded(path, LARGEST)?);
        let model = decode(&bytes)?;
        let external = external(&model);
        if external.is_empty() {
            return Ok(Self::Bytes(bytes));
        }
        let folders = folders(path)?;
        let mut files = HashMap::new();
        for tensor in external {
            if !files.contains_key(location(tensor)) {
                files.insert(location(tensor), check_location(tensor, &folders)?);
            }
        }
        // ONNX Runtime 1.24 follows no links out of the folder.
        let beside = |file: &PathBuf| folders.first().is_some_and(|folder| file.starts_with(folder));
        match files.values().all(beside) {
            true => Ok(Self::WithExternalData(path.to_owned())),
            false => Ok(Self::Bytes(with_values(&bytes, &files)?)),
        }
    }
}

fn decode(bytes: &Bytes) -> Result<ModelProto, ReadError> {
    let not = |reason: String| ReadError::NotOnnx(reason);
    if bytes.is_empty() {
        return Err(ReadError::Empty);
    }
    if let Some((_, what)) = LOOK_ALIKES.iter().find(|(start, _)| bytes.starts_with(start)) {
        return Err(not(format!(", but {what}")));
    }
    let model = ModelProto::decode(bytes.clone()).map_err(|error| not(format!(", or was cut short: {error}")))?;
    match (model.ir_version(), &model.graph) {
        (..1, _) => Err(not(": it names no IR version".into())),
        (_, None) => Err(not(": it has no graph (cut short?)".into())),
        _ => Ok(model),
    }
}

/// What people have in place of a model, by its first bytes.
const LOOK_ALIKES: [(&[u8], &str); 4] = [
    (b"version https://git-lfs", "a Git LFS pointer: 'git lfs pull' fetches the model"),
    (b"<", "a web page: the download failed"),
    (b"PK\x03\x04", "a ZIP archive, as PyTorch's weights are: export the network to ONNX"),
    (b"\x1f\x8b", "compressed with gzip: unpack it"),
];

/// Every tensor whose values lie in another file, wherever in the model it stands.
fn external(model: &ModelProto) -> Vec<&TensorProto> {
    let mut all = Vec::new();
    model.graph.iter().for_each(|graph| in_graph(graph, &mut all));
    for training in &model.training_info {
        training.initialization.iter().chain(&training.algorithm).for_each(|graph| in_graph(graph, &mut all));
    }
    model.functions.iter().for_each(|function| in_function(function, &mut all));
    all.retain(|tensor| is_external(tensor));
    all
}

fn in_function<'a>(function: &'a FunctionProto, all: &mut Vec<&'a TensorProto>) {
    function.attribute_proto.iter().for_each(|attribute| in_attribute(attribute, all));
    function.node.iter().for_each(|node| in_node(node, all));
}

fn in_graph<'a>(graph: &'a GraphProto, all: &mut Vec<&'a TensorProto>) {
    all.extend(&graph.initializer);
    graph.sparse_initializer.iter().for_each(|sparse| in_sparse(sparse, all));
    graph.node.iter().for_each(|node| in_node(node, all));
}

fn in_node<'a>(node: &'a NodeProto, all: &mut Vec<&'a TensorProto>) {
    node.attribute.iter().for_each(|attribute| in_attribute(attribute, all));
}

fn in_attribute<'a>(attribute: &'a AttributeProto, all: &mut Vec<&'a TensorProto>) {
    all.extend(attribute.t.iter().chain(&attribute.tensors));
    attribute.sparse_tensor.iter().chain(&attribute.sparse_tensors).for_each(|sparse| in_sparse(sparse, all));
    attribute.g.iter().chain(&attribute.graphs).for_each(|graph| in_graph(graph, all));
}

fn in_sparse<'a>(sparse: &'a SparseTensorProto, all: &mut Vec<&'a TensorProto>) {
    all.extend(sparse.values.iter().chain(&sparse.indices));
}

/// The model with the values of its external tensors, of `files` by location, in its own bytes.
fn with_values(model: &Bytes, files: &HashMap<&str, PathBuf>) -> Result<Bytes, ReadError> {
    let mut left = LARGEST.saturating_sub(model.len() as u64);
    let mut read = |tensor: &TensorProto| {
        let number = |key| {
            let entry = tensor.external_data.iter().find(|entry| entry.key() == key)?;
            entry.value().parse::<u64>().ok()
        };
        let path = files.get(location(tensor)).context("its file is not known")?;
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(number("offset").unwrap_or(0)))?;
        let wanted = number("length");
        let mut values = Vec::new();
        file.take(wanted.unwrap_or(u64::MAX).min(left + 1)).read_to_end(&mut values)?;
        let size = values.len() as u64;
        ensure!(size <= left, "all values together are larger than {LARGEST} bytes");
        ensure!(wanted.is_none_or(|wanted| wanted == size), "tensor '{}' is cut short", tensor.name());
        left -= size;
        Ok(values)
    };
    with_weights(model, &mut read).map_err(|error| ReadError::NotOnnx(format!(" with whole external data: {error:#}")))
}

/// Where weights may lie, links followed: the model's folder and, where the model file is itself a link (as in a cache
/// that keeps the content of files apart from their names), the folder of the file that it leads to.
fn folders(model: &Path) -> Result<Vec<PathBuf>, FileError> {
    let parent = model.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let named = parent.canonicalize()?;
    let real = model.canonicalize()?.parent().map(Path::to_owned);
    Ok(std::iter::once(named).chain(real).collect())
}

fn location(tensor: &TensorProto) -> &str {
    tensor.external_data.iter().find(|entry| entry.key() == "location").map_or("", |entry| entry.value())
}

/// The file of a tensor's values: a plain relative path below the first of `folders`, to a regular file in one of them.
fn check_location(tensor: &TensorProto, folders: &[PathBuf]) -> Result<PathBuf, ReadError> {
    let location = location(tensor);
    let plain = Path::new(location).components().all(|c| matches!(c, Component::Normal(_) | Component::CurDir));
    // ONNX Runtime takes this name for an address in memory.
    if !plain || location.is_empty() || location.contains("_ORT_MEM_ADDR_") {
        return Err(refusal(tensor, "must lie inside the model's folder"));
    }
    let named = folders.first().map(|folder| folder.join(location)).unwrap_or_default();
    let file = named.canonicalize().map_err(|error| refusal(tensor, &error.to_string()))?;
    if !folders.iter().any(|folder| file.starts_with(folder)) {
        return Err(refusal(tensor, &format!("leads out of the model's folder, to '{}'", file.display())));
    }
    match file.is_file() {
        true => Ok(file),
        false => Err(refusal(tensor, "expected a regular file")),
    }
}

fn refusal(tensor: &TensorProto, reason: &str) -> ReadError {
    ReadError::External { tensor: tensor.name().into(), location: location(tensor).into(), reason: reason.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::onnx::schema::{StringStringEntryProto, TrainingInfoProto};

    fn saved(folder: &Path, model: &ModelProto) -> PathBuf {
        let path = folder.join("model.onnx");
        std::fs::write(&path, model.encode_to_vec()).unwrap();
        path
    }

    fn at(location: &str) -> TensorProto {
        let entry = StringStringEntryProto { key: Some("location".into()), value: Some(location.into()) };
        TensorProto { name: Some("w".into()), external_data: vec![entry], ..Default::default() }
    }

    fn of_graph(graph: GraphProto) -> ModelProto {
        ModelProto { ir_version: Some(8), graph: Some(graph), ..Default::default() }
    }

    fn node(attribute: AttributeProto) -> Vec<NodeProto> {
        vec![NodeProto { attribute: vec![attribute], ..Default::default() }]
    }

    fn with_location(location: &str) -> ModelProto {
        of_graph(GraphProto { initializer: vec![at(location)], ..Default::default() })
    }

    #[test]
    fn files_that_are_no_models_are_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bad.onnx");
        let whole = with_location("w.bin").encode_to_vec();
        for (bytes, word) in [
            (&b""[..], "is empty"),
            (b"hello, this is text\n", "no ONNX model"),
            (&whole[..whole.len() - 3], "cut short"),
            (b"\x08\x08", "no graph"),
            (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
            (b"<!DOCTYPE html>", "web page"),
            (b"PK\x03\x04....", "export the network"),
        ] {
            std::fs::write(&path, bytes).unwrap();
            let error = format!("{:#}", OnnxFile::open(&path).unwrap_err());
            assert!(error.contains("bad.onnx") && error.contains(word), "{error}");
        }
        let error = OnnxFile::open(Path::new("/nowhere/x.onnx")).unwrap_err();
        assert!(matches!(error.downcast_ref(), Some(ReadError::File(FileError::NotFound))), "{error:#}");
        assert!(error.to_string().contains("/nowhere/x.onnx"), "{error:#}");
    }

    #[test]
    fn external_data_stays_in_its_folder() {
        let folder = tempfile::tempdir().unwrap();
        let inside = folder.path().join("inside");
        std::fs::create_dir_all(inside.join("*/_ORT_MEM_ADDR_")).unwrap();
        std::fs::write(inside.join("w.bin"), b"1234").unwrap();
        std::fs::write(inside.join("*/_ORT_MEM_ADDR_/x"), b"1234").unwrap();
        std::fs::write(folder.path().join("secret"), b"1234").unwrap();
        std::os::unix::fs::symlink(folder.path().join("secret"), inside.join("link")).unwrap();
        let path = saved(&inside, &with_location("w.bin"));
        assert_eq!(OnnxFile::open(&path).unwrap(), OnnxFile::WithExternalData(path));
        for location in ["../secret", "/etc/passwd", "link", "", "missing.bin", ".", "*/_ORT_MEM_ADDR_/x"] {
            let error = format!("{:#}", OnnxFile::open(&saved(&inside, &with_location(location))).unwrap_err());
            assert!(error.contains("tensor 'w'") && error.contains(location), "{error}");
        }
    }

    #[test]
    fn every_place_for_a_tensor_is_searched() {
        let sparse = || SparseTensorProto { values: Some(at("../out")), ..Default::default() };
        let attribute =
            |attribute: AttributeProto| of_graph(GraphProto { node: node(attribute), ..Default::default() });
        let inner = || GraphProto { initializer: vec![at("../out")], ..Default::default() };
        let plain = || of_graph(GraphProto { name: Some("plain".into()), ..Default::default() });
        let function = |function: FunctionProto| ModelProto { functions: vec![function], ..plain() };
        let tensor = || AttributeProto { t: Some(at("../out")), ..Default::default() };
        let training = TrainingInfoProto { algorithm: Some(inner()), ..Default::default() };
        let places = [
            ("initializer", with_location("../out")),
            ("sparse initializer", of_graph(GraphProto { sparse_initializer: vec![sparse()], ..Default::default() })),
            ("attribute", attribute(tensor())),
            ("sparse attribute", attribute(AttributeProto { sparse_tensors: vec![sparse()], ..Default::default() })),
            ("inner graph", attribute(AttributeProto { g: Some(inner()), ..Default::default() })),
            ("inner graphs", attribute(AttributeProto { graphs: vec![inner()], ..Default::default() })),
            ("function", function(FunctionProto { node: node(tensor()), ..Default::default() })),
            (
                "default of a function",
                function(FunctionProto { attribute_proto: vec![tensor()], ..Default::default() }),
            ),
            ("training", ModelProto { training_info: vec![training], ..plain() }),
        ];
        let folder = tempfile::tempdir().unwrap();
        for (place, model) in places {
            let error = OnnxFile::open(&saved(folder.path(), &model)).map_err(|e| format!("{e:#}")).unwrap_err();
            assert!(error.contains("'../out': must lie inside"), "{place}: {error}");
            let whole = with_weights(&model.encode_to_vec(), &mut |_| Ok(vec![1, 2])).unwrap();
            assert!(external(&decode(&whole).unwrap()).is_empty(), "{place}");
        }
    }

    #[test]
    fn weights_in_the_cache_that_the_model_is_linked_into_are_found() {
        let folder = tempfile::tempdir().unwrap();
        let (blobs, snapshot) = (folder.path().join("blobs"), folder.path().join("snapshots/1/onnx"));
        std::fs::create_dir_all(&blobs).unwrap();
        std::fs::create_dir_all(&snapshot).unwrap();
        let link = |from: &Path, name: &str| std::os::unix::fs::symlink(from, snapshot.join(name)).unwrap();
        std::fs::rename(saved(folder.path(), &with_location("model.onnx_data")), blobs.join("1111")).unwrap();
        std::fs::write(blobs.join("2222"), b"1234").unwrap();
        std::fs::write(folder.path().join("secret"), b"1234").unwrap();
        link(Path::new("../../../blobs/1111"), "model.onnx");
        link(Path::new("../../../blobs/2222"), "model.onnx_data");
        let path = snapshot.join("model.onnx");
        let OnnxFile::Bytes(bytes) = OnnxFile::open(&path).unwrap() else { panic!("the weights are not in the model") };
        let weights = &decode(&bytes).unwrap().graph.unwrap().initializer[0];
        assert_eq!((weights.name(), weights.raw_data(), is_external(weights)), ("w", &b"1234"[..], false));
        // A link to elsewhere, and a model file that is no link itself.
        std::fs::remove_file(snapshot.join("model.onnx_data")).unwrap();
        link(Path::new("../../../secret"), "model.onnx_data");
        assert!(format!("{:#}", OnnxFile::open(&path).unwrap_err()).contains("secret"));
        std::fs::remove_file(&path).unwrap();
        std::fs::rename(blobs.join("1111"), &path).unwrap();
        std::fs::remove_file(snapshot.join("model.onnx_data")).unwrap();
        link(Path::new("../../../blobs/2222"), "model.onnx_data");
        assert!(format!("{:#}", OnnxFile::open(&path).unwrap_err()).contains("blobs"));
    }

    #[test]
    fn bytes_are_shared_not_copied() {
        let graph = GraphProto {
            initializer: vec![TensorProto { raw_data: Some(vec![1; 100].into()), ..Default::default() }],
            ..Default::default()
        };
        let folder = tempfile::tempdir().unwrap();
        let OnnxFile::Bytes(bytes) = OnnxFile::open(&saved(folder.path(), &of_graph(graph))).unwrap() else { panic!() };
        let within = |part: &[u8]| bytes.as_ptr_range().contains(&part.as_ptr());
        assert!(within(decode(&bytes).unwrap().graph.unwrap().initializer[0].raw_data()));
        assert!(matches!(OnnxFile::Bytes(bytes.clone()).clone(), OnnxFile::Bytes(b) if within(&b)));
    }
}
