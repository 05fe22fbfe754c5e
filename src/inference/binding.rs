//! A session with its tensors.
//!
//! Comes in: values in input tensors, which are made once for a size. Goes out: the output tensor of a run. Every input is
//! bound anew before every run, because a provider with memory of its own copies a value when it is bound and never again;
//! the CPU takes the same way, where a bind costs microseconds. The output is bound once: it is written after every run.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use ort::memory::{AllocationDevice, AllocatorType, MemoryInfo, MemoryType};
use ort::session::{IoBinding, RunOptions, Session};
use ort::value::DynTensor;

use crate::frame::size::Size;
use crate::inference::cache::Shared;
use crate::inference::config::SessionConfig;
use crate::inference::errors::plain;
use crate::inference::typed::{Typed, scalar};
use crate::inference::{TensorMut, TensorRef};
use crate::model::Contract;
use crate::model::contract::{FrameCopy, PictureTensor};
use crate::model::recurrent::Recurrent;
use crate::model::sub_pixel::SubPixel;
use crate::style::picture::StyleImage;
use crate::tensor::layout::{Element, Format};
use crate::tensor::resize::Resizer;
use crate::tensor::shuffle::pixel_shuffle;

/// A session and its tensors.
pub(super) struct Loaded {
    session: Shared,
    /// Inputs that do not depend on the frame's size: style picture and style weights.
    fixed: Vec<Input>,
    /// Numbers and flags.
    scalars: Vec<(String, DynTensor)>,
    /// Stops a run.
    stop: Arc<RunOptions>,
    /// The pixel shuffle at the model's end, where the session leaves it out.
    tail: Option<SubPixel>,
    bound: Option<Bound>,
}

/// The tensors of one size.
struct Bound {
    binding: IoBinding,
    frame: FrameInputs,
    output: Typed,
    /// The output as the first run gave it.
    picture: PictureTensor,
    shuffled: Option<Shuffled>,
}

/// Inputs of the frame's size.
struct FrameInputs {
    picture: Input,
    copy: Option<CopyOfFrame>,
    recurrent: Option<(Input, Option<Input>)>,
}

/// The input that takes the frame once more, at another size.
struct CopyOfFrame {
    input: Input,
    format: Format,
    frame: Size,
    size: Size,
    resizer: Resizer,
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
        let scalars = contract.scalars.iter().map(|s| Ok((s.name.clone(), scalar(s)?))).collect::<Result<_>>()?;
        Ok(Self { session, fixed: fixed_inputs(contract, config)?, scalars, stop, tail: None, bound: None })
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
    pub fn bind(&mut self, contract: &Contract, size: Size) -> Result<Size> {
        self.unbind();
        let frame = FrameInputs::new(contract, size)?;
        let name = self.tail.as_ref().map_or(&contract.output.name, |tail| &tail.tensor);
        let (bound, size) = self.session.with(|session| {
            let mut binding = session.create_binding().map_err(plain)?;
            bind_inputs(&mut binding, frame.all().chain(&self.fixed), &self.scalars)?;
            let dims = run_for_shape(session, &mut binding, name, &self.stop)?;
            let (picture, size) = match &self.tail {
                Some(tail) => (contract.output.clone(), tail.size(&dims)),
                None => contract.output_as(&dims).map(|output| (output.clone(), output.size(&dims)))?,
            };
            let size = size.with_context(|| format!("'{name}' has shape {dims:?}, expected [1, 12, h, w]"))?;
            let mut output = Typed::new(picture.element, &dims)?;
            output.bind_as_output(&mut binding, name)?;
            let shuffled = self.tail.as_ref().map(|tail| Shuffled::new(tail, size));
            Ok((Bound { binding, frame, output, picture, shuffled }, size))
        })?;
        self.bound = Some(bound);
        Ok(size)
    }

    /// Drops the tensors, the provider's copies among them.
    fn unbind(&mut self) {
        let _turn = self.session.turn();
        self.bound = None;
    }

    /// The output as the first run gave it.
    pub fn picture(&self) -> Option<&PictureTensor> {
        self.bound.as_ref().map(|bound| &bound.picture)
    }

