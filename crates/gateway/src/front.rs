//! The side that clients see: connections, strict framing, limits, and who may ask.
