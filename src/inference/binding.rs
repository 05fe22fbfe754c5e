//! A session with its tensors: inputs and outputs are made and bound once per size and reused.

use std::path::Path;

use anyhow::{Context, Result, bail};
use ort::memory::{AllocationDevice, AllocatorType, MemoryInfo, MemoryType};
use ort::session::IoBinding;
use ort::value::DynTensor;

use crate::frame::size::Size;
use crate::inference::cache::{Shared, lock};
use crate::inference::config::SessionConfig;
use crate::inference::typed::{Typed, scalar};
use crate::inference::{TensorMut, TensorRef};
use crate::model::Contract;
use crate::model::contract::{FrameCopy, PictureTensor};
use crate::model::recurrent::Recurrent;
use crate::model::sub_pixel::SubPixel;
use crate::style::picture::StyleImage;
use crate::tensor::layout::Format;
use crate::tensor::resize::Resizer;
use crate::tensor::shuffle::pixel_shuffle;

/// The session.
pub(super) struct Loaded {
    session: Shared,
    fixed: Vec<(String, Typed)>,
    scalars: Vec<(String, DynTensor)>,
    /// What the session leaves to do.
    tail: Option<SubPixel>,
    bound: Option<Bound>,
}

struct Bound {
    binding: IoBinding,
    input: Typed,
    copy: Option<CopyOfFrame>,
    recurrent: Option<(Typed, Option<Typed>)>,
    output: Typed,
    picture: PictureTensor,
    shuffled: Option<Shuffled>,
}

/// The input that takes the frame once more.
struct CopyOfFrame {
    tensor: Typed,
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

impl Loaded {
    /// A session and the inputs that stay the same from frame to frame.
    pub fn new(session: Shared, contract: &Contract, config: &SessionConfig) -> Result<Self> {
        let scalars: Result<Vec<_>> = contract.scalars.iter().map(|s| Ok((s.name.clone(), scalar(s)?))).collect();
        Ok(Self { session, fixed: fixed_inputs(contract, config)?, scalars: scalars?, tail: None, bound: None })
    }

    #[cfg(test)]
    pub fn session(&self) -> &Shared {
        &self.session
    }

    /// The session's output is not the model's, but what comes before its shuffle of pixels.
    pub fn without_tail(mut self, tail: Option<&SubPixel>) -> Self {
        self.tail = tail.cloned();
        self
    }

    /// Adds the style weights, the first style alone.
    pub fn with_style_weights(mut self, contract: &Contract) -> Result<Self> {
        if let Some(weights) = &contract.style_weights {
            self.fixed.push((weights.name.clone(), Typed::new(weights.element, &weights.dims)?));
            self.set_fixed(&weights.name, &weights.first());
        }
        Ok(self)
    }

    /// Rewrites a fixed input in place.
    pub fn set_fixed(&mut self, name: &str, values: &[f32]) {
        if let Some((_, tensor)) = self.fixed.iter_mut().find(|(n, _)| n == name) {
            tensor.copy_from(values);
        }
    }

    /// Makes tensors for a size and runs once; returns the size of the stylized frame.
    pub fn bind(&mut self, contract: &Contract, width: usize, height: usize) -> Result<(usize, usize)> {
        self.bound = None;
        let input = &contract.input;
        let mut session = lock(&self.session);
        let mut binding = session.create_binding()?;
        let mut tensor = Typed::new(input.element, &input.dims(width, height))?;
        tensor.fill(0.0);
        tensor.bind_as_input(&mut binding, &input.name)?;
        let recurrent =
            contract.recurrent.as_ref().map(|r| recurrent_inputs(r, &mut binding, width, height)).transpose()?;
        let copy = contract.copy.as_ref().map(|c| copy_of_frame(c, &mut binding, (width, height))).transpose()?;
        for (name, value) in &self.fixed {
            value.bind_as_input(&mut binding, name)?;
        }
        for (name, value) in &self.scalars {
            binding.bind_input(name, value)?;
        }
        let cpu = MemoryInfo::new(AllocationDevice::CPU, 0, AllocatorType::Device, MemoryType::CPUOutput)?;
        let name = self.tail.as_ref().map_or(&contract.output.name, |tail| &tail.tensor);
        binding.bind_output_to_device(name, &cpu)?;
        let dims = {
            let outputs = session.run_binding(&binding)?;
            outputs[name.as_str()].dtype().tensor_shape().map(|s| s.to_vec()).unwrap_or_default()
        };
        let (output, size) = match &self.tail {
            Some(tail) => (contract.output.clone(), tail.size(&dims)),
            None => contract.output_as(&dims).map(|output| (output.clone(), output.size(&dims)))?,
        };
        let size = size.with_context(|| format!("'{name}' came out as {dims:?}, not as [1, 12, h, w]"))?;
        binding.clear_outputs();
        let mut result = Typed::new(output.element, &dims)?;
        result.bind_as_output(&mut binding, name)?;
        let shuffled = self.tail.as_ref().map(|&SubPixel { crop, .. }| Shuffled {
            stylized: vec![0.0; 3 * size.0 * size.1],
            columns: size.0 / 2 + crop,
            crop,
        });
        self.bound = Some(Bound { binding, input: tensor, copy, recurrent, output: result, picture: output, shuffled });
        Ok(size)
    }

