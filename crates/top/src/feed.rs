//! What mlx-tree says, again and again: a task that finds it, asks it, and finds it again when it has been restarted.

use std::path::Path;
use std::time::Duration;

use mlx_tree_control::{Client, ClientError, Heard, Position};
use tokio::sync::{Notify, mpsc};
use tokio::time::{sleep, timeout};

use crate::model::Message;

/// The status is asked for so often, and at once when something has happened.
const EVERY: Duration = Duration::from_secs(1);
/// But not more often than this.
const PAUSE: Duration = Duration::from_millis(100);
/// The plots need not be newer.
const TREND: Duration = Duration::from_secs(2);
/// After it did not answer.
const AGAIN: Duration = Duration::from_millis(500);
/// So many lines of the server's log are asked for.
const LINES: usize = 500;
/// A line that does not end.
const LONGEST: usize = 64 * 1024;

/// Feeds `out` until nobody listens.
pub(crate) async fn feed(state_dir: &Path, out: &mpsc::Sender<Message>) {
    let mut position = Position::default();
    while !out.is_closed() {
        // Read anew each time: another mlx-tree has another address and another token.
        let why = match Client::from_state_dir(state_dir) {
            Ok(client) => connected(&client, &mut position, out).await,
            Err(error) => error,
        };
        let why = if out.send(Message::Unreachable(why.to_string())).await.is_ok() { AGAIN } else { return };
        sleep(why).await;
    }
}

/// Feeds until one of the streams is at its end, and says why.
async fn connected(client: &Client, position: &mut Position, out: &mpsc::Sender<Message>) -> ClientError {
    let news = Notify::new();
    tokio::select! {
        error = statuses(client, &news, out) => error,
        error = events(client, position, &news, out) => error,
        error = lines(client, out) => error,
        error = trends(client, out) => error,
    }
}

async fn statuses(client: &Client, news: &Notify, out: &mpsc::Sender<Message>) -> ClientError {
    loop {
        match client.status().await {
            Ok(status) => send(out, Message::Status(Box::new(status))).await,
            Err(error) => return error,
        }
        sleep(PAUSE).await;
        let _ = timeout(EVERY - PAUSE, news.notified()).await;
    }
}

async fn trends(client: &Client, out: &mpsc::Sender<Message>) -> ClientError {
    loop {
        match client.trend().await {
            Ok(trend) => send(out, Message::Trend(trend)).await,
            Err(error) => return error,
        }
        sleep(TREND).await;
    }
}

async fn events(client: &Client, position: &mut Position, news: &Notify, out: &mpsc::Sender<Message>) -> ClientError {
    loop {
        let mut stream = match client.events(position.clone()).await {
            Ok(stream) => stream,
            Err(error) => return error,
        };
        loop {
            let heard = stream.next().await;
            *position = stream.position();
            match heard {
                Ok(Some(Heard::Event(event))) => {
                    news.notify_one();
                    send(out, Message::Event(event)).await;
                }
                Ok(Some(Heard::Lost(count))) => send(out, Message::Missed(count)).await,
                Ok(Some(Heard::Restarted)) => send(out, Message::Restarted).await,
                // It has closed the stream. If it is gone, the status says so.
                Ok(None) => break,
                Err(error) => return error,
            }
        }
        sleep(AGAIN).await;
    }
}

async fn lines(client: &Client, out: &mpsc::Sender<Message>) -> ClientError {
    loop {
        let mut answer = match client.logs(LINES, true).await {
            Ok(answer) => answer,
            Err(error) => return error,
        };
        send(out, Message::LinesAnew).await;
        let mut unfinished = Vec::new();
        while let Ok(Some(chunk)) = answer.chunk().await {
            unfinished.extend_from_slice(&chunk);
            let Some(end) = unfinished.iter().rposition(|byte| *byte == b'\n') else {
                unfinished.truncate(LONGEST);
                continue;
            };
            let rest = unfinished.split_off(end + 1);
            let text = String::from_utf8_lossy(&unfinished);
            send(out, Message::Lines(text.lines().map(str::to_owned).collect())).await;
            unfinished = rest;
        }
        sleep(AGAIN).await;
    }
}

/// Nobody listens any more: then this is about to be dropped.
async fn send(out: &mpsc::Sender<Message>, message: Message) {
    let _ = out.send(message).await;
}
