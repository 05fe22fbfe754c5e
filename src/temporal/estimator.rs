//! Motion and confidence from frame to frame, computed on a thread of its own while the generator stylizes.
//!
//! Comes in: frames. Goes out: for each the [`Field`] from it back to the frame that the history was stylized from.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use crate::confidence::{Check, Field, Resemblance};
use crate::flow::Search;
use crate::flow::pyramid::Pyramid;
use crate::frame::image::{Image, Sample};

/// One frame's work and the memory it needs; goes to the thread and comes back.
#[derive(Debug, Default)]
struct Job {
    new: Pyramid,
    old: Pyramid,
    search: Search,
    check: Check,
    back: Motion,
    ahead: Motion,
    looks_ahead: bool,
    took: Duration,
}

/// Motion from one frame to another, and what they have in common.
#[derive(Debug, Default)]
pub struct Motion {
    /// Motion and confidence.
    pub field: Field,
    /// What the frames have in common.
    pub seen: Resemblance,
}

impl Job {
    fn run(&mut self) {
        let started = Instant::now();
        find(&mut self.search, &mut self.check, (&self.new, &self.old), &mut self.back);
        if self.looks_ahead {
            find(&mut self.search, &mut self.check, (&self.old, &self.new), &mut self.ahead);
        }
        self.took = started.elapsed();
    }
}

/// The way from every pixel of the first picture to its place in the second.
fn find(search: &mut Search, check: &mut Check, (from, to): (&Pyramid, &Pyramid), motion: &mut Motion) {
    let flow = search.run(from, to);
    motion.seen = check.run(from, to, flow, &mut motion.field);
}

/// What a frame has to do with the one before.
#[derive(Debug)]
pub struct Estimate<'a> {
    /// From the frame back to the one before. It may be swapped for another: the next frame writes it anew.
    pub back: &'a mut Motion,
    /// From the one before to the frame, if that was asked for.
    pub ahead: Option<&'a Motion>,
    /// How long the search and the check took.
    pub took: Duration,
}

/// The thread and its mailboxes.
#[derive(Debug)]
struct Worker {
    orders: SyncSender<Box<Job>>,
    done: Receiver<Box<Job>>,
}

/// Estimates motion.
#[derive(Debug, Default)]
pub struct Estimator {
    job: Option<Box<Job>>,
    worker: Option<Worker>,
    size: (usize, usize),
    has_old: bool,
    pending: bool,
}

/// A field of about this many cells serves a frame of [`PIXELS`] pixels; it grows with the square root of the pixels.
const CELLS: f32 = 66_000.0;
const PIXELS: f32 = 230_400.0;

/// The search works at 1/step of a frame's size.
fn step(width: usize, height: usize) -> usize {
    let pixels = (width * height) as f32;
    let cells = CELLS * (pixels / PIXELS).max(1.0).sqrt();
    // Rather a little fewer cells than many more.
    (((pixels / cells).sqrt() + 0.3).round() as usize).max(1)
}

impl Estimator {
    /// Forgets the frame before.
    pub fn reset(&mut self) {
        self.collect();
        self.has_old = false;
    }

    /// Takes over the frame before from `other`, which has seen the same frames at another size: `size` is that of the
    /// frames to come.
    pub fn continue_from(&mut self, other: &mut Estimator, size: (usize, usize)) {
        self.collect();
        other.collect();
        let Some(theirs) = other.job.as_ref().filter(|_| other.has_old) else { return };
        let job = self.job.get_or_insert_default();
        job.old.take_resized(&theirs.old, size, step(size.0, size.1));
        (self.size, self.has_old) = (size, true);
    }

    /// Takes a frame and sets the thread to work on it: the motion back to the frame before and, with `looks_ahead`,
    /// from that one to this.
    pub fn begin<S: Sample>(&mut self, image: &Image<S>, looks_ahead: bool) {
        self.collect();
        let shape = image.shape();
        if self.size != (shape.width, shape.height) {
            (self.size, self.has_old) = ((shape.width, shape.height), false);
        }
        let mut job = self.job.take().unwrap_or_default();
        job.new.take(image, step(shape.width, shape.height));
        job.looks_ahead = looks_ahead;
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

    fn send(&mut self, job: Box<Job>) -> Result<(), Box<Job>> {
        if self.worker.is_none() {
            self.worker = Worker::start();
        }
        match &self.worker {
            Some(worker) => worker.orders.send(job).map_err(|refused| refused.0),
            None => Err(job),
        }
    }

    /// Waits for the thread, if it is at work.
    fn collect(&mut self) {
        if !std::mem::take(&mut self.pending) {
            return;
        }
        self.job = self.worker.as_ref().and_then(|worker| worker.done.recv().ok());
        if self.job.is_none() {
            (self.worker, self.has_old) = (None, false);
        }
    }

    /// What was found for the frame of the last [`Estimator::begin`]; nothing for the first after a reset.
    pub fn estimate(&mut self) -> Option<Estimate<'_>> {
        self.collect();
        let job = self.job.as_mut().filter(|_| self.has_old)?;
        let ahead = job.looks_ahead.then_some(&job.ahead);
        Some(Estimate { back: &mut job.back, ahead, took: job.took })
    }

    /// The frame becomes the one that the next is compared with.
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
        let (orders, inbox) = sync_channel::<Box<Job>>(1);
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
        Some(Self { orders, done })
    }
}
