//! What Ollama is asked: its version, its models and their contexts, and to let go of one.

use std::time::Duration;

use mlx_tree_api::{FallbackModel, FallbackState, FallbackView};
use reqwest::Client;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::look::{get, post};

/// The first version that honours `truncate: false`. Earlier ones lose the head of a long conversation without a word.
const FIRST: [u64; 3] = [0, 12, 6];

/// How long a model may take to leave the memory.
const LEAVING: Duration = Duration::from_secs(10);

/// What there is at `base`; of the `wanted` models in detail.
///
/// # Errors
/// Why it cannot be asked, in one line.
pub(super) async fn look(client: &Client, base: &str, wanted: &[String]) -> Result<FallbackView, String> {
    let version = get(client, &format!("{base}/api/version")).await?;
    let version = version["version"].as_str().ok_or_else(|| format!("what answers at {base} is no Ollama"))?.to_owned();
    if numbers(&version) < FIRST {
        return Err(format!(
            "Ollama {version} drops the head of a long conversation without a word; 0.12.6 is the first that need not"
        ));
    }
    let tags = get(client, &format!("{base}/api/tags")).await?;
    let models = tags["models"].as_array().map(Vec::as_slice).unwrap_or_default();
    let models = models.iter().filter_map(listed).collect();
    let mut view = FallbackView { models, version: Some(version), ..FallbackView::unknown("ollama") };
    for name in wanted {
        // One that is missing is told of when somebody asks for it.
        let Some(name) = view.model(name).map(|model| model.name.clone()) else { continue };
        let shown = post(client, &format!("{base}/api/show"), &json!({"model": name})).await?;
        if let Some(model) = view.models.iter_mut().find(|model| model.name == name) {
            detail(model, &shown);
        }
    }
    view.state = FallbackState::Ready;
    Ok(view)
}

/// Unloads a model, and resolves when it is out of memory.
///
/// # Errors
/// Why it is not, in one line.
pub(super) async fn unload(client: &Client, base: &str, model: &str) -> Result<(), String> {
    let begin = Instant::now();
    post(client, &format!("{base}/api/generate"), &json!({"model": model, "keep_alive": 0, "stream": false})).await?;
    loop {
        let loaded = get(client, &format!("{base}/api/ps")).await?;
        let mut loaded = loaded["models"].as_array().into_iter().flatten().filter_map(|it| it["name"].as_str());
        if !loaded.any(|name| same(name, model)) {
            return Ok(());
        }
        if begin.elapsed() > LEAVING {
            return Err(format!("it is still in memory after {} s", LEAVING.as_secs()));
        }
        sleep(Duration::from_millis(200)).await;
    }
}

fn listed(model: &Value) -> Option<FallbackModel> {
    let name = model["name"].as_str()?.to_owned();
    Some(FallbackModel { remote: remote(&name, model), name, context_length: None, capabilities: words(model) })
}

fn detail(model: &mut FallbackModel, shown: &Value) {
    let info = &shown["model_info"];
    let family = info["general.architecture"].as_str().unwrap_or_default();
    model.context_length = info[format!("{family}.context_length")].as_u64();
    let capabilities = words(shown);
    if !capabilities.is_empty() {
        model.capabilities = capabilities;
    }
    model.remote = model.remote.take().or_else(|| remote(&model.name, shown));
}

/// Where a model is run, if that is not here: Ollama hands what is asked of it on to its own cloud.
fn remote(name: &str, model: &Value) -> Option<String> {
    let host = model["remote_host"].as_str().filter(|host| !host.is_empty()).map(str::to_owned);
    let cloud = || name.ends_with("-cloud") || name.ends_with(":cloud");
    host.or_else(|| cloud().then(|| "Ollama's cloud".to_owned()))
}

fn words(model: &Value) -> Vec<String> {
    model["capabilities"].as_array().into_iter().flatten().filter_map(|word| word.as_str().map(str::to_owned)).collect()
}

fn same(name: &str, model: &str) -> bool {
    name == model || (!model.contains(':') && name.strip_suffix(":latest") == Some(model))
}

/// The three numbers of a version; what cannot be read counts as 0.
fn numbers(version: &str) -> [u64; 3] {
    let mut parts = version.trim_start_matches('v').split(['.', '-', '+']).map(|part| part.parse().unwrap_or(0));
    [(); 3].map(|()| parts.next().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_their_numbers() {
        let honest = |version: &str| numbers(version) >= FIRST;
        assert_eq!(["0.12.6", "0.13.0", "0.33.0-rc2", "v1.0.0"].map(honest), [true; 4]);
        assert_eq!(["0.12.5", "0.9.6", "0.0.0", "", "nightly"].map(honest), [false; 5]);
    }

    #[test]
    fn a_model_that_runs_elsewhere_is_known_by_its_host_or_its_name() {
        let at = |name: &str, model: Value| remote(name, &model);
        assert_eq!(at("a:cloud", json!({})).as_deref(), Some("Ollama's cloud"));
        assert_eq!(at("gpt-oss:120b-cloud", json!({})).as_deref(), Some("Ollama's cloud"));
        assert_eq!(at("a", json!({"remote_host": "https://x"})).as_deref(), Some("https://x"));
        assert_eq!(at("cloudy:8b", json!({"remote_host": ""})), None);
    }
}
