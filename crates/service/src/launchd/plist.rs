//! The property list as text.

use std::fmt::Write as _;

use crate::{Definition, MARK};

/// The property list that runs `definition`, as an agent of its user. There are no daemons of the machine here (docs/adr/0110).
#[must_use]
pub fn text(definition: &Definition) -> String {
    let mut list = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" \"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n\
         <!-- {MARK}, which writes it anew. -->\n\
         <plist version=\"1.0\">\n<dict>\n"
    );
    let mut add = |comment: &str, key: &str, value: &str| {
        if !comment.is_empty() {
            let _ = writeln!(list, "\t<!-- {comment} -->");
        }
        let _ = writeln!(list, "\t<key>{key}</key>\n\t{value}");
    };
    add("", "Label", &string(&definition.name.label()));
    let words = [definition.program.as_str(), "run"].into_iter().chain(definition.arguments.iter().map(String::as_str));
    add("", "ProgramArguments", &array(words));
    if !definition.variables.is_empty() {
        let pairs = definition.variables.iter().map(|(name, value)| (name.as_str(), string(value)));
        add("", "EnvironmentVariables", &dictionary(pairs));
    }
    add("", "RunAtLoad", "<true/>");
    add(
        "After an end that was asked for (exit code 0) it stays down, after any other it comes back.",
        "KeepAlive",
        &dictionary([("SuccessfulExit", "<false/>".to_owned())]),
    );
    add("", "ThrottleInterval", "<integer>10</integer>");
    add(
        "Neither App Nap nor the lower priority of background jobs: people wait for the answers.",
        "ProcessType",
        &string("Interactive"),
    );
    let stop = definition.stop.as_secs().max(1);
    add(
        "shutdown.drain and shutdown.grace, and some time on top: SIGKILL comes after that.",
        "ExitTimeOut",
        &format!("<integer>{stop}</integer>"),
    );
    let files = || [("NumberOfFiles", "<integer>8192</integer>".to_owned())];
    add("", "SoftResourceLimits", &dictionary(files()));
    if let Some(log) = &definition.log {
        add("", "StandardOutPath", &string(log));
        add("", "StandardErrorPath", &string(log));
    }
    // 63 decimal is 077 octal.
    add("", "Umask", "<integer>63</integer>");
    add("Of a session at the screen, and of one over ssh.", "LimitLoadToSessionType", &array(["Aqua", "Background"]));
    list + "</dict>\n</plist>\n"
}

/// Whether a list that [`text`] has made runs `program`.
pub(crate) fn runs(list: &str, program: &str) -> bool {
    list.contains(&format!("<array>\n\t\t{}\n\t\t<string>run<", string(program)))
}

fn string(text: &str) -> String {
    format!("<string>{}</string>", escaped(text))
}

fn array<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let items: String = words.into_iter().map(|word| format!("\t\t{}\n", string(word))).collect();
    format!("<array>\n{items}\t</array>")
}

fn dictionary<'a>(pairs: impl IntoIterator<Item = (&'a str, String)>) -> String {
    let items = pairs.into_iter().map(|(key, value)| format!("\t\t<key>{}</key>\n\t\t{value}\n", escaped(key)));
    format!("<dict>\n{}\t</dict>", items.collect::<String>())
}

/// Text between two tags. Control characters, which XML cannot hold, do not come this far.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::Scope;

    #[test]
    fn the_agent_of_a_user() {
        let definition = Definition {
            name: "mlx-tree".parse().expect("a name"),
            scope: Scope::User,
            program: "/Users/ada/R&D <x>/mlx-tree".to_owned(),
            arguments: ["--config", "/Users/ada/a \"b\".toml"].map(str::to_owned).to_vec(),
            variables: vec![("PATH".to_owned(), "/usr/bin:/opt/homebrew/bin".to_owned())],
            run_as: None,
            stop: Duration::from_secs(55),
            writes: Vec::new(),
            log: Some("/Users/ada/Library/Logs/mlx-tree.log".to_owned()),
        };
        assert!(runs(&text(&definition), &definition.program) && !runs(&text(&definition), "/Users/ada/mlx-tree"));
        insta::assert_snapshot!(text(&definition), @r#"
        <?xml version="1.0" encoding="UTF-8"?>
        <!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
        <!-- Written by `mlx-tree service install`, which writes it anew. -->
        <plist version="1.0">
        <dict>
        	<key>Label</key>
        	<string>local.mlx-tree</string>
        	<key>ProgramArguments</key>
        	<array>
        		<string>/Users/ada/R&amp;D &lt;x&gt;/mlx-tree</string>
        		<string>run</string>
        		<string>--config</string>
        		<string>/Users/ada/a "b".toml</string>
        	</array>
        	<key>EnvironmentVariables</key>
        	<dict>
        		<key>PATH</key>
        		<string>/usr/bin:/opt/homebrew/bin</string>
        	</dict>
        	<key>RunAtLoad</key>
        	<true/>
        	<!-- After an end that was asked for (exit code 0) it stays down, after any other it comes back. -->
        	<key>KeepAlive</key>
        	<dict>
        		<key>SuccessfulExit</key>
        		<false/>
        	</dict>
        	<key>ThrottleInterval</key>
        	<integer>10</integer>
        	<!-- Neither App Nap nor the lower priority of background jobs: people wait for the answers. -->
        	<key>ProcessType</key>
        	<string>Interactive</string>
        	<!-- shutdown.drain and shutdown.grace, and some time on top: SIGKILL comes after that. -->
        	<key>ExitTimeOut</key>
        	<integer>55</integer>
        	<key>SoftResourceLimits</key>
        	<dict>
        		<key>NumberOfFiles</key>
        		<integer>8192</integer>
        	</dict>
        	<key>StandardOutPath</key>
        	<string>/Users/ada/Library/Logs/mlx-tree.log</string>
        	<key>StandardErrorPath</key>
        	<string>/Users/ada/Library/Logs/mlx-tree.log</string>
        	<key>Umask</key>
        	<integer>63</integer>
        	<!-- Of a session at the screen, and of one over ssh. -->
        	<key>LimitLoadToSessionType</key>
        	<array>
        		<string>Aqua</string>
        		<string>Background</string>
        	</array>
        </dict>
        </plist>
        "#);
    }
}
