//! One request from its first byte to its last: attempts, replay, relay and the honest end.
