//! What the documents claim is true: links, commands, flags, keys, numbers, pictures, and the code that is not Rust.
//!
//! (The Rust in them is compiled and run as doctests of the crate `mlx-tree`.)

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use support::Setup;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the repository")
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A document, taken apart.
struct Document {
    /// From the root of the repository.
    path: PathBuf,
    /// Without code.
    prose: String,
    /// What stands in backticks.
    inline: Vec<String>,
    /// Fenced code, with the word after the fence.
    blocks: Vec<(String, String)>,
}

impl Document {
    fn read(path: &Path) -> Self {
        let (mut prose, mut blocks) = (String::new(), Vec::<(String, String)>::new());
        let mut fenced = false;
        for line in read(path).lines() {
            match (line.strip_prefix("```"), fenced) {
                (Some(word), false) => blocks.push((word.to_owned(), String::new())),
                (None, true) => {
                    let (_, block) = blocks.last_mut().expect("a fence has been opened");
                    block.push_str(line);
                    block.push('\n');
                }
                (None, false) => {
                    prose.push_str(line);
                    prose.push('\n');
                }
                (Some(_), true) => {}
            }
            fenced ^= line.starts_with("```");
        }
        assert!(!fenced, "{}: a fence is left open", path.display());
        let inline = prose.split('`').skip(1).step_by(2).map(|code| code.replace('\n', " ")).collect();
        Self { path: path.to_owned(), prose, inline, blocks }
    }

    fn block(&self, start: &str) -> &str {
        let found = self.blocks.iter().find(|(_, block)| block.starts_with(start));
        &found.unwrap_or_else(|| panic!("{} has no block that begins with {start:?}", self.path.display())).1
    }

    /// What somebody might type: all code but that of programs.
    fn typed(&self) -> impl Iterator<Item = &str> {
        let shell = self.blocks.iter().filter(|(word, _)| !word.starts_with("rust") && word != "python");
        self.inline.iter().map(String::as_str).chain(shell.flat_map(|(_, block)| block.lines()))
    }
}

/// The README and everything in `docs`.
fn documents() -> Vec<Document> {
    let (mut found, mut directories) = (vec![PathBuf::from("README.md")], vec![PathBuf::from("docs")]);
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(root().join(&directory)).expect("a directory") {
            let path = directory.join(entry.expect("an entry").file_name());
            if root().join(&path).is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                found.push(path);
            }
        }
    }
    assert!(found.len() > 5, "{found:?}");
    found.iter().map(|path| Document::read(path)).collect()
}

/// What a clean program prints.
fn printed(words: &[&str]) -> String {
    let (status, stdout, stderr) = Setup::new(words).run();
    assert!(status.success(), "{words:?}: {stderr}");
    stdout
}

/// The flags that `help` lists.
fn flags(help: &str) -> BTreeSet<String> {
    let words = help.split_whitespace().filter(|word| word.starts_with("--"));
    words.map(|word| word.trim_end_matches(',').to_owned()).collect()
}

/// The anchor that a heading gets on the usual sites.
fn anchor(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    text.chars()
        .filter(|it| it.is_alphanumeric() || *it == ' ' || *it == '-')
        .map(|it| if it == ' ' { '-' } else { it })
        .collect()
}

#[test]
fn every_link_leads_somewhere() {
    let mut links = 0;
    for document in documents() {
        for link in document.prose.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if link.contains("://") {
                continue;
            }
            links += 1;
            let (file, fragment) = link.split_once('#').unwrap_or((link, ""));
            let from = document.path.parent().expect("a file");
            let target = if file.is_empty() { document.path.clone() } else { from.join(file) };
            assert!(root().join(&target).exists(), "{}: {link} leads nowhere", document.path.display());
            let there = || read(&target).lines().filter(|line| line.starts_with('#')).any(|it| anchor(it) == fragment);
            assert!(fragment.is_empty() || there(), "{}: {link} has no such heading", document.path.display());
        }
    }
    assert!(links > 20, "only {links} links were seen");
}

#[test]
fn every_path_that_is_named_exists() {
    // A page about one crate may speak of that crate's own directories.
    let crates: Vec<_> = fs::read_dir(root().join("crates")).expect("a directory").flatten().collect();
    let is_there = |path: &str| root().join(path).exists() || crates.iter().any(|it| it.path().join(path).exists());
    for document in documents() {
        for code in &document.inline {
            let is_path = ["crates/", "tests/", "docs/", "config/", ".ci/"].iter().any(|start| code.starts_with(start));
            if is_path && !code.contains([' ', '*', '<', '{']) {
                assert!(is_there(code), "{}: there is no {code}", document.path.display());
            }
        }
    }
}

