//! Where reports are kept: a private directory with a file for each, the oldest of which go.

use std::path::{Path, PathBuf};
use std::{fs, io};

use mlx_tree_process::state::{StateDir, StateError};

use crate::group::seconds;
use crate::report::{Report, SCHEMA};

/// Below the state directory.
const DIRECTORY: &str = "reports";

/// A longer file is not one of ours.
const LONGEST: u64 = 4 * 1024 * 1024;

/// What is further ahead than that has not been written by a clock that was a little fast.
const DAY: jiff::SignedDuration = jiff::SignedDuration::from_hours(24);

/// How much is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// So many reports.
    pub keep: usize,
    /// So many bytes of them.
    pub max_bytes: u64,
}

/// The directory.
#[derive(Debug, Clone)]
pub struct Shelf {
    dir: StateDir,
}

/// A file on the shelf that is no report which this version can read.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Unreadable {
    /// The file's name.
    pub file: String,
    /// Why.
    pub why: String,
}

// === impl Shelf ===

impl Shelf {
    /// Where the reports of the mlx-tree with this state directory are.
    #[must_use]
    pub fn path(state_dir: &Path) -> PathBuf {
        state_dir.join(DIRECTORY)
    }

    /// Makes the directory below `state_dir` if need be, for its owner alone.
    ///
    /// # Errors
    /// [`StateError`]: a symbolic link or somebody else's directory is refused.
    pub fn open(state_dir: &Path) -> Result<Self, StateError> {
        Ok(Self { dir: StateDir::open(Self::path(state_dir))? })
    }

    /// The directory below `state_dir`, if there is one.
    ///
    /// # Errors
    /// [`StateError`]: a symbolic link or somebody else's directory is refused.
    pub fn find(state_dir: &Path) -> Result<Option<Self>, StateError> {
        match fs::symlink_metadata(Self::path(state_dir)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Ok(_) | Err(_) => Self::open(state_dir).map(Some),
        }
    }

    /// Writes a report, over an earlier state of the same one, and lets the oldest ones go. Blocks.
    ///
    /// # Errors
    /// [`StateError`]; nothing is left half-written.
    pub fn keep(&self, report: &Report, limits: Limits) -> Result<(), StateError> {
        let name = format!("{}.json", report.id);
        let io = |source| StateError::Io { path: self.dir.file(&name), source };
        let mut text = serde_json::to_vec_pretty(report).map_err(|error| io(io::Error::other(error)))?;
        text.push(b'\n');
        // Room is made first: on a full disk that is what helps.
        self.make_room(&name, text.len() as u64, limits).map_err(io)?;
        self.dir.replace_file(&name, &text)
    }

    /// All reports, oldest first, and the files that are none. Blocks.
    ///
    /// # Errors
    /// The directory cannot be listed.
    pub fn read(&self) -> io::Result<(Vec<Report>, Vec<Unreadable>)> {
        let (mut reports, mut unreadable) = (Vec::new(), Vec::new());
        for (name, _) in self.files()? {
            match self.read_one(&name) {
                Ok(Some(report)) => reports.push(report),
                // It has just gone.
                Ok(None) => {}
                Err(why) => unreadable.push(Unreadable { file: name, why }),
            }
        }
        let age = |report: &Report| seconds(&report.at).unwrap_or(0.0);
        reports.sort_by(|one, other| age(one).total_cmp(&age(other)).then_with(|| one.id.cmp(&other.id)));
        Ok((reports, unreadable))
    }

