//! The children: found by key and by name, walked in start order, all of it without a scan.

use std::collections::{BTreeSet, HashMap};
use std::ops::{Index, IndexMut};

use mlx_tree_policy::Monotonic;

use crate::{ChildCounts, ChildId, ChildKind};

use super::child::{Node, State};

/// Names a child for as long as it is known; never reused for another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    index: u32,
    generation: u32,
}

pub(super) struct Table<P> {
    entries: Vec<Entry<P>>,
    free: Vec<u32>,
    ids: HashMap<ChildId, u32>,
    first: Option<u32>,
    last: Option<u32>,
    deadlines: BTreeSet<(Monotonic, u32)>,
    counts: ChildCounts,
    significant: usize,
}

struct Entry<P> {
    generation: u32,
    node: Option<Node<P>>,
}

// === impl Table ===

impl<P> Table<P> {
    pub(super) fn with_capacity(children: usize) -> Self {
        Self {
            entries: Vec::with_capacity(children),
            free: Vec::new(),
            ids: HashMap::with_capacity(children),
            first: None,
            last: None,
            deadlines: BTreeSet::new(),
            counts: ChildCounts::default(),
            significant: 0,
        }
    }

    /// Adds a child that is down, after all others.
    pub(super) fn push(&mut self, mut node: Node<P>) -> u32 {
        node.previous = self.last;
        node.next = None;
        self.counts.specs += 1;
        match node.rules.kind {
            ChildKind::Worker => self.counts.workers += 1,
            ChildKind::Supervisor => self.counts.supervisors += 1,
        }
        let index = self.free.pop().unwrap_or_else(|| {
            self.entries.push(Entry { generation: 0, node: None });
            u32::try_from(self.entries.len() - 1).expect("fewer than 2^32 children")
        });
        self.ids.insert(node.id.clone(), index);
        match self.last {
            Some(last) => self[last].next = Some(index),
            None => self.first = Some(index),
        }
        self.last = Some(index);
        self.entries[index as usize].node = Some(node);
        index
    }

    /// Forgets a child that is down.
    pub(super) fn remove(&mut self, index: u32) -> Node<P> {
        self.set_deadline(index, None);
        let entry = &mut self.entries[index as usize];
        let node = entry.node.take().expect("a child that is known");
        entry.generation = entry.generation.wrapping_add(1);
        self.free.push(index);
        self.ids.remove(&node.id);
        match node.previous {
            Some(previous) => self[previous].next = node.next,
            None => self.first = node.next,
        }
        match node.next {
            Some(next) => self[next].previous = node.previous,
            None => self.last = node.previous,
        }
        self.counts.specs -= 1;
        match node.rules.kind {
            ChildKind::Worker => self.counts.workers -= 1,
            ChildKind::Supervisor => self.counts.supervisors -= 1,
        }
        debug_assert!(!node.is_active() && !node.is_significant_and_not_down());
        node
    }

    /// Changes a child, and whatever is counted about it.
    pub(super) fn change<T>(&mut self, index: u32, change: impl FnOnce(&mut Node<P>) -> T) -> T {
        let node = &mut self[index];
        let before = (node.is_active(), node.is_significant_and_not_down());
        let answer = change(node);
        let after = (node.is_active(), node.is_significant_and_not_down());
        self.counts.active = self.counts.active + usize::from(after.0) - usize::from(before.0);
        self.significant = self.significant + usize::from(after.1) - usize::from(before.1);
        answer
    }

    /// Puts a child into another state; what was due is no longer.
    pub(super) fn set_state(&mut self, index: u32, state: State, now: Monotonic) {
        self.set_deadline(index, None);
        self.change(index, |node| {
            node.state = state;
            node.since = now;
        });
    }

    pub(super) fn set_deadline(&mut self, index: u32, deadline: Option<Monotonic>) {
        let previous = std::mem::replace(&mut self[index].deadline, deadline);
        if let Some(previous) = previous {
            self.deadlines.remove(&(previous, index));
        }
        if let Some(deadline) = deadline {
            self.deadlines.insert((deadline, index));
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Monotonic> {
        self.deadlines.first().map(|&(at, _)| at)
    }

    /// Takes the earliest child that is due.
    pub(super) fn pop_due(&mut self, now: Monotonic) -> Option<u32> {
        let &(at, index) = self.deadlines.first()?;
        if at > now {
            return None;
        }
        self.set_deadline(index, None);
        Some(index)
    }

    pub(super) fn find(&self, id: &str) -> Option<u32> {
        self.ids.get(id).copied()
    }

    pub(super) fn key(&self, index: u32) -> Key {
        Key { index, generation: self.entries[index as usize].generation }
    }

    pub(super) fn index(&self, key: Key) -> Option<u32> {
        let entry = self.entries.get(key.index as usize)?;
        (entry.generation == key.generation && entry.node.is_some()).then_some(key.index)
    }

    pub(super) const fn first(&self) -> Option<u32> {
        self.first
    }

    pub(super) const fn last(&self) -> Option<u32> {
        self.last
    }

    pub(super) const fn counts(&self) -> ChildCounts {
        self.counts
    }

    /// How many significant children are not down.
    pub(super) const fn significant_left(&self) -> usize {
        self.significant
    }

    pub(super) fn in_order(&self) -> impl Iterator<Item = u32> + '_ {
        std::iter::successors(self.first, |&index| self[index].next)
    }

    pub(super) fn in_reverse(&self) -> impl Iterator<Item = u32> + '_ {
        std::iter::successors(self.last, |&index| self[index].previous)
    }
}

impl<P> Index<u32> for Table<P> {
    type Output = Node<P>;

    fn index(&self, index: u32) -> &Node<P> {
        self.entries[index as usize].node.as_ref().expect("a child that is known")
    }
}

impl<P> IndexMut<u32> for Table<P> {
    fn index_mut(&mut self, index: u32) -> &mut Node<P> {
        self.entries[index as usize].node.as_mut().expect("a child that is known")
    }
}
