//! `[fallback]`: off by default, and on this machine only.

use mlx_tree_settings::{AliasConsent, FallbackPolicy};

use crate::support::User;

fn report(text: &str) -> String {
    User::new().with_file(&format!("[fallback]\n{text}")).report()
}

#[test]
fn by_default_nobody_is_served_by_a_fallback() {
    let settings = User::new().loaded().settings.fallback;
    assert_eq!((settings.policy, settings.consent_of("any")), (FallbackPolicy::Deny, AliasConsent::Silent));
    assert_eq!(settings.targets().count(), 0);
}

#[test]
fn s05_prompts_stay_on_this_machine() {
    for url in ["http://192.0.2.1:11434", "http://0.0.0.0:11434"] {
        let told = report(&format!("url = \"{url}\""));
        assert!(told.contains("prompts would leave this machine"), "{told}");
    }
    for url in [
        "https://127.0.0.1:11434",
        "127.0.0.1:11434",
        "http://127.0.0.1",
        "http://127.0.0.1:11434/v1",
        "http://user@127.0.0.1:11434",
        "http://ollama.example:11434",
        "http://127.0.0.1:11434?x",
        "http://127.0.0.1:0",
    ] {
        let told = report(&format!("url = \"{url}\""));
        assert!(told.contains("fallback.url = ") && told.contains("help: a URL on this machine"), "{url}: {told}");
    }
    for model in ["gpt-oss:120b-cloud", "kimi:cloud"] {
        let told = report(&format!("model = \"{model}\""));
        assert!(told.contains("prompts would leave this machine for Ollama's cloud"), "{told}");
    }
    for url in ["http://localhost:9000", "http://[::1]:9000/", "http://127.0.0.1:9000"] {
        let loaded = User::new().with_file(&format!("[fallback]\nurl = \"{url}\"")).loaded();
        assert_eq!(loaded.settings.fallback.address.port(), 9000);
    }
}

#[test]
fn switched_on_it_needs_a_model() {
    let told = report("policy = \"label\"");
    assert!(told.contains("there is no model that could answer; fallback.model = \"\" (from default)"), "{told}");
}

#[test]
fn ollama_is_not_left_to_choose_a_context() {
    assert!(report("num_ctx = 0").contains("Ollama would choose a context by itself"));
    let other = User::new().with_file("[fallback]\nnum_ctx = 0\nkind = \"openai\"");
    assert_eq!(other.loaded().settings.fallback.num_ctx, None);
}

#[test]
fn each_name_may_have_a_model_and_consent_of_its_own() {
    let models =
        r#"models = [{ name = "qwen", fallback = "qwen3:8b", consent = true }, { name = "a", fallback = "b" }]"#;
    let text = format!("[fallback]\npolicy = \"opt-in\"\nmodel = \"tiny\"\n{models}");
    let loaded = User::new().with_file(&text).loaded();
    let settings = &loaded.settings.fallback;
    let consents = ["qwen", "a", "other"].map(|name| settings.consent_of(name));
    assert_eq!(consents, [AliasConsent::Given, AliasConsent::Silent, AliasConsent::Silent]);
    assert_eq!(settings.targets().collect::<Vec<_>>(), [(Some("qwen"), "qwen3:8b"), (Some("a"), "b"), (None, "tiny")]);
    assert!(loaded.to_string().contains(models), "what is shown is what may be written: {loaded}");
}

#[test]
fn models_that_make_no_sense_are_named() {
    for (models, said) in [
        (r#"["qwen"]"#, "item 1: this is no table"),
        (r#"[{ name = "a" }]"#, "item 1: `fallback` is missing"),
        (r#"[{ nmae = "a", fallback = "b" }]"#, "item 1: there is no key `nmae`"),
        (r#"[{ name = "a", fallback = "" }]"#, "item 1: this is no name of a model"),
        (
            r#"[{ name = "a", fallback = "b" }, { name = "a", fallback = "c" }]"#,
            "item 2: this name has a model already",
        ),
    ] {
        let told = report(&format!("models = {models}"));
        assert!(told.contains(said), "{models}: {told}");
    }
}
