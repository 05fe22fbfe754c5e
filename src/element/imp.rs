//! The element's virtual methods: each copies settings or takes a lock, calls one function, translates the error.
//!
//! Comes in: calls of GStreamer. Goes out: buffers, events, and messages, which are posted when no lock is held.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use gst::glib;
use gst_base::prelude::*;
use gst_base::subclass::BaseTransformMode;
use gst_base::subclass::base_transform::{GenerateOutputSuccess, InputBuffer, PrepareOutputBufferSuccess};
use gst_base::subclass::prelude::*;
use gst_video::subclass::prelude::*;
use gst_video::{VideoFrameExt, VideoFrameRef, VideoInfo};

use super::convert::{FrameIn, FrameOut};
use super::frame::{Engine, Turn};
use super::load::Loader;
use super::log::CAT;
use super::messages::Outbox;
use super::pipeline::{Frames, Numbered, Pipeline};
use super::qos::{self, Lateness};
use super::reload::Reload;
use super::settings::{ProviderWait, Settings};
use super::stats::Stats;
use super::{caps, error, properties};
use crate::frame::threads::lock;
use crate::inference::Interrupt;
use crate::schedule::lag::Verdict;
use crate::schedule::watchdog::Watchdog;

/// A longer inference is reported on the bus.
const TOO_LONG: Duration = Duration::from_secs(2);

/// How often a wait looks whether the element is stopped.
const WAIT_STEP: Duration = Duration::from_millis(10);

/// The element. `engine` is held while a frame is processed; the other locks are held for moments, and none is taken
/// inside of another one but `stats` and `settings` inside of `engine`.
#[derive(Default)]
pub struct StyleTransfer {
    settings: Mutex<Settings>,
    engine: Mutex<Engine>,
    stats: Mutex<Stats>,
    /// With lookahead: the frame that waits for the next one, and its number.
    delayed: Mutex<Option<(gst::Buffer, u64)>>,
    lateness: Lateness,
    /// The segment in use: the same once more, as caps bring it, is no other position.
    segment: Mutex<Option<gst::Segment>>,
    /// Nanoseconds of the reported latency.
    latency: AtomicU64,
    watchdog: Mutex<Option<Arc<Watchdog>>>,
    /// Stops a running inference.
    interrupt: Mutex<Option<Arc<dyn Interrupt>>>,
    /// Whether the element goes to READY.
    stopping: AtomicBool,
    /// The last refusal of caps that was posted.
    refused: Mutex<String>,
}

impl StyleTransfer {
    fn settings(&self) -> Settings {
        lock(&self.settings).clone()
    }

    /// Calls `work` with the engine, then posts the messages that it left.
    fn with_engine<T>(&self, work: impl FnOnce(&mut Engine, &mut Outbox) -> T) -> T {
        let mut out = Outbox::default();
        let result = work(&mut lock(&self.engine), &mut out);
        out.post(&self.obj());
        result
    }

    /// Calls `work` with the engine and everything that a frame needs, then updates what other threads read of it.
    fn with_turn<T>(&self, pts: Option<gst::ClockTime>, work: impl FnOnce(&mut Engine, &mut Turn) -> T) -> T {
        let watchdog = lock(&self.watchdog).clone();
        let ask = || self.settings();
        self.with_engine(|engine, out| {
            let mut turn = Turn {
                settings: lock(&self.settings).of_frame(),
                ask: &ask,
                stats: &self.stats,
                watchdog: watchdog.as_deref(),
                late: self.lateness.is_late(&self.obj(), pts),
                lateness: self.lateness.take_late(),
                out,
            };
            let result = work(engine, &mut turn);
            self.lateness.hurries.store(engine.pacer.step().is_some(), Ordering::Relaxed);
            self.follow_engine(engine, out);
            result
        })
    }

