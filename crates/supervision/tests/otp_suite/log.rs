//! format_log_*: what a supervisor writes into the log.

use std::io;
use std::sync::{Arc, LazyLock, Mutex};

use mlx_tree_supervision::test_util::{Act, MockChild};
use mlx_tree_supervision::{ChildSpec, Shutdown, Supervisor};
use ractor::{Actor, ActorProcessingErr, ActorRef};
use serde_json::Value;

use crate::util::*;

/// Keeps what is written to it.
#[derive(Clone, Default)]
struct Page(Arc<Mutex<Vec<u8>>>);

impl io::Write for Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What a supervisor logs up to its end, a JSON document a line.
async fn log_of(supervisor: Supervisor) -> Vec<Value> {
    // While there is only one subscriber, `tracing` asks it alone whether a place in the code is of interest, and on a thread
    // without it, where the other tests are, the answer would be no, for everybody.
    static OTHER: LazyLock<tracing::Dispatch> =
        LazyLock::new(|| tracing::Dispatch::new(tracing::subscriber::NoSubscriber::new()));
    LazyLock::force(&OTHER);
    let page = Page::default();
    let writer = page.clone();
    let subscriber = tracing_subscriber::fmt().json().with_max_level(tracing::Level::TRACE);
    // On one thread, so that everything the actors log comes here.
    let _log = tracing::subscriber::set_default(subscriber.with_writer(move || writer.clone()).finish());
    supervisor.start().await.unwrap().closed().await;
    let text = String::from_utf8(page.0.lock().unwrap().clone()).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("a document a line"));
    lines.filter(|line| line["target"] == "mlx_tree::supervisor").collect()
}

/// Each kind of report has all of OTP's fields, each with its own word for them.
#[tokio::test(start_paused = true)]
async fn format_log_1() {
    let log = log_of(
        Supervisor::one_for_one()
            .name("local supervisor")
            .child(MockChild::spec("hangs", [Act::HangInStop]).shutdown(Shutdown::Timeout(MS(700))))
            .child(MockChild::spec("fails", [Act::CrashAfter(S(1)), Act::FailStart]).shutdown(Shutdown::Infinity)),
    )
    .await;
    let field = |line: &Value, name: &str| match &line["fields"][name] {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let names = ["context", "reason", "child", "epoch", "restart", "shutdown"];
    let reports = log.iter().filter(|line| line["fields"]["message"] == "supervisor report");
    let reports: Vec<_> = reports
        .map(|line| {
            assert_eq!(field(line, "supervisor"), "local supervisor");
            let fields = names.map(|name| field(line, name)).join(" | ");
            format!("{} {fields}", line["level"].as_str().unwrap())
        })
        .collect();
    assert_eq!(
        reports,
        [
            "WARN child_terminated | mock crash | fails | 1 | permanent | infinity",
            "WARN start_error | start failed: mock crash | fails | 2 | permanent | infinity",
            "ERROR shutdown | reached_max_restart_intensity | fails | 2 | permanent | infinity",
            "WARN shutdown_error | killed | hangs | 1 | permanent | 700",
        ]
    );
    // OTP's progress reports: each child that has started, at level info.
    let progress = log.iter().filter(|line| field(line, "context") == "progress");
    let progress: Vec<_> = progress
        .map(|line| {
            assert_eq!(line["level"], "INFO");
            format!("{} {} {}", field(line, "child"), field(line, "epoch"), field(line, "message"))
        })
        .collect();
    assert_eq!(
        progress,
        ["hangs 1 child.started", "hangs 1 child.ready", "fails 1 child.started", "fails 1 child.ready"]
    );
}

/// Says something long, of several lines, with characters that are not for a terminal.
struct Verbose;

fn speech() -> String {
    format!("first line\nsecond \"line\" \\ \t\u{1b}[31mred\u{1b}[0m {}", "word ".repeat(4_000))
}

impl Actor for Verbose {
    type Msg = ();
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, myself: ActorRef<()>, (): ()) -> Result<(), ActorProcessingErr> {
        let _ = myself.send_message(());
        Ok(())
    }

    async fn handle(&self, _: ActorRef<()>, (): (), (): &mut ()) -> Result<(), ActorProcessingErr> {
        Err(speech().into())
    }
}

/// A report is one line and nothing of it is lost, whatever a child says about its end. (OTP's formatter has limits of depth
/// and length; here they are the business of whoever writes the log.)
#[tokio::test(start_paused = true)]
async fn format_log_2() {
    let log = log_of(Supervisor::one_for_one().child(ChildSpec::actor("verbose", |_| (Verbose, ())))).await;
    let terminated = |line: &&Value| line["fields"]["context"] == "child_terminated";
    let reasons: Vec<_> = log.iter().filter(terminated).map(|line| line["fields"]["reason"].as_str()).collect();
    assert_eq!(reasons, [Some(speech().as_str()); 2]);
}
