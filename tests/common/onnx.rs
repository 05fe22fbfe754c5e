//! Writes tiny ONNX models.

use std::path::{Path, PathBuf};

use gststyletransfer::model::onnx::schema::attribute_proto::AttributeType;
use gststyletransfer::model::onnx::schema::tensor_proto::DataLocation;
use gststyletransfer::model::onnx::schema::tensor_shape_proto::Dimension;
use gststyletransfer::model::onnx::schema::tensor_shape_proto::dimension::Value as Size;
use gststyletransfer::model::onnx::schema::type_proto::{self, Value};
use gststyletransfer::model::onnx::schema::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, StringStringEntryProto, TensorProto,
    TensorShapeProto, TypeProto, ValueInfoProto,
};
use prost::Message;

pub const F32: i32 = 1;
pub const U8: i32 = 2;
pub const I32: i32 = 6;
pub const I64: i32 = 7;
pub const BOOL: i32 = 9;
pub const F16: i32 = 10;

/// Dynamic height and width, channels first.
pub const NCHW: [i64; 4] = [1, 3, -1, -1];
/// Dynamic height and width, channels last.
pub const NHWC: [i64; 4] = [1, -1, -1, 3];

/// A model that is being written.
#[derive(Default)]
pub struct Builder {
    graph: GraphProto,
    metadata: Vec<StringStringEntryProto>,
}

impl Builder {
    pub fn input(mut self, name: &str, element: i32, dims: &[i64]) -> Self {
        self.graph.input.push(value_info(name, element, Some(shape(dims))));
        self
    }

    pub fn output(mut self, name: &str, element: i32, dims: &[i64]) -> Self {
        self.graph.output.push(value_info(name, element, Some(shape(dims))));
        self
    }

    /// An input whose free dimensions have the names of `dims`; what is a number is fixed.
    pub fn named_input(mut self, name: &str, element: i32, dims: &[&str]) -> Self {
        let dim = |d: &&str| d.parse().map_or_else(|_| Size::DimParam((*d).into()), Size::DimValue);
        let dims = dims.iter().map(|d| Dimension { value: Some(dim(d)), ..Default::default() }).collect();
        self.graph.input.push(value_info(name, element, Some(TensorShapeProto { dim: dims })));
        self
    }

    /// An input without a declared shape.
    pub fn open_input(mut self, name: &str, element: i32) -> Self {
        self.graph.input.push(value_info(name, element, None));
        self
    }

    /// An output without a declared shape.
    pub fn open_output(mut self, name: &str, element: i32) -> Self {
        self.graph.output.push(value_info(name, element, None));
        self
    }

    pub fn meta(mut self, key: &str, value: &str) -> Self {
        self.metadata.push(entry(&format!("styletransfer.{key}"), value));
        self
    }

    pub fn node(mut self, op: &str, inputs: &[&str], output: &str) -> Self {
        self.push(op, inputs, output, vec![]);
        self
    }

    pub fn cast(mut self, input: &str, output: &str, element: i32) -> Self {
        let to = int("to", element.into());
        self.push("Cast", &[input], output, vec![to]);
        self
    }

    pub fn transpose(mut self, input: &str, output: &str, axes: &[i64]) -> Self {
        let axes = ints("perm", axes);
        self.push("Transpose", &[input], output, vec![axes]);
        self
    }

    /// Halves the size by `factor` and doubles it back: sizes that are no multiples come out different.
    pub fn down_up(mut self, input: &str, output: &str, factor: i64) -> Self {
        let block = int("blocksize", factor);
        let mode = text("mode", "DCR");
        // A strided convolution that picks each of the factor^2 sub-pixels, then depth-to-space puts them back.
        let count = (factor * factor) as usize;
        let mut weights = vec![0.0; 3 * count * 3 * count];
        for sub in 0..count {
            for channel in 0..3 {
                let out = sub * 3 + channel;
                weights[(out * 3 + channel) * count + sub] = 1.0;
            }
        }
        self = self.constant("pick", &[3 * count as i64, 3, factor, factor], weights);
        let pads = ints("pads", &[0, 0, factor - 1, factor - 1]);
        self.push("Conv", &[input, "pick"], "small", vec![ints("strides", &[factor; 2]), pads]);
        self.push("DepthToSpace", &["small"], output, vec![block, mode]);
        self
    }

