//! Finds or makes what a server needs, and prints the command that starts it:
//! `provision DATA_DIR [MODEL [REQUIREMENT…]]`, as in `provision /tmp/data builtin:tiny 'mlx-lm[cpu]==0.31.3'`.

use mlx_tree_provision::{
    Step, model,
    python::{self, Choice, Module, Pins, Surroundings},
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
    let data_dir = PathBuf::from(arguments.next().ok_or("usage: provision DATA_DIR [MODEL [REQUIREMENT…]]")?);
    let name = arguments.next().unwrap_or_else(|| model::BUILTIN_TINY.to_owned());
    let requirements: Vec<String> = arguments.collect();
    let model = model::resolve(&name, &env::current_dir()?, &data_dir).await?;
    let surroundings =
        Surroundings { path: env::var_os("PATH"), virtual_env: env::var_os("VIRTUAL_ENV").map(Into::into) };
    let progress = |step: Step| {
        let _ = writeln!(io::stderr(), "{step}");
    };
    let found = if requirements.is_empty() {
        python::resolve(&Choice::Auto, Module::MlxLm, &surroundings, &data_dir, &progress).await
    } else {
        let pins = Pins::new(Module::MlxLm, requirements);
        python::managed(&pins, &surroundings, &data_dir.join("python"), &progress).await
    };
    match found {
        Ok(python) => {
            let interpreter = python.interpreter.display();
            writeln!(io::stdout(), "{interpreter} -m mlx_lm server --model {}", model.argument)?;
            Ok(())
        }
        Err(error) => {
            let help = error.help().unwrap_or_default();
            Err(format!("{error}\nhelp: {help}").into())
        }
    }
}
