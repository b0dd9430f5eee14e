//! What a changed configuration means for one that runs.

use std::collections::BTreeMap;

use mlx_tree_settings::{Contradiction, Effect, Plan, Settings, plan};

use crate::support::User;

/// Every key, with another value for it, and with what has to be there for that to make sense and to mean anything. A key
/// without a row fails the test below.
const OTHERS: &[(&str, &str, &str)] = &[
    ("state_dir", "\"/elsewhere/state\"", ""),
    ("data_dir", "\"/elsewhere/data\"", ""),
    ("notify", "[{ kind = \"desktop\" }]", ""),
    ("server.name", "\"coder\"", ""),
    ("server.aliases", "[\"gpt\"]", ""),
    ("server.kind", "\"openai\"", "server.command = [\"serve\", \"{port}\"]"),
    ("server.python", "\"/usr/bin/python3\"", ""),
    ("server.model", "\"org/other\"", ""),
    ("server.args", "[\"--temp\", \"0.5\"]", ""),
    ("server.command", "[\"serve\", \"{port}\"]", ""),
    ("server.cwd", "\"/tmp\"", ""),
    ("server.host", "\"127.0.0.2\"", ""),
    ("server.port", "9999", ""),
    ("server.preload", "[\"Hi\"]", ""),
    ("server.start_timeout", "\"5s\"", ""),
    ("server.trust_remote_code", "true", ""),
    ("server.start", "\"on_demand\"", ""),
    ("server.idle_stop", "\"5m\"", "server.start = \"preload\""),
    ("server.memory", "\"1GiB\"", ""),
    ("server.memory_soft_limit", "\"1GiB\"", ""),
    ("server.memory_hard_limit", "\"1GiB\"", ""),
    ("server.launch.ranks", "2", ""),
    ("server.launch.hostfile", "\"/hosts\"", ""),
    ("server.launch.backend", "\"mpi\"", "server.launch.ranks = 2"),
    ("server.env", "{ HF_HOME = \"/models\" }", ""),
    ("memory.budget", "\"9GiB\"", "server.memory = \"1GiB\""),
    ("memory.min_stay", "\"1s\"", ""),
    ("memory.turn", "\"1s\"", ""),
    ("memory.soft_patience", "\"1s\"", ""),
    ("memory.soft_every", "\"1s\"", ""),
    ("restart.policy", "\"transient\"", ""),
    ("restart.max_restarts", "7", ""),
    ("restart.period", "\"7s\"", ""),
    ("restart.backoff_initial", "\"1s\"", ""),
    ("restart.backoff_max", "\"7s\"", ""),
    ("restart.jitter", "0.5", ""),
    ("restart.stable_after", "\"400s\"", ""),
    ("breaker.failure_threshold", "7", ""),
    ("breaker.open_for", "\"7s\"", ""),
    ("breaker.open_growth", "3.0", ""),
    ("breaker.open_max", "\"700s\"", ""),
    ("breaker.probation", "\"7s\"", ""),
    ("health.path", "\"/ping\"", ""),
    ("health.interval", "\"7s\"", ""),
    ("health.timeout", "\"1s\"", ""),
    ("health.failure_threshold", "7", ""),
    ("health.canary_idle", "\"0s\"", ""),
    ("health.canary_timeout", "\"7s\"", ""),
    ("health.stall_after", "\"7s\"", ""),
    ("shutdown.grace", "\"7s\"", ""),
    ("shutdown.hung_grace", "\"7s\"", ""),
    ("shutdown.drain", "\"7s\"", ""),
    ("gateway.listen", "\"127.0.0.1:9998\"", ""),
    ("gateway.max_inflight", "7", ""),
    ("gateway.max_queue", "7", ""),
    ("gateway.hold_budget", "\"7s\"", ""),
    ("gateway.climb_after", "\"7s\"", ""),
    ("gateway.stall_timeout", "\"7s\"", ""),
    ("gateway.continue_streams", "\"never\"", ""),
    ("gateway.unknown_model", "\"default\"", ""),
    ("gateway.max_connections", "77", ""),
    ("gateway.max_body", "\"7MiB\"", ""),
    ("gateway.max_buffered", "\"77MiB\"", ""),
    ("gateway.write_timeout", "\"7s\"", ""),
    ("gateway.allowed_hosts", "[\"studio.local\"]", ""),
    ("gateway.allowed_origins", "[\"http://localhost:3000\"]", ""),
    ("gateway.tokens", "[\"canary-canary-canary\"]", ""),
    ("fallback.policy", "\"label\"", "fallback.model = \"qwen3:8b\""),
    ("fallback.kind", "\"openai\"", ""),
    ("fallback.url", "\"http://127.0.0.1:9997\"", ""),
    ("fallback.model", "\"qwen3:8b\"", ""),
    ("fallback.models", "[{ name = \"a\", fallback = \"b\" }]", ""),
    ("fallback.num_ctx", "4096", ""),
    ("fallback.keep_alive", "\"7m\"", ""),
    ("fallback.timeout", "\"7s\"", ""),
    ("fallback.max_inflight", "7", ""),
    ("control.listen", "\"127.0.0.1:9996\"", ""),
    ("log.language", "\"ru\"", ""),
    ("log.format", "\"json\"", ""),
    ("log.level", "\"debug\"", ""),
    ("reports.keep", "7", ""),
    ("reports.max_bytes", "\"7MiB\"", ""),
];

