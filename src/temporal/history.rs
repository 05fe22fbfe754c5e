//! The history: the accumulated stylized frames, and the blend of each new one with them.
//!
//! Input: a stylized frame, planar RGB `f32` in 0..=1, and the motion back to the frame of the history. Output: the
//! frame to show. It is temporal accumulation as in temporal antialiasing (Yang et al. 2020, "A Survey of Temporal
//! Antialiasing Techniques"), with the confidence of the motion in the place of a neighbourhood clamp.

use std::time::Instant;

use anyhow::Result;

use crate::confidence::scene_cut::{Change, SceneCutDetector};
use crate::frame::image::{ImageMut, Sample};
use crate::metrics::meter::Meter;
use crate::temporal::accumulate::Accumulator;
use crate::temporal::blend::INITIAL_WEIGHT;
use crate::temporal::estimator::Motion;
use crate::temporal::sharpen::Sharpening;
use crate::temporal::stabilizer::{Method, Report, Smoothing};
use crate::tensor::egress::to_image;
use crate::tensor::placement::Placement;
use crate::warp::pixel::{Pixel, pixel_of};
use crate::warp::resize::resized;

/// Fine detail of the shown frame to reach, as a share of the stylized frame's.
const DETAIL: f32 = 0.915;
/// Sharpening for each unit of missing detail, and its maximum.
const GAIN: f32 = 3.4;
const MAX_SHARPENING: f32 = 2.0;
/// Sharpening of the history that compensates the blur of one bicubic warp.
const HISTORY_SHARPENING: f32 = 0.18;
/// Share of the difference in mean colour that is corrected with every frame.
const COLOR_CORRECTION: f32 = 0.3;

/// Result of a blend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blended {
    /// The frame is complete and has become the history.
    Shown,
    /// The frame is complete; the history stays at the frame before, as through a flash.
    HistoryKept,
    /// The stylized frame has NaN or infinite values: neither the frame nor the history can be used.
    NotFinite,
}

impl Blended {
    fn of(finite: bool) -> Self {
        if finite { Blended::Shown } else { Blended::NotFinite }
    }
}

/// The history and what is needed to blend with it.
#[derive(Debug)]
pub struct History {
    /// With [`Method::Average`] the previous output; otherwise scratch.
    average: Vec<f32>,
    place: Option<Placement>,
    method: Method,
    scene_cuts: SceneCutDetector,
    meter: Meter,
    accumulator: Accumulator,
    pixels: Vec<Pixel>,
    /// The next history while it is computed from the present one.
    next: Vec<Pixel>,
    /// Derived from the previous frame.
    sharpening: Sharpening,
    /// Whether the history is kept without smoothing too: for frames that are propagated, and for recurrent models.
    pub keeps: bool,
    /// Report on the last frame.
    pub report: Report,
}

impl Default for History {
    fn default() -> Self {
        Self {
            average: Vec::new(),
            place: None,
            method: Method::None,
            scene_cuts: SceneCutDetector::default(),
            meter: Meter::default(),
            accumulator: Accumulator::default(),
            pixels: Vec::new(),
            next: Vec::new(),
            sharpening: Sharpening::NONE,
            keeps: false,
            report: Report::NONE,
        }
    }
}

impl History {
    /// Drops the history; memory is kept.
    pub fn drop_frames(&mut self) {
        self.place = None;
        self.meter.reset();
        self.report = Report::NONE;
    }

    /// Whether there is a history for stylized frames of this size and placement.
    pub fn exists(&self, place: Placement) -> bool {
        self.place == Some(place)
    }

    /// Takes over the history of `other`, whose stylized frames have another size, for stylized frames at `place`. With
    /// [`Method::Average`] the history starts anew.
    pub fn continue_from(&mut self, other: &History, place: Placement) {
        let Some(from) = other.place.filter(|_| other.method != Method::Average) else { return };
        self.pixels = resized(&other.pixels, from, place);
        (self.place, self.method, self.sharpening) = (Some(place), other.method, other.sharpening);
    }

    /// Blends `stylized` with the history into `into`. Another size or method starts a new history.
    ///
    /// # Errors
    /// `into` has another size than the picture at `place`.
    pub fn blend<S: Sample>(
        &mut self,
        stylized: &[f32],
        motion: Option<&Motion>,
        place: Placement,
        smoothing: Smoothing,
        into: &mut ImageMut<S>,
    ) -> Result<Blended> {
        let method = if smoothing.is_off() { Method::None } else { smoothing.method };
        if self.place != Some(place) || self.method != method {
            // Turning the motion method off and on keeps the history; that of the average is another one.
            self.place = self.place.filter(|p| *p == place && method != Method::Average);
            self.method = method;
        }
        let had_history = self.place.replace(place).is_some();
        let change = motion.map_or(Change::Cut, |motion| self.scene_cuts.next(motion.similarity));
        self.report = Report { change, errors: self.meter.errors(), ..Report::NONE };
        if let Some(motion) = motion {
            (self.report.confidence, self.report.motion) = (motion.similarity.confidence, motion.took);
        }
        match method {
            Method::Motion => match (change, motion) {
                (Change::Flash, _) if had_history => {
                    let finite = to_image(stylized, &place, into)?;
                    Ok(if finite { Blended::HistoryKept } else { Blended::NotFinite })
                }
                (Change::None, Some(motion)) if had_history => {
                    self.accumulate(stylized, motion, place, smoothing, into)
                }
                _ => self.restart(stylized, place, into),
            },
            Method::Average => self.average(stylized, (place, had_history), smoothing, into),
            Method::None => self.restart(stylized, place, into),
        }
    }

