//! Changes a model before it is loaded: an input becomes a constant, so that the runtime computes what depends on it
//! once; or an inner tensor becomes the output, so that the runtime leaves out what comes after it; or weights come in from
//! other files; or its tables of styles get further rows.
//!
//! Comes in: the bytes of an ONNX file. Goes out: the bytes of the changed model, written once into one allocation.
//! Fields that need no change are copied as they lie in the file, known to the schema or not.

use std::collections::{BTreeMap, HashSet};

use anyhow::{Context, Result, ensure};
use prost::Message;
use prost::bytes::{Buf, BufMut, Bytes};
use prost::encoding::{
    DecodeContext, WireType, decode_key, decode_varint, encode_key, encode_varint, encoded_len_varint, key_len,
    skip_field,
};

use crate::model::onnx::floats::floats;
use crate::model::onnx::schema::tensor_proto::{DataLocation, DataType};
use crate::model::onnx::schema::tensor_shape_proto::dimension::Value as Size;
use crate::model::onnx::schema::type_proto::{Tensor, Value};
use crate::model::onnx::schema::{NodeProto, StringStringEntryProto, TensorProto, TypeProto, ValueInfoProto};

/// `ModelProto.graph`
const GRAPH: u32 = 7;
/// `ModelProto.metadata_props`
const METADATA: u32 = 14;
/// `GraphProto.node`
const NODE: u32 = 1;
/// `GraphProto.initializer`
const INITIALIZER: u32 = 5;
/// `GraphProto.input`
const INPUT: u32 = 11;
/// `GraphProto.output`
const OUTPUT: u32 = 12;

/// The model with input `name` fixed to `values` of shape `dims`, as 32 bit floats.
///
/// # Errors
/// No ONNX, or no such input.
pub fn with_constant(model: &[u8], name: &str, dims: &[i64], values: &[f32]) -> Result<Bytes> {
    let tensor = TensorProto {
        dims: dims.into(),
        data_type: Some(DataType::Float.into()),
        float_data: values.into(),
        name: Some(name.into()),
        ..Default::default()
    };
    with_graph(model, field_of(INITIALIZER, &tensor), |fields| {
        let mut kept = Vec::with_capacity(fields.len());
        for field in fields {
            if field.tag != INPUT || ValueInfoProto::decode(field.content)?.name() != name {
                kept.push(field.whole);
            }
        }
        let removed = fields.len() - kept.len();
        ensure!(removed == 1, "the model has {removed} inputs named '{name}', expected one");
        Ok(kept)
    })
}

/// The model with the inner tensor `name`, of 32 bit floats, as its only output, and without the nodes that it does not
/// need.
///
/// # Errors
/// No ONNX, no such tensor, or nodes with graphs of their own, which may need anything.
pub fn with_output(model: &[u8], name: &str) -> Result<Bytes> {
    with_graph(model, field_of(OUTPUT, &floats_of_any_shape(name)), |fields| {
        let mut needed = HashSet::from([name.to_owned()]);
        let mut kept = Vec::with_capacity(fields.len());
        // A node stands behind the nodes that it reads from.
        for field in fields.iter().rev().filter(|field| field.tag != OUTPUT) {
            if field.tag == NODE {
                let node = NodeProto::decode(field.content)?;
                let has_graph = node.attribute.iter().any(|a| a.g.is_some() || !a.graphs.is_empty());
                ensure!(!has_graph, "node '{}' has a graph of its own", node.name());
                if !node.output.iter().any(|output| needed.contains(output)) {
                    continue;
                }
                needed.remove(name);
                needed.extend(node.input);
            }
            kept.push(field.whole);
        }
        ensure!(!needed.contains(name), "the model has no inner tensor '{name}'");
        kept.reverse();
        Ok(kept)
    })
}

/// Rows for tables of weights, by the name of the table.
pub type Rows = BTreeMap<String, Vec<f32>>;

