//! The control plane: status, events, logs and the operator's verbs over HTTP.
