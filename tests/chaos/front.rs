//! Whom the clients ask, and who keeps the server behind it alive.

use std::time::Duration;

use mlx_tree_api::Phase;
use serde_json::Value;

use super::rivals::Loop;
use crate::support::rivals::Rival;
use crate::support::{Instance, wire};

/// What clients see, with all that is behind it.
pub struct Front {
    pub name: String,
    pub url: String,
    /// What answers must say about where they come from; others say nothing of it.
    pub labels: Option<Labels>,
    pub keeper: Keeper,
    /// How long after the last fault it may take until a request is served again.
    pub patience: Duration,
    /// What stands between the clients and the loop, if anything does.
    pub between: Option<Rival>,
}

/// Where an answer of ours must say that it comes from.
pub struct Labels {
    pub backend: String,
    pub model: String,
}

/// Who restarts the server.
pub enum Keeper {
    /// mlx-tree.
    Tree(Instance),
    /// A loop as in a shell.
    Loop(Loop),
}

/// A server that is ready.
#[derive(Debug, Clone)]
pub struct Serving {
    pub pid: u32,
    pub url: String,
    pub epoch: u64,
}

// === impl Front ===

impl Front {
    /// mlx-tree, once its first server is ready.
    pub async fn of(tree: Instance, backend: &str, patience: Duration) -> Self {
        tree.ready(1).await;
        let line = tree.told(&["Clients are served at"]).await;
        let url = line.split_whitespace().next_back().expect("just seen").to_owned();
        let models: Value = reqwest::Client::builder()
            .no_proxy()
            .build()
            .expect("a plain client")
            .get(format!("{url}/v1/models"))
            .send()
            .await
            .expect("it answers")
            .json()
            .await
            .expect("JSON");
        let model = models["data"][0]["id"].as_str().expect("a model").to_owned();
        Self {
            name: "mlx-tree".to_owned(),
            url,
            labels: Some(Labels { backend: backend.to_owned(), model }),
            keeper: Keeper::Tree(tree),
            patience,
            between: None,
        }
    }
}

// === impl Keeper ===

impl Keeper {
    /// The server, if it is ready.
    pub async fn serving(&self) -> Option<Serving> {
        match self {
            Self::Tree(tree) => {
                let status = tree.try_status().await.filter(|status| status.phase == Phase::Ready)?;
                Some(Serving { pid: status.process_pid?, url: status.server.url?, epoch: status.server.epoch })
            }
            Self::Loop(it) => it.serving().await,
        }
    }

    /// How often the server was restarted.
    pub async fn restarts(&self) -> Option<u64> {
        match self {
            Self::Tree(tree) => Some(tree.try_status().await?.restart_count),
            Self::Loop(_) => None,
        }
    }

    /// The most chats that the server has had at once, if it counts them.
    pub async fn most_at_once(&self, serving: &Serving) -> Option<u64> {
        let Self::Tree(_) = self else { return None };
        let answer = wire::ask(&serving.url, "GET", "/_fake/stats", "").await?;
        let (_, body) = answer.split_once("\r\n\r\n")?;
        serde_json::from_str::<Value>(body).ok()?["max_chats_in_flight"].as_u64()
    }
}