/// The model with further rows before those of its tables, a [`Rows`] for each further style. A table is a constant that the
/// input `weights` is multiplied with: `[styles, N]`, one row for each style.
///
/// # Errors
/// No ONNX, an input that is used otherwise, or rows that do not fit to the tables.
pub fn with_rows(model: &[u8], weights: &str, styles: &[Rows]) -> Result<Bytes> {
    let graph = fields(graph(model)?)?;
    let mut tables = HashSet::new();
    for field in graph.iter().filter(|field| field.tag == NODE) {
        let node = NodeProto::decode(field.content)?;
        if node.input.iter().any(|input| input == weights) {
            let multiplies = node.op_type() == "MatMul" && node.input.len() == 2 && node.input[0] == weights;
            ensure!(multiplies, "input '{weights}' goes into a node {}, expected MatMul with a table", node.op_type());
            tables.insert(node.input[1].clone());
        }
    }
    for rows in styles {
        let strange = rows.keys().find(|name| !tables.contains(*name));
        ensure!(strange.is_none(), "the model has no table '{}'", strange.map_or("", String::as_str));
    }
    let (mut added, mut replaced) = (Vec::new(), HashSet::new());
    for field in &graph {
        match field.tag {
            INITIALIZER => {
                let table = TensorProto::decode(field.content)?;
                if tables.remove(table.name()) {
                    put(INITIALIZER, &lengthened(&table, styles)?.encode_to_vec(), &mut added);
                    replaced.insert(field.whole.as_ptr());
                }
            }
            INPUT => {
                let mut input = ValueInfoProto::decode(field.content)?;
                if input.name() == weights {
                    let more = i64::try_from(styles.len())?;
                    let count = last_dimension(&mut input).context("the weights have no fixed number")?;
                    *count = count.checked_add(more).context("the weights are too many")?;
                    put(INPUT, &input.encode_to_vec(), &mut added);
                    replaced.insert(field.whole.as_ptr());
                }
            }
            _ => {}
        }
    }
    let missing = tables.into_iter().next().unwrap_or_default();
    ensure!(missing.is_empty(), "'{missing}', which input '{weights}' is multiplied with, is no constant");
    with_graph(model, added, |fields| {
        let own = fields.iter().filter(|field| !replaced.contains(&field.whole.as_ptr()));
        Ok(own.map(|field| field.whole).collect())
    })
}

fn lengthened(table: &TensorProto, styles: &[Rows]) -> Result<TensorProto> {
    let name = table.name();
    let [count, length] = table.dims[..] else { anyhow::bail!("table '{name}' has the dimensions {:?}", table.dims) };
    let mut values = Vec::new();
    for rows in styles {
        let row = rows.get(name).with_context(|| format!("there is no row for table '{name}'"))?;
        ensure!(row.len() as i64 == length, "the row for table '{name}' has {} values, expected {length}", row.len());
        values.extend(row);
    }
    values.extend(floats(table)?);
    Ok(TensorProto {
        name: Some(name.into()),
        dims: vec![count.checked_add(i64::try_from(styles.len())?).context("too many rows")?, length],
        data_type: Some(DataType::Float.into()),
        raw_data: Some(values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>().into()),
        ..Default::default()
    })
}

/// The number of values in the last dimension of a declared tensor.
fn last_dimension(info: &mut ValueInfoProto) -> Option<&mut i64> {
    let Some(Value::TensorType(tensor)) = info.r#type.as_mut()?.value.as_mut() else { return None };
    match tensor.shape.as_mut()?.dim.last_mut()?.value.as_mut()? {
        Size::DimValue(count) => Some(count),
        Size::DimParam(_) => None,
    }
}

/// The model with this value of a metadata key.
///
/// # Errors
/// No ONNX.
pub fn with_metadata(model: &[u8], key: &str, value: &str) -> Result<Bytes> {
    let mut result = Vec::with_capacity(model.len() + key.len() + value.len() + 16);
    for field in fields(model)? {
        if field.tag != METADATA || StringStringEntryProto::decode(field.content)?.key() != key {
            result.put_slice(field.whole);
        }
    }
    let entry = StringStringEntryProto { key: Some(key.into()), value: Some(value.into()) };
    put(METADATA, &entry.encode_to_vec(), &mut result);
    Ok(result.into())
}

