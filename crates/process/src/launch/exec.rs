//! From a recipe to a running process: what happens in the child between fork and exec.
//!
//! The child inherits as little as possible. Between fork and exec only async-signal-safe calls are
//! made and nothing is allocated: all strings are built before. The `execve` is our own because
//! `execvp`, which the standard library ends with, would run a file of unknown format *with a shell*.
//!
//! `PR_SET_PDEATHSIG` is left out on purpose: it is bound to the *thread* that forked, and would end
//! the server whenever the runtime retires that thread (docs/adr/0031).

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::ffi::{CString, OsStr, OsString, c_char, c_void};
use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
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
    /// Where it is to be born, if that can be.
    pub(crate) cgroup: Option<OwnedFd>,
}

/// What the three standard descriptors are.
pub(crate) enum StdioPlan {
    /// Nothing in; both outputs piped to us.
    Captured,
    /// This one in; nothing out.
    Reads(OwnedFd),
}

/// A program that has been executed. Nobody else will reap it.
pub(crate) struct Started {
    pub(crate) pid: i32,
    /// Standard output and standard error, if they are captured.
    pub(crate) outputs: Option<[OwnedFd; 2]>,
    pub(crate) birthplace: Birthplace,
}

/// Whether a child was born in the control group that was meant for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Birthplace {
    Inside,
    Outside,
}

/// Starts it. Returns once the program has been executed.
pub(crate) fn start(program: Program<'_>) -> Result<Started, SpawnError> {
    let nothing = OsStr::new("");
    let argv0 = program.argv.first().map_or(nothing, OsString::as_os_str);
    if let Some(cwd) = program.cwd {
        resolve::working_directory(cwd)?;
    }
    let path = resolve::program(argv0, program.cwd, program.env)?;
    let exec = Exec::new(&path, &program)?;
    let failed = |error| SpawnError::from_exec(&path, error);
    let (stdio, outputs) = Stdio::open(program.stdio).map_err(failed)?;
    default_sigchld();
    let (pid, birthplace) = spawn_patiently(&exec, &stdio, program.cgroup.as_ref()).map_err(failed)?;
    Ok(Started { pid, outputs, birthplace })
}

/// A program that was written a moment ago may still be open for writing in a child that another
/// thread has forked and that has not executed its own program yet: ETXTBSY, for a moment.
fn spawn_patiently(exec: &Arc<Exec>, stdio: &Stdio, cgroup: Option<&OwnedFd>) -> io::Result<(i32, Birthplace)> {
    const TRIES: u32 = 10;
    for _ in 1..TRIES {
        match by_vfork_or_fork(exec, stdio, cgroup) {
            Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy => thread::sleep(Duration::from_millis(2)),
            result => return result,
        }
    }
    by_vfork_or_fork(exec, stdio, cgroup)
}

/// The quick way, in which the child is born in its place, before the one that is there everywhere.
fn by_vfork_or_fork(exec: &Arc<Exec>, stdio: &Stdio, cgroup: Option<&OwnedFd>) -> io::Result<(i32, Birthplace)> {
    if let Some(cgroup) = cgroup
        && let Vforked::Yes(pid) = by_vfork(exec, stdio, Some(cgroup.as_fd()))
    {
        return pid.map(|pid| (pid, Birthplace::Inside));
    }
    let pid = match by_vfork(exec, stdio, None) {
        Vforked::Yes(pid) => pid,
        Vforked::No => by_fork(exec, stdio),
    };
    pid.map(|pid| (pid, Birthplace::Outside))
}

/// What came of the quick way.
enum Vforked {
    /// There was a child; it has executed its program, or says why not.
    Yes(io::Result<i32>),
    /// There was none: an old system, a sandbox that forbids it, another kind of machine, a shortage.
    No,
}

fn by_vfork(exec: &Exec, stdio: &Stdio, cgroup: Option<BorrowedFd<'_>>) -> Vforked {
    let job = Job { exec, stdio: stdio.numbers(), errno: AtomicI32::new(0) };
    if job.stdio.iter().any(|number| *number <= libc::STDERR_FILENO) {
        // Then one would be overwritten by another; the standard library knows how to avoid that.
        return Vforked::No;
    }
    // SAFETY: `Job::run` makes async-signal-safe calls only, allocates nothing, cannot panic, writes to `job.errno` alone,
    // and gives the signals their default dispositions before it unblocks them. `job` outlives the call.
    #[allow(unsafe_code, reason = "nothing safe can act between fork and exec")]
    let started = unsafe { os::vfork(cgroup, Job::run, ptr::from_ref(&job).cast()) };
    match (started, job.errno.load(Ordering::Relaxed)) {
        (Err(_), _) => Vforked::No,
        (Ok(pid), 0) => Vforked::Yes(Ok(pid)),
        (Ok(pid), errno) => {
            // It has ended itself, or is about to: nobody else knows of it.
            let _ = nix::sys::wait::waitpid(nix::unistd::Pid::from_raw(pid), None);
            Vforked::Yes(Err(io::Error::from_raw_os_error(errno)))
        }
    }
}

