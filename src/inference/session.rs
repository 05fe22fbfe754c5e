//! A model on ONNX Runtime: from file and choices to a [`Generator`].
//!
//! A model is loaded twice: once as it is, for every size and, where it has several styles, for the time of a fade; and
//! once for one size, with the weights that are wanted as constants, which the runtime folds into the convolutions: about
//! a third faster together. Where the provider is faster with 8 bit integers and the style has such a variant, that takes
//! the place of the second.

use std::thread::JoinHandle;

use anyhow::{Context, Result, anyhow};

use crate::frame::size::Size;
use crate::inference::binding::Loaded;
use crate::inference::cache::{Shared, lock};
use crate::inference::config::{ModelSource, SessionConfig};
use crate::inference::declared::{Sizes, settle, symbols};
use crate::inference::providers::Provider;
use crate::inference::providers::choice::Choice;
use crate::inference::specialization::{Recipe, commit};
use crate::inference::{Generator, Refusal, TensorMut, TensorRef, library};
use crate::model::Contract;

/// A model in an ONNX Runtime session.
pub struct OrtGenerator {
    recipe: Recipe,
    general: Loaded,
    weights: Vec<f32>,
    /// Whether a style at rest, or a size, has a session of its own: asked once, since it may look for files.
    folds: bool,
    /// Whether it is of another model file than the general one; asked once for the same reason.
    is_other: bool,
    /// That session, once it is ready.
    folded: Folded,
    /// Whether it was made for the size alone, or cannot be.
    fitted: bool,
    /// Its runtime session, made before a size was known.
    ahead: Option<Shared>,
    /// Threads whose answer is not wanted any more.
    late: Vec<JoinHandle<Result<Loaded>>>,
    /// Of a picture, and of its stylized frame.
    size: Option<(Size, Size)>,
    choice: Choice,
}

enum Folded {
    /// The weights are moving, or this model or provider has no use for it.
    Without,
    /// On its way, from a thread of its own; perhaps one for any size computes meanwhile.
    Coming(JoinHandle<Result<Loaded>>, Option<Box<Loaded>>),
    /// Stylizes.
    Ready(Box<Loaded>),
    /// Could not be had: the general session goes on.
    Failed,
}

impl OrtGenerator {
    /// Loads a model on the provider asked for, or, with `auto`, on the first that can be had.
    ///
    /// # Errors
    /// No ONNX Runtime, a bad file, a model that is no style model, a provider that cannot be had.
    pub fn load(source: &ModelSource, config: &SessionConfig) -> Result<Self> {
        let environment = library::environment(config.plugin_folder.as_deref())?;
        let (file, hints) = source.read()?;
        let mut choice = Choice::new(config)?;
        let (recipe, general) = choice.first(|provider| {
            let session = commit(environment, provider, config, &file, &Sizes::new()).with_context(|| {
                format!("{source} on execution provider '{}' ({})", provider.name, provider.hardware)
            })?;
            let contract = settle(&lock(&session), &config.overrides, &hints).with_context(|| source.to_string())?;
            let symbols = symbols(&lock(&session), &contract);
            let general = Loaded::new(session, &contract, config)?.with_style_weights(&contract)?;
            let (source, config, file) = (source.clone(), config.clone(), file.clone());
            Ok((Recipe { source, environment, provider, config, file, contract, symbols }, general))
        })?;
        let weights = recipe.contract.style_weights.as_ref().map(|w| w.first()).unwrap_or_default();
        let (folds, is_other) = (recipe.can_fold(), recipe.is_other());
        let (folded, fitted, late) = (Folded::Without, false, vec![]);
        Ok(Self { choice, recipe, general, weights, folds, is_other, folded, fitted, ahead: None, late, size: None })
    }

