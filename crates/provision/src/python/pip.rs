//! What pip says: its progress while it works, and the reason when it fails.

use super::PythonError;
use crate::progress::Step;
use std::path::Path;

/// No way to the package index. Checked first: after these pip also says that it found no version.
const OFFLINE: &[&str] = &[
    "NewConnectionError",
    "Failed to establish a new connection",
    "NameResolutionError",
    "Temporary failure in name resolution",
    "Name or service not known",
    "nodename nor servname provided",
    "ConnectTimeoutError",
    "ReadTimeoutError",
    "Read timed out",
    "ProxyError",
    "Cannot connect to proxy",
    "Network is unreachable",
    "Connection refused",
    "ConnectionResetError",
    "RemoteDisconnected",
];
const DISK_FULL: &[&str] = &["No space left on device", "[Errno 28]", "Disk quota exceeded"];
const PERMISSION: &[&str] = &["Permission denied", "[Errno 13]", "Read-only file system"];
const VENV_MISSING: &[&str] = &["ensurepip is not available", "No module named venv", "No module named ensurepip"];

/// Follows pip's lines.
#[derive(Debug, Default)]
pub(super) struct Follower {
    downloading: Option<(String, u64)>,
}

// === impl Follower ===

impl Follower {
    /// What the line tells, if a person wants to see it.
    pub(super) fn line(&mut self, line: &str) -> Option<Step> {
        let line = line.trim();
        if let Some((what, total)) = downloading(line) {
            self.downloading = Some((what.clone(), total));
            return Some(Step::Downloading { what, done: 0, total });
        }
        // The raw progress bar of pip 24.1 and later: "Progress 16384 of 650000".
        if let Some(numbers) = line.strip_prefix("Progress ") {
            let (done, total) = numbers.split_once(" of ")?;
            let (what, _) = self.downloading.as_ref()?;
            return Some(Step::Downloading {
                what: what.clone(),
                done: done.parse().ok()?,
                total: total.parse().ok()?,
            });
        }
        (!line.is_empty()).then(|| Step::Line(line.to_owned()))
    }
}

/// Reads `Downloading mlx_cpu-0.32.4-py3-none-manylinux_2_35_x86_64.whl (12.3 MB)`.
fn downloading(line: &str) -> Option<(String, u64)> {
    let rest = line.strip_prefix("Downloading ")?;
    let (file, size) = rest.split_once(" (").filter(|(file, _)| !file.ends_with(".metadata"))?;
    let (number, unit) = size.strip_suffix(')')?.split_once(' ')?;
    let unit = match unit {
        "bytes" => 1.0,
        "kB" => 1e3,
        "MB" => 1e6,
        "GB" => 1e9,
        _ => return None,
    };
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a size in bytes, of some digits")]
    let bytes = (number.parse::<f64>().ok()? * unit) as u64;
    // The file name's first two parts are the package and its version.
    let what = file.rsplit('/').next()?.split('-').take(2).collect::<Vec<_>>().join(" ");
    Some((what, bytes))
}

/// Why `pip install` failed.
pub(super) fn classify(code: i32, lines: Vec<String>, directory: &Path) -> PythonError {
    let says = |marks: &[&str]| lines.iter().any(|line| marks.iter().any(|mark| line.contains(mark)));
    if says(DISK_FULL) {
        return PythonError::DiskFull { directory: directory.to_owned() };
    }
    if says(PERMISSION) {
        return PythonError::Permission { directory: directory.to_owned() };
    }
    if says(OFFLINE) {
        return PythonError::Offline { lines };
    }
    let nothing_fits = lines.iter().find_map(|line| line.split("No matching distribution found for ").nth(1));
    match nothing_fits.map(str::to_owned) {
        Some(what) => PythonError::NoDistribution { what, lines },
        None => PythonError::PipFailed { code, lines },
    }
}

/// Why `python -m venv` failed.
pub(super) fn classify_venv(
    interpreter: &Path,
    version: String,
    code: i32,
    lines: Vec<String>,
    directory: &Path,
) -> PythonError {
    let found = lines.iter().find(|line| VENV_MISSING.iter().any(|mark| line.contains(mark)));
    match found.cloned() {
        Some(reason) => PythonError::VenvMissing { interpreter: interpreter.to_owned(), version, reason },
        None => classify(code, lines, directory),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn classified(text: &str) -> PythonError {
        classify(1, text.lines().map(Into::into).collect(), Path::new("/d"))
    }

    #[test]
    fn a_download_is_told_with_its_size() {
        let mut follower = Follower::default();
        let line = "  Downloading mlx_cpu-0.32.4-py3-none-manylinux_2_35_x86_64.whl (12.3 MB)";
        let step = |done, total| Step::Downloading { what: "mlx_cpu 0.32.4".into(), done, total };
        assert_eq!(follower.line(line), Some(step(0, 12_300_000)));
        assert_eq!(follower.line("Progress 65536 of 12345678"), Some(step(65_536, 12_345_678)));
        assert_eq!(follower.line("Collecting numpy"), Some(Step::Line("Collecting numpy".into())));
        assert_eq!(follower.line("   "), None);
        let metadata = "  Downloading numpy-2.4.6-cp311-cp311-manylinux.whl.metadata (6.6 kB)";
        assert_eq!(follower.line(metadata), Some(Step::Line(metadata.trim().into())));
    }

    #[test]
    fn without_a_connection_it_is_offline_although_pip_also_finds_no_version() {
        let error = classified(
            "WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError('<pip._vendor.urllib3.connection.HTTPSConnection>: Failed to establish a new connection: [Errno -3] Temporary failure in name resolution')': /simple/mlx/\n\
             ERROR: Could not find a version that satisfies the requirement mlx==0.32.4 (from versions: none)\n\
             ERROR: No matching distribution found for mlx==0.32.4",
        );
        assert!(matches!(error, PythonError::Offline { .. }), "{error:?}");
        assert!(error.help().unwrap().contains("mlx-tree demo"));
    }

    #[test]
    fn each_other_reason_is_told_apart() {
        let full =
            classified("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device");
        assert!(matches!(full, PythonError::DiskFull { .. }), "{full:?}");
        let denied =
            classified("ERROR: Could not install packages due to an OSError: [Errno 13] Permission denied: '/d/x'");
        assert!(matches!(denied, PythonError::Permission { .. }), "{denied:?}");
        let none = classified("ERROR: No matching distribution found for mlx==9.9");
        assert_eq!(none.to_string(), "there is no mlx==9.9 for this Python or this machine");
        let other = classified("ERROR: something new");
        assert_eq!(other.to_string(), "pip failed with code 1: ERROR: something new");
    }

    #[test]
    fn a_debian_without_the_venv_package_is_told_which_to_install() {
        let line = "The virtual environment was not created successfully because ensurepip is not available.  On Debian/Ubuntu";
        let error = classify_venv(Path::new("/usr/bin/python3"), "3.11".into(), 1, vec![line.into()], Path::new("/d"));
        assert!(matches!(error, PythonError::VenvMissing { .. }), "{error:?}");
        assert!(error.help().unwrap().contains("python3.11-venv"));
    }
}