    fn average<S: Sample>(
        &mut self,
        stylized: &[f32],
        (place, had_history): (Placement, bool),
        smoothing: Smoothing,
        into: &mut ImageMut<S>,
    ) -> Result<Blended> {
        if had_history {
            let share = 1.0 - smoothing.amount.min(1.0);
            for (old, new) in self.average.iter_mut().zip(stylized) {
                *old += (new - *old) * share;
            }
        } else {
            self.average.clear();
            self.average.extend_from_slice(stylized);
        }
        if self.keeps {
            store(&mut self.pixels, &self.average, place);
        }
        Ok(Blended::of(to_image(&self.average, &place, into)?))
    }

    /// Shows the stylized frame unblended; it becomes the history.
    fn restart<S: Sample>(&mut self, stylized: &[f32], place: Placement, into: &mut ImageMut<S>) -> Result<Blended> {
        self.meter.reset();
        store(&mut self.pixels, stylized, place);
        Ok(Blended::of(to_image(stylized, &place, into)?))
    }

    fn accumulate<S: Sample>(
        &mut self,
        stylized: &[f32],
        motion: &Motion,
        place: Placement,
        smoothing: Smoothing,
        into: &mut ImageMut<S>,
    ) -> Result<Blended> {
        let started = Instant::now();
        let field = &motion.field;
        self.make_room(place);
        let blend = (smoothing.weights(), self.sharpening);
        let accumulator = &mut self.accumulator;
        let statistics = accumulator.accumulate(place, field, &self.pixels, stylized, blend, (into, &mut self.next));
        if statistics.not_finite {
            return Ok(Blended::NotFinite);
        }
        std::mem::swap(&mut self.pixels, &mut self.next);
        let missing = DETAIL * statistics.stylized.detail() / statistics.blend.detail().max(1e-6) - 1.0;
        let (wanted, mean) = (statistics.stylized.mean(), statistics.blend.mean());
        let color_offset = [0, 1, 2].map(|c| (wanted[c] - mean[c]) * COLOR_CORRECTION);
        let shown = (GAIN * missing).clamp(0.0, MAX_SHARPENING);
        self.sharpening = Sharpening { shown, history: HISTORY_SHARPENING, color_offset };
        self.meter.measure(place, field, stylized, &into.view());
        self.report.blend = started.elapsed();
        Ok(Blended::Shown)
    }

    /// Propagates the history along the motion into `into`, for a frame that is not stylized; false without a history.
    pub fn propagate<S: Sample>(&mut self, motion: &Motion, place: Placement, into: &mut ImageMut<S>) -> bool {
        if !self.exists(place) {
            return false;
        }
        let started = Instant::now();
        self.make_room(place);
        // Half as much as for a stylized frame: the history is sharpened already.
        let sharpening = Sharpening { shown: 0.5 * self.sharpening.shown, ..Sharpening::NONE };
        self.accumulator.propagate(place, &motion.field, &self.pixels, sharpening, (into, &mut self.next));
        std::mem::swap(&mut self.pixels, &mut self.next);
        self.meter.reset();
        self.report = Report {
            change: Change::None,
            confidence: motion.similarity.confidence,
            errors: self.meter.errors(),
            motion: motion.took,
            blend: started.elapsed(),
        };
        true
    }

    /// The inputs of a recurrent model: the history propagated to the new frame (planar RGB), and the confidence in it;
    /// zeros without a history.
    pub fn recurrent_inputs(
        &mut self,
        motion: Option<&Motion>,
        place: Placement,
        previous: &mut [f32],
        confidence: &mut [f32],
    ) {
        match motion {
            Some(motion) if self.exists(place) && Change::of(motion.similarity) != Change::Cut => {
                self.accumulator.warp(place, &motion.field, &self.pixels, (previous, confidence));
            }
            _ => {
                previous.fill(0.0);
                confidence.fill(0.0);
            }
        }
    }

    /// Blends `next`, the stylized frame after `stylized`, into that, as far as the motion `ahead` between them is
    /// confident.
    ///
    /// # Errors
    /// A stylized frame of another length than `place` has.
    pub fn blend_ahead(
        &mut self,
        stylized: &mut [f32],
        next: &[f32],
        ahead: &Motion,
        place: Placement,
        smoothing: Smoothing,
        scratch: &mut Vec<Pixel>,
    ) -> Result<()> {
        if smoothing.method != Method::Motion || smoothing.is_off() || Change::of(ahead.similarity) != Change::None {
            return Ok(());
        }
        self.make_room(place);
        store(scratch, next, place);
        self.average.resize(stylized.len(), 0.0);
        let blend = (smoothing.weights_ahead(), Sharpening::NONE);
        let mut blended = ImageMut::of_planar(&mut self.average, place.tensor)?;
        let accumulator = &mut self.accumulator;
        accumulator.accumulate(place, &ahead.field, scratch, stylized, blend, (&mut blended, &mut self.next));
        stylized.copy_from_slice(&self.average);
        Ok(())
    }

    fn make_room(&mut self, place: Placement) {
        self.next.resize(place.tensor.0 * place.tensor.1, Pixel::default());
    }
}

/// Makes a stylized frame the history.
fn store(history: &mut Vec<Pixel>, stylized: &[f32], place: Placement) {
    let area = place.tensor.0 * place.tensor.1;
    history.clear();
    let (red, rest) = stylized.split_at(area);
    let (green, blue) = rest.split_at(area);
    let pixels = red.iter().zip(green).zip(blue).map(|((r, g), b)| pixel_of([*r, *g, *b, INITIAL_WEIGHT]));
    history.extend(pixels);
}