    /// Every square of four pixels as one of twelve channels: pixel `2i + j` of colour `c` is channel `4c + 2i + j`.
    pub fn squares(mut self, input: &str, output: &str) -> Self {
        let weights = (0..12 * 12).map(|i| f32::from(u8::from(i / 12 == i % 12)));
        self = self.constant("each", &[12, 3, 2, 2], weights.collect());
        let strides = ints("strides", &[2, 2]);
        self.push("Conv", &[input, "each"], output, vec![strides]);
        self
    }

    /// The way back.
    pub fn shuffle(mut self, input: &str, output: &str) -> Self {
        let block = int("blocksize", 2);
        let mode = text("mode", "CRD");
        self.push("DepthToSpace", &[input], output, vec![block, mode]);
        self
    }

    /// Windows of `factor` x `factor` pixels as channels and back: fails for sides that are no multiples.
    pub fn windows(mut self, input: &str, output: &str, factor: i64) -> Self {
        self.push("SpaceToDepth", &[input], "windows", vec![int("blocksize", factor)]);
        self.push("DepthToSpace", &["windows"], output, vec![int("blocksize", factor)]);
        self
    }

    /// A convolution without padding that keeps the middle of `2 * border + 1` pixels: the output is smaller by `border` on
    /// every side.
    pub fn valid_padding(mut self, input: &str, output: &str, border: i64) -> Self {
        let side = 2 * border + 1;
        let area = (side * side) as usize;
        let mut weights = vec![0.0; 9 * area];
        (0..3).for_each(|c| weights[(3 * c + c) * area + area / 2] = 1.0);
        self = self.constant("middle", &[3, 3, side, side], weights);
        self.push("Conv", &[input, "middle"], output, vec![]);
        self
    }

