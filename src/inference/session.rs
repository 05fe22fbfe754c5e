//! A model on ONNX Runtime.
//!
//! Comes in: a model and the user's settings. Goes out: a [`Generator`]. A model is loaded twice: once as it is, for every
//! size and, where it has several styles, for the time of a fade; and once for one size, with the current style weights as
//! constants, which the runtime folds into the convolutions: about a third faster together. Where the provider is faster
//! with 8 bit integers and the style has such a variant, that takes the place of the second. A provider that takes fixed
//! shapes only has one session, for the frame's size.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail, ensure};
use ort::session::{RunOptions, Session};

use crate::frame::size::Size;
use crate::inference::background::{Task, spawn};
use crate::inference::binding::Loaded;
use crate::inference::cache::{Shared, forget};
use crate::inference::config::{ModelSource, SessionConfig};
use crate::inference::declared::{Fixed, open, settle};
use crate::inference::digest::Model;
use crate::inference::providers::choice::Choice;
use crate::inference::providers::{Precision, Provider, Shapes};
use crate::inference::specialization::{Maker, Recipe};
use crate::inference::{Generator, Interrupt, Refusal, TensorMut, TensorRef, errors, library, log};
use crate::model::Contract;
use crate::model::metadata::Hints;
use crate::model::onnx::reader::OnnxFile;
use crate::model::style_file::with_styles;

/// A model in an ONNX Runtime session.
pub struct OrtGenerator {
    recipe: Recipe,
    general: Loaded,
    weights: Vec<f32>,
    /// Whether a style at rest, or a size, has a session of its own: asked once, since it may look for files.
    folds: bool,
    /// Whether that is of another model file than the general one; asked once for the same reason.
    is_other: bool,
    /// That session, once it is ready.
    folded: Folded,
    /// Whether it was made for the size alone, or cannot be.
    fitted: bool,
    /// The runtime's session of the first style, made before a size was known.
    ahead: Option<Shared>,
    /// A session that is still being made though style or size have changed since: the next one waits for its end, so that a
    /// slider on the style makes one session at a time.
    late: Option<Task<Result<Loaded>>>,
    /// Of a picture, and of its stylized frame.
    size: Option<(Size, Size)>,
    choice: Choice,
    /// Whether no inference has succeeded since the session was made anew.
    recovering: bool,
}

/// The session for one style and size.
enum Folded {
    /// The weights are moving, or this model or provider has none.
    Without,
    /// Being made; meanwhile perhaps one for any size computes.
    Coming(Task<Result<Loaded>>, Option<Box<Loaded>>),
    /// In use.
    Ready(Box<Loaded>),
    /// It could not be made: the general session computes.
    Failed,
}

impl OrtGenerator {
    /// Loads a model on the provider asked for, or, with `auto`, on the first that can be used.
    ///
    /// # Errors
    /// No ONNX Runtime, a bad file, a model that is no style model, a provider that cannot be used.
    pub fn load(source: &ModelSource, config: &SessionConfig) -> Result<Self> {
        let environment = library::environment(config.plugin_folder.as_deref())?;
        let (file, hints) = source.read()?;
        let model = Model::new(with_files(file, config.style_files.as_deref())?)?;
        let mut choice = Choice::new(environment, config)?;
        let (recipe, general) = choice.first(|provider| {
            let maker = Maker { environment, provider, config: config.clone() };
            provider.check(environment, &config.options()).with_context(|| provider.in_words())?;
            let problem = || format!("{source} on {}", provider.in_words());
            let session = first_session(&maker, &model).with_context(problem)?;
            let recipe = described(&session, maker, source, &model, &hints)?;
            let general = recipe.loaded(session, &first_weights(&recipe.contract))?;
            Ok((recipe, general))
        })?;
        let weights = first_weights(&recipe.contract);
        let (folds, is_other) = (recipe.can_fold(), recipe.is_other());
        log_int8(&recipe);
        Ok(Self {
            recipe,
            general,
            weights,
            folds,
            is_other,
            folded: Folded::Without,
            fitted: false,
            ahead: None,
            late: None,
            size: None,
            choice,
            recovering: false,
        })
    }

