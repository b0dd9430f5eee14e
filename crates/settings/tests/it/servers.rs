//! `[[server]]` more than once.

use std::time::Duration;

use mlx_tree_settings::{Origin, Ranks, StartMode};

use crate::support::User;

const TWO: &str = r#"
[memory]
budget = "16GiB"

[[server]]
name = "chat"
memory = "8GiB"
start = "preload"
idle_stop = "10m"
aliases = ["gpt-4o", "default"]

[server.env]
HF_HOME = "/models"

[[server]]
name = "coder"
memory = "12GiB"
start = "on_demand"
port = 0
launch = { ranks = 2 }

[server.env]
MLX_X = "1"
"#;

#[test]
fn each_server_has_the_keys_of_a_server_and_the_first_is_the_default() {
    let loaded = User::new().with_file(TWO).loaded();
    let settings = &loaded.settings;
    assert_eq!(settings.servers().map(|it| it.name()).collect::<Vec<_>>(), ["chat", "coder"]);
    let (chat, coder) = (&settings.server, &settings.further_servers[0]);
    assert_eq!((chat.memory, coder.memory, settings.memory.budget), (Some(8 << 30), Some(12 << 30), Some(16 << 30)));
    assert_eq!((chat.start, coder.start), (StartMode::Preload, StartMode::OnDemand));
    assert_eq!((chat.idle_stop, coder.idle_stop), (Some(Duration::from_secs(600)), None));
    assert_eq!(chat.aliases, ["gpt-4o", "default"]);
    assert_eq!((chat.env.get("HF_HOME"), chat.env.get("MLX_X")), (Some("/models"), None), "each has its own");
    assert_eq!((coder.env.get("HF_HOME"), coder.env.get("MLX_X")), (None, Some("1")));
    assert_eq!(chat.launch, None);
    let launch = coder.launch.as_ref().expect("it has one");
    assert_eq!((&launch.ranks, launch.backend.as_str()), (&Ranks::Here(2), "ring"));
    assert_eq!(coder.start_timeout, Duration::from_secs(600), "what is not said is the built-in default");
    assert!(matches!(loaded.origin_of("server[1].name"), Some(Origin::File(_))));
    assert!(loaded.to_string().contains("server[1].launch.ranks = 2 "), "{loaded}");
}

#[test]
fn one_server_in_double_brackets_is_one_server() {
    let loaded = User::new().with_file("[[server]]\nport = 9").loaded();
    assert_eq!((loaded.settings.server.port, loaded.settings.servers().count()), (9, 1));
}

#[test]
fn a_list_replaces_what_lower_layers_say_about_servers_and_flags_are_about_the_first() {
    let user = User::new()
        .with_user_file("[[server]]\nname = \"a\"\nmodel = \"x\"\nport = 0\n[[server]]\nname = \"b\"\n[[server]]\nname = \"c\"\nport = 1\n[log]\nlevel = \"debug\"")
        .with_file("[[server]]\nname = \"d\"\nport = 2\n[[server]]\nname = \"e\"\nport = 3")
        .with_env("MLX_TREE__SERVER__PORT", "4");
    let settings = user.loaded().settings;
    let seen: Vec<_> = settings.servers().map(|it| (it.name(), it.model.as_str(), it.port)).collect();
    assert_eq!(seen, [("d", "builtin:tiny", 4), ("e", "builtin:tiny", 3)]);
    assert_eq!(settings.log.level.as_str(), "debug", "the rest of that layer holds");
}

#[test]
fn what_is_wrong_with_servers_is_told_with_the_place_of_each() {
    let user = User::new().with_file(
        "[[server]]\nname = \"a\"\nport = 9\nidle_stop = \"1m\"\n[[server]]\nname = \"a\"\nport = 9\nprot = 1\n[[server]]\nport = 0\nlaunch = { rank = 2 }",
    );
    insta::assert_snapshot!(user.report(), @r#"
    the configuration has 6 problems

    server.idle_stop = "1m"  (from ~/given.toml)
      a server that is always there is never put to sleep; server.start = "always" (from default)
      help: start = "preload" for one that is started with the tree and may sleep later

    server[1].name = "a"  (from ~/given.toml)
      both are called a; server.name = "a" (from ~/given.toml)
      help: a name of its own for each server

    server[2].name = ""  (from default)
      several servers are told apart by their names
      help: a name of its own for each [[server]]

    server[1].port = 9  (from ~/given.toml)
      two servers would listen on the same port; server.port = 9 (from ~/given.toml)
      help: different ports, or 0 for a free one

    server[1].prot = 1  (from ~/given.toml)
      there is no such key
      help: did you mean `server[1].port`?

    server[2].launch.rank = 2  (from ~/given.toml)
      there is no such key
      help: did you mean `server[2].launch.ranks`?
    "#);
}

#[test]
fn servers_that_cannot_fit_are_refused() {
    let user = User::new().with_file(
        "[memory]\nbudget = \"10GiB\"\n[[server]]\nname = \"a\"\nport = 0\nmemory = \"6GiB\"\n[[server]]\nname = \"b\"\nport = 0\nmemory = \"5GiB\"\nstart = \"on_demand\"\n[[server]]\nname = \"c\"\nport = 0",
    );
    insta::assert_snapshot!(user.report(), @r#"
    the configuration has 2 problems

    server[1].memory = "5GiB"  (from ~/given.toml)
      it does not fit beside those that are always there; memory.budget = "10GiB" (from ~/given.toml)
      help: a larger budget, or start = "on_demand"

    memory.budget = "10GiB"  (from ~/given.toml)
      what does not say how much it needs cannot be counted; server[2].memory = "" (from default)
      help: how much each server needs, such as "8GiB"
    "#);
}

#[test]
fn only_what_can_be_several_is_launched_as_several() {
    let user = User::new().with_file("[server]\nkind = \"llama_cpp\"\nlaunch = { ranks = 2, backend = \"RING\" }");
    insta::assert_snapshot!(user.report(), @r#"
    the configuration has 2 problems

    server.launch.backend = "RING"  (from ~/given.toml)
      no backend is called that
      help: "ring", "mpi", "jaccl", or what mlx.launch knows

    server.launch.ranks = 2  (from ~/given.toml)
      servers of this kind are one process; server.kind = "llama_cpp" (from ~/given.toml)
      help: kind = "mlx_lm" without a command, or no launch
    "#);
}
