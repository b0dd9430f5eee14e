//! What is being done while the environment is made: a line a step, and on a terminal a bar for what takes long.

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use mlx_tree::api::Language;
use mlx_tree::provision::{Progress, Step};

use super::logging;

/// Redrawn so often even when nothing is reported: unpacking says nothing for half a minute, and must not look hung.
const REDRAW: Duration = Duration::from_millis(120);
/// How pip begins the line before its longest silence.
const UNPACKS: &str = "Installing collected packages: ";
const SPINNER: &str = "  {spinner} {elapsed_precise}  {wide_msg}";
const BAR: &str = "  {spinner} {elapsed_precise}  {bar:24}  {wide_msg}";
/// Smaller downloads are not worth a line in a log.
const WORTH_A_LINE: u64 = 1_000_000;

/// Shows steps on stderr: with a bar on a terminal, in plain lines elsewhere.
pub(crate) struct Shown {
    work: Mutex<Work>,
}

/// What has been reported so far.
struct Work {
    screen: Screen,
    language: Language,
    begun: Instant,
    downloads: Downloads,
}

/// What there is to write on.
enum Screen {
    /// A terminal on which nothing lasting has begun.
    Terminal,
    /// A terminal with a bar.
    Bar(ProgressBar),
    /// A file or a pipe.
    Plain,
}

/// How much of it all has been downloaded.
#[derive(Debug, Default, PartialEq, Eq)]
struct Downloads {
    /// Bytes of the files before the current one.
    before: u64,
    /// The current file, with its bytes so far and in all.
    current: Option<(String, u64, u64)>,
}

/// What a step means for the person who waits.
#[derive(Debug, PartialEq, Eq)]
enum Shows {
    /// A line that stays.
    Line(String),
    /// Something that is under way now, and gone with the next.
    Now(String),
    /// Nothing.
    Nothing,
}

// === impl Shown ===

impl Shown {
    pub(crate) fn new(language: Language) -> Self {
        let screen = if io::stderr().is_terminal() { Screen::Terminal } else { Screen::Plain };
        Self { work: Mutex::new(Work { screen, language, begun: Instant::now(), downloads: Downloads::default() }) }
    }
}

impl Progress for Shown {
    fn report(&self, step: Step) {
        self.work.lock().unwrap_or_else(PoisonError::into_inner).report(&step);
    }
}

// === impl Work ===

impl Work {
    fn report(&mut self, step: &Step) {
        match step {
            // Asking interpreters is quick.
            Step::Looking { .. } => {}
            Step::MakingEnvironment { .. } | Step::WaitingForOther { .. } => {
                self.begun = Instant::now();
                self.begin_bar();
                self.show(lasting(step));
            }
            Step::Installing { size, .. } => {
                self.show(lasting(step));
                if let (Screen::Bar(bar), Some(size)) = (&self.screen, size) {
                    bar.set_length(size.download * 1_000_000);
                    bar.set_style(style(BAR));
                }
            }
            Step::Downloading { what, done, total } => {
                let news = self.downloads.on(what, *done, *total);
                match &self.screen {
                    Screen::Bar(bar) => {
                        bar.set_position(self.downloads.bytes().min(bar.length().unwrap_or(u64::MAX)));
                        let text = format!("downloading {what} ({})", megabytes(*total));
                        bar.set_message(self.language.say(&text).into_owned());
                    }
                    Screen::Plain if news && *total >= WORTH_A_LINE => {
                        self.show(Shows::Line(format!("downloading {what} ({})", megabytes(*total))));
                    }
                    Screen::Plain | Screen::Terminal => {}
                }
            }
            Step::Line(line) => {
                self.show(of_pip(line));
                if let (Screen::Bar(bar), true) = (&self.screen, line.starts_with(UNPACKS)) {
                    // Nothing more is downloaded, and how far this is, pip does not say.
                    bar.set_style(style(SPINNER));
                    bar.set_message(self.language.say("many small files").into_owned());
                }
            }
            Step::Ready { .. } => {
                let seconds = self.begun.elapsed().as_secs().max(1);
                self.show(Shows::Line(format!("done in {seconds} s; the next start finds it there")));
                self.end_bar();
            }
            other => self.show(lasting(other)),
        }
    }

    fn begin_bar(&mut self) {
        if matches!(self.screen, Screen::Terminal) {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            bar.set_style(style(SPINNER));
            bar.enable_steady_tick(REDRAW);
            self.screen = Screen::Bar(bar);
        }
    }

