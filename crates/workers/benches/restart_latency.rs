//! How long a dead server stays dead: from `kill -9` until its successor executes, with a backoff of zero.
//!
//! Beside it, in the same run and in turns, the floor: a bare `waitpid` and `spawn` of the same program, as a loop in a shell
//! would do it. The successor sends the time at which it began to execute, read from the same monotonic clock.
//!
//! ```text
//! cargo bench -p mlx-tree-workers --bench restart_latency
//! ```

use std::ffi::OsString;
use std::net::{Ipv4Addr, UdpSocket};
use std::num::NonZeroU32;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use mlx_tree_policy::memory::MemoryLimits;
use mlx_tree_policy::{Backoff, BreakerConfig, Intensity, RestartPolicyConfig};
use mlx_tree_process::clock::since_boot;
use mlx_tree_process::signal::{self, Signal, Target};
use mlx_tree_process::{Grace, Identity};
use mlx_tree_settings::{Environment, Flag, ServerKind, Sources};
use mlx_tree_supervision::Restart;
use mlx_tree_workers::availability::StartTimes;
use mlx_tree_workers::bus::Bus;
use mlx_tree_workers::clock::Clock;
use mlx_tree_workers::health::{HealthNumbers, Served, Spans};
use mlx_tree_workers::server::profile::{CommandParts, Profile};
use mlx_tree_workers::server::{Blueprint, GuardKeeper, LogBook, PortChoice, Recipe, Recipes, probe};
use mlx_tree_workers::tree::{MemoryPlan, Plan, ServerPlan, Shown, Start, Stay, Tree, no_server};
use tokio::sync::Semaphore;

const ROUNDS: usize = 200;
const PATIENCE: Duration = Duration::from_secs(10);

fn main() {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    if let Some(at) = arguments.iter().position(|word| word == "--be-the-server") {
        be_the_server(&arguments[at + 1]);
    }
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket");
    socket.set_read_timeout(Some(PATIENCE)).expect("a time-out");
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let tree = runtime.block_on(async { Tree::start(plan(&command(&socket))).await }).expect("the tree starts");
    let mut supervised = born(&socket);
    let mut bare = spawn(&socket);
    born(&socket);

    let (mut ours, mut floor) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        floor.push(bare_round(&socket, &mut bare));
        ours.push(supervised_round(&socket, &mut supervised));
    }
    let _ = bare.kill();
    let _ = bare.wait();
    runtime.block_on(async {
        tree.stop().await;
        tree.closed().await;
    });
    report(&mut ours, &mut floor);
}

/// One birth: who, and when.
#[derive(Clone, Copy)]
struct Birth {
    pid: i32,
    at: Duration,
}

/// The supervised program: tells when it began to execute, and waits for its end.
fn be_the_server(address: &OsString) -> ! {
    let now = since_boot();
    let text = format!("{} {}", std::process::id(), now.as_nanos());
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket");
    socket.send_to(text.as_bytes(), address.to_str().expect("an address")).expect("told");
    loop {
        std::thread::park();
    }
}

fn born(socket: &UdpSocket) -> Birth {
    let mut buffer = [0_u8; 64];
    let length = loop {
        match socket.recv(&mut buffer) {
            // A child of this very thread has ended: SIGCHLD ends the call, whatever its handler says.
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            received => break received.expect("a process is born in time"),
        }
    };
    let text = std::str::from_utf8(&buffer[..length]).expect("text");
    let (pid, nanos) = text.split_once(' ').expect("two words");
    Birth { pid: pid.parse().expect("a pid"), at: Duration::from_nanos(nanos.parse().expect("a time")) }
}

fn kill(pid: i32) -> Duration {
    let identity = Identity::of(pid).expect("it lives");
    let now = since_boot();
    signal::send(Target::Process(&identity), Signal::Kill).expect("killed");
    now
}

fn supervised_round(socket: &UdpSocket, server: &mut Birth) -> Duration {
    let killed = kill(server.pid);
    *server = born(socket);
    server.at - killed
}

fn bare_round(socket: &UdpSocket, child: &mut Child) -> Duration {
    let killed = kill(i32::try_from(child.id()).expect("a pid"));
    assert_eq!(child.wait().expect("our own child").signal(), Some(9));
    *child = spawn(socket);
    born(socket).at - killed
}

