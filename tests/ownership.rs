//! Who owns the server process when its supervisor is killed, doubled, hung up or interrupted.

// The process table and the terminal are asked in Linux's own ways.
#![cfg(target_os = "linux")]

mod support;

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::fd::AsFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use mlx_tree_api::Phase;
use nix::fcntl::OFlag;
use nix::pty::{PtyMaster, grantpt, posix_openpt, ptsname_r, unlockpt};
use nix::sys::signal::Signal;
use support::{Instance, Setup, processes};

/// mlx-tree's own limits for ending a server that does not want to, and the spec's two seconds.
const GRACE_AND_TWO_SECONDS: Duration = Duration::from_millis(500 + 2000);

/// The port of `http://127.0.0.1:1234`.
fn port_of(url: &str) -> u16 {
    url.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port")
}

#[tokio::test]
async fn f41_a_killed_supervisor_takes_its_server_with_it() {
    for flags in [&[][..], &["--ignore-term"], &["--fork-grandchild"], &["--fork-grandchild", "--setsid"]] {
        let mut tree = Setup::demo(flags).start();
        let url = tree.ready(1).await.server.url.expect("it serves");
        let servers = processes::stand_ins_of(tree.home());
        let guard = processes::guard_of(tree.pid()).expect("there is a guard");
        tree.signal(Signal::SIGKILL);
        tree.ended().await;
        for server in servers {
            support::gone(server.pid, GRACE_AND_TWO_SECONDS).await;
        }
        TcpListener::bind(("127.0.0.1", port_of(&url))).expect("the port is free again");
        support::gone(guard, support::PATIENCE).await;
    }
}

#[tokio::test]
async fn f39_a_server_that_lost_guard_and_supervisor_is_settled_by_the_next_start() {
    let port = support::free_port().to_string();
    for flags in [&[][..], &["--fork-grandchild"]] {
        let mut tree = Setup::demo(flags).set("server.port", &port).start();
        let orphan = tree.ready(1).await.process_pid.expect("it serves");
        // Frozen, so that it cannot see its guard go.
        tree.signal(Signal::SIGSTOP);
        support::send(processes::guard_of(tree.pid()).expect("there is a guard"), Signal::SIGKILL);
        tree.signal(Signal::SIGKILL);
        tree.ended().await;
        assert!(support::exists(orphan), "nobody is left to end it");

        let next = Setup::demo(&[]).in_home_of(&tree).set("server.port", &port).start();
        next.told(&["left behind by an earlier run", &orphan.to_string()]).await;
        let status = next.ready(1).await;
        assert!(!support::exists(orphan), "it was settled");
        assert_eq!((status.restart_count, status.journal.len()), (0, 0), "not one bind failed");
        next.stop().await;
    }
}

