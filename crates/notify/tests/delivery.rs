//! Real receivers: good ones, bad ones, and those that never end.

use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use mlx_tree_api::{Event, Fold as _, Kind, Language, Level};
use mlx_tree_notify::{Environment, Failure, Notifier, Sink, Source, Target, Url, deliver_sample};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

const PATIENCE: Duration = Duration::from_secs(30);

fn source() -> Source {
    Source { host: "studio".to_owned(), pid: 7, version: "0.1.0".to_owned(), language: Language::En }
}

fn target(name: &str, sink: Sink) -> Target {
    let path = std::env::var_os("PATH").expect("a search path");
    Target {
        name: name.to_owned(),
        sink,
        level: Level::Error,
        events: Vec::new(),
        min_interval: Duration::ZERO,
        environment: Environment(vec![(OsString::from("PATH"), path)]),
    }
}

fn opened(seq: u64) -> Event {
    let kind = Kind::BreakerOpened { reason: format!("{seq} failures <!channel> @all"), open_for_s: Some(60.0) };
    let at = "2026-01-01T12:00:00Z".to_owned();
    Event { seq, at, child: "breaker".to_owned(), epoch: 0, server: None, kind }
}

/// What could not be delivered: to whom, and why.
type Undelivered = mpsc::UnboundedReceiver<(String, String)>;

fn notifier(targets: Vec<Target>) -> (Arc<Notifier>, Undelivered) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let tell = move |kind: Kind| {
        let Kind::NotifyUndelivered { to, reason } = kind else { panic!("{kind:?}") };
        let _ = sender.send((to, reason));
    };
    (Notifier::start(source(), targets, tell), receiver)
}

/// A receiver that gives these answers, one a request, and says nothing at all after the last.
struct Receiver {
    port: u16,
    heard: mpsc::UnboundedReceiver<String>,
}

