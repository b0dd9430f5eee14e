//! Brings a life into being: the child, its control group, its readers and its owner.

use std::io::{self, Read};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::leader::Leader;
use super::owner::Owner;
use super::{Condition, Inner, ProcessGroup};
use crate::identity::Identity;
use crate::launch::exec::{self, Birthplace, Program, Standing, StdioPlan};
use crate::launch::{CgroupUse, Launch, NONCE_VARIABLE, SpawnError};
use crate::marks::Marks;
use crate::os::{Cgroup, wait};
use crate::output::reader;

pub(super) fn spawn(mut launch: Launch) -> Result<ProcessGroup, SpawnError> {
    // Panics where there is no runtime, before there is a child.
    let runtime = Handle::current();
    let path: PathBuf = launch.argv.first().map(PathBuf::from).unwrap_or_default();
    let nonce = fresh_nonce().map_err(|source| SpawnError::Other { path: path.clone(), source })?;
    launch.env.insert(NONCE_VARIABLE.into(), nonce.clone().into());
    let cgroup = match launch.cgroup {
        CgroupUse::WhereAllowed => Cgroup::make().map(Arc::new),
        CgroupUse::Never => None,
    };
    let child = exec::start(Program {
        argv: &launch.argv,
        cwd: launch.cwd.as_deref(),
        env: &launch.env,
        standing: Standing::OwnGroup,
        inherit: launch.lock.as_ref().map(AsFd::as_fd),
        stdio: StdioPlan::Captured,
        cgroup: cgroup.as_ref().and_then(|cgroup| cgroup.directory()),
    })?;
    let started = Instant::now();
    let pid = child.pid;
    // From here on the child is owned: whatever fails below, the drop of the leader ends it.
    let identity = identity_of_child(pid);
    let leader = Leader::new(identity.clone(), launch.killer, cgroup.clone());
    if let (Some(cgroup), Birthplace::Outside) = (cgroup, child.birthplace) {
        runtime.spawn_blocking(move || cgroup.adopt(pid));
    }

    let missing = || SpawnError::Other { path: path.clone(), source: io::ErrorKind::BrokenPipe.into() };
    let [stdout, stderr] = child.outputs.ok_or_else(missing)?;
    let (reading, output, tail) =
        reader::start(stdout, stderr).map_err(|source| SpawnError::from_exec(&path, source))?;

    let (wishes, wished) = mpsc::unbounded_channel();
    let (condition, conditions) = watch::channel(Condition::Running);
    let held = Arc::new(Mutex::new(Some(launch.held)));
    // Our copy of the lock goes with `launch`: the child's keeps it locked for exactly as long as the
    // child, or something it started, lives.
    let marks = Marks { nonce: Some(nonce.clone()), lock: launch.lock.map(|lock| lock.path().to_owned()) };
    let owner = Owner {
        leader,
        started,
        marks,
        drop_grace: launch.drop_grace,
        wishes: wished,
        condition,
        reading,
        held: Arc::clone(&held),
    };
    runtime.spawn(owner.run());
    let inner = Inner { identity, nonce, wishes, condition: conditions, output, tail, held };
    Ok(ProcessGroup { inner: Arc::new(inner) })
}

/// The child has not been reaped, so the table knows it, dead or alive.
fn identity_of_child(pid: i32) -> Identity {
    Identity::of(pid).unwrap_or_else(|| {
        debug_assert!(wait::has_ended(pid), "a living child is in the process table");
        // Reaped by somebody else already, or the table cannot be read: an identity nobody can have.
        Identity { pid, start_time: u64::MAX, boot_id: crate::clock::boot_id().to_owned() }
    })
}

/// 128 random bits: whoever has them in the environment descends from this life.
fn fresh_nonce() -> io::Result<String> {
    let mut bytes = [0; 16];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
