//! The tree in a terminal, alive.