    fn read_one(&self, name: &str) -> Result<Option<Report>, String> {
        let bytes = self.dir.read_file(name, LONGEST).map_err(|error| match error {
            StateError::Io { source, .. } => source.to_string(),
            error @ (StateError::Symlink { .. } | StateError::NotADirectory { .. } | StateError::WrongOwner { .. }) => {
                error.to_string()
            }
        })?;
        let Some(bytes) = bytes else { return Ok(None) };
        if let Ok(report) = serde_json::from_slice::<Report>(&bytes)
            && report.schema == SCHEMA
        {
            return Ok(Some(report));
        }
        let value: serde_json::Value = serde_json::from_slice(&bytes).map_err(|error| format!("torn: {error}"))?;
        Err(match value.get("schema").and_then(serde_json::Value::as_u64) {
            Some(schema) if schema != u64::from(SCHEMA) => format!("of another version of mlx-tree (schema {schema})"),
            Some(_) | None => "no report of mlx-tree".to_owned(),
        })
    }

    /// Removes the oldest reports until one more, of `size` bytes, fits. What has not a report's name is left alone. Those from
    /// the future go first: they were written before the clock was set back, and would push out all that come now.
    fn make_room(&self, name: &str, size: u64, limits: Limits) -> io::Result<()> {
        let mut others: Vec<_> =
            self.files()?.into_iter().filter(|(other, _)| other != name && is_name(other)).collect();
        let tomorrow = stamp(&(jiff::Timestamp::now() + DAY).to_string());
        others.sort_by_key(|(other, _)| (other.as_str() < tomorrow.as_str(), other.clone()));
        let mut bytes = size + others.iter().map(|(_, size)| size).sum::<u64>();
        let mut count = others.len() + 1;
        for (other, size) in others {
            if count <= limits.keep && bytes <= limits.max_bytes {
                break;
            }
            // One that cannot be removed costs its own place, and no report.
            let _ = fs::remove_file(self.dir.file(&other));
            count -= 1;
            bytes -= size;
        }
        Ok(())
    }

    /// The names that reports have, with their sizes.
    fn files(&self) -> io::Result<Vec<(String, u64)>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(self.dir.path())? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            if name.ends_with(".json") {
                found.push((name, entry.metadata().map_or(0, |metadata| metadata.len())));
            }
        }
        Ok(found)
    }
}

/// A moment as the names of reports begin: `20261124T143522`.
pub(crate) fn stamp(at: &str) -> String {
    at.chars().take(19).filter(|it| !matches!(it, '-' | ':')).collect()
}

