//! One line of flags for each launch of a supervised server: crash, crash, well.
//!
//! The count is a file beside the script, so it outlives the incarnations; a lock keeps two launches at once from taking
//! the same line.

use crate::options::{Options, Role, UsageError};
use std::{
    fs::{self, File},
    io::{Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

/// Applies the line of this launch over the options, and counts the launch.
pub(crate) fn apply(options: &mut Options) -> Result<(), UsageError> {
    let Some(path) = options.script.clone() else { return Ok(()) };
    let fail = |reason: &dyn std::fmt::Display| UsageError::Script { path: path.clone(), reason: reason.to_string() };
    let script = fs::read_to_string(&path).map_err(|error| fail(&error))?;
    let launch = count(&path, options.process.role).map_err(|error| fail(&error))?;
    let lines: Vec<&str> = script.lines().filter(|line| !line.trim_start().starts_with('#')).collect();
    let index = usize::try_from(launch).unwrap_or(usize::MAX).saturating_sub(1).min(lines.len().saturating_sub(1));
    let line = lines.get(index).copied().unwrap_or_default();
    options.apply(words(line))
}

/// The number of this launch, from 1. A grandchild belongs to the launch of its leader.
fn count(script: &Path, role: Role) -> std::io::Result<u64> {
    let mut name = script.as_os_str().to_owned();
    name.push(".launches");
    let mut file = File::options().read(true).write(true).create(true).truncate(false).open(PathBuf::from(name))?;
    file.lock()?;
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    let before: u64 = text.trim().parse().unwrap_or(0);
    match role {
        Role::Grandchild => Ok(before),
        Role::Leader => {
            file.seek(SeekFrom::Start(0))?;
            file.write_all((before + 1).to_string().as_bytes())?;
            Ok(before + 1)
        }
    }
}

/// Splits at white space outside double quotes. The word `ok` stands for a launch without faults.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (place, part) in line.split('"').enumerate() {
        match place % 2 {
            0 => words.extend(part.split_whitespace().filter(|word| *word != "ok").map(Into::into)),
            _ => words.push(part.to_owned()),
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_words_keep_their_spaces() {
        assert_eq!(words(r#"--last-words "no module" --code 2"#), ["--last-words", "no module", "--code", "2"]);
        assert!(words(" ok ").is_empty());
    }
}
