//! `/openapi.json` is true: of the routes, of what they answer, and of the types behind it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::plane::{Answer, Mood, Plane, plane};
use crate::schema::Api;

const TYPES: [&str; 6] = [
    include_str!("../../../api/src/status.rs"),
    include_str!("../../../api/src/trend.rs"),
    include_str!("../../../api/src/probed.rs"),
    include_str!("../../../api/src/error_body.rs"),
    include_str!("../../src/operator.rs"),
    include_str!("../../../api/src/event.rs"),
];

fn api() -> Api {
    Api(serde_json::from_str(include_str!("../../src/openapi.json")).expect("JSON"))
}

/// All operations: path, method, and what is said of them.
fn operations(api: &Api) -> Vec<(String, String, Value)> {
    let paths = api.0["paths"].as_object().expect("paths");
    let of = |(path, methods): (&String, &Value)| {
        let methods = methods.as_object().expect("methods").clone();
        methods.into_iter().map(|(method, operation)| (path.clone(), method, operation)).collect::<Vec<_>>()
    };
    paths.iter().flat_map(of).collect()
}

async fn ask(plane: &Plane, method: &str, path: &str, headers: &str) -> Answer {
    let request = format!(
        "{} {path} HTTP/1.1\r\nhost: localhost:{{port}}\r\nconnection: close\r\n{headers}\r\n",
        method.to_uppercase()
    );
    plane.ask(&request).await
}

/// Checks that `answer` is one that `operation` may give.
fn check(api: &Api, operation: &Value, answer: &Answer, what: &str) {
    let response = api.resolve(&operation["responses"][answer.status.to_string()]);
    assert!(response.is_object(), "{what}: nothing tells of {}: {}", answer.status, answer.text);
    let (head, body) = answer.text.split_once("\r\n\r\n").expect("a head and a body");
    let kind = head.lines().find_map(|line| line.strip_prefix("content-type: ")).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default();
    let content = &response["content"][kind];
    assert!(content.is_object() || response["content"].is_null(), "{what}: nothing tells of {kind}");
    if kind == "application/json" {
        let value: Value = serde_json::from_str(body).expect("JSON");
        api.check(&content["schema"], &value, what).unwrap_or_else(|error| panic!("{error}"));
    }
}

#[tokio::test]
async fn every_route_is_described_and_every_answer_is_as_described() {
    let (plane, api) = (plane().await, api());
    for (path, method, operation) in operations(&api) {
        let what = format!("{method} {path}");
        let real = match path.as_str() {
            "/events" | "/logs" => format!("{path}?follow=false"),
            "/assets/{file}" => "/assets/style.css".to_owned(),
            _ => path.clone(),
        };
        let json = "content-type: application/json\r\ncontent-length: 0\r\n";
        let owned = format!("{}{json}", plane.bearer());
        let answer = ask(&plane, &method, &real, &owned).await;
        assert!(answer.status == 200 || path == "/reset", "{what}: {}", answer.text);
        check(&api, &operation, &answer, &what);
        let needs_token = operation["security"] != json!([]);
        let without = ask(&plane, &method, &real, json).await;
        assert_eq!(without.status == 401, needs_token, "{what}: {}", without.text);
        check(&api, &operation, &without, &what);
        check(&api, &operation, &ask(&plane, &method, &real, "origin: http://evil.example\r\n").await, &what);
        let other = if method == "get" { "post" } else { "get" };
        assert_eq!(ask(&plane, other, &real, &owned).await.status, 405, "{what}");
    }
    for bad in ["/events?after=x", "/events?follow=maybe", "/logs?lines=-1"] {
        let answer = ask(&plane, "get", bad, &plane.bearer()).await;
        assert_eq!(answer.status, 400, "{bad}");
        let path = bad.split('?').next().expect("a path");
        check(&api, &api.0["paths"][path]["get"], &answer, bad);
    }
    *plane.mood.lock().expect("not poisoned") = Mood::Ended;
    check(&api, &api.0["paths"]["/livez"]["get"], &plane.get("/livez", "").await, "a dead tree");
}