/// Whether a file is called like a report.
fn is_name(file: &str) -> bool {
    let digits = |part: Option<&str>| part.is_some_and(|part| part.bytes().all(|byte| byte.is_ascii_digit()));
    digits(file.get(..8)) && file.get(8..9) == Some("T") && digits(file.get(9..15)) && file.get(15..16) == Some("-")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::tests::report;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    const MANY: Limits = Limits { keep: 100, max_bytes: 1 << 30 };

    fn shelf() -> (tempfile::TempDir, Shelf) {
        let state = tempfile::tempdir().expect("a directory");
        let shelf = Shelf::open(state.path()).expect("a shelf");
        (state, shelf)
    }

    #[test]
    fn a_report_is_read_back_as_written_and_is_for_us_alone() {
        let (state, shelf) = shelf();
        let report = report("20260101T000000-server-1");
        shelf.keep(&report, MANY).expect("written");
        let file = Shelf::path(state.path()).join("20260101T000000-server-1.json");
        assert_eq!(fs::metadata(&file).expect("there").permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(Shelf::path(state.path())).expect("there").permissions().mode() & 0o777, 0o700);
        assert_eq!(shelf.read().expect("read"), (vec![report], Vec::new()));
    }

    #[test]
    fn the_oldest_go_by_number_and_by_size() {
        let (_state, shelf) = shelf();
        let ids: Vec<_> = (0..6).map(|n| format!("2026010{n}T000000-server-1")).collect();
        let kept = |shelf: &Shelf| shelf.read().expect("read").0.into_iter().map(|it| it.id).collect::<Vec<_>>();
        for id in &ids {
            shelf.keep(&report(id), Limits { keep: 3, ..MANY }).expect("written");
        }
        assert_eq!(kept(&shelf), ids[3..]);
        let one = shelf.files().expect("listed")[0].1;
        shelf.keep(&report(&ids[5]), Limits { max_bytes: 2 * one + one / 2, ..MANY }).expect("written over");
        assert_eq!(kept(&shelf), ids[4..]);
    }

    #[test]
    fn what_is_no_report_of_ours_takes_no_place_and_stays() {
        let (state, shelf) = shelf();
        let dir = Shelf::path(state.path());
        fs::write(dir.join("0notes.json"), "{}").expect("written");
        fs::create_dir(dir.join("00000000T000000-server-1.json")).expect("made");
        for n in 1..=3 {
            shelf.keep(&report(&format!("2026010{n}T000000-server-1")), Limits { keep: 2, ..MANY }).expect("written");
        }
        let kept = shelf.read().expect("read").0;
        assert_eq!(kept.last().expect("the newest").id, "20260103T000000-server-1");
        assert!(dir.join("0notes.json").exists() && dir.join("00000000T000000-server-1.json").exists());
    }

    #[test]
    fn reports_from_before_the_clock_was_set_back_push_no_new_one_out() {
        let (_state, shelf) = shelf();
        for n in 1..=3 {
            shelf.keep(&report(&format!("9999010{n}T000000-server-1")), Limits { keep: 3, ..MANY }).expect("written");
        }
        for n in 1..=3 {
            shelf.keep(&report(&format!("2026010{n}T000000-server-1")), Limits { keep: 3, ..MANY }).expect("written");
        }
        let kept: Vec<_> = shelf.files().expect("listed").into_iter().map(|(name, _)| name).collect();
        assert!(kept.len() == 3 && kept.iter().all(|name| name.starts_with("2026")), "{kept:?}");
    }

    #[test]
    fn what_is_torn_foreign_old_or_a_link_is_named_and_stops_nobody() {
        let (state, shelf) = shelf();
        let good = report("20260102T000000-server-1");
        shelf.keep(&good, MANY).expect("written");
        let dir = Shelf::path(state.path());
        let whole = fs::read_to_string(dir.join("20260102T000000-server-1.json")).expect("there");
        fs::write(dir.join("torn.json"), &whole[..whole.len() / 2]).expect("written");
        fs::write(dir.join("old.json"), whole.replacen("\"schema\": 1", "\"schema\": 0", 1)).expect("written");
        fs::write(dir.join("foreign.json"), "{\"name\": \"package\"}").expect("written");
        fs::write(dir.join("note.txt"), "not ours").expect("written");
        symlink(dir.join("20260102T000000-server-1.json"), dir.join("link.json")).expect("a link");
        let (reports, mut unreadable) = shelf.read().expect("read");
        assert_eq!(reports, [good]);
        unreadable.sort_by(|one, other| one.file.cmp(&other.file));
        let said: Vec<_> = unreadable.iter().map(|it| (it.file.as_str(), it.why.as_str())).collect();
        assert!(
            matches!(
                said[..],
                [("foreign.json", "no report of mlx-tree"), ("link.json", link), ("old.json", old), ("torn.json", torn)]
                    if link.contains("symbolic link") && old.contains("schema 0") && torn.starts_with("torn")
            ),
            "{said:?}"
        );
    }

    #[test]
    fn a_link_in_the_place_of_the_shelf_is_refused() {
        let (state, elsewhere) = (tempfile::tempdir().expect("one"), tempfile::tempdir().expect("another"));
        symlink(elsewhere.path(), Shelf::path(state.path())).expect("a link");
        assert!(matches!(Shelf::open(state.path()), Err(StateError::Symlink { .. })));
        assert!(matches!(Shelf::find(state.path()), Err(StateError::Symlink { .. })));
    }

    #[test]
    fn looking_for_reports_makes_nothing() {
        let state = tempfile::tempdir().expect("a directory");
        assert!(Shelf::find(state.path()).expect("looked").is_none());
        assert!(!Shelf::path(state.path()).exists());
    }
}
