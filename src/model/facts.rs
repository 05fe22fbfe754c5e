//! What a model's file declares about its tensors, before anything is concluded from it.

use std::collections::BTreeMap;
use std::fmt;

use crate::tensor::layout::Element;

/// One dimension of a declared tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dim {
    /// A number.
    Fixed(i64),
    /// A symbol (`height`, `None`, …) or nothing: any size.
    Free(String),
}

impl Dim {
    /// Whether this dimension can be `n`.
    pub fn admits(&self, n: i64) -> bool {
        match self {
            Dim::Fixed(d) => *d == n,
            Dim::Free(_) => true,
        }
    }

    /// The fixed size, if there is one.
    pub fn fixed(&self) -> Option<usize> {
        match self {
            Dim::Fixed(d) => usize::try_from(*d).ok(),
            Dim::Free(_) => None,
        }
    }

    /// The symbol, if it is a name and not a word for "any".
    pub fn symbol(&self) -> Option<&str> {
        match self {
            Dim::Free(name) if !["", "?", "None", "unk"].contains(&name.as_str()) => Some(name),
            _ => None,
        }
    }
}

impl fmt::Display for Dim {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Dim::Fixed(d) => write!(f, "{d}"),
            Dim::Free(name) if name.is_empty() => f.write_str("?"),
            Dim::Free(name) => f.write_str(name),
        }
    }
}

/// Type of an input that is a single number or a flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScalarType {
    /// 32 bit float.
    F32,
    /// 16 bit float.
    F16,
    /// 64 bit float.
    F64,
    /// 32 bit integer.
    I32,
    /// 64 bit integer.
    I64,
    /// True or false.
    Bool,
}

/// Element type and dimensions of a declared tensor.
#[derive(Debug, Clone, PartialEq)]
pub struct TensorFacts {
    /// Name in the file.
    pub name: String,
    /// Element type, if it is one that pictures can have.
    pub element: Option<Element>,
    /// Element type, if it is one that scalars can have.
    pub scalar: Option<ScalarType>,
    /// The element type in the runtime's words.
    pub type_name: String,
    /// Dimensions; none for a single number and for a tensor whose shape is not declared.
    pub dims: Vec<Dim>,
}

impl TensorFacts {
    /// Whether it may be a picture whose shape the file does not declare.
    pub fn may_have_any_shape(&self) -> bool {
        self.dims.is_empty() && self.element.is_some()
    }
}

impl fmt::Display for TensorFacts {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let dims: Vec<_> = self.dims.iter().map(Dim::to_string).collect();
        write!(f, "'{}' {} [{}]", self.name, self.type_name, dims.join(", "))
    }
}

/// Everything a model's file declares.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ModelFacts {
    /// Inputs that must be fed.
    pub inputs: Vec<TensorFacts>,
    /// Outputs.
    pub outputs: Vec<TensorFacts>,
    /// The metadata properties of the file.
    pub metadata: BTreeMap<String, String>,
}

impl fmt::Display for ModelFacts {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let list = |t: &[TensorFacts]| t.iter().map(TensorFacts::to_string).collect::<Vec<_>>().join("; ");
        write!(f, "inputs: {}. Outputs: {}", list(&self.inputs), list(&self.outputs))
    }
}
