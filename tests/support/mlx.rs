//! Real servers for the tests that want one: environments with `mlx_lm`, made once for each checkout, and questions to them.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use mlx_tree_provision::Step;
use mlx_tree_provision::python::{Module, Pins, Python, Surroundings, managed};
use serde_json::{Value, json};

use crate::support::{Instance, PROGRAM, Setup};

/// A version of `mlx_lm` to test with.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Version {
    /// The one that the program installs by itself.
    Current,
    /// The last one whose `/health` stays 200 whatever has happened.
    Blind,
}

/// `mlx-tree` over the real `mlx_lm.server` and `builtin:tiny`, on a free port.
///
/// The program finds the environment by itself: nothing of the machine's own Python is in its sight, so that "auto" comes to
/// the managed one. Times are short, but not so short that a machine under load looks like a dead server.
pub(crate) async fn real() -> Setup {
    real_as(&[]).await
}

/// The same as `mlx-tree <words>`.
pub(crate) async fn real_as(words: &[&str]) -> Setup {
    environment(Version::Current).await;
    Setup::new(words)
        .with(|command, home| {
            let nothing = home.join("empty");
            fs::create_dir(&nothing).expect("a directory");
            command.env_remove("VIRTUAL_ENV").env_remove("PYTHONPATH").env("PATH", nothing);
        })
        .set("data_dir", data_dir().to_str().expect("utf-8"))
        .set("restart.backoff_initial", "100ms")
        .set("restart.backoff_max", "1s")
        .set("health.interval", "2s")
        .set("health.timeout", "2s")
        .set("shutdown.hung_grace", "1s")
}

/// The same over an older `mlx_lm`, which has to be named.
pub(crate) async fn real_of(version: Version) -> Setup {
    let python = environment(version).await;
    real().await.set("server.python", python.interpreter.to_str().expect("utf-8"))
}

/// The environment with this version, made if this checkout has none yet. Of many tests and processes that ask at once, one
/// makes it and the others wait.
pub(crate) async fn environment(version: Version) -> Python {
    let current = Pins::current(Module::MlxLm);
    let pins = match version {
        Version::Current => current,
        Version::Blind => {
            let older =
                |pin: &String| if pin.starts_with("mlx-lm==") { "mlx-lm==0.31.3".to_owned() } else { pin.clone() };
            Pins::new(Module::MlxLm, current.requirements().iter().map(older))
        }
    };
    let surroundings = Surroundings { path: std::env::var_os("PATH"), virtual_env: None };
    let title = pins.title().to_owned();
    let told = move |step| tell(&title, &step);
    managed(&pins, &surroundings, &data_dir().join("python"), &told).await.expect("an environment with mlx_lm")
}

/// What is being done, past the harness, which would hold it back until the test is over.
fn tell(title: &str, step: &Step) {
    match step {
        Step::MakingEnvironment { .. }
        | Step::WaitingForOther { .. }
        | Step::Installing { .. }
        | Step::Ready { .. } => {
            let _ = writeln!(io::stderr(), "{title} for the tests, once in this checkout: {step}");
        }
        _ => {}
    }
}

/// Beside the program in the build's own directory: it outlives a test run, and goes with the build.
fn data_dir() -> PathBuf {
    let target = Path::new(PROGRAM).ancestors().nth(2).expect("it is in target/<profile>/");
    target.join("mlx-env")
}

/// Asks a server for a completion, greedily.
pub(crate) async fn complete(url: &str, prompt: &str, max_tokens: u32) -> Value {
    let body = json!({"prompt": prompt, "max_tokens": max_tokens, "temperature": 0});
    let answer = post(url, &body).await.expect("an answer");
    assert_eq!(answer.status(), 200, "{prompt}");
    answer.json().await.expect("JSON")
}

/// The text of a completion of the built-in model, which is whole only if all its tokens are there.
pub(crate) fn text_of(completion: &Value) -> String {
    let choice = &completion["choices"][0];
    assert_eq!(choice["finish_reason"], "length", "the built-in model never ends by itself: {completion}");
    choice["text"].as_str().expect("a text").to_owned()
}

/// Posts `body` to `/v1/completions` of a server.
pub(crate) async fn post(url: &str, body: &Value) -> reqwest::Result<reqwest::Response> {
    post_to(url, "/v1/completions", body).await
}

/// Posts `body` to a path of a server.
pub(crate) async fn post_to(url: &str, path: &str, body: &Value) -> reqwest::Result<reqwest::Response> {
    client().post(format!("{url}{path}")).json(body).send().await
}

/// The status of `GET /health`.
pub(crate) async fn health(url: &str) -> u16 {
    client().get(format!("{url}/health")).send().await.expect("an answer").status().as_u16()
}

fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).build().expect("a plain client")
}

/// What the server itself has written so far.
pub(crate) fn server_log(tree: &Instance) -> Vec<String> {
    let (exit, log, error) = tree.command(&["logs", "-n", "1000"]);
    assert!(exit.success(), "{error}");
    log.lines().map(str::to_owned).collect()
}
