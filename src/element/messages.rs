//! Messages on the bus: one constructor each, with its name, fields and units.
//!
//! Comes in: what happened. Goes out: an [`Outbox`] that is posted when no lock is held, since a handler on the posting
//! thread may read any property of the element.

use gst::prelude::*;

use crate::element::StyleTransfer;
use crate::element::error;
use crate::schedule::governor::Step;

/// Statistics; see [`crate::element::stats`] for the fields.
pub const STATS: &str = "styletransfer-stats";
/// The governor works at another step.
pub const GOVERNOR: &str = "styletransfer-governor";
/// Another model, execution provider or inference size is in use.
pub const GENERATOR: &str = "styletransfer-generator";
/// A frame left the element as it came, because inference failed.
pub const PASSTHROUGH: &str = "styletransfer-passthrough";

/// Fields of every element message but [`STATS`], with type and unit, as the documentation lists them.
#[cfg(test)]
const FIELDS: &[(&str, &[(&str, &str)])] = &[
    (
        GOVERNOR,
        &[
            ("step", "string, `1/DIVISOR@INTERVAL`"),
            ("divisor", "uint, width and height of inference are the frame's divided by this"),
            ("interval", "uint, inference runs on one frame of so many"),
            ("frame-ms", "double, milliseconds that the last frame took"),
        ],
    ),
    (
        GENERATOR,
        &[
            ("provider", "string, the execution provider in use"),
            ("model", "string, file or embedded model"),
            ("inference-width", "uint, pixels"),
            ("inference-height", "uint, pixels"),
        ],
    ),
    (
        PASSTHROUGH,
        &[
            ("frame", "guint64, index of the frame since the start, from 0"),
            ("pts", "guint64, nanoseconds; absent for a frame without a timestamp"),
            ("count", "guint64, frames that were passed through since the start because of failures"),
            ("reason", "string, what failed"),
        ],
    ),
];

/// One message.
#[derive(Debug)]
enum Message {
    Element(gst::Structure),
    Warning(String),
    Progress(gst::ProgressType, String),
    Latency,
}

/// Messages that wait until every lock is released.
#[derive(Debug, Default)]
#[must_use = "messages must be posted"]
pub struct Outbox(Vec<Message>);

impl Outbox {
    /// Frames leave at another step of the governor; the last one took `milliseconds`.
    pub fn governor(&mut self, step: Step, milliseconds: f64) {
        let structure = gst::Structure::builder(GOVERNOR)
            .field("step", step.to_string())
            .field("divisor", step.divisor)
            .field("interval", step.interval)
            .field("frame-ms", milliseconds);
        self.0.push(Message::Element(structure.build()));
    }

    /// Another generator is in use.
    pub fn generator(&mut self, provider: &str, model: &str, (width, height): (usize, usize)) {
        let structure = gst::Structure::builder(GENERATOR)
            .field("provider", provider)
            .field("model", model)
            .field("inference-width", width as u32)
            .field("inference-height", height as u32);
        self.0.push(Message::Element(structure.build()));
    }

    /// A frame was passed through: the `count`th one.
    pub fn passthrough(&mut self, frame: u64, pts: Option<gst::ClockTime>, count: u64, reason: &str) {
        let structure = gst::Structure::builder(PASSTHROUGH)
            .field("frame", frame)
            .field_if_some("pts", pts.map(gst::ClockTime::nseconds))
            .field("count", count)
            .field("reason", reason);
        self.0.push(Message::Element(structure.build()));
    }

    /// Statistics.
    pub fn stats(&mut self, stats: gst::Structure) {
        self.0.push(Message::Element(stats));
    }

    /// Something is not as asked, but frames flow.
    pub fn warning(&mut self, text: String) {
        self.0.push(Message::Warning(text));
    }

    /// The preparation of an execution provider goes on.
    pub fn progress(&mut self, kind: gst::ProgressType, text: String) {
        self.0.push(Message::Progress(kind, text));
    }

    /// The reported latency has changed.
    pub fn latency(&mut self) {
        self.0.push(Message::Latency);
    }

    /// Posts everything. No lock of the element may be held.
    pub fn post(self, element: &StyleTransfer) {
        for message in self.0 {
            let posted = match message {
                Message::Warning(text) => {
                    error::warn(element, &text);
                    continue;
                }
                Message::Element(structure) => gst::message::Element::builder(structure).src(element).build(),
                Message::Progress(kind, text) => {
                    gst::message::Progress::builder(kind, "provider", &text).src(element).build()
                }
                Message::Latency => gst::message::Latency::builder().src(element).build(),
            };
            // Without a bus there is no receiver.
            let _ = element.post_message(posted);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::element::stats;

    /// `| name | field | type, unit |` for every field of every message.
    fn table() -> String {
        let rows = |name: &str, fields: &[(&str, &str)]| -> Vec<String> {
            fields.iter().map(|(field, what)| format!("| `{name}` | `{field}` | {what} |")).collect()
        };
        let mut all = rows(STATS, stats::FIELDS);
        FIELDS.iter().for_each(|(name, fields)| all.extend(rows(name, fields)));
        all.join("\n")
    }

    #[test]
    fn the_message_table_of_the_documentation_is_true() {
        let readme = include_str!("../../README.md");
        let found: Vec<_> = readme.lines().filter(|l| l.starts_with("| `styletransfer-")).collect();
        assert_eq!(found.join("\n"), table(), "README.md needs this table:\n{}\n", table());
    }

    #[test]
    fn messages_have_the_documented_fields() {
        gst::init().unwrap();
        let mut out = Outbox::default();
        out.governor(Step::FULL, 1.0);
        out.generator("cpu", "model", (64, 48));
        out.passthrough(7, Some(gst::ClockTime::SECOND), 1, "reason");
        for message in &out.0 {
            let Message::Element(structure) = message else { panic!("{message:?}") };
            let (_, fields) = FIELDS.iter().find(|(name, _)| *name == structure.name()).unwrap();
            let found: Vec<_> = structure.fields().map(|field| field.to_string()).collect();
            assert_eq!(found, fields.iter().map(|(field, _)| *field).collect::<Vec<_>>());
        }
    }
}
