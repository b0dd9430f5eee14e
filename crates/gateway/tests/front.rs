//! What the front must not let happen, tried over real sockets with hand-written requests.

#[path = "front/abuse.rs"]
mod abuse;
#[path = "front/leaving.rs"]
mod leaving;
#[path = "front/process.rs"]
mod process;
#[path = "front/requests.rs"]
mod requests;
#[path = "front/stand.rs"]
mod stand;
#[path = "front/who.rs"]
mod who;
