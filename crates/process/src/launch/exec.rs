//! From a recipe to a running process: what happens in the child between fork and exec.
//!
//! The child inherits as little as possible. Between fork and exec only async-signal-safe calls are
//! made and nothing is allocated: all strings are built before. The `execve` is our own because
//! `execvp`, which the standard library ends with, would run a file of unknown format *with a shell*.
//!
//! `PR_SET_PDEATHSIG` is left out on purpose: it is bound to the *thread* that forked, and would end
//! the server whenever the runtime retires that thread (docs/adr/0031).

use std::collections::BTreeMap;
use std::ffi::{CString, OsStr, OsString, c_char};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::ptr;
use std::thread;
use std::time::Duration;

use nix::libc;

use super::{SpawnError, resolve};
use crate::os;

/// Where a child stands towards us and the terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Leader of a process group of its own, in our session.
    OwnGroup,
    /// Leader of a session of its own: no terminal, no terminal's signals.
    OwnSession,
}

/// A program that is ready to be started.
pub(crate) struct Program<'a> {
    pub(crate) argv: &'a [OsString],
    pub(crate) cwd: Option<&'a Path>,
    pub(crate) env: &'a BTreeMap<OsString, OsString>,
    pub(crate) standing: Standing,
    /// Survives the exec under its own number.
    pub(crate) inherit: Option<BorrowedFd<'a>>,
    pub(crate) stdio: StdioPlan,
}

/// What the three standard descriptors are.
pub(crate) enum StdioPlan {
    /// Nothing in; both outputs piped to us.
    Captured,
    /// This one in; nothing out.
    Reads(OwnedFd),
}

/// Starts it. Returns once the program has been executed.
pub(crate) fn start(program: Program<'_>) -> Result<Child, SpawnError> {
    let nothing = OsStr::new("");
    let argv0 = program.argv.first().map_or(nothing, OsString::as_os_str);
    if let Some(cwd) = program.cwd {
        resolve::working_directory(cwd)?;
    }
    let path = resolve::program(argv0, program.cwd, program.env)?;
    let exec = Exec::new(&path, &program)?;

    // Only the plumbing is the standard library's; words and environment go through `exec`.
    let mut command = Command::new(&path);
    command.env_clear();
    if let Some(cwd) = program.cwd {
        command.current_dir(cwd);
    }
    match program.stdio {
        StdioPlan::Captured => command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()),
        StdioPlan::Reads(input) => command.stdin(input).stdout(Stdio::null()).stderr(Stdio::null()),
    };
    match program.standing {
        Standing::OwnGroup => command.process_group(0),
        // By `setsid` below, which a group leader may not call.
        Standing::OwnSession => &mut command,
    };
    // SAFETY: the closure runs in the forked child of a process with threads. It makes
    // async-signal-safe system calls only, allocates nothing and takes no lock; see `Exec::run`.
    #[allow(unsafe_code, reason = "nothing safe can act between fork and exec")]
    unsafe {
        command.pre_exec(move || Err(exec.run()))
    };
    default_sigchld();
    spawn_patiently(&mut command).map_err(|error| SpawnError::from_exec(&path, error))
}

/// A program that was written a moment ago may still be open for writing in a child that another
/// thread has forked and that has not executed its own program yet: ETXTBSY, for a moment.
fn spawn_patiently(command: &mut Command) -> io::Result<Child> {
    const TRIES: u32 = 10;
    for _ in 1..TRIES {
        match command.spawn() {
            Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy => thread::sleep(Duration::from_millis(2)),
            result => return result,
        }
    }
    command.spawn()
}

/// Everything the child needs, as the system calls want it.
struct Exec {
    path: CString,
    argv: Words,
    envp: Words,
    inherit: Option<RawFd>,
    standing: Standing,
}

/// C strings and the null-terminated array of pointers to them.
struct Words {
    pointers: Vec<*const c_char>,
    _owned: Vec<CString>,
}

