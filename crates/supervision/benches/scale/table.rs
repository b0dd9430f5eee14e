//! The findings side by side, each beside its ratio to bare ractor's.

use std::collections::{BTreeMap, BTreeSet};

use super::{Findings, Way};

/// What took longer than `limit` seconds was not waited for.
pub(super) fn print(children: usize, runs: &BTreeMap<Way, Vec<Findings>>, limit: usize) {
    println!("\n{children} children");
    print!("{:<18}", "");
    for way in runs.keys() {
        print!("{:>22}", way.name());
    }
    println!();
    let names: BTreeSet<&String> = runs.values().flatten().flat_map(BTreeMap::keys).collect();
    for name in names {
        let medians: BTreeMap<_, _> = runs.iter().map(|(&way, runs)| (way, median(runs, name))).collect();
        let floor = medians.get(&Way::Bare).copied().flatten();
        print!("{name:<18}");
        for found in medians.values() {
            let text = match (found, floor) {
                (None, _) => "-".to_owned(),
                (Some(found), _) if found.is_infinite() => format!("> {limit} s"),
                (Some(found), Some(floor)) if floor > 0.0 => format!("{found:.1} ({:.2}x)", found / floor),
                (Some(found), _) => format!("{found:.1}"),
            };
            print!("{text:>22}");
        }
        println!();
    }
}

fn median(runs: &[Findings], name: &str) -> Option<f64> {
    let mut found: Vec<f64> = runs.iter().filter_map(|run| run.get(name).copied()).collect();
    found.sort_by(f64::total_cmp);
    found.get(found.len() / 2).copied()
}