impl Receiver {
    async fn answering(answers: &[&str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let (sender, heard) = mpsc::unbounded_channel();
        let mut answers: Vec<String> = answers.iter().rev().map(|it| (*it).to_owned()).collect();
        tokio::spawn(async move {
            let mut open = Vec::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = Vec::new();
                while !is_whole(&request) && stream.read_buf(&mut request).await.is_ok_and(|read| read > 0) {}
                let _ = sender.send(String::from_utf8(request).expect("utf-8"));
                match answers.pop() {
                    Some(head) => {
                        let answer = format!("HTTP/1.1 {head}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
                        let _ = stream.write_all(answer.as_bytes()).await;
                    }
                    None => open.push(stream),
                }
            }
        });
        Self { port, heard }
    }

    fn url(&self) -> Url {
        Url::new(format!("http://127.0.0.1:{}/hook/kanarienvogel", self.port))
    }

    async fn next(&mut self) -> String {
        let next = tokio::time::timeout(PATIENCE, self.heard.recv()).await;
        next.expect("a request comes").expect("the receiver lives")
    }

    async fn json(&mut self) -> serde_json::Value {
        let request = self.next().await;
        let (head, body) = request.split_once("\r\n\r\n").expect("a request");
        assert!(
            head.starts_with("POST /hook/kanarienvogel ") && head.contains("content-type: application/json"),
            "{head}"
        );
        serde_json::from_str(body).expect("json")
    }
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
    body.len() >= length.unwrap_or(0_usize)
}

async fn lost(undelivered: &mut Undelivered) -> (String, String) {
    tokio::time::timeout(PATIENCE, undelivered.recv()).await.expect("it is told").expect("the notifier lives")
}

/// Waits until a file has something in it.
async fn written(path: &Path) -> String {
    let start = Instant::now();
    loop {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        if text.ends_with('\n') {
            return text;
        }
        assert!(start.elapsed() < PATIENCE, "{} is never written", path.display());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn script(directory: &Path, name: &str, text: &str) -> PathBuf {
    let path = directory.join(name);
    std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).expect("written");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("ours");
    path
}

fn shell(text: &str) -> Sink {
    Sink::Command(["/bin/sh", "-c", text].map(str::to_owned).into())
}

#[tokio::test]
async fn a_webhook_gets_everything_and_slack_a_text_that_calls_nobody() {
    let (mut hook, mut slack) = (Receiver::answering(&["200 OK"]).await, Receiver::answering(&["200 OK"]).await);
    let targets = vec![target("hook", Sink::Webhook(hook.url())), target("slack", Sink::Slack(slack.url()))];
    let (notifier, _undelivered) = notifier(targets);
    notifier.event(&opened(5));
    insta::assert_snapshot!(serde_json::to_string_pretty(&hook.json().await).expect("json"), @r#"
    {
      "at": "2026-01-01T12:00:00Z",
      "child": "breaker",
      "count": 1,
      "epoch": 0,
      "event": "breaker.opened",
      "help": "`mlx-tree why` says what it died of; `mlx-tree reset` tries again at once",
      "id": "7-5",
      "level": "error",
      "more": 0,
      "others": [],
      "source": {
        "host": "studio",
        "pid": 7,
        "version": "0.1.0"
      },
      "status": "raised",
      "text": "[SUPERVISOR] Circuit breaker OPEN: no restarts for 60s (5 failures <!channel> @all)",
      "title": "the server keeps failing, restarts are held back"
    }
    "#);
    let text = slack.json().await["text"].as_str().expect("a text").replace('\u{200b}', "[nothing]");
    insta::assert_snapshot!(text, @"
    🔴 *mlx-tree · studio: the server keeps failing, restarts are held back*
    [SUPERVISOR] Circuit breaker OPEN: no restarts for 60s (5 failures &lt;!channel&gt; @[nothing]all)
    `mlx-tree why` says what it died of; `mlx-tree reset` tries again at once
    ");
}

#[tokio::test]
async fn a_receiver_that_is_down_for_a_moment_gets_the_same_notice_again() {
    let mut hook = Receiver::answering(&["503 Busy", "204 Fine"]).await;
    let (notifier, mut undelivered) = notifier(vec![target("hook", Sink::Webhook(hook.url()))]);
    notifier.event(&opened(5));
    assert_eq!(hook.json().await, hook.json().await);
    notifier.finish(PATIENCE).await;
    drop(notifier);
    assert_eq!(undelivered.recv().await, None);
}

#[tokio::test]
async fn s05_s08_a_refusal_and_a_redirect_are_told_at_once_and_the_url_is_not() {
    let mut elsewhere = Receiver::answering(&[]).await;
    let redirect = format!("307 There\r\nlocation: http://127.0.0.1:{}/", elsewhere.port);
    let (hook, slack) = (Receiver::answering(&["404 No"]).await, Receiver::answering(&[&redirect]).await);
    let closed = Url::new("http://127.0.0.1:1/hook/kanarienvogel");
    let targets = vec![target("hook", Sink::Webhook(hook.url())), target("slack", Sink::Slack(slack.url()))];
    let (notifier, mut undelivered) = notifier(targets);
    notifier.event(&opened(5));
    let mut told = [lost(&mut undelivered).await, lost(&mut undelivered).await];
    told.sort();
    let told = told.map(|(to, why)| format!("{to}: {why}"));
    assert_eq!(
        told,
        ["hook: the receiver answered 404", "slack: the receiver answered 307; redirects are not followed"]
    );
    assert!(elsewhere.heard.try_recv().is_err(), "a redirect was followed");
    let failed =
        deliver_sample(&target("closed", Sink::Webhook(closed)), &source()).await.expect_err("nobody is there");
    assert_eq!(failed.to_string(), "nobody answers there");
    assert!(!format!("{failed:?}").contains("kanarienvogel"));
}

#[tokio::test]
async fn one_that_hangs_keeps_nobody_waiting_and_is_told_of_at_the_end() {
    let (mut hangs, mut works) = (Receiver::answering(&[]).await, Receiver::answering(&["200 OK"]).await);
    let targets = vec![target("hangs", Sink::Webhook(hangs.url())), target("works", Sink::Webhook(works.url()))];
    let (notifier, mut undelivered) = notifier(targets);
    notifier.event(&opened(5));
    hangs.json().await;
    works.json().await;
    notifier.finish(Duration::from_millis(50)).await;
    let (to, why) = lost(&mut undelivered).await;
    assert_eq!((to.as_str(), why.as_str()), ("hangs", "mlx-tree has ended before it could be delivered"));
}

#[tokio::test]
async fn a_corrected_list_delivers_what_the_wrong_one_could_not() {
    let mut hook = Receiver::answering(&["200 OK", "200 OK"]).await;
    let wrong = Url::new("http://127.0.0.1:1/");
    let (notifier, mut undelivered) =
        notifier(vec![target("hook", Sink::Webhook(wrong)), target("old", Sink::Desktop)]);
    notifier.event(&opened(5));
    tokio::task::yield_now().await;
    notifier.replace(vec![target("hook", Sink::Webhook(hook.url()))]);
    assert_eq!(hook.json().await["event"], "breaker.opened");
    // Its desk was kept: that the alarm is over is told, though the list has changed since.
    notifier.event(&Event { seq: 6, kind: Kind::BreakerClosed { reason: "recovered".to_owned() }, ..opened(6) });
    assert_eq!(hook.json().await["status"], "recovered");
    notifier.finish(PATIENCE).await;
    while let Ok((to, _)) = undelivered.try_recv() {
        assert_eq!(to, "old");
    }
}

#[tokio::test]
async fn a_command_reads_the_notice_and_knows_no_secret_of_ours() {
    let home = tempfile::tempdir().expect("a directory");
    let out = home.path().join("out");
    let text = format!("cat > {0}.new; env | sort >> {0}.new; mv {0}.new {0}", out.display());
    let (notifier, _undelivered) = notifier(vec![target("pager", shell(&text))]);
    notifier.event(&opened(5));
    let told = written(&out).await;
    let (json, environment) = told.split_once('\n').expect("lines");
    let json: serde_json::Value = serde_json::from_str(json).expect("json");
    assert_eq!(json["event"], "breaker.opened");
    assert!(environment.contains("MLX_TREE_NOTICE_EVENT=breaker.opened\n"), "{environment}");
    assert!(environment.contains("MLX_TREE_NOTICE_LEVEL=error\n"), "{environment}");
    assert!(!environment.contains("CARGO"), "it has our environment: {environment}");
}

#[tokio::test]
async fn a_command_that_floods_ends_well_and_one_that_fails_says_its_last_word() {
    let floods = target("floods", shell("yes | head -c 20000000; yes | head -c 20000000 >&2"));
    assert_eq!(deliver_sample(&floods, &source()).await, Ok(()));
    let fails = target("fails", shell("echo first >&2; echo 'no such pager' >&2; exit 3"));
    let failed = deliver_sample(&fails, &source()).await.expect_err("it fails");
    assert_eq!(failed.to_string(), "it ended with code 3: no such pager");
    // Whoever tries it is told; everybody on the machine is not.
    let (notifier, mut undelivered) = notifier(vec![fails]);
    notifier.event(&opened(5));
    notifier.finish(PATIENCE).await;
    assert_eq!(lost(&mut undelivered).await.1, "it ended with code 3");
    let absent = target("absent", Sink::Command(vec!["/nonexistent/pager".to_owned()]));
    let failed = deliver_sample(&absent, &source()).await.expect_err("it is not there");
    assert_eq!(failed, Failure::Lasting("there is no such program".to_owned()));
}

#[tokio::test]
async fn a_command_that_hangs_is_ended_with_all_that_it_has_started() {
    let home = tempfile::tempdir().expect("a directory");
    let out = home.path().join("pids");
    let text = format!("sleep 1000 & echo $! $$ > {}; wait", out.display());
    let (notifier, _undelivered) = notifier(vec![target("hangs", shell(&text))]);
    notifier.event(&opened(5));
    let pids = written(&out).await;
    notifier.finish(Duration::from_millis(1)).await;
    let start = Instant::now();
    for pid in pids.split_whitespace() {
        let exists = || {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            stat.rsplit(')').next().is_some_and(|rest| !rest.is_empty() && !rest.trim_start().starts_with('Z'))
        };
        while exists() {
            assert!(start.elapsed() < PATIENCE, "{pid} is left behind");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

#[tokio::test]
async fn s08_curl_is_told_the_url_where_nobody_can_read_it() {
    let home = tempfile::tempdir().expect("a directory");
    let (arguments, input) = (home.path().join("arguments"), home.path().join("input"));
    let text = format!("echo \"$@\" > {}; /bin/cat > {}; printf 200", arguments.display(), input.display());
    script(home.path(), "curl", &text);
    let url = Url::new("https://hooks.example/kanarienvogel");
    let mut hook = target("hook", Sink::Webhook(url));
    hook.environment = Environment(vec![("PATH".into(), home.path().into())]);
    assert_eq!(deliver_sample(&hook, &source()).await, Ok(()));
    assert_eq!(std::fs::read_to_string(arguments).expect("written"), "--disable --config -\n");
    let input = std::fs::read_to_string(input).expect("written");
    assert!(input.starts_with("url = \"https://hooks.example/kanarienvogel\"\n"), "{input}");

    hook.environment = Environment(vec![("PATH".into(), "/nonexistent".into())]);
    let failed = deliver_sample(&hook, &source()).await.expect_err("there is no curl");
    assert_eq!(failed, Failure::Lasting("https needs curl, which is not there".to_owned()));
}

/// A server with a certificate that nobody has signed, or `None` where that cannot be had.
struct Tls {
    server: Child,
    port: u16,
    certificate: PathBuf,
    heard: Arc<Mutex<String>>,
}

impl Drop for Tls {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

const SERVER: &str = r#"
import http.server, ssl, sys
class Hook(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        print(self.rfile.read(int(self.headers["content-length"])).decode(), flush=True)
        self.send_response(200); self.end_headers()
    def log_message(self, *_): pass
server = http.server.HTTPServer(("127.0.0.1", 0), Hook)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1], sys.argv[2])
server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_address[1], flush=True)
server.serve_forever()
"#;

fn tls(home: &Path) -> Option<Tls> {
    let (certificate, key) = (home.join("certificate"), home.join("key"));
    Command::new("curl").arg("--version").stdout(Stdio::null()).status().ok()?;
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"])
        .args(["-addext", "subjectAltName=DNS:localhost", "-keyout"])
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .stderr(Stdio::null())
        .status();
    made.ok().filter(std::process::ExitStatus::success)?;
    let mut server = Command::new("python3")
        .args(["-c", SERVER])
        .args([&certificate, &key])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(server.stdout.take()?));
    let port = lines.next()?.ok()?.parse().ok()?;
    let heard = Arc::new(Mutex::new(String::new()));
    let into = Arc::clone(&heard);
    std::thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            into.lock().expect("not poisoned").push_str(&(line + "\n"));
        }
    });
    Some(Tls { server, port, certificate, heard })
}

#[tokio::test]
async fn https_arrives_where_the_certificate_is_good_and_nowhere_else() {
    let home = tempfile::tempdir().expect("a directory");
    let Some(tls) = tls(home.path()) else {
        assert!(std::env::var_os("MLX_TREE_CI").is_none(), "CI has curl, openssl and python3");
        return;
    };
    let url = Url::new(format!("https://localhost:{}/hook", tls.port));
    let mut hook = target("hook", Sink::Webhook(url));
    let failed = deliver_sample(&hook, &source()).await.expect_err("nobody has signed it");
    assert!(failed.to_string().starts_with("its certificate is not to be trusted"), "{failed}");
    assert!(tls.heard.lock().expect("not poisoned").is_empty());
    hook.environment.0.push(("SSL_CERT_FILE".into(), tls.certificate.clone().into()));
    assert_eq!(deliver_sample(&hook, &source()).await, Ok(()));
    let start = Instant::now();
    loop {
        if tls.heard.lock().expect("not poisoned").contains("\"event\":\"notify.test\"") {
            return;
        }
        assert!(start.elapsed() < PATIENCE, "it has arrived, and nobody has heard it");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
