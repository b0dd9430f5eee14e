//! The commands that ask a running mlx-tree.

mod drains;

use std::io::{self, Write as _};

use mlx_tree::api::Language;
use mlx_tree::control::{AccessError, Client, ClientError, Done, Verb};

use super::picture::picture;
use super::print;
use super::report::{Code, Report};
use super::run::REJECTED;
use super::settings::Loaded;
use super::terminal::show;

/// `mlx-tree status`.
pub(crate) async fn status(loaded: Loaded, json: bool) -> Result<Code, Report> {
    let status = client(&loaded)?.status().await.map_err(failed)?;
    if json {
        let text = serde_json::to_string_pretty(&status).map_err(|error| Report::new(Code::Bug, error))?;
        print(&(text + "\n"));
    } else {
        show(&picture(&status, loaded.language()));
    }
    Ok(Code::Ok)
}

/// `mlx-tree start`, `stop`, `restart`, `drain`, `reset`, `shutdown`.
pub(crate) async fn perform(loaded: Loaded, verb: Verb) -> Result<Code, Report> {
    let (client, language) = (client(&loaded)?, loaded.language());
    let done = tokio::select! {
        done = client.perform(verb) => done.map_err(failed)?,
        never = drains::tell(&client, language) => match never {},
    };
    told(&done, language);
    Ok(Code::Ok)
}

fn told(done: &Done, language: Language) {
    print(&format!("{}\n", language.say(&done.message)));
    for detail in &done.details {
        print(&format!("  {}\n", language.say(detail)));
    }
}

/// `mlx-tree reload`.
pub(crate) async fn reload(loaded: Loaded, dry_run: bool) -> Result<Code, Report> {
    let (client, language) = (client(&loaded)?, loaded.language());
    let done = if dry_run {
        client.foresee().await
    } else {
        tokio::select! {
            done = client.perform(Verb::Reload) => done,
            never = drains::tell(&client, language) => match never {},
        }
    };
    told(&done.map_err(failed)?, language);
    Ok(Code::Ok)
}

/// `mlx-tree token`.
pub(crate) fn token(loaded: &Loaded) -> Result<Code, Report> {
    print(&format!("{}\n", client(loaded)?.token().secret()));
    Ok(Code::Ok)
}

/// `mlx-tree logs`.
pub(crate) async fn logs(loaded: Loaded, lines: usize, follow: bool) -> Result<Code, Report> {
    let mut answer = client(&loaded)?.logs(lines, follow).await.map_err(failed)?;
    loop {
        match answer.chunk().await {
            Ok(Some(chunk)) => {
                let mut out = io::stdout().lock();
                if out.write_all(&chunk).and_then(|()| out.flush()).is_err() {
                    // Whoever read has seen enough.
                    return Ok(Code::Ok);
                }
            }
            // mlx-tree has ended, and its logs with it.
            Ok(None) | Err(_) => return Ok(Code::Ok),
        }
    }
}

pub(super) fn client(loaded: &Loaded) -> Result<Client, Report> {
    Client::from_state_dir(&loaded.settings.state_dir).map_err(failed)
}

pub(super) fn failed(error: ClientError) -> Report {
    let help = match &error {
        ClientError::Access(AccessError::Absent(_)) => Some(
            "start one with `mlx-tree`; if it has a state directory of its own, name that with --state-dir".to_owned(),
        ),
        ClientError::Access(AccessError::Forbidden(_)) => {
            Some("only the user who started it can command it".to_owned())
        }
        ClientError::Access(AccessError::Malformed { .. } | AccessError::Io { .. }) => None,
        ClientError::Unreachable { pid, source, .. } => Some(if source.is_connect() {
            "nobody listens there any more: it was killed; `mlx-tree` starts another one".to_owned()
        } else {
            format!("see whether process {pid} is still alive")
        }),
        ClientError::Refused(body) => body.help.clone(),
        ClientError::Malformed { .. } | ClientError::Garbled { .. } => {
            Some("is it an mlx-tree of another version?".to_owned())
        }
    };
    let code = match &error {
        ClientError::Refused(body) if body.code == REJECTED => Code::Config,
        _ => Code::Failed,
    };
    Report::new(code, error).maybe_help(help)
}
