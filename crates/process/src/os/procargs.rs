//! Reads what macOS's `KERN_PROCARGS2` returns: count, path of the program, padding, words, environment.

/// The command line and the environment that a process was started with.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ProcArgs {
    pub(crate) argv: Vec<String>,
    pub(crate) env: Vec<String>,
}

/// `None` when the buffer is not of that form.
pub(crate) fn parse(buffer: &[u8]) -> Option<ProcArgs> {
    let (count, rest) = buffer.split_first_chunk::<4>()?;
    let count = usize::try_from(i32::from_ne_bytes(*count)).ok()?;
    let path_end = rest.iter().position(|b| *b == 0)?;
    let words = &rest[path_end..];
    let start = words.iter().position(|b| *b != 0).unwrap_or(words.len());
    let mut words = words[start..].split(|b| *b == 0).map(|w| String::from_utf8_lossy(w).into_owned());
    let argv = words.by_ref().take(count).collect();
    let env = words.take_while(|word| !word.is_empty()).collect();
    Some(ProcArgs { argv, env })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_environment_are_told_apart_by_the_count() {
        let mut buffer = 2_i32.to_ne_bytes().to_vec();
        buffer.extend(b"/bin/sh\0\0\0\0sh\0-c\0A=1\0B=2\0\0junk");
        let parsed = parse(&buffer).expect("well formed");
        assert_eq!(parsed.argv, ["sh", "-c"]);
        assert_eq!(parsed.env, ["A=1", "B=2"]);
        assert_eq!(parse(b"\x01"), None);
        assert_eq!(parse(&[0xff; 4]), None);
    }
}
