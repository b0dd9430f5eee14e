//! What mlx-tree says in English, it can say in Russian: sentences are looked for in the sources and then in the table.

use mlx_tree_language::Language;

use super::{none, product};

/// Where sentences are born that people read.
const BORN: [&str; 13] = [
    "crates/settings/src/",
    "crates/provision/src/model.rs",
    "crates/provision/src/progress.rs",
    "crates/provision/src/python/error.rs",
    "crates/workers/src/server/",
    "crates/workers/src/health/liveness.rs",
    "crates/workers/src/tree/status.rs",
    "crates/workers/src/availability.rs",
    "crates/policy/src/breaker",
    "crates/process/src/launch/error.rs",
    "crates/control/src/access.rs",
    "crates/control/src/guard.rs",
    "crates/mlx-tree/src/cli/run",
];

/// Sentences for programs and for those who read the sources; parts of sentences that are known as a whole; names.
const NOT_SAID: [&str; 54] = [
    // Records for the log of programs.
    "the limit of open files stays as it is",
    "no guard process: kill -9 of mlx-tree would orphan the server",
    "the guard process was ended; another one is started",
    "the note about the server cannot be removed",
    "the note about the server cannot be written",
    "cannot see who listens",
    "a warm-up failed",
    "a process of the server's outlived it",
    "the restart history cannot be written to {}",
    // What others write, and is looked for.
    "Insufficient Memory",
    "No module named",
    "Address already in use",
    "ValueError: Model type",
    "failed to load model",
    "generation thread died",
    "Exception in thread",
    "Traceback (most recent call last)",
    "terminate called",
    "Fatal Python error",
    // Commands, names and notations.
    "{} -m pip install {requirements}",
    "chmod go-w {}",
    "chmod o-w {}",
    "chmod go= {}",
    "Library/Application Support",
    "{key} = {value} (from {origin})",
    "{key} = {value}",
    "{key} = {help}",
    ", url = \"{MASK}\"",
    ", command = {}",
    ", events = {}",
    "{{ kind = {}, name = {}{more}, level = {}{events}, min_interval = {} }}",
    "command = [\"/usr/local/bin/tell-me\"]",
    "{ env = \"NAME\" } or { file = \"PATH\" }",
    "{name} = {}",
    "value = {text}",
    "{{ model = {}, prompt = {} }}",
    "{{ name = {}, fallback = {}{consent} }}",
    ", consent = true",
    "pid {} ({})",
    "HTTP {status}: {body}",
    "# {} ({used})",
    "{line:width$}  # {origin}",
    "{} {with} {kind} {module}, {origin}\n{}",
    // Put together from what is known.
    "{}: {}",
    "{}: {cause}",
    "{}: {cause} ({why})",
    "did you mean \"{word}\"? ",
    "this is {what}",
    // Beside them stands what they are in Russian.
    "at the next start of {server}",
    "restarts {server}",
    "when mlx-tree is restarted",
    "{reason}; {with}",
    "\n  help: {help}",
    " (pid {pid})",
];

#[test]
fn every_sentence_that_people_read_is_known_in_russian() {
    let mut found = Vec::new();
    let mut seen = 0;
    for source in product()
        .iter()
        .filter(|source| BORN.iter().any(|place| source.path.starts_with(place)) && !source.path.ends_with("/tests.rs"))
    {
        for sentence in sentences(&source.text) {
            seen += 1;
            // As it is written, or with something in its holes.
            let known = [sentence.clone(), with_holes(&sentence)].iter().any(|it| Language::Ru.say(it) != it.as_str());
            if !known && !NOT_SAID.contains(&sentence.as_str()) {
                found.push(format!("{}: {sentence:?}", source.path));
            }
        }
    }
    assert!(seen > 100, "the search is broken: {seen}");
    none("give it a place in crates/language/src/russian/", found);
}

/// The string literals with more than one word, outside tests, comments and attributes.
fn sentences(source: &str) -> Vec<String> {
    let code = source.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
    let lines = code.lines().filter(|line| {
        let line = line.trim_start();
        let attribute = line.starts_with("#[") && !line.starts_with("#[error");
        !(line.starts_with("//") || attribute || line.starts_with("reason = ") || line.contains("expect(\""))
    });
    let code = lines.collect::<Vec<_>>().join("\n");
    let mut found = Vec::new();
    let mut rest = code.as_str();
    while let Some(at) = rest.find('"') {
        let raw = rest[..at].ends_with("r#");
        // A quote as a character.
        if rest[..at].ends_with('\'') && rest[at + 1..].starts_with('\'') {
            rest = &rest[at + 2..];
            continue;
        }
        let body = &rest[at + 1..];
        let end = if raw { body.find("\"#") } else { end_of_literal(body) };
        let Some(end) = end else { break };
        let text = if raw { body[..end].to_owned() } else { unescaped(&body[..end]) };
        // What stands beside a Russian text is one.
        let russian = text.chars().any(|c| ('А'..='я').contains(&c));
        if text.trim().contains(' ') && text.chars().any(char::is_alphabetic) && !russian {
            found.push(text);
        }
        rest = &body[end + 1..];
    }
    found
}

fn end_of_literal(body: &str) -> Option<usize> {
    let mut escaped = false;
    body.char_indices().find_map(|(at, c)| {
        let end = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        end.then_some(at)
    })
}

fn unescaped(literal: &str) -> String {
    let mut out = String::new();
    let mut chars = literal.chars().peekable();
    while let Some(c) = chars.next() {
        match (c, chars.peek()) {
            ('\\', Some('\n')) => while chars.next_if(|c| c.is_whitespace()).is_some() {},
            ('\\', Some('n')) => {
                chars.next();
                out.push('\n');
            }
            ('\\', Some(_)) => out.extend(chars.next()),
            (c, _) => out.push(c),
        }
    }
    out
}

/// With a number in each hole, which fits into any.
fn with_holes(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('{') {
        out.push_str(&rest[..at]);
        if rest[at..].starts_with("{{") {
            let Some(end) = rest[at..].find("}}") else { break };
            out.push_str(&rest[at + 1..=at + end]);
            rest = &rest[at + end + 2..];
        } else {
            let Some(end) = rest[at..].find('}') else { break };
            out.push('7');
            rest = &rest[at + end + 1..];
        }
    }
    out + rest
}

#[test]
fn a_sentence_is_found_as_it_is_said() {
    let source = "/// \"a comment\"\nlet x = format!(\"port {port} is \\\n            held\");\n#[error(\"{path}: no such {n:?}\")]\n\
                  let c = '\"'; let y = r#\"one \"two\"\"#;\n#[cfg(test)]\nmod tests { \"not this\" }";
    let found: Vec<_> = sentences(source).iter().map(|text| with_holes(text)).collect();
    assert_eq!(found, ["port 7 is held", "7: no such 7", "one \"two\""]);
}
