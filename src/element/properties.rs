//! The element's properties: one entry each, with name, text, default and both directions.

use std::sync::LazyLock;

use gst::glib;
use gst::prelude::*;

use crate::element::settings::{GovernorSetting, OptimizationLevel, PrecisionSetting, Settings, TemporalMethod};
use crate::inference::providers::PROVIDERS;
use crate::model::metadata::key;

/// What a change of a property makes necessary.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Effect {
    /// Nothing: it is read for every frame.
    Frame,
    /// New sizes.
    Size,
    /// Other weights of the model's styles, or another embedded model.
    Style,
    /// The model is loaded again.
    Model,
}

type Setter = Box<dyn Fn(&mut Settings, &glib::Value) + Send + Sync>;
type Getter = Box<dyn Fn(&Settings) -> glib::Value + Send + Sync>;

/// One writable property.
struct Property {
    spec: glib::ParamSpec,
    effect: Effect,
    set: Setter,
    get: Getter,
}

/// Name of the read-only property with the provider in use.
pub const ACTIVE_PROVIDER: &str = "active-provider";
/// Name of the read-only property with the statistics.
pub const STATS: &str = "stats";

const NOW: glib::ParamFlags = glib::ParamFlags::READWRITE.union(gst::PARAM_FLAG_MUTABLE_PLAYING);

/// A property that is a field of the settings.
macro_rules! property {
    ($effect:ident, $field:ident: $type:ty, $builder:expr) => {
        Property {
            spec: $builder,
            effect: Effect::$effect,
            set: Box::new(|settings, value| {
                if let Ok(value) = value.get::<$type>() {
                    settings.$field = value.into();
                }
            }),
            get: Box::new(|settings| settings.$field.to_value()),
        }
    };
}

/// A text; unset is the empty text.
macro_rules! text {
    ($effect:ident, $field:ident, $name:expr, $nick:expr, $blurb:expr) => {
        Property {
            spec: string($name, $nick, &$blurb, &Settings::default().$field),
            effect: Effect::$effect,
            set: Box::new(|settings, value| settings.$field = optional(value)),
            get: Box::new(|settings| settings.$field.to_value()),
        }
    };
}

fn string(name: &str, nick: &str, blurb: &str, default: &str) -> glib::ParamSpec {
    let default = (!default.is_empty()).then_some(default);
    glib::ParamSpecString::builder(name).nick(nick).blurb(blurb).default_value(default).flags(NOW).build()
}

fn optional(value: &glib::Value) -> String {
    value.get::<Option<String>>().ok().flatten().unwrap_or_default()
}

static PROPERTIES: LazyLock<Vec<Property>> = LazyLock::new(|| {
    let mut all = model_properties();
    all.extend(frame_properties());
    all.extend(pace_properties());
    all.extend(runtime_properties());
    all.extend(override_properties());
    all
});

fn model_properties() -> Vec<Property> {
    let styles: Vec<_> = crate::model::built_in::styles().map(|s| s.name).collect();
    vec![
        text!(
            Model,
            model_file,
            "model-file",
            "Model file",
            "ONNX file of a style generator; unset: the embedded style"
        ),
        text!(
            Style,
            style,
            "style",
            "Style",
            format!(
                "Style of the model, or a mix: NAME:SHARE,NAME:SHARE; unset: its first. Embedded: {}",
                styles.join(", ")
            )
        ),
        property!(Frame, style_fade: u32, glib::ParamSpecUInt::builder("style-fade").nick("Style fade")
            .blurb("Milliseconds of the fade from one style or model to the next; 0: at once")
            .maximum(60_000).default_value(Settings::default().style_fade).flags(NOW).build()),
        text!(
            Model,
            style_image,
            "style-image",
            "Style image",
            "Picture of the style, for models that take one as a second input"
        ),
    ]
}