    /// The row of the table of the provider in use.
    pub fn provider_row(&self) -> &'static Provider {
        self.recipe.provider()
    }

    /// The provider for which the present one stands in: it takes minutes to prepare and was not waited for.
    pub fn postponed(&self) -> Option<&'static str> {
        self.choice.postponed
    }

    /// Takes the next provider on which the model runs at this size, after the present one had a `problem`. If there is none,
    /// everything stays as it was: then it may be the size.
    fn fall_back(&mut self, problem: anyhow::Error, size: Size) -> Result<Size> {
        let mut choice = self.choice.clone();
        choice.refuse(self.recipe.provider(), &problem);
        let found = choice.first(|provider| {
            let recipe = Recipe { maker: Maker { provider, ..self.recipe.maker.clone() }, ..self.recipe.clone() };
            provider.check(recipe.maker.environment, &recipe.maker.config.options())?;
            let (general, stylized) = recipe.general(&self.weights, size)?;
            Ok((recipe, general, stylized))
        });
        let Ok((recipe, general, stylized)) = found else { return Err(problem) };
        (self.folds, self.is_other) = (recipe.can_fold(), recipe.is_other());
        (self.choice, self.recipe, self.general) = (choice, recipe, general);
        Ok(stylized)
    }

    fn bind_general(&mut self, size: Size) -> Result<Size> {
        match self.recipe.provider().shapes {
            Shapes::Any => self.general.bind(&self.recipe.contract, size),
            Shapes::Fixed => {
                let (general, stylized) = self.recipe.general(&self.weights, size)?;
                self.general = general;
                Ok(stylized)
            }
        }
    }

    fn active(&mut self) -> &mut Loaded {
        match &mut self.folded {
            Folded::Ready(folded) | Folded::Coming(_, Some(folded)) => folded,
            _ => &mut self.general,
        }
    }

    /// Starts to make the session for style and size once the weights stand still, and uses it when it is ready. Where that
    /// could delay frames (not `at_leisure`), only the one for the style, and none where frames would wait for its making.
    fn settle_down(&mut self, at_leisure: bool) {
        let delays = self.recipe.provider().is_exclusive && !at_leisure;
        let Some(size) = self.size.filter(|_| self.folds && !delays) else { return };
        let fits = at_leisure || self.recipe.is_light();
        let may_start = self.late.as_ref().is_none_or(Task::is_finished);
        self.folded = match std::mem::replace(&mut self.folded, Folded::Without) {
            Folded::Without if may_start && (fits || self.is_other) => self.start(size, None),
            Folded::Ready(folded) if may_start && fits && !self.fitted => self.start(size, Some(folded)),
            Folded::Coming(task, meanwhile) if task.is_finished() => ready(answer(task), meanwhile),
            same => same,
        };
    }

    fn start(&mut self, size: (Size, Size), meanwhile: Option<Box<Loaded>>) -> Folded {
        self.fitted = true;
        self.late = None;
        if self.recipe.fixed(size.0).sizes.is_empty()
            && let Some(folded) = meanwhile
        {
            return Folded::Ready(folded);
        }
        let (recipe, weights) = (self.recipe.clone(), self.weights.clone());
        match spawn("styletransfer-style", move || recipe.folded(&weights, size, true)) {
            Ok(task) => Folded::Coming(task, meanwhile),
            Err(problem) => ready(Err(problem.into()), meanwhile),
        }
    }

    /// Size or weights have changed: the session for both, made or being made, no longer fits.
    fn unfold(&mut self) -> Option<Box<Loaded>> {
        self.fitted = false;
        match std::mem::replace(&mut self.folded, Folded::Without) {
            Folded::Coming(task, meanwhile) => {
                self.late = Some(task);
                meanwhile
            }
            Folded::Ready(folded) => Some(folded),
            Folded::Without | Folded::Failed => None,
        }
    }
}

/// The model with the styles of style files before its own.
fn with_files(model: OnnxFile, files: Option<&Path>) -> Result<OnnxFile> {
    match (model, files) {
        (OnnxFile::Bytes(bytes), Some(files)) => {
            Ok(OnnxFile::Bytes(with_styles(&bytes, files).context("property 'style-file'")?))
        }
        (OnnxFile::WithExternalData(path), Some(_)) => {
            bail!("property 'style-file': model file '{}' has its weights in other files", path.display())
        }
        (model, None) => Ok(model),
    }
}

/// The provider's session of the model, for any size; where it takes fixed shapes only, one that describes the model.
fn first_session(maker: &Maker, model: &Model) -> Result<Shared> {
    match maker.provider.shapes {
        Shapes::Any => maker.session(model, &Fixed::default()),
        Shapes::Fixed => maker.for_description().session(model, &Fixed::default()),
    }
}

fn described(session: &Shared, maker: Maker, source: &ModelSource, model: &Model, hints: &Hints) -> Result<Recipe> {
    let declared = |session: &mut Session| Ok((settle(session, &maker.config.overrides, hints)?, open(session)));
    let (contract, open) = session.with(declared).with_context(|| source.to_string())?;
    let stop = Arc::new(RunOptions::new().map_err(errors::plain)?);
    Ok(Recipe { source: source.clone(), maker, model: model.clone(), contract, open, stop })
}

