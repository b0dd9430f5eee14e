//! Stories of one child.
