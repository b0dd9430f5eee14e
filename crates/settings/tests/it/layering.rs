//! Which layer wins, and how the origin of each value is known.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;

use mlx_tree_policy::{RestartPolicyConfig, Severity};
use mlx_tree_settings::{
    Environment, Language, Origin, Preload, PythonChoice, RestartMode, ServerKind, Sources, language, load,
};

use crate::support::User;

#[test]
fn the_language_is_that_of_the_environment_unless_the_configuration_names_one() {
    let spoken = |variables: &[(&str, &str)]| {
        let environment = Environment::from_variables(variables.iter().copied()).with("HOME", "/home/me");
        load(&Sources::new(environment)).expect("it is valid").settings.log.language
    };
    assert_eq!(spoken(&[("LANG", "ru_RU.UTF-8")]), Language::Ru);
    assert_eq!(spoken(&[("LANG", "ru_RU.UTF-8"), ("LC_ALL", "C.UTF-8")]), Language::En);
    assert_eq!(spoken(&[("LANG", "ru_RU.UTF-8"), ("LC_MESSAGES", ""), ("LC_ALL", "")]), Language::Ru);
    assert_eq!(spoken(&[("LANG", "ru_RU.UTF-8"), ("MLX_TREE__LOG__LANGUAGE", "en")]), Language::En);
    assert_eq!(spoken(&[("MLX_TREE__LOG__LANGUAGE", "ru")]), Language::Ru);
}

#[test]
fn the_language_is_known_however_wrong_the_rest_is() {
    let spoken = |text: &str| {
        let home = tempfile::tempdir().expect("a temporary directory");
        let file = home.path().join("mine.toml");
        std::fs::write(&file, text).expect("the file is written");
        let environment = Environment::from_variables([("HOME", home.path())]).with("LANG", "C.UTF-8");
        let sources = Sources::new(environment).config_file(&file);
        assert!(load(&sources).is_err(), "{text}");
        language(&sources)
    };
    assert_eq!(spoken("[log]\nlanguage = \"ru\"\n[server]\nprot = 1\n"), Language::Ru);
    assert_eq!(spoken("[log]\nlanguage = \"fr\"\n"), Language::En, "that of the environment");
    assert_eq!(spoken("[log\nlanguage = \"ru\"\n"), Language::En, "of that file nothing can be read");
}

#[test]
fn without_any_configuration_the_documented_numbers_hold() {
    let user = User::new();
    let settings = user.loaded().settings;
    assert_eq!(settings.restart_policy_config(), RestartPolicyConfig::default());
    assert_eq!(settings.server.kind, ServerKind::MlxLm);
    assert_eq!(settings.server.python, PythonChoice::Auto);
    assert_eq!((settings.server.host, settings.server.port), (IpAddr::from(Ipv4Addr::LOCALHOST), 0));
    assert_eq!(settings.server.command, None);
    assert_eq!(settings.restart.policy, RestartMode::Permanent);
    assert_eq!(settings.health.interval, Duration::from_secs(10));
    assert_eq!(settings.health.failure_threshold.get(), 3);
    assert_eq!(settings.health.path, None);
    assert_eq!(settings.shutdown.grace, Duration::from_secs(10));
    assert_eq!(settings.state_dir, user.home().join(".local/state/mlx-tree"));
    assert_eq!(settings.data_dir, user.home().join(".local/share/mlx-tree"));
    assert_eq!(settings.server.cwd, settings.state_dir);
    assert_eq!(settings.log.language, Language::En);
}

#[test]
fn each_layer_overrides_those_below_it() {
    let key = "server.port";
    let mut user = User::new();
    assert_eq!(user.loaded().origin_of(key), Some(&Origin::Default));

    user = user.with_user_file("[server]\nport = 1001");
    let user_file = user.home().join(".config/mlx-tree/config.toml");
    assert_eq!(user.loaded().settings.server.port, 1001);
    assert_eq!(user.loaded().origin_of(key), Some(&Origin::UserFile(user_file)));

    user = user.with_file("[server]\nport = 1002");
    assert_eq!(user.loaded().settings.server.port, 1002);
    assert_eq!(user.loaded().origin_of(key), Some(&Origin::File(user.home().join("given.toml"))));

    user = user.with_env("MLX_TREE__SERVER__PORT", "1003");
    assert_eq!(user.loaded().settings.server.port, 1003);
    assert_eq!(user.loaded().origin_of(key), Some(&Origin::Env("MLX_TREE__SERVER__PORT".to_owned())));

    user = user.with_flag("--port", key, "1004").with_flag("--port", key, "1005");
    assert_eq!(user.loaded().settings.server.port, 1005, "the last flag wins");
    assert_eq!(user.loaded().origin_of(key), Some(&Origin::Flag("--port".to_owned())));
    assert_eq!(user.loaded().origin_of("server.host"), Some(&Origin::Default));
    assert_eq!(user.loaded().origin_of("server.prot"), None);
}

