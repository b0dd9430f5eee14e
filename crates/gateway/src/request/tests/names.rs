//! A model's name is a key and nothing else.

use super::*;

fn refused(model: &Value) -> Refusal {
    let mut body = with(Endpoint::Chat, &json!({}));
    body["model"] = model.clone();
    read_value(Endpoint::Chat, &body).expect_err("there is no such model")
}

#[test]
fn a_name_that_is_not_there_is_not_found_and_the_others_are_listed() {
    let long = "x".repeat(1_000_000);
    let names =
        ["TINY", "tiny ", " tiny", "../tiny", "/etc/passwd", "mlx-community/Qwen3-4B", "default_model", "", "~", &long];
    for name in names {
        let refusal = refused(&json!(name));
        assert_eq!((refusal.code, refusal.param.as_deref()), (Code::ModelNotFound, Some("model")), "{name:.20}");
        assert!(refusal.message.len() < 300, "{}", refusal.message);
        for there in ["\"tiny\"", "\"gpt-4o\"", "\"big\""] {
            assert!(refusal.message.contains(there), "{}", refusal.message);
        }
    }
}

#[test]
fn what_is_no_name_is_a_bad_request() {
    let odd = [json!("tiny\0"), json!("\0"), json!(1), json!(true), json!(["tiny"]), json!({"name": "tiny"})];
    for name in odd {
        let refusal = refused(&name);
        assert_eq!((refusal.code, refusal.param.as_deref()), (Code::InvalidParameter, Some("model")), "{name}");
    }
}

#[test]
fn a_refusal_has_no_characters_that_a_terminal_acts_on() {
    let refusal = refused(&json!("a\u{1b}[2Jb\u{202e}c\r\nd"));
    assert!(!refusal.message.contains(char::is_control), "{:?}", refusal.message);
    assert!(!refusal.message.contains('\u{202e}'), "{:?}", refusal.message);
}

#[test]
fn a_name_is_passed_on_as_the_servers_own() {
    for (name, model, sent) in
        [("tiny", "tiny", "default_model"), ("gpt-4o", "tiny", "default_model"), ("big", "big", "org/big-4bit")]
    {
        let ask = chat(&json!({"model": name})).expect("it is there");
        assert_eq!((&*ask.model, &upstream(&ask)["model"]), (model, &json!(sent)));
        assert_eq!(ask.original["model"], name, "what the client has said is kept");
    }
}

#[test]
fn a_missing_name_is_the_default_if_there_is_one() {
    let body = json!({"prompt": "hi"}).to_string();
    let null = json!({"prompt": "hi", "model": null}).to_string();
    let mut catalogue = catalogue();
    let ask =
        |catalogue: &Catalogue, body: &str| read(Endpoint::Completions, &HeaderMap::new(), body.as_bytes(), catalogue);
    for body in [&body, &null] {
        let refusal = ask(&catalogue, body).expect_err("there is no default");
        assert_eq!((refusal.code, refusal.param.as_deref()), (Code::InvalidParameter, Some("model")));
    }
    catalogue.default_for_absent("gpt-4o").expect("an alias will do");
    for body in [&body, &null] {
        assert_eq!(&*ask(&catalogue, body).expect("there is one now").model, "tiny");
    }
}

#[test]
fn an_unknown_name_is_the_default_only_if_that_is_configured() {
    let mut catalogue = catalogue();
    catalogue.default_for_absent("big").expect("it is there");
    let body = json!({"prompt": "hi", "model": "gpt-3.5-turbo"}).to_string();
    let ask = |catalogue: &Catalogue| read(Endpoint::Completions, &HeaderMap::new(), body.as_bytes(), catalogue);
    assert_eq!(ask(&catalogue).expect_err("the other default is not for this").code, Code::ModelNotFound);
    catalogue.default_for_unknown("tiny").expect("it is there");
    let ask = ask(&catalogue).expect("there is one now");
    assert_eq!((&*ask.model, &upstream(&ask)["model"]), ("tiny", &json!("default_model")));
}

#[test]
fn nothing_in_a_request_makes_the_server_load_something() {
    for name in ["adapters", "draft_model"] {
        for value in [json!("x"), json!("default_model"), json!(1), json!([]), json!("")] {
            let refusal = completion(&json!({name: value})).expect_err("it is not for clients");
            assert_eq!((refusal.code, refusal.param.as_deref()), (Code::ParameterNotAllowed, Some(name)));
            let refusal = chat(&json!({"model": "big", name: value})).expect_err("for no server");
            assert_eq!(refusal.code, Code::ParameterNotAllowed);
        }
        let ask = completion(&json!({name: null})).expect("null is nothing");
        assert!(upstream(&ask).get(name).is_none(), "and the server does not see it");
    }
}

#[test]
fn a_catalogue_has_each_name_once() {
    let mut catalogue = catalogue();
    let twice = CatalogueError::Twice { name: "gpt-4o".to_owned() };
    assert_eq!(catalogue.add(Served::mlx_lm("gpt-4o", "main")), Err(twice.clone()));
    assert_eq!(catalogue.alias("gpt-4o", "big"), Err(twice));
    assert_eq!(catalogue.alias("x", "none"), Err(CatalogueError::Missing { name: "none".to_owned() }));
    for name in ["", "a\0b", "a\nb"] {
        assert_eq!(catalogue.alias(name, "tiny"), Err(CatalogueError::Name { name: name.to_owned() }));
    }
    assert_eq!(catalogue.models().len(), 2);
    let tiny = catalogue.get("tiny").expect("it is there");
    assert_eq!(catalogue.aliases(tiny).collect::<Vec<_>>(), ["gpt-4o"]);
}

#[test]
fn a_long_catalogue_is_not_told_whole() {
    let mut catalogue = Catalogue::new();
    for at in 0..100 {
        catalogue.add(Served::mlx_lm(format!("m{at:02}"), "main")).expect("another name");
    }
    let refusal = catalogue.not_found("x");
    assert!(refusal.message.contains("\"m19\", 80 more"), "{}", refusal.message);
    assert!(Catalogue::new().not_found("x").message.contains("there is none"));
}

#[test]
fn a_models_vocabulary_is_in_its_configuration() {
    assert_eq!(vocabulary(br#"{"model_type":"llama","vocab_size":448}"#), Some(448));
    assert_eq!(vocabulary(br#"{"text_config":{"vocab_size":262208},"vocab_size":1}"#), Some(262_208));
    for config in ["", "{}", "[]", r#"{"vocab_size":"448"}"#, r#"{"vocab_size":-1}"#, r#"{"vocab_size":99999999999}"#] {
        assert_eq!(vocabulary(config.as_bytes()), None, "{config}");
    }
}
