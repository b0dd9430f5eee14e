//! House rules that no compiler checks: what may stand where, and what depends on what.

#[path = "tidy/sentences.rs"]
mod sentences;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The files that may be longer than 400 lines, and why. One that has become shorter must leave the list.
const LONG: [(&str, &str); 5] = [
    ("crates/policy/src/restart/tests.rs", "the stories of one machine, each a few lines"),
    ("crates/stand-in/src/options.rs", "one field for each flag, with its documentation"),
    ("crates/stand-in/src/options/parse.rs", "one arm for each flag"),
    ("crates/supervision/src/core.rs", "the machine's state, inputs and effects; what it does with them is in `core/`"),
    ("crates/supervision/src/shell/driver.rs", "one arm for each effect and each message"),
];

/// No file is longer without a reason.
const LONGEST: usize = 400;

/// Who may read the process's environment beside `settings`, and what for.
const ENVIRONMENT: [(&str, &[&str], &str); 2] = [
    ("crates/mlx-tree/src/cli.rs", &["env::current_exe"], "the guard and the stand-in are this very program"),
    (
        "crates/stand-in/src/process.rs",
        &["env::current_exe", "env::args", "env::current_dir"],
        "it plays a whole program: it starts itself again, and prints what it was started with",
    ),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the repository")
}

/// A file of Rust, with its path from the root of the repository.
struct Source {
    path: String,
    text: String,
}

impl Source {
    fn crate_name(&self) -> &str {
        self.path.split('/').nth(1).unwrap_or_default()
    }

    /// Its lines with their numbers, without comments, documentation and the attribute that speaks of `unsafe`.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = self.text.lines().enumerate().map(|(at, line)| (at + 1, line));
        let code = lines.map(|(at, line)| (at, line.split("//").next().unwrap_or(line)));
        code.filter(|(_, line)| !line.contains("unsafe_code"))
    }
}

/// Every file of Rust below `directories`.
fn sources(directories: impl IntoIterator<Item = PathBuf>) -> Vec<Source> {
    let (root, mut directories, mut found) = (root(), directories.into_iter().collect::<Vec<_>>(), Vec::new());
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).expect("utf-8");
                let path = path.strip_prefix(&root).expect("below the root").to_str().expect("utf-8").to_owned();
                found.push(Source { path, text });
            }
        }
    }
    found.sort_by(|one, other| one.path.cmp(&other.path));
    found
}

/// The directories of the crates.
fn crates() -> Vec<PathBuf> {
    let found = fs::read_dir(root().join("crates")).expect("a directory").map(|entry| entry.expect("an entry").path());
    let mut found: Vec<_> = found.filter(|path| path.join("Cargo.toml").exists()).collect();
    found.sort();
    assert!(found.len() > 5, "{found:?}");
    found
}

/// What is built into the program and its libraries.
fn product() -> Vec<Source> {
    sources(crates().into_iter().map(|path| path.join("src")))
}

fn everything() -> Vec<Source> {
    sources(["crates", "tests"].map(|directory| root().join(directory)))
}

/// Fails with all findings at once.
#[track_caller]
fn none(rule: &str, found: impl IntoIterator<Item = String>) {
    let found: Vec<_> = found.into_iter().collect();
    assert!(found.is_empty(), "{rule}:\n  {}", found.join("\n  "));
}

#[test]
fn nothing_is_left_to_be_done_in_the_code() {
    let marks = ["todo", "unimplemented", "dbg"].map(|name| format!("{name}!("));
    let found = everything().into_iter().flat_map(|source| {
        let lines = source.code().filter(|(_, line)| marks.iter().any(|mark| line.contains(mark.as_str())));
        lines.map(|(at, line)| format!("{}:{at}: {}", source.path, line.trim())).collect::<Vec<_>>()
    });
    none("finish it, or take it out", found);
}

#[test]
fn files_are_short_or_say_why_not() {
    let lines: BTreeMap<_, _> =
        product().into_iter().map(|source| (source.path.clone(), source.text.lines().count())).collect();
    let allowed: BTreeSet<_> = LONG.iter().map(|(path, _)| *path).collect();
    let long = lines.iter().filter(|(path, count)| **count > LONGEST && !allowed.contains(path.as_str()));
    none("is it one thing? Split it, or give the reason", long.map(|(path, count)| format!("{path}: {count}")));
    let stale = LONG.iter().filter(|(path, _)| lines.get(*path).is_none_or(|count| *count <= LONGEST));
    none("these are short by now", stale.map(|(path, _)| (*path).to_owned()));
}

