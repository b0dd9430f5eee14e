//! `config/default.toml`, `docs/CONFIGURATION.md` and the code name the same keys with the same defaults.

use std::collections::BTreeMap;

use mlx_tree_settings::DEFAULT_TOML;

use crate::support::User;

const DOCUMENT: &str = include_str!("../../../../docs/CONFIGURATION.md");

/// The keys that the code reads.
fn keys_of_the_code() -> Vec<String> {
    User::new().loaded().entries().iter().map(|entry| entry.key.clone()).collect()
}

/// The keys of the built-in file with their values, as they are written there.
fn keys_of_the_file() -> BTreeMap<String, String> {
    let (mut section, mut keys) = (String::new(), BTreeMap::new());
    for line in DEFAULT_TOML.lines().filter(|line| !line.starts_with('#')) {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            section = format!("{name}.");
            if name == "server.env" {
                keys.insert(name.to_owned(), "{}".to_owned());
            }
        } else if let Some((key, value)) = line.split_once(" = ") {
            keys.insert(format!("{section}{key}"), value.to_owned());
        }
    }
    keys
}

/// The rows of the document's tables: key, default and meaning.
fn rows_of_the_document() -> Vec<[String; 3]> {
    let cells = |line: &str| {
        let cells: Vec<String> = line.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect();
        <[String; 3]>::try_from(cells).ok()
    };
    DOCUMENT.lines().filter(|line| line.starts_with("| `")).filter_map(cells).collect()
}

#[test]
fn the_document_and_the_built_in_file_have_the_same_keys_with_the_same_defaults() {
    let documented: BTreeMap<String, String> = rows_of_the_document()
        .into_iter()
        .map(|[key, default, _]| (key.trim_matches('`').to_owned(), default.trim_matches('`').to_owned()))
        .collect();
    assert_eq!(documented, keys_of_the_file());
}

#[test]
fn the_code_reads_every_key_of_the_built_in_file_and_no_other() {
    let mut read = keys_of_the_code();
    read.sort();
    let written: Vec<String> = keys_of_the_file().into_keys().collect();
    assert_eq!(read, written);
}

#[test]
fn the_document_lists_the_keys_in_the_order_in_which_check_shows_them() {
    let documented: Vec<String> =
        rows_of_the_document().into_iter().map(|[key, ..]| key.trim_matches('`').to_owned()).collect();
    assert_eq!(documented, keys_of_the_code());
}

#[test]
fn every_key_has_a_meaning_in_the_document_and_a_comment_in_the_file() {
    for [key, _, meaning] in rows_of_the_document() {
        assert!(meaning.len() > 10, "{key} has no meaning");
    }
    let mut previous = "";
    for line in DEFAULT_TOML.lines() {
        if line.contains(" = ") && !line.starts_with('#') {
            assert!(previous.starts_with('#'), "no comment above `{line}`");
        }
        previous = line;
    }
}