fn settings(text: &str) -> Settings {
    User::new().with_env("MLX_TREE__STATE_DIR", "/state").with_env("MLX_TREE__DATA_DIR", "/data").at(text)
}

trait At {
    /// The settings of a file with this text; directories may be named there after all.
    fn at(self, text: &str) -> Settings;
}

impl At for User {
    fn at(self, text: &str) -> Settings {
        let user = if text.contains("_dir = ") { User::new() } else { self };
        let home = if text.contains("_dir = ") { "state_dir = \"/state\"\n" } else { "" };
        let home = if text.contains("state_dir = ") { "data_dir = \"/data\"\n" } else { home };
        user.with_file(&format!("{home}{text}")).loaded().settings
    }
}

/// What becomes of these settings when one key says something else.
fn changed(key: &str, value: &str, beside: &str) -> Plan {
    let line = |key: &str, value: &str| format!("{key} = {value}\n");
    let old = settings(&format!("{beside}\n"));
    let new = settings(&format!("{beside}\n{}", line(key, value)));
    plan(&old, &new)
}

#[test]
fn every_key_is_named_by_the_plan_when_it_changes_and_no_other_is() {
    let read = User::new().loaded();
    let others: BTreeMap<&str, (&str, &str)> =
        OTHERS.iter().map(|(key, value, beside)| (*key, (*value, *beside))).collect();
    for entry in read.entries() {
        let key = entry.key.as_str();
        let (value, beside) = others.get(key).unwrap_or_else(|| panic!("{key} has no row in OTHERS"));
        let plan = changed(key, value, beside);
        let named: Vec<&str> = plan.changes().iter().map(|change| change.key.as_str()).collect();
        let expected = if key == "server.env" { "server.env.HF_HOME" } else { key };
        assert_eq!(named, [expected], "{key}");
    }
    assert_eq!(others.len(), read.entries().len(), "OTHERS has a row for a key that does not exist");
}

#[test]
fn what_holds_afterwards_is_the_new_value_unless_it_waits_for_a_restart_of_mlx_tree() {
    for (key, value, beside) in OTHERS {
        let (old, new) = (settings(beside), settings(&format!("{beside}\n{key} = {value}\n")));
        let plan = plan(&old, &new);
        let waits = plan.changes().iter().all(|change| change.effect == Effect::Program);
        let expected = if waits { &old } else { &new };
        assert_eq!(plan.settings(), expected, "{key}");
        assert_eq!(plan.pending().count(), usize::from(waits), "{key}");
    }
}

#[test]
fn a_second_look_finds_only_what_still_waits() {
    for (key, value, beside) in OTHERS {
        let (old, new) = (settings(beside), settings(&format!("{beside}\n{key} = {value}\n")));
        assert!(plan(&old, &old).is_empty(), "{key}");
        let first = plan(&old, &new);
        let second = plan(first.settings(), &new);
        let waiting: Vec<_> = first.pending().collect();
        assert_eq!(second.changes().iter().map(|change| change.key.as_str()).collect::<Vec<_>>(), waiting, "{key}");
    }
}

#[test]
fn what_a_process_was_started_with_restarts_its_server_and_the_rest_does_not() {
    let restarts: Vec<&str> = OTHERS
        .iter()
        .filter(|(key, value, beside)| !changed(key, value, beside).restarts().is_empty())
        .map(|(key, ..)| *key)
        .collect();
    assert_eq!(
        restarts,
        [
            "server.kind",
            "server.python",
            "server.model",
            "server.args",
            "server.command",
            "server.cwd",
            "server.host",
            "server.port",
            "server.launch.ranks",
            "server.launch.hostfile",
            "server.launch.backend",
            "server.env",
        ]
    );
}

