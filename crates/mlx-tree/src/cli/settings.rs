//! Settings for the commands: from all layers, with the flags on top.

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

/// The language that errors are told in: the configured one, once that is known, until then that of the environment. The
/// configuration may be what is wrong.
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
    let settings = settings::load(&sources).map_err(refused)?.settings;
    let _ = SPOKEN.set(language_of(settings.log.language));
    Ok(Loaded { settings, environment, sources })
}

/// Reads all layers for one who only wants to reach a running mlx-tree. If a file is broken that one is to say so, and is
/// looked for by what the other layers say.
///
/// # Errors
/// What is wrong with the file, if there is no mlx-tree there.
pub(crate) fn load_to_reach(arguments: &SettingsArguments) -> Result<Loaded, Report> {
    let environment = Environment::capture();
    let sources = sources(arguments, &environment);
    let settings = settings::load(&sources).or_else(|errors| {
        let rest = settings::load(&sources.clone().without_files());
        let there = rest.ok().filter(|rest| Access::read(&rest.settings.state_dir).is_ok());
        there.ok_or_else(|| refused(errors))
    })?;
    let settings = settings.settings;
    let _ = SPOKEN.set(language_of(settings.log.language));
    Ok(Loaded { settings, environment, sources })
}

/// `mlx-tree check`.
pub(crate) fn check(arguments: &SettingsArguments) -> Result<Code, Report> {
    let environment = Environment::capture();
    let loaded =
        settings::load(&sources(arguments, &environment)).map_err(|errors| Report::new(Code::Config, errors))?;
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
