//! A generator without a model.

use std::sync::{Arc, Mutex};

use anyhow::Result;
use gststyletransfer::inference::{Generator, TensorMut, TensorRef};
use gststyletransfer::model::Contract;
use gststyletransfer::model::contract::PictureTensor;
use gststyletransfer::tensor::layout::{Element, Format};

/// Copies its input: what a generator costs the core, without the generator.
pub struct Copier {
    contract: Contract,
    /// What it adds to the first value: NaN makes a broken stylized frame.
    pub flaw: Arc<Mutex<f32>>,
    input: Vec<f32>,
    output: Vec<f32>,
}

impl Copier {
    pub fn new(format: Format) -> Self {
        let picture = || PictureTensor { name: "x".into(), element: Element::F32, format, width: None, height: None };
        let contract = Contract { size_multiple: Some(4), ..Contract::plain(picture(), picture()) };
        Self { contract, flaw: Arc::default(), input: vec![], output: vec![] }
    }
}

impl Generator for Copier {
    fn contract(&self) -> &Contract {
        &self.contract
    }
    fn provider(&self) -> &str {
        "none"
    }
    fn bind(&mut self, width: usize, height: usize) -> Result<(usize, usize)> {
        self.input = vec![0.0; 3 * width * height];
        self.output = self.input.clone();
        Ok((width, height))
    }
    fn input(&mut self) -> TensorMut<'_> {
        TensorMut::F32(&mut self.input)
    }
    fn run(&mut self) -> Result<()> {
        self.output.copy_from_slice(&self.input);
        self.output[0] += *self.flaw.lock().unwrap();
        Ok(())
    }
    fn output(&self) -> TensorRef<'_> {
        TensorRef::F32(&self.output)
    }
}
