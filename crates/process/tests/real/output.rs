//! Output: all of it, in its order, escaped. What a flood costs is measured in `flood.rs`.

use mlx_tree_process::{How, Stream};
use tokio::time::timeout;

use crate::support::{LONG, spawn};

#[tokio::test]
async fn both_pipes_are_read_and_kept_apart() {
    let group = spawn(&["echo", "\u{1b}[31mhello\r"]);
    let lines = group.output();
    let mut seen = Vec::new();
    while let Some(line) = timeout(LONG, lines.next()).await.expect("in time") {
        seen.push((line.stream, line.text));
    }
    seen.sort_by_key(|(stream, _)| *stream == Stream::Stderr);
    assert_eq!(
        seen,
        [(Stream::Stdout, "\\x1b[31mhello".to_owned()), (Stream::Stderr, "to stderr: \\x1b[31mhello".to_owned()),]
    );
    assert_eq!(group.exited().await.how, How::Code(0));
    assert_eq!(group.tail().text(), "to stderr: \\x1b[31mhello");
}

#[tokio::test]
async fn what_was_written_last_is_there_when_the_exit_is_known() {
    for _ in 0..30 {
        let group = spawn(&["echo", "last words"]);
        group.exited().await;
        assert_eq!(group.tail().last_lines(1), ["to stderr: last words"]);
    }
}