    /// The picture input; empty before [`Loaded::bind`].
    pub fn input(&mut self) -> TensorMut<'_> {
        self.bound.as_mut().map_or(TensorMut::U8(&mut []), |bound| bound.frame.picture.tensor.view_mut())
    }

    pub fn recurrent(&mut self) -> Option<(TensorMut<'_>, Option<TensorMut<'_>>)> {
        let (previous, confidence) = self.bound.as_mut()?.frame.recurrent.as_mut()?;
        Some((previous.tensor.view_mut(), confidence.as_mut().map(|map| map.tensor.view_mut())))
    }

    /// Computes the output from the inputs as they are now.
    pub fn run(&mut self) -> Result<()> {
        let bound = self.bound.as_mut().context("no size has been bound")?;
        bound.frame.copy_picture();
        self.session.with(|session| {
            bind_inputs(&mut bound.binding, bound.frame.all().chain(&self.fixed), &self.scalars)?;
            session.run_binding_with_options(&bound.binding, &self.stop).map(|_| ()).map_err(plain)
        })?;
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

impl Drop for Loaded {
    fn drop(&mut self) {
        self.unbind();
    }
}

impl Shuffled {
    fn new(tail: &SubPixel, (width, height): Size) -> Self {
        Self { stylized: vec![0.0; 3 * width * height], columns: width / 2 + tail.crop, crop: tail.crop }
    }
}

/// Passes the inputs' present values to the provider. Copies to a device may be asynchronous: they are waited for, since the
/// tensors are rewritten while the next frame is made ready.
fn bind_inputs<'a>(
    binding: &mut IoBinding,
    inputs: impl Iterator<Item = &'a Input>,
    scalars: &[(String, DynTensor)],
) -> Result<()> {
    for Input { name, tensor } in inputs {
        tensor.bind_as_input(binding, name).with_context(|| format!("input '{name}'"))?;
    }
    for (name, value) in scalars {
        binding.bind_input(name, value).map_err(plain).with_context(|| format!("input '{name}'"))?;
    }
    binding.synchronize_inputs().map_err(plain)
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
    let shape = |options: &RunOptions, session: &mut Session| -> Result<Vec<i64>> {
        let outputs = session.run_binding_with_options(binding, options).map_err(plain)?;
        Ok(outputs[output].dtype().tensor_shape().map(|s| s.to_vec()).unwrap_or_default())
    };
    // A session without an arena refuses to shrink it.
    let dims = match shrinking().and_then(|options| shape(&options, session)) {
        Ok(dims) => dims,
        Err(_) => shape(options, session)?,
    };
    binding.clear_outputs();
    Ok(dims)
}

/// Options of a run after which the runtime's arena gives back what is not in use: the memory of a larger size before.
fn shrinking() -> Result<RunOptions> {
    let mut options = RunOptions::new().map_err(plain)?;
    options.set("memory.enable_memory_arena_shrinkage", "cpu:0").map_err(plain)?;
    Ok(options)
}

impl FrameInputs {
    /// Of zeros: there is no previous frame at first, and no confidence in one.
    fn new(contract: &Contract, (width, height): Size) -> Result<Self> {
        let picture =
            |p: &PictureTensor, (width, height): Size| Input::new(&p.name, p.element, &p.dims(width, height), 0.0);
        let copy = |copy: &FrameCopy| -> Result<CopyOfFrame> {
            let (frame, size) = ((width, height), copy.size((width, height)));
            let input = picture(&copy.tensor, size)?;
            Ok(CopyOfFrame { input, format: copy.tensor.format, frame, size, resizer: Resizer::new(frame, size) })
        };
        let recurrent = |Recurrent { previous, confidence }: &Recurrent| -> Result<_> {
            let map = confidence.as_ref().map(|c| Input::new(&c.name, c.element, &c.dims(width, height), 0.0));
            Ok((picture(previous, (width, height))?, map.transpose()?))
        };
        Ok(Self {
            picture: picture(&contract.input, (width, height))?,
            copy: contract.copy.as_ref().map(copy).transpose()?,
            recurrent: contract.recurrent.as_ref().map(recurrent).transpose()?,
        })
    }

    fn all(&self) -> impl Iterator<Item = &Input> {
        let recurrent = self.recurrent.iter().flat_map(|(previous, map)| std::iter::once(previous).chain(map));
        std::iter::once(&self.picture).chain(self.copy.iter().map(|copy| &copy.input)).chain(recurrent)
    }

    /// Writes the frame, resized, into the input that takes it once more.
    fn copy_picture(&mut self) {
        if let Some(CopyOfFrame { input, format, frame, size, resizer }) = &mut self.copy {
            self.picture.tensor.resize_into(format, *frame, (&mut input.tensor, *size), resizer);
        }
    }
}

fn fixed_inputs(contract: &Contract, config: &SessionConfig) -> Result<Vec<Input>> {
    let mut list = Vec::new();
    match (&contract.style, &config.style_image) {
        (Some(style), Some(path)) => {
            list.push(Input { name: style.name.clone(), tensor: style_tensor(style, path)? });
        }
        (Some(style), None) => {
            bail!("input '{}' of the model takes a style picture: set property 'style-image'", style.name)
        }
        (None, Some(path)) => {
            bail!("property 'style-image' is '{}', but no input of the model takes a style picture", path.display())
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
