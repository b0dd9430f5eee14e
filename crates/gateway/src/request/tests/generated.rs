//! What is true of every request, by requests that nobody has thought of.

use proptest::prelude::*;

use super::*;

/// Every field that something reads, and some that nothing does.
const FIELDS: [&str; 44] = [
    "model",
    "messages",
    "prompt",
    "input",
    "stream",
    "stream_options",
    "max_tokens",
    "max_completion_tokens",
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "repetition_penalty",
    "repetition_context_size",
    "presence_penalty",
    "presence_context_size",
    "frequency_penalty",
    "frequency_context_size",
    "logprobs",
    "top_logprobs",
    "seed",
    "stop",
    "logit_bias",
    "n",
    "best_of",
    "xtc_probability",
    "xtc_threshold",
    "num_draft_tokens",
    "adapters",
    "draft_model",
    "tools",
    "tool_choice",
    "functions",
    "function_call",
    "response_format",
    "role_mapping",
    "chat_template_kwargs",
    "user",
    "metadata",
    "store",
    "suffix",
    "echo",
    "parallel_tool_calls",
    "",
];

fn number() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-4i64..500).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        (-0.5f64..1.5).prop_map(Value::from),
    ]
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        Just("user".to_owned()),
        Just("text".to_owned()),
        Just("tiny".to_owned()),
        "[0-9]{1,4}"
    ]
}

/// Keys that mean something somewhere.
const KEYS: [&str; 14] = [
    "role",
    "content",
    "type",
    "text",
    "image_url",
    "url",
    "tool_calls",
    "function",
    "arguments",
    "name",
    "include_usage",
    "chat_template",
    "$serde_json::private::RawValue",
    "$serde_json::private::Number",
];

fn key() -> impl Strategy<Value = String> {
    prop_oneof![3 => proptest::sample::select(KEYS.as_slice()).prop_map(str::to_owned), 1 => text()]
}

fn value() -> impl Strategy<Value = Value> {
    let leaf =
        prop_oneof![Just(Value::Null), any::<bool>().prop_map(Value::from), number(), text().prop_map(Value::from),];
    leaf.prop_recursive(4, 24, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((key(), inner), 0..5)
                .prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

fn endpoint() -> impl Strategy<Value = Endpoint> {
    proptest::sample::select([Endpoint::Chat, Endpoint::Completions, Endpoint::Embeddings].as_slice())
}

/// A request that is served, with a few fields set to anything.
fn request() -> impl Strategy<Value = (Endpoint, Value)> {
    let field = proptest::sample::select(FIELDS.as_slice());
    let fields = prop::collection::vec((field, value()), 0..4);
    (endpoint(), fields).prop_map(|(endpoint, fields)| {
        let mut body = with(endpoint, &json!({}));
        fields.into_iter().for_each(|(name, value)| body[name] = value);
        (endpoint, body)
    })
}

/// A refusal helps: it names the field or the place.
fn helps(refusal: &Refusal) -> bool {
    let place = refusal.code == Code::InvalidJson && refusal.message.contains(" column ");
    let field = refusal.param.is_some() && refusal.message.len() < 600;
    refusal.code.status().is_client_error() && (place || field)
}

/// The fields that are not the gateway's to say, and not nothing.
fn others(fields: &Map<String, Value>, dialect: Dialect) -> Map<String, Value> {
    let ours = ["model", "stream", "stream_options"];
    let kept = fields
        .iter()
        .filter(|(name, value)| !ours.contains(&name.as_str()) && (dialect == Dialect::Other || !value.is_null()));
    kept.map(|(name, value)| (name.clone(), value.clone())).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn bytes_are_answered(endpoint in endpoint(), body in prop::collection::vec(any::<u8>(), 0..256)) {
        if let Err(refusal) = read(endpoint, &HeaderMap::new(), &body, &catalogue()) {
            prop_assert!(helps(&refusal), "{refusal:?}");
        }
    }

    #[test]
    fn a_broken_request_is_answered(
        (endpoint, body) in request(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
    ) {
        let mut bytes = body.to_string().into_bytes();
        for (at, byte) in edits {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Err(refusal) = read(endpoint, &HeaderMap::new(), &bytes, &catalogue()) {
            prop_assert!(helps(&refusal), "{refusal:?}");
        }
    }

    #[test]
    fn what_is_accepted_is_sent_with_its_fields((endpoint, body) in request()) {
        match read_value(endpoint, &body) {
            Ok(ask) => {
                let sent = upstream(&ask);
                let sent = sent.as_object().expect("an object");
                let dialect = if &*ask.model == "tiny" { Dialect::MlxLm } else { Dialect::Other };
                prop_assert_eq!(others(sent, dialect), others(&ask.original, dialect));
                let told = body.to_string();
                prop_assert_eq!(&ask.original, &json::read(told.as_bytes()).expect("JSON").fields);
                let named = if dialect == Dialect::MlxLm { "default_model" } else { "org/big-4bit" };
                prop_assert_eq!(&sent["model"], named);
                for name in ["adapters", "draft_model"] {
                    prop_assert!(sent.get(name).is_none_or(Value::is_null), "{} is sent", name);
                }
                prop_assert_eq!(sent.get("stream").is_some(), ask.wire == Wire::Stream);
                prop_assert_eq!(ask.digest, read_value(endpoint, &body).expect("again").digest);
            }
            Err(refusal) => prop_assert!(helps(&refusal), "{refusal:?}"),
        }
    }
}
