//! What a session declares of its model.
//!
//! Comes in: a session. Goes out: the contract, from its tensors and metadata; and the dimensions that it leaves open, with
//! what stands for them at one size.

use anyhow::Result;
use ort::session::Session;
use ort::value::{Outlet, TensorElementType, ValueType};

use crate::frame::size::Size;
use crate::model::Contract;
use crate::model::facts::{Dim, ModelFacts, ScalarType, TensorFacts};
use crate::model::metadata::Hints;
use crate::tensor::layout::Element;

/// Precedence: properties, then the file's metadata, then the `.modelinfo` file.
pub(super) fn settle(session: &Session, overrides: &Hints, modelinfo: &Hints) -> Result<Contract> {
    let metadata = session.metadata()?;
    let pairs = metadata.custom_keys()?.into_iter().filter_map(|key| Some((key.clone(), metadata.custom(&key)?)));
    let facts = ModelFacts {
        inputs: session.inputs().iter().map(facts_of).collect(),
        outputs: session.outputs().iter().map(facts_of).collect(),
        metadata: pairs.collect(),
    };
    let said = Hints::from_metadata(&facts.metadata)?;
    Contract::resolve(&facts, &overrides.clone().or(said).or(modelinfo.clone()))
}

/// Sizes by the symbols that stand for them in the model.
pub(super) type Sizes = Vec<(String, i64)>;

/// Shapes by the inputs that have them.
pub(super) type InputShapes = Vec<(String, Vec<i64>)>;

/// What is open in the shapes of a session's inputs: for each, its name and, for each dimension, `None` for a number, else
/// its symbol, which may be empty.
pub(super) type Open = Vec<(String, Vec<Option<String>>)>;

/// What a session for one size alone is made with; empty for all sizes.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Fixed {
    /// Symbols of the model to replace.
    pub sizes: Sizes,
    /// Shapes of the inputs that those leave open.
    pub shapes: InputShapes,
}

/// What is open in a session's inputs.
pub(super) fn open(session: &Session) -> Open {
    let named = |(size, symbol): (&i64, &String)| (*size < 0).then(|| symbol.clone());
    let described = session.inputs().iter().filter_map(|outlet| {
        let ValueType::Tensor { shape, dimension_symbols, .. } = outlet.dtype() else { return None };
        Some((outlet.name().to_owned(), shape.iter().zip(dimension_symbols.iter()).map(named).collect()))
    });
    described.collect()
}

/// Shapes of the model's inputs for pictures of a size, as far as they are known without a style picture.
pub(super) fn input_shapes(contract: &Contract, (width, height): Size) -> InputShapes {
    let mut shapes = vec![(contract.input.name.clone(), contract.input.dims(width, height))];
    if let Some(recurrent) = &contract.recurrent {
        shapes.push((recurrent.previous.name.clone(), recurrent.previous.dims(width, height)));
        shapes.extend(recurrent.confidence.iter().map(|map| (map.name.clone(), map.dims(width, height))));
    }
    shapes.extend(contract.copy.iter().map(|copy| {
        let (width, height) = copy.size((width, height));
        (copy.tensor.name.clone(), copy.tensor.dims(width, height))
    }));
    shapes.extend(contract.style_weights.iter().map(|weights| (weights.name.clone(), weights.dims.clone())));
    shapes.extend(contract.scalars.iter().map(|scalar| (scalar.name.clone(), scalar.dims.clone())));
    shapes
}

