//! The model on a screen of any size: pure, so that a test can look at it.

mod overview;
mod style;

use std::time::Instant;

use mlx_tree_api::{Language, Level};
use mlx_tree_control::Verb;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear, Paragraph};

use self::style::{Style, Tone};
use crate::model::{Help, Link, Model, Note, Tab, Told};
use crate::text::{cut, folded};

/// Columns and lines below which nothing can be read.
pub const SMALLEST: (u16, u16) = (40, 10);

/// The columns of a time of day.
const AT: usize = 9;

/// More lines than this no event and no line of the log takes.
const FOLDED: usize = 6;

/// Draws `model` as it is at `now`.
pub fn view(model: &Model, now: Instant, frame: &mut Frame<'_>) {
    let area = frame.area();
    let language = model.options.language;
    if area.width < SMALLEST.0 || area.height < SMALLEST.1 {
        return frame.render_widget(Paragraph::new(too_small(area, language)), area);
    }
    let style = Style::of(model.options.colors);
    let [tabs, body, foot] =
        Layout::vertical([Constraint::Length(1), Constraint::Min(1), Constraint::Length(1)]).areas(area);
    frame.render_widget(Paragraph::new(tab_line(model, style)), tabs);
    match model.tab {
        Tab::Overview => overview::draw(model, now, style, frame, body),
        Tab::Events => {
            let told = |at: usize| told_lines(&model.events[at], usize::from(body.width), style);
            tail((model.events.len(), &told), model.above[0], style, frame, body);
        }
        Tab::Log => {
            let line = |at: usize| {
                let folded = folded(&model.lines[at], usize::from(body.width), FOLDED);
                folded.into_iter().map(Line::raw).collect()
            };
            tail((model.lines.len(), &line), model.above[1], style, frame, body);
        }
    }
    frame.render_widget(Paragraph::new(foot_line(model, usize::from(area.width), style)), foot);
    if model.help == Help::Shown {
        help(language, style, frame, area);
    }
}

/// The tab at this column of the first line.
pub(crate) fn tab_at(column: u16, language: Language) -> Option<Tab> {
    let mut from = 0;
    Tab::ALL.into_iter().find(|tab| {
        let width = Line::raw(tab_label(*tab, language)).width();
        let hit = (from..from + width).contains(&usize::from(column));
        from += width;
        hit
    })
}

fn tab_label(tab: Tab, language: Language) -> String {
    let number = Tab::ALL.iter().position(|it| *it == tab).unwrap_or_default() + 1;
    format!(" {number} {} ", tab.name(language))
}

fn tab_line(model: &Model, style: Style) -> Line<'static> {
    let language = model.options.language;
    let label = |tab: Tab| {
        let label = tab_label(tab, language);
        if tab == model.tab { style.span(label, Tone::Chosen) } else { style.span(label, Tone::Faint) }
    };
    let mut spans: Vec<Span<'static>> = Tab::ALL.into_iter().map(label).collect();
    let link = match &model.link {
        Link::Searching => style.span(language.pick(" looking for mlx-tree …", " поиск mlx-tree …"), Tone::Doubt),
        Link::Connected => style.span("", Tone::Plain),
        Link::Lost(_) => style.span(language.pick(" not connected", " нет связи"), Tone::Bad),
    };
    spans.push(link);
    Line::from(spans)
}

fn foot_line(model: &Model, width: usize, style: Style) -> Line<'static> {
    let language = model.options.language;
    if let Some(verb) = model.asking {
        let question = language.pick(
            format!(" {verb}: {} [y/N] ", consequence(verb, language)),
            format!(" {verb}: {} [д/Н] ", consequence(verb, language)),
        );
        return Line::from(style.span(question, Tone::Chosen));
    }
    if let Some(verb) = model.performing {
        return Line::from(style.span(format!(" {verb} …"), Tone::Doubt));
    }
    match &model.note {
        Some((Note::Good(text), _)) => Line::from(style.span(format!(" {text}"), Tone::Good)),
        Some((Note::Bad(text), _)) => Line::from(style.span(format!(" {text}"), Tone::Bad)),
        None => {
            let (quit, keys) = language.pick(("q quit", "? keys"), ("q выход", "? клавиши"));
            let mut hints = String::new();
            // As many as there is room for; all of them are behind the question mark.
            for hint in [quit, keys, "s start", "S stop", "r restart", "d drain", "l reload", "R reset"] {
                let gap = if hints.is_empty() { " " } else { "  " };
                if hints.chars().count() + gap.len() + hint.chars().count() > width {
                    break;
                }
                hints = hints + gap + hint;
            }
            Line::from(style.span(hints, Tone::Faint))
        }
    }
}