/// SECURITY says which test attacks which rule.
#[test]
fn every_rule_of_security_is_attacked_by_a_test_that_exists() {
    let mut sources = String::new();
    let mut places: Vec<PathBuf> = ["crates", "tests"].map(|place| root().join(place)).into();
    while let Some(place) = places.pop() {
        for entry in fs::read_dir(place).expect("a directory").flatten() {
            match entry.path() {
                path if path.is_dir() => places.push(path),
                path if path.extension().is_some_and(|it| it == "rs") => sources += &read(path),
                _ => {}
            }
        }
    }
    let mut rules = 0;
    for line in read("docs/SECURITY.md").lines().filter(|line| line.starts_with("| S")) {
        rules += 1;
        let tests: Vec<_> = line.rsplit("| ").next().expect("a cell").split('`').skip(1).step_by(2).collect();
        assert!(!tests.is_empty() || line.starts_with("| S20 "), "{line}");
        for test in tests {
            assert!(sources.contains(&format!("fn {test}()")), "there is no {test}");
        }
    }
    assert_eq!(rules, 20);
}

#[test]
fn every_command_and_flag_that_is_named_exists() {
    let help = printed(&["--help"]);
    let commands = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let mut commands: BTreeSet<_> = commands.filter_map(|line| line.split_whitespace().next()).collect();
    commands.extend(["stand-in", "guard"]);
    let mut named = BTreeSet::new();
    for document in documents() {
        for typed in document.typed() {
            for words in typed.split("mlx-tree ").skip(1).map(str::split_whitespace) {
                let mut words = words
                    .skip_while(|word| *word == "--")
                    .map(|word| word.trim_end_matches([',', ';', '.', ':', '`', ')', '"']));
                let Some(first) = words.next() else { continue };
                if first.starts_with(|it: char| it.is_ascii_lowercase()) {
                    assert!(commands.contains(first), "{}: {typed}: no command {first}", document.path.display());
                    named.insert(first.to_owned());
                }
                // What follows a further `--` is for somebody else.
                let words: Vec<_> = words.take_while(|word| *word != "--").collect();
                // A command may have commands of its own.
                let below = |help: &str| words.first().filter(|word| help.contains(&format!("\n  {word} "))).copied();
                let of_command = |flag: &str| {
                    let help = printed(&[first, "--help"]);
                    let deeper = below(&help).map(|word| printed(&[first, word, "--help"])).unwrap_or_default();
                    flags(&help).contains(flag) || flags(&deeper).contains(flag)
                };
                for flag in [first].into_iter().chain(words.iter().copied()).filter(|word| word.starts_with("--")) {
                    let flag = flag.split('=').next().unwrap_or(flag);
                    let known = flags(&help).contains(flag) || (commands.contains(first) && of_command(flag));
                    assert!(known, "{}: {typed}: no flag {flag}", document.path.display());
                }
            }
        }
    }
    assert!(named.len() > 5, "only {named:?} were seen");
}

#[test]
fn every_key_of_the_configuration_that_is_named_exists() {
    let check = printed(&["check"]);
    let keys: BTreeSet<_> = check.lines().filter_map(|line| line.split(" = ").next()).collect();
    let sections: BTreeSet<_> = keys.iter().filter_map(|key| key.split_once('.')).map(|(section, _)| section).collect();
    let events = read("crates/api/src/event.rs");
    let mut seen = 0;
    for document in documents() {
        for code in &document.inline {
            let word = |it: &str| !it.is_empty() && it.chars().all(|it| it.is_ascii_lowercase() || it == '_');
            let Some((section, key)) = code.split_once('.').filter(|(section, key)| word(section) && word(key)) else {
                continue;
            };
            let is_event = events.contains(&format!("\"{section}.{key}\""));
            // `server.rs`, `server.lock` and the like.
            let is_file = ["rs", "md", "toml", "json", "lock", "state"].contains(&key);
            if sections.contains(section) && !is_event && !is_file {
                seen += 1;
                assert!(keys.contains(code.as_str()), "{}: there is no key {code}", document.path.display());
            }
        }
    }
    assert!(seen > 20, "only {seen} keys were seen");
}