    /// Updates latency and interrupter.
    fn follow_engine(&self, engine: &mut Engine, out: &mut Outbox) {
        let looks_ahead = self.looks_ahead(engine);
        let latency = engine.latency(looks_ahead);
        let nanoseconds = latency.as_nanos() as u64;
        if self.latency.swap(nanoseconds, Ordering::Relaxed) != nanoseconds {
            lock(&self.stats).latency(latency);
            out.latency();
        }
        *lock(&self.interrupt) = engine.reload.pipeline.as_ref().and_then(|p| p.stylizer.generator().interrupter());
    }

    /// Whether frames wait for the next one.
    fn looks_ahead(&self, engine: &Engine) -> bool {
        lock(&self.settings).lookahead > 0 && !engine.reload.pipeline.as_ref().is_some_and(Pipeline::is_recurrent)
    }

    /// Loads everything that can fail before the first frame.
    fn load_first(&self) -> Result<()> {
        let (settings, loader) = (self.settings(), Loader { plugin_folder: self.plugin_folder() });
        let mut loaded = loader.load(&settings, false)?;
        // A live source does not wait for its caps to be taken.
        loaded.pipeline.stylizer.generator_mut().prepare_style();
        self.with_engine(|engine, out| {
            *engine = Engine::new(Reload::start(loader, settings, loaded, out));
            engine.configured(&self.stats);
            self.follow_engine(engine, out);
        });
        Ok(())
    }

    fn plugin_folder(&self) -> Option<std::path::PathBuf> {
        let file = self.obj().factory()?.plugin()?.filename()?;
        Some(file.parent()?.to_owned())
    }

    fn watch(&self) {
        let element = self.obj().downgrade();
        let on_overdue = move || {
            if let Some(element) = element.upgrade() {
                let text = format!("an inference takes more than {} s; frames wait for it", TOO_LONG.as_secs());
                error::warn(&element, &text);
            }
        };
        *lock(&self.watchdog) = Some(Arc::new(Watchdog::new(TOO_LONG, on_overdue)));
    }

    fn negotiate(&self, info: &VideoInfo) -> Result<()> {
        let (settings, live) = (self.settings(), self.is_live());
        self.with_engine(|engine, out| {
            engine.negotiate(info, &settings, live, out)?;
            engine.configured(&self.stats);
            self.follow_engine(engine, out);
            anyhow::Ok(())
        })?;
        let waits = match settings.provider_wait {
            ProviderWait::Always => true,
            ProviderWait::Auto => !live,
            ProviderWait::Never => false,
        };
        if waits {
            self.await_provider();
        }
        Ok(())
    }

    /// Waits for a provider that needs minutes to prepare, without a lock, until it is ready or the element is stopped.
    fn await_provider(&self) {
        let Some((slow, load)) = self.with_engine(|engine, out| engine.reload.awaited(self.settings(), out)) else {
            return;
        };
        while !load.is_finished() && !self.stopping.load(Ordering::Relaxed) {
            std::thread::sleep(WAIT_STEP);
        }
        if load.is_finished() {
            self.with_engine(|engine, out| {
                engine.reload.finish_preparation(slow, load, &|| self.settings(), out);
                engine.configured(&self.stats);
                self.follow_engine(engine, out);
            });
        }
    }

    /// Whether the source is live: asked once for a stream, without a lock, since whoever answers may take its own.
    fn is_live(&self) -> bool {
        let known = lock(&self.engine).pacer.upstream();
        let upstream = known.unwrap_or_else(|| qos::upstream(&self.obj()));
        if known.is_none() {
            lock(&self.engine).pacer.comes_from(upstream);
        }
        upstream.live
    }

    /// A frame comes in: counts it, measures rate and lag. True: it is to be left out.
    fn arrives(&self, buffer: &gst::Buffer) -> bool {
        static START: LazyLock<Instant> = LazyLock::new(Instant::now);
        let (element, pts) = (self.obj(), buffer.pts());
        let lag = qos::lag(&element, pts).filter(|_| element.property::<bool>("qos"));
        let own = Duration::from_nanos(self.latency.load(Ordering::Relaxed));
        let live = self.is_live();
        let mut engine = lock(&self.engine);
        let time = pts.map_or_else(|| START.elapsed(), Duration::from);
        engine.pacer.arrived(time, buffer.flags().contains(gst::BufferFlags::DISCONT));
        let (worked, waited) = engine.worked_and_waited();
        let verdict = match lag.filter(|_| live) {
            Some(lag) => engine.pacer.lag(lag, own, worked, waited),
            None => Verdict::InTime,
        };
        self.lateness.behind.store(verdict != Verdict::InTime, Ordering::Relaxed);
        verdict == Verdict::Drop
    }