fn consequence(verb: Verb, language: Language) -> &'static str {
    match verb {
        Verb::Stop => language.pick("stop the server at once?", "остановить сервер сразу?"),
        Verb::Restart => language.pick("restart the server?", "перезапустить сервер?"),
        Verb::Drain => language.pick("let it finish, then stop it?", "дать закончить и остановить?"),
        Verb::Reset => language.pick("forget all failures?", "забыть все сбои?"),
        Verb::Start | Verb::Reload | Verb::Shutdown => language.pick("really?", "точно?"),
    }
}

/// An event in one line.
fn told_line(told: &Told, width: usize, style: Style) -> Line<'static> {
    let text = cut(&told.text, width.saturating_sub(AT));
    Line::from(vec![style.span(format!("{:8} ", told.at), Tone::Faint), style.span(text, tone_of(told.level))])
}

/// An event whole.
fn told_lines(told: &Told, width: usize, style: Style) -> Vec<Line<'static>> {
    let lines = folded(&told.text, width.saturating_sub(AT), FOLDED).into_iter().enumerate();
    let line = |(at, text)| {
        let when = if at == 0 { told.at.as_str() } else { "" };
        Line::from(vec![style.span(format!("{when:8} "), Tone::Faint), style.span(text, tone_of(told.level))])
    };
    lines.map(line).collect()
}

const fn tone_of(level: Level) -> Tone {
    match level {
        Level::Error => Tone::Bad,
        Level::Warn => Tone::Doubt,
        Level::Info => Tone::Plain,
        Level::Debug => Tone::Faint,
    }
}

/// The end of a list of so many items, or what is `above` items above it; each item is some lines.
fn tail(
    (count, item): (usize, &dyn Fn(usize) -> Vec<Line<'static>>),
    above: usize,
    style: Style,
    frame: &mut Frame<'_>,
    area: Rect,
) {
    let (end, room) = (count.saturating_sub(above), usize::from(area.height));
    let mut shown: Vec<Line<'static>> = Vec::new();
    for at in (0..end).rev() {
        shown.splice(..0, item(at));
        if shown.len() >= room {
            break;
        }
    }
    shown.drain(..shown.len().saturating_sub(room));
    // What stands at the beginning fills the screen.
    for at in end..count {
        if shown.len() >= room {
            break;
        }
        shown.extend(item(at));
    }
    frame.render_widget(Paragraph::new(shown), area);
    if above > 0 {
        let text = format!(" ↓ {above} ");
        let width = u16::try_from(text.chars().count()).unwrap_or(area.width).min(area.width);
        let corner = Rect { x: area.right() - width, y: area.bottom().saturating_sub(1), width, height: 1 };
        frame.render_widget(Paragraph::new(Line::from(style.span(text, Tone::Chosen))), corner);
    }
}

fn too_small(area: Rect, language: Language) -> String {
    let (columns, lines) = SMALLEST;
    language.pick(
        format!("{}×{} is too small: {columns}×{lines} is needed", area.width, area.height),
        format!("{}×{} мало: нужно {columns}×{lines}", area.width, area.height),
    )
}

fn help(language: Language, style: Style, frame: &mut Frame<'_>, area: Rect) {
    const EN: [&str; 12] = [
        "Tab 1 2 3   overview, events, log",
        "↑ ↓ PgUp PgDn Home End   scroll",
        "↑ ↓ on the overview   another server",
        "s   start the server",
        "S   stop it",
        "r   restart it, nobody notices",
        "d   let it finish, then stop it",
        "l   read the configuration again",
        "R   forget failures, close the breaker",
        "Ctrl-Z   to the background",
        "q Ctrl-C   leave; mlx-tree goes on",
        "?   this",
    ];
    const RU: [&str; 12] = [
        "Tab 1 2 3   обзор, события, журнал",
        "↑ ↓ PgUp PgDn Home End   прокрутка",
        "↑ ↓ в обзоре   другой сервер",
        "s   запустить сервер",
        "S   остановить",
        "r   перезапустить незаметно",
        "d   дать закончить и остановить",
        "l   перечитать конфигурацию",
        "R   забыть сбои, замкнуть breaker",
        "Ctrl-Z   в фон",
        "q Ctrl-C   выйти; mlx-tree продолжит",
        "?   эта подсказка",
    ];
    let lines = language.pick(EN, RU);
    let width = area.width.min(44);
    let height = area.height.min(u16::try_from(lines.len()).unwrap_or(u16::MAX) + 2);
    let place = Rect { x: (area.width - width) / 2, y: (area.height - height) / 2, width, height };
    frame.render_widget(Clear, place);
    let block = Block::bordered().title(language.pick(" keys ", " клавиши "));
    let lines: Vec<Line<'_>> = lines.iter().map(|line| Line::from(style.span(*line, Tone::Plain))).collect();
    frame.render_widget(Paragraph::new(lines).block(block), place);
}

#[cfg(test)]
pub(crate) mod tests;
