//! What the system allows this process to have.

use std::io;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Lets this process, and those that it starts, open up to `wanted` files at once, or as many as its hard limit allows. Never
/// lowers the limit. Answers the one that holds.
///
/// Shells on macOS start programs with 256, which is as many as a gateway may have connections.
///
/// # Errors
/// When the system refuses; the limit is as it was then.
pub fn raise_open_files(wanted: u64) -> io::Result<u64> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    let aim = wanted.min(hard);
    if aim <= soft {
        return Ok(soft);
    }
    setrlimit(Resource::RLIMIT_NOFILE, aim, hard)?;
    Ok(aim)
}

/// How many files this process may open at once, and the most that it may raise that to.
///
/// # Errors
/// When the system does not say.
pub fn open_files() -> io::Result<(u64, u64)> {
    Ok(getrlimit(Resource::RLIMIT_NOFILE)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_rises_and_never_falls() {
        let before = raise_open_files(0).expect("it can be read");
        let raised = raise_open_files(before + 1).expect("within the hard limit, or as it was");
        assert!(raised >= before, "{before} {raised}");
        assert_eq!(raise_open_files(1).expect("nothing is changed"), raised);
        assert_eq!(getrlimit(Resource::RLIMIT_NOFILE).expect("it can be read").0, raised);
    }
}