#[test]
fn no_route_is_left_out() {
    let source = include_str!("../../src/routes.rs");
    let routes: BTreeSet<_> = source
        .split(".route(\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .filter(|path| !path.contains('{'))
        .collect();
    assert!(routes.len() > 8, "{routes:?}");
    let verbs = mlx_tree_control::Verb::ALL.map(|verb| format!("/{verb}"));
    let page = ["/".to_owned(), "/assets/{file}".to_owned()];
    let expected: BTreeSet<_> = routes.into_iter().map(str::to_owned).chain(verbs).chain(page).collect();
    let described: BTreeSet<_> = operations(&api()).into_iter().map(|(path, _, _)| path).collect();
    assert_eq!(described, expected);
}

/// The fields of the structs and of the kinds of events in `source`: name of field and type of Rust, by name of struct or event.
fn fields(source: &str) -> BTreeMap<String, BTreeMap<String, (String, bool)>> {
    let mut all = BTreeMap::new();
    let (mut name, mut renamed, mut omitted) = (None::<String>, None::<String>, false);
    for line in source.lines().map(str::trim) {
        if let Some(rest) = line.strip_prefix("pub struct ") {
            name = rest.strip_suffix(" {").map(str::to_owned);
        } else if let Some(word) = line.strip_prefix("#[serde(rename = \"") {
            renamed = word.split('"').next().map(str::to_owned);
        } else if let Some(word) = renamed.take_if(|_| line.chars().next().is_some_and(char::is_uppercase)) {
            all.entry(word.clone()).or_insert_with(BTreeMap::new);
            name = line.ends_with('{').then_some(word);
        } else if line.starts_with("#[serde(skip_serializing_if") {
            omitted = true;
        } else if line.starts_with('}') {
            name = None;
        } else if let (Some(name), Some((field, kind))) = (&name, line.trim_end_matches(',').split_once(": "))
            && !line.starts_with("//")
        {
            let field = field.trim_start_matches("pub ").to_owned();
            all.entry(name.clone()).or_default().insert(field, (kind.to_owned(), omitted));
            omitted = false;
        }
    }
    all
}

/// What a field of this type of Rust must look like.
fn described(kind: &str, omitted: bool) -> Value {
    let inner = |kind: &str| match kind {
        "u32" | "u64" => json!({ "type": "integer", "minimum": 0 }),
        "i32" => json!({ "type": "integer" }),
        "f64" => json!({ "type": "number" }),
        "String" => json!({ "type": "string" }),
        "bool" => json!({ "type": "boolean" }),
        other => json!({ "$ref": format!("#/components/schemas/{other}") }),
    };
    if let Some(item) = kind.strip_prefix("Vec<").and_then(|it| it.strip_suffix('>')) {
        return json!({ "type": "array", "items": inner(item) });
    }
    match kind.strip_prefix("Option<").and_then(|it| it.strip_suffix('>')) {
        Some(some) if omitted => inner(some),
        Some(some) => {
            let mut value = inner(some);
            value["type"] = json!([value["type"], "null"]);
            value
        }
        None => inner(kind),
    }
}

#[test]
fn the_schemas_are_those_of_the_types() {
    let api = api();
    let mut events = BTreeSet::new();
    let mut seen = 0;
    for (name, fields) in TYPES.iter().flat_map(|source| fields(source)) {
        let schema = if name.contains('.') {
            events.insert(name.clone());
            let kinds = api.schema("Event")["oneOf"].as_array().expect("kinds");
            kinds.iter().find(|kind| kind["properties"]["event"]["const"] == name.as_str()).unwrap_or(&Value::Null)
        } else {
            api.schema(&name)
        };
        // What never leaves the process.
        if ["Refusal"].contains(&name.as_str()) {
            continue;
        }
        seen += 1;
        for (field, (kind, omitted)) in &fields {
            if (name.as_str(), field.as_str()) == ("Event", "kind") {
                continue;
            }
            let mut there = schema["properties"][field].clone();
            if let Some(there) = there.as_object_mut() {
                there.remove("description");
            }
            assert_eq!(there, described(kind, *omitted), "{name}.{field}");
            let required = schema["required"].as_array().is_some_and(|all| all.contains(&json!(field)));
            assert_eq!(required, !omitted, "{name}.{field}");
        }
        let own = |key: &&String| *key != "event" || fields.contains_key("event");
        let known = schema["properties"].as_object().expect(&name).keys().filter(own).count();
        let kind = usize::from(name == "Event");
        assert_eq!(known, fields.len() - kind, "{name} has keys that the type has not");
    }
    let kinds = api.schema("Event")["oneOf"].as_array().expect("kinds").len();
    assert_eq!(events.len(), kinds, "{events:?}");
    assert!(seen > 55, "the search is broken: {seen}");
}

#[test]
fn the_check_finds_what_is_wrong() {
    let api = api();
    let good = json!({ "seq": 1, "at": "now", "child": "server", "epoch": 1, "event": "server.spawned", "pid": 7, "url": "u" });
    api.check(api.schema("Event"), &good, "it").expect("good");
    let wrong = |key: &str, value: Value| {
        let mut bad = good.clone();
        bad[key] = value;
        api.check(api.schema("Event"), &bad, "it").expect_err(key)
    };
    wrong("seq", json!(-1));
    wrong("seq", json!("1"));
    wrong("pid", json!(null));
    wrong("event", json!("server.invented"));
    assert!(wrong("more", json!(1)).contains("nothing tells of \"more\""));
    let probed = json!({ "status": "well", "reasons": [] });
    api.check(api.schema("Probed"), &probed, "it").expect_err("a word of no set");
    api.check(api.schema("Probed"), &json!({ "status": "ok" }), "it").expect_err("a missing key");
}
