//! What may happen to a gate, at random.

use proptest::prelude::*;

use crate::admission::{Outcome, Standing};
use crate::backend::End;

/// What happens. Indexes are taken modulo what there is.
#[derive(Debug, Clone)]
pub(super) enum Happens {
    Arrive {
        client: u8,
        patience: u64,
        standing: Standing,
    },
    Leave(usize),
    Finish(usize, Outcome),
    Linger(usize, u64),
    /// The holder of a permit comes back with the request, whatever has become of the permit's incarnation.
    Return {
        held: usize,
        patience: u64,
        standing: Standing,
    },
    /// News of the server, and whether it comes with word of how the incarnation before it ended.
    Backend(News, Option<End>),
    Pass(u64),
    MaxInflight(usize),
}

#[derive(Debug, Clone, Copy)]
pub(super) enum News {
    Ready,
    ReadyAgain,
    Restarting(Option<u64>),
    BreakerOpen(Option<u64>),
    Yielding,
    Finishing,
    Recycling,
    Asleep,
    Stopped,
    Draining,
}

pub(super) fn happens() -> impl Strategy<Value = Happens> {
    let standing = || prop_oneof![4 => Just(Standing::Fresh), 1 => Just(Standing::Suspect)];
    let outcome = prop_oneof![Just(Outcome::Succeeded), Just(Outcome::Failed), Just(Outcome::BackendDied)];
    let eta = || proptest::option::of(0_u64..60_000);
    let news = prop_oneof![
        4 => Just(News::Ready),
        1 => Just(News::ReadyAgain),
        2 => eta().prop_map(News::Restarting),
        1 => eta().prop_map(News::BreakerOpen),
        1 => Just(News::Yielding),
        1 => Just(News::Finishing),
        1 => Just(News::Recycling),
        1 => Just(News::Asleep),
        1 => Just(News::Stopped),
        1 => Just(News::Draining),
    ];
    let ends = prop_oneof![2 => Just(None), 1 => Just(Some(End::Death)), 1 => Just(Some(End::Planned))];
    prop_oneof![
        12 => (0_u8..4, 0_u64..90_000, standing())
            .prop_map(|(client, patience, standing)| Happens::Arrive { client, patience, standing }),
        2 => any::<usize>().prop_map(Happens::Leave),
        8 => (any::<usize>(), outcome).prop_map(|(which, outcome)| Happens::Finish(which, outcome)),
        2 => (any::<usize>(), 0_u64..3_000).prop_map(|(which, grace)| Happens::Linger(which, grace)),
        3 => (any::<usize>(), 1_u64..90_000, standing())
            .prop_map(|(held, patience, standing)| Happens::Return { held, patience, standing }),
        4 => (news, ends).prop_map(|(news, end)| Happens::Backend(news, end)),
        3 => (0_u64..3_000).prop_map(Happens::Pass),
        1 => (0_u64..90_000).prop_map(Happens::Pass),
        1 => (1_usize..6).prop_map(Happens::MaxInflight),
    ]
}
