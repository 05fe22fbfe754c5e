//! The element's virtual methods: copy settings or lock, call one domain function, translate the error.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{LazyLock, Mutex};
use std::time::Duration;

use anyhow::Result;
use gst::glib;
use gst_base::prelude::*;
use gst_base::subclass::BaseTransformMode;
use gst_base::subclass::base_transform::GenerateOutputSuccess;
use gst_base::subclass::prelude::*;
use gst_video::VideoInfo;
use gst_video::subclass::prelude::*;

use crate::element::convert::{FrameIn, FrameOut};
use crate::element::loading::Key;
use crate::element::log::CAT;
use crate::element::pipeline::Frames;
use crate::element::reload::{Running, lock};
use crate::element::settings::Settings;
use crate::element::stats::Stats;
use crate::element::{error, properties};
use crate::schedule::watchdog::Watchdog;

/// Smallest and largest side of a frame.
const SIDES: std::ops::RangeInclusive<i32> = 16..=8192;

/// One inference that takes longer is told on the bus.
const TOO_LONG: Duration = Duration::from_secs(2);

/// The element. Only `running` is held while a frame is stylized; with it the others may be locked for a moment, and none
/// is locked inside of another one.
#[derive(Default)]
pub struct StyleTransfer {
    pub(super) settings: Mutex<Settings>,
    pub(super) running: Mutex<Running>,
    pub(super) stats: Mutex<Stats>,
    /// With lookahead: the frame that waits for the next one.
    pub(super) held: Mutex<Option<gst::Buffer>>,
    /// Frames of an earlier running time are late downstream.
    pub(super) earliest: Mutex<Option<gst::ClockTime>>,
    /// Whether late frames are hurried by the element itself.
    pub(super) hurries: AtomicBool,
    /// Nanoseconds by which the last frame was late downstream.
    pub(super) late: AtomicU64,
    /// Nanoseconds that are told as latency.
    pub(super) latency: AtomicU64,
    watchdog: Mutex<Option<Watchdog>>,
}

impl StyleTransfer {
    fn watch(&self) {
        let element = self.obj().downgrade();
        let on_overdue = move || {
            if let Some(element) = element.upgrade() {
                error::warn(
                    &element,
                    &format!("one inference takes more than {} s; frames wait for it", TOO_LONG.as_secs()),
                );
            }
        };
        *lock(&self.watchdog) = Some(Watchdog::new(TOO_LONG, on_overdue));
    }

    /// Calls the generator while the watchdog looks on.
    pub(super) fn watched<T>(&self, work: impl FnOnce() -> T) -> T {
        lock(&self.watchdog).iter().for_each(Watchdog::begin);
        let result = work();
        lock(&self.watchdog).iter().for_each(Watchdog::end);
        result
    }

    /// Loads and settles everything that can fail before the first frame.
    fn load_first(&self) -> Result<()> {
        let settings = self.settings();
        let (mut painter, postponed) = self.load(&settings, settings.provider_wait)?;
        // A live source will not wait for its caps to be taken up.
        painter.prepare_style();
        lock(&self.stats).configured(painter.stylizer().generator().provider(), (0, 0));
        let (revisions, source) = (settings.revisions, settings.source().ok());
        let key =
            Key { model: revisions.model, size: revisions.size, divisor: 1, source: source.clone(), ..Key::default() };
        let wanted = Key { waited: postponed.is_some(), ..key.clone() };
        if let Some(slow) = postponed {
            let now = painter.stylizer().generator().provider().to_owned();
            self.announce(gst::ProgressType::Start, &format!("preparing '{slow}'; '{now}' computes meanwhile"));
        }
        let style = revisions.style;
        let painter = Some(painter);
        *lock(&self.running) = Running { painter, source, loaded: settings, key, wanted, style, ..Running::default() };
        Ok(())
    }

    /// Tells the application about a provider that takes long to prepare.
    pub(super) fn announce(&self, kind: gst::ProgressType, text: &str) {
        let element = self.obj();
        // Without a bus nobody wants to know.
        let _ = element.post_message(gst::message::Progress::builder(kind, "provider", text).src(&*element).build());
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
                "Stylizes video frames with an ONNX style generator",
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
        *lock(&self.earliest) = None;
        *lock(&self.stats) = Stats::default();
        self.load_first().map_err(|problem| error::at_start(&problem))?;
        self.watch();
        Ok(())
    }

    fn stop(&self) -> Result<(), gst::ErrorMessage> {
        *lock(&self.watchdog) = None;
        *lock(&self.held) = None;
        let mut running = std::mem::take(&mut *lock(&self.running));
        if running.prepares() {
            let text = "not needed any more; ONNX Runtime cannot be interrupted, so stopping waits for it";
            self.announce(gst::ProgressType::Canceled, text);
        }
        running.finish();
        Ok(())
    }

    fn sink_event(&self, event: gst::Event) -> bool {
        use gst::EventType::{Caps, Eos, FlushStop, Gap, Segment, SegmentDone, StreamStart};
        match event.type_() {
            Eos | Caps | Gap | SegmentDone => self.drain(),
            Segment | StreamStart => {
                self.drain();
                lock(&self.running).reset();
            }
            FlushStop => {
                *lock(&self.held) = None;
                *lock(&self.earliest) = None;
                lock(&self.running).reset();
            }
            _ => {}
        }
        if event.type_() == StreamStart {
            lock(&self.running).pacer.restart();
        }
        self.parent_sink_event(event)
    }

    fn src_event(&self, event: gst::Event) -> bool {
        if let gst::EventView::Qos(qos) = event.view()
            && self.heed(qos)
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
        let result = self.parent_submit_input_buffer(is_discont, buffer);
        if result == Ok(gst_base::BASE_TRANSFORM_FLOW_DROPPED) {
            lock(&self.stats).dropped();
        }
        result
    }

    fn generate_output(&self) -> Result<GenerateOutputSuccess, gst::FlowError> {
        if !self.looks_ahead() && lock(&self.held).is_none() {
            return self.parent_generate_output();
        }
        self.generate_behind()
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
        self.settle(in_info).map_err(|problem| {
            error::post_caps(&self.obj(), &problem);
            error::at_caps(&problem)
        })
    }

    fn transform_frame(&self, from: &FrameIn, to: &mut FrameOut) -> Result<gst::FlowSuccess, gst::FlowError> {
        match self.show(Frames { next: from, shown: from }, Some(to), false) {
            Ok(_) => Ok(gst::FlowSuccess::Ok),
            Err(problem) => Err(error::at_frame(&self.obj(), &problem)),
        }
    }
}
