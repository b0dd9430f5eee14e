//! The names of signals and of exit codes.

/// Signals with the same number everywhere.
const EVERYWHERE: &[(&str, i32)] = &[
    ("HUP", 1),
    ("INT", 2),
    ("QUIT", 3),
    ("ILL", 4),
    ("TRAP", 5),
    ("ABRT", 6),
    ("FPE", 8),
    ("KILL", 9),
    ("SEGV", 11),
    ("PIPE", 13),
    ("ALRM", 14),
    ("TERM", 15),
    ("TTIN", 21),
    ("TTOU", 22),
    ("XCPU", 24),
    ("XFSZ", 25),
    ("VTALRM", 26),
    ("PROF", 27),
    ("WINCH", 28),
];

#[cfg(target_os = "macos")]
const HERE: &[(&str, i32)] = &[
    ("EMT", 7),
    ("BUS", 10),
    ("SYS", 12),
    ("URG", 16),
    ("STOP", 17),
    ("TSTP", 18),
    ("CONT", 19),
    ("CHLD", 20),
    ("IO", 23),
    ("INFO", 29),
    ("USR1", 30),
    ("USR2", 31),
];

#[cfg(not(target_os = "macos"))]
const HERE: &[(&str, i32)] = &[
    ("BUS", 7),
    ("USR1", 10),
    ("USR2", 12),
    ("STKFLT", 16),
    ("CHLD", 17),
    ("CONT", 18),
    ("STOP", 19),
    ("TSTP", 20),
    ("URG", 23),
    ("IO", 29),
    ("PWR", 30),
    ("SYS", 31),
];

/// The codes that LSB and sysexits.h have given a meaning.
const CODES: &[(&str, i32)] = &[
    ("SUCCESS", 0),
    ("FAILURE", 1),
    ("INVALIDARGUMENT", 2),
    ("NOTIMPLEMENTED", 3),
    ("NOPERMISSION", 4),
    ("NOTINSTALLED", 5),
    ("NOTCONFIGURED", 6),
    ("NOTRUNNING", 7),
    ("USAGE", 64),
    ("DATAERR", 65),
    ("NOINPUT", 66),
    ("NOUSER", 67),
    ("NOHOST", 68),
    ("UNAVAILABLE", 69),
    ("SOFTWARE", 70),
    ("OSERR", 71),
    ("OSFILE", 72),
    ("CANTCREAT", 73),
    ("IOERR", 74),
    ("TEMPFAIL", 75),
    ("PROTOCOL", 76),
    ("NOPERM", 77),
    ("CONFIG", 78),
];

/// The signal with this name, without `SIG`.
pub(super) fn signal(name: &str) -> Option<i32> {
    EVERYWHERE.iter().chain(HERE).find(|(known, _)| *known == name).map(|(_, number)| *number)
}

/// The name of this signal, without `SIG`.
pub(super) fn of_signal(number: i32) -> Option<&'static str> {
    EVERYWHERE.iter().chain(HERE).find(|(_, known)| *known == number).map(|(name, _)| *name)
}

/// The exit code with this name.
pub(super) fn code(name: &str) -> Option<i32> {
    CODES.iter().find(|(known, _)| *known == name).map(|(_, code)| *code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_31_standard_signals_have_one_name_each() {
        let mut numbers: Vec<i32> = EVERYWHERE.iter().chain(HERE).map(|(_, number)| *number).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (1..=31).collect::<Vec<_>>());
    }
}
