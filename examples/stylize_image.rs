//! Stylizes one image file with the core alone, without GStreamer.
//!
//! `cargo run --release --no-default-features --features onnx --example stylize_image -- IN.jpg OUT.png [--model FILE]`

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use gststyletransfer::frame::image::{Image, ImageMut, Shape};
use gststyletransfer::frame::mix::{Mix, mix};
use gststyletransfer::inference::config::{ModelSource, SessionConfig};
use gststyletransfer::inference::session::OrtGenerator;
use gststyletransfer::model::built_in;
use gststyletransfer::stylizer::{Controls, Outcome, Stylizer};
use image::RgbImage;

#[derive(Parser)]
#[command(about = "Stylize an image file")]
struct Arguments {
    /// Image file to read.
    input: PathBuf,
    /// Image file to write.
    output: PathBuf,
    /// ONNX file; the default is the embedded model.
    #[arg(long)]
    model: Option<PathBuf>,
    /// Share of the stylized frame, 0 to 1.
    #[arg(long, default_value_t = 1.0)]
    strength: f32,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let picture = image::open(&arguments.input).with_context(|| format!("{}", arguments.input.display()))?.to_rgb8();
    let source = match &arguments.model {
        Some(file) => ModelSource::File(file.clone()),
        None => ModelSource::Embedded(&built_in::MODELS[0]),
    };
    let mut stylizer = Stylizer::new(Box::new(OrtGenerator::load(&source, &SessionConfig::default())?));
    let stylized = stylize(&mut stylizer, &picture, arguments.strength)?;
    stylized.save(&arguments.output).with_context(|| format!("{}", arguments.output.display()))?;
    println!("{}", arguments.output.display());
    Ok(())
}

fn stylize(stylizer: &mut Stylizer, picture: &RgbImage, strength: f32) -> Result<RgbImage> {
    let geometry = stylizer.prepare((picture.width() as usize, picture.height() as usize))?;
    let input = planes(picture, geometry.input);
    let mut output = [0; 3].map(|_: i32| vec![0u8; geometry.output.0 * geometry.output.1]);
    let shape = |(width, height)| Shape { width, height, white: 255 };
    let strides = [geometry.output.0; 3];
    let image = Image::new([&input[0], &input[1], &input[2]], [geometry.input.0; 3], shape(geometry.input))?;
    let [r, g, b] = &mut output;
    let mut stylized = ImageMut::new([r, g, b], strides, shape(geometry.output))?;
    let outcome = stylizer.process(&image, &mut stylized, Controls::STILL)?;
    ensure!(outcome != Outcome::NotFinite, "the model's output has NaN or infinite values");
    if geometry.input == geometry.output {
        mix(&image, &mut stylized, Mix { strength, preserve_color: false });
    }
    let pixel = |i: usize| [output[0][i], output[1][i], output[2][i]];
    let bytes = (0..output[0].len()).flat_map(pixel).collect();
    RgbImage::from_raw(geometry.output.0 as u32, geometry.output.1 as u32, bytes).context("size of the stylized frame")
}

/// Red, green and blue plane of the image at a size.
fn planes(picture: &RgbImage, (width, height): (usize, usize)) -> [Vec<u8>; 3] {
    let scaled = image::imageops::resize(picture, width as u32, height as u32, image::imageops::FilterType::Lanczos3);
    [0, 1, 2].map(|c| scaled.pixels().map(|p| p.0[c]).collect())
}
