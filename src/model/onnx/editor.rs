//! Changes a model before it is loaded: an input becomes a constant, so that the runtime computes what depends on it
//! once; or an inner tensor becomes the output, so that what comes after it is left out.
//!
//! Comes in: the bytes of an ONNX file. Goes out: the same, changed. Works on the fields of the protobuf encoding as they
//! lie in the file: what is not understood is copied as it is.

use std::collections::HashSet;

use anyhow::{Result, ensure};
use prost::Message;
use prost::bytes::{Buf, BufMut};
use prost::encoding::{
    DecodeContext, WireType, decode_key, decode_varint, encode_key, encode_varint, int32, skip_field,
};

use crate::model::onnx::reader::Node;

/// `ModelProto.graph`
const GRAPH: u32 = 7;
/// `GraphProto.node`
const NODE: u32 = 1;
/// `GraphProto.output`
const OUTPUT: u32 = 12;
/// `GraphProto.initializer`
const INITIALIZER: u32 = 5;
/// `GraphProto.input`
const INPUT: u32 = 11;
/// `TensorProto.DataType.FLOAT`
const FLOAT: i32 = 1;

/// The beginning of a `ValueInfoProto`.
#[derive(Clone, PartialEq, Message)]
struct ValueInfo {
    #[prost(string, tag = "1")]
    name: String,
}

/// The fields of a `TensorProto` that a constant needs.
#[derive(Clone, PartialEq, Message)]
struct Tensor {
    #[prost(int64, repeated, tag = "1")]
    dims: Vec<i64>,
    #[prost(int32, tag = "2")]
    data_type: i32,
    #[prost(float, repeated, tag = "4")]
    floats: Vec<f32>,
    #[prost(string, tag = "8")]
    name: String,
}

/// The model with input `name` fixed to `values` of shape `dims`.
///
/// # Errors
/// No ONNX, or no such input.
pub fn with_constant(model: &[u8], name: &str, dims: &[i64], values: &[f32]) -> Result<Vec<u8>> {
    let tensor = Tensor { dims: dims.into(), data_type: FLOAT, floats: values.into(), name: name.into() };
    with_graph(model, |fields| {
        let mut graph = Vec::with_capacity(model.len() + 128);
        let mut removed = 0;
        for (tag, field) in fields {
            match *tag == INPUT && ValueInfo::decode(field.content)?.name == name {
                true => removed += 1,
                false => graph.put_slice(field.whole),
            }
        }
        ensure!(removed == 1, "the model has {removed} inputs named '{name}', expected one");
        put_message(&mut graph, INITIALIZER, &tensor.encode_to_vec());
        Ok(graph)
    })
}

/// The model with the inner tensor `name`, of floats, as its only output, and without the nodes that it does not need.
///
/// # Errors
/// No ONNX, no such tensor, or nodes with graphs of their own, which may need anything.
pub fn with_output(model: &[u8], name: &str) -> Result<Vec<u8>> {
    with_graph(model, |fields| {
        let mut needed = HashSet::from([name.to_owned()]);
        let mut kept = Vec::new();
        // Nodes stand behind those that they need.
        for (tag, field) in fields.iter().rev().filter(|(tag, _)| *tag != OUTPUT) {
            if *tag == NODE {
                let node = Node::decode(field.content)?;
                ensure!(!node.has_graph(), "a node has a graph of its own");
                if !node.outputs.iter().any(|output| needed.contains(output)) {
                    continue;
                }
                needed.remove(name);
                needed.extend(node.inputs);
            }
            kept.push(field.whole);
        }
        ensure!(!needed.contains(name), "the model has no inner tensor '{name}'");
        let mut graph = Vec::with_capacity(model.len() + 128);
        kept.iter().rev().for_each(|field| graph.put_slice(field));
        put_message(&mut graph, OUTPUT, &floats_of_any_shape(name));
        Ok(graph)
    })
}

/// The model with another graph, made of the fields of its own.
fn with_graph(model: &[u8], make: impl Fn(&[(u32, Field)]) -> Result<Vec<u8>>) -> Result<Vec<u8>> {
    let mut result = Vec::with_capacity(model.len() + 256);
    let mut graphs = 0;
    for (tag, field) in fields(model)? {
        if tag == GRAPH {
            put_message(&mut result, GRAPH, &make(&fields(field.content)?)?);
            graphs += 1;
        } else {
            result.put_slice(field.whole);
        }
    }
    ensure!(graphs == 1, "the model has {graphs} graphs, expected one");
    Ok(result)
}

/// A `ValueInfoProto`: name (1) and type (2), that of a tensor (1) whose elements (1) are told alone.
fn floats_of_any_shape(name: &str) -> Vec<u8> {
    let [mut tensor, mut kind, mut info] = [vec![], vec![], vec![]];
    int32::encode(1, &FLOAT, &mut tensor);
    put_message(&mut kind, 1, &tensor);
    put_message(&mut info, 1, name.as_bytes());
    put_message(&mut info, 2, &kind);
    info
}

fn put_message(to: &mut Vec<u8>, tag: u32, content: &[u8]) {
    encode_key(tag, WireType::LengthDelimited, to);
    encode_varint(content.len() as u64, to);
    to.put_slice(content);
}

/// A field as it lies in the file; `content` is empty for numbers.
struct Field<'a> {
    whole: &'a [u8],
    content: &'a [u8],
}

fn fields(message: &[u8]) -> Result<Vec<(u32, Field<'_>)>> {
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
        found.push((tag, Field { whole: &start[..start.len() - rest.len()], content }));
    }
    Ok(found)
}
