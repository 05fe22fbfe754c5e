//! The element's virtual methods: copy settings or lock, call one domain function, translate the error.

use std::path::PathBuf;
use std::sync::{LazyLock, Mutex, MutexGuard};
use std::time::Instant;

use anyhow::{Context, Result};
use gst::glib;
use gst_base::prelude::*;
use gst_base::subclass::BaseTransformMode;
use gst_base::subclass::prelude::*;
use gst_video::subclass::prelude::*;
use gst_video::{VideoFrameExt, VideoInfo};

use super::convert::{FrameIn, FrameOut};
use super::log::CAT;
use super::painter::{FrameControls, Painted, Painter};
use super::settings::{Revisions, Settings};
use super::stats::Stats;
use super::{error, properties};
use crate::inference::Generator;
use crate::inference::provider::Precision;
use crate::inference::session::OrtGenerator;
use crate::stylizer::Stylizer;

/// Smallest and largest side of a frame.
const SIDES: std::ops::RangeInclusive<i32> = 16..=8192;

/// What is running: behind one lock that is held for the length of a frame.
#[derive(Default)]
struct Running {
    painter: Option<Painter>,
    revisions: Revisions,
    warned_not_finite: bool,
}

/// The element. Locks are taken in the order of the fields; none but `running` is held while a frame is painted.
#[derive(Default)]
pub struct StyleTransfer {
    settings: Mutex<Settings>,
    running: Mutex<Running>,
    stats: Mutex<Stats>,
}

/// A lock whose holder panicked still protects plain data.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

impl StyleTransfer {
    fn settings(&self) -> Settings {
        lock(&self.settings).clone()
    }

    fn plugin_folder(&self) -> Option<PathBuf> {
        let file = self.obj().factory()?.plugin()?.filename()?;
        Some(file.parent()?.to_owned())
    }

    /// Loads the model that the settings name.
    fn load(&self, settings: &Settings) -> Result<Painter> {
        settings.check()?;
        let config = settings.session_config(self.plugin_folder())?;
        let generator = OrtGenerator::load(&settings.source()?, &config)?;
        for guess in &generator.contract().guesses {
            gst::info!(CAT, imp = self, "{guess}");
        }
        for refusal in &generator.refusals {
            // The library was built for this provider: whoever installed it expects it to be used.
            let text = format!(
                "execution provider '{}' cannot be used: {}; '{}' computes instead",
                refusal.provider,
                refusal.reason,
                generator.provider()
            );
            error::warn(&self.obj(), &text);
        }
        if config.precision == Precision::Fp16 && !generator.provider_row().half_precision {
            let provider = generator.provider();
            error::warn(
                &self.obj(),
                &format!("property 'precision': '{provider}' has no fp16 and computes as it always does"),
            );
        }
        Ok(Painter::new(Stylizer::new(Box::new(generator))))
    }

    fn negotiate(&self, painter: &mut Painter, info: &VideoInfo, settings: &Settings) -> Result<()> {
        let size = painter.negotiate(info, settings.inference_size()?)?;
        let provider = painter.stylizer().generator().provider().to_owned();
        gst::info!(CAT, imp = self, "painting at {}x{} on '{provider}'", size.0, size.1);
        lock(&self.stats).configured(&provider, size);
        Ok(())
    }

    /// Takes up a change of model or size between two frames. What cannot be had leaves the old one painting.
    fn catch_up(&self, running: &mut Running, wanted: Revisions) {
        let had = std::mem::replace(&mut running.revisions, wanted);
        if had.model != wanted.model {
            self.replace(running, &self.settings());
        } else if had.size != wanted.size {
            self.resize(running, &self.settings());
        }
    }

    fn replace(&self, running: &mut Running, settings: &Settings) {
        let info = running.painter.as_ref().and_then(Painter::info).cloned();
        let fresh = self.load(settings).and_then(|mut painter| {
            let info = info.context("no caps yet")?;
            self.negotiate(&mut painter, &info, settings)?;
            Ok(painter)
        });
        match fresh {
            Ok(painter) => running.painter = Some(painter),
            Err(problem) => error::warn(&self.obj(), &format!("the old model stays: {problem:#}")),
        }
    }

    fn resize(&self, running: &mut Running, settings: &Settings) {
        let Some(painter) = &mut running.painter else { return };
        let Some(info) = painter.info().cloned() else { return };
        if let Err(problem) = self.negotiate(painter, &info, settings) {
            error::warn(&self.obj(), &format!("painting at the frame's size instead: {problem:#}"));
            let plain = Settings { inference_size: "0".into(), ..settings.clone() };
            if let Err(problem) = self.negotiate(painter, &info, &plain) {
                gst::error!(CAT, imp = self, "{problem:#}");
            }
        }
    }

