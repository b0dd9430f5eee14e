//! `[gateway]`: what is refused, and what is never shown.

use crate::support::User;

fn report(text: &str) -> String {
    User::new().with_file(text).report()
}

#[test]
fn beyond_loopback_the_gateway_wants_tokens() {
    insta::assert_snapshot!(report("[gateway]\nlisten = \"0.0.0.0:8080\""), @r#"
    the configuration has a problem

    gateway.listen = "0.0.0.0:8080"  (from ~/given.toml)
      everybody who reaches this machine could use the server; gateway.tokens = *** (from default)
      help: set gateway.tokens, or listen on a loopback address, such as "127.0.0.1:8080"
    "#);
    let with = "[gateway]\nlisten = \"0.0.0.0:8080\"\ntokens = [\"0123456789abcdef\"]";
    assert!(User::new().with_file(with).load().is_ok());
    for loopback in ["127.0.0.1:0", "[::1]:9000", "localhost:9000"] {
        assert!(User::new().with_file(&format!("[gateway]\nlisten = \"{loopback}\"")).load().is_ok(), "{loopback}");
    }
}

#[test]
fn without_an_address_there_is_no_gateway() {
    let user = User::new().with_file("[gateway]\nlisten = \"\"");
    assert_eq!(user.loaded().settings.gateway.listen, None);
}

#[test]
fn a_token_is_never_shown_and_never_an_argument() {
    let user = User::new().with_file("[gateway]\ntokens = [\"hush-hush-hush-hush\"]");
    let loaded = user.loaded();
    assert!(loaded.to_string().contains("gateway.tokens = [\"***\"]"), "{loaded}");
    assert!(!format!("{loaded}{loaded:?}").contains("hush"), "{loaded:?}");
    assert_eq!(loaded.settings.gateway.tokens.iter().collect::<Vec<_>>(), ["hush-hush-hush-hush"]);
    let flag = User::new().with_flag("--set", "gateway.tokens", "[\"hush-hush-hush-hush\"]");
    insta::assert_snapshot!(flag.report(), @"
    the configuration has a problem

    gateway.tokens = ***  (from --set)
      everybody can read the arguments of a process
      help: a file, or the variable MLX_TREE__GATEWAY__TOKENS
    ");
    insta::assert_snapshot!(report("[gateway]\ntokens = [\"0123456789abcdef\", \"short\"]"), @"
    the configuration has a problem

    gateway.tokens = ***  (from ~/given.toml)
      item 2: this is no token
      help: 16 or more printable characters without spaces, such as the output of `openssl rand -hex 24`
    ");
}

#[test]
fn what_cannot_be_a_host_or_an_origin_is_refused() {
    insta::assert_snapshot!(
        report(
            "[gateway]\nallowed_hosts = [\"mac.local\", \"mac.local:8080\"]\n\
             allowed_origins = [\"http://localhost:3000\", \"localhost:3000\"]"
        ),
        @r#"
    the configuration has 2 problems

    gateway.allowed_hosts = ["mac.local", "mac.local:8080"]  (from ~/given.toml)
      item 2: this is no such name
      help: a name in lower case without a port, such as "mac-studio.local"

    gateway.allowed_origins = ["http://localhost:3000", "localhost:3000"]  (from ~/given.toml)
      item 2: this is no origin
      help: scheme, name and port as a browser sends them, such as "http://localhost:3000"
    "#
    );
    for host in ["", "MAC.local", "a b", "mac.local.", "user@mac", "a/b"] {
        let text = format!("[gateway]\nallowed_hosts = [\"{host}\"]");
        assert!(User::new().with_file(&text).load().is_err(), "{host}");
    }
    for origin in ["null", "*", "http://", "http://a/", "ftp://a", "http://A", "http://a b"] {
        let text = format!("[gateway]\nallowed_origins = [\"{origin}\"]");
        assert!(User::new().with_file(&text).load().is_err(), "{origin}");
    }
}

#[test]
fn sizes_have_units_and_fit_together() {
    insta::assert_snapshot!(
        report("[gateway]\nmax_body = \"1GiB\"\nmax_connections = 1\nmax_inflight = 0"),
        @r#"
    the configuration has 3 problems

    gateway.max_inflight = 0  (from ~/given.toml)
      it is out of range
      help: a whole number from 1 to 100000

    gateway.max_connections = 1  (from ~/given.toml)
      it is out of range
      help: a whole number from 8 to 100000

    gateway.max_body = "1GiB"  (from ~/given.toml)
      no request of that size could ever be held; gateway.max_buffered = "256MiB" (from default)
      help: gateway.max_buffered must not be less than gateway.max_body
    "#
    );
    for size in
        ["\"0MiB\"", "\"1 apple\"", "\"MiB\"", "\"\"", "\"-1MiB\"", "\"1.5.5GiB\"", "\"99999999999999GiB\"", "32"]
    {
        assert!(User::new().with_file(&format!("[gateway]\nmax_body = {size}")).load().is_err(), "{size}");
    }
    let user = User::new().with_file("[gateway]\nmax_body = \"1024KiB\"\nmax_buffered = \"3000B\"");
    assert!(user.report().contains("gateway.max_body"), "held less than one");
    let user = User::new().with_file("[gateway]\nmax_body = \"1024KiB\"");
    assert!(user.loaded().to_string().contains("gateway.max_body = \"1MiB\""));
}

#[test]
fn nobody_else_listens_where_the_gateway_does() {
    insta::assert_snapshot!(
        report("[gateway]\nlisten = \"127.0.0.1:9000\"\n[control]\nlisten = \"127.0.0.1:9000\"\n[server]\nport = 9000"),
        @r#"
    the configuration has 2 problems

    control.listen = "127.0.0.1:9000"  (from ~/given.toml)
      the gateway and the control API would listen on the same port; gateway.listen = "127.0.0.1:9000" (from ~/given.toml)
      help: two different ports, or 0 for a free one

    server.port = 9000  (from ~/given.toml)
      the server and the gateway before it would listen on the same port; gateway.listen = "127.0.0.1:9000" (from ~/given.toml)
      help: leave server.port at 0: clients use gateway.listen
    "#
    );
}
