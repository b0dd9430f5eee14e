//! The way to a fallback: asked for, possible, labelled, or not at all.
