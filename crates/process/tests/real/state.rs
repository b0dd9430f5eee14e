//! The state directory, its locks, and strangers that must not be touched (F40, F42, F43, S16).

use std::fs;
use std::io::{BufRead, BufReader, Lines};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use mlx_tree_process::state::{InstanceError, InstanceLock, Record, Settled, StateDir, StateError, settle_orphan};
use mlx_tree_process::{Condition, Grace, Identity};

use crate::support::{ENOUGH, helper, spawn_ready};

const SHORT: Grace = Grace::new(Duration::from_millis(200));

struct Place {
    _temporary: tempfile::TempDir,
    dir: StateDir,
    instance: InstanceLock,
}

fn place() -> Place {
    let temporary = tempfile::tempdir().expect("a directory");
    let dir = StateDir::open(temporary.path().join("state")).expect("a state directory");
    let instance = InstanceLock::acquire(&dir).expect("the only one");
    Place { _temporary: temporary, dir, instance }
}

#[test]
fn the_state_directory_is_made_private_and_stays_so() {
    let temporary = tempfile::tempdir().expect("a directory");
    let path = temporary.path().join("deep/state");
    let mode = || fs::metadata(&path).expect("there").permissions().mode() & 0o7777;
    StateDir::open(&path).expect("made");
    assert_eq!(mode(), 0o700);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("loosened");
    let dir = StateDir::open(&path).expect("there");
    assert_eq!(mode(), 0o700);
    let _instance = InstanceLock::acquire(&dir).expect("the only one");
    let lock = fs::metadata(dir.file("supervisor.lock")).expect("there");
    assert_eq!(lock.permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_symlink_at_the_state_path_or_at_a_lock_is_refused() {
    let temporary = tempfile::tempdir().expect("a directory");
    let real = temporary.path().join("real");
    fs::create_dir(&real).expect("made");
    let link = temporary.path().join("link");
    symlink(&real, &link).expect("linked");
    assert!(matches!(StateDir::open(&link), Err(StateError::Symlink { .. })));
    fs::write(temporary.path().join("file"), "").expect("written");
    assert!(matches!(StateDir::open(temporary.path().join("file")), Err(StateError::NotADirectory { .. })));
    let dir = StateDir::open(&real).expect("ours");
    symlink(temporary.path().join("file"), dir.file("supervisor.lock")).expect("linked");
    let refused = InstanceLock::acquire(&dir).expect_err("a symlink");
    assert!(matches!(refused, InstanceError::State(StateError::Symlink { .. })), "{refused}");
}

#[test]
fn somebody_elses_state_directory_is_refused() {
    // Needs the right to give a directory away.
    let temporary = tempfile::tempdir().expect("a directory");
    let path = temporary.path().join("state");
    fs::create_dir(&path).expect("made");
    if std::os::unix::fs::chown(&path, Some(12345), None).is_err() {
        return;
    }
    assert!(matches!(StateDir::open(&path), Err(StateError::WrongOwner { owner: 12345, .. })));
}

#[test]
fn the_second_supervisor_is_told_the_pid_of_the_first() {
    let place = place();
    match InstanceLock::acquire(&place.dir) {
        Err(InstanceError::Held { pid }) => assert_eq!(pid, Some(std::process::id().cast_signed())),
        other => panic!("{other:?}"),
    }
    drop(place.instance);
    InstanceLock::acquire(&place.dir).expect("free again; the file left behind is no obstacle");
}

/// A supervisor of the test below; killed on drop, so that its guard ends its server.
struct Contender {
    process: Child,
    said: Lines<BufReader<ChildStdout>>,
}

impl Contender {
    fn start(dir: &Path) -> Self {
        let mut process = Command::new(helper())
            .arg("supervise")
            .arg(dir)
            .arg("sleep")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the helper starts");
        let said = BufReader::new(process.stdout.take().expect("piped")).lines();
        Self { process, said }
    }

    fn line(&mut self) -> String {
        self.said.next().expect("a line").expect("readable")
    }
}

impl Drop for Contender {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// F42.
#[tokio::test]
async fn of_many_supervisors_started_at_once_exactly_one_runs() {
    let temporary = tempfile::tempdir().expect("a directory");
    let dir = temporary.path().join("state");
    let race = move || {
        let mut contenders: Vec<Contender> = (0..20).map(|_| Contender::start(&dir)).collect();
        let firsts: Vec<String> = contenders.iter_mut().map(Contender::line).collect();
        let mut running = Vec::new();
        let mut refused = Vec::new();
        for (mut contender, first) in contenders.drain(..).zip(firsts) {
            if first.starts_with("refused") {
                assert_eq!(contender.process.wait().expect("waited").code(), Some(75));
                refused.push(first);
            } else {
                running.push(contender);
            }
        }
        assert_eq!(running.len(), 1);
        let mut winner = running.remove(0);
        let named = format!("(pid {})", winner.process.id());
        let wrong: Vec<_> = refused.iter().filter(|line| !line.contains(&named)).collect();
        assert!(wrong.is_empty(), "{wrong:?} instead of {named}");
        let _guard = winner.line();
        winner.line().strip_prefix("server ").expect("an identity").parse::<Identity>().expect("an identity")
    };
    let server = tokio::task::spawn_blocking(race).await.expect("no panic");
    crate::support::until("the guard ends the server", || crate::support::is_over(&server)).await;
}

#[tokio::test]
async fn without_an_orphan_there_is_nothing_to_settle() {
    let place = place();
    assert_eq!(settle_orphan(&place.instance, SHORT).await.expect("settled"), Settled::Nothing);
}

/// The accept of "never signal a stranger": a record that names a live foreign pid.
#[tokio::test]
async fn a_record_that_names_a_stranger_gets_nobody_signalled() {
    let place = place();
    let stranger = spawn_ready(&["sleep"]).await;
    let real = stranger.identity();
    let wrong_start = Identity { start_time: real.start_time - 1, ..real.clone() };
    let wrong_boot = Identity { boot_id: "another-boot".to_owned(), ..real.clone() };
    for server in [wrong_start, wrong_boot] {
        let record = Record { server, port: 1, nonce: "deadbeef".to_owned() };
        record.write(&place.dir).expect("written");
        assert_eq!(settle_orphan(&place.instance, SHORT).await.expect("settled"), Settled::Nothing);
        assert_eq!(*stranger.condition().borrow(), Condition::Running);
        assert_eq!(Record::read(&place.dir).expect("readable"), None, "a stale record is removed");
    }
    stranger.stop(ENOUGH).await.expect("it ends");
}

/// F40: the lock is held by a process that did not inherit it from a server of ours.
#[tokio::test]
#[cfg(target_os = "linux")]
async fn an_orphan_without_a_record_is_known_by_the_lock_and_a_mere_reader_of_it_is_not_touched() {
    use crate::support::{assert_gone, launch};
    use mlx_tree_process::ProcessGroup;
    use mlx_tree_process::state::ServerLock;

    let place = place();
    let lock = ServerLock::acquire(&place.instance).await.expect("free");
    let orphan = ProcessGroup::spawn(launch(&["ignore-term"]).lock(lock)).expect("it starts");
    let file = place.dir.file("server.lock");
    let mut reading =
        Command::new("/bin/sleep").arg("30").stdin(fs::File::open(&file).expect("readable")).spawn().expect("starts");
    // It is a child of ours here, so that it is spared: the lock must be seen to be held, by name.
    match settle_orphan(&place.instance, SHORT).await.expect("settled") {
        Settled::Held { holders } => assert!(holders.iter().any(|one| one.pid == orphan.identity().pid), "{holders:?}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(*orphan.condition().borrow(), Condition::Running);
    assert!(reading.try_wait().expect("asked").is_none(), "a reader of the file was ended");
    reading.kill().expect("ended");
    reading.wait().expect("reaped");
    orphan.kill();
    orphan.exited().await;
    assert_gone(orphan.identity()).await;
}
