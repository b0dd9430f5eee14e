//! `docs/OTP_SUITE.md` against the tests: every case of OTP's suite has the test that the table says, or a reason.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// How many cases OTP's `supervisor_SUITE` has.
const CASES: usize = 88;

const PAGE: &str = include_str!("../../../docs/OTP_SUITE.md");

struct Row<'a> {
    case: &'a str,
    mark: &'a str,
    /// A test, or a reason.
    last: &'a str,
}

fn rows() -> Vec<Row<'static>> {
    let lines = PAGE.lines().filter(|line| line.starts_with("| `"));
    let rows = lines.map(|line| {
        let cells: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [case, shows, mark, last] = cells[..] else { panic!("not four cells: {line}") };
        assert!(!shows.is_empty(), "{case} shows nothing");
        Row { case: case.trim_matches('`'), mark, last }
    });
    rows.collect()
}

/// The tests in `tests/otp_suite`: `file::name`.
fn tests() -> BTreeSet<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/otp_suite");
    let listed = std::fs::read_to_string(folder.join("main.rs")).unwrap();
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let file = path.file_stem().unwrap().to_str().unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(!text.contains("#[ignore"), "{file}: a test that is not run shows nothing");
        assert!(file == "main" || listed.contains(&format!("mod {file};")), "{file}.rs is part of nothing");
        let mut is_test = false;
        for line in text.lines().map(str::trim) {
            let name = line.trim_start_matches("async ").strip_prefix("fn ");
            let name = name.map(|rest| rest.split(|it: char| !it.is_ascii_alphanumeric() && it != '_').next().unwrap());
            match name {
                // The nine ends of `endings!` are tests by their macro, and written without parentheses.
                Some(name) if is_test || line.contains(": ") && line.contains("=>") => {
                    if !name.is_empty() {
                        assert!(found.insert(format!("{file}::{name}")), "{file}::{name} is there twice");
                    }
                    is_test = false;
                }
                _ => is_test |= line.starts_with("#[tokio::test") || line == "#[test]",
            }
        }
    }
    assert!(found.len() > 70, "only {found:?} were seen");
    found
}

#[test]
fn every_case_of_the_suite_has_one_row() {
    let rows = rows();
    let cases: BTreeSet<_> = rows.iter().map(|row| row.case).collect();
    assert_eq!((rows.len(), cases.len()), (CASES, CASES), "rows, and different cases");
    assert!(PAGE.contains(&format!("there are {CASES} in OTP")));
    let mut marks = BTreeMap::new();
    rows.iter().for_each(|row| *marks.entry(row.mark).or_insert(0) += 1);
    let [a, m, n] = ["A", "M", "N"].map(|mark| marks.remove(mark).unwrap_or(0));
    assert!(marks.is_empty(), "unknown marks: {marks:?}");
    assert!(
        PAGE.contains(&format!("There are {a}, {m} and {n}.")),
        "the page does not say that there are {a}, {m}, {n}"
    );
}

#[test]
fn every_case_that_applies_has_a_test_of_its_name_and_every_other_one_a_reason() {
    let tests = tests();
    for Row { case, mark, last } in rows() {
        if mark == "N" {
            assert!(!last.contains("::") && last.len() > 30, "{case} needs a reason, not {last:?}");
            continue;
        }
        let test = last.strip_prefix('`').and_then(|rest| rest.strip_suffix('`')).unwrap_or_default();
        assert!(tests.contains(test), "{case}: there is no test {last}");
        assert_eq!(test.split("::").nth(1), Some(case), "the test has the name of its case");
    }
}

#[test]
fn every_test_of_the_suite_stands_on_the_page() {
    for test in tests() {
        assert!(PAGE.contains(&format!("`{test}`")), "docs/OTP_SUITE.md does not know {test}");
    }
}
