//! What has been counted and measured: events and samples in, Prometheus text and trends out.
