//! A tensor of one of the element types that pictures have, in memory of ONNX Runtime on the CPU.
//!
//! Comes in: an element type and a shape. Goes out: a tensor that is made once for a size, rewritten in place from frame to
//! frame, and bound: as an output once, as an input before every run.

use anyhow::Result;
use half::f16;
use ort::memory::Allocator;
use ort::session::IoBinding;
use ort::value::{DynTensor, PrimitiveTensorElementType, Tensor};

use crate::frame::image::Image;
use crate::frame::size::Size;
use crate::inference::{TensorMut, TensorRef};
use crate::model::contract::ScalarInput;
use crate::model::facts::ScalarType;
use crate::tensor::ingest::{Number, ingest};
use crate::tensor::layout::{Element, Format};
use crate::tensor::placement::Placement;
use crate::tensor::resize::Resizer;

/// The tensor.
pub(super) enum Typed {
    F32(Tensor<f32>),
    F16(Tensor<f16>),
    U8(Tensor<u8>),
}

/// Evaluates an expression for the tensor, whatever its type.
macro_rules! each {
    ($typed:expr, $tensor:ident => $body:expr) => {
        match $typed {
            Typed::F32($tensor) => $body,
            Typed::F16($tensor) => $body,
            Typed::U8($tensor) => $body,
        }
    };
}

impl Typed {
    pub fn new(element: Element, dims: &[i64]) -> Result<Self> {
        let allocator = Allocator::default();
        Ok(match element {
            Element::F32 => Typed::F32(Tensor::new(&allocator, dims)?),
            Element::F16 => Typed::F16(Tensor::new(&allocator, dims)?),
            Element::U8 => Typed::U8(Tensor::new(&allocator, dims)?),
        })
    }

    pub fn fill(&mut self, value: f32) {
        each!(self, t => t.extract_tensor_mut().1.fill(Number::from_f32(value)))
    }

    pub fn copy_from(&mut self, values: &[f32]) {
        each!(self, t => {
            for (to, from) in t.extract_tensor_mut().1.iter_mut().zip(values) {
                *to = Number::from_f32(*from);
            }
        })
    }

    /// Where the provider has memory of its own this copies: a tensor that is rewritten must be bound again.
    pub fn bind_as_input(&self, binding: &mut IoBinding, name: &str) -> Result<()> {
        Ok(each!(self, t => binding.bind_input(name, t))?)
    }

    pub fn bind_as_output(&mut self, binding: &mut IoBinding, name: &str) -> Result<()> {
        Ok(each!(self, t => binding.bind_output(name, &mut *t))?)
    }

    /// Writes a picture that fills the tensor.
    pub fn fill_with(&mut self, image: &Image<u8>, format: &Format) -> Result<()> {
        let size = (image.shape().width, image.shape().height);
        let place = Placement::centered(size, size);
        each!(self, t => ingest(image, t.extract_tensor_mut().1, format, &place))
    }

    /// Resizes the picture in it into another tensor.
    pub fn resize_into(&self, format: &Format, from: Size, (to, size): (&mut Self, Size), resizer: &mut Resizer) {
        each!(self, t => each!(to, u => {
            let from = format.view(t.extract_tensor().1, from.0, from.1);
            if let (Some(from), Some(mut to)) = (from, format.view_mut(u.extract_tensor_mut().1, size.0, size.1)) {
                resizer.resize(&from, &mut to);
            }
        }))
    }

    pub fn view(&self) -> TensorRef<'_> {
        match self {
            Typed::F32(t) => TensorRef::F32(t.extract_tensor().1),
            Typed::F16(t) => TensorRef::F16(t.extract_tensor().1),
            Typed::U8(t) => TensorRef::U8(t.extract_tensor().1),
        }
    }

    pub fn view_mut(&mut self) -> TensorMut<'_> {
        match self {
            Typed::F32(t) => TensorMut::F32(t.extract_tensor_mut().1),
            Typed::F16(t) => TensorMut::F16(t.extract_tensor_mut().1),
            Typed::U8(t) => TensorMut::U8(t.extract_tensor_mut().1),
        }
    }
}

/// A scalar input's value in the type that the model declares.
pub(super) fn scalar(input: &ScalarInput) -> Result<DynTensor> {
    fn filled<T: PrimitiveTensorElementType + Clone + std::fmt::Debug>(dims: &[i64], value: T) -> Result<DynTensor> {
        let mut tensor = Tensor::<T>::new(&Allocator::default(), dims)?;
        tensor.extract_tensor_mut().1.fill(value);
        Ok(tensor.upcast())
    }
    let ScalarInput { element, dims, value, .. } = input;
    match element {
        ScalarType::F32 => filled(dims, *value as f32),
        ScalarType::F16 => filled(dims, f16::from_f64(*value)),
        ScalarType::F64 => filled(dims, *value),
        ScalarType::I32 => filled(dims, *value as i32),
        ScalarType::I64 => filled(dims, *value as i64),
        ScalarType::Bool => filled(dims, *value != 0.0),
    }
}
