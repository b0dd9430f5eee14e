//! mlx-tree as a service: units and property lists, installing them, and what systemd is told; completions and man pages.

mod support;

use std::collections::VecDeque;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use mlx_tree::Tree;
use mlx_tree::ractor::{Actor, ActorProcessingErr, ActorRef};
use mlx_tree::service::{Notifier, feed};
use mlx_tree::settings::{Environment, Flag, Sources, load};
use mlx_tree::supervision::{Backoff, ChildSpec};
use mlx_tree_control::Verb;
use nix::sys::signal::Signal;
use support::{PATIENCE, PROGRAM, Setup, say, send};

fn beside(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/service").join(name).canonicalize().expect("it is there")
}

/// Whether this program is here. Not everybody who builds mlx-tree has it; the machine that decides has.
fn is_here(name: &str) -> bool {
    let quiet =
        |command: &mut Command| command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    if let Err(error) = quiet(Command::new(name).arg("--version")) {
        assert!(std::env::var_os("MLX_TREE_CI").is_none(), "{name} cannot be run: {error}");
        say(&format!("skipped: no {name}"));
        return false;
    }
    true
}

/// A home with a service manager that only writes down what it is asked for.
struct Played {
    home: tempfile::TempDir,
    program: PathBuf,
}

impl Played {
    fn new() -> Self {
        let home = tempfile::tempdir().expect("a directory");
        let bin = home.path().join("bin");
        fs::create_dir(&bin).expect("a directory");
        for name in ["systemctl", "launchctl", "loginctl"] {
            symlink(beside("systemctl.sh"), bin.join(name)).expect("a link");
        }
        Self { home, program: PROGRAM.into() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// `mlx-tree service <words>`: its exit code, and what it says, without what differs from run to run.
    fn service(&self, words: &[&str]) -> (Option<i32>, String) {
        let output = self.command(words).output().expect("it runs");
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8(said).expect("utf-8").replace(&self.home.path().display().to_string(), "~");
        (output.status.code(), said)
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command
            .arg("service")
            .args(words)
            .env_clear()
            .env("HOME", self.home.path())
            .env("USER", "ada")
            .env("PATH", format!("{}:/usr/bin:/bin", self.path("bin").display()))
            .stdin(Stdio::null());
        command
    }

    /// What the service manager was asked for since the last time, but for questions.
    fn calls(&self) -> Vec<String> {
        let calls = fs::read_to_string(self.path("bin/calls")).unwrap_or_default();
        let _ = fs::remove_file(self.path("bin/calls"));
        let orders = calls.lines().filter(|line| !["show", "print", "loginctl"].iter().any(|word| line.contains(word)));
        orders.map(|line| line.replace(&self.home.path().display().to_string(), "~")).collect()
    }

    fn refuse(&self, word: &str) {
        fs::write(self.path("bin/refuse"), word).expect("written");
    }

    fn relent(&self) {
        fs::remove_file(self.path("bin/refuse")).expect("removed");
    }
}

#[test]
fn a_unit_is_installed_once_updated_when_it_must_be_and_taken_away() {
    let it = Played::new();
    let unit = it.path(".config/systemd/user/mlx-tree.service");
    let (code, said) = it.service(&["install", "--port", "9090"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("new\n") && said.contains("up (pid 4711): Serving"), "{said}");
    assert!(said.contains("loginctl enable-linger"), "{said}");
    let orders = |last: &str| {
        ["daemon-reload", "enable --quiet mlx-tree.service", "reset-failed mlx-tree.service", last]
            .map(|order| format!("systemctl --user {order}"))
    };
    assert_eq!(it.calls(), orders("start --no-block mlx-tree.service"));
    let text = fs::read_to_string(&unit).expect("written");
    assert!(text.contains(" run --port 9090\n"), "{text}");

    let (code, said) = it.service(&["install", "--port", "9090"]);
    assert!(code == Some(0) && said.contains("as it was"), "{said}");
    assert_eq!(it.calls(), orders("start --no-block mlx-tree.service"), "what runs is not disturbed");

    // An upgrade to another place.
    let mut moved = Played::new();
    moved.program = it.path("mlx-tree 2");
    fs::copy(PROGRAM, &moved.program).expect("copied");
    let it = Played { program: moved.program, ..it };
    let (_, said) = it.service(&["status"]);
    assert!(said.contains("runs an mlx-tree at another place"), "{said}");
    let (code, said) = it.service(&["install", "--port", "9090"]);
    assert!(code == Some(0) && said.contains("brought up to date; the service is restarted with it"), "{said}");
    assert_eq!(it.calls(), orders("restart --no-block mlx-tree.service"));
    let (code, said) = it.service(&["status"]);
    assert!(code == Some(0) && said.contains("runs this mlx-tree") && said.contains("when its user logs in"), "{said}");

    let (code, said) = it.service(&["uninstall"]);
    assert!(code == Some(0) && said.contains("the service has ended"), "{said}");
    assert!(!unit.exists());
    let gone =
        ["disable --now --quiet", "daemon-reload", "reset-failed"].map(|word| format!("systemctl --user {word}"));
    assert!(it.calls().iter().zip(&gone).all(|(call, order)| call.starts_with(order.as_str())));
    let (code, said) = it.service(&["uninstall"]);
    assert!(code == Some(0) && said.contains("nothing to do"), "{said}");
    assert_eq!(it.calls(), [""; 0]);
    let (code, said) = it.service(&["status"]);
    assert!(code == Some(1) && said.contains("not installed"), "{said}");
}

#[test]
fn what_somebody_else_has_written_stays_unless_that_is_said() {
    let it = Played::new();
    let unit = it.path(".config/systemd/user/mlx-tree.service");
    fs::create_dir_all(unit.parent().expect("a directory")).expect("a directory");
    fs::write(&unit, "[Service]\nExecStart=/bin/true\n").expect("written");
    for words in [["install"], ["uninstall"]] {
        let (code, said) = it.service(&words);
        assert!(code == Some(1) && said.contains("was not written by mlx-tree"), "{said}");
        assert!(said.contains("--replace"), "{said}");
    }
    assert_eq!(it.calls(), [""; 0]);
    // A refusal of the service manager leaves everything as it was, the file of somebody else too.
    it.refuse("enable");
    let (code, said) = it.service(&["install", "--replace"]);
    assert!(code == Some(1) && said.contains("Failed to do that: no"), "{said}");
    assert_eq!(fs::read_to_string(&unit).expect("there"), "[Service]\nExecStart=/bin/true\n");
    it.relent();
    let (code, said) = it.service(&["install", "--replace"]);
    assert!(code == Some(0) && said.contains("what was there is now ~/"), "{said}");
    let aside = unit.with_file_name("mlx-tree.service.replaced");
    assert_eq!(fs::read_to_string(aside).expect("there"), "[Service]\nExecStart=/bin/true\n");
    // A masked unit is a link to nowhere, and somebody's decision.
    fs::remove_file(&unit).expect("removed");
    symlink("/dev/null", &unit).expect("a link");
    let (code, said) = it.service(&["install"]);
    assert!(code == Some(1) && said.contains("was not written by mlx-tree"), "{said}");
}

#[test]
fn a_service_manager_that_refuses_or_is_not_there_is_named_and_nothing_is_left() {
    let it = Played::new();
    let unit = it.path(".config/systemd/user/mlx-tree.service");
    for word in ["daemon-reload", "enable", "start --no-block"] {
        it.refuse(word);
        let (code, said) = it.service(&["install"]);
        assert!(code == Some(1) && said.contains("Failed to do that: no"), "{word}: {said}");
        assert!(!unit.exists(), "{word}");
    }
    it.relent();
    fs::remove_file(it.path("bin/systemctl")).expect("removed");
    let output = it.command(&["install"]).env("PATH", it.path("bin")).output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("`systemctl` cannot be run") && said.contains("mlx-tree service print"), "{said}");
    assert!(!unit.exists());
}

#[test]
fn an_agent_of_launchd_is_installed_replaced_and_taken_away() {
    let it = Played::new();
    let list = it.path("Library/LaunchAgents/local.mlx-tree.plist");
    let uid = nix::unistd::getuid();
    let launchd = |words: &[&'static str]| it.service(&[words, &["--manager", "launchd"]].concat());
    let (code, said) = launchd(&["install"]);
    assert!(code == Some(0) && said.contains("up (pid 4711)"), "{said}");
    let bootstrap = format!("launchctl bootstrap gui/{uid} ~/Library/LaunchAgents/local.mlx-tree.plist");
    let enable = format!("launchctl enable gui/{uid}/local.mlx-tree");
    assert_eq!(it.calls(), [enable.clone(), bootstrap.clone()]);
    let (code, _) = launchd(&["install"]);
    assert_eq!((code, it.calls()), (Some(0), vec![format!("launchctl kickstart gui/{uid}/local.mlx-tree")]));
    let (code, said) = launchd(&["install", "--model", "a/b"]);
    assert!(code == Some(0) && said.contains("brought up to date"), "{said}");
    let bootout = format!("launchctl bootout gui/{uid}/local.mlx-tree");
    assert_eq!(it.calls(), [bootout.clone(), enable, bootstrap]);
    let (code, said) = launchd(&["status"]);
    assert!(code == Some(0) && said.contains("launchd, of the user"), "{said}");
    let (code, _) = launchd(&["uninstall"]);
    assert_eq!((code, it.calls(), list.exists()), (Some(0), vec![bootout], false));
    let (code, said) = launchd(&["install", "--system"]);
    assert!(code == Some(64) && said.contains("docs/SERVICE.md"), "{said}");
}

#[test]
fn no_secret_is_written_down_and_what_is_left_behind_is_told() {
    let it = Played::new();
    let output = it
        .command(&["install"])
        .env("HF_TOKEN", "canary-1")
        .env("HF_HOME", "/models")
        .env("MLX_TREE__GATEWAY__TOKENS", r#"["canary-2-canary-2-canary-2"]"#)
        .output()
        .expect("it runs");
    let said = String::from_utf8(output.stdout).expect("utf-8");
    assert!(said.contains("will not have HF_TOKEN, MLX_TREE__GATEWAY__TOKENS"), "{said}");
    let unit = fs::read_to_string(it.path(".config/systemd/user/mlx-tree.service")).expect("written");
    assert!(unit.contains("Environment=HF_HOME=/models\n") && !unit.contains("canary"), "{unit}");
    let (code, said) = it.service(&["install", "--set", r#"gateway.tokens=["canary-3-canary-3-canary-3"]"#]);
    assert!(code == Some(78) && said.contains("everybody can read the arguments of a process"), "{said}");
    assert!(!said.contains("canary"), "{said}");
}

#[test]
fn a_person_who_reads_russian_is_told_in_russian() {
    let it = Played::new();
    let output = it.command(&["status"]).env("LANG", "ru_RU.UTF-8").output().expect("it runs");
    let said = String::from_utf8(output.stdout).expect("utf-8");
    assert!(said.contains("systemd, пользователя") && said.contains("не установлена"), "{said}");
}

/// A home whose path has everything that a unit would read otherwise.
fn weird() -> (tempfile::TempDir, PathBuf) {
    let home = tempfile::tempdir().expect("a directory");
    let place = home.path().join(r#"we ird %h "q" $HOME <&> \n ы;"#);
    fs::create_dir(&place).expect("a directory");
    let config = place.join("mine.toml");
    fs::write(&config, "").expect("written");
    (home, config)
}

fn printed(home: &Path, words: &[&str]) -> Output {
    let mut command = Command::new(PROGRAM);
    command.args(words).env_clear().env("HOME", home).env("PATH", "/usr/bin:/bin").stdin(Stdio::null());
    command.output().expect("it runs")
}

#[test]
fn units_are_what_systemd_takes_for_units() {
    if !is_here("systemd-analyze") {
        return;
    }
    let (home, config) = weird();
    let config = config.to_str().expect("utf-8");
    let runtime = home.path().join("run");
    fs::create_dir(&runtime).expect("a directory");
    for scope in ["--user", "--system"] {
        let output = printed(home.path(), &["service", "print", scope, "--config", config, "--state-dir", "/tmp/a b%"]);
        assert!(output.status.success(), "{output:?}");
        let unit = home.path().join("mlx-tree.service");
        fs::write(&unit, &output.stdout).expect("written");
        let mut verify = Command::new("systemd-analyze");
        // The other units of this machine may have errors of their own, which are not looked for.
        verify.args([scope, "verify", "--recursive-errors=no"]).arg(&unit).env("XDG_RUNTIME_DIR", &runtime);
        let output = verify.output().expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() && !said.contains("mlx-tree.service:"), "{scope}: {said}");
    }
    // What is not understood would be named.
    let unit = home.path().join("broken.service");
    fs::write(&unit, "[Service]\nExecStart=/bin/true\nWatchdog=soon\n").expect("written");
    let mut verify = Command::new("systemd-analyze");
    verify.args(["--user", "verify", "--recursive-errors=no"]).arg(&unit).env("XDG_RUNTIME_DIR", &runtime);
    let output = verify.output().expect("it runs");
    assert!(String::from_utf8_lossy(&output.stderr).contains("Watchdog"), "{output:?}");
}

#[test]
fn a_property_list_is_read_back_as_it_was_meant() {
    let (home, config) = weird();
    let config = config.to_str().expect("utf-8");
    let words = ["service", "print", "--manager", "launchd", "--config", config, "--set", "log.language=ru"];
    let output = printed(home.path(), &words);
    assert!(output.status.success(), "{output:?}");
    let list = home.path().join("it.plist");
    fs::write(&list, &output.stdout).expect("written");
    let script = "import json, plistlib, sys; print(json.dumps(plistlib.load(open(sys.argv[1], 'rb'))))";
    let output = Command::new("python3").args(["-c", script]).arg(&list).output().expect("python3");
    let read: serde_json::Value = serde_json::from_slice(&output.stdout).expect("a list");
    let words = serde_json::json!([PROGRAM, "run", "--config", config, "--set", "log.language=ru"]);
    assert_eq!(read["ProgramArguments"], words);
    assert_eq!(read["KeepAlive"], serde_json::json!({"SuccessfulExit": false}));
    assert_eq!((&read["RunAtLoad"], &read["ProcessType"]), (&true.into(), &"Interactive".into()));
    assert!(read["ExitTimeOut"].as_u64() >= Some(40), "{read}");
    let log = home.path().join("Library/Logs/mlx-tree.log").display().to_string();
    assert_eq!((&read["StandardErrorPath"], &read["Label"]), (&log.into(), &"local.mlx-tree".into()));
}

#[test]
fn what_no_unit_can_hold_is_refused() {
    let home = tempfile::tempdir().expect("a directory");
    let output = printed(home.path(), &["service", "print", "--state-dir", "/tmp/a\nUser=root"]);
    assert_eq!(output.status.code(), Some(78), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("control character"), "{output:?}");
    let output = printed(home.path(), &["service", "print", "--name", "../up"]);
    assert_eq!(output.status.code(), Some(64), "{output:?}");
}

/// What an mlx-tree tells its service manager.
struct Manager {
    socket: tokio::net::UnixDatagram,
    heard: VecDeque<String>,
}

impl Manager {
    fn at(path: &Path) -> Self {
        Self { socket: tokio::net::UnixDatagram::bind(path).expect("bound"), heard: VecDeque::new() }
    }

    async fn next(&mut self) -> String {
        if let Some(line) = self.heard.pop_front() {
            return line;
        }
        let mut buffer = [0; 4096];
        let received = tokio::time::timeout(PATIENCE, self.socket.recv(&mut buffer)).await;
        let length = received.expect("nothing is told any more").expect("a datagram");
        self.heard = String::from_utf8_lossy(&buffer[..length]).lines().map(str::to_owned).collect();
        self.heard.pop_front().expect("a line")
    }

    /// All that is told until a line begins like this, that line included.
    async fn until(&mut self, start: &str) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            lines.push(self.next().await);
            if lines.last().is_some_and(|line| line.starts_with(start)) {
                return lines;
            }
        }
    }
}

#[tokio::test]
async fn systemd_is_told_the_whole_story() {
    let setup = Setup::demo(&[]);
    let mut manager = Manager::at(&setup.home().join("notify"));
    let mut tree = setup
        .with(|command, home| {
            command.env("NOTIFY_SOCKET", home.join("notify")).env("WATCHDOG_USEC", "1000000");
        })
        .start();
    let mut before = manager.until("READY=1").await;
    before.pop();
    assert!(
        before.iter().all(|line| line.starts_with("STATUS=") || line.starts_with("EXTEND_TIMEOUT_USEC=")),
        "{before:?}"
    );
    manager.until("STATUS=Serving · pid").await;
    manager.until("WATCHDOG=1").await;
    let server = tree.server().await;
    let environment = fs::read(format!("/proc/{server}/environ")).expect("it lives");
    let environment = String::from_utf8_lossy(&environment).into_owned();
    assert!(environment.contains("HOME=") && !environment.contains("NOTIFY_SOCKET"), "{environment}");
    assert!(!environment.contains("WATCHDOG"), "{environment}");
    send(server, Signal::SIGKILL);
    manager.until("STATUS=Down, and started again after a pause").await;
    manager.until("STATUS=Serving · pid").await;
    manager.until("WATCHDOG=1").await;
    // How long the end may take is what holds by then.
    let config = tree.home().join(".config/mlx-tree/config.toml");
    fs::create_dir_all(config.parent().expect("a directory")).expect("made");
    fs::write(&config, "[shutdown]\ndrain = \"50s\"\n").expect("written");
    fs::set_permissions(&config, fs::Permissions::from_mode(0o600)).expect("ours");
    tree.perform(Verb::Reload).await.expect("it is reloaded");
    tree.signal(Signal::SIGTERM);
    manager.until("STOPPING=1").await;
    let asked = manager.until("EXTEND_TIMEOUT_USEC=").await;
    assert_eq!(asked.last().map(String::as_str), Some("EXTEND_TIMEOUT_USEC=63000000"), "with a grace of 3 s");
    assert_eq!(manager.next().await, "STATUS=Stopping");
    assert!(tree.ended().await.success());
}

#[tokio::test]
async fn a_watchdog_of_another_process_and_a_deaf_manager_disturb_nobody() {
    let setup = Setup::demo(&[]);
    let tree = setup
        .with(|command, home| {
            command.env("NOTIFY_SOCKET", home.join("nobody")).env("WATCHDOG_USEC", "1000").env("WATCHDOG_PID", "1");
        })
        .start();
    tree.ready(1).await;
    assert!(tree.log().contains("does not hear that this is ready"), "{}", tree.log());
    tree.stop().await;
}

/// A door that can be shut: whoever goes through waits, with his whole thread, until it is open again.
#[derive(Default)]
struct Shut {
    state: Mutex<bool>,
    changed: Condvar,
}

impl Shut {
    fn set(&self, shut: bool) {
        *self.state.lock().expect("not poisoned") = shut;
        self.changed.notify_all();
    }

    fn pass(&self) {
        let state = self.state.lock().expect("not poisoned");
        drop(self.changed.wait_while(state, |shut| *shut).expect("not poisoned"));
    }
}

/// Opens it again, also when the test has failed: nobody could join the thread that waits.
struct OpenAtLast(Arc<Shut>);

impl Drop for OpenAtLast {
    fn drop(&mut self) {
        self.0.set(false);
    }
}

/// A child that ends as soon as it is told to, so that the supervisor has to start another one.
struct Brief;

impl Actor for Brief {
    type Msg = ();
    type State = ();
    type Arguments = Arc<Mutex<Option<ActorRef<()>>>>;

    async fn pre_start(&self, myself: ActorRef<()>, slot: Self::Arguments) -> Result<(), ActorProcessingErr> {
        *slot.lock().expect("not poisoned") = Some(myself);
        Ok(())
    }

    async fn handle(&self, _: ActorRef<()>, (): (), (): &mut ()) -> Result<(), ActorProcessingErr> {
        Err("as it was told".into())
    }
}

/// The supervisor itself hangs, in the code of a child; timers and everything else go on.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_tree_that_hangs_is_not_fed_though_all_timers_run() {
    let home = tempfile::tempdir().expect("a directory");
    let command = [PROGRAM, "stand-in", "--host", "{host}", "--port", "{port}"];
    let sources = Sources::new(Environment::capture())
        .flag(Flag::text("test", "state_dir", home.path().join("state").display().to_string()))
        .flag(Flag::text("test", "server.port", "0"))
        .flag(Flag::text("test", "gateway.listen", "127.0.0.1:0"))
        .flag(Flag::list("test", "server.command", command));
    let (shut, slot) = (Arc::new(Shut::default()), Arc::new(Mutex::new(None)));
    let _open = OpenAtLast(Arc::clone(&shut));
    let child = ChildSpec::actor("brief", {
        let (shut, slot) = (Arc::clone(&shut), Arc::clone(&slot));
        move |_context| {
            // Nothing that this thread would have done next has to wait for it.
            tokio::task::block_in_place(|| shut.pass());
            (Brief, Arc::clone(&slot))
        }
    });
    let child = child.backoff(Backoff::default());
    let tree = Tree::new(load(&sources).expect("settings").settings).child(child).start().await.expect("it starts");
    let path = home.path().join("notify");
    let mut manager = Manager::at(&path);
    let notifier = Arc::new(Notifier::open(path.as_os_str()).expect("open"));
    let asked = Arc::new(AtomicU32::new(0));
    let feeding = tokio::spawn({
        let (tree, notifier) = (tree.clone(), Arc::clone(&notifier));
        let asked = Arc::clone(&asked);
        async move {
            let alive = || {
                asked.fetch_add(1, Ordering::Relaxed);
                let tree = tree.clone();
                async move { tree.supervisor().snapshot().await.is_ok() }
            };
            feed(&notifier, Duration::from_millis(400), alive, |missed| format!("silent {missed}")).await
        }
    });
    manager.until("WATCHDOG=1").await;
    shut.set(true);
    let brief: ActorRef<()> = slot.lock().expect("not poisoned").clone().expect("it has been started");
    brief.send_message(()).expect("it lives");
    manager.until("STATUS=silent 1").await;
    let meanwhile = manager.until("STATUS=silent 4").await;
    assert_eq!(meanwhile, ["STATUS=silent 2", "STATUS=silent 3", "STATUS=silent 4"]);
    shut.set(false);
    manager.until("WATCHDOG=1").await;
    feeding.abort();
    tree.stop().await;
    tree.closed().await;
}

#[test]
fn under_a_real_systemd_it_is_installed_fed_hung_killed_and_taken_away() {
    let home = tempfile::tempdir().expect("a directory");
    let place = home.path().join("we ird %h $HOME");
    fs::create_dir(&place).expect("a directory");
    let program = place.join("mlx-tree");
    fs::hard_link(PROGRAM, &program).or_else(|_| fs::copy(PROGRAM, &program).map(drop)).expect("copied");
    let config = place.join("mine.toml");
    let command = format!("[{PROGRAM:?}, \"stand-in\", \"--host\", \"{{host}}\", \"--port\", \"{{port}}\"]");
    let text = format!(
        "[server]\ncommand = {command}\nport = 0\n[gateway]\nlisten = \"127.0.0.1:0\"\n[control]\nlisten = \"127.0.0.1:0\"\n\
         [restart]\nbackoff_initial = \"300ms\"\n[shutdown]\ngrace = \"3s\"\n"
    );
    fs::write(&config, text).expect("written");
    let mut run = Command::new("bash");
    run.arg(beside("real_systemd.sh")).arg("bash").arg(beside("life.sh")).args([&program, &config]);
    run.env_clear().env("HOME", home.path()).env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("LANG", "C.UTF-8");
    let output = run.stdin(Stdio::null()).output().expect("bash");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.code() == Some(77) {
        say(said.lines().last().unwrap_or("skipped"));
        return;
    }
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    insta::assert_snapshot!(said, @"
    installed: notify active, enabled, main process there
    server in a control group of its own: 1
    server killed: restarts of systemd 0, same mlx-tree yes
    hung: restarts of systemd 1
    servers: 1
    killed: restarts of systemd 2
    servers: 1
    shut down: inactive, success, restarts of systemd 2
    bad configuration: exit-code, exit code 78
    service status: exit code 1
    uninstalled: not-found, servers: 0
    ");
}

#[test]
fn the_python_beside_it_works() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let home = tempfile::tempdir().expect("a directory");
    let mut python = Command::new("python3");
    python
        // A warning about what was not closed is a failure.
        .args(["-B", "-W", "error", "-m", "unittest", "discover", "-s"])
        .arg(root.join("tests/python"))
        .env("PYTHONPATH", root.join("docs/examples/python"))
        .env("MLX_TREE", PROGRAM)
        .env("HOME", home.path())
        .env("LC_ALL", "C.UTF-8");
    for name in ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
        python.env(name, "http://127.0.0.1:1");
    }
    for name in ["CONTROL__LISTEN", "GATEWAY__LISTEN"] {
        python.env(format!("MLX_TREE__{name}"), "127.0.0.1:0");
    }
    let output = python.env("MLX_TREE__SERVER__PORT", "0").stdin(Stdio::null()).output().expect("python3");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    assert!(said.contains("Ran 8 tests"), "{said}");
}

#[test]
fn completions_are_scripts_that_their_shells_can_read() {
    let home = tempfile::tempdir().expect("a directory");
    let commands = printed(home.path(), &["--help"]);
    let commands = String::from_utf8(commands.stdout).expect("utf-8");
    let commands = commands.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let commands: Vec<_> =
        commands.filter_map(|line| line.split_whitespace().next()).filter(|it| *it != "help").collect();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let output = printed(home.path(), &["completions", shell]);
        assert!(output.status.success(), "{output:?}");
        let script = String::from_utf8(output.stdout).expect("utf-8");
        for command in &commands {
            assert!(script.contains(command), "{shell}: {command}");
        }
        for hidden in ["mlx__tree__guard", "stand__in", "Be the stand-in", "should mlx-tree be killed"] {
            assert!(!script.contains(hidden), "{shell}: {hidden}");
        }
        let file = home.path().join(shell);
        fs::write(&file, &script).expect("written");
        let check: (&str, &[&str]) = match shell {
            "bash" | "zsh" => (shell, &["-n"]),
            "fish" => (shell, &["--no-execute"]),
            _ => continue,
        };
        // bash is everywhere, the others are not.
        let checked = Command::new(check.0).args(check.1).arg(&file).output();
        match checked {
            Ok(output) => assert!(output.status.success() && output.stderr.is_empty(), "{shell}: {output:?}"),
            Err(_) => say(&format!("not checked: no {shell}")),
        }
    }
    // bash itself completes: a command, and a key of the configuration.
    let completed = |words: &str| {
        let script = format!(
            "source {}; COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); \
             $(complete -p mlx-tree | sed 's/.*-F \\([^ ]*\\).*/\\1/') mlx-tree \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD-1]}}\"; echo \"${{COMPREPLY[@]}}\"",
            home.path().join("bash").display()
        );
        let output = Command::new("bash").args(["-c", &script]).output().expect("bash");
        String::from_utf8(output.stdout).expect("utf-8").trim().to_owned()
    };
    assert_eq!(completed("mlx-tree serv"), "service");
    assert_eq!(completed("mlx-tree service inst"), "install");
    assert_eq!(completed("mlx-tree --set server.mod"), "server.model=");
}

#[test]
fn man_pages_can_be_read() {
    let home = tempfile::tempdir().expect("a directory");
    let page = printed(home.path(), &["man"]);
    assert!(page.status.success() && String::from_utf8_lossy(&page.stdout).contains(".TH"), "{page:?}");
    let place = home.path().join("man1");
    assert!(printed(home.path(), &["man", "--dir", place.to_str().expect("utf-8")]).status.success());
    let pages = fs::read_dir(&place).expect("pages").flatten().map(|entry| entry.path());
    let pages: Vec<_> = pages.collect();
    let named = |name: &str| pages.contains(&place.join(name));
    assert!(named("mlx-tree.1") && named("mlx-tree-status.1") && named("mlx-tree-service-install.1"), "{pages:?}");
    assert!(!named("mlx-tree-guard.1") && !named("mlx-tree-stand-in.1"), "{pages:?}");
    if !is_here("groff") {
        return;
    }
    let render = |page: &PathBuf| -> (ExitStatus, String, String) {
        let output =
            Command::new("groff").args(["-man", "-Tutf8", "-ww", "-P-cbou"]).arg(page).output().expect("groff");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status, text(&output.stdout), text(&output.stderr))
    };
    for name in ["mlx-tree.1", "mlx-tree-service-install.1"] {
        let (status, text, complaints) = render(&place.join(name));
        assert!(status.success() && text.contains("NAME"), "{name}: {complaints}");
        assert!(!complaints.contains("error"), "{name}: {complaints}");
    }
}
