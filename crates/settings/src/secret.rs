//! What must not be shown: values whose names say that they are secret.

use std::collections::BTreeMap;
use std::fmt;

/// What is shown in place of a secret.
pub(crate) const MASK: &str = "***";

const TELLTALES: [&str; 5] = ["token", "key", "secret", "password", "credential"];

/// Environment variables of the server; `Debug` shows the names only where a name looks secret.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct ServerEnv(pub BTreeMap<String, String>);

/// Whether a key, a variable or a flag of this name is likely to hold a secret.
#[must_use]
pub fn looks_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    TELLTALES.iter().any(|telltale| name.contains(telltale))
}

/// The value of `name` as it may be shown.
pub(crate) fn masked<'a>(name: &str, value: &'a str) -> &'a str {
    if looks_secret(name) && !value.is_empty() { MASK } else { value }
}

/// Arguments as they may be shown: what belongs to a flag that looks secret is masked (`--api-key X`, `--api-key=X`).
pub(crate) fn masked_args(args: &[String]) -> Vec<String> {
    let mut after_secret = false;
    let mut shown = Vec::with_capacity(args.len());
    for arg in args {
        let (name, value) = arg.split_once('=').map_or((arg.as_str(), None), |(name, value)| (name, Some(value)));
        let is_flag = name.starts_with('-');
        let secret = is_flag && looks_secret(name);
        shown.push(match value {
            _ if after_secret && !is_flag => MASK.to_owned(),
            Some(_) if secret => format!("{name}={MASK}"),
            Some(_) | None => arg.clone(),
        });
        after_secret = secret && value.is_none();
    }
    shown
}

// === impl ServerEnv ===

impl ServerEnv {
    /// The variables, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The value of one variable.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

impl fmt::Debug for ServerEnv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter().map(|(name, value)| (name, masked(name, value)))).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn secrets_are_known_by_their_names() {
        for name in ["HF_TOKEN", "OPENAI_API_KEY", "client-secret", "db_Password", "--api-key"] {
            assert!(looks_secret(name), "{name}");
        }
        for name in ["HF_HOME", "PATH", "--temp"] {
            assert!(!looks_secret(name), "{name}");
        }
    }

    #[test]
    fn debug_shows_the_name_of_a_secret_and_not_the_secret() {
        let env = ServerEnv(BTreeMap::from([
            ("HF_TOKEN".to_owned(), "canary".to_owned()),
            ("HF_HOME".to_owned(), "/models".to_owned()),
        ]));
        assert_eq!(format!("{env:?}"), r#"{"HF_HOME": "/models", "HF_TOKEN": "***"}"#);
    }

    #[test]
    fn an_argument_after_a_secret_flag_is_masked_in_either_form() {
        let args = strings(&["--api-key", "canary", "--temp", "0.5", "--token=canary", "--api-key", "--verbose"]);
        assert_eq!(
            masked_args(&args),
            strings(&["--api-key", MASK, "--temp", "0.5", "--token=***", "--api-key", "--verbose"])
        );
    }
}
