//! Damaged copies of the shipped models: each one plays or ends with an error on the bus; none ends or holds the process.
//!
//! The copies of a model run in a child process, so that a crash inside ONNX Runtime is a result and not the end of the test.
//! `STYLETRANSFER_DAMAGED=1000` sets how many copies of each model run; 12 otherwise.

mod common;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::run::{launch, repo};

/// No copy takes longer.
const LIMIT: Duration = Duration::from_secs(20);
/// In the child: model, first and last seed, and the folder for the copies.
const CHILD: &str = "STYLETRANSFER_DAMAGED_COPIES";

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

/// The shipped models.
fn models() -> Vec<PathBuf> {
    let mut models = ["live", "van-gogh", "fine"].map(|name| repo(&format!("models/{name}.onnx"))).to_vec();
    let mut int8: Vec<_> = std::fs::read_dir(repo("models/int8")).unwrap().map(|file| file.unwrap().path()).collect();
    int8.sort();
    models.extend(int8);
    models
}

/// Writes the damaged copy `seed` of the model `index`.
fn write_copy(index: usize, seed: u64, to: &Path) {
    let models = models();
    let mut numbers = Numbers(((index as u64) << 32) | seed);
    let other = std::fs::read(&models[numbers.next(models.len())]).unwrap();
    let whole = std::fs::read(&models[index]).unwrap();
    std::fs::write(to, damaged(&whole, &other, &mut numbers)).unwrap();
}

/// A child that plays copies of a model from the seed `from` on, until it ends or one of them does not.
fn play_copies(index: usize, from: u64, to: u64, folder: &Path) -> Result<(), (u64, String)> {
    let progress = folder.join("seed");
    std::fs::write(&progress, from.to_string()).unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "copies_of_one_model", "--nocapture"])
        .env(CHILD, format!("{index} {from} {to} {}", folder.display()))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let (mut at, mut since) = (from, Instant::now());
    loop {
        let now = std::fs::read_to_string(&progress).ok().and_then(|seed| seed.parse().ok()).unwrap_or(at);
        if now != at {
            (at, since) = (now, Instant::now());
        }
        match child.try_wait().unwrap() {
            Some(status) if status.success() => return Ok(()),
            Some(status) => {
                let last = std::fs::read_to_string(&progress).unwrap().parse().unwrap();
                return Err((last, status.to_string()));
            }
            None if since.elapsed() > LIMIT => {
                child.kill().unwrap();
                child.wait().unwrap();
                return Err((at, format!("no end after {LIMIT:?}")));
            }
            None => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}

/// What a child does; nothing in a normal run of the tests.
#[test]
fn copies_of_one_model() {
    let Ok(job) = std::env::var(CHILD) else { return };
    let [index, from, to, folder] = &job.splitn(4, ' ').collect::<Vec<_>>()[..] else { panic!("{job}") };
    let (folder, copy) = (Path::new(folder), Path::new(folder).join("damaged.onnx"));
    for seed in from.parse::<u64>().unwrap()..to.parse().unwrap() {
        std::fs::write(folder.join("seed.new"), seed.to_string()).unwrap();
        std::fs::rename(folder.join("seed.new"), folder.join("seed")).unwrap();
        write_copy(index.parse().unwrap(), seed, &copy);
        let said = launch(&format!(
            "videotestsrc num-buffers=2 ! video/x-raw,width=64,height=48 ! \
             styletransfer model-file={} execution-provider=cpu threads=1 ! fakesink",
            copy.display()
        ));
        assert!(said.eos || !said.errors.is_empty(), "{said:?}");
    }
}

#[test]
fn damaged_models_play_or_are_refused() {
    let many = std::env::var("STYLETRANSFER_DAMAGED").ok();
    let (count, many) = (many.as_deref().map_or(12, |n| n.parse().unwrap()), many.is_some());
    let folder = tempfile::tempdir().unwrap();
    let mut found = Vec::new();
    for (index, path) in models().iter().enumerate() {
        // The int8 models are nine of one kind.
        let to = if index < 3 || many { count } else { count / 6 };
        let mut from = 0;
        while let Err((seed, trouble)) = play_copies(index, from, to, folder.path()) {
            found.push(format!("{} seed {seed}: {trouble}", path.display()));
            eprintln!("{}", found[found.len() - 1]);
            from = seed + 1;
        }
    }
    assert!(found.is_empty(), "{} damaged models:\n{}", found.len(), found.join("\n"));
}
