//! The input that mixes the styles of a multi-style model: `[N]` or `[1, N]` numbers, one weight per style.
//!
//! Comes in: a declared tensor and the names that the model gives its styles. Goes out: the input and one name a weight.

use anyhow::{Result, ensure};

use crate::model::facts::{Dim, TensorFacts};
use crate::model::metadata::key;
use crate::tensor::layout::Element;

/// The input of the weights.
#[derive(Debug, Clone, PartialEq)]
pub struct StyleWeights {
    /// Name in the file.
    pub name: String,
    /// Element type: `f32` or `f16`.
    pub element: Element,
    /// Dimensions: the number of styles, perhaps after a 1.
    pub dims: Vec<i64>,
}

impl StyleWeights {
    /// Takes `tensor` for the weights if its shape and name say so.
    pub fn of(tensor: &TensorFacts) -> Option<Self> {
        let element = tensor.element.filter(|e| *e != Element::U8)?;
        let count = match &tensor.dims[..] {
            [Dim::Fixed(n)] => *n,
            [batch, Dim::Fixed(n)] if batch.admits(1) => *n,
            _ => return None,
        };
        let named = tensor.name.to_ascii_lowercase().contains("style");
        let dims = if tensor.dims.len() == 1 { vec![count] } else { vec![1, count] };
        (named && count > 1).then(|| Self { name: tensor.name.clone(), element, dims })
    }

    /// Number of styles.
    pub fn count(&self) -> usize {
        self.dims.last().map_or(0, |n| *n as usize)
    }

    /// The weights of the first style alone.
    pub fn first(&self) -> Vec<f32> {
        (0..self.count()).map(|i| if i == 0 { 1.0 } else { 0.0 }).collect()
    }
}

/// The names of a model's styles: those that it gives, else numbers from 0.
///
/// # Errors
/// Another number of names than of weights.
pub fn names(weights: Option<&StyleWeights>, given: &[String]) -> Result<Vec<String>> {
    let Some(weights) = weights else { return Ok(given.to_vec()) };
    if given.is_empty() {
        return Ok((0..weights.count()).map(|i| i.to_string()).collect());
    }
    ensure!(
        given.len() == weights.count(),
        "'{}': {} names ({}), but input '{}' has {} weights",
        key::STYLES,
        given.len(),
        given.join(", "),
        weights.name,
        weights.count()
    );
    Ok(given.to_vec())
}
