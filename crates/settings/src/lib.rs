//! Layered configuration, validated into the types that the other crates accept.
