//! One operating-system process group as an owned value: spawn, signal, await, reap, never leak.
