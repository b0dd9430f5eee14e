//! What a person is told who got something wrong. The reports are snapshots: they are read by people.

use std::os::unix::ffi::OsStringExt as _;

use mlx_tree_settings::{ConfigErrors, Environment, Problem, Sources, load};

use crate::support::User;

/// The report about a file of this text.
fn report(text: &str) -> String {
    User::new().with_file(text).report()
}

/// The keys that are reported for a file of this text.
fn keys(text: &str) -> Vec<String> {
    let errors = User::new().with_file(text).load().expect_err("something is wrong");
    errors.iter().filter_map(|error| error.key.clone()).collect()
}

#[test]
fn everything_that_is_wrong_in_any_layer_is_reported_at_once() {
    let user = User::new()
        .with_user_file("[server]\nprot = 1\n[restart]\nperiod = 300")
        .with_file("[health]\ninterval = \"never\"")
        .with_env("MLX_TREE__SERVER__PORT", "99999")
        .with_flag("--language", "log.language", "de");
    insta::assert_snapshot!(user.report(), @r#"
    the configuration has 5 problems

    server.port = 99999  (from MLX_TREE__SERVER__PORT)
      it is out of range
      help: a whole number from 0 to 65535

    restart.period = 300  (from ~/.config/mlx-tree/config.toml)
      a duration needs a unit
      help: write "300s" for 300 seconds

    health.interval = "never"  (from ~/given.toml)
      not a duration
      help: a duration, such as "2s", "1m30s" or "500ms"

    log.language = "de"  (from --language)
      this is none of the known words
      help: one of "auto", "en", "ru"

    server.prot = 1  (from ~/.config/mlx-tree/config.toml)
      there is no such key
      help: did you mean `server.port`?
    "#);
}

#[test]
fn one_problem_is_told_in_the_singular() {
    insta::assert_snapshot!(report("[log]\nlevel = \"loud\""), @r#"
    the configuration has a problem

    log.level = "loud"  (from ~/given.toml)
      this is none of the known words
      help: one of "error", "warn", "info", "debug", "trace"
    "#);
}

#[test]
fn a_file_that_is_no_toml_is_reported_with_its_place_and_without_its_text() {
    let text = "[server]\nport = 8080\n[server.env]\nHF_TOKEN = \"canary\" oops\n";
    let report = report(text);
    assert!(!report.contains("canary"), "{report}");
    insta::assert_snapshot!(report, @"
    the configuration has a problem

    in ~/given.toml:
      line 4, column 21: expected newline, `#`
    ");
}

#[test]
fn a_wrong_type_is_reported_with_the_right_one() {
    insta::assert_snapshot!(
        report(
            "state_dir = 1\n[server]\nport = \"8080\"\nargs = \"--verbose\"\ntrust_remote_code = \"yes\"\nmodel = [\"m\"]\n\
             start_timeout = { s = 1 }\n[server.env]\nN = 1\n[restart]\njitter = \"none\"\nmax_restarts = -1"
        ),
        @r#"
    the configuration has 9 problems

    state_dir = 1  (from ~/given.toml)
      this is a number
      help: a string, in quotes

    server.model = ["m"]  (from ~/given.toml)
      this is a list
      help: a string, in quotes

    server.args = "--verbose"  (from ~/given.toml)
      this is a string
      help: a list of strings, such as ["a", "b"]

    server.env.N = 1  (from ~/given.toml)
      this is a number
      help: a string, in quotes

    server.port = "8080"  (from ~/given.toml)
      this is a string
      help: a whole number from 0 to 65535

    server.start_timeout = { s = 1 }  (from ~/given.toml)
      this is a table
      help: a duration, such as "2s", "1m30s" or "500ms"

    server.trust_remote_code = "yes"  (from ~/given.toml)
      this is a string
      help: true or false

    restart.max_restarts = -1  (from ~/given.toml)
      it is out of range
      help: a whole number from 0 to 4294967295

    restart.jitter = "none"  (from ~/given.toml)
      this is a string
      help: a number from 0 to 1
    "#
    );
}

#[test]
fn a_duration_without_a_unit_is_told_what_it_lacks() {
    let user = User::new().with_file("[shutdown]\ngrace = 10").with_env("MLX_TREE__SHUTDOWN__HUNG_GRACE", "3");
    insta::assert_snapshot!(user.report(), @r#"
    the configuration has 2 problems

    shutdown.grace = 10  (from ~/given.toml)
      a duration needs a unit
      help: write "10s" for 10 seconds

    shutdown.hung_grace = "3"  (from MLX_TREE__SHUTDOWN__HUNG_GRACE)
      a duration needs a unit
      help: write "3s" for 3 seconds
    "#);
}

#[test]
fn a_number_out_of_range_is_told_the_range() {
    insta::assert_snapshot!(
        report(
            "[server]\nport = 65536\n[restart]\njitter = 1.5\nmax_restarts = 4294967296\n[breaker]\nopen_growth = 0.5\n\
             failure_threshold = 0\n[health]\nfailure_threshold = 0"
        ),
        @"
    the configuration has 6 problems

    server.port = 65536  (from ~/given.toml)
      it is out of range
      help: a whole number from 0 to 65535

    restart.max_restarts = 4294967296  (from ~/given.toml)
      it is out of range
      help: a whole number from 0 to 4294967295

    restart.jitter = 1.5  (from ~/given.toml)
      it is out of range
      help: a number from 0 to 1

    breaker.failure_threshold = 0  (from ~/given.toml)
      it is out of range
      help: a whole number from 1 to 4294967295

    breaker.open_growth = 0.5  (from ~/given.toml)
      it is out of range
      help: a number of at least 1

    health.failure_threshold = 0  (from ~/given.toml)
      it is out of range
      help: a whole number from 1 to 4294967295
    "
    );
}

#[test]
fn no_span_may_be_zero_but_that_of_the_idle_canary() {
    let text = "[server]\nstart_timeout = \"0s\"\n[restart]\nperiod = \"0s\"\nbackoff_initial = \"0s\"\nbackoff_max = \"0s\"\n\
                stable_after = \"0s\"\n[breaker]\nopen_for = \"0s\"\nopen_max = \"0s\"\nprobation = \"0s\"\n[health]\n\
                interval = \"0s\"\ntimeout = \"0s\"\ncanary_idle = \"0s\"\ncanary_timeout = \"0s\"\nstall_after = \"0s\"\n\
                [shutdown]\ngrace = \"0s\"\nhung_grace = \"0s\"";
    assert_eq!(
        keys(text),
        [
            "server.start_timeout",
            "restart.period",
            "restart.backoff_initial",
            "restart.backoff_max",
            "restart.stable_after",
            "breaker.open_for",
            "breaker.open_max",
            "breaker.probation",
            "health.interval",
            "health.timeout",
            "health.canary_timeout",
            "health.stall_after",
            "shutdown.grace",
            "shutdown.hung_grace",
        ]
    );
}

#[test]
fn a_key_that_does_not_exist_is_compared_with_those_that_do() {
    let user = User::new()
        .with_file(
            "port = 1\ncolour = \"red\"\n[server]\npyhton = \"x\"\ngrace = \"1s\"\n[serve]\nhost = \"::1\"\n[gatway]\n",
        )
        .with_env("MLX_TREE__HEALTH__INTERVALL", "1s")
        .with_flag("--port", "server.prot", "1");
    insta::assert_snapshot!(user.report(), @r#"
    the configuration has 8 problems

    colour = "red"  (from ~/given.toml)
      there is no such key
      help: docs/CONFIGURATION.md lists all keys

    gatway = {}  (from ~/given.toml)
      there is no such key
      help: did you mean `gateway.tokens`?

    health.intervall = "1s"  (from MLX_TREE__HEALTH__INTERVALL)
      there is no such key
      help: did you mean `health.interval`?

    port = 1  (from ~/given.toml)
      there is no such key
      help: did you mean `server.port`?

    serve.host = "::1"  (from ~/given.toml)
      there is no such key
      help: did you mean `server.host`?

    server.grace = "1s"  (from ~/given.toml)
      there is no such key
      help: did you mean `shutdown.grace`?

    server.prot = "1"  (from --port)
      there is no such key
      help: did you mean `server.port`?

    server.pyhton = "x"  (from ~/given.toml)
      there is no such key
      help: did you mean `server.python`?
    "#);
}

#[test]
fn a_secret_is_not_shown_even_where_it_is_wrong() {
    let user = User::new()
        .with_file("api_key = \"canary\"\n[server.env]\nHF_TOKEN = [\"canary\"]\n[server]\nargs = [\"--port\", \"--api-key\", \"canary\"]")
        .with_env("MLX_TREE__CONTROL__TOKEN", "canary");
    let report = user.report();
    assert!(!report.contains("canary"), "{report}");
    insta::assert_snapshot!(report, @r#"
    the configuration has 4 problems

    server.env.HF_TOKEN = ***  (from ~/given.toml)
      this is a list
      help: a string, in quotes

    server.args = ["--port", "--api-key", "***"]  (from ~/given.toml)
      `--port` sets --port, which is mlx-tree's own
      help: use server.port

    api_key = ***  (from ~/given.toml)
      there is no such key
      help: docs/CONFIGURATION.md lists all keys

    control.token = ***  (from MLX_TREE__CONTROL__TOKEN)
      there is no such key
      help: did you mean `control.listen`?
    "#);
}

#[test]
fn keys_that_contradict_each_other_name_each_other_and_the_later_layer_is_blamed() {
    let user = User::new()
        .with_file("[restart]\nbackoff_initial = \"90s\"\nstable_after = \"30s\"\n[breaker]\nopen_for = \"1h\"\n[health]\ntimeout = \"11s\"")
        .with_env("MLX_TREE__RESTART__BACKOFF_MAX", "70s");
    insta::assert_snapshot!(user.report(), @r#"
    the configuration has 4 problems

    restart.backoff_max = "70s"  (from MLX_TREE__RESTART__BACKOFF_MAX)
      the first delay is longer than the longest one; restart.backoff_initial = "90s" (from ~/given.toml)
      help: restart.backoff_initial must not be longer than restart.backoff_max

    breaker.open_for = "1h"  (from ~/given.toml)
      the first opening is longer than the longest one; breaker.open_max = "600s" (from default)
      help: breaker.open_for must not be longer than breaker.open_max

    health.timeout = "11s"  (from ~/given.toml)
      the next check would begin before this one is over; health.interval = "10s" (from default)
      help: health.timeout must not be longer than health.interval

    restart.stable_after = "30s"  (from ~/given.toml)
      a run would count as a success before its probation is over; breaker.probation = "60s" (from default)
      help: breaker.probation must not be longer than restart.stable_after
    "#);
}

#[test]
fn what_follows_from_a_wrong_value_is_not_reported_as_well() {
    // 70s alone would contradict the default of backoff_max.
    let text = "[restart]\nbackoff_initial = \"70s\"\nbackoff_max = \"a minute\"";
    assert_eq!(keys(text), ["restart.backoff_max"]);
}

#[test]
fn an_address_that_others_could_reach_is_refused() {
    insta::assert_snapshot!(report("[server]\nhost = \"0.0.0.0\"\n[control]\nlisten = \"0.0.0.0:8081\""), @r#"
    the configuration has 2 problems

    server.host = "0.0.0.0"  (from ~/given.toml)
      others could reach the server past mlx-tree
      help: a loopback address, such as "127.0.0.1"

    control.listen = "0.0.0.0:8081"  (from ~/given.toml)
      others could reach the control API, and it has no tokens
      help: a loopback address, such as "127.0.0.1:8081"
    "#);
    for address in
        ["192.168.1.2:1", "[::]:1", "[::ffff:127.0.0.1]:1", "127.0.0.1", "example.com:80", "127.1:80", ":8081"]
    {
        assert_eq!(keys(&format!("[control]\nlisten = \"{address}\"")), ["control.listen"], "{address}");
    }
    for host in ["192.168.1.2", "::", "", "example.com", "127.0.0.1 ", "localhost."] {
        assert_eq!(keys(&format!("[server]\nhost = \"{host}\"")), ["server.host"], "{host}");
    }
}

#[test]
fn the_server_and_the_control_api_cannot_share_a_port() {
    insta::assert_snapshot!(report("[server]\nport = 8081"), @r#"
    the configuration has a problem

    server.port = 8081  (from ~/given.toml)
      the server and the control API would listen on the same port; control.listen = "127.0.0.1:8081" (from default)
      help: two different ports, or 0 for a free one
    "#);
    let apart = User::new().with_file("[server]\nport = 8081\nhost = \"::1\"");
    assert!(apart.load().is_ok(), "another address is another port");
    let free = User::new().with_file("[server]\nport = 0\n[control]\nlisten = \"127.0.0.1:0\"");
    assert!(free.load().is_ok(), "two free ports are never the same");
}

#[test]
fn arguments_that_repeat_what_mlx_tree_sets_are_refused() {
    insta::assert_snapshot!(
        report("[server]\nargs = [\"--temp\", \"1\", \"--host=0.0.0.0\", \"--por\", \"9\", \"--model\", \"m\", \"--allowed-origins\", \"*\"]"),
        @r#"
    the configuration has 4 problems

    server.args = ["--temp", "1", "--host=0.0.0.0", "--por", "9", "--model", "m", "--allowed-origins", "*"]  (from ~/given.toml)
      `--host` sets --host, which is mlx-tree's own
      help: use server.host

    server.args = ["--temp", "1", "--host=0.0.0.0", "--por", "9", "--model", "m", "--allowed-origins", "*"]  (from ~/given.toml)
      `--por` sets --port, which is mlx-tree's own
      help: use server.port

    server.args = ["--temp", "1", "--host=0.0.0.0", "--por", "9", "--model", "m", "--allowed-origins", "*"]  (from ~/given.toml)
      `--model` sets --model, which is mlx-tree's own
      help: use server.model

    server.args = ["--temp", "1", "--host=0.0.0.0", "--por", "9", "--model", "m", "--allowed-origins", "*"]  (from ~/given.toml)
      `--allowed-origins` sets --allowed-origins, which is mlx-tree's own
      help: leave it out: it stays restricted
    "#
    );
}

#[test]
fn code_of_a_models_authors_is_run_only_if_the_configuration_says_so() {
    let args = "[server]\nargs = [\"--trust-remote-code\"]";
    insta::assert_snapshot!(report(args), @r#"
    the configuration has a problem

    server.args = ["--trust-remote-code"]  (from ~/given.toml)
      `--trust-remote-code` lets the server run code that comes with a model
      help: set server.trust_remote_code = true if you trust the model's authors
    "#);
    assert!(User::new().with_file(&format!("{args}\ntrust_remote_code = true")).load().is_ok());
    assert_eq!(keys("[server]\ncommand = [\"serve\", \"{port}\", \"--trust\"]"), ["server.command"]);
}

#[test]
fn a_command_has_to_say_where_its_port_goes_and_may_not_listen_for_others() {
    insta::assert_snapshot!(report("[server]\ncommand = [\"serve\", \"--port\", \"8080\"]"), @r#"
    the configuration has a problem

    server.command = ["serve", "--port", "8080"]  (from ~/given.toml)
      it does not say where {port} goes
      help: {port} where the server is told its port, such as ["serve", "--port", "{port}"]
    "#);
    insta::assert_snapshot!(report("[server]\ncommand = [\"serve\", \"{port}\", \"--host\", \"0.0.0.0\"]"), @r#"
    the configuration has a problem

    server.command = ["serve", "{port}", "--host", "0.0.0.0"]  (from ~/given.toml)
      the command listens on 0.0.0.0, which others could reach
      help: {host} in its place
    "#);
    assert_eq!(keys("[server]\ncommand = [\"\", \"{port}\"]"), ["server.command"]);
}

#[test]
fn a_kind_without_a_command_of_its_own_needs_one() {
    insta::assert_snapshot!(report("[server]\nkind = \"openai\""), @r#"
    the configuration has a problem

    server.kind = "openai"  (from ~/given.toml)
      nothing says how a server of this kind is started; server.command = [] (from default)
      help: give server.command the whole command line, with {port} in it
    "#);
    assert_eq!(keys("[server]\nkind = \"http\""), ["server.kind"]);
}

#[test]
fn a_preload_that_cannot_be_asked_is_refused() {
    insta::assert_snapshot!(report("[server]\npreload = [\"Hi\", { model = \"m\", promt = \"Hi\" }]"), @r#"
    the configuration has a problem

    server.preload = ["Hi", { model = "m", promt = "Hi" }]  (from ~/given.toml)
      item 2: there is no key `promt`
      help: did you mean `prompt`?
    "#);
    assert_eq!(keys("[server]\npreload = [{ model = \"m\" }]"), ["server.preload"]);
    assert_eq!(keys("[server]\npreload = [1]"), ["server.preload"]);
    assert_eq!(keys("[server]\npreload = \"Hi\""), ["server.preload"]);
}

#[test]
fn a_health_path_that_could_lead_elsewhere_is_refused() {
    for path in ["health", "//evil.tld/", "/a b", "http://evil.tld/", "/a#b", "/\\\\evil"] {
        assert_eq!(keys(&format!("[health]\npath = '{path}'")), ["health.path"], "{path}");
    }
}

#[test]
fn a_model_that_the_server_would_take_for_a_flag_is_refused() {
    for model in ["", "-m", "--host=0.0.0.0"] {
        assert_eq!(keys(&format!("[server]\nmodel = \"{model}\"")), ["server.model"], "{model}");
    }
    assert_eq!(keys("[server]\npython = \"\""), ["server.python"]);
    assert_eq!(keys("[server]\ncwd = \"~someone/x\""), ["server.cwd"]);
}

#[test]
fn a_variable_that_no_process_can_have_is_refused() {
    assert_eq!(keys("[server.env]\n\"A=B\" = \"x\""), ["server.env.A=B"]);
    assert_eq!(keys("[server.env]\n\"\" = \"x\""), ["server.env."]);
    assert_eq!(keys("[server.env]\nA = \"\\u0000\""), ["server.env.A"]);
}

#[test]
fn a_section_is_no_value_and_only_servers_can_be_several() {
    insta::assert_snapshot!(report("server = 8080\nhealth = \"off\""), @r#"
    the configuration has 2 problems

    health = "off"  (from ~/given.toml)
      this is a section, not a value
      help: write [health], and its keys below it

    server = 8080  (from ~/given.toml)
      this is a section, not a value
      help: write [server], and its keys below it
    "#);
    insta::assert_snapshot!(report("[[health]]\npath = \"/a\""), @r#"
    the configuration has a problem

    health = [{ path = "/a" }]  (from ~/given.toml)
      this is a section, not a value
      help: write [health] once, with single brackets
    "#);
    insta::assert_snapshot!(report("server = [8080]"), @"
    the configuration has a problem

    server = [8080]  (from ~/given.toml)
      this is a section, not a value
      help: write [server], or [[server]] once for each of several
    ");
    insta::assert_snapshot!(User::new().with_env("MLX_TREE__SERVER", "8080").report(), @r#"
    the configuration has a problem

    server = "8080"  (from MLX_TREE__SERVER)
      this is a section, not a value
      help: set its keys one by one, as MLX_TREE__SERVER__KEY
    "#);
}

#[test]
fn two_variables_for_one_key_are_refused_whichever_was_set_first() {
    let user = User::new().with_env("MLX_TREE__LOG__LEVEL", "info").with_env("MLX_TREE__log__level", "warn");
    insta::assert_snapshot!(user.report(), @"
    the configuration has a problem

    log.level  (from MLX_TREE__log__level)
      `MLX_TREE__LOG__LEVEL` sets the same key
      help: keep one of the two
    ");
}

#[test]
fn a_variable_that_is_no_unicode_is_refused() {
    let value = std::ffi::OsString::from_vec(vec![b'a', 0xff]);
    let environment = Environment::from_variables([("HOME", "/nowhere")]).with("MLX_TREE__SERVER__MODEL", value);
    let errors = load(&Sources::new(environment)).expect_err("it cannot be read");
    let problems: Vec<&Problem> = errors.iter().map(|error| &error.problem).collect();
    assert_eq!(problems, [&Problem::NotUnicode]);
}

#[test]
fn a_list_in_a_variable_is_written_as_in_a_file() {
    let user = User::new()
        .with_env("MLX_TREE__SERVER__ARGS", "--verbose")
        .with_env("MLX_TREE__SERVER__COMMAND", "[]\n[log]\nlevel = \"trace\"")
        .with_env("MLX_TREE__SERVER__ENV", "A=B");
    insta::assert_snapshot!(user.report(), @r#"
    the configuration has 3 problems

    server.args = "--verbose"  (from MLX_TREE__SERVER__ARGS)
      the value cannot be read
      help: a list, such as ["a", "b"]

    server.command = "[]\n[log]\nlevel = \"trace\""  (from MLX_TREE__SERVER__COMMAND)
      the value cannot be read
      help: a list, such as ["a", "b"]

    server.env = "A=B"  (from MLX_TREE__SERVER__ENV)
      the value cannot be read
      help: a table, such as { NAME = "value" }
    "#);
}

#[test]
fn a_file_that_others_can_change_is_refused() {
    for mode in [0o666, 0o602, 0o620] {
        let user = User::new().with_file("[log]\nlevel = \"info\"");
        user.set_mode(&user.home().join("given.toml"), mode);
        let errors = user.load().expect_err("others can change it");
        let problems: Vec<&Problem> = errors.iter().map(|error| &error.problem).collect();
        assert_eq!(problems, [&Problem::WritableByOthers { mode }]);
    }
    let user = User::new().with_user_file("");
    user.set_mode(&user.home().join(".config/mlx-tree/config.toml"), 0o666);
    insta::assert_snapshot!(user.report(), @"
    the configuration has a problem

    in ~/.config/mlx-tree/config.toml:
      the file can be changed by others (mode 0666)
      help: chmod go-w ~/.config/mlx-tree/config.toml
    ");
    let replaceable = User::new().with_file("");
    replaceable.set_mode(replaceable.home(), 0o777);
    insta::assert_snapshot!(replaceable.report(), @"
    the configuration has a problem

    in ~/given.toml:
      its directory can be changed by others (mode 0777)
      help: chmod o-w ~
    ");
    replaceable.set_mode(replaceable.home(), 0o1777);
    assert!(replaceable.load().is_ok(), "like /tmp");
    let readable = User::new().with_file("");
    readable.set_mode(&readable.home().join("given.toml"), 0o644);
    assert!(readable.load().is_ok());
}

#[test]
fn a_file_that_was_asked_for_has_to_be_there() {
    insta::assert_snapshot!(User::new().with_file_at("missing.toml").report(), @"
    the configuration has a problem

    in ~/missing.toml:
      the file cannot be read: No such file or directory (os error 2)
    ");
    insta::assert_snapshot!(User::new().with_file_at(".").report(), @"
    the configuration has a problem

    in ~/.:
      the file cannot be read: it is not a regular file
    ");
}

#[test]
fn a_file_that_is_far_too_large_or_no_text_is_refused() {
    assert!(report(&"#".repeat(1024 * 1024 + 1)).contains("larger than 1 MiB"));
    let user = User::new();
    let path = user.write("bytes.toml", "");
    std::fs::write(&path, [0xff, 0xfe]).expect("a file");
    assert!(user.with_file_at(path).report().contains("UTF-8"));
}

#[test]
fn without_a_home_directory_the_state_needs_a_place() {
    let errors = load(&Sources::new(Environment::from_variables::<&str, &str>([]))).expect_err("there is no home");
    insta::assert_snapshot!(errors, @r#"
    the configuration has 2 problems

    state_dir = ""  (from default)
      the home directory is not known, so there is no default
      help: set HOME, or give state_dir a directory

    data_dir = ""  (from default)
      the home directory is not known, so there is no default
      help: set HOME, or give data_dir a directory
    "#);
    let given = Environment::from_variables([("MLX_TREE__STATE_DIR", "/s"), ("MLX_TREE__DATA_DIR", "/d")]);
    assert!(load(&Sources::new(given)).is_ok());
}

#[test]
fn a_program_that_fails_because_of_these_exits_as_sysexits_says() {
    assert_eq!(ConfigErrors::EXIT_CODE, 78);
}
