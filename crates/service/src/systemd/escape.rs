//! Words in a unit: systemd reads quotes, backslashes, `%` and, in command lines, `$`.

/// The program of a command line. systemd replaces specifiers in it, but no variables.
#[must_use]
pub fn program(path: &str) -> String {
    quoted(path)
}

/// An argument of a command line.
#[must_use]
pub fn argument(word: &str) -> String {
    quoted(word).replace('$', "$$")
}

/// A word of any other value, as of `Environment=`.
#[must_use]
pub fn value(word: &str) -> String {
    quoted(word)
}

/// In quotes, unless it is so plain that none are needed. Control characters do not come this far.
fn quoted(word: &str) -> String {
    let plain = |it: char| it.is_ascii_alphanumeric() || "/._-=:,+@".contains(it);
    // A lone `;` would end the command; it is not plain.
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    let mut text = String::from("\"");
    for it in word.chars() {
        match it {
            '"' | '\\' => text.extend(['\\', it]),
            '%' => text.push_str("%%"),
            other => text.push(other),
        }
    }
    text + "\""
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_back_as_they_were() {
        assert_eq!(argument("/opt/mlx-tree"), "/opt/mlx-tree");
        assert_eq!(argument("/srv/a b"), r#""/srv/a b""#);
        assert_eq!(argument(r#"/srv/"x"\n"#), r#""/srv/\"x\"\\n""#);
        assert_eq!(argument("/srv/100%/$HOME"), r#""/srv/100%%/$$HOME""#);
        assert_eq!(program("/srv/$a"), r#""/srv/$a""#);
        assert_eq!(value("A=1 $x"), r#""A=1 $x""#);
        assert_eq!(argument(""), r#""""#);
        assert_eq!(argument(";"), r#"";""#);
        assert_eq!(argument("/home/Ада"), r#""/home/Ада""#);
    }
}