    /// The row of the table that computes.
    pub fn provider_row(&self) -> &'static Provider {
        self.recipe.provider
    }

    /// The provider that was not waited for: it would take minutes to prepare.
    pub fn postponed(&self) -> Option<&'static str> {
        self.choice.postponed
    }

    /// Takes the next provider on which the model runs at this size, after the present one had a `problem` with its first
    /// run. If there is none, everything stays as it was: then it may be the size.
    fn fall_back(&mut self, problem: anyhow::Error, width: usize, height: usize) -> Result<(usize, usize)> {
        let mut choice = self.choice.clone();
        choice.refuse(self.recipe.provider, &problem);
        let found = choice.first(|provider| {
            let recipe = Recipe { provider, ..self.recipe.clone() };
            let (contract, config) = (&recipe.contract, &recipe.config);
            let session = commit(recipe.environment, provider, config, &recipe.file, &Sizes::new())?;
            let mut general = Loaded::new(session, contract, config)?.with_style_weights(contract)?;
            if let Some(input) = &contract.style_weights {
                general.set_fixed(&input.name, &self.weights);
            }
            let size = general.bind(contract, width, height)?;
            Ok((recipe, general, size))
        });
        let Ok((recipe, general, size)) = found else { return Err(problem) };
        (self.folds, self.is_other) = (recipe.can_fold(), recipe.is_other());
        (self.choice, self.recipe, self.general) = (choice, recipe, general);
        Ok(size)
    }

    fn active(&mut self) -> &mut Loaded {
        match &mut self.folded {
            Folded::Ready(folded) | Folded::Coming(_, Some(folded)) => folded,
            _ => &mut self.general,
        }
    }

    /// Orders the session for style and size once the weights stand still, and takes it up when it is there. Where that
    /// would hold up frames (`at_leisure`: none wait), only for the style.
    fn settle_down(&mut self, at_leisure: bool) {
        let Some(size) = self.size.filter(|_| self.folds) else { return };
        let fits = at_leisure || self.recipe.is_light();
        self.folded = match std::mem::replace(&mut self.folded, Folded::Without) {
            Folded::Without if fits || self.is_other => self.order(size, None),
            Folded::Ready(folded) if fits && !self.fitted => self.order(size, Some(folded)),
            Folded::Coming(thread, meanwhile) if thread.is_finished() => ready(answer(thread), meanwhile),
            same => same,
        };
        self.late.retain(|thread| !thread.is_finished());
    }

    fn order(&mut self, size: (Size, Size), meanwhile: Option<Box<Loaded>>) -> Folded {
        self.fitted = true;
        let (recipe, weights, sizes) = (self.recipe.clone(), self.weights.clone(), self.recipe.sizes(size.0));
        if sizes.is_empty()
            && let Some(folded) = meanwhile
        {
            return Folded::Ready(folded);
        }
        let work = move || recipe.folded(&weights, size, &sizes);
        match std::thread::Builder::new().name("styletransfer-style".into()).spawn(work) {
            Ok(thread) => Folded::Coming(thread, meanwhile),
            Err(problem) => ready(Err(problem.into()), meanwhile),
        }
    }

    /// Size or weights are others: what was folded, or is being folded, is of no use as it is.
    fn unfold(&mut self) -> Option<Box<Loaded>> {
        self.fitted = false;
        match std::mem::replace(&mut self.folded, Folded::Without) {
            Folded::Coming(thread, meanwhile) => {
                self.late.push(thread);
                meanwhile
            }
            Folded::Ready(folded) => Some(folded),
            Folded::Without | Folded::Failed => None,
        }
    }
}

/// No thread may be inside ONNX Runtime when the process ends.
impl Drop for OrtGenerator {
    fn drop(&mut self) {
        self.unfold();
        for thread in self.late.drain(..) {
            drop(answer(thread));
        }
    }
}

fn answer(thread: JoinHandle<Result<Loaded>>) -> Result<Loaded> {
    thread.join().unwrap_or_else(|_| Err(anyhow!("its thread ended early")))
}

