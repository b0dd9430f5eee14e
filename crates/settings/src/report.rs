//! The whole configuration for people: each key, its value, and where it comes from.

use std::fmt;

use crate::{FileUse, Loaded, Origin};

/// Values longer than this do not push the origins of all others to the right.
const WIDEST: usize = 48;

pub(crate) fn write(f: &mut fmt::Formatter<'_>, loaded: &Loaded) -> fmt::Result {
    for file in loaded.files() {
        let used = match file.used {
            FileUse::Read => "read",
            FileUse::Absent => "not there",
        };
        writeln!(f, "# {} ({used})", file.path.display())?;
    }
    let lines: Vec<(String, &Origin)> =
        loaded.entries().iter().map(|entry| (format!("{} = {}", entry.key, entry.shown), &entry.origin)).collect();
    let width = lines.iter().map(|(line, _)| line.chars().count()).filter(|width| *width <= WIDEST).max().unwrap_or(0);
    let mut section = None;
    for (entry, (line, origin)) in loaded.entries().iter().zip(&lines) {
        let this = entry.key.split_once('.').map(|(section, _)| section);
        if section != Some(this) {
            writeln!(f)?;
            section = Some(this);
        }
        writeln!(f, "{line:width$}  # {origin}")?;
    }
    Ok(())
}
