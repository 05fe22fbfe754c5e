//! Peers: other programs on the same frames and model, by peers.py.

use std::fmt;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::clip::Clip;

const SCRIPT: &str = include_str!("peers.py");

/// Median frame time of a peer.
pub struct Peer {
    pub name: String,
    milliseconds: f64,
}

impl Peer {
    pub fn fps(&self) -> f64 {
        1e3 / self.milliseconds
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "  peer, {:<24} {:7.1} ms", self.name, self.milliseconds)
    }
}

/// Runs the script on the frames; it reports missing peers on standard error.
pub fn measure(python: &str, model: &Path, clip: &Clip, rounds: usize) -> Result<Vec<Peer>> {
    let (width, height) = clip.size;
    let mut script = Command::new(python)
        .args(["-c", SCRIPT])
        .arg(model)
        .args([width, height, rounds].map(|n| n.to_string()))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("--python: '{python}' cannot be started"))?;
    let mut input = script.stdin.take().context("no input")?;
    let mut stride = Vec::new();
    for frame in clip.bgr.iter().take(8) {
        let map = frame.map_readable()?;
        // Rows of GStreamer's frames are padded to multiples of four bytes.
        let full = (3 * width).next_multiple_of(4);
        stride.clear();
        map.chunks(full).take(height).for_each(|row| stride.extend_from_slice(&row[..3 * width]));
        if input.write_all(&stride).is_err() {
            break;
        }
    }
    drop(input);
    let output = script.wait_with_output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let peer = |line: &str| {
        let (name, ms) = line.rsplit_once(' ')?;
        Some(Peer { name: name.to_owned(), milliseconds: ms.parse().ok()? })
    };
    Ok(text.lines().filter_map(peer).collect())
}
