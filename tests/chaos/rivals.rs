//! What else can stand in front of a server: a loop that restarts it, and proxies before that loop.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::front::Serving;
use crate::support::free_port;
use crate::support::rivals::{Rival, temporary};

/// Between an end and the next start, at most: what mlx-tree's backoff is set to here.
const DELAY: Duration = Duration::from_millis(100);

/// A server on a fixed port that is started again whenever it ends, as `while :; do SERVER; done` would.
pub struct Loop {
    pub port: u16,
    now: Arc<Mutex<Now>>,
    turns: JoinHandle<()>,
}

struct Now {
    child: Option<Child>,
    launches: u64,
}

// === impl Loop ===

impl Loop {
    /// Starts the server that `command` makes for a port.
    pub fn start(command: impl Fn(u16) -> Command + Send + 'static) -> Self {
        let port = free_port();
        let now = Arc::new(Mutex::new(Now { child: None, launches: 0 }));
        let turns = tokio::spawn({
            let now = Arc::clone(&now);
            async move {
                loop {
                    {
                        let mut now = now.lock().unwrap_or_else(PoisonError::into_inner);
                        let ended = now.child.as_mut().is_none_or(|it| it.try_wait().is_ok_and(|end| end.is_some()));
                        if ended {
                            let mut server = command(port);
                            server.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
                            now.child = Some(server.spawn().expect("the server starts"));
                            now.launches += 1;
                        }
                    }
                    sleep(DELAY).await;
                }
            }
        });
        Self { port, now, turns }
    }

    /// The server, if its health check is answered.
    pub async fn serving(&self) -> Option<Serving> {
        let url = format!("http://127.0.0.1:{}", self.port);
        let http =
            reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(1)).build().expect("a plain client");
        let healthy = http.get(format!("{url}/health")).send().await.is_ok_and(|it| it.status().is_success());
        let now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        let pid = now.child.as_ref()?.id();
        healthy.then_some(Serving { pid, url, epoch: now.launches })
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        self.turns.abort();
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(child) = &mut now.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// nginx before the server at `server`, which tries again as often as it can be told to.
pub async fn nginx(program: &Path, server: u16) -> Rival {
    let (home, port) = (tempfile::tempdir().expect("a directory"), free_port());
    let same = format!("server 127.0.0.1:{server} max_fails=0;\n").repeat(5);
    let text = format!(
        "daemon off; pid nginx.pid; error_log error.log; events {{}}\n\
             http {{ access_log off; {}\n\
             upstream server {{ {same} }}\n\
             server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://server; proxy_buffering off; \
             proxy_read_timeout 100s; \
             proxy_next_upstream error timeout invalid_header http_502 http_503 http_504 non_idempotent; \
             proxy_next_upstream_tries 5; }} }} }}\n",
        temporary(home.path()),
    );
    fs::write(home.path().join("nginx.conf"), text).expect("written");
    let mut command = Command::new(program);
    command.arg("-p").arg(home.path()).args(["-c", "nginx.conf", "-e", "stderr"]);
    Rival::start(command, home, port, "/health").await
}

/// LiteLLM before the server at `server`, with five retries.
pub async fn litellm(program: &Path, server: u16) -> Rival {
    let (home, port) = (tempfile::tempdir().expect("a directory"), free_port());
    let text = format!(
        "model_list:\n  - model_name: default_model\n    litellm_params:\n      model: openai/default_model\n      \
             api_base: http://127.0.0.1:{server}/v1\n      api_key: none\n      timeout: 100\n      stream_timeout: 100\n\
             router_settings:\n  num_retries: 5\nlitellm_settings:\n  num_retries: 5\n"
    );
    fs::write(home.path().join("config.yaml"), text).expect("written");
    let mut command = Command::new(program);
    command.args(["--config", "config.yaml", "--host", "127.0.0.1", "--port", &port.to_string()]);
    command
        .env("HOME", home.path())
        .env("LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY", "true")
        .env("LITELLM_TELEMETRY", "False")
        .env("LITELLM_LOCAL_MODEL_COST_MAP", "True");
    Rival::start(command, home, port, "/health/liveliness").await
}