    /// Takes the next frame and gives the one before.
    fn generate_delayed(&self) -> Result<GenerateOutputSuccess> {
        let Some(next) = self.take_queued_buffer() else { return Ok(GenerateOutputSuccess::NoOutput) };
        let (ahead, number) = {
            let mut engine = lock(&self.engine);
            (self.looks_ahead(&engine), engine.next_number())
        };
        if !ahead {
            self.drain();
        }
        let shown = match ahead {
            true => lock(&self.delayed).replace((next.clone(), number)),
            false => Some((next.clone(), number)),
        };
        let info = self.frame_info()?;
        let frame = VideoFrameRef::from_buffer_ref_readable(&next, &info)?;
        let next = Numbered { frame: &frame, number };
        let Some((shown, number)) = shown else {
            self.show(Frames { next, shown: next }, None, ahead)?;
            return Ok(GenerateOutputSuccess::NoOutput);
        };
        let mut out = self.buffer_like(&shown)?;
        let frame = VideoFrameRef::from_buffer_ref_readable(&shown, &info)?;
        let mut to = VideoFrameRef::from_buffer_ref_writable(out.make_mut(), &info)?;
        self.show(Frames { next, shown: Numbered { frame: &frame, number } }, Some(&mut to), ahead)?;
        drop(to);
        Ok(GenerateOutputSuccess::Buffer(out))
    }

    fn show(&self, frames: Frames, to: Option<&mut FrameOut>, lookahead: bool) -> Result<()> {
        let pts = frames.next.frame.buffer().pts();
        self.with_turn(pts, |engine, turn| engine.show(turn, frames, to, lookahead))
    }

    /// Pushes the delayed frame, to which no next one comes.
    fn drain(&self) {
        let Some((delayed, number)) = lock(&self.delayed).take() else { return };
        let pushed = self.drained(&delayed, number).and_then(|out| Ok(self.obj().src_pad().push(out)?));
        if let Err(problem) = pushed {
            gst::warning!(CAT, imp = self, "the last frame: {problem:#}");
        }
    }

    fn drained(&self, delayed: &gst::Buffer, number: u64) -> Result<gst::Buffer> {
        let info = self.frame_info()?;
        let mut out = self.buffer_like(delayed)?;
        let frame = VideoFrameRef::from_buffer_ref_readable(delayed, &info)?;
        let mut to = VideoFrameRef::from_buffer_ref_writable(out.make_mut(), &info)?;
        let delayed = Numbered { frame: &frame, number };
        self.with_turn(None, |engine, turn| engine.drain(turn, delayed, &mut to))?;
        drop(to);
        Ok(out)
    }

    fn frame_info(&self) -> Result<VideoInfo> {
        let engine = lock(&self.engine);
        engine.reload.pipeline.as_ref().and_then(Pipeline::info).cloned().context("a frame came before its caps")
    }

    /// A buffer from downstream's pool with the times and metadata of `frame`.
    fn buffer_like(&self, frame: &gst::Buffer) -> Result<gst::Buffer> {
        match self.parent_prepare_output_buffer(InputBuffer::Readable(frame)) {
            Ok(PrepareOutputBufferSuccess::Buffer(out)) => Ok(out),
            Ok(PrepareOutputBufferSuccess::InputBuffer) => bail!("downstream's pool gave the input buffer itself"),
            Err(flow) => Err(anyhow!("no output buffer from downstream's pool: {flow}")),
        }
    }
}

#[glib::object_subclass]
impl ObjectSubclass for StyleTransfer {
    const NAME: &'static str = "GstStyleTransfer";
    type Type = crate::element::StyleTransfer;
    type ParentType = gst_video::VideoFilter;
}

