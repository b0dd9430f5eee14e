//! A short run of the chaos bench: clients ask, the server is taken down again and again, and nobody is told a lie.

mod chaos;
#[allow(dead_code, reason = "a module of several test programs, each of which uses its part")]
#[path = "support/mlx.rs"]
mod mlx;
mod support;

use std::sync::Arc;
use std::time::Duration;

use chaos::client::References;
use chaos::faults::{self, Fault};
use chaos::front::{Front, Keeper};
use chaos::invariants::{judge, promises, was_felt};
use chaos::witness::Witness;
use chaos::{Length, Load, fresh_seed, report, setup};
use support::{Setup, say};

async fn holds(tree: Setup, backend: &str, faults: &[Fault]) {
    let seed = fresh_seed();
    say(&format!("seed {seed}"));
    let load = Load {
        clients: 8,
        length: Length::Faults(faults.len()),
        every: Duration::from_secs(2),
        faults: faults.to_vec(),
        tokens: 120,
        seed,
    };
    let front = Arc::new(Front::of(setup::never_open(tree).start(), backend, setup::PATIENCE).await);
    let Keeper::Tree(tree) = &front.keeper else { unreachable!("it is ours") };
    let witness = Witness::of(tree.pid());
    let references = Arc::new(References::of(&tree.url().await, load.tokens).await);
    let record = chaos::run(&front, &load, &references).await;
    let account = witness.end();
    report::outcomes("mlx-tree", &record);
    report::silences(&record);
    let log = tree.log();
    let front = Arc::into_inner(front).expect("all clients have ended");
    let mut found = judge(front, &record, &account).await;
    found.extend(promises(&record));
    found.push(was_felt(&record, &load));
    assert!(report::findings(&found), "seed {seed}; log:\n{log}");
}

#[tokio::test]
async fn over_the_stand_in_no_fault_costs_a_plain_request_or_a_greedy_stream() {
    holds(setup::stand_in(), "demo", &faults::ALL).await;
}

#[tokio::test]
async fn over_the_real_server_no_fault_costs_a_plain_request_or_a_greedy_stream() {
    let faults = [Fault::Kill, Fault::Thread, Fault::Segv];
    holds(setup::paced(mlx::real().await), "mlx_lm", &faults).await;
}
