//! The keyboard and the mouse: a thread that waits for them, since nothing else can.

use std::thread;

use ratatui::crossterm::event::{
    Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers, MouseButton, MouseEvent, MouseEventKind, read,
};
use tokio::sync::mpsc;

use crate::model::{Key, Message};

/// What the thread says.
#[derive(Debug)]
pub(crate) enum Input {
    /// Something for the model.
    Message(Message),
    /// The terminal is gone.
    Gone,
}

/// Starts the thread. It ends with the terminal, with its listener or with the process.
pub(crate) fn listen() -> std::io::Result<mpsc::Receiver<Input>> {
    let (sender, receiver) = mpsc::channel(64);
    thread::Builder::new().name("keys".to_owned()).spawn(move || {
        loop {
            let input = match read() {
                Ok(event) => match of(&event) {
                    Some(message) => Input::Message(message),
                    None => continue,
                },
                Err(_) => Input::Gone,
            };
            let gone = matches!(input, Input::Gone);
            if sender.blocking_send(input).is_err() || gone {
                return;
            }
        }
    })?;
    Ok(receiver)
}

fn of(event: &Event) -> Option<Message> {
    match event {
        Event::Key(key) => key_of(key).map(Message::Key),
        Event::Mouse(mouse) => mouse_of(mouse),
        Event::Resize(..) => Some(Message::Resized),
        Event::FocusGained | Event::FocusLost | Event::Paste(_) => None,
    }
}

fn key_of(key: &KeyEvent) -> Option<Key> {
    if key.kind == KeyEventKind::Release {
        return None;
    }
    if key.modifiers.contains(KeyModifiers::CONTROL) {
        return match key.code {
            KeyCode::Char('c') => Some(Key::Interrupt),
            KeyCode::Char('z') => Some(Key::Suspend),
            KeyCode::Char('f') => Some(Key::PageDown),
            KeyCode::Char('b') => Some(Key::PageUp),
            _ => None,
        };
    }
    Some(match key.code {
        KeyCode::Char(c) => Key::Char(c),
        KeyCode::Esc => Key::Escape,
        KeyCode::Enter => Key::Enter,
        KeyCode::Tab | KeyCode::Right => Key::Next,
        KeyCode::BackTab | KeyCode::Left => Key::Previous,
        KeyCode::Up => Key::Up,
        KeyCode::Down => Key::Down,
        KeyCode::PageUp => Key::PageUp,
        KeyCode::PageDown => Key::PageDown,
        KeyCode::Home => Key::Home,
        KeyCode::End => Key::End,
        _ => return None,
    })
}

fn mouse_of(mouse: &MouseEvent) -> Option<Message> {
    match mouse.kind {
        MouseEventKind::ScrollUp => Some(Message::Scrolled(-3)),
        MouseEventKind::ScrollDown => Some(Message::Scrolled(3)),
        MouseEventKind::Down(MouseButton::Left) if mouse.row == 0 => Some(Message::Clicked(mouse.column)),
        _ => None,
    }
}