/// By the standard library's fork. Words and environment go through `exec` all the same.
fn by_fork(exec: &Arc<Exec>, stdio: &Stdio) -> io::Result<i32> {
    let mut command = Command::new(OsStr::from_bytes(exec.path.as_bytes()));
    let [input, output, error] = stdio.copies()?;
    command.env_clear().stdin(input).stdout(output).stderr(error);
    let exec = Arc::clone(exec);
    // SAFETY: the closure runs in the forked child of a process with threads. It makes
    // async-signal-safe system calls only, allocates nothing and takes no lock; see `Exec::run`.
    #[allow(unsafe_code, reason = "nothing safe can act between fork and exec")]
    unsafe {
        command.pre_exec(move || Err(exec.run()))
    };
    command.spawn().map(|child| child.id().cast_signed())
}

/// What the child of a vfork is given, and where it says why it failed.
struct Job<'a> {
    exec: &'a Exec,
    stdio: [RawFd; 3],
    errno: AtomicI32,
}

/// Our ends of the three standard descriptors of a child, as they are to be; all above them and close-on-exec.
struct Stdio {
    input: OwnedFd,
    output: OwnedFd,
    error: OwnedFd,
}

/// Everything the child needs, as the system calls want it.
struct Exec {
    path: CString,
    cwd: Option<CString>,
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
    fn new(path: &Path, program: &Program<'_>) -> Result<Arc<Self>, SpawnError> {
        let nul = |_| SpawnError::Other {
            path: path.to_owned(),
            source: io::Error::new(io::ErrorKind::InvalidInput, "a word or variable contains a NUL byte"),
        };
        let argv = program.argv.iter().map(|word| CString::new(word.as_bytes()));
        let envp = program.env.iter().map(|(name, value)| {
            let entry = [name.as_bytes(), b"=", value.as_bytes()].concat();
            CString::new(entry)
        });
        let cwd = program.cwd.map(|cwd| CString::new(cwd.as_os_str().as_bytes()));
        Ok(Arc::new(Self {
            // Relative paths were joined with a directory that the child has entered by then.
            cwd: cwd.transpose().map_err(nul)?,
            path: CString::new(absolute(path).as_os_str().as_bytes()).map_err(nul)?,
            argv: Words::new(argv.collect::<Result<_, _>>().map_err(nul)?),
            envp: Words::new(envp.collect::<Result<_, _>>().map_err(nul)?),
            inherit: program.inherit.map(|fd| fd.as_raw_fd()),
            standing: program.standing,
        }))
    }

    /// In the child. Returns only if the program could not be executed.
    #[allow(unsafe_code, reason = "bare system calls between fork and exec")]
    fn run(&self) -> io::Error {
        // SAFETY: system calls on numbers and on memory that `self` owns; all async-signal-safe.
        unsafe {
            let placed = match self.standing {
                Standing::OwnGroup => libc::setpgid(0, 0),
                Standing::OwnSession => libc::setsid(),
            };
            if placed < 0 || self.cwd.as_ref().is_some_and(|cwd| libc::chdir(cwd.as_ptr()) < 0) {
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

// === impl Job ===

impl Job<'_> {
    /// The child of a vfork.
    #[allow(unsafe_code, reason = "bare system calls between fork and exec")]
    unsafe extern "C" fn run(job: *const c_void) -> ! {
        // SAFETY: `by_vfork` passes a `Job` that outlives us; the rest are system calls on numbers.
        unsafe {
            let job = &*job.cast::<Self>();
            let placed = job.stdio.iter().zip(0..).all(|(number, standard)| libc::dup2(*number, standard) >= 0);
            let error = if placed { job.exec.run() } else { io::Error::last_os_error() };
            job.errno.store(error.raw_os_error().unwrap_or(libc::EIO), Ordering::Relaxed);
            libc::_exit(127)
        }
    }
}

// === impl Stdio ===

impl Stdio {
    /// Opens them, and for captured outputs our reading ends.
    fn open(plan: StdioPlan) -> io::Result<(Self, Option<[OwnedFd; 2]>)> {
        let nothing = || OpenOptions::new().read(true).write(true).open("/dev/null").map(OwnedFd::from);
        match plan {
            StdioPlan::Captured => {
                let ((read_output, output), (read_error, error)) = (io::pipe()?, io::pipe()?);
                let ours = Self { input: nothing()?, output: output.into(), error: error.into() };
                Ok((ours, Some([read_output.into(), read_error.into()])))
            }
            StdioPlan::Reads(input) => Ok((Self { input, output: nothing()?, error: nothing()? }, None)),
        }
    }

    fn numbers(&self) -> [RawFd; 3] {
        [&self.input, &self.output, &self.error].map(AsRawFd::as_raw_fd)
    }

    fn copies(&self) -> io::Result<[OwnedFd; 3]> {
        Ok([self.input.try_clone()?, self.output.try_clone()?, self.error.try_clone()?])
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