fn frame_properties() -> Vec<Property> {
    let defaults = Settings::default();
    let share = |name: &str, nick: &str, blurb: &str, default: f64| {
        let builder = glib::ParamSpecDouble::builder(name).nick(nick).blurb(blurb).minimum(0.0).maximum(1.0);
        builder.default_value(default).flags(NOW | gst::PARAM_FLAG_CONTROLLABLE).build()
    };
    vec![
        property!(Frame, strength: f64, share("strength", "Strength", "Share of the stylized frame in the picture; 0 passes frames on without inference", defaults.strength)),
        property!(Frame, preserve_color: bool, glib::ParamSpecBoolean::builder("preserve-color")
            .nick("Preserve color").blurb("Keep the colours of the original and take only the lightness of the stylized frame")
            .default_value(defaults.preserve_color).flags(NOW | gst::PARAM_FLAG_CONTROLLABLE).build()),
        property!(Frame, temporal_smoothing: f64, share("temporal-smoothing", "Temporal smoothing", "Strength against flicker: share of earlier frames in the stylized frame; 0 is off", defaults.temporal_smoothing)),
        property!(Frame, temporal_method: TemporalMethod, glib::ParamSpecEnum::builder_with_default("temporal-method", defaults.temporal_method)
            .nick("Temporal method").blurb("How earlier frames are used").flags(NOW).build()),
        text!(
            Size,
            inference_size,
            "inference-size",
            "Inference size",
            "Size to stylize at: 0 is the frame's, else WIDTHxHEIGHT to fit into or a factor (0.5, 1/3), both keeping the proportions"
        ),
    ]
}

fn pace_properties() -> Vec<Property> {
    let defaults = Settings::default();
    vec![
        property!(Frame, governor: GovernorSetting, glib::ParamSpecEnum::builder_with_default("governor", defaults.governor)
            .nick("Governor").blurb("Whether smaller stylized frames and propagated frames may hold the frame rate").flags(NOW).build()),
        property!(Frame, target_fps: f64, glib::ParamSpecDouble::builder("target-fps").nick("Target frame rate")
            .blurb("Frames per second that the governor holds; 0: those of the caps").minimum(0.0).maximum(1000.0)
            .default_value(defaults.target_fps).flags(NOW).build()),
        property!(Frame, inference_interval: u32, glib::ParamSpecUInt::builder("inference-interval").nick("Inference interval")
            .blurb("One frame of so many is stylized, the others are propagated along the motion; 1: every one is stylized")
            .minimum(1).maximum(8).default_value(defaults.inference_interval).flags(NOW).build()),
        property!(Frame, lookahead: u32, glib::ParamSpecUInt::builder("lookahead").nick("Lookahead")
            .blurb("Frames that wait for the next one, which then helps against flicker too: later by as many frames")
            .maximum(1).default_value(defaults.lookahead).flags(NOW).build()),
        property!(Frame, stats_interval: u32, glib::ParamSpecUInt::builder("stats-interval").nick("Statistics interval")
            .blurb("Milliseconds between messages 'styletransfer-stats' on the bus; 0: none")
            .maximum(3_600_000).default_value(defaults.stats_interval).flags(NOW).build()),
    ]
}

fn runtime_properties() -> Vec<Property> {
    let defaults = Settings::default();
    let names: Vec<_> = PROVIDERS.iter().map(|p| p.name).collect();
    let blurb = format!("What computes: auto (the first that can be had), or one of {}", names.join(", "));
    vec![
        text!(Model, execution_provider, "execution-provider", "Execution provider", blurb),
        property!(Model, device_id: i32, glib::ParamSpecInt::builder("device-id").nick("Device").blurb("Number of the GPU or other device")
            .minimum(0).maximum(255).default_value(defaults.device_id).flags(NOW).build()),
        property!(Model, precision: PrecisionSetting, glib::ParamSpecEnum::builder_with_default("precision", defaults.precision)
            .nick("Precision").blurb("Arithmetic of the inference").flags(NOW).build()),
        property!(Model, optimization_level: OptimizationLevel, glib::ParamSpecEnum::builder_with_default("optimization-level", defaults.optimization_level)
            .nick("Optimization level").blurb("How far ONNX Runtime may rewrite the model").flags(NOW).build()),
        property!(Model, threads: u32, glib::ParamSpecUInt::builder("threads").nick("Threads").blurb("Threads of the inference; 0: one per core")
            .maximum(1024).default_value(defaults.threads).flags(NOW).build()),
        property!(Frame, provider_wait: bool, glib::ParamSpecBoolean::builder("provider-wait").nick("Wait for the provider")
            .blurb("Wait for a provider that builds an engine (TensorRT), instead of starting on the next best and switching when it is ready")
            .default_value(defaults.provider_wait).flags(NOW).build()),
        text!(
            Model,
            model_cache_dir,
            "model-cache-dir",
            "Model cache directory",
            "Folder where TensorRT and OpenVINO keep prepared models; unset: none is kept"
        ),
    ]
}

