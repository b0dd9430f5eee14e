//! What it looks like, wide, narrow and tiny.

use std::time::Duration;

use mlx_tree_api::{Event, Kind, Point, ServerTrend, Status, Trend};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;

use super::*;
use crate::model::{Colors, Key, Message, Options, Pointer};

/// A server that waits for its next start.
pub(crate) fn status() -> Status {
    serde_json::from_str(
        r#"{
        "state": "restarting", "process_pid": null, "restart_count": 2, "health_check_failures": 0,
        "circuit_breaker_state": "closed", "phase": "backoff", "reason": "ended by SIGKILL, not sent by mlx-tree",
        "next_attempt_in_s": 7.5,
        "server": { "kind": "mlx_lm", "model": "org/model-4bit", "epoch": 3 },
        "breaker": { "state": "closed", "consecutive_failures": 2, "failure_threshold": 5, "restarts_in_window": 2,
                     "max_restarts": 5, "period_s": 300.0 },
        "health": { "failures": 0, "failure_threshold": 3 },
        "children": [
            { "id": "server", "state": "waiting", "epoch": 3, "restarts": 2, "next_start_in_s": 7.5 },
            { "id": "health", "state": "ready", "epoch": 1, "restarts": 0 },
            { "id": "breaker", "state": "ready", "epoch": 1, "restarts": 0 },
            { "id": "gateway", "state": "ready", "epoch": 1, "restarts": 0 }
        ],
        "journal": [],
        "gateway": { "url": "http://127.0.0.1:8080", "in_flight": 0, "queued": 3,
                     "gates": [{ "server": "server", "in_flight": 0, "queued": 3, "limit": 1, "limited_by": "slow_start" }] },
        "degraded": ["the child notes has failed too often"],
        "supervisor": { "pid": 24100, "version": "0.1.0", "uptime_s": 100.0 }
    }"#,
    )
    .expect("a status")
}

pub(crate) fn event(seq: u64, kind: Kind) -> Message {
    let at = format!("2026-01-01T12:00:{seq:02}Z");
    Message::Event(Box::new(Event { seq, at, child: "server".to_owned(), epoch: 3, server: None, kind }))
}

fn options(language: Language) -> Options {
    Options { language, colors: Colors::Sixteen, pointer: Pointer::Off }
}

/// A model that has seen something, and the moment in which it is looked at.
fn seen(language: Language) -> (Model, Instant) {
    let (mut model, now) = (Model::new(options(language)), Instant::now());
    let point = |at: u64| Point {
        at: String::new(),
        memory_bytes: Some(at << 30),
        cpu_cores: 1.0,
        tokens_per_s: (at % 3) as f64 * 10.0,
        in_flight: at % 2,
        queued: 3,
    };
    let points = (1..=8).map(point).collect();
    let exit = Kind::ServerExited {
        reason: "killed".to_owned(),
        code: None,
        signal: Some(9),
        message: "ended by SIGKILL".to_owned(),
        cause: Some("libc++abi: \u{1b}[31mterminating".to_owned()),
    };
    let messages = [
        Message::Status(Box::new(status())),
        Message::Trend(Trend {
            step_s: 5.0,
            servers: vec![ServerTrend { server: "server".to_owned(), points, phases: Vec::new() }],
        }),
        event(1, exit),
        event(2, Kind::RestartGranted { consecutive: 2 }),
        event(3, Kind::RestartDelayed { delay_s: 8.0 }),
        Message::Lines((0..50).map(|n| format!("line {n}")).collect()),
    ];
    for message in messages {
        let _ = model.update(message, now);
    }
    (model, now + Duration::from_secs(2))
}

fn drawn(model: &Model, now: Instant, width: u16, height: u16) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a terminal of memory");
    terminal.draw(|frame| view(model, now, frame)).expect("nothing can fail");
    terminal.backend().buffer().clone()
}

