//! The terminal as an owned value: taken when it is made, given back whatever happens.

use std::io::{self, Stdout, Write as _};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::event::{DisableMouseCapture, EnableMouseCapture};
use ratatui::crossterm::terminal::{
    Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use ratatui::crossterm::{cursor, execute};

use crate::model::Pointer;

/// Whether this process has the terminal. A panic hook has nothing else to go by.
static TAKEN: AtomicBool = AtomicBool::new(false);
static HOOK: Once = Once::new();

/// The terminal, taken. Dropping it gives it back.
pub struct Screen {
    terminal: Terminal<CrosstermBackend<Stdout>>,
    pointer: Pointer,
}

// === impl Screen ===

impl Screen {
    /// Takes the terminal, and sees to it that a panic gives it back before it is told.
    ///
    /// # Errors
    /// When there is none; nothing has changed then.
    pub fn take(pointer: Pointer) -> io::Result<Self> {
        // Whoever panics still has the terminal: give it back before the message is written.
        HOOK.call_once(|| {
            let before = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                give_back();
                before(panic);
            }));
        });
        enter(pointer)?;
        let terminal = Terminal::new(CrosstermBackend::new(io::stdout())).inspect_err(|_| give_back())?;
        Ok(Self { terminal, pointer })
    }

    /// Draws what has changed.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub fn draw(&mut self, draw: impl FnOnce(&mut ratatui::Frame<'_>)) -> io::Result<()> {
        self.terminal.draw(draw).map(|_| ())
    }

    /// Gives the terminal back and stops this process and its group, as Ctrl-Z does everywhere. Returns when it has been
    /// brought back; [`Screen::retake`] then.
    pub fn suspend(&mut self) {
        give_back();
        // Where nobody could bring it back (no shell that controls jobs), the kernel does not stop it.
        let _ = kill(Pid::from_raw(0), Signal::SIGTSTP);
    }

    /// Takes the terminal again, in whatever state it is, and forgets what was on it.
    ///
    /// # Errors
    /// When it is gone.
    pub fn retake(&mut self) -> io::Result<()> {
        give_back();
        enter(self.pointer)?;
        execute!(io::stdout(), Clear(ClearType::All))?;
        // Not `Terminal::clear`: that asks the terminal where its cursor is, and the answer would go to the thread of the keys.
        self.terminal = Terminal::new(CrosstermBackend::new(io::stdout()))?;
        Ok(())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

fn enter(pointer: Pointer) -> io::Result<()> {
    enable_raw_mode()?;
    TAKEN.store(true, Ordering::SeqCst);
    let taken = match pointer {
        Pointer::On => execute!(io::stdout(), EnterAlternateScreen, cursor::Hide, EnableMouseCapture),
        Pointer::Off => execute!(io::stdout(), EnterAlternateScreen, cursor::Hide),
    };
    taken.inspect_err(|_| give_back())
}

/// Does nothing if it is given back already. A terminal that is gone is no error.
fn give_back() {
    if TAKEN.swap(false, Ordering::SeqCst) {
        let _ = execute!(io::stdout(), DisableMouseCapture, LeaveAlternateScreen, cursor::Show);
        let _ = io::stdout().flush();
        let _ = disable_raw_mode();
    }
}