    fn end_bar(&mut self) {
        if let Screen::Bar(bar) = &self.screen {
            bar.finish_and_clear();
            self.screen = Screen::Terminal;
        }
    }

    fn show(&self, shows: Shows) {
        match (shows, &self.screen) {
            (Shows::Line(text), Screen::Bar(bar)) => {
                bar.set_message("");
                // Now, while the bar is out of the way.
                bar.suspend(|| drop(io::stderr().write_all(line(&self.language.say(&text)).as_bytes())));
            }
            (Shows::Line(text), Screen::Terminal | Screen::Plain) => logging::say(&line(&self.language.say(&text))),
            (Shows::Now(text), Screen::Bar(bar)) => bar.set_message(self.language.say(&text).into_owned()),
            (Shows::Now(_), Screen::Terminal | Screen::Plain) | (Shows::Nothing, _) => {}
        }
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        self.end_bar();
    }
}

// === impl Downloads ===

impl Downloads {
    /// Takes a report in; answers whether it is the first one of its file.
    fn on(&mut self, what: &str, done: u64, total: u64) -> bool {
        let (news, before) = match &self.current {
            Some((current, _, _)) if current == what => (false, 0),
            // An older pip says that a download begins and no more: with the next one it is over.
            Some((_, _, total)) => (true, *total),
            None => (true, 0),
        };
        self.before += before;
        self.current = Some((what.to_owned(), done, total));
        news
    }

    fn bytes(&self) -> u64 {
        self.before + self.current.as_ref().map_or(0, |(_, done, _)| *done)
    }
}

fn lasting(step: &Step) -> Shows {
    Shows::Line(match step {
        Step::MakingEnvironment { directory } => {
            format!(
                "no Python here has the server's package; making an environment for it, once, in {}",
                directory.display()
            )
        }
        Step::WaitingForOther { directory } => {
            format!("another process is making the environment {}; waiting for it", directory.display())
        }
        Step::Verifying => "importing it once, so that the first start is quick".to_owned(),
        other => other.to_string(),
    })
}

/// What a line of pip's means.
fn of_pip(line: &str) -> Shows {
    if let Some(rest) = line.strip_prefix("Collecting ") {
        let what = rest.split(" (from").next().unwrap_or(rest);
        return Shows::Now(format!("looking for {what}"));
    }
    if let Some(packages) = line.strip_prefix(UNPACKS) {
        return Shows::Line(format!("unpacking {} packages", packages.split(", ").count()));
    }
    if line.starts_with("WARNING: Retrying ") {
        return Shows::Line("the package index does not answer; pip tries again".to_owned());
    }
    if line.starts_with("WARNING: ") {
        return Shows::Line(format!("pip: {line}"));
    }
    Shows::Nothing
}

fn megabytes(bytes: u64) -> String {
    format!("{}.{} MB", bytes / 1_000_000, bytes % 1_000_000 / 100_000)
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

fn line(text: &str) -> String {
    format!("🔧 {text}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_what_pip_says_only_the_point_is_shown() {
        let collecting = of_pip("Collecting numpy (from mlx-lm==0.32.2)");
        assert_eq!(collecting, Shows::Now("looking for numpy".to_owned()));
        let unpacking = of_pip("Installing collected packages: typing-extensions, tqdm, mlx-lm");
        assert_eq!(unpacking, Shows::Line("unpacking 3 packages".to_owned()));
        let retrying = of_pip("WARNING: Retrying (Retry(total=2, connect=None)) after connection broken by 'New'");
        assert_eq!(retrying, Shows::Line("the package index does not answer; pip tries again".to_owned()));
        assert_eq!(of_pip("Successfully installed MarkupSafe-3.0.4 mlx-0.32.4"), Shows::Nothing);
    }

    #[test]
    fn the_bar_moves_with_a_pip_that_tells_its_progress_and_with_one_that_does_not() {
        let mut telling = Downloads::default();
        assert!(telling.on("mlx 0.32.4", 0, 600));
        assert!(!telling.on("mlx 0.32.4", 400, 600));
        assert_eq!(telling.bytes(), 400);
        let mut silent = Downloads::default();
        let _ = silent.on("mlx 0.32.4", 0, 600);
        assert!(silent.on("numpy 2.4.6", 0, 900));
        assert_eq!(silent.bytes(), 600);
    }
}
