//! The main job: the tree in the foreground, from the first line to the exit code.

mod plane;
mod reload;
mod signals;

use std::net::SocketAddr;
use std::sync::Arc;

use mlx_tree::control::{self, Access, ServeError, Token};
use mlx_tree::process::limits::raise_open_files;
use mlx_tree::process::state::InstanceError;
use mlx_tree::provision::Progress as _;
use mlx_tree::provision::python::{Origin, Python};
use mlx_tree::settings::LogFormat;
use mlx_tree::supervision::SupervisorExit;
use mlx_tree::tree::TreeError;
use mlx_tree::workers::bus::Bus;
use mlx_tree::{Builder, DEMO_KIND, DEMO_MODEL, DEMO_NOTE, Door, Prepared, StartError, Tree};
use tokio::sync::Notify;

use self::plane::Plane;
pub(super) use self::plane::refusal;
pub(super) use self::reload::REJECTED;
use self::reload::Reloader;
use self::signals::{End, Signals};
use super::banner::{Banner, row};
use super::fleet::Rollout;
use super::liaison::Liaison;
use super::logging::{self, Format, LogDial};
use super::progress::Shown;
use super::report::{Code, Report};
use super::settings::{Loaded, spoken};
use super::{notices, own_program, print};

/// So many files may be open at once, if the system lets us: two for each connection, and some for the rest.
const OPEN_FILES: u64 = 8192;

/// What is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    /// The configured server.
    Server,
    /// The built-in stand-in, which the settings name as the command.
    Demo,
}