impl ObjectImpl for StyleTransfer {
    fn properties() -> &'static [glib::ParamSpec] {
        &properties::SPECS
    }

    fn set_property(&self, _id: usize, value: &glib::Value, pspec: &glib::ParamSpec) {
        properties::set(&mut lock(&self.settings), pspec.name(), value);
    }

    fn property(&self, _id: usize, pspec: &glib::ParamSpec) -> glib::Value {
        match pspec.name() {
            properties::ACTIVE_PROVIDER => lock(&self.stats).provider().to_value(),
            properties::STATS => lock(&self.stats).to_structure().to_value(),
            name => properties::get(&lock(&self.settings), name).unwrap_or_else(|| pspec.default_value().clone()),
        }
    }
}

impl GstObjectImpl for StyleTransfer {}

impl ElementImpl for StyleTransfer {
    fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
        static METADATA: LazyLock<gst::subclass::ElementMetadata> = LazyLock::new(|| {
            gst::subclass::ElementMetadata::new(
                "Style transfer",
                "Filter/Effect/Video",
                "Stylizes video frames with an ONNX generator, stable in time",
                env!("CARGO_PKG_NAME"),
            )
        });
        Some(&METADATA)
    }

    fn pad_templates() -> &'static [gst::PadTemplate] {
        static TEMPLATES: LazyLock<Vec<gst::PadTemplate>> = LazyLock::new(|| {
            let caps = caps::template();
            let template = |name, direction| gst::PadTemplate::new(name, direction, gst::PadPresence::Always, &caps);
            let both = [template("sink", gst::PadDirection::Sink), template("src", gst::PadDirection::Src)];
            both.into_iter().flatten().collect()
        });
        &TEMPLATES
    }

    fn change_state(&self, transition: gst::StateChange) -> Result<gst::StateChangeSuccess, gst::StateChangeError> {
        let stops = transition == gst::StateChange::PausedToReady;
        if stops || transition == gst::StateChange::ReadyToPaused {
            self.stopping.store(stops, Ordering::Relaxed);
        }
        let interrupt = lock(&self.interrupt).clone();
        if let Some(interrupt) = interrupt.filter(|_| stops) {
            interrupt.interrupt(true);
        }
        self.parent_change_state(transition)
    }
}

impl BaseTransformImpl for StyleTransfer {
    const MODE: BaseTransformMode = BaseTransformMode::NeverInPlace;
    const PASSTHROUGH_ON_SAME_CAPS: bool = false;
    const TRANSFORM_IP_ON_PASSTHROUGH: bool = false;

    fn start(&self) -> Result<(), gst::ErrorMessage> {
        self.lateness.reset();
        *lock(&self.segment) = None;
        lock(&self.refused).clear();
        *lock(&self.stats) = Stats::default();
        self.load_first().map_err(|problem| error::at_start(&problem))?;
        self.watch();
        Ok(())
    }

    fn stop(&self) -> Result<(), gst::ErrorMessage> {
        *lock(&self.watchdog) = None;
        *lock(&self.delayed) = None;
        *lock(&self.interrupt) = None;
        let engine = std::mem::take(&mut *lock(&self.engine));
        if engine.reload.is_preparing() {
            let mut out = Outbox::default();
            out.progress(gst::ProgressType::Canceled, "the execution provider is not needed any more".into());
            out.post(&self.obj());
        }
        Ok(())
    }

    fn sink_event(&self, event: gst::Event) -> bool {
        use gst::EventType::{Caps, Eos, FlushStop, Gap, Segment, SegmentDone, StreamStart};
        let kind = event.type_();
        match kind {
            Eos | Caps | Gap | SegmentDone => self.drain(),
            StreamStart => {
                self.drain();
                lock(&self.engine).reload.reset();
            }
            Segment => {
                self.drain();
                let gst::EventView::Segment(segment) = event.view() else { return false };
                let before = lock(&self.segment).replace(segment.segment().clone());
                if before.as_ref() != Some(segment.segment()) {
                    lock(&self.engine).reload.reset();
                }
            }
            FlushStop => {
                *lock(&self.segment) = None;
                *lock(&self.delayed) = None;
                self.lateness.reset();
                lock(&self.engine).reload.reset();
            }
            _ => {}
        }
        if kind == StreamStart {
            lock(&self.engine).pacer.restart();
        }
        if kind == Eos {
            self.with_engine(|engine, out| engine.summary().into_iter().for_each(|text| out.warning(text)));
        }
        self.parent_sink_event(event)
    }

