//! The address of a webhook, which is a secret: whoever knows it can write there.

use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use figment::value::{Dict, Value};

use crate::layers::Found;
use crate::secret::MASK;
use crate::settings::directories::resolve;
use crate::value::{Reject, text};
use crate::{Environment, Origin};

/// An `http://` or `https://` URL. Never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretUrl(String);

const HELP: &str = r#"an https:// or http:// URL, { env = "NAME" } or { file = "PATH" }"#;

/// Longer files hold no URL.
const MAX_LEN: u64 = 8 * 1024;

// === impl SecretUrl ===

impl SecretUrl {
    /// Reads a URL, or the variable or the file that has it.
    pub(super) fn read(value: &Value, found: &Found, environment: &Environment) -> Result<Self, Reject> {
        let Some(table) = value.as_dict() else {
            if matches!(found.origin, Origin::Flag(_)) {
                let help = r#"{ env = "NAME" } or { file = "PATH" }"#;
                return Err(Reject::invalid("everybody can read the arguments of a process", help));
            }
            return Self::checked(&text(value)?);
        };
        match one_of(table)? {
            ("env", name) => {
                let value = environment.get(&name).and_then(|value| value.to_str());
                let missing =
                    || Reject::invalid(format!("there is no variable {name}"), "set it, or write the URL here");
                Self::checked(value.ok_or_else(missing)?)
            }
            (_, path) => Self::checked(&from_file(&resolve(&path, &found.origin, environment)?)?),
        }
    }

    /// The URL itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Only what every client reads in the same way: no quotes, no spaces, nobody's name in front of the host.
    fn checked(url: &str) -> Result<Self, Reject> {
        let bad = |what: &str| Reject::malformed(what, HELP);
        let url = url.trim();
        let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
        let rest = rest.ok_or_else(|| bad("this is no http:// or https:// URL"))?;
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        if authority.is_empty() || authority.starts_with(':') {
            return Err(bad("the URL has no host"));
        }
        if authority.contains('@') {
            return Err(bad("a user in the URL is not supported"));
        }
        if !url.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"'\\<>`{}|^".contains(&byte)) {
            return Err(bad("the URL has characters in it that must be written as %XX"));
        }
        Ok(Self(url.to_owned()))
    }
}

/// The one entry of `{ env = … }` or `{ file = … }`.
fn one_of(table: &Dict) -> Result<(&'static str, String), Reject> {
    match (table.get("env"), table.get("file"), table.len()) {
        (Some(name), None, 1) => Ok(("env", text(name)?)),
        (None, Some(path), 1) => Ok(("file", text(path)?)),
        _ => Err(Reject::malformed("this table says neither where the URL is nor what it is", HELP)),
    }
}

fn from_file(path: &Path) -> Result<String, Reject> {
    let unreadable = |error: std::io::Error| {
        Reject::invalid(
            format!("{} cannot be read: {error}", path.display()),
            "a file that holds the URL and nothing else",
        )
    };
    // Asked first, since to open a pipe would be to wait for its other end.
    if !std::fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(unreadable(std::io::Error::other("it is not a regular file")));
    }
    let file = File::open(path).map_err(unreadable)?;
    let mode = file.metadata().map_err(unreadable)?.mode();
    if mode & 0o077 != 0 {
        let help = format!("chmod go= {}", path.display());
        return Err(Reject::invalid("others may read or change the file with the URL", help));
    }
    let mut text = String::new();
    file.take(MAX_LEN).read_to_string(&mut text).map_err(unreadable)?;
    Ok(text)
}

impl fmt::Debug for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}
