//! Reading a model's file: is it ONNX at all, whole, and does it stay inside its folder?
//!
//! Comes in: a path. Goes out: the bytes, or the path itself for models with external data. Only the few fields of
//! the ONNX protobuf that answer those questions are declared; weights are skipped, not copied.

use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use prost::Message;

/// A model's file that has passed the check.
#[derive(Debug, Clone, PartialEq)]
pub enum OnnxFile {
    /// Self-contained.
    Bytes(Vec<u8>),
    /// Refers to weights in files beside it, which the runtime has to find.
    WithExternalData(PathBuf),
}

#[derive(Clone, PartialEq, Message)]
struct Model {
    #[prost(int64, tag = "1")]
    ir_version: i64,
    #[prost(message, optional, tag = "7")]
    graph: Option<Graph>,
    #[prost(message, repeated, tag = "25")]
    functions: Vec<Function>,
}

#[derive(Clone, PartialEq, Message)]
struct Graph {
    #[prost(message, repeated, tag = "1")]
    nodes: Vec<Node>,
    #[prost(message, repeated, tag = "5")]
    initializers: Vec<Tensor>,
}

#[derive(Clone, PartialEq, Message)]
struct Function {
    #[prost(message, repeated, tag = "7")]
    nodes: Vec<Node>,
}

/// A node of a graph.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Node {
    /// The tensors that it reads.
    #[prost(string, repeated, tag = "1")]
    pub inputs: Vec<String>,
    /// Those that it writes.
    #[prost(string, repeated, tag = "2")]
    pub outputs: Vec<String>,
    #[prost(message, repeated, tag = "5")]
    attributes: Vec<Attribute>,
}

impl Node {
    /// Whether it has a graph of its own, which may read any tensor.
    pub fn has_graph(&self) -> bool {
        self.attributes.iter().any(|a| a.graph.is_some() || !a.graphs.is_empty())
    }
}

#[derive(Clone, PartialEq, Message)]
struct Attribute {
    #[prost(message, optional, tag = "5")]
    tensor: Option<Tensor>,
    #[prost(message, optional, tag = "6")]
    graph: Option<Graph>,
    #[prost(message, repeated, tag = "10")]
    tensors: Vec<Tensor>,
    #[prost(message, repeated, tag = "11")]
    graphs: Vec<Graph>,
}

#[derive(Clone, PartialEq, Message)]
struct Tensor {
    #[prost(string, tag = "8")]
    name: String,
    #[prost(message, repeated, tag = "13")]
    external_data: Vec<Entry>,
}

#[derive(Clone, PartialEq, Message)]
struct Entry {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(string, tag = "2")]
    value: String,
}

impl OnnxFile {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// Not there, not readable, empty, no ONNX, cut short, or external data outside its folder: always with the path.
    pub fn open(path: &Path) -> Result<Self> {
        Self::read(path).with_context(|| format!("model file '{}'", path.display()))
    }

    fn read(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).context("cannot be read")?;
        ensure!(!bytes.is_empty(), "is empty: expected an ONNX model");
        let model = match Model::decode(&bytes[..]) {
            Ok(model) => model,
            Err(error) => bail!("is no ONNX model, or was cut short: {error}"),
        };
        ensure!(model.ir_version > 0, "is no ONNX model: it names no IR version");
        let Some(graph) = &model.graph else { bail!("is no whole ONNX model: it has no graph (cut short?)") };
        let functions = model.functions.iter().flat_map(|f| f.nodes.iter());
        let mut tensors: Vec<&Tensor> = functions.flat_map(node_tensors).collect();
        tensors.extend(graph_tensors(graph));
        let external: Vec<&Tensor> = tensors.into_iter().filter(|t| !t.external_data.is_empty()).collect();
        for tensor in &external {
            check_location(tensor, path)?;
        }
        match external.is_empty() {
            true => Ok(Self::Bytes(bytes)),
            false => Ok(Self::WithExternalData(path.to_owned())),
        }
    }
}

fn graph_tensors(graph: &Graph) -> Vec<&Tensor> {
    graph.initializers.iter().chain(graph.nodes.iter().flat_map(node_tensors)).collect()
}

fn node_tensors(node: &Node) -> Vec<&Tensor> {
    node.attributes.iter().flat_map(attribute_tensors).collect()
}

fn attribute_tensors(attribute: &Attribute) -> Vec<&Tensor> {
    let graphs = attribute.graph.iter().chain(&attribute.graphs);
    attribute.tensor.iter().chain(&attribute.tensors).chain(graphs.flat_map(graph_tensors)).collect()
}

/// External data must be a plain relative path to a file inside the model's folder, links followed.
fn check_location(tensor: &Tensor, model: &Path) -> Result<()> {
    let location = tensor.external_data.iter().find(|e| e.key == "location").map_or("", |e| e.value.as_str());
    let named = || format!("weights of tensor '{}' in external file '{location}'", tensor.name);
    let plain = Path::new(location).components().all(|c| matches!(c, Component::Normal(_) | Component::CurDir));
    ensure!(plain && !location.is_empty(), "{}: must lie inside the model's folder", named());
    let parent = model.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let folder = parent.canonicalize().with_context(named)?;
    let file = folder.join(location).canonicalize().with_context(named)?;
    ensure!(file.starts_with(&folder), "{}: leads out of the model's folder, to '{}'", named(), file.display());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn saved(folder: &Path, model: &Model) -> PathBuf {
        let path = folder.join("model.onnx");
        std::fs::write(&path, model.encode_to_vec()).unwrap();
        path
    }

    fn with_location(location: &str) -> Model {
        let entry = Entry { key: "location".into(), value: location.into() };
        let tensor = Tensor { name: "w".into(), external_data: vec![entry] };
        let inner = Graph { nodes: vec![], initializers: vec![tensor] };
        let attribute = Attribute { graph: Some(inner), ..Default::default() };
        let graph =
            Graph { nodes: vec![Node { attributes: vec![attribute], ..Default::default() }], initializers: vec![] };
        Model { ir_version: 8, graph: Some(graph), functions: vec![] }
    }

    #[test]
    fn files_that_are_no_models_are_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bad.onnx");
        let whole = with_location("w.bin").encode_to_vec();
        for bytes in [&b""[..], b"hello, this is text\n", &whole[..whole.len() - 3], b"\x08\x08"] {
            std::fs::write(&path, bytes).unwrap();
            let error = format!("{:#}", OnnxFile::open(&path).unwrap_err());
            assert!(error.contains("bad.onnx"), "{error}");
        }
        let error = format!("{:#}", OnnxFile::open(Path::new("/nowhere/x.onnx")).unwrap_err());
        assert!(error.contains("/nowhere/x.onnx") && error.contains("cannot be read"), "{error}");
    }

    #[test]
    fn external_data_stays_in_its_folder() {
        let folder = tempfile::tempdir().unwrap();
        let inside = folder.path().join("inside");
        std::fs::create_dir(&inside).unwrap();
        std::fs::write(inside.join("w.bin"), b"1234").unwrap();
        std::fs::write(folder.path().join("secret"), b"1234").unwrap();
        std::os::unix::fs::symlink(folder.path().join("secret"), inside.join("link")).unwrap();
        let path = saved(&inside, &with_location("w.bin"));
        assert_eq!(OnnxFile::open(&path).unwrap(), OnnxFile::WithExternalData(path));
        for location in ["../secret", "/etc/passwd", "link", "", "missing.bin"] {
            let error = format!("{:#}", OnnxFile::open(&saved(&inside, &with_location(location))).unwrap_err());
            assert!(error.contains("tensor 'w'") && error.contains(location), "{error}");
        }
    }
}
