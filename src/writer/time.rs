//! The writer's part in keeping time: it measures when that is due, and takes new anchors into the journal.

use super::step::{Ground, Stamp, Writer};
use crate::clock::anchor::{Anchor, Anchors};
use crate::segment::append::frame_bytes;
use crate::shm::clock_page::ClockPage;
use crate::shm::control::AnchorWords;
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};

/// Bytes of the anchors that are taken at once.
const ANCHORS_BYTES: usize = 2 * frame_bytes(16);

impl Writer {
    /// Keeps time with all that have the page.
    pub(crate) fn with_clock(mut self, clock: Option<Arc<ClockPage>>) -> Self {
        self.clock = clock;
        self
    }

    /// Learns what time a tick is: from the others, or by `sample`, which reads the counter together with the wall clock,
    /// where nobody did for too long. Anchors stand in the journal before the first record that they hold for, and a
    /// process that logs nothing writes one a minute.
    #[inline]
    pub(super) fn keep_time(&mut self, ground: Ground<'_>, now: u64, sample: impl FnOnce() -> (u64, i64)) {
        if self.pace.stamp == Stamp::Manual {
            return;
        }
        let line = self.anchors.line();
        let due = if self.since_anchor > 0 {
            self.pace.anchor_busy
        } else {
            self.pace.anchor_idle.min(line.catch_up.max(self.pace.anchor_busy))
        };
        let is_due = now.saturating_sub(line.current.ticks) >= due;
        let is_news = self.clock.as_ref().is_some_and(|clock| clock.number() > line.number);
        if is_due || is_news || self.anchors.waits() {
            self.renew(ground, now, (is_due, is_news), sample);
        }
    }

    #[cold]
    fn renew(
        &mut self,
        ground: Ground<'_>,
        now: u64,
        (is_due, is_news): (bool, bool),
        sample: impl FnOnce() -> (u64, i64),
    ) {
        let number = self.anchors.line().number;
        let known =
            self.clock.as_deref().filter(|_| is_news).and_then(ClockPage::read).filter(|line| line.number > number);
        match (known, &self.clock) {
            (Some(line), _) => self.anchors.hear(line),
            (None, Some(clock)) if is_due => publish_next(clock, &mut self.anchors, now, self.pace.anchor_busy, sample),
            (None, None) if is_due => {
                let (ticks, unix_ns) = sample();
                if let Some(line) = self.anchors.line().next(ticks, unix_ns) {
                    self.anchors.hear(line);
                }
            }
            _ => {}
        }
        let old = now.saturating_sub(self.anchors.current().ticks) >= self.pace.anchor_idle;
        if self.anchors.waits() && (old || self.since_anchor > 0 || !self.is_emptied(ground)) {
            self.take_anchors(ground);
        }
    }

    /// Puts the anchors that are known into the journal; `false`, and nothing done, without room.
    #[cold]
    pub(super) fn take_anchors(&mut self, ground: Ground<'_>) -> bool {
        // Without room for them the line must not change either: readers know only what the journal says.
        if !self.make_room(ground, ANCHORS_BYTES) {
            return false;
        }
        for anchor in self.anchors.follow(self.newest, self.live) {
            self.journal.anchor(*anchor);
        }
        self.since_anchor = 0;
        let words = &ground.control.anchor;
        publish_anchor(words, self.anchors.current());
        words.steps.store(self.anchors.line().steps, Ordering::Relaxed);
        words.correction_ns.store(self.anchors.line().correction_ns, Ordering::Relaxed);
        if let Some(ns) = self.anchors.untold_step() {
            let (way, what) = match ns {
                ..0 => ("back", "times are slewed until it has caught up"),
                _ => ("forward", "times follow"),
            };
            let text = format!("the wall clock was set {way} by {:.6} s; {what}", ns.unsigned_abs() as f64 / 1e9);
            self.note(ground, self.journal.now, &text);
        }
        true
    }
}

/// Goes on with the line for all, unless another is about to.
fn publish_next(
    clock: &ClockPage,
    anchors: &mut Anchors,
    now: u64,
    patience: u64,
    sample: impl FnOnce() -> (u64, i64),
) {
    let Some(claim) = clock.claim(now, patience) else { return };
    // The claim was free because somebody has just published.
    if let Some(line) = clock.read().filter(|line| line.number > anchors.line().number) {
        return anchors.hear(line);
    }
    let (ticks, unix_ns) = sample();
    if let Some(line) = anchors.line().next(ticks, unix_ns) {
        claim.publish(&line);
        anchors.hear(line);
    }
}

/// Stores an anchor so that readers of other processes never see half of one.
pub(crate) fn publish_anchor(words: &AnchorWords, anchor: Anchor) {
    let version = words.version.load(Ordering::Relaxed);
    words.version.store(version | 1, Ordering::Relaxed);
    fence(Ordering::Release);
    words.ticks.store(anchor.ticks, Ordering::Relaxed);
    words.unix_ns.store(anchor.unix_ns, Ordering::Relaxed);
    words.rate.store(anchor.rate, Ordering::Relaxed);
    words.version.store((version | 1) + 1, Ordering::Release);
}