#[test]
fn a_variable_is_read_as_its_key_demands() {
    let user = User::new()
        .with_env("MLX_TREE__SERVER__MODEL", "123")
        .with_env("MLX_TREE__SERVER__ARGS", r#"["--temp", "0.50"]"#)
        .with_env("MLX_TREE__SERVER__TRUST_REMOTE_CODE", "true")
        .with_env("MLX_TREE__RESTART__JITTER", "1")
        .with_env("MLX_TREE__RESTART__POLICY", "on_failure")
        .with_env("MLX_TREE__HEALTH__INTERVAL", "1m30s")
        .with_env("MLX_TREE__CONTROL__LISTEN", "localhost:0")
        .with_env("mlx_tree__log__level", "trace");
    let settings = user.loaded().settings;
    assert_eq!(settings.server.model, "123");
    assert_eq!(settings.server.args, ["--temp", "0.50"]);
    assert!(settings.server.trust_remote_code);
    assert_eq!(settings.restart.backoff.jitter(), 1.0);
    assert_eq!(settings.restart.policy, RestartMode::Transient);
    assert_eq!(settings.health.interval, Duration::from_secs(90));
    assert_eq!(settings.control.listen.to_string(), "127.0.0.1:0");
    assert_eq!(user.loaded().origin_of("log.level"), Some(&Origin::Default), "the prefix is spelt in capitals");
}

#[test]
fn variables_of_the_server_come_together_from_all_layers() {
    let user = User::new()
        .with_user_file("[server.env]\nA = \"file\"\nB = \"file\"")
        .with_env("MLX_TREE__SERVER__ENV", r#"{ B = "table", C = "table", two__parts = "table" }"#)
        .with_env("MLX_TREE__SERVER__ENV__C", "one")
        .with_env("MLX_TREE__SERVER__ENV__two__parts", "one")
        .with_flag("--env", "server.env.d.e", "flag");
    let loaded = user.loaded();
    let env: Vec<(&str, &str)> = loaded.settings.server.env.iter().collect();
    assert_eq!(env, [("A", "file"), ("B", "table"), ("C", "one"), ("d.e", "flag"), ("two__parts", "one")]);
    let origin = |name: &str| loaded.origin_of(&format!("server.env.{name}")).map(ToString::to_string);
    assert_eq!(origin("B").as_deref(), Some("MLX_TREE__SERVER__ENV"));
    assert_eq!(origin("C").as_deref(), Some("MLX_TREE__SERVER__ENV__C"));
    assert_eq!(origin("d.e").as_deref(), Some("--env"));
}

#[test]
fn the_order_in_which_variables_were_set_does_not_matter() {
    let variables = [
        ("HOME", "/home/ada"),
        ("MLX_TREE__SERVER__ENV__C", "one"),
        ("MLX_TREE__SERVER__ENV", "{ C = \"table\" }"),
        ("MLX_TREE__SERVER__PORT", "9"),
    ];
    let forwards = load(&Sources::new(Environment::from_variables(variables)));
    let backwards = load(&Sources::new(Environment::from_variables(variables.into_iter().rev())));
    assert_eq!(forwards, backwards);
    assert_eq!(forwards.unwrap().settings.server.env.get("C"), Some("one"));
}

#[test]
fn a_list_from_a_higher_layer_replaces_the_one_below() {
    let user = User::new().with_user_file("[server]\nargs = [\"--temp\", \"1\"]").with_words(
        "--",
        "server.args",
        &["--max-tokens", "64"],
    );
    assert_eq!(user.loaded().settings.server.args, ["--max-tokens", "64"]);
}

#[test]
fn a_relative_path_starts_where_it_was_written() {
    let user = User::new().with_file("state_dir = \"./state\"\ndata_dir = \"~/data\"\n[server]\nmodel = \"../m\"");
    let settings = user.loaded().settings;
    assert_eq!(settings.state_dir, user.home().join("state"));
    assert_eq!(settings.data_dir, user.home().join("data"));
    assert_eq!(settings.server.model, user.home().join("../m").display().to_string());
    let user = User::new().with_env("MLX_TREE__SERVER__PYTHON", "venv/bin/python");
    assert_eq!(user.loaded().settings.server.python, PythonChoice::At(user.home().join("venv/bin/python")));
}

#[test]
fn a_name_is_no_path() {
    let user = User::new().with_file("[server]\nmodel = \"mlx-community/tiny\"\npython = \"python3.12\"");
    let settings = user.loaded().settings;
    assert_eq!(settings.server.model, "mlx-community/tiny");
    assert_eq!(settings.server.python, PythonChoice::At(PathBuf::from("python3.12")));
}

#[test]
fn prompts_and_tables_may_be_mixed_in_preload() {
    let user = User::new().with_file("[server]\npreload = [\"Hi\", { model = \"other\", prompt = \"Hello\" }]");
    let expected = [
        Preload { model: None, prompt: "Hi".to_owned() },
        Preload { model: Some("other".to_owned()), prompt: "Hello".to_owned() },
    ];
    assert_eq!(user.loaded().settings.server.preload, expected);
}

#[test]
fn a_command_is_filled_in_at_each_launch() {
    let text =
        "[server]\nkind = \"openai\"\ncommand = [\"serve\", \"--host\", \"{host}\", \"--port={port}\", \"{model}\"]";
    let settings = User::new().with_file(text).loaded().settings;
    let command = settings.server.command.unwrap();
    assert_eq!(command.fill(settings.server.host, 1, "m"), ["serve", "--host", "127.0.0.1", "--port=1", "m"]);
}

#[test]
fn an_idle_canary_can_be_switched_off() {
    let user = User::new().with_env("MLX_TREE__HEALTH__CANARY_IDLE", "0s");
    assert_eq!(user.loaded().settings.health.canary_idle, None);
}

#[test]
fn whatever_is_accepted_the_policies_accept_too() {
    let user = User::new().with_file(
        "[server]\nstart_timeout = \"1ms\"\n[restart]\nmax_restarts = 0\nperiod = \"1ms\"\nbackoff_initial = \"1ms\"\n\
         backoff_max = \"1ms\"\njitter = 1\nstable_after = \"1ms\"\n[breaker]\nfailure_threshold = 1\nopen_for = \"1ms\"\n\
         open_growth = 1\nopen_max = \"1ms\"\nprobation = \"1ms\"",
    );
    let settings = user.loaded().settings;
    assert_eq!(settings.restart_policy_config().check(), Ok(()));
    let _ = (settings.health_threshold(), Severity::Transient);
}
