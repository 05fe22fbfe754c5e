//! Makes an input of a model a constant, so that the runtime computes what depends on it once, when it loads the model.
//!
//! Comes in: the bytes of an ONNX file. Goes out: the same, one input less, one initializer more. Works on the fields
//! of the protobuf encoding as they lie in the file: what is not understood is copied as it is.

use anyhow::{Result, ensure};
use prost::Message;
use prost::bytes::{Buf, BufMut};
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, encode_key, encode_varint, skip_field};

/// `ModelProto.graph`
const GRAPH: u32 = 7;
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
    let mut result = Vec::with_capacity(model.len() + 256);
    let mut removed = 0;
    for (tag, field) in fields(model)? {
        if tag != GRAPH {
            result.put_slice(field.whole);
            continue;
        }
        let mut graph = Vec::with_capacity(field.content.len() + 128);
        for (tag, field) in fields(field.content)? {
            match tag == INPUT && ValueInfo::decode(field.content)?.name == name {
                true => removed += 1,
                false => graph.put_slice(field.whole),
            }
        }
        put_message(&mut graph, INITIALIZER, &tensor.encode_to_vec());
        put_message(&mut result, GRAPH, &graph);
    }
    ensure!(removed == 1, "the model has {removed} inputs named '{name}', expected one");
    Ok(result)
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