/// The messages of a model that may hold tensors.
#[derive(Clone, Copy, PartialEq)]
enum Holder {
    Model,
    Graph,
    Function,
    Training,
    Node,
    Attribute,
    Sparse,
    Tensor,
}

impl Holder {
    /// What field `tag` of this message holds, if that may hold tensors.
    fn of_field(self, tag: u32) -> Option<Holder> {
        Some(match (self, tag) {
            (Holder::Model, GRAPH) | (Holder::Training, 1 | 2) | (Holder::Attribute, 6 | 11) => Holder::Graph,
            (Holder::Model, 20) => Holder::Training,
            (Holder::Model, 25) => Holder::Function,
            (Holder::Graph, NODE) | (Holder::Function, 7) => Holder::Node,
            (Holder::Graph, INITIALIZER) | (Holder::Attribute, 5 | 10) | (Holder::Sparse, 1 | 2) => Holder::Tensor,
            (Holder::Graph, 15) | (Holder::Attribute, 22 | 23) => Holder::Sparse,
            (Holder::Node, 5) | (Holder::Function, 11) => Holder::Attribute,
            _ => return None,
        })
    }
}

/// `TensorProto.raw_data`, `external_data` and `data_location`.
const VALUES: [u32; 3] = [9, 13, 14];

/// The model with the values of every tensor of another file in its own bytes. `read` gets such a tensor and returns its
/// values.
///
/// # Errors
/// No ONNX, or what `read` returns.
pub fn with_weights(model: &[u8], read: &mut dyn FnMut(&TensorProto) -> Result<Vec<u8>>) -> Result<Bytes> {
    Ok(inlined(model, Holder::Model, read)?.into())
}

fn inlined(message: &[u8], holder: Holder, read: &mut dyn FnMut(&TensorProto) -> Result<Vec<u8>>) -> Result<Vec<u8>> {
    let mut values = None;
    if holder == Holder::Tensor {
        let tensor = TensorProto::decode(message)?;
        if !is_external(&tensor) {
            return Ok(message.to_vec());
        }
        values = Some(read(&tensor)?);
    }
    let mut result = Vec::with_capacity(message.len());
    for field in fields(message)? {
        match holder.of_field(field.tag) {
            Some(inner) => put(field.tag, &inlined(field.content, inner, read)?, &mut result),
            None if values.is_some() && VALUES.contains(&field.tag) => {}
            None => result.put_slice(field.whole),
        }
    }
    if let Some(values) = values {
        put(VALUES[0], &values, &mut result);
    }
    Ok(result)
}

/// Whether a tensor's values lie in another file.
pub(super) fn is_external(tensor: &TensorProto) -> bool {
    tensor.data_location() == DataLocation::External || !tensor.external_data.is_empty()
}

fn put(tag: u32, content: &[u8], to: &mut Vec<u8>) {
    encode_key(tag, WireType::LengthDelimited, to);
    encode_varint(content.len() as u64, to);
    to.put_slice(content);
}

/// The model whose graph has the fields that `keep` keeps of its own, and `added`.
fn with_graph(
    model: &[u8],
    added: Vec<u8>,
    keep: impl for<'a> Fn(&[Field<'a>]) -> Result<Vec<&'a [u8]>>,
) -> Result<Bytes> {
    let (fields, graph) = (fields(model)?, graph(model)?);
    let kept = keep(&self::fields(graph)?)?;
    let graph = added.len() + kept.iter().map(|field| field.len()).sum::<usize>();
    let others = fields.iter().filter(|field| field.tag != GRAPH).map(|field| field.whole.len()).sum::<usize>();
    let mut result = Vec::with_capacity(others + key_len(GRAPH) + encoded_len_varint(graph as u64) + graph);
    for field in &fields {
        if field.tag != GRAPH {
            result.put_slice(field.whole);
            continue;
        }
        encode_key(GRAPH, WireType::LengthDelimited, &mut result);
        encode_varint(graph as u64, &mut result);
        kept.iter().for_each(|field| result.put_slice(field));
        result.put_slice(&added);
    }
    Ok(result.into())
}

