//! Changes a model before it is loaded: an input becomes a constant, so that the runtime computes what depends on it
//! once; or an inner tensor becomes the output, so that the runtime leaves out what comes after it; or weights come in from
//! other files.
//!
//! Comes in: the bytes of an ONNX file. Goes out: the bytes of the changed model, written once into one allocation.
//! Fields that need no change are copied as they lie in the file, known to the schema or not.

use std::collections::HashSet;

use anyhow::{Result, ensure};
use prost::Message;
use prost::bytes::{Buf, BufMut, Bytes};
use prost::encoding::{
    DecodeContext, WireType, decode_key, decode_varint, encode_key, encode_varint, encoded_len_varint, key_len,
    skip_field,
};

use crate::model::onnx::schema::tensor_proto::{DataLocation, DataType};
use crate::model::onnx::schema::type_proto::{Tensor, Value};
use crate::model::onnx::schema::{NodeProto, TensorProto, TypeProto, ValueInfoProto};

/// `ModelProto.graph`
const GRAPH: u32 = 7;
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
    let fields = fields(model)?;
    let graphs: Vec<_> = fields.iter().filter(|field| field.tag == GRAPH).collect();
    ensure!(graphs.len() == 1, "the model has {} graphs, expected one", graphs.len());
    let kept = keep(&self::fields(graphs[0].content)?)?;
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
