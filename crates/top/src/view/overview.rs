//! Everything at a glance: state, tree, servers, gates, plots, exits and the latest events, as far as there is room.

mod parts;

use std::time::Instant;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::Line;
use ratatui::widgets::Paragraph;

use super::style::{Style, Tone};
use super::told_line;
use crate::model::{Link, Model};

/// From this width on there are two columns.
const WIDE: u16 = 100;

/// So many lines are left for the latest events and what stands above them.
const EVENTS: usize = 5;

pub(super) fn draw(model: &Model, now: Instant, style: Style, frame: &mut Frame<'_>, area: Rect) {
    let language = model.options.language;
    let Some((status, heard)) = &model.status else {
        let why = match &model.link {
            Link::Lost(why) => language.say(why).into_owned(),
            Link::Searching | Link::Connected => String::new(),
        };
        let lines = vec![
            Line::from(style.span(language.pick("not connected", "нет связи"), Tone::Bad)),
            Line::from(style.span(crate::text::clean(&why), Tone::Plain)),
            Line::from(style.span(language.pick("trying again …", "новая попытка …"), Tone::Faint)),
        ];
        return frame.render_widget(Paragraph::new(lines), area);
    };
    let view = parts::Seen { status, age: now.saturating_duration_since(*heard).as_secs_f64(), model, style };
    let mut head = view.head(usize::from(area.width));
    head.truncate(usize::from(area.height) / 2);
    let (tree, servers, gates) = (view.tree(), view.servers(), view.gates());
    // The left one of two columns, or all there is.
    let column = if area.width >= WIDE { (usize::from(area.width) - 2) * 3 / 5 } else { usize::from(area.width) };
    let exits = view.exits(column);
    let events = || model.events.iter().rev();
    if area.width >= WIDE {
        let left: Vec<Line<'_>> = [tree, servers, gates, exits].into_iter().flatten().collect();
        let plots = view.plots(usize::from(area.width) * 2 / 5 - 2);
        let middle = left.len().max(plots.len());
        let [above, sides, below] = Layout::vertical([
            Constraint::Length(height(head.len())),
            Constraint::Length(height(middle)),
            Constraint::Min(0),
        ])
        .areas(area);
        let [one, other] = Layout::horizontal([Constraint::Fill(3), Constraint::Fill(2)]).spacing(2).areas(sides);
        frame.render_widget(Paragraph::new(head), above);
        frame.render_widget(Paragraph::new(left), one);
        frame.render_widget(Paragraph::new(plots), other);
        frame.render_widget(Paragraph::new(latest(events(), below, style, view.title_of_events())), below);
        return;
    }
    let plots = view.plots(usize::from(area.width) - 2);
    // What is most wanted comes first. What finds no room beside the latest events is left out, as a whole.
    let room = usize::from(area.height).saturating_sub(EVENTS);
    let mut lines: Vec<Line<'_>> = head;
    lines.extend(tree);
    for part in [servers, gates, plots, exits] {
        if lines.len() + part.len() <= room {
            lines.extend(part);
        }
    }
    let [above, below] = Layout::vertical([Constraint::Length(height(lines.len())), Constraint::Min(0)]).areas(area);
    frame.render_widget(Paragraph::new(lines), above);
    frame.render_widget(Paragraph::new(latest(events(), below, style, view.title_of_events())), below);
}

/// The latest events, as many as there is room for, the newest at the bottom.
fn latest<'a>(
    newest_first: impl Iterator<Item = &'a crate::model::Told>,
    area: Rect,
    style: Style,
    title: Line<'a>,
) -> Vec<Line<'a>> {
    let room = usize::from(area.height).saturating_sub(1);
    let mut lines: Vec<Line<'a>> =
        newest_first.take(room).map(|told| told_line(told, usize::from(area.width), style)).collect();
    lines.push(title);
    lines.reverse();
    lines
}

fn height(lines: usize) -> u16 {
    u16::try_from(lines).unwrap_or(u16::MAX)
}
