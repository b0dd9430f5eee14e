//! A server that costs next to nothing: it answers at once, or streams tokens that tell when they were sent.

use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep_until};

use super::clock;

/// What is asked, as far as it matters here.
struct Question {
    tokens: u32,
    /// Tokens a second; 0 is at once.
    pace: u32,
    stream: bool,
    keep: bool,
}

/// Serves on a port of the loopback address until the process is ended.
pub fn serve(port: u16) -> ! {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.expect("the port is free");
        loop {
            if let Ok((stream, _)) = listener.accept().await {
                let _ = stream.set_nodelay(true);
                tokio::spawn(answer_all(stream));
            }
        }
    })
}

async fn answer_all(mut stream: TcpStream) {
    let mut unread = Vec::with_capacity(4096);
    loop {
        let head = loop {
            if let Some(at) = find(&unread, b"\r\n\r\n") {
                break at + 4;
            }
            match stream.read_buf(&mut unread).await {
                Ok(1..) => {}
                Ok(0) | Err(_) => return,
            }
        };
        let text = String::from_utf8_lossy(&unread[..head]).to_ascii_lowercase();
        let length = number_after(&text, "content-length: ").unwrap_or(0) as usize;
        while unread.len() < head + length {
            match stream.read_buf(&mut unread).await {
                Ok(1..) => {}
                Ok(0) | Err(_) => return,
            }
        }
        let body = String::from_utf8_lossy(&unread[head..head + length]).into_owned();
        unread.drain(..head + length);
        if text.starts_with("get ") {
            let answer = whole(r#"{"status":"ok"}"#, Keep::Yes);
            if stream.write_all(answer.as_bytes()).await.is_err() {
                return;
            }
            continue;
        }
        let question = Question {
            tokens: number_after(&body, "\"max_tokens\":").unwrap_or(1),
            pace: number_after(&body, "\"top_k\":").unwrap_or(0),
            stream: body.replace(' ', "").contains("\"stream\":true"),
            keep: text.contains(" http/1.1\r\n") && !text.contains("connection: close"),
        };
        if answer(&mut stream, &question).await.is_err() || !question.keep {
            return;
        }
    }
}

async fn answer(stream: &mut TcpStream, question: &Question) -> std::io::Result<()> {
    let keep = if question.keep { Keep::Yes } else { Keep::No };
    if !question.stream {
        let words = "a ".repeat(question.tokens as usize);
        let body = format!(
            r#"{{"id":"cmpl-0","object":"text_completion","created":0,"model":"trivial","choices":[{{"index":0,"text":"{words}","finish_reason":"length"}}],"usage":{{"prompt_tokens":1,"completion_tokens":{0},"total_tokens":{0}}}}}"#,
            question.tokens
        );
        return stream.write_all(whole(&body, keep).as_bytes()).await;
    }
    let mut out = head_of_stream(keep);
    let start = Instant::now();
    for number in 0..question.tokens {
        if let Some(apart) = Duration::from_secs(1).checked_div(question.pace) {
            if number > 0 {
                sleep_until(start + apart * number).await;
            }
            event(&mut out, keep, &token(&clock().to_string(), "null"));
            stream.write_all(out.as_bytes()).await?;
            out.clear();
        } else {
            event(&mut out, keep, &token("a ", "null"));
        }
    }
    event(&mut out, keep, &token("", "\"length\""));
    event(
        &mut out,
        keep,
        &format!(
            r#"{{"id":"cmpl-0","object":"text_completion","created":0,"model":"trivial","choices":[],"usage":{{"prompt_tokens":1,"completion_tokens":{0},"total_tokens":{0}}}}}"#,
            question.tokens
        ),
    );
    event(&mut out, keep, "[DONE]");
    if keep == Keep::Yes {
        out.push_str("0\r\n\r\n");
    }
    stream.write_all(out.as_bytes()).await
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Keep {
    /// Chunked, as HTTP/1.1 has it.
    Yes,
    /// Until the connection is closed, as `mlx_lm.server` has it.
    No,
}

fn whole(body: &str, keep: Keep) -> String {
    let connection = if keep == Keep::Yes { "keep-alive" } else { "close" };
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: {connection}\r\n\r\n{body}",
        body.len()
    )
}

fn head_of_stream(keep: Keep) -> String {
    let how = if keep == Keep::Yes { "Transfer-Encoding: chunked" } else { "Connection: close" };
    format!("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n{how}\r\n\r\n")
}

fn token(text: &str, finish: &str) -> String {
    format!(
        r#"{{"id":"cmpl-0","object":"text_completion","created":0,"model":"trivial","choices":[{{"index":0,"text":"{text}","finish_reason":{finish}}}]}}"#
    )
}

fn event(out: &mut String, keep: Keep, data: &str) {
    use std::fmt::Write as _;
    let _ = match keep {
        Keep::Yes => write!(out, "{:x}\r\ndata: {data}\n\n\r\n", data.len() + 8),
        Keep::No => write!(out, "data: {data}\n\n"),
    };
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

/// The number that follows the first `name`, spaces aside.
fn number_after(text: &str, name: &str) -> Option<u32> {
    let rest = text[text.find(name)? + name.len()..].trim_start();
    rest[..rest.find(|it: char| !it.is_ascii_digit()).unwrap_or(rest.len())].parse().ok()
}
