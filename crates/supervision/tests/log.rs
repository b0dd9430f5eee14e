//! The log of a supervisor: its target and the fields of its reports are a contract.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mlx_tree_supervision::test_util::{Act, MockChild};
use mlx_tree_supervision::{Shutdown, Supervisor};
use serde_json::Value;

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

/// What a supervisor logs, up to its end.
async fn log_of(supervisor: Supervisor) -> Vec<Value> {
    let page = Page::default();
    let writer = page.clone();
    let subscriber = tracing_subscriber::fmt()
        .json()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    // On one thread, so that everything the actors log comes here.
    let _log = tracing::subscriber::set_default(subscriber);
    supervisor.start().await.unwrap().closed().await;
    let text = String::from_utf8(page.0.lock().unwrap().clone()).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter(|line| line["target"] == "mlx_tree::supervisor").collect()
}

#[tokio::test(start_paused = true)]
async fn reports_have_the_fields_of_otps() {
    let supervisor = Supervisor::one_for_one()
        .name("root")
        .child(MockChild::spec("wedged", [Act::HangInStop]).shutdown(Shutdown::Timeout(Duration::from_millis(250))))
        .child(MockChild::spec("culprit", [Act::Crash, Act::FailStart]).shutdown(Shutdown::Kill));
    let log = log_of(supervisor).await;
    let reports: Vec<_> = log
        .iter()
        .filter(|line| line["fields"]["message"] == "supervisor report")
        .map(|line| {
            let fields = &line["fields"];
            assert_eq!(fields["supervisor"], "root");
            let text = |name: &str| fields[name].as_str().unwrap().to_owned();
            format!(
                "{} {} {}#{} {} {}: {}",
                line["level"].as_str().unwrap(),
                text("context"),
                text("child"),
                fields["epoch"],
                text("restart"),
                text("shutdown"),
                text("reason")
            )
        })
        .collect();
    assert_eq!(
        reports,
        [
            "WARN child_terminated culprit#1 permanent brutal_kill: mock crash",
            "WARN start_error culprit#2 permanent brutal_kill: start failed: mock crash",
            "ERROR shutdown culprit#2 permanent brutal_kill: reached_max_restart_intensity",
            "WARN shutdown_error wedged#1 permanent 250: killed",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_child_that_starts_is_progress() {
    let supervisor = Supervisor::one_for_one()
        .name("root")
        .child(MockChild::spec("a", [Act::CrashAfter(Duration::from_secs(9)), Act::Crash, Act::Crash]));
    let log = log_of(supervisor).await;
    let progress = log.iter().find(|line| line["fields"]["context"] == "progress").unwrap();
    assert_eq!((progress["level"].as_str(), progress["fields"]["child"].as_str()), (Some("INFO"), Some("a")));
}
