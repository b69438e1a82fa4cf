//! Going on behind damage: what is reported, where the next sound bytes are, what is unknown there.

use super::walk::{Segment, Walk, place};
use crate::frame::{self, FrameError, PREFIX_LEN, TRAILER_LEN};
use crate::report::FindingKind;

impl Walk<'_> {
    /// Reports bytes that are no frame, and finds where to go on.
    pub(super) fn damage(
        &mut self,
        segment: &Segment<'_>,
        error: FrameError,
        offset: usize,
    ) -> Option<Next> {
        let sequence = self.expected.map_or_else(String::new, |at| format!(", sequence {at}"));
        let report = |walk: &mut Self, end: usize| {
            let place = format!("{}{sequence}", place(segment.name, offset..end));
            let kind = match error {
                FrameError::Cut if end == segment.bytes.len() => FindingKind::Truncated,
                _ => FindingKind::Modified,
            };
            walk.tail(segment, place, kind, &error.to_string());
        };
        // Often only the inside of one frame is damaged, and its length leads to the next one.
        if let Some(end) = whole_frame(segment.bytes, offset) {
            report(self, end);
            let ends_batch = end - offset == TRAILER_LEN;
            if !ends_batch {
                self.lose(self.expected.map(|expected| expected.saturating_add(1)));
            }
            return Some(Next { offset: end, ends_batch });
        }
        let next = frame::find_trailer(&segment.bytes[offset..], |_| true);
        report(self, next.map_or(segment.bytes.len(), |(at, _)| offset + at));
        self.resume(segment, offset).map(|offset| Next { offset, ends_batch: true })
    }

    /// Goes on behind the next end of a batch; if there is none, with the next segment.
    pub(super) fn resume(&mut self, segment: &Segment<'_>, offset: usize) -> Option<usize> {
        let rest = segment.bytes.get(offset..)?;
        let Some((at, trailer)) = frame::find_trailer(rest, |_| true) else {
            // Behind the last segment what was found so far is what there is.
            if !segment.last {
                self.lose(None);
            }
            return None;
        };
        self.lose(Some(trailer.size));
        self.batch_first = Some(trailer.size);
        Some(offset + at + TRAILER_LEN)
    }

    /// Forgets what damage makes unknowable.
    pub(super) fn lose(&mut self, expected: Option<u64>) {
        self.expected = expected;
        (self.prev, self.tree) = (None, None);
    }

    /// Reports something wrong that may be at the end: behind the signed size it is unsigned
    /// anyway, and while a writer is at work it is a batch being written.
    pub(super) fn tail(
        &mut self,
        segment: &Segment<'_>,
        place: String,
        kind: FindingKind,
        detail: &str,
    ) {
        let signed = self.signed.as_ref().map_or(0, |signed| signed.size);
        let behind = segment.last && self.expected.is_some_and(|expected| expected >= signed);
        if behind && self.live.is_so() {
            self.report.not_checked.push(format!("{place}: a writer is at work"));
        } else if behind && kind == FindingKind::Truncated {
            let detail = format!(
                "{detail}, nothing of it signed: what a crash leaves; opening the ledger puts it \
                 aside"
            );
            self.report.find(FindingKind::Unsigned, place, detail);
        } else {
            self.report.find(kind, place, detail);
        }
    }
}

/// Where to go on behind damage.
pub(super) struct Next {
    pub(super) offset: usize,
    pub(super) ends_batch: bool,
}

/// The end of the frame at `offset`, if its length leads to another frame or to the end.
fn whole_frame(bytes: &[u8], offset: usize) -> Option<usize> {
    let len = bytes.get(offset..)?.first_chunk::<4>()?;
    let end = offset.checked_add(PREFIX_LEN + u32::from_be_bytes(*len) as usize)?;
    let rest = bytes.get(end..)?;
    (rest.is_empty() || frame::parse(rest).is_ok()).then_some(end)
}