#[test]
fn every_module_opens_with_what_it_is_for() {
    let found = everything().into_iter().filter(|source| {
        let first = source.text.lines().find(|line| !line.starts_with("#![")).unwrap_or_default();
        !first.starts_with("//! ")
    });
    none("begin with `//!` and a sentence", found.map(|source| source.path));
    for path in crates() {
        let lib = fs::read_to_string(path.join("src/lib.rs")).expect("a library");
        let opening: Vec<_> = lib.lines().take_while(|line| line.len() > 3 && line.starts_with("//! ")).collect();
        let sentence = opening.last().is_some_and(|line| line.ends_with(['.', '?', ':']));
        assert!(sentence, "{}: the first paragraph is a sentence", path.display());
    }
}

#[test]
fn modules_are_named_by_their_files() {
    let found = everything().into_iter().filter(|source| source.path.ends_with("/mod.rs"));
    none("`foo.rs` and `foo/`, not `foo/mod.rs`", found.map(|source| source.path));
}

/// The crates of this workspace that are named below `[dependencies]`.
fn dependencies(manifest: &str) -> BTreeSet<String> {
    let lines = manifest.lines().skip_while(|line| line.trim() != "[dependencies]").skip(1);
    let names = lines.take_while(|line| !line.starts_with('[')).filter_map(|line| line.split(['.', ' ', '=']).next());
    names.filter_map(|name| name.strip_prefix("mlx-tree-")).map(str::to_owned).collect()
}

/// The table in docs/ARCHITECTURE.md: a crate, and the crates that it may depend on.
fn arrows() -> BTreeMap<String, BTreeSet<String>> {
    let text = fs::read_to_string(root().join("docs/ARCHITECTURE.md")).expect("the document");
    let table = text.lines().skip_while(|line| !line.starts_with("| crate |")).skip(2);
    let rows = table.take_while(|line| line.starts_with('|')).map(|row| {
        let cells: Vec<_> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let words = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<BTreeSet<_>>();
        let name = words(cells[0]).pop_first().expect("a name");
        (name, words(cells.get(2).copied().unwrap_or_default()))
    });
    rows.collect()
}

#[test]
fn crates_depend_on_each_other_as_the_architecture_says() {
    let arrows = arrows();
    let names: BTreeSet<_> = crates()
        .iter()
        .map(|path| path.file_name().and_then(|name| name.to_str()).expect("utf-8").to_owned())
        .collect();
    assert_eq!(arrows.keys().cloned().collect::<BTreeSet<_>>(), names, "the table and the crates");
    for name in names.iter().filter(|name| *name != "mlx-tree") {
        let manifest = fs::read_to_string(root().join("crates").join(name).join("Cargo.toml")).expect("a manifest");
        assert_eq!(
            dependencies(&manifest),
            arrows[name],
            "{name}: the manifest (left) and docs/ARCHITECTURE.md (right)"
        );
    }
}

#[test]
fn only_process_is_unsafe() {
    let found = product().into_iter().filter(|source| source.crate_name() != "process").flat_map(|source| {
        let lines = source
            .code()
            .filter(|(_, line)| line.split(|it: char| !it.is_alphanumeric() && it != '_').any(|word| word == "unsafe"));
        lines.map(|(at, _)| format!("{}:{at}", source.path)).collect::<Vec<_>>()
    });
    none("`unsafe` has one home", found);
}

#[test]
fn only_settings_reads_the_environment() {
    let reads = [
        "env::var",
        "env::args",
        "env::current_dir",
        "env::current_exe",
        "env::home_dir",
        "env::temp_dir",
        "env::set_",
        "env::remove_",
    ];
    let found = product().into_iter().filter(|source| source.crate_name() != "settings").flat_map(|source| {
        let lines = source.code().filter(|(_, line)| {
            let allowed =
                |read| ENVIRONMENT.iter().any(|(path, reads, _)| source.path == *path && reads.contains(read));
            reads.iter().any(|read| line.contains(*read) && !allowed(read))
        });
        lines.map(|(at, line)| format!("{}:{at}: {}", source.path, line.trim())).collect::<Vec<_>>()
    });
    none("take an `Environment`, or a value", found);
}

/// The supervisor turns a panic into an exit like any other, so the program must unwind.
#[test]
fn a_panic_unwinds() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).expect("the manifest");
    assert!(manifest.contains("panic = \"unwind\"") && !manifest.contains("panic = \"abort\""));
}
