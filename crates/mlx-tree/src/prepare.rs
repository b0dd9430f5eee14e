//! What has to be there before a server can be started: an interpreter and a model, found or made.

use std::path::Path;

use mlx_tree_provision::Progress;
use mlx_tree_provision::model::{self, ModelError, Network, Source};
use mlx_tree_provision::python::{self, Choice, Module, Python, PythonError, Surroundings};
use mlx_tree_settings::{Environment, PythonChoice, ServerKind, ServerSettings, Settings};

/// What was found or made.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// The interpreter; none for a server that is not started through Python.
    pub python: Option<Python>,
    /// The model's directory or hub name, for the server's command line.
    pub model: String,
    /// Whether the server can do without a network.
    pub network: Network,
    /// A remark about the model that nobody may miss.
    pub note: Option<String>,
    /// The same for the further servers, in their order.
    pub further: Vec<Prepared>,
}

/// Why that failed.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// There is no interpreter with the module, and none could be made.
    #[error(transparent)]
    Python(#[from] PythonError),
    /// The model is not there.
    #[error(transparent)]
    Model(#[from] ModelError),
}

/// Finds or makes what the servers of `settings` need. The first time that may take a minute; `progress` is told what is
/// being done. Dropping the future ends what it has started.
///
/// # Errors
/// [`PrepareError`]; its help says what to install.
pub async fn prepare(
    settings: &Settings,
    environment: &Environment,
    progress: &dyn Progress,
) -> Result<Prepared, PrepareError> {
    let mut first = prepare_one(&settings.server, &settings.data_dir, environment, progress).await?;
    for server in &settings.further_servers {
        first.further.push(prepare_one(server, &settings.data_dir, environment, progress).await?);
    }
    Ok(first)
}

/// The same for one server.
pub(crate) async fn prepare_one(
    server: &ServerSettings,
    data_dir: &Path,
    environment: &Environment,
    progress: &dyn Progress,
) -> Result<Prepared, PrepareError> {
    let module = match (server.command.is_none(), server.kind) {
        (true, ServerKind::MlxLm) => Some(Module::MlxLm),
        (true, ServerKind::MlxVlm) => Some(Module::MlxVlm),
        (true, ServerKind::LlamaCpp | ServerKind::Openai | ServerKind::Http) | (false, _) => None,
    };
    let Some(module) = module else {
        // What a command of one's own calls a model is its own business.
        let (model, network) = (server.model.clone(), Network::MayDownload);
        return Ok(Prepared { python: None, model, network, note: None, further: Vec::new() });
    };
    let surroundings =
        Surroundings { path: environment.get("PATH").map(ToOwned::to_owned), virtual_env: environment.virtual_env() };
    let choice = match &server.python {
        PythonChoice::Auto => Choice::Auto,
        PythonChoice::At(interpreter) => Choice::Interpreter(interpreter.clone()),
    };
    let model = model::resolve(&server.model, environment.current_dir(), data_dir).await?;
    let python = python::resolve(&choice, module, &surroundings, data_dir, progress).await?;
    let note = match model.source {
        Source::Builtin => Some(
            "builtin:tiny has random weights and was made on the spot: it babbles. For a real model: \
             mlx-tree --model mlx-community/Qwen3-4B-4bit"
                .to_owned(),
        ),
        Source::Directory | Source::Hub => model.hint(),
    };
    let further = Vec::new();
    Ok(Prepared { python: Some(python), network: model.network(), note, model: model.argument, further })
}

// === impl Prepared ===

impl Prepared {
    /// What each server needs, the first one first.
    pub(crate) fn into_list(mut self) -> Vec<Self> {
        let further = std::mem::take(&mut self.further);
        std::iter::once(self).chain(further).collect()
    }
}

// === impl PrepareError ===

impl PrepareError {
    /// What a person can do about it.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        match self {
            Self::Python(error) => error.help(),
            Self::Model(_) => Some(
                "set server.model to a directory with config.json and *.safetensors, to a hub name, or to builtin:tiny"
                    .to_owned(),
            ),
        }
    }
}
