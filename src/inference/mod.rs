//! Running a model: the seam between the stylizer and whatever computes.
//!
//! Comes in: a filled input tensor. Goes out: the output tensor. With feature `onnx`, ONNX Runtime does it.

use anyhow::Result;
use half::f16;

use crate::model::Contract;

#[cfg(feature = "onnx")]
mod binding;
#[cfg(feature = "onnx")]
mod cache;
#[cfg(feature = "onnx")]
pub mod config;
#[cfg(feature = "onnx")]
mod declared;
#[cfg(feature = "onnx")]
pub mod library;
pub mod log;
#[cfg(feature = "onnx")]
pub mod providers;
#[cfg(feature = "onnx")]
pub mod session;
#[cfg(feature = "onnx")]
mod specialization;
#[cfg(feature = "onnx")]
mod typed;

/// A tensor's elements, writable.
pub enum TensorMut<'a> {
    /// 32 bit floats.
    F32(&'a mut [f32]),
    /// 16 bit floats.
    F16(&'a mut [f16]),
    /// Bytes.
    U8(&'a mut [u8]),
}

/// A tensor's elements.
pub enum TensorRef<'a> {
    /// 32 bit floats.
    F32(&'a [f32]),
    /// 16 bit floats.
    F16(&'a [f16]),
    /// Bytes.
    U8(&'a [u8]),
}

/// An execution provider that was tried in vain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Name of the provider.
    pub provider: &'static str,
    /// Why.
    pub reason: String,
}

/// A loaded model. One thread at a time.
pub trait Generator: Send {
    /// What the model wants and gives.
    fn contract(&self) -> &Contract;

    /// The execution provider that computes, by the name that property `execution-provider` takes.
    fn provider(&self) -> &str;

    /// Providers that were tried in vain since this was last asked.
    fn take_refusals(&mut self) -> Vec<Refusal> {
        Vec::new()
    }

    /// Whether the style that was set has an int8 variant which the provider and the precision call for.
    fn has_int8(&self) -> bool {
        false
    }

    /// Makes what does not depend on a size for the style that was set, so that the first [`Generator::bind`] takes less.
    fn prepare_style(&mut self) {}

    /// Makes tensors for pictures of `width` x `height` and runs once; returns the size of the stylized frame. Another provider
    /// may compute from the first such call on.
    ///
    /// # Errors
    /// The model cannot work at this size.
    fn bind(&mut self, width: usize, height: usize) -> Result<(usize, usize)>;

    /// Waits until what is fastest at the bound size and for the style that was set is ready. Else that comes into use when
    /// it is ready, beside the first frames, or not at all where it would hold them up.
    fn fit(&mut self) {}

    /// Sets the weights of the model's styles; one for each of `contract().styles`, else they are ignored. Called before
    /// every frame.
    fn set_style(&mut self, _weights: &[f32]) {}

    /// The input tensor of the size last bound.
    fn input(&mut self) -> TensorMut<'_>;

    /// The inputs of a recurrent model, of the size last bound: the previous picture and the confidence in it. `None`
    /// for models that have no such input.
    fn recurrent(&mut self) -> Option<(TensorMut<'_>, Option<TensorMut<'_>>)> {
        None
    }

    /// Computes the output from the input.
    ///
    /// # Errors
    /// What the runtime reports.
    fn run(&mut self) -> Result<()>;

    /// The output tensor of the last run.
    fn output(&self) -> TensorRef<'_>;
}