/// What computes from now on: the answer, else what has computed meanwhile.
fn ready(answer: Result<Loaded>, meanwhile: Option<Box<Loaded>>) -> Folded {
    match answer {
        Ok(loaded) => Folded::Ready(Box::new(loaded)),
        Err(problem) => {
            crate::inference::log::note(&format!("no session for this style and size alone: {problem:#}"));
            meanwhile.map_or(Folded::Failed, Folded::Ready)
        }
    }
}

impl Generator for OrtGenerator {
    fn contract(&self) -> &Contract {
        &self.recipe.contract
    }

    fn provider(&self) -> &str {
        self.recipe.provider.name
    }

    fn take_refusals(&mut self) -> Vec<Refusal> {
        std::mem::take(&mut self.choice.refusals)
    }

    fn has_int8(&self) -> bool {
        self.recipe.has_int8(&self.weights)
    }

    fn prepare_style(&mut self) {
        self.ahead = self.folds.then(|| self.recipe.folded_session(&self.weights).ok()).flatten();
    }

    fn bind(&mut self, width: usize, height: usize) -> Result<(usize, usize)> {
        let size = match self.general.bind(&self.recipe.contract, width, height) {
            Err(problem) if self.size.is_none() => self.fall_back(problem, width, height)?,
            bound => bound?,
        };
        if let Some(output) = self.general.picture().filter(|_| self.recipe.contract.open_output.is_some()) {
            let layout = output.format.axes;
            crate::inference::log::note(&format!("the first run gives output '{}' layout {layout}", output.name));
            self.recipe.contract.settle_output(output.clone());
        }
        let sizes = ((width, height), size);
        self.size = Some(sizes);
        // Held until the next one is made: that shares its session, if it is the same style's.
        let before = self.unfold();
        // Here the stream waits anyway; from the first frame on every frame of a style is stylized alike.
        self.folded = match self.folds && self.is_other {
            true => ready(self.recipe.folded(&self.weights, sizes, &Sizes::new()), None),
            false => Folded::Without,
        };
        self.ahead = None;
        drop(before);
        Ok(size)
    }

    fn set_style(&mut self, weights: &[f32]) {
        if weights == self.weights {
            return self.settle_down(false);
        }
        if weights.len() != self.weights.len() {
            return;
        }
        self.weights.copy_from_slice(weights);
        self.ahead = None;
        if let Some(input) = &self.recipe.contract.style_weights {
            self.general.set_fixed(&input.name, weights);
        }
        self.unfold();
    }

    fn fit(&mut self) {
        self.settle_down(true);
        self.folded = match std::mem::replace(&mut self.folded, Folded::Without) {
            Folded::Coming(thread, meanwhile) => ready(answer(thread), meanwhile),
            same => same,
        };
    }

    fn input(&mut self) -> TensorMut<'_> {
        self.active().input()
    }

    fn recurrent(&mut self) -> Option<(TensorMut<'_>, Option<TensorMut<'_>>)> {
        self.active().recurrent()
    }

    fn run(&mut self) -> Result<()> {
        self.active().run()
    }

    fn output(&self) -> TensorRef<'_> {
        match &self.folded {
            Folded::Ready(folded) | Folded::Coming(_, Some(folded)) => folded.output(),
            _ => self.general.output(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::built_in::MODELS;

    #[test]
    fn another_size_keeps_the_session_of_the_style() {
        let config = SessionConfig { provider: "cpu".into(), ..SessionConfig::default() };
        let mut generator = OrtGenerator::load(&ModelSource::Embedded(&MODELS[0]), &config).unwrap();
        let mut bound = |width, height| {
            generator.bind(width, height).unwrap();
            Arc::downgrade(generator.active().session())
        };
        let first = bound(64, 48);
        let second = bound(96, 64);
        assert!(first.upgrade().is_some() && first.ptr_eq(&second));
    }
}
