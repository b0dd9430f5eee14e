//! The chaos bench: what clients see while their server is killed, frozen and poisoned every few seconds.
//!
//! ```text
//! cargo bench -p mlx-tree --bench chaos -- --help
//! ```

mod chaos;
#[allow(dead_code, reason = "a module of several programs, each of which uses its part")]
#[path = "support/mlx.rs"]
mod mlx;
mod support;

use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::time::Duration;

use chaos::client::References;
use chaos::faults::Fault;
use chaos::front::{Front, Keeper};
use chaos::invariants::{judge, promises, was_felt};
use chaos::rivals::{self, Loop};
use chaos::witness::Witness;
use chaos::{Length, Load, Record, fresh_seed, report, setup};
use clap::Parser;
use mlx_tree_provision::model;
use support::rivals::program;
use support::{PROGRAM, say};
use tempfile::TempDir;

/// Clients, plain and streaming, against a server that is taken down every few seconds; what each of them saw; and whether all
/// that must hold did. Ends with 1 if it did not.
#[derive(Debug, Parser)]
#[command(name = "chaos")]
struct Arguments {
    /// Clients; half of them plain, of the others half greedy and half sampled.
    #[arg(long, default_value_t = 8)]
    clients: usize,
    /// Seconds of load.
    #[arg(long, default_value_t = 45)]
    time: u64,
    /// Seconds from one fault to the next, at least.
    #[arg(long, default_value_t = 5.0)]
    every: f64,
    /// In turn: kill, freeze, thread, segv.
    #[arg(long, value_delimiter = ',', default_value = "kill,freeze,thread,segv", value_parser = fault)]
    faults: Vec<Fault>,
    /// Tokens of each answer.
    #[arg(long, default_value_t = 160)]
    tokens: u32,
    /// The same questions in the same order as in an earlier run.
    #[arg(long)]
    seed: Option<u64>,
    /// The built-in stand-in instead of mlx_lm.server.
    #[arg(long)]
    stand_in: bool,
    /// mlx-tree's own restart settings, with which the breaker opens after the fifth fault.
    #[arg(long)]
    defaults: bool,
    /// gateway.climb_after: after a crash under several requests they are let in one by one, and one more after each such span.
    #[arg(long, default_value = "30s")]
    climb: String,
    /// The same load and faults against: bare (a loop that restarts the server), nginx, litellm.
    #[arg(long, value_delimiter = ',')]
    against: Vec<String>,
    /// LiteLLM's proxy.
    #[arg(long, default_value = "litellm")]
    litellm: String,
    /// What `cargo bench` adds.
    #[arg(long, hide = true)]
    bench: bool,
}

fn fault(name: &str) -> Result<Fault, String> {
    Fault::named(name).ok_or_else(|| "kill, freeze, thread or segv".to_owned())
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let load = Load {
        clients: arguments.clients,
        length: Length::Time(Duration::from_secs(arguments.time)),
        every: Duration::from_secs_f64(arguments.every),
        faults: arguments.faults.clone(),
        tokens: arguments.tokens,
        seed: arguments.seed.unwrap_or_else(fresh_seed),
    };
    let server = if arguments.stand_in { "the stand-in" } else { "mlx_lm.server" };
    let names: Vec<_> = load.faults.iter().map(|it| it.name()).collect();
    say(&format!(
        "{} clients for {} s against {server}, {} tokens an answer; {} in turn, at least {:?} apart; climbing after {}; seed {}",
        load.clients,
        arguments.time,
        load.tokens,
        names.join(", "),
        load.every,
        arguments.climb,
        load.seed
    ));
    let (record, holds) = ours(&arguments, &load).await;
    if arguments.against.is_empty() {
        return if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    let mut records = vec![("mlx-tree".to_owned(), record)];
    for name in &arguments.against {
        match rival(name, &arguments, &load).await {
            Ok(record) => records.push((name.clone(), record)),
            Err(why) => say(&format!("\n{name}: {why}")),
        }
    }
    report::beside(&records, &load);
    if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn ours(arguments: &Arguments, load: &Load) -> (Record, bool) {
    let (tree, backend) =
        if arguments.stand_in { (setup::stand_in(), "demo") } else { (setup::paced(mlx::real().await), "mlx_lm") };
    let tree = if arguments.defaults { setup::defaults(tree) } else { setup::never_open(tree) };
    let tree = tree.set("gateway.climb_after", &arguments.climb);
    let patience = if arguments.defaults { setup::PATIENCE_DEFAULTS } else { setup::PATIENCE };
    let front = Arc::new(Front::of(tree.start(), backend, patience).await);
    let witness = match &front.keeper {
        Keeper::Tree(tree) => Witness::of(tree.pid()),
        Keeper::Loop(_) => unreachable!("it is ours"),
    };
    let url = front.keeper.serving().await.expect("it is ready").url;
    let references = Arc::new(References::of(&url, load.tokens).await);
    let record = chaos::run(&front, load, &references).await;
    let account = witness.end();
    report::outcomes("mlx-tree", &record);
    report::silences(&record);
    let front = Arc::into_inner(front).expect("all clients have ended");
    let mut found = judge(front, &record, &account).await;
    if !arguments.defaults {
        found.extend(promises(&record));
        found.push(was_felt(&record, load));
    }
    let holds = report::findings(&found);
    (record, holds)
}

async fn rival(name: &str, arguments: &Arguments, load: &Load) -> Result<Record, String> {
    let home = tempfile::tempdir().expect("a directory");
    let restarting = Loop::start(command(arguments, &home).await);
    while restarting.serving().await.is_none() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let installed = |name: &str| program(name).ok_or_else(|| format!("{name} is not installed here"));
    let between = match name {
        "bare" => None,
        "nginx" => Some(rivals::nginx(&installed("nginx")?, restarting.port).await),
        "litellm" => Some(rivals::litellm(&installed(&arguments.litellm)?, restarting.port).await),
        _ => return Err("bare, nginx or litellm".to_owned()),
    };
    let port = between.as_ref().map_or(restarting.port, |it| it.port);
    let server = format!("http://127.0.0.1:{}", restarting.port);
    let front = Arc::new(Front {
        name: name.to_owned(),
        url: format!("http://127.0.0.1:{port}"),
        labels: None,
        keeper: Keeper::Loop(restarting),
        patience: setup::PATIENCE,
        between,
    });
    let references = Arc::new(References::of(&server, load.tokens).await);
    let record = chaos::run(&front, load, &references).await;
    report::outcomes(name, &record);
    report::silences(&record);
    Ok(record)
}

/// What starts the server on a port.
async fn command(arguments: &Arguments, home: &TempDir) -> impl Fn(u16) -> Command + Send + use<> {
    let (program, words): (PathBuf, Vec<String>) = if arguments.stand_in {
        let flags = setup::stand_in_flags();
        (PROGRAM.into(), std::iter::once("stand-in".to_owned()).chain(flags.map(str::to_owned)).collect())
    } else {
        let python = mlx::environment(mlx::Version::Current).await.interpreter;
        let model = model::resolve(model::BUILTIN_TINY, home.path(), home.path()).await.expect("a model");
        (python, ["-m", "mlx_lm", "server", "--model", &model.argument].map(str::to_owned).into())
    };
    move |port| {
        let mut command = Command::new(&program);
        command.args(&words).args(["--host", "127.0.0.1", "--port", &port.to_string()]).env("HF_HUB_OFFLINE", "1");
        command
    }
}