fn screen(model: &Model, now: Instant, width: u16, height: u16) -> String {
    let buffer = drawn(model, now, width, height);
    let cells = buffer.content().chunks(usize::from(width));
    let lines = cells.map(|line| line.iter().map(ratatui::buffer::Cell::symbol).collect::<String>());
    lines.map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

#[test]
fn wide() {
    let (model, now) = seen(Language::En);
    insta::assert_snapshot!(screen(&model, now, 110, 24), @"
     1 Overview  2 Events  3 Log
    mlx-tree 0.1.0 · pid 24100 · up 1 min 42 s
     backoff  ● next attempt in 5.5 s · mlx_lm · org/model-4bit
       clients: http://127.0.0.1:8080
       ended by SIGKILL, not sent by mlx-tree
     ! the child notes has failed too often

    root supervisor · restarts 2/5 in 5 min                            memory      8.0 GiB ▂▃▄▅▅▆▇█
    ├─ ● server    backoff    epoch 3  restarts 2  starts in 5.5 s     tokens/s         20 ▅█▁▅█▁▅█
    ├─ ● health    ready      epoch 1  waits for the server            in flight         0 █▁█▁█▁█▁
    ├─ ● breaker   closed     epoch 1  failures 2/5
    └─ ● gateway   ready      epoch 1

    gate server    in flight 0/1  waiting 3  until the first answer

    last exits
    12:00:01 server #3: ended by SIGKILL ↳ libc++abi:  [31mterminat…

    events (UTC)
    12:00:01 [SUPERVISOR] Server went down (signal: 9) ↳ libc++abi:  [31mterminating
    12:00:02 [SUPERVISOR] Attempting to restart the server...
    12:00:03 [SUPERVISOR] Waiting 8.0s before the restart (exponential backoff)

     q quit  ? keys  s start  S stop  r restart  d drain  l reload  R reset
    ");
}

#[test]
fn narrow_and_in_russian() {
    let (model, now) = seen(Language::Ru);
    insta::assert_snapshot!(screen(&model, now, 70, 28), @"
     1 Обзор  2 События  3 Журнал
    mlx-tree 0.1.0 · pid 24100 · работает 1 мин 42 с
     перезапуск  ● попытка через 5.5 с · mlx_lm · org/model-4bit
       клиенты: http://127.0.0.1:8080
       завершён сигналом SIGKILL, not sent by mlx-tree
     ! the child notes has failed too often

    root supervisor · перезапусков 2/5 за 5 мин
    ├─ ● server    перезапуск эпоха 3  перезапусков 2  запуск через 5.5 с
    ├─ ● health    работает   эпоха 1  ждёт сервер
    ├─ ● breaker   замкнут    эпоха 1  сбоев 2/5
    └─ ● gateway   работает   эпоха 1

    вход server    в работе 0/1  в очереди 3  до первого ответа

    память      8.0 ГиБ ▂▃▄▅▅▆▇█
    токенов/с        20 ▅█▁▅█▁▅█
    в работе          0 █▁█▁█▁█▁

    последние падения
    12:00:01 server #3: завершён сигналом SIGKILL ↳ libc++abi:  [31mtermi…

    события (UTC)
    12:00:01 [SUPERVISOR] Сервер упал (сигнал: 9) ↳ libc++abi:  [31mtermi…
    12:00:02 [SUPERVISOR] Попытка перезапуска сервера...
    12:00:03 [SUPERVISOR] Ожидание 8.0с перед перезапуском (exponential b…

     q выход  ? клавиши  s start  S stop  r restart  d drain  l reload
    ");
}

#[test]
fn tiny() {
    let (model, now) = seen(Language::En);
    insta::assert_snapshot!(screen(&model, now, 40, 10), @"
     1 Overview  2 Events  3 Log
    mlx-tree 0.1.0 · pid 24100 · up 1 min 42
     backoff  ● next attempt in 5.5 s · mlx_
       clients: http://127.0.0.1:8080
       ended by SIGKILL, not sent by
    root supervisor · restarts 2/5 in 5 min
    ├─ ● server    backoff    epoch 3  resta
    ├─ ● health    ready      epoch 1  waits
    ├─ ● breaker   closed     epoch 1  failu
     q quit  ? keys  s start  S stop
    ");
    insta::assert_snapshot!(screen(&model, now, 39, 9), @"39×9 is too small: 40×10 is needed");
}

#[test]
fn several_servers_and_the_one_that_is_looked_at() {
    let (mut model, now) = seen(Language::En);
    let mut status = status();
    let one = serde_json::json!({
        "name": "coder", "start": "on_demand", "in_flight": 0, "state": "running", "process_pid": 7, "restart_count": 1,
        "health_check_failures": 0, "circuit_breaker_state": "open", "phase": "suspended", "reason": "the model is not there",
        "server": { "kind": "mlx_lm", "model": "org/coder", "epoch": 1, "memory_bytes": 12_884_901_888_u64 },
        "breaker": status.breaker, "health": status.health, "children": [], "journal": []
    });
    let mut other = one.clone();
    other["name"] = "chat".into();
    status.servers =
        vec![serde_json::from_value(other).expect("a server"), serde_json::from_value(one).expect("a server")];
    let _ = model.update(Message::Status(Box::new(status)), now);
    let _ = model.update(Message::Key(Key::Down), now);
    let shown = screen(&model, now, 70, 40);
    let part: Vec<&str> = shown.lines().skip_while(|line| !line.starts_with("servers")).take(4).collect();
    insta::assert_snapshot!(part.join("\n"), @"
    servers
      ● chat         suspended  org/coder  12.0 GiB  restarts 1  breaker o
    ▸ ● coder        suspended  org/coder  12.0 GiB  restarts 1  breaker o
        the model is not there
    ");
}

#[test]
fn without_an_mlx_tree_it_says_so_and_goes_on_showing_what_it_knew() {
    let now = Instant::now();
    let mut model = Model::new(options(Language::En));
    let _ = model.update(Message::Unreachable("no mlx-tree is running here".to_owned()), now);
    let shown = screen(&model, now, 60, 10);
    assert!(shown.contains("not connected") && shown.contains("no mlx-tree is running here"), "{shown}");

    let (mut model, now) = seen(Language::En);
    let _ = model.update(Message::Unreachable("mlx-tree (pid 7) does not answer".to_owned()), now);
    let shown = screen(&model, now, 80, 24);
    assert!(shown.contains("NOT CONNECTED") && shown.contains("root supervisor"), "{shown}");
    let _ = model.update(Message::Status(Box::new(status())), now);
    assert!(!screen(&model, now, 80, 24).to_lowercase().contains("not connected"));
}

#[test]
fn no_size_is_too_odd_to_be_drawn() {
    let (mut model, now) = seen(Language::En);
    for tab in Tab::ALL {
        model.tab = tab;
        for help in [Help::Hidden, Help::Shown] {
            model.help = help;
            for width in [1, 20, 39, 40, 41, 70, 99, 100, 200] {
                for height in [1, 9, 10, 11, 24, 60] {
                    drawn(&model, now, width, height);
                }
            }
        }
    }
}

#[test]
fn without_colours_the_words_say_it_all() {
    let (mut model, now) = seen(Language::En);
    let colored = |model: &Model| {
        let buffer = drawn(model, now, 110, 24);
        buffer.content().iter().any(|cell| cell.fg != ratatui::style::Color::Reset)
    };
    assert!(colored(&model));
    let words = screen(&model, now, 110, 24);
    model.options.colors = Colors::None;
    assert!(!colored(&model));
    assert_eq!(screen(&model, now, 110, 24), words);
}

#[test]
fn the_end_of_the_log_is_shown_and_what_is_read_stays() {
    let (mut model, now) = seen(Language::En);
    model.tab = Tab::Log;
    assert!(screen(&model, now, 60, 12).contains("line 49"));
    for _ in 0..2 {
        let _ = model.update(Message::Key(Key::PageUp), now);
    }
    let before = screen(&model, now, 60, 12);
    assert!(before.contains("line 29") && !before.contains("line 30"), "{before}");
    let _ = model.update(Message::Lines(vec!["news".to_owned()]), now);
    let after = screen(&model, now, 60, 12);
    assert!(after.contains("line 29") && after.contains("↓ 21"), "{after}");
    let _ = model.update(Message::Key(Key::End), now);
    assert!(screen(&model, now, 60, 12).contains("news"));
    let _ = model.update(Message::Key(Key::Home), now);
    assert!(screen(&model, now, 60, 12).contains("line 0"));
}

#[test]
fn a_click_on_a_tab_opens_it() {
    let (mut model, now) = seen(Language::Ru);
    let line = screen(&model, now, 60, 12);
    let column = line.lines().next().expect("a line").chars().position(|c| c == '3').expect("the third tab");
    let _ = model.update(Message::Clicked(u16::try_from(column).expect("small")), now);
    assert_eq!(model.tab, Tab::Log);
    let _ = model.update(Message::Clicked(59), now);
    assert_eq!(model.tab, Tab::Log);
}
