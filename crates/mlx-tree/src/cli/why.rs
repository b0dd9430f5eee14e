//! `mlx-tree why`: the reports about servers that went down, in plain words. Needs no running mlx-tree.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mlx_tree::api::{Language, Status};
use mlx_tree::control::Client;
use mlx_tree::reports::{Now, Report as Record, Shelf, Unreadable, group, tell_all, tell_one};

use super::print;
use super::report::{Code, Report};
use super::settings::Loaded;
use super::terminal::show;

/// How long a running mlx-tree may take to say how it stands: the reports can be told without that.
const ASKING: Duration = Duration::from_secs(2);

/// What is to be told.
pub(crate) struct Wanted {
    pub(crate) id: Option<String>,
    pub(crate) server: Option<String>,
    pub(crate) ends: usize,
    pub(crate) json: bool,
}

/// Tells what the reports say.
pub(crate) async fn why(loaded: Loaded, wanted: Wanted) -> Result<Code, Report> {
    let language = loaded.language();
    let state_dir = &loaded.settings.state_dir;
    let failed = |error: Box<dyn std::error::Error + Send + Sync>| Report::new(Code::Failed, error);
    let shelf = Shelf::find(state_dir).map_err(|error| failed(error.into()))?;
    let found = shelf.map(|shelf| shelf.read()).transpose().map_err(|error| failed(error.into()))?;
    let (mut reports, unreadable) = found.unwrap_or_default();
    if let Some(server) = &wanted.server {
        reports.retain(|report| report.server == *server);
    }
    let status = standing(&loaded).await;
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64());
    let now = Now { seconds, status: status.as_ref() };
    let text = match &wanted.id {
        Some(id) => {
            let report = the_one(&reports, id, language)?;
            if wanted.json { json(report)? } else { tell_one(report, now, language) }
        }
        None if wanted.json => {
            let newest: Vec<_> = reports.iter().rev().take(wanted.ends).collect();
            json(&Answer { now: status.as_ref(), reports: newest, unreadable: &unreadable })?
        }
        None => {
            let mut groups = group(&reports);
            groups.truncate(wanted.ends);
            tell_all(&groups, &unreadable, now, language)
        }
    };
    let tell = if wanted.json { print } else { show };
    tell(&text);
    Ok(Code::Ok)
}

/// What `--json` prints.
#[derive(serde::Serialize)]
struct Answer<'a> {
    now: Option<&'a Status>,
    reports: Vec<&'a Record>,
    unreadable: &'a [Unreadable],
}

async fn standing(loaded: &Loaded) -> Option<Status> {
    let client = Client::from_state_dir(&loaded.settings.state_dir).ok()?;
    tokio::time::timeout(ASKING, client.status()).await.ok()?.ok()
}

fn json(value: &impl serde::Serialize) -> Result<String, Report> {
    let text = serde_json::to_string_pretty(value).map_err(|error| Report::new(Code::Bug, error))?;
    Ok(text + "\n")
}

/// The report of this name, or the only one with this in its name.
fn the_one<'a>(reports: &'a [Record], id: &str, language: Language) -> Result<&'a Record, Report> {
    if let Some(report) = reports.iter().find(|report| report.id == id) {
        return Ok(report);
    }
    let mut like: Vec<_> = reports.iter().filter(|report| report.id.contains(id)).collect();
    match (like.pop(), like.len()) {
        (Some(report), 0) => Ok(report),
        (Some(_), others) => {
            let count = others + 1;
            let text = language.pick(
                format!("{count} reports have {id:?} in their names"),
                format!("{id:?} есть в именах нескольких отчётов ({count})"),
            );
            Err(Report::new(Code::Failed, text))
        }
        (None, _) => {
            let text = language.pick(format!("there is no report {id:?}"), format!("нет отчёта {id:?}"));
            let help = language.pick("`mlx-tree why -n 100` lists them", "`mlx-tree why -n 100` их перечислит");
            Err(Report::new(Code::Failed, text).help(help))
        }
    }
}