#[tokio::test]
async fn a_guard_that_was_killed_is_replaced_while_the_server_runs() {
    let mut tree = Setup::demo(&[]).start();
    let server = tree.ready(1).await.process_pid.expect("it serves");
    let guard = processes::guard_of(tree.pid()).expect("there is a guard");
    support::send(guard, Signal::SIGKILL);
    let start = Instant::now();
    while processes::guard_of(tree.pid()).is_none_or(|pid| pid == guard) {
        assert!(start.elapsed() < support::PATIENCE, "no other guard comes; log:\n{}", tree.log());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(tree.ready(1).await.process_pid, Some(server), "the server is not affected");
    tree.signal(Signal::SIGKILL);
    tree.ended().await;
    support::gone(server, GRACE_AND_TWO_SECONDS).await;
}

#[tokio::test]
async fn f42_of_several_supervisors_that_start_at_once_exactly_one_runs() {
    let mut home = Setup::demo(&[]).start();
    home.ready(1).await;
    home.signal(Signal::SIGTERM);
    home.ended().await;
    for _ in 0..10 {
        let mut rivals: Vec<Instance> = (0..3).map(|_| Setup::demo(&[]).in_home_of(&home).start()).collect();
        let mut winner = None;
        let start = Instant::now();
        // The losers end by themselves, whichever they are.
        while winner.is_none() {
            assert!(start.elapsed() < support::PATIENCE, "more than one runs, or none");
            tokio::time::sleep(Duration::from_millis(10)).await;
            let running: Vec<usize> = (0..rivals.len()).filter(|&index| rivals[index].is_running()).collect();
            assert!(!running.is_empty(), "all have ended: {}", rivals.iter().map(Instance::log).collect::<String>());
            winner = (running.len() == 1).then(|| running[0]);
        }
        let winner = rivals.swap_remove(winner.expect("the loop has found it"));
        for loser in &mut rivals {
            let exit = loser.ended().await;
            assert_eq!(exit.code(), Some(75), "{}", loser.log());
            assert!(loser.log().contains(&format!("pid {}", winner.pid())), "{}", loser.log());
        }
        let server = winner.ready(1).await.process_pid.expect("it serves");
        let servers: Vec<u32> = processes::stand_ins_of(home.home()).into_iter().map(|process| process.pid).collect();
        assert_eq!(servers, [server], "the losers have touched nothing");
        winner.stop().await;
    }
}

#[tokio::test]
async fn f40_a_record_that_names_a_stranger_by_now_costs_the_stranger_nothing() {
    use mlx_tree::process::Identity;
    use mlx_tree::process::state::{Record, StateDir};

    let mut stranger = Command::new("sleep").arg("600").stdin(Stdio::null()).spawn().expect("a process");
    let pid = stranger.id();
    let identity = Identity::of(pid.cast_signed()).expect("it lives");
    let setup = Setup::demo(&[]);
    let dir = StateDir::open(setup.home().join("state")).expect("a state directory");
    // The pid of a server of an earlier life, which has gone to somebody else since.
    let server = Identity { start_time: identity.start_time.wrapping_sub(1), ..identity };
    Record { server, port: 1, nonce: "c0ffee".to_owned() }.write(&dir).expect("written");
    let tree = setup.start();
    tree.ready(1).await;
    assert!(support::exists(pid), "the stranger was ended");
    tree.stop().await;
    assert!(stranger.try_wait().expect("our child").is_none(), "the stranger was ended");
    stranger.kill().expect("our child");
    stranger.wait().expect("our child");
}

#[tokio::test]
async fn f43_a_record_that_makes_no_sense_and_a_foreign_lock_file_are_no_obstacles() {
    let setup = Setup::demo(&[]);
    let state = setup.home().join("state");
    std::fs::create_dir(&state).expect("created");
    std::fs::set_permissions(&state, std::os::unix::fs::PermissionsExt::from_mode(0o700)).expect("changed");
    for name in ["server.state", "server.state.new", "supervisor.lock", "server.lock", "restart-history.json", "access"]
    {
        std::fs::write(state.join(name), "999999 \u{1F333} nonsense").expect("written");
    }
    let tree = setup.start();
    tree.ready(1).await;
    tree.stop().await;
}

#[tokio::test]
async fn an_open_breaker_stays_open_when_mlx_tree_is_killed() {
    let setup = |flags: &[&str]| Setup::demo(flags).set("breaker.open_for", "6s");
    let last_words = ["--exit-after", "0", "--last-words", "No module named nothing"];
    let mut tree = setup(&last_words).start();
    let open = tree.until("suspended", |it| it.phase == Phase::Suspended).await;
    tree.written_down().await;
    tree.signal(Signal::SIGKILL);
    tree.ended().await;

    let next = setup(&[]).in_home_of(&tree).start();
    let status = next.status().await;
    assert_eq!((status.phase, status.circuit_breaker_state.as_str()), (Phase::Suspended, "open"), "{status:#?}");
    assert_eq!(status.breaker.consecutive_failures, open.breaker.consecutive_failures);
    let why = status.reason.expect("there is a reason");
    assert!(why.contains("No module named nothing"), "{why}");
    assert!(status.next_attempt_in_s.is_some_and(|next| next <= 6.0), "{:?}", status.next_attempt_in_s);
    // Its trial comes by itself.
    next.ready(1).await;
    next.stop().await;
}

#[tokio::test]
async fn a_breaker_whose_time_passed_while_mlx_tree_was_dead_gives_its_trial_at_once() {
    let setup = |flags: &[&str]| Setup::demo(flags).set("breaker.open_for", "1s");
    let mut tree = setup(&["--exit-after", "0", "--last-words", "No module named nothing"]).start();
    tree.until("suspended", |it| it.phase == Phase::Suspended).await;
    tree.written_down().await;
    tree.signal(Signal::SIGKILL);
    tree.ended().await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let next = setup(&[]).in_home_of(&tree).start();
    next.ready(1).await;
    next.stop().await;
}

#[tokio::test]
async fn a_backoff_goes_on_where_it_was_when_mlx_tree_is_killed() {
    let setup =
        |flags: &[&str]| Setup::demo(flags).set("restart.backoff_initial", "4s").set("restart.backoff_max", "4s");
    let mut tree = setup(&["--exit-after", "0"]).start();
    tree.until("waiting", |it| it.phase == Phase::Backoff).await;
    tree.written_down().await;
    tree.signal(Signal::SIGKILL);
    tree.ended().await;
    let next = setup(&[]).in_home_of(&tree).start();
    let status = next.status().await;
    assert_eq!(status.phase, Phase::Backoff, "{status:#?}");
    assert!(status.reason.is_some() && status.next_attempt_in_s.is_some_and(|next| next <= 4.0), "{status:#?}");
    next.ready(1).await;
    next.stop().await;
}

/// The two ends of a terminal, neither of which a child inherits by accident: it would never be hung up.
fn open_terminal() -> (PtyMaster, File) {
    let master = posix_openpt(OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC).expect("a pseudo terminal");
    grantpt(&master).expect("ours");
    unlockpt(&master).expect("ours");
    let name = ptsname_r(&master).expect("it has a name");
    let slave = File::options().read(true).write(true).custom_flags(OFlag::O_NOCTTY.bits()).open(name);
    (master, slave.expect("just made"))
}

/// Gives `setup` the terminal `slave` as its own. Without `setsid -c` safe code cannot do that.
fn in_terminal(setup: Setup, slave: &File) -> Setup {
    setup.through(&["setsid", "-c"]).with(|command, _| {
        command.stdin(Stdio::from(slave.try_clone().expect("cloned")));
    })
}

/// A terminal with mlx-tree in its foreground, as the leader of its session.
struct Terminal {
    master: PtyMaster,
    tree: Instance,
}

impl Terminal {
    fn start(setup: Setup) -> Self {
        let (master, slave) = open_terminal();
        let log = setup.home().join("terminal");
        let output = File::create(&log).expect("a file");
        let setup = in_terminal(setup, &slave);
        let tree = setup.start_writing_to(slave, log);
        let reader = File::from(master.as_fd().try_clone_to_owned().expect("cloned"));
        thread::spawn(move || copy(reader, output));
        Self { master, tree }
    }

    fn press_ctrl_c(&mut self) {
        self.master.write_all(b"\x03").expect("a terminal");
    }
}

/// Ends when the last one who has the terminal open ends.
fn copy(mut from: File, mut to: File) {
    let mut buffer = [0; 4096];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        to.write_all(&buffer[..read]).expect("written");
    }
}

