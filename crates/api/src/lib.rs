//! The nouns that leave the process: status, events, states, error bodies.
