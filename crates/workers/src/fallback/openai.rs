//! What a server of OpenAI's kind is asked: its models.

use mlx_tree_api::{FallbackModel, FallbackState, FallbackView};
use reqwest::Client;
use serde_json::Value;

use super::look::get;

/// What there is at `base`. A server that is still loading answers with an error, and counts as absent.
///
/// # Errors
/// Why it cannot be asked, in one line.
pub(super) async fn look(client: &Client, base: &str) -> Result<FallbackView, String> {
    let listed = get(client, &format!("{base}/v1/models")).await?;
    let models = listed["data"].as_array().ok_or_else(|| format!("{base}/v1/models lists no models"))?;
    let models = models.iter().filter_map(model).collect();
    Ok(FallbackView { state: FallbackState::Ready, models, ..FallbackView::unknown("openai") })
}

fn model(listed: &Value) -> Option<FallbackModel> {
    let name = listed["id"].as_str()?.to_owned();
    // vLLM's word, and llama.cpp's. OpenAI has none.
    let context_length = listed["max_model_len"].as_u64().or_else(|| listed["meta"]["n_ctx"].as_u64());
    Some(FallbackModel { name, context_length, capabilities: Vec::new(), remote: None })
}
