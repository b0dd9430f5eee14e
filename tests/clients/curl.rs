//! `curl -N` goes through what the other clients go through, and what it printed becomes what their scripts tell.

use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::Notify;
use tokio::time::timeout;

/// The longest that one call may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Goes through all of it.
pub(crate) async fn go(url: &str) -> Value {
    let plain = async |prompt: &str| part(url, &body(prompt, &json!({})), &[]).await;
    let stream = async |prompt: &str, options: Value| {
        let mut options = options;
        options["stream"] = true.into();
        part(url, &body(prompt, &options), &["-N"]).await
    };
    let much = body("much", &json!({"max_tokens": 3_000}));
    json!({
        "plain": plain("hello").await,
        "stream": stream("hello", json!({})).await,
        "plain_crash": plain("crash-plain").await,
        "plain_uncut": plain("crash-plain").await,
        "greedy_crash": stream("crash-greedy", json!({})).await,
        "greedy_uncut": stream("crash-greedy", json!({})).await,
        "sampled_crash": stream("crash-sampled", json!({"temperature": 0.8})).await,
        "held": plain("held").await,
        "overload": overload(url).await,
        "impatient": {"given_up": part(url, &much, &["--max-time", "0.5"]).await, "next": plain("after it").await},
    })
}

fn body(prompt: &str, options: &Value) -> Value {
    let mut body = json!({"messages": [{"role": "user", "content": prompt}], "max_tokens": 16});
    body.as_object_mut().expect("an object").extend(options.as_object().expect("an object").clone());
    body
}

fn curl(url: &str, body: &Value, flags: &[&str]) -> Child {
    let mut command = Command::new("curl");
    command
        .args(["--noproxy", "*", "--no-progress-meter", "--write-out", "%{stderr}http %{http_code}\\n"])
        .args(["-H", "Content-Type: application/json", "--data-raw", &body.to_string()])
        .args(flags)
        .arg(format!("{url}/v1/chat/completions"))
        .env("HOME", "/nonexistent")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command.spawn().expect("curl is there")
}

/// What came of one call.
async fn part(url: &str, body: &Value, flags: &[&str]) -> Value {
    told(curl(url, body, flags), &Notify::new()).await
}

/// What came of this process; `refused` is told when it says that it will come again.
async fn told(mut process: Child, refused: &Notify) -> Value {
    let start = Instant::now();
    let mut errors = BufReader::new(process.stderr.take().expect("a pipe")).lines();
    let warnings = async {
        let mut text = String::new();
        while let Ok(Some(line)) = errors.next_line().await {
            if line.contains("Will retry in") {
                refused.notify_one();
            }
            text.push_str(&line);
            text.push('\n');
        }
        text
    };
    let run = async { tokio::join!(process.wait_with_output(), warnings) };
    let (output, error) = timeout(PATIENCE, run).await.expect("it ends");
    let output = output.expect("it runs");
    let pieces = pieces(&String::from_utf8_lossy(&output.stdout));
    let status = error.lines().find_map(|line| line.strip_prefix("http ")?.parse::<u16>().ok());
    let mut told = json!({
        "text": pieces.concat(),
        "pieces": pieces.len(),
        "http": [status],
        "seconds": start.elapsed().as_secs_f64(),
    });
    if !output.status.success() {
        told["error"] = json!({"classes": [output.status.code()], "message": error});
    }
    told
}

/// The pieces of a streamed answer, or all of a plain one.
fn pieces(said: &str) -> Vec<String> {
    let events = said.lines().filter_map(|line| line.strip_prefix("data: ").or(line.starts_with('{').then_some(line)));
    let objects = events.filter_map(|event| serde_json::from_str::<Value>(event).ok());
    let text = |object: Value| {
        let choice = &object["choices"][0];
        choice["delta"]["content"].as_str().or(choice["message"]["content"].as_str()).map(str::to_owned)
    };
    objects.filter_map(text).filter(|text| !text.is_empty()).collect()
}

/// Two requests have the server, one waits, and one is refused and has to come again.
async fn overload(url: &str) -> Value {
    let mut blockers = Vec::new();
    for number in [1, 2] {
        let endless = body(&format!("endless {number}"), &json!({"stream": true, "max_tokens": 100_000}));
        let mut blocker = curl(url, &endless, &["-N"]);
        let mut lines = BufReader::new(blocker.stdout.take().expect("a pipe")).lines();
        let begun = async { while !lines.next_line().await.expect("text").expect("more").starts_with("data: ") {} };
        timeout(PATIENCE, begun).await.expect("it begins");
        blockers.push((blocker, lines));
    }
    let refused = Notify::new();
    let ask = |prompt| told(curl(url, &body(prompt, &json!({})), &["--retry", "5", "--fail"]), &refused);
    let leave = async {
        let refused = timeout(PATIENCE, refused.notified()).await.is_ok();
        drop(blockers);
        refused
    };
    let (one, other, refused) = tokio::join!(ask("overload a"), ask("overload b"), leave);
    json!({"refused": refused, "both": [one, other]})
}
