//! A program of the user's own. It reads the notice as JSON on its stdin; a few variables have the gist of it.

use super::Failure;
use super::program::{Failed, Program};
use crate::{Message, Source, Target};

pub(super) async fn run(argv: &[String], message: &Message, source: &Source, target: &Target) -> Result<(), Failure> {
    let notice = &message.notice;
    let level = message.json(source)["level"].as_str().unwrap_or_default().to_owned();
    let more = [
        ("MLX_TREE_NOTICE_EVENT", notice.event.clone()),
        ("MLX_TREE_NOTICE_LEVEL", level),
        ("MLX_TREE_NOTICE_STATUS", notice.standing.as_str().to_owned()),
        ("MLX_TREE_NOTICE_CHILD", notice.child.clone()),
        ("MLX_TREE_NOTICE_TITLE", message.title(source)),
        ("MLX_TREE_NOTICE_TEXT", message.lines(source.language).join("\n")),
    ];
    let program = Program { argv, environment: &target.environment.0, more: more.into() };
    match program.run(message.json(source).to_string() + "\n").await {
        Ok(_) => Ok(()),
        Err(Failed::Code(code, last)) => Err(Failure::Passing {
            why: format!("it ended with code {code}"),
            said: Some(last).filter(|last| !last.is_empty()),
            pause: None,
        }),
        Err(Failed::Absent) => Err(Failure::Lasting("there is no such program".to_owned())),
        Err(Failed::Other(why)) => Err(Failure::passing(why)),
    }
}
