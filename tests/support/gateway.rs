//! A client of the gateway that sees everything: the head, each event, and whether the end was one.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mlx_tree_api::Gateway;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{Instance, PATIENCE, wire};

/// Where clients are served.
#[derive(Debug, Clone, Copy)]
pub struct Address(pub SocketAddr);

/// A request that was sent, and what has been read of its answer.
pub struct Call {
    stream: BufReader<TcpStream>,
    head: Option<Head>,
    /// What is left of the present chunk or of the whole body.
    left: usize,
    /// Text that is no whole event yet.
    text: Vec<u8>,
    comments: Vec<String>,
    end: Option<End>,
}

/// A status and its headers.
#[derive(Debug, Clone)]
pub struct Head {
    pub status: u16,
    headers: Vec<(String, String)>,
}

/// How an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// With its last byte, or its last chunk.
    Proper,
    /// The connection was closed before.
    Cut,
}

/// An answer, all of it.
#[derive(Debug, Clone)]
pub struct Answer {
    pub head: Head,
    /// The body of a plain answer.
    pub body: String,
    /// The data of the events of a stream.
    pub events: Vec<String>,
    pub comments: Vec<String>,
    pub end: End,
}

// === impl Instance ===

impl Instance {
    /// Where it serves clients.
    pub async fn gateway(&self) -> Address {
        let url = self.until("serving clients", |it| it.gateway.is_some()).await.gateway.expect("just seen").url;
        Address(url.strip_prefix("http://").expect("a plain URL").parse().expect("an address"))
    }

    /// Waits until the gateway is as wanted.
    pub async fn gateway_until(&self, what: &str, mut wanted: impl FnMut(&Gateway) -> bool) -> Gateway {
        let status = self.until(what, |it| it.gateway.as_ref().is_some_and(&mut wanted)).await;
        status.gateway.expect("just seen")
    }

    /// Waits until nothing is in flight and nothing waits: what must be true after every story.
    pub async fn balanced(&self) -> Gateway {
        self.gateway_until("at rest", |it| (it.in_flight, it.queued) == (0, 0)).await
    }

    /// What the stand-in, started with `--control`, has counted in this incarnation.
    pub async fn stats(&self) -> Value {
        let answer = wire::ask(&self.url().await, "GET", "/_fake/stats", "").await.expect("the stand-in answers");
        let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
        serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer}"))
    }
}

/// One of the stand-in's counts.
pub fn count(stats: &Value, name: &str) -> u64 {
    stats[name].as_u64().unwrap_or_else(|| panic!("{name}: {stats}"))
}

/// A plain greedy question.
pub fn plain(prompt: &str) -> Value {
    json!({"messages": [{"role": "user", "content": prompt}]})
}

/// The same as a stream.
pub fn streamed(prompt: &str) -> Value {
    with(plain(prompt), "stream", true)
}

/// The same with chance in it.
pub fn sampled(prompt: &str) -> Value {
    with(streamed(prompt), "temperature", 0.7)
}

/// `body` with another field.
pub fn with(mut body: Value, name: &str, value: impl Into<Value>) -> Value {
    body[name] = value.into();
    body
}

// === impl Address ===

impl Address {
    /// Asks for a chat completion, and reads the answer to its end.
    pub async fn ask(self, body: &Value) -> Answer {
        self.send(body).await.answer().await
    }

    /// Asks for a chat completion.
    pub async fn send(self, body: &Value) -> Call {
        self.send_with(&[], body).await
    }

    /// The same with further headers.
    pub async fn send_with(self, headers: &[(&str, &str)], body: &Value) -> Call {
        let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let (body, host) = (body.to_string(), self.0);
        let request = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n{headers}\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.raw(&request).await
    }

    /// `GET`s a path.
    pub async fn get(self, path: &str) -> Answer {
        self.raw(&format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", self.0)).await.answer().await
    }

    /// Sends any bytes.
    pub async fn raw(self, request: &str) -> Call {
        let mut stream = self.connect().await;
        stream.write_all(request.as_bytes()).await.expect("it reads");
        Call { stream: BufReader::new(stream), head: None, left: 0, text: Vec::new(), comments: Vec::new(), end: None }
    }

    /// A connection without a request.
    pub async fn connect(self) -> TcpStream {
        bounded("connected", TcpStream::connect(self.0)).await.expect("the gateway listens")
    }
}

/// Nothing in a test waits for ever.
pub async fn bounded<F: Future>(what: &str, wait: F) -> F::Output {
    timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("never {what}"))
}

