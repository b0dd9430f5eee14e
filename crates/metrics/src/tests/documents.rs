//! What documents, dashboards and alert rules say of metrics is true.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use mlx_tree_api::{AttemptEnd, BreakerState, Phase, Probe, ProbeOutcome, RequestOutcome};
use serde_json::Value;

use crate::catalogue::{Family, Type, families};
use crate::words;

/// Labels that Prometheus adds.
const ADDED: [&str; 2] = ["instance", "job"];

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// One metric in a query: its name, and what is asked of its labels.
#[derive(Debug)]
struct Asked {
    name: String,
    matchers: Vec<(String, String)>,
}

impl Asked {
    /// The family, and whether this is the name of one of its lines.
    fn family(&self) -> Option<&'static Family> {
        families().iter().copied().find(|family| match family.kind {
            Type::Counter | Type::Gauge => self.name == family.name,
            Type::Histogram => {
                let part = self.name.strip_prefix(family.name);
                part.is_some_and(|part| ["_bucket", "_sum", "_count"].contains(&part))
            }
        })
    }
}

/// Every metric that a text names.
fn asked(text: &str) -> Vec<Asked> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices("mlx_tree_") {
        let rest = &text[at..];
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        let selector = after.strip_prefix('{').and_then(|after| after.split_once('}')).map_or("", |(inside, _)| inside);
        let matchers = selector.split("\",").filter(|matcher| !matcher.trim().is_empty()).map(|matcher| {
            let (label, value) = matcher.split_once("=").unwrap_or_else(|| panic!("{matcher} in {rest}"));
            let value = value.trim_start_matches('~').trim_matches('"');
            (label.trim().trim_end_matches('!').to_owned(), value.to_owned())
        });
        found.push(Asked { name: name.to_owned(), matchers: matchers.collect() });
    }
    found
}

/// Every label that a text aggregates by or shows.
fn shown(text: &str) -> BTreeSet<String> {
    let lists = text.split("by (").skip(1).filter_map(|rest| rest.split(')').next());
    let shown = text.split("{{").skip(1).filter_map(|rest| rest.split("}}").next());
    let shown =
        shown.filter_map(|inside| inside.split('|').next()).map(|inside| inside.trim().trim_start_matches("$labels."));
    let all = lists.flat_map(|list| list.split(',')).chain(shown).map(|label| label.trim().to_owned());
    all.filter(|label| !label.starts_with('$')).collect()
}

/// The words that a label can have, if they are a closed set.
fn words_of(label: &str) -> Option<Vec<&'static str>> {
    macro_rules! all {
        ($set:ty) => {
            <$set>::ALL.iter().map(|word| word.as_str()).collect()
        };
    }
    Some(match label {
        "phase" => all!(Phase),
        "state" => all!(BreakerState),
        "probe" => all!(Probe),
        "end" => all!(AttemptEnd),
        "outcome" => {
            let (probes, mut outcomes): (Vec<_>, Vec<_>) = (all!(ProbeOutcome), all!(RequestOutcome));
            outcomes.extend(probes);
            outcomes.extend(["applied", "rejected"]);
            outcomes
        }
        "code" => words::CODES.to_vec(),
        "reason" => words::REASONS.to_vec(),
        "limit" => words::LIMITS.to_vec(),
        _ => return None,
    })
}

fn check(place: &str, query: &str) -> usize {
    let asked = asked(query);
    let mut labels: BTreeSet<&str> = ADDED.into_iter().chain(["le"]).collect();
    for one in &asked {
        let family = one.family().unwrap_or_else(|| panic!("{place}: there is no {}", one.name));
        labels.extend(family.labels);
        for (label, value) in &one.matchers {
            let known = family.labels.contains(&label.as_str()) || ADDED.contains(&label.as_str());
            assert!(known, "{place}: {} has no label {label}", one.name);
            let Some(words) = words_of(label).filter(|_| !value.starts_with('$')) else { continue };
            for word in value.split('|') {
                assert!(words.contains(&word), "{place}: {label} is never {word}");
            }
        }
    }
    for label in shown(query) {
        assert!(labels.contains(label.as_str()), "{place}: nothing here has a label {label}");
    }
    asked.len()
}