fn first_weights(contract: &Contract) -> Vec<f32> {
    contract.style_weights.as_ref().map(|w| w.first()).unwrap_or_default()
}

/// With `precision=auto` the processor decides.
fn log_int8(recipe: &Recipe) {
    let provider = recipe.provider();
    if let (Some(prefers), Precision::Auto) = (provider.prefers_int8, recipe.maker.config.precision) {
        let answer = if prefers() { "are used" } else { "are not used: the processor has no VNNI" };
        log::info(&format!("precision=auto on '{}': int8 variants {answer}", provider.name));
    }
}

fn answer(task: Task<Result<Loaded>>) -> Result<Loaded> {
    task.join().unwrap_or_else(|| Err(anyhow!("its thread ended early")))
}

/// What computes from now on: the answer, else what has computed meanwhile.
fn ready(answer: Result<Loaded>, meanwhile: Option<Box<Loaded>>) -> Folded {
    match answer {
        Ok(loaded) => Folded::Ready(Box::new(loaded)),
        Err(problem) => {
            log::info(&format!("no session for this style and size alone: {problem:#}"));
            meanwhile.map_or(Folded::Failed, Folded::Ready)
        }
    }
}

impl Generator for OrtGenerator {
    fn contract(&self) -> &Contract {
        &self.recipe.contract
    }

    fn provider(&self) -> &str {
        self.recipe.provider().name
    }

    fn take_refusals(&mut self) -> Vec<Refusal> {
        std::mem::take(&mut self.choice.refusals)
    }

    fn has_int8(&self) -> bool {
        self.recipe.has_int8(&self.weights)
    }

    fn prepare_style(&mut self) {
        let makes = self.folds && self.recipe.provider().shapes == Shapes::Any;
        self.ahead = makes.then(|| self.recipe.folded_session(&self.weights).ok()).flatten();
    }

    fn bind(&mut self, width: usize, height: usize) -> Result<(usize, usize)> {
        let stylized = match self.bind_general((width, height)) {
            Err(problem) if self.size.is_none() => self.fall_back(problem, (width, height))?,
            bound => bound?,
        };
        if let Some(output) = self.general.picture().filter(|_| self.recipe.contract.open_output.is_some()) {
            let layout = output.format.axes;
            crate::inference::log::info(&format!("the first run gives output '{}' layout {layout}", output.name));
            self.recipe.contract.settle_output(output.clone());
        }
        let sizes = ((width, height), stylized);
        self.size = Some(sizes);
        // Held until the next one is made: that shares its session, if it is the same style's.
        let before = self.unfold();
        // Here the stream waits anyway; from the first frame on every frame of a style is stylized alike.
        self.folded = match self.folds && self.is_other {
            true => ready(self.recipe.folded(&self.weights, sizes, false), None),
            false => Folded::Without,
        };
        self.ahead = None;
        drop(before);
        Ok(stylized)
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
        drop(self.late.take().map(Task::join));
        self.settle_down(true);
        self.folded = match std::mem::replace(&mut self.folded, Folded::Without) {
            Folded::Coming(task, meanwhile) => ready(answer(task), meanwhile),
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
        self.active().run()?;
        self.recovering = false;
        Ok(())
    }

    fn output(&self) -> TensorRef<'_> {
        match &self.folded {
            Folded::Ready(folded) | Folded::Coming(_, Some(folded)) => folded.output(),
            _ => self.general.output(),
        }
    }

    fn recover(&mut self) -> Result<()> {
        let (size, stylized) = self.size.context("no size has been bound")?;
        let again = std::mem::replace(&mut self.recovering, true);
        let folded = self.unfold();
        for lost in folded.iter().map(|folded| folded.session()).chain([self.general.session()]) {
            forget(lost);
        }
        let renewed = match again {
            true => Err(anyhow!("inferences fail, also in a session that was made anew")),
            false => self.recipe.general(&self.weights, size),
        };
        let now = match renewed {
            Ok((general, now)) => {
                self.general = general;
                now
            }
            Err(problem) => self.fall_back(problem, size)?,
        };
        ensure!(now == stylized, "the stylized frame has {now:?} pixels, before {stylized:?}");
        Ok(())
    }

    fn interrupter(&self) -> Option<Arc<dyn Interrupt>> {
        Some(self.recipe.stop.clone())
    }
}

