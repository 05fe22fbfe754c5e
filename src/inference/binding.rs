//! A session with its tensors.
//!
//! Comes in: values in input tensors, which are made once for a size. Goes out: the output tensor of a run. Every input is
//! bound anew before every run, because a provider with memory of its own copies a value when it is bound and never again;
//! the CPU takes the same way, where a bind costs microseconds. The output is bound once: it is written after every run.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail};
use ort::memory::{AllocationDevice, AllocatorType, MemoryInfo, MemoryType};
use ort::session::{IoBinding, RunOptions, Session};

use crate::frame::size::Size;
use crate::inference::cache::{Shared, lock};
use crate::inference::config::SessionConfig;
use crate::inference::errors::plain;
use crate::inference::typed::Typed;
use crate::inference::{TensorMut, TensorRef};
use crate::model::Contract;
use crate::model::contract::{PictureTensor, ScalarInput};
use crate::model::recurrent::Recurrent;
use crate::model::sub_pixel::SubPixel;
use crate::style::picture::StyleImage;
use crate::tensor::layout::Element;
use crate::tensor::shuffle::pixel_shuffle;

/// A session and its tensors.
pub(super) struct Loaded {
    session: Shared,
    /// Inputs that do not depend on the frame's size: scalars, style picture, style weights.
    fixed: Vec<Input>,
    /// Stops a run.
    stop: Arc<RunOptions>,
    /// The pixel shuffle at the model's end, where the session leaves it out.
    tail: Option<SubPixel>,
    bound: Option<Bound>,
}

/// The tensors of one size.
struct Bound {
    binding: IoBinding,
    picture: Input,
    recurrent: Option<(Input, Option<Input>)>,
    output: Typed,
    shuffled: Option<Shuffled>,
}

/// Where the output is not the stylized frame yet.
struct Shuffled {
    stylized: Vec<f32>,
    /// Of each of the output's planes.
    columns: usize,
    crop: usize,
}

/// A tensor and the model's input that it is for.
struct Input {
    name: String,
    tensor: Typed,
}

impl Input {
    fn new(name: &str, element: Element, dims: &[i64], value: f32) -> Result<Self> {
        let mut tensor = Typed::new(element, dims)?;
        tensor.fill(value);
        Ok(Self { name: name.to_owned(), tensor })
    }
}

impl Loaded {
    /// A session and the inputs that stay the same from frame to frame.
    pub fn new(session: Shared, contract: &Contract, config: &SessionConfig, stop: Arc<RunOptions>) -> Result<Self> {
        Ok(Self { session, fixed: fixed_inputs(contract, config)?, stop, tail: None, bound: None })
    }

    /// The runtime's session.
    pub fn session(&self) -> &Shared {
        &self.session
    }

    /// The session's output is not the model's, but the tensor before its pixel shuffle.
    pub fn without_tail(mut self, tail: Option<&SubPixel>) -> Self {
        self.tail = tail.cloned();
        self
    }

    /// Adds the style weights.
    pub fn with_style_weights(mut self, contract: &Contract, weights: &[f32]) -> Result<Self> {
        if let Some(input) = &contract.style_weights {
            self.fixed.push(Input::new(&input.name, input.element, &input.dims, 0.0)?);
            self.set_fixed(&input.name, weights);
        }
        Ok(self)
    }

    /// Rewrites a fixed input.
    pub fn set_fixed(&mut self, name: &str, values: &[f32]) {
        if let Some(input) = self.fixed.iter_mut().find(|input| input.name == name) {
            input.tensor.copy_from(values);
        }
    }

    /// Makes tensors for a size and runs once; returns the size of the stylized frame.
    pub fn bind(&mut self, contract: &Contract, (width, height): Size) -> Result<Size> {
        self.bound = None;
        let (input, output) = (&contract.input, &contract.output);
        let picture = Input::new(&input.name, input.element, &input.dims(width, height), 0.0)?;
        let recurrent = contract.recurrent.as_ref().map(|r| recurrent_inputs(r, width, height)).transpose()?;
        let name = self.tail.as_ref().map_or(&output.name, |tail| &tail.tensor);
        let mut session = lock(&self.session);
        let mut binding = session.create_binding().map_err(plain)?;
        bind_inputs(&mut binding, frame_inputs(&picture, &recurrent).chain(&self.fixed))?;
        let dims = run_for_shape(&mut session, &mut binding, name, &self.stop)?;
        let size = match &self.tail {
            Some(tail) => {
                tail.size(&dims).with_context(|| format!("'{name}' has shape {dims:?}, expected [1, 12, h, w]"))?
            }
            None => picture_size(output, &dims)?,
        };
        let mut result = Typed::new(output.element, &dims)?;
        result.bind_as_output(&mut binding, name)?;
        let shuffled = self.tail.as_ref().map(|&SubPixel { crop, .. }| Shuffled {
            stylized: vec![0.0; 3 * size.0 * size.1],
            columns: size.0 / 2 + crop,
            crop,
        });
        self.bound = Some(Bound { binding, picture, recurrent, output: result, shuffled });
        Ok(size)
    }

