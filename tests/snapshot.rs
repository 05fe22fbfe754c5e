//! The core against a generator with memory of its own: inputs count as they are when a run begins, and as nothing afterwards.
//!
//! Such a provider copies its inputs when they are bound, at the beginning of a run. What the host's tensors held before is
//! gone: here they are overwritten after every bind and every run, so that a stylizer that left one unwritten, or wrote it
//! after the run, would show that.

use std::sync::{Arc, Mutex};

use anyhow::Result;
use gststyletransfer::frame::image::{Image, ImageMut, Shape};
use gststyletransfer::inference::{Generator, TensorMut, TensorRef};
use gststyletransfer::model::Contract;
use gststyletransfer::stylizer::{Controls, Outcome, Stylizer};
use gststyletransfer::temporal::stabilizer::Smoothing;
use gststyletransfer::tensor::layout::Format;

#[path = "common/copier.rs"]
mod copier;
use copier::Copier;

/// What a host tensor holds that nobody has written since.
const STALE: f32 = 0.25;

/// Copies the picture, from the device's copy of its input.
struct Device {
    contract: Contract,
    host: Vec<f32>,
    /// Bound: what the host's tensor held at that moment.
    device: Vec<f32>,
    output: Vec<f32>,
    weights: Vec<f32>,
    seen: Arc<Mutex<Vec<Vec<f32>>>>,
}

impl Device {
    fn new() -> Self {
        let contract = Copier::new(Format::CANONICAL).contract().clone();
        let (host, device, output, weights, seen) = Default::default();
        Self { contract, host, device, output, weights, seen }
    }

    fn bind_inputs(&mut self) {
        self.device.clone_from(&self.host);
        self.host.fill(STALE);
    }
}

impl Generator for Device {
    fn contract(&self) -> &Contract {
        &self.contract
    }
    fn provider(&self) -> &str {
        "device"
    }
    fn bind(&mut self, width: usize, height: usize) -> Result<(usize, usize)> {
        self.host = vec![0.0; 3 * width * height];
        self.output = self.host.clone();
        self.bind_inputs();
        Ok((width, height))
    }
    fn set_style(&mut self, weights: &[f32]) {
        self.weights = weights.to_vec();
    }
    fn input(&mut self) -> TensorMut<'_> {
        TensorMut::F32(&mut self.host)
    }
    fn run(&mut self) -> Result<()> {
        self.bind_inputs();
        self.output.clone_from(&self.device);
        self.seen.lock().unwrap().push(self.device.clone());
        Ok(())
    }
    fn output(&self) -> TensorRef<'_> {
        TensorRef::F32(&self.output)
    }
}

const SIZE: (usize, usize) = (20, 12);
const SHAPE: Shape = Shape { width: SIZE.0, height: SIZE.1, white: 255 };

/// A grey frame, stylized.
fn shown(stylizer: &mut Stylizer, grey: u8) -> Vec<u8> {
    let plane = vec![grey; SIZE.0 * SIZE.1];
    let (mut r, mut g, mut b) = (plane.clone(), plane.clone(), plane.clone());
    r.fill(0);
    let image = Image::new([&plane, &plane, &plane], [SIZE.0; 3], SHAPE).unwrap();
    let mut stylized = ImageMut::new([&mut r, &mut g, &mut b], [SIZE.0; 3], SHAPE).unwrap();
    let outcome = stylizer.process(&image, &mut stylized, Controls::every(Smoothing::OFF, None)).unwrap();
    assert!(matches!(outcome, Outcome::Stylized(_)));
    r
}

#[test]
fn every_run_sees_the_frame_that_was_written_for_it() {
    let device = Device::new();
    let seen = device.seen.clone();
    let mut stylizer = Stylizer::new(Box::new(device));
    stylizer.prepare(SIZE).unwrap();
    stylizer.warm_up().unwrap();
    // The same picture twice: it must be written twice.
    for grey in [10, 200, 200, 77] {
        assert_eq!(shown(&mut stylizer, grey), vec![grey; SIZE.0 * SIZE.1]);
    }
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), 5);
    assert!(seen[1..].iter().flatten().all(|value| *value != STALE), "every value of the tensor was written");
}
