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

/// Columns and lines below which nothing can be read.
pub const SMALLEST: (u16, u16) = (40, 10);

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
            let lines: Vec<Line<'_>> = model.events.iter().map(|told| told_line(told, style)).collect();
            tail(lines, model.above[0], style, frame, body);
        }
        Tab::Log => {
            let lines: Vec<Line<'_>> = model.lines.iter().map(|line| Line::raw(line.as_str())).collect();
            tail(lines, model.above[1], style, frame, body);
        }
    }
    frame.render_widget(Paragraph::new(foot_line(model, style)), foot);
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

fn foot_line(model: &Model, style: Style) -> Line<'static> {
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
        None => Line::from(style.span(
            language.pick(
                " q quit  ? keys  s start  S stop  r restart  d drain  l reload  R reset",
                " q выход  ? клавиши  s start  S stop  r restart  d drain  l reload  R reset",
            ),
            Tone::Faint,
        )),
    }
}

fn consequence(verb: Verb, language: Language) -> &'static str {
    match verb {
        Verb::Stop => language.pick("stop the server at once?", "остановить сервер сразу?"),
        Verb::Restart => language.pick("restart the server?", "перезапустить сервер?"),
        Verb::Drain => language.pick("let it finish, then stop it?", "дать закончить и остановить?"),
        Verb::Reset => language.pick("forget all failures?", "забыть все неудачи?"),
        Verb::Start | Verb::Reload | Verb::Shutdown => language.pick("really?", "точно?"),
    }
}

fn told_line<'a>(told: &'a Told, style: Style) -> Line<'a> {
    let tone = match told.level {
        Level::Error => Tone::Bad,
        Level::Warn => Tone::Doubt,
        Level::Info => Tone::Plain,
        Level::Debug => Tone::Faint,
    };
    Line::from(vec![style.span(format!("{:8} ", told.at), Tone::Faint), style.span(told.text.as_str(), tone)])
}

/// The end of a list, or what is `above` lines above it.
fn tail(lines: Vec<Line<'_>>, above: usize, style: Style, frame: &mut Frame<'_>, area: Rect) {
    let end = lines.len().saturating_sub(above);
    let room = usize::from(area.height);
    // What stands at the beginning fills the screen.
    let end = end.max(room.min(lines.len()));
    let shown: Vec<Line<'_>> = lines.into_iter().take(end).skip(end.saturating_sub(room)).collect();
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
        "R   забыть неудачи, закрыть breaker",
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