// SAFETY: the pointers lead into `_owned`, whose buffers do not move when the vector does, and which
// nobody can change.
#[allow(unsafe_code, reason = "raw pointers into an owned, immutable buffer")]
unsafe impl Send for Words {}
// SAFETY: as above.
#[allow(unsafe_code, reason = "raw pointers into an owned, immutable buffer")]
unsafe impl Sync for Words {}

// === impl Exec ===

impl Exec {
    fn new(path: &Path, program: &Program<'_>) -> Result<Self, SpawnError> {
        let nul = |_| SpawnError::Other {
            path: path.to_owned(),
            source: io::Error::new(io::ErrorKind::InvalidInput, "a word or variable contains a NUL byte"),
        };
        let argv = program.argv.iter().map(|word| CString::new(word.as_bytes()));
        let envp = program.env.iter().map(|(name, value)| {
            let entry = [name.as_bytes(), b"=", value.as_bytes()].concat();
            CString::new(entry)
        });
        Ok(Self {
            // Relative paths were joined with a directory that the child has entered by then.
            path: CString::new(absolute(path).as_os_str().as_bytes()).map_err(nul)?,
            argv: Words::new(argv.collect::<Result<_, _>>().map_err(nul)?),
            envp: Words::new(envp.collect::<Result<_, _>>().map_err(nul)?),
            inherit: program.inherit.map(|fd| fd.as_raw_fd()),
            standing: program.standing,
        })
    }

    /// In the child. Returns only if the program could not be executed.
    #[allow(unsafe_code, reason = "bare system calls between fork and exec")]
    fn run(&self) -> io::Error {
        // SAFETY: system calls on numbers and on memory that `self` owns; all async-signal-safe.
        unsafe {
            if self.standing == Standing::OwnSession && libc::setsid() < 0 {
                return io::Error::last_os_error();
            }
            // What we ignore the child would ignore as well (nohup's SIGHUP, our own SIGPIPE).
            os::default_signals();
            let mut none = std::mem::zeroed::<libc::sigset_t>();
            libc::sigemptyset(&raw mut none);
            libc::sigprocmask(libc::SIG_SETMASK, &raw const none, ptr::null_mut());
            // A core of a model server is tens of gigabytes.
            let zero = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
            libc::setrlimit(libc::RLIMIT_CORE, &raw const zero);
            os::mark_cloexec();
            if let Some(fd) = self.inherit
                && libc::fcntl(fd, libc::F_SETFD, 0) < 0
            {
                return io::Error::last_os_error();
            }
            libc::execve(self.path.as_ptr(), self.argv.as_ptr(), self.envp.as_ptr());
        }
        io::Error::last_os_error()
    }
}

/// A `./tool` without a cwd of its own stays relative to ours, which the child shares; with one it was
/// joined already, and must not be resolved a second time from within it.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// If our parent left SIGCHLD ignored, the kernel reaps our children behind our back, and their exit
/// codes and the shelter of the zombie are lost.
fn default_sigchld() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        // SAFETY: reads the present disposition and replaces "ignore" only; a handler is left alone.
        #[allow(unsafe_code, reason = "nix marks every change of a disposition unsafe")]
        unsafe {
            let mut now = std::mem::zeroed::<libc::sigaction>();
            if libc::sigaction(libc::SIGCHLD, ptr::null(), &raw mut now) == 0 && now.sa_sigaction == libc::SIG_IGN {
                libc::signal(libc::SIGCHLD, libc::SIG_DFL);
            }
        }
    });
}

// === impl Words ===

impl Words {
    fn new(owned: Vec<CString>) -> Self {
        let pointers = owned.iter().map(|word| word.as_ptr()).chain([ptr::null()]).collect();
        Self { pointers, _owned: owned }
    }

    fn as_ptr(&self) -> *const *const c_char {
        self.pointers.as_ptr()
    }
}
