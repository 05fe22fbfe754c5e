//! Damaged copies of the shipped models: each one plays or ends with an error on the bus; none ends or holds the process.
//!
//! A copy runs in a child process, so that a crash inside ONNX Runtime is a result and not the end of the test.
//! `STYLETRANSFER_DAMAGED=1000` sets how many copies of each model run; 12 otherwise.

mod common;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::run::{launch, repo};

/// No copy takes longer.
const LIMIT: Duration = Duration::from_secs(20);
/// In the child: the model to play.
const CHILD: &str = "STYLETRANSFER_DAMAGED_MODEL";

/// Reproducible numbers (Vigna's SplitMix64).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % below.max(1) as u64) as usize
    }
}

/// Flipped bits anywhere, flipped bits where no weights lie, a cut, a part that stands twice, a part that is missing, or
/// another model's part.
fn damaged(model: &[u8], other: &[u8], numbers: &mut Numbers) -> Vec<u8> {
    let mut bytes = model.to_vec();
    let length = bytes.len();
    let edge = |numbers: &mut Numbers| {
        let at = numbers.next(4096.min(length / 2));
        if numbers.next(2) == 0 { at } else { length - 1 - at }
    };
    match numbers.next(6) {
        0 => (0..1 + numbers.next(64)).for_each(|_| bytes[numbers.next(length)] ^= 1 << numbers.next(8)),
        1 => (0..1 + numbers.next(8)).for_each(|_| bytes[edge(numbers)] ^= 1 << numbers.next(8)),
        2 => bytes.truncate(numbers.next(length)),
        3 => {
            let (from, size) = (numbers.next(length), numbers.next(2000));
            let part = bytes[from..(from + size).min(length)].to_vec();
            bytes.splice(from..from, part);
        }
        4 => drop(bytes.drain({
            let from = edge(numbers);
            from..(from + 1 + numbers.next(40)).min(length)
        })),
        _ => {
            let (to, from, size) = (numbers.next(length), numbers.next(other.len()), numbers.next(4000));
            let part = other[from..(from + size).min(other.len())].to_vec();
            bytes.splice(to..(to + part.len()).min(length), part);
        }
    }
    bytes
}

/// Plays two frames; `None` if they come or an error does, else what happened.
fn trouble(model: &Path) -> Option<String> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "one_damaged_model", "--nocapture"])
        .env(CHILD, model)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let started = Instant::now();
    loop {
        match child.try_wait().unwrap() {
            Some(status) if status.success() => return None,
            Some(status) => return Some(status.to_string()),
            None if started.elapsed() > LIMIT => {
                child.kill().unwrap();
                child.wait().unwrap();
                return Some(format!("no end after {LIMIT:?}"));
            }
            None => std::thread::sleep(Duration::from_millis(10)),
        }
    }
}

/// What a child does; nothing in a normal run of the tests.
#[test]
fn one_damaged_model() {
    let Ok(model) = std::env::var(CHILD) else { return };
    let said = launch(&format!(
        "videotestsrc num-buffers=2 ! video/x-raw,width=64,height=48 ! \
         styletransfer model-file={model} execution-provider=cpu threads=1 ! fakesink"
    ));
    assert!(said.eos || !said.errors.is_empty(), "{said:?}");
}

#[test]
fn damaged_models_play_or_are_refused() {
    let many = std::env::var("STYLETRANSFER_DAMAGED").ok();
    let (count, many) = (many.as_deref().map_or(12, |n| n.parse().unwrap()), many.is_some());
    let mut models = ["live", "van-gogh", "fine"].map(|name| repo(&format!("models/{name}.onnx"))).to_vec();
    let mut int8: Vec<_> = std::fs::read_dir(repo("models/int8")).unwrap().map(|file| file.unwrap().path()).collect();
    int8.sort();
    models.extend(int8);
    let bytes: Vec<_> = models.iter().map(|path| std::fs::read(path).unwrap()).collect();
    let folder = tempfile::tempdir().unwrap();
    let mut found = Vec::new();
    for (index, path) in models.iter().enumerate() {
        // The int8 models are nine of one kind.
        for seed in 0..if index < 3 || many { count } else { count / 6 } {
            let mut numbers = Numbers(((index as u64) << 32) | seed);
            let other = &bytes[numbers.next(bytes.len())];
            let copy = folder.path().join("damaged.onnx");
            std::fs::write(&copy, damaged(&bytes[index], other, &mut numbers)).unwrap();
            if let Some(trouble) = trouble(&copy) {
                found.push(format!("{} seed {seed}: {trouble}", path.display()));
                if let Ok(kept) = std::env::var("STYLETRANSFER_DAMAGED_KEEP") {
                    std::fs::copy(&copy, Path::new(&kept).join(format!("{index}-{seed}.onnx"))).unwrap();
                }
            }
        }
    }
    assert!(found.is_empty(), "{} damaged models:\n{}", found.len(), found.join("\n"));
}
