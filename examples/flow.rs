//! Optical flow between two images as a Middlebury `.flo` file, for comparison with other implementations; prints the
//! statistics of the confidence.
//!
//! `cargo run --release --example flow -- NEW.png OLD.png OUT.flo [--step N] [--rounds N]`

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use gststyletransfer::confidence::disocclusion::DisoccludedArea;
use gststyletransfer::confidence::{ConfidenceEstimator, MotionField};
use gststyletransfer::flow::Flow;
use gststyletransfer::flow::pyramid::Pyramid;
use gststyletransfer::flow::search::Search;
use gststyletransfer::frame::image::{Image, Shape};

#[derive(Parser)]
#[command(about = "Optical flow from one image back to another")]
struct Arguments {
    /// Image that the flow starts from.
    new: PathBuf,
    /// Image that the flow points into.
    old: PathBuf,
    /// File to write, vectors in pixels of the images.
    out: PathBuf,
    /// The search works at 1/STEP of the size.
    #[arg(long, default_value_t = 4)]
    step: usize,
    /// Rounds to measure; the shortest time is printed.
    #[arg(long, default_value_t = 1)]
    rounds: usize,
}

struct Planes([Vec<u8>; 3], Shape);

impl Planes {
    fn open(path: &PathBuf) -> Result<Self> {
        let picture = image::open(path).with_context(|| path.display().to_string())?.to_rgb8();
        let channel = |c: usize| picture.pixels().map(|p| p.0[c]).collect();
        let (width, height) = (picture.width() as usize, picture.height() as usize);
        Ok(Self([channel(0), channel(1), channel(2)], Shape { width, height, white: 255 }))
    }

    fn image(&self) -> Result<Image<'_, u8>> {
        let [r, g, b] = &self.0;
        Image::new([r, g, b], [self.1.width; 3], self.1)
    }
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let (new, old) = (Planes::open(&arguments.new)?, Planes::open(&arguments.old)?);
    ensure!(new.1 == old.1, "the images have different sizes");
    let (mut a, mut b, mut search) = (Pyramid::default(), Pyramid::default(), Search::default());
    a.take(&old.image()?, arguments.step);
    let mut best = f64::INFINITY;
    for _ in 0..arguments.rounds {
        let started = Instant::now();
        b.take(&new.image()?, arguments.step);
        search.run(&b, &a);
        best = best.min(started.elapsed().as_secs_f64() * 1e3);
    }
    std::fs::write(&arguments.out, file(search.run(&b, &a), new.1, arguments.step))?;
    let mut field = MotionField::default();
    let similarity = ConfidenceEstimator::default().estimate(&b, &a, search.run(&b, &a), &mut field);
    let area = DisoccludedArea::default().largest(&field, &b);
    println!("{best:.3} ms, {similarity:?}, largest disoccluded area {area:.5}");
    Ok(())
}

/// The flow at the images' size, interpolated linearly.
fn file(flow: &Flow, shape: Shape, step: usize) -> Vec<u8> {
    let mut bytes = b"PIEH".to_vec();
    bytes.extend((shape.width as i32).to_le_bytes());
    bytes.extend((shape.height as i32).to_le_bytes());
    let axis = |i: usize, side: usize| {
        let at = ((i as f32 + 0.5) / step as f32 - 0.5).clamp(0.0, side as f32 - 1.0);
        let low = (at as usize).min(side.saturating_sub(2));
        (low, (low + 1).min(side - 1), at - low as f32)
    };
    for y in 0..shape.height {
        let (top, bottom, fy) = axis(y, flow.height);
        for x in 0..shape.width {
            let (left, right, fx) = axis(x, flow.width);
            for c in 0..2 {
                let at = |x: usize, y: usize| flow.vectors[y * flow.width + x][c];
                let row = |y| at(left, y) * (1.0 - fx) + at(right, y) * fx;
                bytes.extend((step as f32 * (row(top) * (1.0 - fy) + row(bottom) * fy)).to_le_bytes());
            }
        }
    }
    bytes
}
