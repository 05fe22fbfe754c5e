//! The element's properties: one entry each, with name, text, default and both directions.

use std::sync::LazyLock;

use gst::glib;
use gst::prelude::*;

use crate::element::settings::{
    GovernorSetting, OnError, OptimizationLevel, PrecisionSetting, ProviderWait, Settings, TemporalMethod,
};
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
            "Path of an ONNX style model; unset: the embedded model of the style"
        ),
        text!(
            Style,
            style,
            "style",
            "Style",
            format!(
                "Style, or a mix NAME:SHARE,NAME:SHARE; unset: the first style of the model. Embedded styles: {}",
                styles.join(", ")
            )
        ),
        property!(Size, style_scale: f64, glib::ParamSpecDouble::builder("style-scale").nick("Style scale")
            .blurb("Size of the strokes, as a factor: the inference size is divided by it, so 2 takes a quarter of the time and 0.5 four times")
            .minimum(0.5).maximum(4.0).default_value(Settings::default().style_scale).flags(NOW).build()),
        property!(Frame, style_fade: u32, glib::ParamSpecUInt::builder("style-fade").nick("Style fade")
            .blurb("Length of the fade to another style or model, in milliseconds; 0: no fade")
            .maximum(60_000).default_value(Settings::default().style_fade).flags(NOW).build()),
        text!(
            Model,
            style_image,
            "style-image",
            "Style image",
            "Path of the style picture, for models with a second picture input"
        ),
        text!(
            Model,
            style_file,
            "style-file",
            "Style file",
            "Path of a style file of the trainer's learn, or of a folder of them (*.style): further styles of the model, the first of which is used if style is unset"
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
        property!(Frame, strength: f64, share("strength", "Strength", "Share of the stylized frame in the output, 0 to 1; 0: passthrough without inference", defaults.strength)),
        property!(Frame, preserve_color: bool, glib::ParamSpecBoolean::builder("preserve-color")
            .nick("Preserve color").blurb("Keep the colors of the input frame and take only the luma of the stylized frame")
            .default_value(defaults.preserve_color).flags(NOW | gst::PARAM_FLAG_CONTROLLABLE).build()),
        property!(Frame, temporal_smoothing: f64, share("temporal-smoothing", "Temporal smoothing", "Strength of the temporal smoothing, 0 to 1; 0: off", defaults.temporal_smoothing)),
        property!(Frame, temporal_method: TemporalMethod, glib::ParamSpecEnum::builder_with_default("temporal-method", defaults.temporal_method)
            .nick("Temporal method").blurb("Method of the temporal smoothing").flags(NOW).build()),
        text!(
            Size,
            inference_size,
            "inference-size",
            "Inference size",
            "Size of the inference: 0 (the frame size), WIDTHxHEIGHT to fit into, or a factor (0.5, 1/3); the aspect ratio is kept"
        ),
    ]
}

fn pace_properties() -> Vec<Property> {
    let defaults = Settings::default();
    vec![
        property!(Frame, governor: GovernorSetting, glib::ParamSpecEnum::builder_with_default("governor", defaults.governor)
            .nick("Governor").blurb("Whether the frame rate is held by inference at a smaller size and by propagated frames").flags(NOW).build()),
        property!(Frame, target_fps: f64, glib::ParamSpecDouble::builder("target-fps").nick("Target frame rate")
            .blurb("Frame rate that the governor holds, in frames per second; 0: the measured rate of the stream").minimum(0.0).maximum(1000.0)
            .default_value(defaults.target_fps).flags(NOW).build()),
        property!(Frame, inference_interval: u32, glib::ParamSpecUInt::builder("inference-interval").nick("Inference interval")
            .blurb("Run inference on one frame of this many and propagate the last stylized frame in between; 1: every frame")
            .minimum(1).maximum(8).default_value(defaults.inference_interval).flags(NOW).build()),
        property!(Frame, lookahead: u32, glib::ParamSpecUInt::builder("lookahead").nick("Lookahead")
            .blurb("Frames of delay, so that smoothing uses the next frame too; 0: none")
            .maximum(1).default_value(defaults.lookahead).flags(NOW).build()),
        property!(Frame, stats_interval: u32, glib::ParamSpecUInt::builder("stats-interval").nick("Statistics interval")
            .blurb("Interval of the styletransfer-stats messages, in milliseconds; 0: none")
            .maximum(3_600_000).default_value(defaults.stats_interval).flags(NOW).build()),
    ]
}

