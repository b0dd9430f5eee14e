//! A scriptable HTTP server with the quirks of the real mlx_lm.server.
