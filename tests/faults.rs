//! What goes wrong, and what must come of it: a server that dies, hangs or floods, at its start and in its life, under load, while
//! it is restarted on purpose, when its configuration changes, and before a fallback.
//!
//! One program, so that tests which wait do so side by side.

mod support;

#[path = "faults/around.rs"]
mod around;
#[path = "faults/fallback.rs"]
mod fallback;
#[path = "faults/floods.rs"]
mod floods;
#[path = "faults/gateway.rs"]
mod gateway;
#[path = "faults/life.rs"]
mod life;
#[path = "faults/load.rs"]
mod load;
#[path = "faults/measured.rs"]
mod measured;
#[path = "faults/memory.rs"]
mod memory;
#[path = "faults/planned.rs"]
mod planned;
#[path = "faults/reload.rs"]
mod reload;
#[path = "faults/start.rs"]
mod start;
