//! `[server.launch]`: one server as a job of several processes, on this machine or on several.

use std::path::PathBuf;

use super::{ServerKind, ServerSettings};
use crate::Environment;
use crate::reader::Section;
use crate::settings::directories::path;
use crate::value::{Reject, Shown, integer, text};

/// The server is a job of `mlx.launch`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaunchSettings {
    /// Who takes part.
    pub ranks: Ranks,
    /// How they talk to each other: `ring`, `mpi`, `jaccl` …
    pub backend: String,
}

/// Who takes part in a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ranks {
    /// So many processes on this machine; at least two.
    Here(u16),
    /// The hosts in this file, in `mlx.launch`'s own format. Absolute.
    Hosts(PathBuf),
}

/// A file that need not be given, for reading.
struct Optional(Option<PathBuf>);

pub(super) fn read(section: &mut Section<'_, '_>, environment: &Environment) -> Option<LaunchSettings> {
    let ranks: u16 = section.read("launch.ranks", integer(1..=1024));
    let hostfile = section.read_found("launch.hostfile", |found| match text(&found.value)?.as_str() {
        "" => Ok(Optional(None)),
        _ => path(found, environment).map(|path| Optional(Some(path))),
    });
    let backend = section.read("launch.backend", |value| backend(&text(value)?));
    let ranks = match (hostfile.0, ranks) {
        (Some(hosts), 1) => Ranks::Hosts(hosts),
        (Some(hosts), _) => {
            section.conflict(
                "launch.ranks",
                "launch.hostfile",
                "the file says already how many take part",
                "one of the two",
            );
            Ranks::Hosts(hosts)
        }
        (None, 1) => return None,
        (None, ranks) => Ranks::Here(ranks),
    };
    Some(LaunchSettings { ranks, backend })
}

/// Only `mlx_lm` knows how to be several.
pub(super) fn check(settings: &ServerSettings, section: &mut Section<'_, '_>) {
    if settings.launch.is_none() || (settings.kind == ServerKind::MlxLm && settings.command.is_none()) {
        return;
    }
    let key = if matches!(settings.launch, Some(LaunchSettings { ranks: Ranks::Hosts(_), .. })) {
        "launch.hostfile"
    } else {
        "launch.ranks"
    };
    let (other, reason) = match settings.command {
        Some(_) => ("command", "a command of one's own is started as it is"),
        None => ("kind", "servers of this kind are one process"),
    };
    section.conflict(key, other, reason, "kind = \"mlx_lm\" without a command, or no launch");
}

/// A word that `mlx.launch` may know: it has got more of them over time.
fn backend(text: &str) -> Result<String, Reject> {
    let plain = |it: char| it.is_ascii_lowercase() || it.is_ascii_digit() || it == '-';
    if text.starts_with(|it: char| it.is_ascii_lowercase()) && text.chars().all(plain) {
        Ok(text.to_owned())
    } else {
        Err(Reject::invalid("no backend is called that", r#""ring", "mpi", "jaccl", or what mlx.launch knows"#))
    }
}

// === impl Optional ===

impl Shown for Optional {
    fn shown(&self) -> String {
        self.0.clone().unwrap_or_default().shown()
    }
}
