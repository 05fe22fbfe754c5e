//! Changes style and strength while the video plays, by lines typed in the terminal.
//!
//! `cargo run --release --example live_controls -- [--source "LINE"] [--sink "LINE"]`
//!
//! `+` and `-` change the strength, `style NAME`, `model FILE` and `smooth 0.5` set the style, the model and the temporal smoothing,
//! `color` toggles preserve-color, `stats` prints the statistics, `quit` ends.

use std::io::BufRead;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use clap::Parser;
use gst::prelude::*;

#[derive(Parser)]
#[command(about = "Control style and strength from the keyboard")]
struct Arguments {
    /// Launch line of the source: a camera ("v4l2src"), a file, …
    #[arg(
        long,
        default_value = "videotestsrc is-live=true pattern=ball ! video/x-raw,width=640,height=360,framerate=25/1"
    )]
    source: String,
    /// Launch line of the sink.
    #[arg(long, default_value = "autovideosink")]
    sink: String,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    gst::init()?;
    gststyletransfer::plugin_register_static()?;
    let line = format!(
        "{} ! queue max-size-buffers=2 leaky=downstream ! videoconvert ! styletransfer name=s ! videoconvert ! {}",
        arguments.source, arguments.sink
    );
    let pipeline =
        gst::parse::launch(&line)?.downcast::<gst::Pipeline>().map_err(|_| anyhow!("not a pipeline: {line}"))?;
    let element = pipeline.by_name("s").context("the element of the line")?;
    let bus = pipeline.bus().context("a pipeline has a bus")?;
    // A failure is posted on the bus, which is read below.
    let _ = pipeline.set_state(gst::State::Playing);
    let typed = read_lines();
    let outcome = watch(&bus, &element, &typed);
    pipeline.set_state(gst::State::Null)?;
    outcome
}

/// Reads lines from standard input on a thread of its own.
fn read_lines() -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    receiver
}

fn watch(bus: &gst::Bus, element: &gst::Element, typed: &Receiver<String>) -> Result<()> {
    loop {
        match typed.recv_timeout(Duration::from_millis(50)) {
            Ok(line) if line.trim() == "quit" => return Ok(()),
            Ok(line) => apply(element, line.trim()),
            Err(_) => {}
        }
        while let Some(message) = bus.pop() {
            match message.view() {
                gst::MessageView::Eos(_) => return Ok(()),
                gst::MessageView::Error(error) => bail!("{}", error.error()),
                gst::MessageView::Warning(warning) => println!("warning: {}", warning.error()),
                _ => {}
            }
        }
    }
}

fn apply(element: &gst::Element, line: &str) {
    let step = |by: f64| (element.property::<f64>("strength") + by).clamp(0.0, 1.0);
    match line.split_once(' ').unwrap_or((line, "")) {
        ("+", _) => element.set_property("strength", step(0.1)),
        ("-", _) => element.set_property("strength", step(-0.1)),
        ("style", name) => {
            element.set_property("model-file", None::<String>);
            element.set_property("style", name);
        }
        ("model", file) => element.set_property("model-file", file),
        ("smooth", amount) => match amount.parse::<f64>() {
            Ok(amount) => element.set_property("temporal-smoothing", amount.clamp(0.0, 1.0)),
            Err(_) => println!("smooth: expected a number from 0 to 1"),
        },
        ("color", _) => element.set_property("preserve-color", !element.property::<bool>("preserve-color")),
        ("stats", _) => {}
        _ => println!("commands: + - style NAME, model FILE, smooth 0..1, color, stats, quit"),
    }
    println!("strength {:.1}  {}", element.property::<f64>("strength"), element.property::<gst::Structure>("stats"));
}
