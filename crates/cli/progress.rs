//! Progress bars on stderr, for people only: nothing moves when stderr is no terminal, or with `--quiet`.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::Context;

/// A bar with rate and, where the end is known, the time that is left.
pub(crate) struct Bar(ProgressBar);

impl Bar {
    /// A bar that counts things; `total` is `None` while the end is not known.
    pub(crate) fn counting(context: &Context, things: &'static str, total: Option<u64>) -> Self {
        let bar = Self::hidden_or_shown(context, total);
        bar.set_style(style(match total {
            Some(_) => "{bar:30} {human_pos} of {human_len} {msg}, {per_sec}, {eta} left",
            None => "{spinner} {human_pos} {msg}, {per_sec}",
        }));
        bar.set_message(things);
        Self(bar)
    }

    /// A bar over bytes, whose end is told by [`Bar::total`] once it is known.
    pub(crate) fn bytes(context: &Context) -> Self {
        let bar = Self::hidden_or_shown(context, Some(0));
        bar.set_style(style(
            "{bar:30} {binary_bytes} of {binary_total_bytes}, {binary_bytes_per_sec}, {eta} left {msg}",
        ));
        Self(bar)
    }

    fn hidden_or_shown(context: &Context, total: Option<u64>) -> ProgressBar {
        let target = if context.shows_progress() {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        ProgressBar::with_draw_target(total, target)
    }

    /// Sets where the end is, and begins anew.
    pub(crate) fn total(&self, total: u64) {
        self.0.reset();
        self.0.set_length(total);
    }

    /// Moves to `done`.
    pub(crate) fn at(&self, done: u64) {
        self.0.set_position(done);
    }

    /// Moves to `done` of `total`.
    pub(crate) fn at_of(&self, done: u64, total: u64) {
        self.0.set_length(total);
        self.0.set_position(done);
    }

    /// Moves on by `more`.
    pub(crate) fn advance(&self, more: u64) {
        self.0.inc(more);
    }

    /// Takes the bar away.
    pub(crate) fn finish(&self) {
        self.0.finish_and_clear();
    }
}

/// The templates are constants of this module, tried by its test.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
