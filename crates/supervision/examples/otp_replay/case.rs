//! The format of a case: a supervisor, scripted children, and what happens to them.

use std::time::Duration;

use mlx_tree_supervision::core::ChildRules;
use mlx_tree_supervision::{
    AutoShutdown, ChildKind, Intensity, OnIntensityExceeded, Readiness, Restart, Shutdown, Significance, Strategy,
};
use serde::Deserialize;

#[derive(Debug, Deserialize)]
pub(crate) struct Case {
    pub(crate) id: String,
    pub(crate) sup: Flags,
    #[serde(default)]
    pub(crate) children: Vec<Child>,
    #[serde(default)]
    pub(crate) ops: Vec<Op>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Flags {
    strategy: Option<String>,
    intensity: Option<u32>,
    period: Option<u64>,
    auto_shutdown: Option<String>,
}

/// A child of the tree, or a new one in `start_child` (dynamic ones have a label instead of an id).
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Child {
    pub(crate) id: String,
    restart: Option<String>,
    shutdown: Option<serde_json::Value>,
    #[serde(rename = "type")]
    kind: Option<String>,
    significant: Option<bool>,
    #[serde(default = "ok")]
    pub(crate) start: Vec<String>,
    #[serde(default = "shutdown")]
    pub(crate) stop: String,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Op {
    pub(crate) op: String,
    pub(crate) id: Option<String>,
    pub(crate) why: Option<String>,
    #[serde(default)]
    pub(crate) list: Vec<(String, String)>,
    pub(crate) s: Option<u64>,
    pub(crate) spec: Option<Child>,
    pub(crate) label: Option<String>,
    pub(crate) start: Option<Vec<String>>,
    pub(crate) stop: Option<String>,
    #[serde(default)]
    pub(crate) during: Vec<Op>,
}

fn ok() -> Vec<String> {
    vec!["ok".to_owned()]
}

fn shutdown() -> String {
    "shutdown".to_owned()
}

// === impl Flags ===

impl Flags {
    pub(crate) fn strategy(&self) -> Strategy {
        match self.strategy.as_deref() {
            None | Some("one_for_one") => Strategy::OneForOne,
            Some("one_for_all") => Strategy::OneForAll,
            Some("rest_for_one") => Strategy::RestForOne,
            Some("simple_one_for_one") => Strategy::Dynamic,
            Some(other) => panic!("no such strategy: {other}"),
        }
    }

    pub(crate) fn intensity(&self) -> Intensity {
        Intensity::new(self.intensity.unwrap_or(1), Duration::from_secs(self.period.unwrap_or(5)))
    }

    pub(crate) fn auto_shutdown(&self) -> AutoShutdown {
        match self.auto_shutdown.as_deref() {
            None | Some("never") => AutoShutdown::Never,
            Some("any_significant") => AutoShutdown::AnySignificant,
            Some("all_significant") => AutoShutdown::AllSignificant,
            Some(other) => panic!("no such auto_shutdown: {other}"),
        }
    }
}

// === impl Child ===

impl Child {
    pub(crate) fn rules(&self) -> ChildRules {
        let kind = match self.kind.as_deref() {
            None | Some("worker") => ChildKind::Worker,
            Some("supervisor") => ChildKind::Supervisor,
            Some(other) => panic!("no such type: {other}"),
        };
        ChildRules {
            restart: match self.restart.as_deref() {
                None | Some("permanent") => Restart::Permanent,
                Some("transient") => Restart::Transient,
                Some("temporary") => Restart::Temporary,
                Some(other) => panic!("no such restart: {other}"),
            },
            shutdown: match &self.shutdown {
                None => Shutdown::default_for(kind),
                Some(rule) => match (rule.as_str(), rule.as_u64()) {
                    (Some("brutal_kill"), _) => Shutdown::Kill,
                    (Some("infinity"), _) => Shutdown::Infinity,
                    (_, Some(millis)) => Shutdown::Timeout(Duration::from_millis(millis)),
                    _ => panic!("no such shutdown: {rule}"),
                },
            },
            kind,
            significance: match self.significant {
                Some(true) => Significance::Significant,
                Some(false) | None => Significance::Ordinary,
            },
            readiness: Readiness::Started,
            on_intensity_exceeded: OnIntensityExceeded::Escalate,
        }
    }
}
