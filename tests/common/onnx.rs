//! Writes tiny ONNX models: only the fields of the format that they need.

use std::path::{Path, PathBuf};

use prost::Message;

#[derive(Clone, PartialEq, Message)]
pub struct Model {
    #[prost(int64, tag = "1")]
    ir_version: i64,
    #[prost(message, optional, tag = "7")]
    graph: Option<Graph>,
    #[prost(message, repeated, tag = "8")]
    opsets: Vec<Opset>,
    #[prost(message, repeated, tag = "14")]
    metadata: Vec<Entry>,
}

#[derive(Clone, PartialEq, Message)]
struct Opset {
    #[prost(string, tag = "1")]
    domain: String,
    #[prost(int64, tag = "2")]
    version: i64,
}

#[derive(Clone, PartialEq, Message)]
pub struct Entry {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(string, tag = "2")]
    value: String,
}

#[derive(Clone, PartialEq, Message)]
struct Graph {
    #[prost(message, repeated, tag = "1")]
    nodes: Vec<Node>,
    #[prost(string, tag = "2")]
    name: String,
    #[prost(message, repeated, tag = "5")]
    initializers: Vec<Tensor>,
    #[prost(message, repeated, tag = "11")]
    inputs: Vec<ValueInfo>,
    #[prost(message, repeated, tag = "12")]
    outputs: Vec<ValueInfo>,
}

#[derive(Clone, PartialEq, Message)]
struct Node {
    #[prost(string, repeated, tag = "1")]
    inputs: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    outputs: Vec<String>,
    #[prost(string, tag = "4")]
    op: String,
    #[prost(message, repeated, tag = "5")]
    attributes: Vec<Attribute>,
}

#[derive(Clone, PartialEq, Message)]
struct Attribute {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(int64, tag = "3")]
    int: i64,
    #[prost(bytes = "vec", tag = "4")]
    text: Vec<u8>,
    #[prost(int64, repeated, tag = "8")]
    ints: Vec<i64>,
    #[prost(int32, tag = "20")]
    kind: i32,
}

#[derive(Clone, PartialEq, Message)]
struct Tensor {
    #[prost(int64, repeated, tag = "1")]
    dims: Vec<i64>,
    #[prost(int32, tag = "2")]
    kind: i32,
    #[prost(float, repeated, tag = "4")]
    floats: Vec<f32>,
    #[prost(int64, repeated, tag = "7")]
    ints: Vec<i64>,
    #[prost(string, tag = "8")]
    name: String,
    #[prost(message, repeated, tag = "13")]
    external: Vec<Entry>,
    #[prost(int32, tag = "14")]
    location: i32,
}

#[derive(Clone, PartialEq, Message)]
struct ValueInfo {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, optional, tag = "2")]
    kind: Option<Type>,
}

#[derive(Clone, PartialEq, Message)]
struct Type {
    #[prost(message, optional, tag = "1")]
    tensor: Option<TensorType>,
}

#[derive(Clone, PartialEq, Message)]
struct TensorType {
    #[prost(int32, tag = "1")]
    element: i32,
    #[prost(message, optional, tag = "2")]
    shape: Option<TensorShape>,
}

#[derive(Clone, PartialEq, Message)]
struct TensorShape {
    #[prost(message, repeated, tag = "1")]
    dims: Vec<Dimension>,
}

#[derive(Clone, PartialEq, Message)]
struct Dimension {
    #[prost(int64, optional, tag = "1")]
    value: Option<i64>,
    #[prost(string, optional, tag = "2")]
    symbol: Option<String>,
}

pub const F32: i32 = 1;
pub const U8: i32 = 2;
pub const I64: i32 = 7;
pub const F16: i32 = 10;

/// Dynamic height and width, channels first.
pub const NCHW: [i64; 4] = [1, 3, -1, -1];
/// Dynamic height and width, channels last.
pub const NHWC: [i64; 4] = [1, -1, -1, 3];

/// A model that is being written.
#[derive(Default)]
pub struct Builder {
    graph: Graph,
    metadata: Vec<Entry>,
}

impl Builder {
    pub fn input(mut self, name: &str, element: i32, dims: &[i64]) -> Self {
        self.graph.inputs.push(value_info(name, element, dims));
        self
    }

    pub fn output(mut self, name: &str, element: i32, dims: &[i64]) -> Self {
        self.graph.outputs.push(value_info(name, element, dims));
        self
    }

    pub fn meta(mut self, key: &str, value: &str) -> Self {
        self.metadata.push(Entry { key: format!("styletransfer.{key}"), value: value.into() });
        self
    }

    pub fn node(mut self, op: &str, inputs: &[&str], output: &str) -> Self {
        self.push(op, inputs, output, vec![]);
        self
    }