    /// The output as the first run gave it.
    pub fn picture(&self) -> Option<&PictureTensor> {
        self.bound.as_ref().map(|bound| &bound.picture)
    }

    pub fn input(&mut self) -> TensorMut<'_> {
        self.bound.as_mut().map_or(TensorMut::U8(&mut []), |bound| bound.input.view_mut())
    }

    pub fn recurrent(&mut self) -> Option<(TensorMut<'_>, Option<TensorMut<'_>>)> {
        let (previous, confidence) = self.bound.as_mut()?.recurrent.as_mut()?;
        Some((previous.view_mut(), confidence.as_mut().map(Typed::view_mut)))
    }

    pub fn run(&mut self) -> Result<()> {
        let bound = self.bound.as_mut().context("no size has been bound")?;
        if let Some(copy) = &mut bound.copy {
            bound.input.resize_into(&copy.format, copy.frame, (&mut copy.tensor, copy.size), &mut copy.resizer);
        }
        lock(&self.session).run_binding(&bound.binding)?;
        match (&mut bound.shuffled, bound.output.view()) {
            (Some(Shuffled { stylized, columns, crop }), TensorRef::F32(planes)) => {
                pixel_shuffle(planes, *columns, *crop, stylized)
            }
            _ => Ok(()),
        }
    }

    pub fn output(&self) -> TensorRef<'_> {
        self.bound.as_ref().map_or(TensorRef::U8(&[]), |bound| match &bound.shuffled {
            Some(Shuffled { stylized, .. }) => TensorRef::F32(stylized),
            None => bound.output.view(),
        })
    }
}

fn copy_of_frame(copy: &FrameCopy, binding: &mut IoBinding, frame: Size) -> Result<CopyOfFrame> {
    let (FrameCopy { tensor: picture, .. }, size) = (copy, copy.size(frame));
    let mut tensor = Typed::new(picture.element, &picture.dims(size.0, size.1))?;
    tensor.fill(0.0);
    tensor.bind_as_input(binding, &picture.name)?;
    Ok(CopyOfFrame { tensor, format: picture.format, frame, size, resizer: Resizer::new(frame, size) })
}

/// Made of zeros: at first there is nothing that was shown.
fn recurrent_inputs(
    recurrent: &Recurrent,
    binding: &mut IoBinding,
    width: usize,
    height: usize,
) -> Result<(Typed, Option<Typed>)> {
    let mut make = |name: &str, element, dims: &[i64]| -> Result<Typed> {
        let mut tensor = Typed::new(element, dims)?;
        tensor.fill(0.0);
        tensor.bind_as_input(binding, name)?;
        Ok(tensor)
    };
    let Recurrent { previous, confidence } = recurrent;
    let picture = make(&previous.name, previous.element, &previous.dims(width, height))?;
    let map = confidence.as_ref().map(|c| make(&c.name, c.element, &c.dims(width, height))).transpose()?;
    Ok((picture, map))
}

fn fixed_inputs(contract: &Contract, config: &SessionConfig) -> Result<Vec<(String, Typed)>> {
    let mut list = Vec::new();
    match (&contract.style, &config.style_image) {
        (Some(style), Some(path)) => list.push((style.name.clone(), style_tensor(style, path)?)),
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
