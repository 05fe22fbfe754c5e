//! How late frames are: by quality-of-service events from downstream, and by the pipeline's clock.
//!
//! Comes in: QoS events, frames and their times. Goes out: whether a frame is late already. Never blocks: events come from
//! other threads.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use gst::prelude::*;
use gst_base::prelude::*;

use super::StyleTransfer;
use crate::frame::threads::lock;
use crate::schedule::pace::Upstream;

/// Frames later than this are not hurried any more, but left out by the base class.
const HOPELESS: Duration = Duration::from_millis(500);

/// What is known of the lateness of frames.
#[derive(Debug, Default)]
pub struct Lateness {
    /// Frames of an earlier running time are late downstream.
    earliest: Mutex<Option<gst::ClockTime>>,
    /// Nanoseconds by which the last frame was late downstream.
    late: AtomicU64,
    /// Whether the element hurries late frames itself.
    pub hurries: AtomicBool,
    /// Whether the frame at hand is behind the clock.
    pub behind: AtomicBool,
}

impl Lateness {
    /// Forgets what was seen before a flush or a start.
    pub fn reset(&self) {
        *lock(&self.earliest) = None;
        self.behind.store(false, Ordering::Relaxed);
    }

    /// Takes a QoS event. True: the element itself reacts, the base class must not drop frames.
    pub fn event(&self, qos: &gst::event::Qos) -> bool {
        let (_, _, diff, timestamp) = qos.get();
        let Some(timestamp) = timestamp else { return false };
        *lock(&self.earliest) = match diff {
            diff if diff > 0 => Some(timestamp + gst::ClockTime::from_nseconds(diff as u64)),
            _ => None,
        };
        self.late.store(diff.max(0) as u64, Ordering::Relaxed);
        self.hurries.load(Ordering::Relaxed) && diff < HOPELESS.as_nanos() as i64
    }

    /// Whether a frame is late downstream or behind the clock.
    pub fn is_late(&self, element: &StyleTransfer, pts: Option<gst::ClockTime>) -> bool {
        let downstream = match *lock(&self.earliest) {
            Some(earliest) => running_time(element, pts).is_some_and(|time| time < earliest),
            None => false,
        };
        downstream || self.behind.load(Ordering::Relaxed)
    }

    /// By how much the last frame was late downstream; counted once.
    pub fn take_late(&self) -> Duration {
        Duration::from_nanos(self.late.swap(0, Ordering::Relaxed))
    }
}

fn running_time(element: &StyleTransfer, pts: Option<gst::ClockTime>) -> Option<gst::ClockTime> {
    element.segment().downcast_ref::<gst::ClockTime>()?.to_running_time(pts)
}

/// How long after its running time a frame comes in; `None` without a clock or a timestamp.
pub fn lag(element: &StyleTransfer, pts: Option<gst::ClockTime>) -> Option<Duration> {
    let (now, time) = (element.current_running_time()?, running_time(element, pts)?);
    Some(now.saturating_sub(time).into())
}

/// Asks the elements before this one. Not live where none answers.
pub fn upstream(element: &StyleTransfer) -> Upstream {
    let mut query = gst::query::Latency::new();
    if !element.sink_pad().peer_query(&mut query) {
        return Upstream::default();
    }
    let (live, latency, _) = query.result();
    Upstream { live, latency: latency.into() }
}
