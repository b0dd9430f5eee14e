//! A notification of the desktop: `osascript` on macOS, `notify-send` elsewhere. Texts are arguments, never parts of a script.

use super::Failure;
use super::program::{Failed, Program};
use crate::{Message, Source, Standing, Target};

pub(super) async fn show(message: &Message, source: &Source, target: &Target) -> Result<(), Failure> {
    let argv = argv(&message.title(source), &message.lines(source.language).join("\n"), message.notice.standing);
    let program = Program { argv: &argv, environment: &target.environment.0, more: Vec::new() };
    match program.run(String::new()).await {
        Ok(_) => Ok(()),
        Err(Failed::Code(code, _)) => Err(Failure::passing(format!("{} ended with code {code}", argv[0]))),
        Err(Failed::Absent) => Err(Failure::Lasting(format!("there is no {}", argv[0]))),
        Err(Failed::Other(why)) => Err(Failure::passing(format!("{}: {why}", argv[0]))),
    }
}

fn argv(title: &str, text: &str, standing: Standing) -> Vec<String> {
    if cfg!(target_os = "macos") { on_macos(title, text) } else { elsewhere(title, text, standing) }
}

fn on_macos(title: &str, text: &str) -> Vec<String> {
    const SCRIPT: [&str; 3] =
        ["on run argv", "display notification (item 2 of argv) with title (item 1 of argv)", "end run"];
    let script = SCRIPT.iter().flat_map(|line| ["-e", *line]);
    ["osascript"].into_iter().chain(script).chain(["--", title, text]).map(str::to_owned).collect()
}

fn elsewhere(title: &str, text: &str, standing: Standing) -> Vec<String> {
    let urgency = match standing {
        Standing::Raised => "--urgency=critical",
        Standing::Recovered | Standing::Test => "--urgency=normal",
    };
    // The body may be read as markup.
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    ["notify-send", "--app-name=mlx-tree", urgency, "--", title, &text].map(str::to_owned).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_becomes_a_part_of_the_script() {
        let hostile = "\" & do shell script \"id\" & \"";
        let argv = on_macos(hostile, "-e");
        assert_eq!(argv[7..], ["--", hostile, "-e"]);
        assert!(argv[..7].iter().all(|word| !word.contains("shell")), "{argv:?}");
    }

    #[test]
    fn no_text_becomes_an_option_or_markup() {
        let argv = elsewhere("--help", "<a href='x'>&", Standing::Raised);
        assert_eq!(argv[2..], ["--urgency=critical", "--", "--help", "&lt;a href='x'&gt;&amp;"]);
    }
}