/// Looks again and again until `wanted`.
pub async fn eventually<F: Future<Output = bool>>(what: &str, mut wanted: impl FnMut() -> F) {
    let start = Instant::now();
    while !wanted().await {
        assert!(start.elapsed() < PATIENCE, "never {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

// === impl Call ===

impl Call {
    /// Waits for the head of the answer.
    pub async fn head(&mut self) -> Head {
        if let Some(head) = &self.head {
            return head.clone();
        }
        let head = bounded("answered", Head::read(&mut self.stream)).await;
        self.left = head.header("content-length").map_or(0, |length| length.parse().expect("a length"));
        self.head.insert(head).clone()
    }

    /// The data of the next event; nothing when there is no further one.
    pub async fn event(&mut self) -> Option<String> {
        self.head().await;
        loop {
            if let Some(end) = self.text.windows(2).position(|two| two == b"\n\n") {
                let event: Vec<u8> = self.text.drain(..end + 2).collect();
                let event = String::from_utf8(event).expect("no event ends inside a character");
                match event.trim_end().split_once(':') {
                    Some(("data", data)) => return Some(data.trim_start().to_owned()),
                    Some(("", comment)) => self.comments.push(comment.trim().to_owned()),
                    _ => panic!("neither data nor a comment: {event:?}"),
                }
                continue;
            }
            let more = bounded("more of the answer", self.more()).await?;
            self.text.extend_from_slice(&more);
        }
    }

    /// Reads the answer to its end.
    pub async fn answer(mut self) -> Answer {
        let head = self.head().await;
        let is_stream = head.header("content-type").is_some_and(|kind| kind.starts_with("text/event-stream"));
        let (mut events, mut body) = (Vec::new(), Vec::new());
        if is_stream {
            while let Some(event) = self.event().await {
                events.push(event);
            }
        } else {
            while let Some(more) = bounded("a whole body", self.more()).await {
                body.extend_from_slice(&more);
            }
        }
        assert!(self.text.is_empty(), "half an event: {:?}", String::from_utf8_lossy(&self.text));
        let body = String::from_utf8(body).expect("utf-8");
        Answer { head, body, events, comments: self.comments, end: self.end.expect("it has ended") }
    }

    /// Whether the other side has ended the connection without a word.
    pub async fn is_closed_unanswered(&mut self) -> bool {
        self.head.is_none() && bounded("closed", self.stream.fill_buf()).await.map_or(true, <[u8]>::is_empty)
    }

    async fn more(&mut self) -> Option<Vec<u8>> {
        if self.end.is_some() {
            return None;
        }
        let head = self.head.as_ref().expect("it has been read");
        let chunked = head.header("transfer-encoding").is_some();
        if self.left == 0 {
            let size = if chunked { chunk(&mut self.stream).await } else { Some(0) };
            match size {
                Some(0) => self.end = Some(End::Proper),
                Some(size) => self.left = size,
                None => self.end = Some(End::Cut),
            }
            if self.end.is_some() {
                return None;
            }
        }
        let mut piece = vec![0; self.left.min(64 << 10)];
        let read = self.stream.read(&mut piece).await.unwrap_or(0);
        if read == 0 {
            self.end = Some(End::Cut);
            return None;
        }
        piece.truncate(read);
        self.left -= read;
        if self.left == 0 && chunked {
            let mut end = [0; 2];
            if self.stream.read_exact(&mut end).await.is_err() {
                self.end = Some(End::Cut);
            }
        }
        if self.left == 0 && !chunked {
            self.end = Some(End::Proper);
        }
        Some(piece)
    }
}

/// The size of the next chunk; nothing if the connection ends instead.
async fn chunk(stream: &mut BufReader<TcpStream>) -> Option<usize> {
    let mut line = String::new();
    stream.read_line(&mut line).await.ok().filter(|read| *read > 0)?;
    let size = usize::from_str_radix(line.trim_end(), 16).expect("the size of a chunk");
    if size == 0 {
        line.clear();
        stream.read_line(&mut line).await.ok().filter(|read| *read > 0)?;
    }
    Some(size)
}

// === impl Head ===

impl Head {
    async fn read(stream: &mut BufReader<TcpStream>) -> Self {
        let mut line = String::new();
        stream.read_line(&mut line).await.expect("a status line");
        let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.unwrap_or_else(|| panic!("no status line: {line:?}"));
        let mut headers = Vec::new();
        loop {
            let mut line = String::new();
            stream.read_line(&mut line).await.expect("headers");
            let Some((name, value)) = line.trim_end().split_once(':') else { break };
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        Self { status, headers }
    }

    /// A header, by its lower-case name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

// === impl Answer ===

impl Answer {
    pub const fn status(&self) -> u16 {
        self.head.status
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.header(name)
    }

    /// How many attempts it took, as far as the head knows.
    pub fn attempts(&self) -> u64 {
        self.number("x-mlx-tree-attempts")
    }

    /// A header that is a number.
    pub fn number(&self, name: &str) -> u64 {
        let value = self.header(name).unwrap_or_else(|| panic!("no {name}: {self:?}"));
        value.parse().expect("a number")
    }

    /// The body of a plain answer.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The chunks of a stream, without `[DONE]`.
    pub fn chunks(&self) -> Vec<Value> {
        let data = self.events.iter().filter(|event| *event != "[DONE]");
        data.map(|event| serde_json::from_str(event).unwrap_or_else(|error| panic!("{error}: {event}"))).collect()
    }

    /// What the model has said, in either form.
    pub fn text(&self) -> String {
        let of = |choice: &Value, at: &str| choice[at]["content"].as_str().unwrap_or_default().to_owned();
        if self.events.is_empty() {
            return of(&self.json()["choices"][0], "message");
        }
        self.chunks().iter().map(|chunk| of(&chunk["choices"][0], "delta")).collect()
    }

    /// The code of the error that it is, or ends with.
    pub fn error(&self) -> Option<String> {
        let code = |value: &Value| value["error"]["code"].as_str().map(str::to_owned);
        match self.head.status {
            200 => code(self.chunks().last()?),
            _ => Some(code(&self.json()).unwrap_or_else(|| panic!("an error without a code: {self:?}"))),
        }
    }

    /// Whether a client takes it for a whole answer: I3 says that it is one then.
    pub fn is_success(&self) -> bool {
        self.status() == 200
            && self.end == End::Proper
            && (self.events.is_empty() || self.events.last().is_some_and(|last| last == "[DONE]"))
    }

    /// Checks that it is a whole answer, and answers its text.
    pub fn whole(&self) -> String {
        assert!(self.is_success() && self.error().is_none(), "not whole: {self:#?}");
        let finish = |value: &Value| value["choices"][0]["finish_reason"].is_string();
        let finished = if self.events.is_empty() { finish(&self.json()) } else { self.chunks().iter().any(finish) };
        assert!(finished, "no finish reason: {self:#?}");
        self.text()
    }

    /// Checks that it is an error that came before anything else, with this status and code, in OpenAI's shape.
    pub fn refused(&self, status: u16, code: &str) {
        assert_eq!((self.status(), self.error().as_deref()), (status, Some(code)), "{self:#?}");
        assert_eq!(self.end, End::Proper, "{self:#?}");
        let error = &self.json()["error"];
        let keys: Vec<_> = error.as_object().expect("an object").keys().map(String::as_str).collect();
        assert_eq!(keys, ["code", "message", "param", "type"], "{self:#?}");
        if status == 503 || status == 429 {
            assert!((1..=60).contains(&self.number("retry-after")), "{self:#?}");
        }
    }

    /// Checks that it is a stream that ended with this error, and so that no client takes it for whole. Answers the text
    /// that came before.
    pub fn cut(&self, code: &str) -> String {
        assert_eq!((self.status(), self.error().as_deref()), (200, Some(code)), "{self:#?}");
        assert!(!self.events.iter().any(|event| event == "[DONE]") && self.end == End::Cut, "{self:#?}");
        self.text()
    }
}