/// Text of each contract override, in the order of [`key::ALL`].
const OVERRIDES: [(&str, &str, &str); key::ALL.len()] = [
    (
        key::INPUT_NAME,
        "Input name",
        "Name of the model's input that takes the frame; unset: as the model tells, else by its shape",
    ),
    (
        key::OUTPUT_NAME,
        "Output name",
        "Name of the model's output that holds the stylized frame; unset: as the model tells, else by its shape",
    ),
    (key::INPUT_LAYOUT, "Input layout", "Axes of the model's input: nchw, nhwc, chw or hwc; unset: as the model tells"),
    (
        key::OUTPUT_LAYOUT,
        "Output layout",
        "Axes of the model's output: nchw, nhwc, chw or hwc; unset: as the model tells",
    ),
    (
        key::INPUT_CHANNELS,
        "Input channels",
        "Channel order of the model's input: rgb or bgr; unset: as the model tells",
    ),
    (
        key::OUTPUT_CHANNELS,
        "Output channels",
        "Channel order of the model's output: rgb or bgr; unset: as the model tells, else as the input",
    ),
    (
        key::INPUT_RANGE,
        "Input range",
        "Values of the model's input: LOW,HIGH or mean=R,G,B;std=R,G,B; unset: as the model tells",
    ),
    (
        key::OUTPUT_RANGE,
        "Output range",
        "Values of the model's output: LOW,HIGH or mean=R,G,B;std=R,G,B; unset: as the model tells",
    ),
    (
        key::SIZE_MULTIPLE,
        "Size multiple",
        "Width and height must be multiples of this; unset: as the model tells, else found by trying",
    ),
    (
        key::SCALAR_INPUTS,
        "Scalar inputs",
        "Values of the model's number and flag inputs: name=value,name=value; unset: as the model tells, else 1 and false",
    ),
    (
        key::STYLES,
        "Styles",
        "Names of the model's styles, in the order of its weights: name,name; unset: as the model tells, else numbers",
    ),
];

fn override_properties() -> Vec<Property> {
    let entry = |(index, (name, nick, blurb)): (usize, &(&str, &str, &str))| Property {
        spec: string(name, nick, blurb, ""),
        effect: Effect::Model,
        set: Box::new(move |settings, value| settings.overrides[index] = optional(value)),
        get: Box::new(move |settings| settings.overrides[index].to_value()),
    };
    OVERRIDES.iter().enumerate().map(entry).collect()
}

/// Every property, the read-only ones last.
pub static SPECS: LazyLock<Vec<glib::ParamSpec>> = LazyLock::new(|| {
    let mut specs: Vec<_> = PROPERTIES.iter().map(|p| p.spec.clone()).collect();
    specs.push(
        glib::ParamSpecString::builder(ACTIVE_PROVIDER)
            .nick("Active provider")
            .blurb("What computes now")
            .read_only()
            .build(),
    );
    specs.push(
        glib::ParamSpecBoxed::builder::<gst::Structure>(STATS)
            .nick("Statistics")
            .blurb(
                "Frames (in, out, inferred, propagated, original, dropped), rate, milliseconds (mean and percentiles) of the stages, confidence in the history, warping error of what is shown and the part of the raw one that was taken off, cuts (the first frame is one), provider, inference size, the governor's step, latency",
            )
            .read_only()
            .build(),
    );
    specs
});

/// Takes a property over into the settings.
pub fn set(settings: &mut Settings, name: &str, value: &glib::Value) {
    let Some(property) = PROPERTIES.iter().find(|p| p.spec.name() == name) else { return };
    let before = (property.get)(settings);
    (property.set)(settings, value);
    if format!("{before:?}") == format!("{:?}", (property.get)(settings)) {
        return;
    }
    match property.effect {
        Effect::Frame => {}
        Effect::Size => settings.revisions.size += 1,
        Effect::Style => settings.revisions.style += 1,
        Effect::Model => settings.revisions.model += 1,
    }
}

/// A writable property's value.
pub fn get(settings: &Settings, name: &str) -> Option<glib::Value> {
    PROPERTIES.iter().find(|p| p.spec.name() == name).map(|p| (p.get)(settings))
}
