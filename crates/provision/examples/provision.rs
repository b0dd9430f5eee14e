//! Finds or makes what a server needs, and prints the command that starts it: `provision DATA_DIR [MODEL]`.

use mlx_tree_provision::{
    Step, model,
    python::{self, Choice, Module, Surroundings},
};
use std::{
    env,
    error::Error,
    io::{self, Write},
    path::PathBuf,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let data_dir = PathBuf::from(arguments.next().ok_or("usage: provision DATA_DIR [MODEL]")?);
    let name = arguments.next().unwrap_or_else(|| model::BUILTIN_TINY.to_owned());
    let model = model::resolve(&name, &env::current_dir()?, &data_dir).await?;
    let surroundings =
        Surroundings { path: env::var_os("PATH"), virtual_env: env::var_os("VIRTUAL_ENV").map(Into::into) };
    let progress = |step: Step| {
        let _ = writeln!(io::stderr(), "{step}");
    };
    let python = python::resolve(&Choice::Auto, Module::MlxLm, &surroundings, &data_dir, &progress).await?;
    writeln!(io::stdout(), "{} -m mlx_lm server --model {}", python.interpreter.display(), model.argument)?;
    Ok(())
}
