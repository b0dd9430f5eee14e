//! Settings for the commands: from all layers, with the flags on top.

use std::io::{self, Write as _};
use std::sync::OnceLock;

use mlx_tree::api::Language;
use mlx_tree::control::Access;
use mlx_tree::settings::{self, ConfigErrors, Environment, Flag, Settings, Sources};

use super::arguments::{LogFormat, SettingsArguments};
use super::print;
use super::report::{Code, Report};

/// What the configuration says, once it has been read.
static SPOKEN: OnceLock<Language> = OnceLock::new();

/// Settings, and the environment that they were read in.
pub(crate) struct Loaded {
    pub(crate) settings: Settings,
    pub(crate) environment: Environment,
    /// Where they were read, for the day on which they are read again.
    pub(crate) sources: Sources,
}

// === impl Loaded ===

impl Loaded {
    /// The language that people are spoken to in.
    pub(crate) const fn language(&self) -> Language {
        language_of(self.settings.log.language)
    }
}

/// The language that errors are told in: the configured one, once that is known, until then that of the environment.
pub(crate) fn spoken() -> Language {
    SPOKEN.get().copied().unwrap_or_else(|| language_of(Environment::capture().language()))
}

pub(crate) const fn language_of(configured: settings::Language) -> Language {
    match configured {
        settings::Language::En => Language::En,
        settings::Language::Ru => Language::Ru,
    }
}

/// Reads all layers.
pub(crate) fn load(arguments: &SettingsArguments) -> Result<Loaded, Report> {
    load_with(arguments, Vec::new())
}

/// Reads all layers, with these flags on top.
pub(crate) fn load_with(arguments: &SettingsArguments, more: Vec<Flag>) -> Result<Loaded, Report> {
    let environment = Environment::capture();
    let sources = more.into_iter().fold(sources(arguments, &environment), Sources::flag);
    let settings = read(&sources).map_err(refused)?.settings;
    Ok(Loaded { settings, environment, sources })
}

/// Reads all layers for one who wants to see or to command a running mlx-tree: a file that is broken by now takes that from nobody.
/// Whoever asks is told of the file.
///
/// # Errors
/// What is wrong with the file, if there is no mlx-tree there.
pub(crate) fn load_to_ask(arguments: &SettingsArguments) -> Result<Loaded, Report> {
    let (loaded, broken) = reach(arguments)?;
    if broken.is_some() {
        let language = spoken();
        let note = language.say("the configuration cannot be used, and the running mlx-tree is asked all the same");
        let help = language.say("`mlx-tree check` says what is wrong");
        let labels = language.pick(["note", "help"], ["примечание", "что делать"]);
        let _ = writeln!(io::stderr(), "{}: {note}\n{}: {help}", labels[0], labels[1]);
    }
    Ok(loaded)
}

/// The same for one whom the running mlx-tree itself will tell what is wrong.
///
/// # Errors
/// As above.
pub(crate) fn load_to_reload(arguments: &SettingsArguments) -> Result<Loaded, Report> {
    reach(arguments).map(|(loaded, _)| loaded)
}

/// All layers; or, if a file is broken and an mlx-tree is where the other layers say, those, with what is wrong.
fn reach(arguments: &SettingsArguments) -> Result<(Loaded, Option<ConfigErrors>), Report> {
    let environment = Environment::capture();
    let sources = sources(arguments, &environment);
    let (loaded, broken) = match read(&sources) {
        Ok(loaded) => (loaded, None),
        Err(errors) => {
            let rest = settings::load(&sources.clone().without_files());
            match rest.ok().filter(|rest| Access::read(&rest.settings.state_dir).is_ok()) {
                Some(mut rest) => {
                    rest.settings.log.language = settings::language(&sources);
                    (rest, Some(errors))
                }
                None => return Err(refused(errors)),
            }
        }
    };
    Ok((Loaded { settings: loaded.settings, environment, sources }, broken))
}

/// Reads all layers. From then on people are spoken to in the language that they name, whatever else is wrong with them.
fn read(sources: &Sources) -> Result<settings::Loaded, ConfigErrors> {
    let loaded = settings::load(sources);
    let language = match &loaded {
        Ok(loaded) => loaded.settings.log.language,
        Err(_) => settings::language(sources),
    };
    let _ = SPOKEN.set(language_of(language));
    loaded
}

/// `mlx-tree check`.
pub(crate) fn check(arguments: &SettingsArguments) -> Result<Code, Report> {
    let environment = Environment::capture();
    let loaded = read(&sources(arguments, &environment)).map_err(|errors| Report::new(Code::Config, errors))?;
    print(&loaded.to_string());
    Ok(Code::Ok)
}

fn sources(arguments: &SettingsArguments, environment: &Environment) -> Sources {
    let mut sources = Sources::new(environment.clone());
    if let Some(file) = &arguments.config {
        sources = sources.config_file(file.clone());
    }
    flags(arguments).into_iter().fold(sources, Sources::flag)
}

/// The flags that stand for keys.
fn flags(arguments: &SettingsArguments) -> Vec<Flag> {
    let mut flags = Vec::new();
    let mut add = |flag: &str, key: &str, value: String| flags.push(Flag::text(flag, key, value));
    if let Some(model) = &arguments.model {
        add("--model", "server.model", model.clone());
    }
    if let Some(port) = arguments.port {
        add("--port", "gateway.listen", format!("127.0.0.1:{port}"));
    }
    if let Some(dir) = &arguments.state_dir {
        add("--state-dir", "state_dir", dir.display().to_string());
    }
    if let Some(format) = arguments.log_format {
        let word = match format {
            LogFormat::Narration => "narration",
            LogFormat::Text => "text",
            LogFormat::Json => "json",
        };
        add("--log-format", "log.format", word.to_owned());
    }
    for (key, value) in &arguments.set {
        add("--set", key, value.clone());
    }
    flags
}

fn refused(errors: ConfigErrors) -> Report {
    Report::new(Code::Config, errors).help("nothing was done; `mlx-tree check` reads it again, and shows what holds")
}