/// The content of the model's graph.
fn graph(model: &[u8]) -> Result<&[u8]> {
    let graphs: Vec<_> = fields(model)?.into_iter().filter(|field| field.tag == GRAPH).collect();
    ensure!(graphs.len() == 1, "the model has {} graphs, expected one", graphs.len());
    Ok(graphs[0].content)
}

fn floats_of_any_shape(name: &str) -> ValueInfoProto {
    let tensor = Tensor { elem_type: Some(DataType::Float.into()), shape: None };
    let of_floats = TypeProto { value: Some(Value::TensorType(tensor)), ..Default::default() };
    ValueInfoProto { name: Some(name.into()), r#type: Some(of_floats), ..Default::default() }
}

/// A message as a field of another one.
fn field_of(tag: u32, message: &impl Message) -> Vec<u8> {
    let mut field = Vec::new();
    put(tag, &message.encode_to_vec(), &mut field);
    field
}

/// A field as it lies in the file; `content` is empty for numbers.
struct Field<'a> {
    tag: u32,
    whole: &'a [u8],
    content: &'a [u8],
}

fn fields(message: &[u8]) -> Result<Vec<Field<'_>>> {
    let mut rest = message;
    let mut found = Vec::new();
    while rest.has_remaining() {
        let start = rest;
        let (tag, kind) = decode_key(&mut rest)?;
        let content = match kind {
            WireType::LengthDelimited => {
                let length = usize::try_from(decode_varint(&mut rest)?)?;
                ensure!(length <= rest.len(), "the file was cut short");
                let content = &rest[..length];
                rest.advance(length);
                content
            }
            _ => {
                skip_field(kind, tag, &mut rest, DecodeContext::default())?;
                &[]
            }
        };
        found.push(Field { tag, whole: &start[..start.len() - rest.len()], content });
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::onnx::schema::{GraphProto, ModelProto};

    /// A model with a field that no schema has in the model and in its graph.
    fn model() -> Vec<u8> {
        let info = |name: &str| floats_of_any_shape(name);
        let weights =
            TensorProto { raw_data: Some(vec![7; 4000].into()), name: Some("w".into()), ..Default::default() };
        let graph = GraphProto {
            input: vec![info("x"), info("s")],
            output: vec![info("y")],
            initializer: vec![weights],
            ..Default::default()
        };
        let mut graph = graph.encode_to_vec();
        graph.extend(unknown());
        let mut bytes = ModelProto { ir_version: Some(8), ..Default::default() }.encode_to_vec();
        encode_key(GRAPH, WireType::LengthDelimited, &mut bytes);
        encode_varint(graph.len() as u64, &mut bytes);
        bytes.extend(graph);
        bytes.extend(unknown());
        bytes
    }

    fn unknown() -> Vec<u8> {
        let mut field = Vec::new();
        encode_key(9999, WireType::LengthDelimited, &mut field);
        encode_varint(5, &mut field);
        field.extend(b"later");
        field
    }

    #[test]
    fn unknown_fields_are_kept_byte_for_byte_and_the_result_is_one_allocation() {
        let before = model();
        let after = with_constant(&before, "s", &[2], &[0.25, 0.75]).unwrap();
        let count = |bytes: &[u8]| bytes.windows(8).filter(|w| w.ends_with(b"later")).count();
        assert_eq!((count(&before), count(&after)), (2, 2));
        let read = ModelProto::decode(after.clone()).unwrap().graph.unwrap();
        assert_eq!(read.input.len(), 1);
        assert_eq!(read.initializer[1].float_data, [0.25, 0.75]);
        assert_eq!(read.initializer[0].raw_data().len(), 4000);
        let memory: Vec<u8> = after.into();
        assert_eq!(memory.capacity(), memory.len());
    }

    #[test]
    fn a_missing_input_is_named() {
        let error = with_constant(&model(), "z", &[1], &[0.0]).unwrap_err().to_string();
        assert!(error.contains("0 inputs named 'z'"), "{error}");
    }
}
