//! The control plane over real sockets: what it answers, and what it must not let happen.

#[path = "wire/attacks.rs"]
mod attacks;
#[path = "wire/clients.rs"]
mod clients;
#[path = "wire/limits.rs"]
mod limits;
#[path = "wire/openapi.rs"]
mod openapi;
#[path = "wire/plane.rs"]
mod plane;
#[path = "wire/schema.rs"]
mod schema;