/// What stands for the open dimensions where the inputs have these shapes. A symbol that would stand for two sizes is no
/// name, only a word for "any": then no symbol is replaced.
pub(super) fn fix(open: &Open, shapes: InputShapes) -> Fixed {
    let dims_of = |name: &str| open.iter().find(|(known, _)| known == name).map(|(_, dims)| dims);
    let pairs = shapes.iter().filter_map(|(name, shape)| Some(dims_of(name)?.iter().zip(shape))).flatten();
    let mut sizes = Sizes::new();
    for (symbol, size) in pairs.filter_map(|(symbol, size)| Some((symbol.as_ref()?, size))) {
        match sizes.iter().find(|(known, _)| known == symbol) {
            Some((_, other)) if other != size => {
                sizes.clear();
                break;
            }
            Some(_) => {}
            None if symbol.is_empty() => {}
            None => sizes.push((symbol.clone(), *size)),
        }
    }
    let stays_open =
        |symbol: &Option<String>| symbol.as_ref().is_some_and(|s| !sizes.iter().any(|(known, _)| known == s));
    let shapes = shapes.into_iter().filter(|(name, _)| dims_of(name).is_some_and(|dims| dims.iter().any(stays_open)));
    Fixed { shapes: shapes.collect(), sizes }
}

fn facts_of(outlet: &Outlet) -> TensorFacts {
    let name = outlet.name().to_owned();
    let ValueType::Tensor { ty, shape, dimension_symbols } = outlet.dtype() else {
        return TensorFacts { name, element: None, scalar: None, type_name: outlet.dtype().to_string(), dims: vec![] };
    };
    let element = match ty {
        TensorElementType::Float32 => Some(Element::F32),
        TensorElementType::Float16 => Some(Element::F16),
        TensorElementType::Uint8 => Some(Element::U8),
        _ => None,
    };
    let scalar = match ty {
        TensorElementType::Float32 => Some(ScalarType::F32),
        TensorElementType::Float16 => Some(ScalarType::F16),
        TensorElementType::Float64 => Some(ScalarType::F64),
        TensorElementType::Int32 => Some(ScalarType::I32),
        TensorElementType::Int64 => Some(ScalarType::I64),
        TensorElementType::Bool => Some(ScalarType::Bool),
        _ => None,
    };
    let dim = |(d, symbol): (&i64, &String)| if *d < 0 { Dim::Free(symbol.clone()) } else { Dim::Fixed(*d) };
    let dims = shape.iter().zip(dimension_symbols.iter()).map(dim).collect();
    TensorFacts { name, element, scalar, type_name: ty.to_string(), dims }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symbols_get_their_sizes_unless_one_means_anything() {
        let fixed = |symbols: [&str; 4]| {
            let dims = symbols.map(|s| (s != "3").then(|| s.to_owned())).to_vec();
            fix(&vec![("x".into(), dims)], vec![("x".into(), vec![1, 3, 360, 640])])
        };
        let named = |pairs: &[(&str, i64)]| pairs.iter().map(|(s, n)| (String::from(*s), *n)).collect::<Sizes>();
        let whole = vec![("x".to_owned(), vec![1, 3, 360, 640])];
        let all = fixed(["N", "3", "height", "width"]);
        assert_eq!(all, Fixed { sizes: named(&[("N", 1), ("height", 360), ("width", 640)]), shapes: vec![] });
        assert_eq!(fixed(["N", "3", "H", ""]), Fixed { sizes: named(&[("N", 1), ("H", 360)]), shapes: whole.clone() });
        assert_eq!(fixed(["None", "3", "None", "None"]), Fixed { sizes: vec![], shapes: whole });
    }

    #[test]
    fn every_input_counts() {
        let free = |symbols: [&str; 2]| symbols.map(|s| Some(s.to_owned())).to_vec();
        let open =
            vec![("x".into(), free(["h", "w"])), ("previous".into(), free(["ph", "pw"])), ("y".into(), vec![None])];
        let shapes = vec![("x".into(), vec![4, 6]), ("previous".into(), vec![4, 6]), ("y".into(), vec![2])];
        let fixed = fix(&open, shapes);
        assert_eq!(fixed.sizes.len(), 4);
        assert!(fixed.shapes.is_empty());
        let other = vec![("x".into(), free(["h", "w"])), ("previous".into(), free(["w", "h"]))];
        let fixed = fix(&other, vec![("x".into(), vec![4, 6]), ("previous".into(), vec![4, 6])]);
        assert_eq!((fixed.sizes.len(), fixed.shapes.len()), (0, 2));
    }
}