#[tokio::test]
async fn f49_ctrl_c_ends_the_server_by_term_and_the_terminal_does_not_hit_it_itself() {
    let mut terminal = Terminal::start(Setup::demo(&["--die-on-term", "300ms", "--code", "9"]));
    let server = terminal.tree.ready(1).await.process_pid.expect("it serves");
    terminal.press_ctrl_c();
    let exit = terminal.tree.ended().await;
    assert_eq!(exit.code(), Some(130), "{}", terminal.tree.log());
    assert!(!support::exists(server));
    // A terminal's SIGINT would have ended it by signal 2; after TERM it exits with its own code.
    terminal.tree.told(&["Server stopped", "code 9"]).await;
    terminal.tree.told(&["Tree stopped"]).await;
}

#[tokio::test]
async fn f49_a_second_ctrl_c_kills_a_server_that_takes_its_time() {
    let mut terminal = Terminal::start(Setup::demo(&["--ignore-term"]).set("shutdown.grace", "600s"));
    let server = terminal.tree.ready(1).await.process_pid.expect("it serves");
    terminal.press_ctrl_c();
    terminal.tree.told(&["Stopping the server"]).await;
    assert!(support::exists(server), "it has its grace");
    terminal.press_ctrl_c();
    assert_eq!(terminal.tree.ended().await.code(), Some(130), "{}", terminal.tree.log());
    assert!(!support::exists(server));
}

