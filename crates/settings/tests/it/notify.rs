//! `[[notify]]`: who is told, and that no address of a webhook is ever shown.

use std::time::Duration;

use mlx_tree_settings::{NotifyLevel, NotifySink};

use crate::support::User;

const URL: &str = "https://hooks.example/T000/kanarienvogel";

fn report(text: &str) -> String {
    User::new().with_file(text).report()
}

#[test]
fn by_default_nobody_is_told() {
    assert!(User::new().loaded().settings.notify.is_empty());
}

#[test]
fn each_table_is_one_who_is_told() {
    let user = User::new().with_file(&format!(
        "[[notify]]\nkind = \"slack\"\nurl = \"{URL}\"\n\
         [[notify]]\nkind = \"command\"\nname = \"pager\"\ncommand = [\"/bin/page\", \"--now\"]\n\
         level = \"warn\"\nevents = [\"server.*\", \"config.reloaded\"]\nmin_interval = \"2m\"\n\
         [[notify]]\nkind = \"desktop\"\n"
    ));
    let settings = user.loaded().settings.notify;
    let [slack, pager, desktop] = &settings[..] else { panic!("{settings:?}") };
    assert_eq!(
        (slack.name.as_str(), slack.level, slack.min_interval),
        ("slack", NotifyLevel::Error, Duration::from_secs(30))
    );
    assert!(matches!(&slack.sink, NotifySink::Slack(url) if url.expose() == URL));
    assert_eq!(pager.sink, NotifySink::Command(vec!["/bin/page".to_owned(), "--now".to_owned()]));
    assert_eq!(
        (pager.name.as_str(), pager.level, pager.min_interval),
        ("pager", NotifyLevel::Warn, Duration::from_secs(120))
    );
    assert_eq!(pager.events, ["server.*", "config.reloaded"]);
    assert_eq!(desktop.sink, NotifySink::Desktop);
    insta::assert_snapshot!(
        user.loaded().entries().iter().find(|entry| entry.key == "notify").expect("read").shown,
        @r#"[{ kind = "slack", name = "slack", url = "***", level = "error", min_interval = "30s" }, { kind = "command", name = "pager", command = ["/bin/page", "--now"], level = "warn", events = ["server.*", "config.reloaded"], min_interval = "120s" }, { kind = "desktop", name = "desktop", level = "error", min_interval = "30s" }]"#
    );
}

#[test]
fn s08_the_url_of_a_webhook_is_shown_nowhere() {
    let good = User::new().with_file(&format!("[[notify]]\nkind = \"webhook\"\nurl = \"{URL}\"")).loaded();
    assert!(!format!("{good}").contains("kanarienvogel") && !format!("{:?}", good.settings).contains("kanarienvogel"));
    for wrong in [
        format!("[[notify]]\nkind = \"webhook\"\nurl = \"{URL}\"\nlevel = \"loud\""),
        "[[notify]]\nkind = \"webhook\"\nurl = \"kanarienvogel\"".to_owned(),
        format!("[[notify]]\nkind = \"desktop\"\nurl = \"{URL}\""),
        format!("[[notifi]]\nkind = \"webhook\"\nurl = \"{URL}\""),
        format!("[notify]\nkind = \"webhook\"\nurl = \"{URL}\""),
        format!("notify = \"{URL}\""),
        format!("[[notify]]\nkind = \"webhook\"\nurl = \"{URL}\"\nwebhook = \"{URL}\""),
        format!("[[notify]]\nkind = \"command\"\ncommand = [\"curl\", \"{URL}\"]\nlevel = \"loud\""),
        format!("notifications.webhook = \"{URL}\""),
        "gateway.slack = \"https://kanarienvogel@hooks.example\"".to_owned(),
    ] {
        let told = report(&wrong);
        // What is no table has no place for a secret, so what stands there is shown, but for the last of these.
        assert!(!told.contains("kanarienvogel") || wrong.starts_with("notify ="), "{told}");
    }
}

#[test]
fn s08_a_url_is_read_from_a_variable_or_a_file_that_nobody_else_can_read() {
    let user = User::new().with_env("HOOK", URL).with_file("[[notify]]\nkind = \"webhook\"\nurl = { env = \"HOOK\" }");
    assert!(matches!(&user.loaded().settings.notify[0].sink, NotifySink::Webhook(url) if url.expose() == URL));

    let user = User::new().with_file("[[notify]]\nkind = \"webhook\"\nurl = { file = \"hook\" }");
    let file = user.write("hook", &format!("{URL}\n"));
    assert!(matches!(&user.loaded().settings.notify[0].sink, NotifySink::Webhook(url) if url.expose() == URL));
    user.set_mode(&file, 0o644);
    let told = user.report();
    assert!(told.contains("others may read or change the file with the URL") && told.contains("chmod go="), "{told}");

    let told = report("[[notify]]\nkind = \"webhook\"\nurl = { env = \"HOOK\" }");
    assert!(told.contains("there is no variable HOOK"), "{told}");
    let told = report("[[notify]]\nkind = \"webhook\"\nurl = { path = \"hook\" }");
    assert!(told.contains("neither where the URL is"), "{told}");
}

#[test]
fn s08_a_url_is_no_argument() {
    let value = format!("[{{ kind = \"webhook\", url = \"{URL}\" }}]");
    let told = User::new().with_flag("--set", "notify", &value).report();
    assert!(
        told.contains("everybody can read the arguments of a process") && !told.contains("kanarienvogel"),
        "{told}"
    );
    let user = User::new().with_env("MLX_TREE__NOTIFY", &value);
    assert_eq!(user.loaded().settings.notify.len(), 1);
}

#[test]
fn what_makes_no_sense_is_refused_with_what_would() {
    for (text, told) in [
        ("[[notify]]\nname = \"a\"", "`kind` is missing"),
        ("[[notify]]\nkind = \"slak\"", "did you mean \"slack\"?"),
        ("[[notify]]\nkind = \"slack\"", "`url` is missing"),
        ("[[notify]]\nkind = \"command\"", "`command` is missing"),
        ("[[notify]]\nkind = \"command\"\ncommand = []", "the command is empty"),
        ("[[notify]]\nkind = \"desktop\"\nevent = []", "did you mean `events`?"),
        ("[[notify]]\nkind = \"desktop\"\nevents = [\"breaker.open\"]", "did you mean \"breaker.opened\"?"),
        ("[[notify]]\nkind = \"desktop\"\nmin_interval = 5", "write \"5s\" for 5 seconds"),
        (
            "[[notify]]\nkind = \"desktop\"\n[[notify]]\nkind = \"desktop\"",
            "item 2: there is one called desktop already",
        ),
        ("[[notify]]\nkind = \"webhook\"\nurl = \"ftp://a/b\"", "no http:// or https:// URL"),
        ("[[notify]]\nkind = \"webhook\"\nurl = \"https://\"", "the URL has no host"),
        ("[[notify]]\nkind = \"webhook\"\nurl = \"https://me:pw@a/b\"", "a user in the URL"),
        ("[[notify]]\nkind = \"webhook\"\nurl = \"https://a/b\\\"\\noutput = x\"", "must be written as %XX"),
        ("[notify]\nkind = \"desktop\"", "with two brackets on each side"),
    ] {
        let report = report(text);
        assert!(report.contains(told), "{text}: {report}");
    }
}
