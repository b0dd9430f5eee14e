//! What passing a gate costs: `cargo run --release -p mlx-tree-gateway --example gate_latency`.
//!
//! With a free slot, with a queue, and for those who are refused. One thread, so that it is the gate and not the scheduler.

#![expect(clippy::print_stdout, reason = "it is a program that prints figures")]

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use mlx_tree_gateway::admission::{ClientKey, Entry, Gate, Limits, Outcome, Standing};
use mlx_tree_gateway::{Backend, BackendState};
use tokio::sync::watch;
use tokio::time::Instant;

const ROUNDS: u32 = 200_000;

fn entry(client: u64) -> Entry {
    Entry {
        client: ClientKey::Token(client),
        deadline: Instant::now() + Duration::from_secs(90),
        arrived: None,
        standing: Standing::Fresh,
    }
}

fn show(what: &str, times: u32, took: Duration) {
    println!("{what:<60} {:>8.2} µs", took.as_secs_f64() * 1e6 / f64::from(times));
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let state = BackendState::Ready { address: (Ipv4Addr::LOCALHOST, 1).into() };
    let (_tell, backend) = watch::channel(Backend::new(1, state));
    let gate = Gate::new("server".into(), Limits::default(), backend, Arc::new(()));

    let start = Instant::now();
    for _ in 0..ROUNDS {
        let permit = gate.enter(entry(1)).await.expect("there is room");
        permit.finish(Outcome::Succeeded);
    }
    show("enter and finish, with a free slot", ROUNDS, start.elapsed());

    for clients in [1, 64] {
        // 4 in flight and about 60 waiting all the time.
        let start = Instant::now();
        let tasks: Vec<_> = (0..64)
            .map(|task| {
                let gate = gate.clone();
                tokio::spawn(async move {
                    for _ in 0..ROUNDS / 64 {
                        let permit = gate.enter(entry(task % clients)).await.expect("there is room to wait");
                        tokio::task::yield_now().await;
                        permit.finish(Outcome::Succeeded);
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.expect("it ran");
        }
        show(&format!("enter, wait and finish, 64 tasks of {clients} client(s)"), ROUNDS, start.elapsed());
    }

    let _busy = [
        gate.enter(entry(1)).await,
        gate.enter(entry(1)).await,
        gate.enter(entry(1)).await,
        gate.enter(entry(1)).await,
    ];
    let _queue: Vec<_> = (0..64)
        .map(|_| {
            let gate = gate.clone();
            tokio::spawn(async move { gate.enter(entry(1)).await.map(drop) })
        })
        .collect();
    while gate.snapshot().queued < 64 {
        tokio::task::yield_now().await;
    }
    let start = Instant::now();
    for _ in 0..ROUNDS {
        gate.enter(entry(1)).await.expect_err("the queue is full");
    }
    show("to be refused at a full queue", ROUNDS, start.elapsed());
}
