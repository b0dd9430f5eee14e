//! A client: asks again and again, and judges what it gets as strictly as a client can.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use super::front::{Front, Labels};
use super::outcome::{Outcome, Seen, Way};
use super::{Chance, Load, Turns};

/// Longer than a gateway may hold a request.
pub const PATIENCE: Duration = Duration::from_secs(100);

/// Between two requests of one client, as somebody reads; and after one that failed.
const PAUSE: Duration = Duration::from_millis(20);
const PAUSE_AFTER_FAILURE: Duration = Duration::from_millis(200);

/// What is asked. The built-in model never ends by itself, so every whole answer has all its tokens.
const PROMPTS: [&str; 6] = [
    "What is a tree?",
    "Why does a child that falls stand up again?",
    "Tell me about the river and the stone.",
    "Count the leaves, please.",
    "Who watches the watchmen?",
    "Say it once more, and slowly.",
];

/// What the server says at temperature 0 when nothing disturbs it.
pub struct References(BTreeMap<&'static str, String>);

/// One of the clients.
pub struct Client {
    number: usize,
    http: reqwest::Client,
    front: Arc<Front>,
    references: Arc<References>,
    turns: Arc<Turns>,
    tokens: u32,
    chance: Chance,
    pub seen: Vec<Seen>,
    pub heard: Vec<Instant>,
}

/// One question.
struct Question {
    way: Way,
    prompt: &'static str,
    /// The text that must come.
    expected: Option<String>,
    body: Value,
}

/// An answer as it comes in.
#[derive(Default)]
struct Answer {
    text: String,
    finish: Option<String>,
    error: Option<String>,
    usage: Option<u64>,
    done: bool,
    continued: bool,
    ids: Vec<String>,
    models: Vec<String>,
    first: Option<Instant>,
}

// === impl References ===

impl References {
    /// Asks the server itself.
    pub async fn of(url: &str, tokens: u32) -> Self {
        let http = http();
        let mut texts = BTreeMap::new();
        for prompt in PROMPTS {
            let body =
                json!({"messages": [{"role": "user", "content": prompt}], "max_tokens": tokens, "temperature": 0});
            let answer = http.post(format!("{url}/v1/chat/completions")).json(&body).send().await.expect("an answer");
            let answer: Value = answer.json().await.expect("JSON");
            let choice = &answer["choices"][0];
            assert_eq!(choice["finish_reason"], "length", "the built-in model never ends by itself: {answer}");
            texts.insert(prompt, choice["message"]["content"].as_str().unwrap_or_default().to_owned());
        }
        Self(texts)
    }
}

fn http() -> reqwest::Client {
    let builder = reqwest::Client::builder().no_proxy().retry(reqwest::retry::never());
    builder.pool_max_idle_per_host(0).build().expect("a plain client")
}

// === impl Client ===

impl Client {
    pub fn new(
        number: usize,
        front: &Arc<Front>,
        load: &Load,
        references: &Arc<References>,
        turns: &Arc<Turns>,
    ) -> Self {
        Self {
            number,
            http: http(),
            front: Arc::clone(front),
            references: Arc::clone(references),
            turns: Arc::clone(turns),
            tokens: load.tokens,
            chance: Chance::new(load.seed.wrapping_add(number as u64)),
            seen: Vec::new(),
            heard: Vec::new(),
        }
    }

    /// Asks until the run is over; what is in flight then is waited for.
    pub async fn ask_until_it_is_over(mut self) -> Self {
        while !self.turns.are_over() {
            let question = self.question();
            self.turns.turn(self.number);
            let seen = self.ask(&question).await;
            self.turns.turn(self.number);
            sleep(if seen.outcome == Outcome::Whole { PAUSE } else { PAUSE_AFTER_FAILURE }).await;
            self.seen.push(seen);
        }
        self
    }

    /// Asks until there is a whole answer, for at most so long. Answers whether there was one.
    pub async fn ask_once(mut self, within: Duration) -> bool {
        let asked = async {
            loop {
                let question = self.question();
                if self.ask(&question).await.outcome == Outcome::Whole {
                    return;
                }
                sleep(PAUSE_AFTER_FAILURE).await;
            }
        };
        timeout(within, asked).await.is_ok()
    }

    fn question(&mut self) -> Question {
        let way = match self.number % 4 {
            1 => Way::Greedy,
            3 => Way::Sampled,
            _ => Way::Plain,
        };
        let greedy = way == Way::Greedy || (way == Way::Plain && self.chance.below(2) == 0);
        let prompt = PROMPTS[usize::try_from(self.chance.below(PROMPTS.len() as u64)).expect("below six")];
        let mut body = json!({
            "model": "default_model",
            "messages": [{"role": "user", "content": prompt}],
            "max_tokens": self.tokens,
            "temperature": if greedy { 0.0 } else { 0.9 },
            // The server does not read it. It makes every request another one, as it is between people: the gateway refuses
            // what was there at two ends of the server.
            "nonce": format!("{}-{}", self.number, self.chance.below(u64::MAX)),
        });
        if way != Way::Plain {
            body["stream"] = true.into();
            body["stream_options"] = json!({"include_usage": true});
        }
        let expected = greedy.then(|| self.references.0[prompt].clone());
        Question { way, prompt, expected, body }
    }

    async fn ask(&mut self, question: &Question) -> Seen {
        let begun = Instant::now();
        let mut seen = Seen {
            way: question.way,
            outcome: Outcome::Hung,
            begun,
            first: None,
            ended: begun,
            replayed: false,
            continued: false,
        };
        if let Ok(outcome) = timeout(PATIENCE, self.answer(question, &mut seen)).await {
            seen.outcome = outcome;
        }
        seen.ended = Instant::now();
        seen
    }

    async fn answer(&mut self, question: &Question, seen: &mut Seen) -> Outcome {
        let request = self.http.post(format!("{}/v1/chat/completions", self.front.url));
        let request = request.bearer_auth(format!("client-{:04}-of-the-bench", self.number)).json(&question.body);
        let Ok(mut response) = request.send().await else { return Outcome::Lost };
        let status = response.status().as_u16();
        if status != 200 {
            let body: Value = response.json().await.unwrap_or_default();
            return Outcome::Refused(status, code(&body["error"]));
        }
        let header = |name: &str| response.headers().get(name).and_then(|it| it.to_str().ok()).map(str::to_owned);
        seen.replayed = header("x-mlx-tree-attempts").is_some_and(|attempts| attempts != "1");
        let (backend, fallback) = (header("x-mlx-tree-backend"), header("x-mlx-tree-fallback"));
        let mut answer = Answer::default();
        let outcome = if question.way == Way::Plain {
            let Ok(bytes) = response.bytes().await else { return Outcome::Broken };
            let Ok(body) = serde_json::from_slice::<Value>(&bytes) else { return Outcome::Broken };
            self.heard.push(Instant::now());
            answer.take(&body);
            answer.done = true;
            answer.judge(question, self.tokens, Ok(()))
        } else {
            let mut unread = Vec::new();
            let end = loop {
                match response.chunk().await {
                    Ok(Some(bytes)) => unread.extend_from_slice(&bytes),
                    Ok(None) => break Ok(()),
                    Err(_) => break Err(()),
                }
                while let Some(at) = unread.windows(2).position(|end| end == b"\n\n") {
                    let event: Vec<u8> = unread.drain(..at + 2).collect();
                    if answer.event(&event) {
                        self.heard.push(Instant::now());
                    }
                }
            };
            answer.judge(question, self.tokens, end)
        };
        (seen.first, seen.continued) = (answer.first, answer.continued);
        match &self.front.labels {
            Some(labels) => {
                answer.labelled(labels, backend.as_deref(), fallback.as_deref()).map_or(outcome, Outcome::Foreign)
            }
            None => outcome,
        }
    }
}

fn code(error: &Value) -> String {
    let word = error["code"].as_str().or_else(|| error["type"].as_str());
    word.map_or_else(|| "without a word".to_owned(), str::to_owned)
}

// === impl Answer ===

impl Answer {
    /// Takes an event of a stream. Answers whether it is a part of the answer.
    fn event(&mut self, event: &[u8]) -> bool {
        let text = String::from_utf8_lossy(event);
        let text = text.trim_end();
        if text.starts_with(": mlx-tree: continued") {
            self.continued = true;
        }
        let Some(data) = text.strip_prefix("data:").map(str::trim_start) else { return false };
        if data == "[DONE]" {
            self.done = true;
            return false;
        }
        let Ok(chunk) = serde_json::from_str::<Value>(data) else {
            self.error = Some("no JSON".to_owned());
            return false;
        };
        if !chunk["error"].is_null() {
            self.error = Some(code(&chunk["error"]));
            return false;
        }
        self.first.get_or_insert_with(Instant::now);
        self.take(&chunk);
        true
    }

    /// Takes an object: a chunk, or a whole answer.
    fn take(&mut self, object: &Value) {
        let note = |list: &mut Vec<String>, value: &Value| {
            let value = value.as_str().unwrap_or_default();
            if !list.iter().any(|it| it == value) {
                list.push(value.to_owned());
            }
        };
        note(&mut self.ids, &object["id"]);
        note(&mut self.models, &object["model"]);
        let choice = &object["choices"][0];
        let said = [&choice["delta"], &choice["message"]].into_iter().find_map(|it| it["content"].as_str());
        self.text.push_str(said.unwrap_or_default());
        if let Some(finish) = choice["finish_reason"].as_str() {
            self.finish = Some(finish.to_owned());
        }
        if let Some(tokens) = object["usage"]["completion_tokens"].as_u64() {
            self.usage = Some(tokens);
        }
    }

    fn judge(&self, question: &Question, tokens: u32, end: Result<(), ()>) -> Outcome {
        match (&self.error, self.done || self.finish.is_some()) {
            (Some(error), _) if self.done => Outcome::Disguised(format!("[DONE] after {error}")),
            (Some(error), _) => Outcome::Told(error.clone()),
            (None, true) => self.whole(question, tokens).map_or(Outcome::Whole, Outcome::Disguised),
            (None, false) if end.is_err() => Outcome::Broken,
            (None, false) => Outcome::Silent,
        }
    }

    /// What is missing in an answer that looks whole.
    fn whole(&self, question: &Question, tokens: u32) -> Option<String> {
        if self.finish.as_deref() != Some("length") {
            return Some(format!(
                "it ends with {:?} instead of \"length\"",
                self.finish.as_deref().unwrap_or("nothing")
            ));
        }
        if self.usage.is_some_and(|made| made != u64::from(tokens)) {
            return Some("other tokens are counted than were asked for".to_owned());
        }
        match &question.expected {
            Some(expected) if *expected != self.text => {
                Some(format!("the text for {:?} is not what the server says undisturbed", question.prompt))
            }
            Some(_) | None if self.text.is_empty() => Some("there is no text".to_owned()),
            Some(_) | None => None,
        }
    }

    /// What is wrong with what it says about where it comes from.
    fn labelled(&self, labels: &Labels, backend: Option<&str>, fallback: Option<&str>) -> Option<String> {
        if backend != Some(labels.backend.as_str()) || fallback.is_some() {
            return Some(format!("backend {backend:?}, fallback {fallback:?}"));
        }
        if self.models.iter().any(|model| *model != labels.model) {
            return Some(format!("model {:?}", self.models));
        }
        (self.ids.len() > 1).then(|| "events of two answers in one".to_owned())
    }
}
