//! Keeps a local LLM server alive.
