//! The stand-in as a program of its own, for the tests of every crate.

use mlx_tree_stand_in::{Options, run};
use std::{
    env,
    io::{self, Write},
    process::ExitCode,
};

fn main() -> ExitCode {
    match Options::from_args(env::args_os().skip(1)) {
        Ok(options) => run(options),
        Err(error) => {
            let _ = writeln!(io::stderr(), "error: {error}");
            ExitCode::from(64)
        }
    }
}