#[test]
fn the_numbers_in_the_readme_are_the_defaults() {
    let check = printed(&["check"]);
    let value = |key: &str| {
        let line = check.lines().find(|line| line.starts_with(&format!("{key} = "))).unwrap_or_else(|| panic!("{key}"));
        line.split(" = ").nth(1).and_then(|rest| rest.split("  #").next()).map(str::trim).expect("a value").to_owned()
    };
    let said = [
        ("restart.max_restarts", "5", "at most 5 restarts in 5 minutes"),
        ("restart.period", "\"300s\"", "at most 5 restarts in 5 minutes"),
        ("restart.backoff_initial", "\"2s\"", "2, 4, 8, 16, 32, 60, 60"),
        ("restart.backoff_max", "\"60s\"", "2, 4, 8, 16, 32, 60, 60"),
        ("restart.stable_after", "\"300s\"", "ready and up for 5 minutes"),
        ("breaker.failure_threshold", "5", "after 5 failed restarts in a row"),
        ("breaker.open_for", "\"60s\"", "nothing is started for 60 s"),
        ("breaker.open_growth", "2.0", "twice as long"),
        ("breaker.open_max", "\"600s\"", "up to 10 minutes"),
        ("health.interval", "\"10s\"", "every 10 s"),
        ("health.timeout", "\"5s\"", "5 s for the answer"),
        ("health.failure_threshold", "3", "3 misses in a row"),
        ("shutdown.grace", "\"10s\"", "10 s, SIGKILL"),
    ];
    let readme = read("README.md");
    for (key, default, words) in said {
        assert_eq!(value(key), default, "{key}");
        assert!(readme.contains(words), "the README does not say {words:?} of {key}");
    }
}

/// The lines of the tree's picture in `text`, without what stands before them.
fn picture(text: &str) -> Vec<String> {
    let lines = text.lines().filter_map(|line| {
        let at = ["root supervisor", "├─ ", "└─ "].iter().filter_map(|start| line.find(start)).min()?;
        Some(line[at..].to_owned())
    });
    let mut lines = lines.skip_while(|line| !line.starts_with("root supervisor"));
    let mut picture = Vec::new();
    for line in lines.by_ref() {
        let last = line.starts_with("└─");
        picture.push(line);
        if last {
            break;
        }
    }
    picture
}

#[tokio::test]
async fn the_picture_of_the_tree_is_the_same_in_code_documents_banner_and_status() {
    let code = picture(&read("crates/workers/src/tree.rs"));
    assert_eq!(code.len(), 6, "{code:?}");
    for document in ["README.md", "docs/ARCHITECTURE.md"] {
        assert_eq!(picture(&read(document)), code, "{document}");
    }
    let tree = Setup::demo(&[]).start();
    tree.ready(1).await;
    assert_eq!(picture(&tree.log()), code, "the banner");
    let (_, shown, _) = tree.command(&["status"]);
    let name = |line: &String| line.split_whitespace().nth(1).map(str::to_owned);
    let shown: Vec<_> = picture(&shown).iter().filter_map(name).collect();
    let told: Vec<_> = code.iter().take(5).filter_map(name).collect();
    assert_eq!(shown, told, "status");
    tree.stop().await;
}

#[test]
fn every_decision_is_in_the_index() {
    let index = read("docs/adr/README.md");
    let mut numbers = BTreeSet::new();
    for document in documents() {
        let name = document.path.file_name().and_then(|name| name.to_str()).expect("utf-8");
        if document.path.starts_with("docs/adr") && name != "README.md" {
            assert!(index.contains(&format!("]({name})")), "docs/adr/README.md does not list {name}");
            assert!(numbers.insert(name[..4].to_owned()), "the number of {name} is taken");
        }
    }
    assert!(numbers.contains("0001"));
}

/// The README's Python, as it stands there, against a running tree.
#[tokio::test]
async fn the_python_in_the_readme_works() {
    let document = Document::read(Path::new("README.md"));
    let tree = Setup::demo(&[]).start();
    let first = tree.ready(1).await.process_pid.expect("it runs");
    let home = tempfile::tempdir().expect("a directory");
    let place = home.path().join(".local/state");
    fs::create_dir_all(&place).expect("a directory");
    std::os::unix::fs::symlink(tree.state_dir(), place.join("mlx-tree")).expect("a link");
    let snippet = document.block("import json").to_owned();
    let output = tokio::task::spawn_blocking(move || {
        let mut python = Command::new("python3");
        python.arg("-c").arg(snippet).env("HOME", home.path()).env("no_proxy", "127.0.0.1").output().expect("python3")
    });
    let output = output.await.expect("it ran");
    let second = tree.ready(2).await.process_pid.expect("it runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(said, format!("running\nthe server is ready (pid {second})\n"), "{output:?}");
    assert_ne!(first, second);
    tree.stop().await;
}
