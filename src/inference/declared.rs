//! What a session declares of its model: the tensors and the metadata, settled to a contract.

use anyhow::Result;
use ort::session::Session;
use ort::value::{Outlet, TensorElementType, ValueType};

use crate::model::Contract;
use crate::model::facts::{Dim, ModelFacts, TensorFacts};
use crate::model::hints::Hints;
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

fn facts_of(outlet: &Outlet) -> TensorFacts {
    let name = outlet.name().to_owned();
    let ValueType::Tensor { ty, shape, dimension_symbols } = outlet.dtype() else {
        return TensorFacts { name, element: None, type_name: outlet.dtype().to_string(), dims: vec![] };
    };
    let element = match ty {
        TensorElementType::Float32 => Some(Element::F32),
        TensorElementType::Float16 => Some(Element::F16),
        TensorElementType::Uint8 => Some(Element::U8),
        _ => None,
    };
    let dim = |(d, symbol): (&i64, &String)| if *d < 0 { Dim::Free(symbol.clone()) } else { Dim::Fixed(*d) };
    let dims = shape.iter().zip(dimension_symbols.iter()).map(dim).collect();
    TensorFacts { name, element, type_name: ty.to_string(), dims }
}
