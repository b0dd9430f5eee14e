//! Notices: from the settings to those who are told, and `mlx-tree notify test`.

use std::ffi::OsString;
use std::sync::Arc;
use std::time::Duration;

use mlx_tree::api::{Language, Level};
use mlx_tree::notify::{self, Notifier, Sink, Source, Target, deliver_sample};
use mlx_tree::settings::{Environment, NotifyLevel, NotifySettings, NotifySink, Settings};
use mlx_tree::workers::bus::Bus;

use super::print;
use super::report::{Code, Report};
use super::settings::Loaded;

/// At the end of the program so long is waited for what still has to be told.
pub(crate) const LAST_WORDS: Duration = Duration::from_secs(5);

/// The variables that a program which tells somebody gets. None of them holds a secret of ours.
const INHERITED: [&str; 16] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
    "TMPDIR",
    "SSL_CERT_FILE",
    "DBUS_SESSION_BUS_ADDRESS",
    "XDG_RUNTIME_DIR",
    "DISPLAY",
    "WAYLAND_DISPLAY",
    "XAUTHORITY",
];

/// Starts telling what happens on `bus` to those whom the settings name.
pub(crate) fn start(loaded: &Loaded, bus: &Bus) -> Arc<Notifier> {
    let own = bus.clone();
    let tell = move |kind| own.emit("notify", 0, kind);
    let notifier = Notifier::start(source(loaded.language()), targets(&loaded.settings, &loaded.environment), tell);
    bus.attach(Arc::clone(&notifier) as Arc<dyn mlx_tree::api::Fold>);
    notifier
}

/// Those whom `settings` name.
pub(crate) fn targets(settings: &Settings, environment: &Environment) -> Vec<Target> {
    let variables = INHERITED.iter().filter_map(|name| Some((OsString::from(name), environment.get(name)?.to_owned())));
    let variables = notify::Environment(variables.collect());
    settings.notify.iter().map(|one| target(one, variables.clone())).collect()
}

fn target(settings: &NotifySettings, environment: notify::Environment) -> Target {
    Target {
        name: settings.name.clone(),
        sink: match &settings.sink {
            NotifySink::Webhook(url) => Sink::Webhook(notify::Url::new(url.expose())),
            NotifySink::Slack(url) => Sink::Slack(notify::Url::new(url.expose())),
            NotifySink::Command(argv) => Sink::Command(argv.clone()),
            NotifySink::Desktop => Sink::Desktop,
        },
        level: match settings.level {
            NotifyLevel::Error => Level::Error,
            NotifyLevel::Warn => Level::Warn,
            NotifyLevel::Info => Level::Info,
        },
        events: settings.events.clone(),
        min_interval: settings.min_interval,
        environment,
    }
}

fn source(language: Language) -> Source {
    Source::here(env!("CARGO_PKG_VERSION"), language)
}

/// `mlx-tree notify test`: tells each of them, or the one called `name`, that this is a test.
pub(crate) async fn test(loaded: Loaded, name: Option<String>) -> Result<Code, Report> {
    let language = loaded.language();
    let all = targets(&loaded.settings, &loaded.environment);
    let wanted = |target: &&Target| name.as_ref().is_none_or(|name| *name == target.name);
    let chosen: Vec<&Target> = all.iter().filter(wanted).collect();
    if chosen.is_empty() {
        return Err(nobody(&all, name.as_deref()));
    }
    let source = source(language);
    let mut code = Code::Ok;
    for target in chosen {
        let outcome = deliver_sample(target, &source).await;
        print(&match outcome {
            Ok(()) => language.pick(format!("{}: told\n", target.name), format!("{}: доставлено\n", target.name)),
            Err(failure) => {
                code = Code::Failed;
                let failure = failure.to_string();
                let failure = language.say(&failure);
                language.pick(
                    format!("{}: not told: {failure}\n", target.name),
                    format!("{}: не доставлено: {failure}\n", target.name),
                )
            }
        });
    }
    Ok(code)
}

fn nobody(all: &[Target], name: Option<&str>) -> Report {
    match name {
        Some(name) => {
            let names: Vec<&str> = all.iter().map(|target| target.name.as_str()).collect();
            let known = format!("there are: {}", names.join(", "));
            let report = Report::new(Code::Failed, format!("nobody who is told is called {name}"));
            report.maybe_help(Some(known).filter(|_| !names.is_empty()))
        }
        None => Report::new(Code::Failed, "nobody is told anything: there is no [[notify]]")
            .help("docs/NOTIFICATIONS.md has examples"),
    }
}
