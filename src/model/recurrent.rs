//! The inputs of a recurrent model (Ruder et al. 2018): the previous stylized frame, propagated along the motion, and the
//! confidence in it.
//!
//! Comes in: declared tensors. Goes out: the two inputs, by their names: a picture `previous...`, and `confidence...` of
//! one channel.

use anyhow::{Result, ensure};

use crate::model::contract::PictureTensor;
use crate::model::facts::{Dim, TensorFacts};
use crate::tensor::layout::{Axes, Element};

/// The inputs of a recurrent model.
#[derive(Debug, Clone, PartialEq)]
pub struct Recurrent {
    /// Takes the previous stylized frame.
    pub previous: PictureTensor,
    /// Takes the confidence in each of its pixels, 0..=1.
    pub confidence: Option<Confidence>,
}

impl Recurrent {
    /// The names of its inputs.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.previous.name.as_str()).chain(self.confidence.iter().map(|c| c.name.as_str()))
    }
}

/// An input of one channel and the size of the frame.
#[derive(Debug, Clone, PartialEq)]
pub struct Confidence {
    /// Name in the file.
    pub name: String,
    /// Element type: `f32` or `f16`.
    pub element: Element,
    /// Order of the axes, that of the frame's tensor.
    pub axes: Axes,
}

/// Whether an input's name says that it takes the previous stylized frame.
pub fn is_previous(name: &str) -> bool {
    name.to_ascii_lowercase().contains("previous")
}

impl Confidence {
    /// Takes `tensor` for the confidence if its name says so; `axes` are those of the frame's tensor.
    ///
    /// # Errors
    /// A shape that is not one channel of the frame's, or whole numbers.
    pub fn of(tensor: &TensorFacts, axes: Axes) -> Result<Option<Self>> {
        if !tensor.name.to_ascii_lowercase().contains("confidence") {
            return Ok(None);
        }
        let (channel, ..) = axes.positions();
        let fits = tensor.dims.len() == axes.rank() && tensor.dims[channel] == Dim::Fixed(1);
        let element = tensor.element.filter(|e| *e != Element::U8 && fits);
        ensure!(
            element.is_some(),
            "input {tensor} is no confidence map: expected one channel of f32 or f16, layout {axes}"
        );
        Ok(element.map(|element| Self { name: tensor.name.clone(), element, axes }))
    }

    /// Dimensions at a size, batch 1.
    pub fn dims(&self, width: usize, height: usize) -> Vec<i64> {
        self.axes.dims(1, width, height)
    }
}
