//! What is being done while the environment is made: a line a step, and a bar for what takes long.

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::Mutex;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use mlx_tree::provision::{Progress, Step};

/// Shows steps on stderr: with bars on a terminal, in plain lines elsewhere.
pub(crate) struct Shown {
    bar: Option<ProgressBar>,
    /// The last plain line, so that a download is told once and not a thousand times.
    last: Mutex<String>,
}

// === impl Shown ===

impl Shown {
    pub(crate) fn new() -> Self {
        let bar = io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            let style = ProgressStyle::with_template("  {spinner} {wide_msg} {bar:24} {elapsed}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar
        });
        Self { bar, last: Mutex::default() }
    }

    fn line(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| {
                let _ = writeln!(io::stderr(), "🔧 {text}");
            }),
            None => {
                let _ = writeln!(io::stderr(), "🔧 {text}");
            }
        }
    }

    /// Whether `what` is news.
    fn is_new(&self, what: &str) -> bool {
        let mut last = self.last.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let new = *last != what;
        what.clone_into(&mut last);
        new
    }
}

impl Progress for Shown {
    fn report(&self, step: Step) {
        match (&self.bar, &step) {
            (Some(bar), Step::Downloading { done, total, .. }) => {
                bar.set_length(*total);
                bar.set_position(*done);
                bar.set_message(step.to_string());
            }
            (None, Step::Downloading { what, total, .. }) => {
                if self.is_new(what) {
                    self.line(&format!("downloading {what} ({} MB)", total / 1_000_000));
                }
            }
            (Some(bar), Step::Line(line)) => {
                bar.set_message(line.clone());
                bar.tick();
            }
            // Asking interpreters is quick, and what pip says beside its downloads is for the bar.
            (None, Step::Line(_)) | (_, Step::Looking { .. }) => {}
            (_, Step::Ready { .. }) => {
                if let Some(bar) = &self.bar {
                    bar.finish_and_clear();
                }
            }
            (_, other) => self.line(&other.to_string()),
        }
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