#[test]
fn a_plan_is_told_in_lines_that_show_no_secret() {
    let old = settings("");
    let new = settings(
        "server.model = \"org/other\"\nserver.preload = [\"Hi\"]\ngateway.max_inflight = 8\ngateway.listen = \"\"\n\
         gateway.tokens = [\"canary-canary-canary\"]\nserver.env.HF_TOKEN = \"canary\"\nserver.args = [\"--api-key\", \"canary\"]",
    );
    let plan = plan(&old, &new);
    insta::assert_snapshot!(plan.lines().join("\n"), @r#"
    server.model: "builtin:tiny" → "org/other" (restarts server)
    server.args: [] → ["--api-key", "***"] (restarts server)
    server.env.HF_TOKEN: - → "***" (restarts server)
    server.preload: [] → ["Hi"] (at the next start of server)
    gateway.listen: "127.0.0.1:8080" → "" (when mlx-tree is restarted)
    gateway.max_inflight: 4 → 8 (live)
    gateway.tokens: [] → ["***"] (live)
    "#);
}

#[test]
fn what_everybody_may_read_leaves_out_what_a_server_is_given() {
    let old = settings("server.args = [\"--seed\", \"1\"]");
    let new = settings(
        "server.args = [\"--seed\", \"2\"]\nserver.env.PLAIN = \"canary\"\ngateway.max_queue = 3\n\
         [[notify]]\nkind = \"command\"\ncommand = [\"/bin/page\", \"canary\"]",
    );
    assert_eq!(
        plan(&old, &new).open_lines(),
        [
            "notify: … → … (live)",
            "server.args: … → … (restarts server)",
            "server.env.PLAIN: … → … (restarts server)",
            "gateway.max_queue: 64 → 3 (live)",
        ]
    );
}

/// The document marks what does not hold at once.
#[test]
fn the_document_marks_each_key_by_what_a_change_takes() {
    let document = include_str!("../../../../docs/CONFIGURATION.md");
    for (key, value, beside) in OTHERS {
        let row = document.lines().find(|line| line.starts_with(&format!("| `{key}` |"))).expect("a row");
        let marks = ["*Restarts mlx-tree.* |", "*Restarts the server.* |", "*At the next start.* |"];
        let found = marks.iter().position(|mark| row.ends_with(mark));
        let expected = match &changed(key, value, beside).changes()[0].effect {
            Effect::Live => None,
            Effect::Program => Some(0),
            Effect::Restart(_) => Some(1),
            Effect::NextStart(_) => Some(2),
        };
        assert_eq!(found, expected, "{key}: {row}");
    }
}

#[test]
fn a_token_that_is_exchanged_is_a_change_that_shows_neither() {
    let old = settings("gateway.tokens = [\"canary-one-canary\"]");
    let new = settings("gateway.tokens = [\"canary-two-canary\"]");
    let line = plan(&old, &new).lines().join("\n");
    assert_eq!(line, "gateway.tokens: [\"***\"] → [\"***\"] (live)");
}

const TWO: &str = "[[server]]\nname = \"chat\"\n[[server]]\nname = \"coder\"\n";

#[test]
fn of_several_servers_only_the_one_that_changes_is_restarted() {
    let old = settings(TWO);
    let new = settings(&format!("{TWO}args = [\"--temp\", \"0.5\"]\n"));
    let plan = plan(&old, &new);
    assert_eq!(plan.restarts(), ["coder"]);
    assert_eq!(plan.lines(), ["server[1].args: [] → [\"--temp\", \"0.5\"] (restarts coder)"]);
}

#[test]
fn another_set_of_servers_waits_and_those_that_stay_are_changed() {
    let old = settings(TWO);
    let new = settings("[[server]]\nname = \"coder\"\nmodel = \"org/other\"\n[[server]]\nname = \"judge\"\n");
    let plan = plan(&old, &new);
    assert_eq!(
        plan.lines(),
        [
            "server: [\"chat\", \"coder\"] → [\"coder\", \"judge\"] (when mlx-tree is restarted)",
            "server.model: \"builtin:tiny\" → \"org/other\" (restarts coder)",
        ]
    );
    let names: Vec<&str> = plan.settings().servers().map(mlx_tree_settings::ServerSettings::name).collect();
    assert_eq!(names, ["chat", "coder"]);
    assert_eq!(plan.settings().further_servers[0].model, "org/other");
}

#[test]
fn the_working_directory_moves_with_the_state_directory_and_not_before_it() {
    let plan = plan(&settings(""), &settings("state_dir = \"/elsewhere\""));
    assert_eq!(plan.changes().iter().map(|change| change.key.as_str()).collect::<Vec<_>>(), ["state_dir"]);
}

/// Halves of two sound configurations: what would run is not what was checked.
#[test]
fn what_would_only_hold_after_a_restart_of_mlx_tree_does_not_excuse_what_holds_now() {
    let open = settings("gateway.listen = \"0.0.0.0:8080\"\ngateway.tokens = [\"canary-canary-canary\"]");
    let shut = settings("gateway.listen = \"127.0.0.1:8080\"");
    assert_eq!(plan(&open, &shut).check(), Err(Contradiction::OpenToAll("0.0.0.0:8080".parse().expect("an address"))));
    assert_eq!(plan(&shut, &open).check(), Ok(()));

    let moved = settings("gateway.listen = \"127.0.0.1:9090\"\nserver.port = 8080");
    assert_eq!(plan(&shut, &moved).check(), Err(Contradiction::PortTaken { port: 8080, by: "the gateway" }));

    let sleeping = settings("server.start = \"on_demand\"\nserver.memory = \"2GiB\"\nmemory.budget = \"4GiB\"");
    let small = settings("server.memory = \"2GiB\"\nmemory.budget = \"2GiB\"");
    assert_eq!(plan(&sleeping, &small).check(), Ok(()));
}
