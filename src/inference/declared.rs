//! What a session declares of its model: the tensors and the metadata, settled to a contract; and the symbols that its
//! sizes go by.

use anyhow::Result;
use ort::session::Session;
use ort::value::{Outlet, TensorElementType, ValueType};

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

/// The symbols of the picture input's dimensions, in their order; empty where it has a number or no name.
pub(super) fn symbols(session: &Session, contract: &Contract) -> Vec<String> {
    let outlet = session.inputs().iter().find(|input| input.name() == contract.input.name);
    let Some(ValueType::Tensor { shape, dimension_symbols, .. }) = outlet.map(Outlet::dtype) else { return vec![] };
    let named = |(size, symbol): (&i64, &String)| if *size < 0 { symbol.clone() } else { String::new() };
    shape.iter().zip(dimension_symbols.iter()).map(named).collect()
}

/// What the symbols stand for where the dimensions are these. None if there are no symbols, or if one would stand for two
/// sizes: then it is no name, only a word for "any".
pub(super) fn sizes(symbols: &[String], dims: &[i64]) -> Sizes {
    let mut sizes = Sizes::new();
    for (symbol, size) in symbols.iter().zip(dims).filter(|(symbol, _)| !symbol.is_empty()) {
        match sizes.iter().find(|(name, _)| name == symbol) {
            Some((_, other)) if other != size => return Sizes::new(),
            Some(_) => {}
            None => sizes.push((symbol.clone(), *size)),
        }
    }
    sizes
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
        let sizes = |symbols: [&str; 4]| sizes(&symbols.map(String::from), &[1, 3, 360, 640]);
        let named = |pairs: &[(&str, i64)]| pairs.iter().map(|(s, n)| (String::from(*s), *n)).collect::<Sizes>();
        assert_eq!(sizes(["", "", "height", "width"]), named(&[("height", 360), ("width", 640)]));
        assert_eq!(sizes(["N", "", "H", ""]), named(&[("N", 1), ("H", 360)]));
        assert_eq!(sizes(["None", "", "None", "None"]), named(&[]));
        assert_eq!(sizes([""; 4]), named(&[]));
    }
}