    fn paint(&self, from: &FrameIn, to: &mut FrameOut) -> Result<()> {
        let started = Instant::now();
        let (controls, revisions) = {
            let settings = lock(&self.settings);
            (FrameControls { mix: settings.mix(), smoothing: settings.smoothing() }, settings.revisions)
        };
        if controls.mix.strength <= 0.0 {
            lock(&self.running).painter.as_mut().map(Painter::reset);
            from.copy(to)?;
            lock(&self.stats).passed();
            return Ok(());
        }
        let mut running = lock(&self.running);
        self.catch_up(&mut running, revisions);
        let painter = running.painter.as_mut().context("no model is loaded")?;
        if from.buffer().flags().contains(gst::BufferFlags::DISCONT) {
            painter.reset();
        }
        match painter.paint(from, to, controls)? {
            Painted::Done(took) => lock(&self.stats).painted(started.elapsed(), took),
            Painted::Original => {
                from.copy(to)?;
                lock(&self.stats).passed();
                if !std::mem::replace(&mut running.warned_not_finite, true) {
                    error::warn(
                        &self.obj(),
                        "the model's output has NaN or infinite values: frames are shown as they came",
                    );
                }
            }
        }
        Ok(())
    }
}

#[glib::object_subclass]
impl ObjectSubclass for StyleTransfer {
    const NAME: &'static str = "GstStyleTransfer";
    type Type = super::StyleTransfer;
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
                "Repaints video frames with an ONNX style generator",
                env!("CARGO_PKG_NAME"),
            )
        });
        Some(&METADATA)
    }

    fn pad_templates() -> &'static [gst::PadTemplate] {
        static TEMPLATES: LazyLock<Vec<gst::PadTemplate>> = LazyLock::new(|| {
            let builder = gst_video::VideoCapsBuilder::new().width_range(SIDES).height_range(SIDES);
            let caps = builder.field("interlace-mode", "progressive").build();
            let template = |name, direction| gst::PadTemplate::new(name, direction, gst::PadPresence::Always, &caps);
            let both = [template("sink", gst::PadDirection::Sink), template("src", gst::PadDirection::Src)];
            both.into_iter().flatten().collect()
        });
        &TEMPLATES
    }
}

impl BaseTransformImpl for StyleTransfer {
    const MODE: BaseTransformMode = BaseTransformMode::NeverInPlace;
    const PASSTHROUGH_ON_SAME_CAPS: bool = false;
    const TRANSFORM_IP_ON_PASSTHROUGH: bool = false;

    fn start(&self) -> Result<(), gst::ErrorMessage> {
        let settings = self.settings();
        *lock(&self.stats) = Stats::default();
        let painter = self.load(&settings).map_err(|problem| error::at_start(&problem))?;
        lock(&self.stats).configured(painter.stylizer().generator().provider(), (0, 0));
        *lock(&self.running) =
            Running { painter: Some(painter), revisions: settings.revisions, warned_not_finite: false };
        Ok(())
    }

    fn stop(&self) -> Result<(), gst::ErrorMessage> {
        *lock(&self.running) = Running::default();
        Ok(())
    }

    fn sink_event(&self, event: gst::Event) -> bool {
        if matches!(event.type_(), gst::EventType::FlushStop | gst::EventType::Segment | gst::EventType::StreamStart) {
            lock(&self.running).painter.as_mut().map(Painter::reset);
        }
        self.parent_sink_event(event)
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
        // Size, format and timing stay: whatever describes the input frame describes the painted one.
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
        let settings = self.settings();
        let mut running = lock(&self.running);
        let painter = running.painter.as_mut().ok_or_else(|| gst::loggable_error!(CAT, "no model is loaded"))?;
        self.negotiate(painter, in_info, &settings).map_err(|problem| {
            error::post_caps(&self.obj(), &problem);
            error::at_caps(&problem)
        })
    }

    fn transform_frame(&self, from: &FrameIn, to: &mut FrameOut) -> Result<gst::FlowSuccess, gst::FlowError> {
        match self.paint(from, to) {
            Ok(()) => Ok(gst::FlowSuccess::Ok),
            Err(problem) => Err(error::at_frame(&self.obj(), &problem)),
        }
    }
}
