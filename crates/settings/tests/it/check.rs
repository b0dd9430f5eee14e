//! What `mlx-tree check` shows.

use crate::support::User;

#[test]
fn every_key_is_shown_with_its_value_and_its_origin() {
    let user = User::new()
        .with_env("XDG_STATE_HOME", "/var/state")
        .with_env("XDG_DATA_HOME", "/var/data")
        .with_user_file("[server]\nport = 9000\nargs = [\"--temp\", \"0.5\"]\n[restart]\npolicy = \"always\"")
        .with_env("MLX_TREE__HEALTH__INTERVAL", "1m30s")
        .with_flag("--language", "log.language", "ru");
    insta::assert_snapshot!(user.without_home(&user.loaded().to_string()), @r#"
    # ~/.config/mlx-tree/config.toml (read)

    state_dir = "/var/state/mlx-tree"        # default
    data_dir = "/var/data/mlx-tree"          # default
    notify = []                              # default

    server.name = ""                         # default
    server.aliases = []                      # default
    server.kind = "mlx_lm"                   # default
    server.python = "auto"                   # default
    server.model = "builtin:tiny"            # default
    server.args = ["--temp", "0.5"]          # ~/.config/mlx-tree/config.toml
    server.command = []                      # default
    server.cwd = "/var/state/mlx-tree"       # default
    server.env = {}                          # default
    server.host = "127.0.0.1"                # default
    server.port = 9000                       # ~/.config/mlx-tree/config.toml
    server.preload = []                      # default
    server.start_timeout = "600s"            # default
    server.trust_remote_code = false         # default
    server.start = "always"                  # default
    server.idle_stop = "0s"                  # default
    server.memory = ""                       # default
    server.memory_soft_limit = ""            # default
    server.memory_hard_limit = ""            # default
    server.launch.ranks = 1                  # default
    server.launch.hostfile = ""              # default
    server.launch.backend = "ring"           # default

    memory.budget = ""                       # default
    memory.min_stay = "10s"                  # default
    memory.turn = "30s"                      # default
    memory.soft_patience = "600s"            # default
    memory.soft_every = "1800s"              # default

    restart.policy = "permanent"             # ~/.config/mlx-tree/config.toml
    restart.max_restarts = 5                 # default
    restart.period = "300s"                  # default
    restart.backoff_initial = "2s"           # default
    restart.backoff_max = "60s"              # default
    restart.jitter = 0.0                     # default
    restart.stable_after = "300s"            # default

    breaker.failure_threshold = 5            # default
    breaker.open_for = "60s"                 # default
    breaker.open_growth = 2.0                # default
    breaker.open_max = "600s"                # default
    breaker.probation = "60s"                # default

    health.path = ""                         # default
    health.interval = "90s"                  # MLX_TREE__HEALTH__INTERVAL
    health.timeout = "5s"                    # default
    health.failure_threshold = 3             # default
    health.canary_idle = "60s"               # default
    health.canary_timeout = "120s"           # default
    health.stall_after = "60s"               # default

    shutdown.grace = "10s"                   # default
    shutdown.hung_grace = "3s"               # default
    shutdown.drain = "30s"                   # default

    gateway.listen = "127.0.0.1:8080"        # default
    gateway.max_inflight = 4                 # default
    gateway.max_queue = 64                   # default
    gateway.hold_budget = "90s"              # default
    gateway.climb_after = "30s"              # default
    gateway.stall_timeout = "300s"           # default
    gateway.continue_streams = "greedy"      # default
    gateway.unknown_model = "refuse"         # default
    gateway.max_connections = 256            # default
    gateway.max_body = "32MiB"               # default
    gateway.max_buffered = "256MiB"          # default
    gateway.write_timeout = "30s"            # default
    gateway.allowed_hosts = []               # default
    gateway.allowed_origins = []             # default
    gateway.tokens = []                      # default

    fallback.policy = "deny"                 # default
    fallback.kind = "ollama"                 # default
    fallback.url = "http://127.0.0.1:11434"  # default
    fallback.model = ""                      # default
    fallback.models = []                     # default
    fallback.num_ctx = 8192                  # default
    fallback.keep_alive = "300s"             # default
    fallback.timeout = "120s"                # default
    fallback.max_inflight = 2                # default

    control.listen = "127.0.0.1:8081"        # default

    reports.keep = 50                        # default
    reports.max_bytes = "20MiB"              # default

    log.language = "ru"                      # --language
    log.format = "narration"                 # default
    log.level = "info"                       # default
    "#);
}

#[test]
fn secrets_are_not_shown() {
    let user = User::new().with_file(
        "[server]\nargs = [\"--api-key\", \"canary-1\"]\n[server.env]\nHF_TOKEN = \"canary-2\"\nHF_HOME = \"/models\"\nDB_PASSWORD = \"\"",
    );
    let loaded = user.loaded();
    let shown = loaded.to_string();
    for line in ["server.env.HF_HOME = \"/models\"", "server.env.HF_TOKEN = \"***\"", "server.env.DB_PASSWORD = \"\""] {
        assert!(shown.contains(line), "{line} in\n{shown}");
    }
    assert!(!shown.contains("canary-"), "{shown}");
    let debug = format!("{loaded:?}");
    assert!(!debug.contains("canary-2"), "{debug}");
    assert_eq!(loaded.settings.server.env.get("HF_TOKEN"), Some("canary-2"), "the server gets it");
}

#[test]
fn what_is_shown_cannot_break_out_of_its_line() {
    let user = User::new().with_file("[server]\nmodel = \"a\\n\\u001b[31mb \\\" c\"");
    let shown = user.loaded().to_string();
    assert!(shown.contains(r#"server.model = "a\n\u001B[31mb \" c""#), "{shown}");
}
