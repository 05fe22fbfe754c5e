//! Access to the generator's tensors, whatever their element type.
//!
//! Input: the frame and the stabilizer's history. Output: filled input tensors; the output tensor as planar RGB in 0..=1.

use anyhow::Result;
use half::slice::HalfFloatSliceExt;

use crate::frame::image::{Image, Sample};
use crate::inference::{TensorMut, TensorRef};
use crate::stylizer::Stylizer;
use crate::tensor::egress::{from_planar, to_planar};
use crate::tensor::ingest::ingest;
use crate::tensor::layout::Format;
use crate::tensor::placement::Placement;

impl Stylizer {
    /// Writes the frame into the input tensor.
    pub(super) fn fill_input<S: Sample>(&mut self, image: &Image<S>) -> Result<()> {
        let format = self.generator.contract().input.format;
        match self.generator.input() {
            TensorMut::F32(tensor) => ingest(image, tensor, &format, &self.input),
            TensorMut::F16(tensor) => ingest(image, tensor, &format, &self.input),
            TensorMut::U8(tensor) => ingest(image, tensor, &format, &self.input),
        }
    }

    /// Writes the previous output and its confidence into the inputs of a recurrent model.
    pub(super) fn fill_recurrent_inputs(&mut self) -> Result<()> {
        let size = self.input.tensor;
        self.stabilizer.recurrent_inputs(self.output, &mut self.previous, &mut self.confidence);
        let Some(inputs) = &self.generator.contract().recurrent else { return Ok(()) };
        let format = inputs.previous.format;
        let Some((picture, map)) = self.generator.recurrent() else { return Ok(()) };
        match picture {
            TensorMut::F32(tensor) => from_planar(&self.previous, &format, size, tensor)?,
            TensorMut::F16(tensor) => from_planar(&self.previous, &format, size, tensor)?,
            TensorMut::U8(tensor) => from_planar(&self.previous, &format, size, tensor)?,
        }
        match map {
            Some(TensorMut::F32(tensor)) => tensor.copy_from_slice(&self.confidence),
            Some(TensorMut::F16(tensor)) => tensor.convert_from_f32_slice(&self.confidence),
            _ => {}
        }
        Ok(())
    }
}

/// The stylized frame as planar RGB in 0..=1: the tensor itself if it has that format, otherwise `planar`.
pub(super) fn stylized<'a>(
    tensor: TensorRef<'a>,
    format: &Format,
    place: &Placement,
    planar: &'a mut [f32],
) -> Result<&'a [f32]> {
    match tensor {
        TensorRef::F32(tensor) if format.is_canonical() => return Ok(tensor),
        TensorRef::F32(tensor) => to_planar(tensor, format, place.tensor, planar)?,
        TensorRef::F16(tensor) => to_planar(tensor, format, place.tensor, planar)?,
        TensorRef::U8(tensor) => to_planar(tensor, format, place.tensor, planar)?,
    }
    Ok(planar)
}