#[tokio::test]
async fn f49_a_terminal_that_is_closed_stops_the_tree() {
    let Terminal { master, mut tree } = Terminal::start(Setup::demo(&[]));
    let server = tree.ready(1).await.process_pid.expect("it serves");
    // The thread that copies has a copy of the master, so the terminal is hung up by its signal alone.
    tree.signal(Signal::SIGHUP);
    assert_eq!(tree.ended().await.code(), Some(0), "{}", tree.log());
    assert!(!support::exists(server));
    drop(master);
}

#[tokio::test]
async fn f49_a_terminal_that_has_vanished_stops_the_tree() {
    let (master, slave) = open_terminal();
    let setup = in_terminal(Setup::demo(&[]), &slave);
    drop(slave);
    let mut tree = setup.start();
    let server = tree.ready(1).await.process_pid.expect("it serves");
    // The window is closed: the kernel hangs up, and the descriptor is no terminal any more.
    drop(master);
    assert_eq!(tree.ended().await.code(), Some(0), "{}", tree.log());
    assert!(!support::exists(server));
}

#[tokio::test]
async fn f49_without_a_terminal_a_hangup_stops_nothing() {
    let tree = Setup::demo(&[]).start();
    let server = tree.ready(1).await.process_pid.expect("it serves");
    tree.signal(Signal::SIGHUP);
    tree.told(&["Configuration read again: no change"]).await;
    assert_eq!(tree.ready(1).await.process_pid, Some(server));
    tree.stop().await;
}

#[tokio::test]
async fn f49_sigterm_is_answered_with_a_clean_end_and_a_second_one_with_a_quick_one() {
    let mut tree = Setup::demo(&["--ignore-term"]).set("shutdown.grace", "600s").start();
    let server = tree.ready(1).await.process_pid.expect("it serves");
    tree.signal(Signal::SIGTERM);
    tree.told(&["Stopping the server"]).await;
    tree.signal(Signal::SIGTERM);
    let exit = tree.ended().await;
    assert!(matches!(exit.code(), Some(143)), "{exit}");
    assert!(!support::exists(server));

    let mut tree = Setup::demo(&[]).start();
    tree.ready(1).await;
    tree.signal(Signal::SIGTERM);
    assert_eq!(tree.ended().await.code(), Some(0));
    assert!(!tree.state_dir().join("server.state").exists(), "the record goes with the server");
}

#[tokio::test]
async fn under_nohup_the_server_inherits_nothing_but_three_descriptors_and_the_lock() {
    // `sleep` opens nothing itself; it never becomes ready, which is not the point here.
    let setup = Setup::serving(&["sh", "-c", "exec sleep 600 # {port}"]);
    let stray = setup.home().join("stray");
    let state = setup.home().join("state");
    std::fs::write(&stray, "").expect("written");
    let shell = format!("exec 7<{0} 8>>{0}; exec nohup \"$0\" \"$@\"", stray.display());
    let tree = setup.through(&["sh", "-c", &shell]).start();
    let server = tree.server().await;
    let descriptors = processes::descriptors(server);
    let numbers: Vec<u32> = descriptors.keys().copied().collect();
    assert_eq!(numbers[..3], [0, 1, 2]);
    assert_eq!(descriptors[&0], PathBuf::from("/dev/null"));
    for output in [1, 2] {
        assert!(descriptors[&output].to_string_lossy().starts_with("pipe:"), "{descriptors:?}");
    }
    let others: Vec<&PathBuf> = descriptors.iter().filter(|(number, _)| **number > 2).map(|(_, path)| path).collect();
    assert_eq!(others, [&state.join("server.lock")]);
    assert_eq!(processes::ignored_signals(server), 0, "nohup's SIGHUP is not passed on");
    // And the nohup works: a hangup stops nothing.
    tree.signal(Signal::SIGHUP);
    tree.told(&["Configuration read again: no change"]).await;
    tree.stop().await;
}