/// All runs of a generator share their options; nothing is made for a frame.
impl Interrupt for RunOptions {
    fn interrupt(&self, stop: bool) {
        let done = if stop { self.terminate() } else { self.unterminate() };
        if let Err(problem) = done {
            log::info(&format!("inferences cannot be interrupted: {problem}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::inference::providers::{TINY, slow};
    use crate::model::built_in::MODELS;

    /// With one thread: threads of a session's pool would bear the name of the one that made it.
    fn loaded(provider: &str) -> OrtGenerator {
        let config = SessionConfig { provider: provider.into(), threads: 1, ..SessionConfig::default() };
        OrtGenerator::load(&ModelSource::Embedded(&MODELS[0]), &config).unwrap()
    }

    /// What the generator makes of a picture of stripes.
    fn stylized(generator: &mut OrtGenerator) -> Vec<f32> {
        let TensorMut::F32(input) = generator.input() else { panic!("the model takes floats") };
        input.iter_mut().enumerate().for_each(|(i, value)| *value = (i % 7) as f32 / 7.0);
        generator.run().unwrap();
        let TensorRef::F32(output) = generator.output() else { panic!("the model gives floats") };
        output.to_vec()
    }

    fn worst(a: &[f32], b: &[f32]) -> f32 {
        assert_eq!(a.len(), b.len());
        a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
    }

    fn style(generator: &OrtGenerator, second: f32) -> Vec<f32> {
        let mut weights = vec![0.0; generator.weights.len()];
        (weights[0], weights[1]) = (1.0 - second, second);
        weights
    }

    #[test]
    fn another_size_keeps_the_session_of_the_style() {
        let mut generator = loaded("cpu");
        let mut bound = |width, height| {
            generator.bind(width, height).unwrap();
            Arc::downgrade(generator.active().session())
        };
        let first = bound(64, 48);
        let second = bound(96, 64);
        assert!(first.upgrade().is_some() && first.ptr_eq(&second));
    }

    #[test]
    fn a_provider_of_fixed_shapes_never_sees_an_open_dimension() {
        let (mut fixed, mut free) = (loaded(slow::FIXED), loaded("cpu"));
        for (width, height) in [(64, 48), (96, 64)] {
            assert_eq!(fixed.bind(width, height).unwrap(), free.bind(width, height).unwrap());
            fixed.fit();
            for (_, dims) in fixed.active().session().with(|session| Ok(open(session))).unwrap() {
                assert!(dims.iter().all(Option::is_none), "{dims:?}");
            }
            for second in [0.0, 1.0, 0.5] {
                let weights = style(&fixed, second);
                fixed.set_style(&weights);
                free.set_style(&weights);
                let difference = worst(&stylized(&mut fixed), &stylized(&mut free));
                assert!(difference < 1e-3, "{width}x{height}, style {second}: {difference}");
            }
        }
    }

    #[test]
    fn a_lost_session_is_made_anew_and_then_another_provider_takes_over() {
        slow::end(slow::End::Ready);
        let mut generator = loaded(slow::NAME);
        let size = generator.bind(64, 48).unwrap();
        generator.set_style(&style(&generator, 1.0));
        let before = stylized(&mut generator);
        let lost = generator.general.session().clone();
        generator.recover().unwrap();
        assert!(!Arc::ptr_eq(&lost, generator.general.session()) && generator.provider() == slow::NAME);
        assert!(worst(&stylized(&mut generator), &before) < 1e-3, "size and style stay");
        // The device is gone: no session can be made, and there is no other provider.
        slow::end(slow::End::Impossible);
        generator.recover().unwrap_err();
        assert!(worst(&stylized(&mut generator), &before) < 1e-3, "everything stays as it was");
        // As with `auto`.
        generator.choice.left = vec![Provider::find("cpu").unwrap()];
        generator.recover().unwrap();
        assert_eq!((generator.provider(), generator.size.unwrap().1), ("cpu", size));
        assert_eq!(generator.take_refusals()[0].provider, slow::NAME);
        assert!(worst(&stylized(&mut generator), &before) < 1e-3);
        // It can be made anew but no inference succeeds.
        generator.choice.left = vec![Provider::find(slow::FIXED).unwrap()];
        generator.recover().unwrap();
        assert_eq!(generator.provider(), "cpu");
        generator.recover().unwrap();
        assert_eq!(generator.provider(), slow::FIXED);
    }

    #[test]
    fn a_running_inference_can_be_stopped() {
        let mut generator = loaded("cpu");
        generator.bind(1280, 720).unwrap();
        let interrupter = generator.interrupter().unwrap();
        let other = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(20));
            interrupter.interrupt(true);
        });
        let started = Instant::now();
        let stopped = (0..1000).any(|_| generator.run().is_err());
        other.join().unwrap();
        assert!(stopped && started.elapsed() < Duration::from_secs(20));
        generator.interrupter().unwrap().interrupt(false);
        generator.run().unwrap();
    }

    /// Threads of this process whose name begins so.
    fn threads(name: &str) -> usize {
        let tasks = std::fs::read_dir("/proc/self/task").unwrap().flatten();
        let names = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok());
        names.filter(|comm| comm.starts_with(name)).count()
    }