#[test]
fn the_table_of_the_document_is_the_catalogue() {
    let text = read("docs/METRICS.md");
    let rows = text.lines().filter(|line| line.starts_with("| `mlx_tree_"));
    let rows: Vec<_> = rows.map(|row| row.trim_matches('|').split(" | ").map(str::trim).collect::<Vec<_>>()).collect();
    let known: Vec<_> = families()
        .iter()
        .map(|family| {
            let labels = family.labels.iter().map(|label| format!("`{label}`")).collect::<Vec<_>>().join(", ");
            vec![format!("`{}`", family.name), family.kind.to_string(), labels, family.help.to_owned()]
        })
        .collect();
    assert_eq!(rows, known);
}

#[test]
fn the_document_lists_the_words_that_labels_can_have() {
    let text = read("docs/METRICS.md");
    for label in ["phase", "state", "probe", "end", "code", "reason", "limit"] {
        let row = text.lines().find(|line| line.starts_with(&format!("| `{label}` |")));
        let row = row.unwrap_or_else(|| panic!("there is no row for {label}"));
        for word in words_of(label).expect("a closed set") {
            assert!(row.contains(&format!("`{word}`")), "{label} can be {word}");
        }
    }
    for word in [words::VERBS, words::CHILDREN, words::FALLBACKS].concat() {
        assert!(text.contains(&format!("`{word}`")), "{word}");
    }
}

#[test]
fn the_document_names_no_metric_that_is_not_there() {
    let text = read("docs/METRICS.md");
    for one in asked(&text) {
        let plain = families().iter().any(|family| family.name == one.name);
        assert!(plain || one.family().is_some(), "there is no {}", one.name);
    }
}

#[test]
fn the_alert_rules_ask_for_what_is_there() {
    let text = read("config/prometheus/alerts.yml");
    let rules: Vec<_> = text.split("- alert: ").skip(1).collect();
    assert!(rules.len() > 10);
    let document = read("docs/METRICS.md");
    for rule in rules {
        let name = rule.lines().next().unwrap_or_default();
        assert!(check(name, rule) > 0, "{name} asks for nothing");
        assert!(rule.contains("summary: ") && rule.contains("severity: "), "{name} says nothing");
        assert!(document.contains(&format!("`{name}`")), "{name} is not in the document");
    }
}

#[test]
fn the_dashboard_asks_for_what_is_there() {
    let dashboard: Value = serde_json::from_str(&read("config/grafana/mlx-tree.json")).expect("JSON");
    let mut queries = Vec::new();
    let mut panels = BTreeSet::new();
    for panel in dashboard["panels"].as_array().expect("panels") {
        assert!(panels.insert(panel["id"].as_u64().expect("a number")), "{} is there twice", panel["id"]);
        let title = panel["title"].as_str().expect("a title").to_owned();
        for target in panel["targets"].as_array().into_iter().flatten() {
            let text = |key: &str| target[key].as_str().expect("text").to_owned();
            assert_eq!(target["datasource"]["uid"], "${datasource}", "{title}");
            queries.push((title.clone(), format!("{} {}", text("expr"), text("legendFormat"))));
        }
    }
    for variable in dashboard["templating"]["list"].as_array().expect("variables") {
        if let Some(query) = variable["definition"].as_str() {
            queries.push((variable["name"].to_string(), query.to_owned()));
        }
    }
    for annotation in dashboard["annotations"]["list"].as_array().expect("annotations") {
        let text = |key: &str| annotation[key].as_str().expect("text").to_owned();
        queries.push((text("name"), format!("{} {} {}", text("expr"), text("titleFormat"), text("textFormat"))));
    }
    assert!(queries.len() > 30);
    for (place, query) in &queries {
        assert!(check(place, query) > 0, "{place} asks for nothing");
    }
}

#[test]
fn a_query_that_asks_for_what_is_not_there_is_found() {
    let wrong = |query: &'static str| std::panic::catch_unwind(|| check("a test", query)).is_err();
    assert!(!wrong("sum by (server) (rate(mlx_tree_tokens_total{server=~\"$server\"}[5m])) {{server}}"));
    for query in [
        "mlx_tree_token_total",
        "mlx_tree_request_seconds",
        "mlx_tree_tokens_total{outcome=\"good\"}",
        "mlx_tree_server_phase{phase=\"asleep\"}",
        "sum by (reason) (mlx_tree_tokens_total)",
        "mlx_tree_tokens_total {{code}}",
    ] {
        assert!(wrong(query), "{query}");
    }
}