    /// `yes` if the flag is set, else `no`: both tensors of the graph.
    pub fn choose(mut self, flag: &str, yes: &str, no: &str, output: &str) -> Self {
        let branch = |name: &str, tensor: &str| {
            let result = format!("{name} of {output}");
            let node = NodeProto {
                input: vec![tensor.into()],
                output: vec![result.clone()],
                op_type: Some("Identity".into()),
                ..Default::default()
            };
            let graph = GraphProto {
                name: Some(name.into()),
                node: vec![node],
                output: vec![value_info(&result, F32, None)],
                ..Default::default()
            };
            let kind = Some(AttributeType::Graph.into());
            AttributeProto { name: Some(name.into()), g: Some(graph), r#type: kind, ..Default::default() }
        };
        self.push("If", &[flag], output, vec![branch("then_branch", yes), branch("else_branch", no)]);
        self
    }

    /// Enlarges by a whole factor, each pixel repeated.
    pub fn enlarge(self, input: &str, output: &str, factor: f32) -> Self {
        let scales = format!("scales of {output}");
        let model = self.constant("none", &[0], vec![]).constant(&scales, &[4], vec![1.0, 1.0, factor, factor]);
        model.node("Resize", &[input, "none", &scales], output)
    }

    pub fn constant(mut self, name: &str, dims: &[i64], floats: Vec<f32>) -> Self {
        let float_data = floats;
        self.graph.initializer.push(TensorProto { float_data, ..tensor(name, F32, dims) });
        self
    }

    pub fn constant_i64(mut self, name: &str, ints: Vec<i64>) -> Self {
        let dims = [ints.len() as i64];
        self.graph.initializer.push(TensorProto { int64_data: ints, ..tensor(name, I64, &dims) });
        self
    }

    /// A constant whose numbers lie in another file.
    pub fn external(mut self, name: &str, count: i64, location: &str) -> Self {
        let external_data = vec![entry("location", location), entry("length", &(4 * count).to_string())];
        let data_location = Some(DataLocation::External.into());
        self.graph.initializer.push(TensorProto { external_data, data_location, ..tensor(name, F32, &[count]) });
        self
    }

    fn push(&mut self, op: &str, inputs: &[&str], output: &str, attribute: Vec<AttributeProto>) {
        let input = inputs.iter().map(|s| (*s).to_owned()).collect();
        let (output, op_type) = (vec![output.into()], Some(op.into()));
        self.graph.node.push(NodeProto { input, output, op_type, attribute, ..Default::default() });
    }

    pub fn bytes(mut self) -> Vec<u8> {
        self.graph.name = Some("tiny".into());
        let opset = OperatorSetIdProto { domain: Some(String::new()), version: Some(13) };
        let model = ModelProto {
            ir_version: Some(7),
            graph: Some(self.graph),
            opset_import: vec![opset],
            metadata_props: self.metadata,
            ..Default::default()
        };
        model.encode_to_vec()
    }

    /// Writes `name`.onnx into a folder.
    pub fn save(self, folder: &Path, name: &str) -> PathBuf {
        let path = folder.join(format!("{name}.onnx"));
        std::fs::write(&path, self.bytes()).unwrap();
        path
    }
}

fn entry(key: &str, value: &str) -> StringStringEntryProto {
    StringStringEntryProto { key: Some(key.into()), value: Some(value.into()) }
}

fn tensor(name: &str, element: i32, dims: &[i64]) -> TensorProto {
    TensorProto { name: Some(name.into()), data_type: Some(element), dims: dims.into(), ..Default::default() }
}

fn attribute(name: &str, kind: AttributeType) -> AttributeProto {
    AttributeProto { name: Some(name.into()), r#type: Some(kind.into()), ..Default::default() }
}

fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto { i: Some(value), ..attribute(name, AttributeType::Int) }
}

fn ints(name: &str, values: &[i64]) -> AttributeProto {
    AttributeProto { ints: values.into(), ..attribute(name, AttributeType::Ints) }
}

fn text(name: &str, value: &str) -> AttributeProto {
    AttributeProto { s: Some(value.to_owned().into()), ..attribute(name, AttributeType::String) }
}

fn shape(dims: &[i64]) -> TensorShapeProto {
    let value = |d: &i64| match *d {
        -1 => Size::DimParam("None".into()),
        d => Size::DimValue(d),
    };
    TensorShapeProto { dim: dims.iter().map(|d| Dimension { value: Some(value(d)), ..Default::default() }).collect() }
}

fn value_info(name: &str, element: i32, shape: Option<TensorShapeProto>) -> ValueInfoProto {
    let tensor = type_proto::Tensor { elem_type: Some(element), shape };
    let kind = TypeProto { value: Some(Value::TensorType(tensor)), ..Default::default() };
    ValueInfoProto { name: Some(name.into()), r#type: Some(kind), ..Default::default() }
}

/// What goes in comes out; range 0..1, channels first.
pub fn identity() -> Builder {
    Builder::default()
        .input("x", F32, &NCHW)
        .output("y", F32, &NCHW)
        .node("Identity", &["x"], "y")
        .meta("input-range", "0,1")
        .meta("output-range", "0,1")
}

/// The negative: 1 - x.
pub fn negative() -> Builder {
    Builder::default()
        .input("x", F32, &NCHW)
        .output("y", F32, &NCHW)
        .constant("one", &[1], vec![1.0])
        .node("Sub", &["one", "x"], "y")
        .meta("input-range", "0,1")
        .meta("output-range", "0,1")
}

/// 0 / 0 everywhere.
pub fn not_a_number() -> Builder {
    Builder::default()
        .input("x", F32, &NCHW)
        .output("y", F32, &NCHW)
        .constant("zero", &[1], vec![0.0])
        .node("Mul", &["x", "zero"], "z")
        .node("Div", &["z", "z"], "y")
        .meta("input-range", "0,1")
        .meta("output-range", "0,1")
}