    #[test]
    fn a_slider_on_the_style_makes_one_session_at_a_time() {
        let (mut generator, mut fresh) = (loaded("cpu"), loaded("cpu"));
        generator.bind(64, 48).unwrap();
        let mut most = 0;
        for step in 1..=40 {
            let weights = style(&generator, step as f32 / 40.0);
            // It moves, and rests for two frames.
            (0..3).for_each(|_| generator.set_style(&weights));
            generator.run().unwrap();
            most = most.max(threads("styletransfer-s"));
        }
        assert!(most <= 1, "{most} threads make sessions");
        generator.fit();
        assert!(matches!(generator.folded, Folded::Ready(_)), "the newest style has its session");
        fresh.set_style(&style(&generator, 1.0));
        fresh.bind(64, 48).unwrap();
        assert!(worst(&stylized(&mut generator), &stylized(&mut fresh)) < 1e-3);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn threads_follow_the_processors_that_are_ours() {
        let all = || std::fs::read_dir("/proc/self/task").unwrap().count();
        let added = |threads: usize| {
            let before = all();
            let config = SessionConfig { provider: "cpu".into(), threads, ..SessionConfig::default() };
            let generator = OrtGenerator::load(&ModelSource::Embedded(&MODELS[0]), &config).unwrap();
            let added = all() - before;
            drop(generator);
            added
        };
        // The calling thread computes too.
        assert_eq!(added(4), 3);
        // SAFETY: a set of processors with the first one in it, for this thread and those it starts.
        unsafe {
            let mut one: libc::cpu_set_t = std::mem::zeroed();
            let allowed = (0..1024).find(|cpu| {
                let mut set: libc::cpu_set_t = std::mem::zeroed();
                libc::CPU_SET(*cpu, &mut set);
                libc::sched_setaffinity(0, size_of_val(&set), &set) == 0
            });
            libc::CPU_SET(allowed.unwrap(), &mut one);
            assert_eq!(libc::sched_setaffinity(0, size_of_val(&one), &one), 0);
        }
        assert_eq!(added(0), 0);
    }

    #[test]
    fn a_model_newer_than_the_runtime_says_what_mends_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new.onnx");
        let error = |at: usize| {
            let mut model = TINY.to_vec();
            model[at] = 99;
            std::fs::write(&path, model).unwrap();
            format!(
                "{:#}",
                OrtGenerator::load(&ModelSource::File(path.clone()), &SessionConfig::default()).err().unwrap()
            )
        };
        let library = std::env::var(library::VARIABLE).unwrap();
        for (at, has) in [(1, "IR version 99"), (TINY.len() - 1, "opset 99")] {
            let error = error(at);
            for part in
                [has, "new.onnx", &library, library::version(), "reads up to", "pip install --upgrade onnxruntime"]
            {
                assert!(error.contains(part), "'{part}' is not in: {error}");
            }
            assert!(!error.contains("::") && !error.contains(".cc"), "{error}");
        }
        assert!(!library::version().is_empty());
    }

    #[test]
    fn a_process_may_end_while_sessions_are_made() {
        const CHILD: &str = "STYLETRANSFER_EXIT_CHILD";
        if std::env::var_os(CHILD).is_some() {
            let made = spawn("styletransfer-style", || {
                for step in 0.. {
                    let mut generator = loaded("cpu");
                    generator.set_style(&style(&generator, step as f32 * 1e-4));
                    generator.bind(64, 48).unwrap();
                }
            });
            std::thread::sleep(Duration::from_millis(500));
            drop(made);
            std::process::exit(7);
        }
        let name = "inference::session::tests::a_process_may_end_while_sessions_are_made";
        let started = Instant::now();
        let mut command = std::process::Command::new(std::env::current_exe().unwrap());
        let run = command.args([name, "--exact"]).env(CHILD, "1").output().unwrap();
        assert_eq!(run.status.code(), Some(7), "{:?} {}", run.status, String::from_utf8_lossy(&run.stderr));
        assert!(started.elapsed() < Duration::from_secs(30), "{:?}", started.elapsed());
    }
}
