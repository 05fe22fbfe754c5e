//! The element's virtual methods: copy settings or lock, call one domain function, translate the error.

use std::sync::{LazyLock, Mutex};
use std::time::{Duration, Instant};

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
use super::running::{Running, lock};
use super::settings::Settings;
use super::stats::Stats;
use super::{error, properties};
use crate::stylizer::Controls;
use crate::temporal::stabilizer::Method;

/// Smallest and largest side of a frame.
const SIDES: std::ops::RangeInclusive<i32> = 16..=8192;

/// The element. Locks are taken in the order of the fields; none but `running` is held while a frame is painted.
#[derive(Default)]
pub struct StyleTransfer {
    pub(super) settings: Mutex<Settings>,
    pub(super) running: Mutex<Running>,
    pub(super) stats: Mutex<Stats>,
}

impl StyleTransfer {
    fn paint(&self, from: &FrameIn, to: &mut FrameOut) -> Result<()> {
        let started = Instant::now();
        let (controls, revisions) = {
            let settings = lock(&self.settings);
            let time = from.buffer().pts().map(Duration::from);
            let stylizer = Controls { smoothing: settings.smoothing(), time };
            (FrameControls { mix: settings.mix(), stylizer }, settings.revisions)
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
            Painted::Done(took) => {
                let mut stats = lock(&self.stats);
                stats.painted(started.elapsed(), took);
                if controls.stylizer.smoothing.method == Method::Motion && !controls.stylizer.smoothing.is_off() {
                    stats.steadied(painter.stylizer().temporal_report());
                }
            }
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
        *lock(&self.running) = Running {
            painter: Some(painter),
            source: settings.source().ok(),
            revisions: settings.revisions,
            warned_not_finite: false,
        };
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