fn runtime_properties() -> Vec<Property> {
    let defaults = Settings::default();
    let names: Vec<_> = PROVIDERS.iter().map(|p| p.name).collect();
    let blurb = format!("Execution provider: auto (the first usable one), or one of {}", names.join(", "));
    vec![
        text!(Model, execution_provider, "execution-provider", "Execution provider", blurb),
        property!(Model, device_id: i32, glib::ParamSpecInt::builder("device-id").nick("Device").blurb("Index of the device that the execution provider uses")
            .minimum(0).maximum(255).default_value(defaults.device_id).flags(NOW).build()),
        property!(Model, precision: PrecisionSetting, glib::ParamSpecEnum::builder_with_default("precision", defaults.precision)
            .nick("Precision").blurb("Precision of the inference").flags(NOW).build()),
        property!(Model, optimization_level: OptimizationLevel, glib::ParamSpecEnum::builder_with_default("optimization-level", defaults.optimization_level)
            .nick("Optimization level").blurb("Graph optimization level of ONNX Runtime").flags(NOW).build()),
        property!(Model, threads: u32, glib::ParamSpecUInt::builder("threads").nick("Threads").blurb("Most threads of inference and of conversion each; 0: one per usable core")
            .maximum(1024).default_value(defaults.threads).flags(NOW).build()),
        property!(Frame, provider_wait: ProviderWait, glib::ParamSpecEnum::builder_with_default("provider-wait", defaults.provider_wait)
            .nick("Wait for the provider").blurb("Whether the first frame waits for an execution provider that builds an engine for minutes (TensorRT)")
            .flags(NOW).build()),
        property!(Frame, on_error: OnError, glib::ParamSpecEnum::builder_with_default("on-error", defaults.on_error)
            .nick("On error").blurb("What happens to a frame whose inference fails").flags(NOW).build()),
        text!(
            Model,
            model_cache_dir,
            "model-cache-dir",
            "Model cache directory",
            "Folder for prepared engines of TensorRT and OpenVINO; unset: gst-plugin-styletransfer in the user's cache folder"
        ),
    ]
}

/// Text of each contract override, in the order of [`key::ALL`].
const OVERRIDES: [(&str, &str, &str); key::ALL.len()] = [
    (
        key::INPUT_NAME,
        "Input name",
        "Name of the model's input that takes the frame; unset: from the model, else by its shape",
    ),
    (
        key::OUTPUT_NAME,
        "Output name",
        "Name of the model's output that holds the stylized frame; unset: from the model, else by its shape",
    ),
    (
        key::INPUT_LAYOUT,
        "Input layout",
        "Axis order of the model's input: nchw, nhwc, chw or hwc; unset: from the model",
    ),
    (
        key::OUTPUT_LAYOUT,
        "Output layout",
        "Axis order of the model's output: nchw, nhwc, chw or hwc; unset: from the model",
    ),
    (key::INPUT_CHANNELS, "Input channels", "Channel order of the model's input: rgb or bgr; unset: from the model"),
    (
        key::OUTPUT_CHANNELS,
        "Output channels",
        "Channel order of the model's output: rgb or bgr; unset: from the model, else that of the input",
    ),
    (
        key::INPUT_RANGE,
        "Input range",
        "Value range of the model's input: LOW,HIGH or mean=R,G,B;std=R,G,B; unset: from the model",
    ),
    (
        key::OUTPUT_RANGE,
        "Output range",
        "Value range of the model's output: LOW,HIGH or mean=R,G,B;std=R,G,B; unset: from the model",
    ),
    (
        key::SIZE_MULTIPLE,
        "Size multiple",
        "Number that width and height of the inference must be multiples of; unset: from the model, else found by trying",
    ),
    (
        key::SCALAR_INPUTS,
        "Scalar inputs",
        "Values of the model's number and flag inputs: NAME=VALUE,NAME=VALUE; unset: from the model, else 1 and false",
    ),
    (
        key::STYLES,
        "Styles",
        "Names of the model's styles in the order of its weights: NAME,NAME; unset: from the model, else numbers from 0",
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
            .blurb("Execution provider in use")
            .read_only()
            .build(),
    );
    specs.push(
        glib::ParamSpecBoxed::builder::<gst::Structure>(STATS)
            .nick("Statistics")
            .blurb(
                "Counts, times and quality of the frames so far; the fields are those of message styletransfer-stats",
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
