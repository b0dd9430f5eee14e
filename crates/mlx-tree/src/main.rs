//! The program: a command line over the library.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main().into()
}