    pub fn cast(mut self, input: &str, output: &str, element: i32) -> Self {
        let to = Attribute { name: "to".into(), int: element.into(), kind: 2, ..Default::default() };
        self.push("Cast", &[input], output, vec![to]);
        self
    }

    pub fn transpose(mut self, input: &str, output: &str, axes: &[i64]) -> Self {
        let axes = Attribute { name: "perm".into(), ints: axes.into(), kind: 7, ..Default::default() };
        self.push("Transpose", &[input], output, vec![axes]);
        self
    }

    /// Halves the size by `factor` and doubles it back: sizes that are no multiples come out different.
    pub fn down_up(mut self, input: &str, output: &str, factor: i64) -> Self {
        let ints = |name: &str, v: Vec<i64>| Attribute { name: name.into(), ints: v, kind: 7, ..Default::default() };
        let block = Attribute { name: "blocksize".into(), int: factor, kind: 2, ..Default::default() };
        let mode = Attribute { name: "mode".into(), text: b"DCR".to_vec(), kind: 3, ..Default::default() };
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
        let pads = ints("pads", vec![0, 0, factor - 1, factor - 1]);
        self.push("Conv", &[input, "pick"], "small", vec![ints("strides", vec![factor; 2]), pads]);
        self.push("DepthToSpace", &["small"], output, vec![block, mode]);
        self
    }

    /// Every square of four pixels as one of twelve channels: pixel `2i + j` of colour `c` is channel `4c + 2i + j`.
    pub fn squares(mut self, input: &str, output: &str) -> Self {
        let weights = (0..12 * 12).map(|i| f32::from(u8::from(i / 12 == i % 12)));
        self = self.constant("each", &[12, 3, 2, 2], weights.collect());
        let strides = Attribute { name: "strides".into(), ints: vec![2, 2], kind: 7, ..Default::default() };
        self.push("Conv", &[input, "each"], output, vec![strides]);
        self
    }

    /// The way back.
    pub fn shuffle(mut self, input: &str, output: &str) -> Self {
        let block = Attribute { name: "blocksize".into(), int: 2, kind: 2, ..Default::default() };
        let mode = Attribute { name: "mode".into(), text: b"CRD".to_vec(), kind: 3, ..Default::default() };
        self.push("DepthToSpace", &[input], output, vec![block, mode]);
        self
    }

    pub fn constant(mut self, name: &str, dims: &[i64], floats: Vec<f32>) -> Self {
        let tensor = Tensor { dims: dims.into(), kind: F32, floats, name: name.into(), ..Default::default() };
        self.graph.initializers.push(tensor);
        self
    }

    pub fn constant_i64(mut self, name: &str, ints: Vec<i64>) -> Self {
        let dims = vec![ints.len() as i64];
        self.graph.initializers.push(Tensor { dims, kind: I64, ints, name: name.into(), ..Default::default() });
        self
    }

    /// A constant whose numbers lie in another file.
    pub fn external(mut self, name: &str, count: i64, location: &str) -> Self {
        let entry = |key: &str, value: String| Entry { key: key.into(), value };
        let external = vec![entry("location", location.into()), entry("length", (4 * count).to_string())];
        let tensor =
            Tensor { dims: vec![count], kind: F32, name: name.into(), external, location: 1, ..Default::default() };
        self.graph.initializers.push(tensor);
        self
    }

    fn push(&mut self, op: &str, inputs: &[&str], output: &str, attributes: Vec<Attribute>) {
        let inputs = inputs.iter().map(|s| (*s).to_owned()).collect();
        self.graph.nodes.push(Node { inputs, outputs: vec![output.into()], op: op.into(), attributes });
    }

    pub fn bytes(mut self) -> Vec<u8> {
        self.graph.name = "tiny".into();
        let opsets = vec![Opset { domain: String::new(), version: 13 }];
        Model { ir_version: 7, graph: Some(self.graph), opsets, metadata: self.metadata }.encode_to_vec()
    }

    /// Writes `name`.onnx into a folder.
    pub fn save(self, folder: &Path, name: &str) -> PathBuf {
        let path = folder.join(format!("{name}.onnx"));
        std::fs::write(&path, self.bytes()).unwrap();
        path
    }
}

fn value_info(name: &str, element: i32, dims: &[i64]) -> ValueInfo {
    let dim = |d: &i64| match *d {
        -1 => Dimension { value: None, symbol: Some("None".into()) },
        d => Dimension { value: Some(d), symbol: None },
    };
    let shape = Some(TensorShape { dims: dims.iter().map(dim).collect() });
    ValueInfo { name: name.into(), kind: Some(Type { tensor: Some(TensorType { element, shape }) }) }
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
