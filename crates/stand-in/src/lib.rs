//! A scriptable HTTP server with the quirks of the real `mlx_lm.server`.
//!
//! It answers two needs. `mlx-tree demo` runs it as its child, so that the tree can be watched with no Python and no
//! model: every answer says "demo, not MLX", in the `Server` header and in the `model` field of the body. And tests run
//! it as the child that crashes, hangs, floods and lies on command: each fault is a flag ([`HELP`]).
//!
//! # The quirks it keeps
//! * HTTP/1.0, one connection a request, a thread a connection, a listen backlog of 5.
//! * `/health` is 200 before the model is loaded, and stays 200 when generation serves nobody.
//! * Streams end by EOF; `: keepalive done/total` comments while the prompt is read; `data: [DONE]` at the end.
//! * A plain answer sends no byte before it is complete, and runs to its end when the client leaves; a stream is
//!   cancelled by the first write that fails.
//! * Generation errors are 404 `{"error": "…"}`; a request without `Content-Length` gets 411.
//! * When its port is taken the process prints a traceback and stays, listening to nothing.
//! * SIGTERM ends it at once, streams cut without a mark.
//!
//! Beside it there is a fake of Ollama's API ([`OllamaServer`]), for the tests of the fallback.
//!
//! # Theory of operation
//! [`run`] is the process: it applies what concerns the process (signals, output floods, grandchildren, its own exit),
//! then serves for ever. [`Server`] is only the HTTP part, on a thread of the caller, for tests in one process. Answers
//! are a function of the prompt alone, so the same request gives the same tokens in every incarnation.

mod answer;
mod babble;
mod completion;
mod control;
mod death;
mod generate;
mod handler;
mod http;
mod json;
mod ollama;
mod options;
mod process;
mod script;
mod server;
mod stream;
mod world;

pub use self::{
    ollama::{OLLAMA_HELP, OllamaFault, OllamaOptions, OllamaRequest, OllamaServer, OllamaStats, run_ollama},
    options::{
        AfterGenerationEnds, CloseAt, Death, Delay, Generation, HELP, Health, HealthTick, Http, Identity, Length,
        Network, OnPortTaken, OnTerm, Options, Output, Process, Scope, Stream, Triggers, UsageError,
    },
    process::run,
    server::Server,
    world::Stats,
};

/// What every answer says of itself, in the `Server` header and in the body's `model` field.
pub const LABEL: &str = "demo, not MLX";
