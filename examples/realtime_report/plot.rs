//! Bar chart of frames per second, as SVG.

use std::path::Path;

use anyhow::{Context, Result};
use plotters::prelude::*;

/// Frames per second of one measurement.
pub struct Bar {
    pub name: String,
    pub fps: f64,
}

/// The bars of one frame size.
pub struct Group {
    pub title: String,
    pub bars: Vec<Bar>,
}

const HEIGHT: u32 = 420;
/// Width of a bar in pixels; a group has a gap of the same width.
const BAR: u32 = 48;
/// Frame rate of the live runs, drawn as a line.
const LIVE: f64 = 30.0;

/// Writes the chart; the bars of all groups have the order and the colours of the first one.
pub fn bars(path: &Path, groups: &[Group]) -> Result<()> {
    let places = groups.iter().map(|group| group.bars.len() + 1).sum::<usize>();
    let width = (places as u32 * BAR + 80).max(640);
    let most = groups.iter().flat_map(|group| &group.bars).map(|bar| bar.fps).fold(LIVE, f64::max);
    let area = SVGBackend::new(path, (width, HEIGHT)).into_drawing_area();
    area.fill(&WHITE)?;
    let title = groups.iter().map(|group| group.title.as_str()).collect::<Vec<_>>().join(", ");
    let mut chart = ChartBuilder::on(&area)
        .margin(10)
        .caption(format!("Frames per second at {title}"), ("sans-serif", 18))
        .y_label_area_size(50)
        .build_cartesian_2d(0f64..places as f64, 0f64..most * 1.3)?;
    chart.configure_mesh().disable_x_mesh().disable_x_axis().y_desc("frames per second").draw()?;
    let names = groups.first().map(|group| group.bars.iter().map(|bar| bar.name.clone()).collect::<Vec<_>>());
    for (index, name) in names.unwrap_or_default().into_iter().enumerate() {
        let color = Palette99::pick(index).to_rgba();
        let start = |group: usize| groups[..group].iter().map(|g| g.bars.len() + 1).sum::<usize>() + index;
        let rectangles = groups.iter().enumerate().filter_map(|(group, bars)| {
            let (left, fps) = (start(group) as f64, bars.bars.get(index)?.fps);
            Some(Rectangle::new([(left + 0.1, 0.0), (left + 0.9, fps)], color.filled()))
        });
        chart
            .draw_series(rectangles)?
            .label(name)
            .legend(move |(x, y)| Rectangle::new([(x, y - 5), (x + 10, y + 5)], color.filled()));
    }
    chart.draw_series([PathElement::new([(0.0, LIVE), (places as f64, LIVE)], BLACK)])?;
    chart.configure_series_labels().background_style(WHITE).border_style(BLACK).draw()?;
    area.present().with_context(|| path.display().to_string())
}
