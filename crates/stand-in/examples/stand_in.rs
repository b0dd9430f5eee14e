//! The stand-in as a program of its own, for the tests of every crate.

use mlx_tree_stand_in::{OllamaOptions, Options, run, run_ollama};
use std::{
    env,
    io::{self, Write},
    process::ExitCode,
};

fn main() -> ExitCode {
    let mut words = env::args_os().skip(1).peekable();
    let outcome = if words.next_if(|word| word == "ollama").is_some() {
        OllamaOptions::from_args(words).map(run_ollama)
    } else {
        Options::from_args(words).map(run)
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            let _ = writeln!(io::stderr(), "error: {error}");
            ExitCode::from(64)
        }
    }
}