    /// The picture input; empty before [`Loaded::bind`].
    pub fn input(&mut self) -> TensorMut<'_> {
        self.bound.as_mut().map_or(TensorMut::U8(&mut []), |bound| bound.picture.tensor.view_mut())
    }

    pub fn recurrent(&mut self) -> Option<(TensorMut<'_>, Option<TensorMut<'_>>)> {
        let (previous, confidence) = self.bound.as_mut()?.recurrent.as_mut()?;
        Some((previous.tensor.view_mut(), confidence.as_mut().map(|map| map.tensor.view_mut())))
    }

    /// Computes the output from the inputs as they are now.
    pub fn run(&mut self) -> Result<()> {
        let bound = self.bound.as_mut().context("no size has been bound")?;
        let mut session = lock(&self.session);
        bind_inputs(&mut bound.binding, frame_inputs(&bound.picture, &bound.recurrent).chain(&self.fixed))?;
        session.run_binding_with_options(&bound.binding, &self.stop).map_err(plain)?;
        match (&mut bound.shuffled, bound.output.view()) {
            (Some(Shuffled { stylized, columns, crop }), TensorRef::F32(planes)) => {
                pixel_shuffle(planes, *columns, *crop, stylized)
            }
            _ => Ok(()),
        }
    }

    /// The output of the last run; empty before [`Loaded::bind`].
    pub fn output(&self) -> TensorRef<'_> {
        self.bound.as_ref().map_or(TensorRef::U8(&[]), |bound| match &bound.shuffled {
            Some(Shuffled { stylized, .. }) => TensorRef::F32(stylized),
            None => bound.output.view(),
        })
    }
}

/// Passes the inputs' present values to the provider. Copies to a device may be asynchronous: they are waited for, since the
/// tensors are rewritten while the next frame is made ready.
fn bind_inputs<'a>(binding: &mut IoBinding, inputs: impl Iterator<Item = &'a Input>) -> Result<()> {
    for Input { name, tensor } in inputs {
        tensor.bind_as_input(binding, name).with_context(|| format!("input '{name}'"))?;
    }
    binding.synchronize_inputs().map_err(plain)
}

fn frame_inputs<'a>(
    picture: &'a Input,
    recurrent: &'a Option<(Input, Option<Input>)>,
) -> impl Iterator<Item = &'a Input> {
    let recurrent = recurrent.iter().flat_map(|(previous, confidence)| std::iter::once(previous).chain(confidence));
    std::iter::once(picture).chain(recurrent)
}

/// Runs once with an output that the runtime allocates, and returns the output's shape.
fn run_for_shape(
    session: &mut Session,
    binding: &mut IoBinding,
    output: &str,
    options: &RunOptions,
) -> Result<Vec<i64>> {
    let cpu = MemoryInfo::new(AllocationDevice::CPU, 0, AllocatorType::Device, MemoryType::CPUOutput)?;
    binding.bind_output_to_device(output, &cpu).map_err(plain)?;
    let dims = {
        let outputs = session.run_binding_with_options(binding, options).map_err(plain)?;
        outputs[output].dtype().tensor_shape().map(|s| s.to_vec()).unwrap_or_default()
    };
    binding.clear_outputs();
    Ok(dims)
}

/// Of zeros: there is no previous frame at first, and no confidence in one.
fn recurrent_inputs(recurrent: &Recurrent, width: usize, height: usize) -> Result<(Input, Option<Input>)> {
    let Recurrent { previous, confidence } = recurrent;
    let picture = Input::new(&previous.name, previous.element, &previous.dims(width, height), 0.0)?;
    let map = confidence.as_ref().map(|c| Input::new(&c.name, c.element, &c.dims(width, height), 0.0)).transpose()?;
    Ok((picture, map))
}

fn fixed_inputs(contract: &Contract, config: &SessionConfig) -> Result<Vec<Input>> {
    let scalar = |input: &ScalarInput| Input::new(&input.name, input.element, &input.dims, input.value);
    let mut list = contract.scalars.iter().map(scalar).collect::<Result<Vec<_>>>()?;
    match (&contract.style, &config.style_image) {
        (Some(style), Some(path)) => {
            list.push(Input { name: style.name.clone(), tensor: style_tensor(style, path)? });
        }
        (Some(style), None) => bail!("the model needs a style picture in '{}': set property 'style-image'", style.name),
        (None, Some(path)) => {
            bail!("property 'style-image' is '{}', but the model has no second picture input", path.display())
        }
        (None, None) => {}
    }
    Ok(list)
}

fn style_tensor(style: &PictureTensor, path: &Path) -> Result<Typed> {
    let picture = StyleImage::open(path, (style.width, style.height))?;
    let image = picture.view()?;
    let mut tensor = Typed::new(style.element, &style.dims(image.shape().width, image.shape().height))?;
    tensor.fill_with(&image, &style.format)?;
    Ok(tensor)
}

fn picture_size(output: &PictureTensor, dims: &[i64]) -> Result<Size> {
    let (c, y, x) = output.format.axes.positions();
    let wrong =
        || anyhow!("output '{}' has shape {dims:?}, expected a picture of layout {}", output.name, output.format.axes);
    if dims.len() != output.format.axes.rank() || dims[c] != 3 {
        return Err(wrong());
    }
    let side = |d: i64| usize::try_from(d).ok().filter(|d| *d > 0).ok_or_else(wrong);
    let size = (side(dims[x])?, side(dims[y])?);
    if dims.iter().product::<i64>() != 3 * dims[x] * dims[y] {
        return Err(wrong());
    }
    Ok(size)
}