fn command(socket: &UdpSocket) -> Vec<String> {
    let program = std::env::current_exe().expect("a path").into_os_string().into_string().expect("utf-8");
    let address = socket.local_addr().expect("an address").to_string();
    vec![program, "--be-the-server".to_owned(), address]
}

fn spawn(socket: &UdpSocket) -> Child {
    let command = command(socket);
    let mut program = Command::new(&command[0]);
    program.args(&command[1..]).env_clear().stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    program.spawn().expect("it starts")
}

fn plan(command: &[String]) -> Plan {
    // Settings insist on {port} in a command, so that a server can be reached; this one is only to be born.
    let words = command.iter().map(String::as_str).chain(["{port}"]);
    let sources = Sources::new(Environment::from_variables([("HOME", std::env::temp_dir())]))
        .flag(Flag::list("bench", "server.command", words))
        .flag(Flag::text("bench", "server.kind", "http"));
    let settings = mlx_tree_settings::load(&sources).expect("they hold").settings;
    let hour = Duration::from_secs(3600);
    let host = settings.server.host;
    let server = ServerPlan {
        blueprint: Blueprint {
            name: "server".into(),
            label: "server".into(),
            recipes: Recipes::of(Recipe {
                profile: Profile::of(ServerKind::Http, "", None),
                parts: CommandParts {
                    python: "".into(),
                    model: String::new(),
                    args: Vec::new(),
                    command: settings.server.command,
                    host,
                    port: 0,
                    job: None,
                },
                cwd: None,
                env: Vec::new(),
                host,
                port: PortChoice::Free,
                warm_up: Vec::new(),
                start_timeout: hour,
                grace: Grace::new(Duration::from_secs(1)),
                hung_grace: Grace::new(Duration::from_secs(1)),
                drain: Duration::ZERO,
                probe_timeout: hour,
                restart: Restart::Permanent,
            }),
            instance: None,
            guard: GuardKeeper::none(),
            client: probe::client(),
            bus: Bus::new(),
            logs: LogBook::new(),
            clock: Clock::since_boot(),
            starts: StartTimes::default(),
            view: no_server(),
            permit: Arc::new(Semaphore::new(1)),
        },
        health: HealthNumbers {
            interval: hour,
            timeout: hour,
            failure_threshold: NonZeroU32::MIN,
            canary_timeout: hour,
            spans: Spans { canary_idle: None, stall_after: hour },
        },
        restart: RestartPolicyConfig {
            intensity: Intensity::new(u32::MAX, hour),
            backoff: Backoff::NONE,
            breaker: BreakerConfig {
                failure_threshold: u32::MAX,
                open_for: hour,
                open_growth: 1.0,
                open_max: hour,
                probation: hour,
                half_open_deadline: 2 * hour,
            },
            stable_after: hour,
        },
        history: None,
        served: Served::default(),
        shown: Shown { kind: "bench".to_owned(), model: String::new(), note: None },
        start: Start::Always,
        stay: Stay { idle_stop: None, memory: 0, limits: MemoryLimits::default() },
    };
    Plan {
        server,
        further: Vec::new(),
        memory: MemoryPlan::unlimited(),
        children: Vec::new(),
        logs: LogBook::new(),
        abandoned: Vec::new(),
    }
}

fn report(ours: &mut [Duration], floor: &mut [Duration]) {
    ours.sort_unstable();
    floor.sort_unstable();
    let at = |spans: &[Duration], share: usize| spans[(spans.len() - 1) * share / 100].as_secs_f64() * 1000.0;
    let line = |name: &str, spans: &[Duration]| {
        format!("{name:<28} {:>8.2} {:>8.2} {:>8.2}", at(spans, 50), at(spans, 90), at(spans, 99))
    };
    let ratio = at(ours, 50) / at(floor, 50);
    #[expect(clippy::print_stdout, reason = "a bench speaks to the terminal")]
    {
        println!(
            "kill -9 → successor executes, ms, {ROUNDS} rounds in turns\n{:<28} {:>8} {:>8} {:>8}",
            "", "p50", "p90", "p99"
        );
        println!("{}", line("floor: waitpid + spawn", floor));
        println!("{}", line("mlx-tree, backoff 0", ours));
        println!("ratio of the medians         {ratio:>8.2}");
    }
}
