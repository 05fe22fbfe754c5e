//! Motion estimation from frame to frame, on a thread of its own while the generator runs.
//!
//! Input: frames. Output: for each the [`Motion`] back to the frame of the history. A frame replaces that one when
//! [`MotionEstimator::accept`] is called, so the motion spans frames that are not accepted.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use crate::confidence::disocclusion::DisoccludedArea;
use crate::confidence::{ConfidenceEstimator, MotionField, Similarity};
use crate::flow::pyramid::Pyramid;
use crate::flow::search::Search;
use crate::frame::image::{Image, Sample};
use crate::frame::threads;

/// Motion from one frame to another.
#[derive(Debug, Default)]
pub struct Motion {
    /// Motion and confidence of every cell.
    pub field: MotionField,
    /// Statistics of the two frames.
    pub similarity: Similarity,
    /// Time that search and confidence took.
    pub took: Duration,
}

/// Motion between a frame and the one of the history.
#[derive(Debug)]
pub struct Estimate<'a> {
    /// From the frame back to the one of the history. May be swapped for another value: the next frame overwrites it.
    pub back: &'a mut Motion,
    /// From the frame of the history to this one, if it was asked for.
    pub ahead: Option<&'a Motion>,
}

/// The work on one frame and its memory: sent to the thread and back.
#[derive(Debug, Default)]
struct Job {
    new: Pyramid,
    old: Pyramid,
    search: Search,
    confidence: ConfidenceEstimator,
    back: Motion,
    ahead: Motion,
    both_directions: bool,
}

impl Job {
    fn run(&mut self) {
        estimate(&mut self.search, &mut self.confidence, (&self.new, &self.old), &mut self.back);
        if self.both_directions {
            estimate(&mut self.search, &mut self.confidence, (&self.old, &self.new), &mut self.ahead);
            self.back.took += self.ahead.took;
        }
    }
}

fn estimate(
    search: &mut Search,
    confidence: &mut ConfidenceEstimator,
    (from, to): (&Pyramid, &Pyramid),
    motion: &mut Motion,
) {
    let started = Instant::now();
    let flow = search.run(from, to);
    motion.similarity = confidence.estimate(from, to, flow, &mut motion.field);
    motion.took = started.elapsed();
}

/// The thread and its channels.
#[derive(Debug)]
struct Worker {
    jobs: SyncSender<Box<Job>>,
    done: Receiver<Box<Job>>,
}

/// Estimates motion; starts its thread with the second frame.
#[derive(Debug, Default)]
pub struct MotionEstimator {
    job: Option<Box<Job>>,
    worker: Option<Worker>,
    size: (usize, usize),
    has_old: bool,
    pending: bool,
    disoccluded: DisoccludedArea,
}

/// Cells of a motion field for a frame of [`PIXELS`] pixels; for larger frames it grows with the square root of the pixels.
const CELLS: f32 = 66_000.0;
const PIXELS: f32 = 230_400.0;

/// The search works at 1/step of the frame's size.
fn step(width: usize, height: usize) -> usize {
    let pixels = (width * height) as f32;
    let cells = CELLS * (pixels / PIXELS).max(1.0).sqrt();
    // Rounded so that rather fewer cells result than many more.
    (((pixels / cells).sqrt() + 0.3).round() as usize).max(1)
}

impl MotionEstimator {
    /// Drops the frame of the history; memory is kept.
    pub fn reset(&mut self) {
        self.collect();
        self.has_old = false;
    }

    /// Takes over the frame of the history from `other`, which has observed the same frames at another size. Frames of
    /// `size` follow.
    pub fn continue_from(&mut self, other: &mut MotionEstimator, size: (usize, usize)) {
        self.collect();
        other.collect();
        let Some(theirs) = other.job.as_ref().filter(|_| other.has_old) else { return };
        let job = self.job.get_or_insert_default();
        job.old.take_resized(&theirs.old, size, step(size.0, size.1));
        (self.size, self.has_old) = (size, true);
    }

    /// Starts the estimation for a frame: the motion back to the frame of the history and, with `both_directions`, from
    /// that one to this.
    pub fn begin<S: Sample>(&mut self, image: &Image<S>, both_directions: bool) {
        self.collect();
        let shape = image.shape();
        if self.size != (shape.width, shape.height) {
            (self.size, self.has_old) = ((shape.width, shape.height), false);
        }
        let mut job = self.job.take().unwrap_or_default();
        job.new.take(image, step(shape.width, shape.height));
        job.both_directions = both_directions;
        if !self.has_old {
            self.job = Some(job);
            return;
        }
        match self.send(job) {
            Ok(()) => self.pending = true,
            Err(mut job) => {
                job.run();
                self.job = Some(job);
            }
        }
    }

    /// Hands a job to the thread; returns it if there is no thread, or if one thread is all that may be used.
    fn send(&mut self, job: Box<Job>) -> Result<(), Box<Job>> {
        if threads::count() == 1 {
            return Err(job);
        }
        if self.worker.is_none() {
            self.worker = Worker::start();
        }
        match &self.worker {
            Some(worker) => worker.jobs.send(job).map_err(|refused| refused.0),
            None => Err(job),
        }
    }

    /// Waits for a job that is on the thread.
    fn collect(&mut self) {
        if !std::mem::take(&mut self.pending) {
            return;
        }
        self.job = self.worker.as_ref().and_then(|worker| worker.done.recv().ok());
        if self.job.is_none() {
            (self.worker, self.has_old) = (None, false);
        }
    }

    /// The motion of the frame of the last [`MotionEstimator::begin`]; none without a frame of the history.
    pub fn estimate(&mut self) -> Option<Estimate<'_>> {
        self.collect();
        let job = self.job.as_mut().filter(|_| self.has_old)?;
        let ahead = job.both_directions.then_some(&job.ahead);
        Some(Estimate { back: &mut job.back, ahead })
    }

    /// Share of the visible frame in its largest connected disoccluded area, 0..=1; 0 without a frame of the history.
    pub fn largest_disoccluded_area(&mut self) -> f32 {
        self.collect();
        match self.job.as_ref().filter(|_| self.has_old) {
            Some(job) => self.disoccluded.largest(&job.back.field, &job.new),
            None => 0.0,
        }
    }

    /// The frame of the last [`MotionEstimator::begin`] becomes the frame of the history.
    pub fn accept(&mut self) {
        self.collect();
        if let Some(job) = &mut self.job {
            std::mem::swap(&mut job.new, &mut job.old);
            self.has_old = true;
        }
    }
}

impl Worker {
    fn start() -> Option<Self> {
        let (jobs, inbox) = sync_channel::<Box<Job>>(1);
        let (outbox, done) = sync_channel(1);
        let work = move || {
            while let Ok(mut job) = inbox.recv() {
                job.run();
                if outbox.send(job).is_err() {
                    return;
                }
            }
        };
        std::thread::Builder::new().name("styletransfer-motion".into()).spawn(work).ok()?;
        Some(Self { jobs, done })
    }
}
