//! What must hold after every run, by the numbers that it has in the list of invariants.

use super::front::{Front, Keeper};
use super::outcome::{KINDS, Outcome, Way, failed};
use super::witness::Account;
use super::{Load, Record};
use crate::support::Instance;

/// One of them, and what was seen.
pub struct Finding {
    pub name: &'static str,
    pub seen: String,
    pub holds: bool,
}

/// The most requests that mlx-tree gives a server at once; its default.
const MAX_INFLIGHT: u64 = 4;

/// The same as connections: a health check, a canary and the request that is a fault come on top.
const CONNECTIONS: usize = 4 + 3;

/// mlx-tree takes about 10 MB; a build for tests more.
const MEMORY: u64 = 96 << 20;

/// Descriptors beyond those of the beginning that may be open at the end: connections that are being closed.
const DESCRIPTORS: usize = 12;

/// Of a run against mlx-tree. Stops it, since that is when a lost permit shows.
pub async fn judge(front: Front, record: &Record, account: &Account) -> Vec<Finding> {
    let Front { keeper: Keeper::Tree(tree), patience, .. } = front else { return Vec::new() };
    let mut found = Vec::new();
    let mut find = |name, seen: String, holds| found.push(Finding { name, seen, holds });

    match record.strikes.iter().filter_map(|strike| strike.busiest).max() {
        Some(most) => find("I1", format!("at most {most} at once, as the server counts"), most <= MAX_INFLIGHT),
        None => {
            let most = account.connections;
            find("I1", format!("at most {most} connections at once, as far as seen"), most <= CONNECTIONS);
        }
    }
    let ended = u64::try_from(record.seen.len()).unwrap_or(u64::MAX);
    let hung = count(record, |outcome| matches!(outcome, Outcome::Hung));
    find("I2", format!("{} begun, {ended} ended, {hung} hung", record.begun), ended == record.begun && hung == 0);
    let (silent, disguised) =
        (count(record, |it| matches!(it, Outcome::Silent)), count(record, |it| matches!(it, Outcome::Disguised(_))));
    find("I3", format!("{disguised} passed off as whole, {silent} cut silently"), silent + disguised == 0);
    let foreign = count(record, |it| matches!(it, Outcome::Foreign(_)));
    find("I4 I8", format!("{foreign} from elsewhere, unlabelled or mixed"), foreign == 0);
    find(
        "I5",
        format!("{} servers, {} times two at once", account.servers.len(), account.crowds.len()),
        account.crowds.is_empty(),
    );
    let status = tree.status().await;
    let faults = u64::try_from(record.strikes.len()).unwrap_or(u64::MAX);
    let (starts, window) = (status.server.epoch, status.breaker.restarts_in_window);
    let one_each = status.restart_count <= faults && starts <= faults + 1;
    let within = window <= status.breaker.max_restarts;
    find("I6", format!("{faults} faults, {} restarts, {starts} starts", status.restart_count), one_each && within);
    let (memory, descriptors) = (account.memory, account.descriptors);
    let megabytes = |bytes: u64| bytes.div_ceil(1 << 20);
    find(
        "I7",
        format!(
            "memory {} to {} MiB, descriptors {} to {}",
            megabytes(memory.0),
            megabytes(memory.1),
            descriptors.0,
            descriptors.1
        ),
        memory.1 < MEMORY && descriptors.1 <= descriptors.0 + DESCRIPTORS,
    );
    match record.alive_after {
        Some(after) => {
            find("I9", format!("served again {:.1} s after the end", after.as_secs_f64()), after <= patience);
        }
        None => find("I9", format!("nothing is served within {patience:?} after the end"), false),
    }
    let early = record.strikes.first().and_then(|strike| strike.restarts);
    find("I10", format!("{} restarts before the first fault", early.unwrap_or(0)), early.unwrap_or(0) == 0);
    let permits = stopped(tree).await;
    find("I7", format!("{permits} permits out at the end"), permits == 0);
    found
}

/// What is promised beyond the invariants, when a request is met by one fault at most and the breaker stays closed: plain requests
/// and greedy streams do not fail; other streams only if they were cut after their first token, and with a word.
pub fn promises(record: &Record) -> Vec<Finding> {
    let of = |way| record.seen.iter().filter(|seen| seen.way == way).collect::<Vec<_>>();
    let none = |name, way| {
        let seen = of(way);
        let failed = failed(&seen);
        Finding {
            name,
            seen: format!("{} asked, {failed:.1} % failed", seen.len()),
            holds: failed == 0.0 && !seen.is_empty(),
        }
    };
    let sampled = of(Way::Sampled);
    let failed: Vec<_> = sampled.iter().filter(|seen| seen.outcome != Outcome::Whole).collect();
    let told = failed.iter().filter(|seen| matches!(seen.outcome, Outcome::Told(_)) && seen.first.is_some()).count();
    let others = Finding {
        name: "sampled",
        seen: format!(
            "{} asked, {} failed, {told} of them after the first token and with a word",
            sampled.len(),
            failed.len()
        ),
        holds: told == failed.len() && !sampled.is_empty(),
    };
    vec![none("plain", Way::Plain), none("greedy", Way::Greedy), others]
}

/// That the faults were felt: without this a run that meets nobody would prove much and mean nothing.
pub fn was_felt(record: &Record, load: &Load) -> Finding {
    let met =
        record.seen.iter().filter(|seen| seen.replayed || seen.continued || seen.outcome.kind() != KINDS[0]).count();
    let seen = format!("{} faults of {:?}, {met} requests met by one", record.strikes.len(), load.faults.len());
    Finding { name: "felt", seen, holds: met > 0 && !record.strikes.is_empty() }
}

fn count(record: &Record, is: impl Fn(&Outcome) -> bool) -> usize {
    record.seen.iter().filter(|seen| is(&seen.outcome)).count()
}

/// Stops mlx-tree, and answers how many requests it still believed to be in flight.
async fn stopped(tree: Instance) -> u64 {
    tree.signal(nix::sys::signal::Signal::SIGTERM);
    let mut tree = tree;
    tree.ended().await;
    let log = tree.log();
    let line = log.lines().find(|line| line.contains("No new requests"));
    line.map_or(0, |line| line.split_whitespace().find_map(|word| word.parse().ok()).unwrap_or(1))
}