/// Runs the tree until it is told to end.
pub(crate) async fn run(loaded: Loaded, what: What) -> Result<Code, Report> {
    let (format, log) = set_up_log(&loaded)?;
    if let Err(error) = raise_open_files(OPEN_FILES) {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
    let mut signals = Signals::listen()?;
    let liaison = Liaison::of(&loaded.environment, loaded.language());
    let bus = Bus::new();
    let builder = builder(&loaded, what)?.bus(bus.clone());
    let notifier = notices::start(&loaded, &bus);
    let state_dir = &loaded.settings.state_dir;
    let instance = builder.lock().map_err(refused)?;
    let door = builder.open_door().map_err(refused)?;
    let clients = door.as_ref().map(Door::address);
    let bound = control::bind(loaded.settings.control.listen).await.map_err(port_taken)?;
    let token = Token::random().map_err(|error| Report::new(Code::Bug, error))?;
    let prepared = tokio::select! {
        prepared = builder.prepare() => prepared.map_err(refused)?,
        end = signals.next() => return Ok(end.code()),
        never = liaison.preparing() => match never {},
    };
    if format == Format::Narration {
        greet(&loaded, clients, bound.address(), &prepared, what);
        let (past, live) = bus.replay_after(0);
        tokio::spawn(logging::tell(past, live, log.language()));
    }
    let tree = builder.launch_with(prepared, instance, door).await.map_err(refused)?;
    let reloader = Reloader::new(tree.clone(), loaded.sources.clone(), bus.clone(), log, Arc::clone(&notifier));
    // One that came while the tree was being started is served now.
    let hangups = tokio::spawn(reloader.clone().on(signals.again()));
    let plane = Plane {
        tree: tree.clone(),
        control: bound.address(),
        shutdown: Arc::new(Notify::new()),
        rollout: Rollout::default(),
        reloader,
    };
    let access = Access { url: format!("http://{}", bound.address()), pid: std::process::id(), token };
    if let Err(error) = access.publish(state_dir) {
        // A server that runs by now is ended in order, like any other.
        tree.stop().await;
        tree.closed().await;
        return Err(Report::new(Code::Config, error));
    }
    let served = tokio::spawn(bound.serve(plane.clone(), access.token, std::future::pending()));
    liaison.ready(&plane, &bus);
    let ending = || {
        // What is read now would be for nobody.
        hangups.abort();
        liaison.stopping(tree.settings().borrow().shutdown);
    };
    let code = until_the_end(&tree, &plane, &mut signals, ending).await;
    tokio::select! {
        () = notifier.finish(notices::LAST_WORDS) => {}
        _ = signals.next() => {}
    }
    tree.reports_written().await;
    Access::withdraw(state_dir, std::process::id());
    hangups.abort();
    served.abort();
    // The last lines of the narration are on their way through the bus.
    tokio::task::yield_now().await;
    Ok(code)
}

/// `mlx-tree setup`.
pub(crate) async fn set_up(loaded: Loaded) -> Result<Code, Report> {
    set_up_log(&loaded)?;
    let mut signals = Signals::listen()?;
    let builder = builder(&loaded, What::Server)?;
    let prepared = tokio::select! {
        prepared = builder.prepare() => prepared.map_err(refused)?,
        end = signals.next() => return Ok(end.code()),
    };
    if let Some(python) = &prepared.python {
        print(&row("python", &describe(python, &loaded)));
    }
    print(&row("model", &prepared.model));
    if let Some(note) = &prepared.note {
        print(&row("note", note));
    }
    Ok(Code::Ok)
}

fn builder(loaded: &Loaded, what: What) -> Result<Builder, Report> {
    let guard = vec![own_program()?, "guard".into()];
    let shown = Shown::new(loaded.language());
    let builder = Tree::new(loaded.settings.clone())
        .environment(loaded.environment.clone())
        .guard(guard)
        .progress(move |step| shown.report(step));
    Ok(match what {
        What::Server => builder,
        What::Demo => builder.demo(),
    })
}

/// Waits for the tree's end, or for somebody who wants it.
async fn until_the_end(tree: &Tree, plane: &Plane, signals: &mut Signals, at_the_end: impl FnOnce()) -> Code {
    let end = tokio::select! {
        exit = tree.closed() => return code_of(&exit),
        end = signals.next() => end,
        () = plane.shutdown.notified() => End::Asked,
    };
    at_the_end();
    let stopping = async {
        tree.stop().await;
        tree.closed().await
    };
    tokio::select! {
        _ = stopping => end.code(),
        second = signals.next() => {
            logging::say(&format!("{}\n", spoken().say("again: killing everything now")));
            tree.kill_now().await;
            tree.closed().await;
            second.second_code()
        }
    }
}

fn code_of(exit: &SupervisorExit) -> Code {
    match exit {
        SupervisorExit::Stopped => Code::Ok,
        SupervisorExit::IntensityExceeded { .. }
        | SupervisorExit::Escalated { .. }
        | SupervisorExit::AutoShutdown { .. }
        | SupervisorExit::StartFailed { .. }
        | SupervisorExit::Killed => Code::Escalated,
    }
}

fn set_up_log(loaded: &Loaded) -> Result<(Format, LogDial), Report> {
    let log = &loaded.settings.log;
    let format = match log.format {
        LogFormat::Narration => Format::Narration,
        LogFormat::Text => Format::Text,
        LogFormat::Json => Format::Json,
    };
    let dial = logging::set_up(format, log.level, loaded.language());
    Ok((format, dial.map_err(|error| Report::new(Code::Bug, error))?))
}

fn greet(loaded: &Loaded, clients: Option<SocketAddr>, control: SocketAddr, prepared: &Prepared, what: What) {
    let python = prepared.python.as_ref().map(|python| describe(python, loaded));
    let server = &loaded.settings.server;
    let (kind, model, note) = match what {
        What::Server => (server.kind.as_str(), server.model.as_str(), prepared.note.as_deref()),
        What::Demo => (DEMO_KIND, DEMO_MODEL, Some(DEMO_NOTE)),
    };
    let banner = Banner {
        settings: &loaded.settings,
        clients,
        control,
        python: python.as_deref(),
        kind,
        model,
        note,
        language: loaded.language(),
    };
    logging::say(&banner.text());
}

/// The interpreter in two lines: what it is, and where. A kind that runs in Python is called like its module.
fn describe(python: &Python, loaded: &Loaded) -> String {
    let (kind, language) = (loaded.settings.server.kind, loaded.language());
    let origin = match python.origin {
        Origin::Configured => "as configured",
        Origin::VirtualEnv => "of the active virtual environment",
        Origin::Path => "found on PATH",
        Origin::Managed => "of the managed environment",
    };
    let (kind, module) = (kind.as_str(), &python.module_version);
    let (with, origin) = (language.pick("with", "с"), language.say(origin));
    format!("{} {with} {kind} {module}, {origin}\n{}", python.version, python.interpreter.display())
}

fn port_taken(error: ServeError) -> Report {
    Report::new(Code::PortTaken, error).help("end what listens there, or set control.listen to another address")
}

fn refused(error: StartError) -> Report {
    let (code, help) = match &error {
        StartError::State(_) => (Code::Config, Some("set state_dir to a directory of yours".to_owned())),
        StartError::Instance(InstanceError::Held { .. }) => (
            Code::Escalated,
            Some(
                "talk to it with `mlx-tree status`, or run a second one with its own --state-dir and ports".to_owned(),
            ),
        ),
        StartError::Instance(InstanceError::State(_)) => (Code::Config, None),
        StartError::Gateway(_) => (
            Code::PortTaken,
            Some("end what listens there, or set gateway.listen to another address (--port N)".to_owned()),
        ),
        StartError::Fallback(_) => (Code::Config, Some("see docs/FALLBACK.md".to_owned())),
        StartError::Prepare(error) => (Code::Config, error.help()),
        StartError::Tree(TreeError::Orphan(_)) => (Code::Escalated, Some("end it by hand, if it is yours".to_owned())),
        StartError::Tree(TreeError::Policy(_) | TreeError::State(_)) => (Code::Config, None),
        StartError::Tree(TreeError::Start(_)) => (Code::Escalated, None),
        StartError::Server(_) => (Code::Escalated, None),
    };
    Report::new(code, error).maybe_help(help)
}
