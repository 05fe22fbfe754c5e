//! Running a model: the seam between the stylizer and whatever computes.
//!
//! Comes in: filled input tensors. Goes out: the output tensor. With feature `onnx`, ONNX Runtime computes it.

use std::sync::Arc;

use anyhow::{Result, bail};
use half::f16;

use crate::model::Contract;

#[cfg(feature = "onnx")]
pub mod background;
#[cfg(feature = "onnx")]
mod binding;
#[cfg(feature = "onnx")]
mod cache;
#[cfg(feature = "onnx")]
mod child;
#[cfg(feature = "onnx")]
pub mod config;
#[cfg(feature = "onnx")]
mod declared;
#[cfg(feature = "onnx")]
mod digest;
#[cfg(feature = "onnx")]
pub mod engines;
#[cfg(feature = "onnx")]
mod errors;
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

/// An execution provider that could not be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Name of the provider.
    pub provider: &'static str,
    /// Why.
    pub reason: String,
}

/// Stops inferences of a generator from another thread.
pub trait Interrupt: Send + Sync {
    /// While `stop` is set, a running [`Generator::run`] ends with an error as soon as the provider looks, and a new one
    /// fails at once.
    fn interrupt(&self, stop: bool);
}

/// A loaded model. One thread at a time.
///
/// The input tensors belong to the caller between two runs: [`Generator::input`] and [`Generator::recurrent`] may be
/// written any number of times. [`Generator::run`] computes from what they hold **when it is called**, whatever an
/// implementation keeps on a device. [`Generator::output`] is that run's result and stays the same until the next run or
/// bind.
pub trait Generator: Send {
    /// Tensors of the model and how pixels map to them.
    fn contract(&self) -> &Contract;

    /// The execution provider in use, by the name that property `execution-provider` takes.
    fn provider(&self) -> &str;

    /// Providers that could not be used, since the last call.
    fn take_refusals(&mut self) -> Vec<Refusal> {
        Vec::new()
    }

    /// Whether the current style has an int8 variant that provider and precision ask for.
    fn has_int8(&self) -> bool {
        false
    }

    /// Prepares what does not depend on a size for the current style: the first [`Generator::bind`] is shorter then.
    fn prepare_style(&mut self) {}

    /// Makes tensors for pictures of `width` x `height` pixels and runs once; returns the size of the stylized frame. With
    /// `auto` the first call may move to another provider.
    ///
    /// # Errors
    /// The model does not run at this size.
    fn bind(&mut self, width: usize, height: usize) -> Result<(usize, usize)>;

    /// Waits for the fastest session of the bound size and the current style. Without this call that session replaces the
    /// general one when it is ready, or is not made where making it would delay frames.
    fn fit(&mut self) {}

    /// Sets one weight for each of `contract().styles`; a slice of another length is ignored. Called before every frame.
    fn set_style(&mut self, _weights: &[f32]) {}

    /// The input tensor of the bound size.
    fn input(&mut self) -> TensorMut<'_>;

    /// Inputs of a recurrent model, of the bound size: the previous stylized frame and the confidence in it. `None` for
    /// models without such inputs.
    fn recurrent(&mut self) -> Option<(TensorMut<'_>, Option<TensorMut<'_>>)> {
        None
    }

    /// Computes the output from the inputs as they are now.
    ///
    /// # Errors
    /// The runtime's.
    fn run(&mut self) -> Result<()>;

    /// The output tensor of the last run.
    fn output(&self) -> TensorRef<'_>;

    /// For inferences that fail again and again, as after a lost device: makes the session anew, at the bound size and with
    /// the current style. A second call without a successful [`Generator::run`] between, or a failure of the first, moves on
    /// to the next provider where the provider is `auto`; [`Generator::take_refusals`] then has the reason. May take as long
    /// as loading the model.
    ///
    /// # Errors
    /// No provider is left: everything stays as it was.
    fn recover(&mut self) -> Result<()> {
        bail!("execution provider '{}' cannot be started anew", self.provider())
    }

    /// A handle that stops a running inference; `None` where the provider cannot be stopped.
    fn interrupter(&self) -> Option<Arc<dyn Interrupt>> {
        None
    }
}
