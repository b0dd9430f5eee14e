//! Stories of what is told and what is shown of it, in no time: the clock is passed in.

mod documents;
mod parser;
mod stories;
mod text;
mod trends;

use std::time::Duration;

use mlx_tree_api::{Event, Kind, Phase, Sample, Status};

use crate::render;
use crate::shell::Own;
use crate::totals::{ServerTotals, Totals};

use parser::Text;

/// Totals with a clock that stands until it is moved.
struct Story {
    totals: Totals,
    now: Duration,
}

impl Story {
    fn of(servers: &[&str]) -> Self {
        Self { totals: Totals::new(servers.iter().map(|name| (*name).to_owned())), now: Duration::ZERO }
    }

    fn at(&mut self, seconds: f64) -> &mut Self {
        let now = Duration::from_secs_f64(seconds);
        assert!(now >= self.now, "time does not go back");
        self.now = now;
        self
    }

    /// Incarnation `epoch` of the default server does this.
    fn event(&mut self, epoch: u64, kind: Kind) -> &mut Self {
        self.told("server", epoch, kind)
    }

    fn told(&mut self, child: &str, epoch: u64, kind: Kind) -> &mut Self {
        self.heard(child, None, epoch, kind)
    }

    /// Something has happened to a request of `server`.
    fn asked(&mut self, server: &str, kind: Kind) -> &mut Self {
        self.heard("gateway", Some(server.to_owned()), 1, kind)
    }

    fn heard(&mut self, child: &str, server: Option<String>, epoch: u64, kind: Kind) -> &mut Self {
        let (at, child) = ("2026-01-01T00:00:00Z".to_owned(), child.to_owned());
        self.totals.on_event(&Event { seq: 1, at, child, epoch, server, kind }, self.now);
        self
    }

    fn sample(&mut self, sample: &Sample<'_>) -> &mut Self {
        self.totals.on_sample(sample, self.now);
        self
    }

    fn enters(&mut self, server: &str, phase: Phase) -> &mut Self {
        self.sample(&Sample::Entered { server, phase })
    }

    fn server(&self, name: &str) -> &ServerTotals {
        self.totals.servers().find(|(known, _)| *known == name).map(|(_, totals)| totals).expect("a known server")
    }

    fn page(&self) -> String {
        let own = Own { memory_bytes: Some(9_000_000), cpu: Some(Duration::from_millis(1_250)) };
        render::page(&self.totals, &status(), &own, self.now)
    }

    fn text(&self) -> Text {
        parser::parse(&self.page()).expect("the text keeps to its format")
    }
}

fn spawned() -> Kind {
    Kind::ServerSpawned { pid: 7, url: "http://127.0.0.1:1".to_owned() }
}

fn ready(took_s: f64) -> Kind {
    Kind::ServerReady { pid: 7, url: "http://127.0.0.1:1".to_owned(), took_s }
}

fn exited(reason: &str) -> Kind {
    Kind::ServerExited { reason: reason.to_owned(), code: None, signal: Some(9), message: String::new(), cause: None }
}

fn granted() -> Kind {
    Kind::RestartGranted { consecutive: 1 }
}

fn operator(verb: &str) -> Kind {
    Kind::OperatorRequested { verb: verb.to_owned() }
}

/// A server that serves, behind a gateway.
fn status() -> Status {
    let status = serde_json::json!({
        "state": "running",
        "process_pid": 7,
        "restart_count": 0,
        "health_check_failures": 0,
        "circuit_breaker_state": "closed",
        "phase": "ready",
        "server": {"kind": "mlx_lm", "model": "builtin:tiny", "epoch": 1, "memory_bytes": 1_073_741_824,
            "memory_soft_limit_bytes": 2_147_483_648_u64},
        "breaker": {
            "state": "closed", "consecutive_failures": 0, "failure_threshold": 5, "restarts_in_window": 0, "max_restarts": 5,
            "period_s": 300.0
        },
        "health": {"failures": 0, "failure_threshold": 3},
        "children": [],
        "journal": [],
        "gateway": {
            "url": "http://127.0.0.1:8080", "in_flight": 1, "queued": 2,
            "gates": [{"server": "server", "in_flight": 1, "queued": 2, "limit": 4}]
        },
        "supervisor": {"pid": 1, "version": "0.1.0", "uptime_s": 12.5}
    });
    serde_json::from_value(status).expect("a status document")
}