    fn src_event(&self, event: gst::Event) -> bool {
        if let gst::EventView::Qos(qos) = event.view()
            && self.lateness.event(qos)
        {
            // The element hurries by itself: the base class must not drop.
            return self.obj().sink_pad().push_event(event);
        }
        self.parent_src_event(event)
    }

    fn query(&self, direction: gst::PadDirection, query: &mut gst::QueryRef) -> bool {
        let answered = BaseTransformImplExt::parent_query(self, direction, query);
        if answered
            && direction == gst::PadDirection::Src
            && let gst::QueryViewMut::Latency(latency) = query.view_mut()
        {
            let (live, min, max) = latency.result();
            let own = gst::ClockTime::from_nseconds(self.latency.load(Ordering::Relaxed));
            latency.set(live, min + own, max.map(|max| max + own));
        }
        answered
    }

    fn submit_input_buffer(&self, is_discont: bool, buffer: gst::Buffer) -> Result<gst::FlowSuccess, gst::FlowError> {
        lock(&self.stats).seen();
        let result = match self.arrives(&buffer) {
            true => Ok(gst_base::BASE_TRANSFORM_FLOW_DROPPED),
            false => self.parent_submit_input_buffer(is_discont, buffer),
        };
        if result == Ok(gst_base::BASE_TRANSFORM_FLOW_DROPPED) {
            lock(&self.stats).dropped();
        }
        result
    }

    fn generate_output(&self) -> Result<GenerateOutputSuccess, gst::FlowError> {
        let ahead = self.looks_ahead(&lock(&self.engine));
        if !ahead && lock(&self.delayed).is_none() {
            return self.parent_generate_output();
        }
        self.generate_delayed().map_err(|problem| error::at_frame(&self.obj(), &problem))
    }

    fn before_transform(&self, buffer: &gst::BufferRef) {
        let element = self.obj();
        let time = element.segment().downcast::<gst::ClockTime>().ok().and_then(|s| s.to_stream_time(buffer.pts()));
        if let Some(time) = time
            && let Err(problem) = element.sync_values(time)
        {
            gst::warning!(CAT, imp = self, "controlled properties: {problem}");
        }
    }

    fn transform_meta<'a>(
        &self,
        _outbuf: &mut gst::BufferRef,
        _meta: gst::MetaRef<'a, gst::Meta>,
        _inbuf: &'a gst::BufferRef,
    ) -> bool {
        // Size, format and timing stay: whatever describes the input frame describes the stylized one.
        true
    }
}

impl VideoFilterImpl for StyleTransfer {
    fn set_info(
        &self,
        _incaps: &gst::Caps,
        in_info: &VideoInfo,
        _outcaps: &gst::Caps,
        _out_info: &VideoInfo,
    ) -> Result<(), gst::LoggableError> {
        self.negotiate(in_info).map_err(|problem| {
            // Caps are often tried twice: the same refusal is posted once.
            let text = error::one_line(&problem);
            if std::mem::replace(&mut *lock(&self.refused), text.clone()) != text {
                error::post_caps(&self.obj(), &text);
            }
            error::at_caps(&problem)
        })
    }

    fn transform_frame(&self, from: &FrameIn, to: &mut FrameOut) -> Result<gst::FlowSuccess, gst::FlowError> {
        let from = Numbered { frame: from, number: lock(&self.engine).next_number() };
        match self.show(Frames { next: from, shown: from }, Some(to), false) {
            Ok(()) => Ok(gst::FlowSuccess::Ok),
            Err(problem) => Err(error::at_frame(&self.obj(), &problem)),
        }
    }
}
