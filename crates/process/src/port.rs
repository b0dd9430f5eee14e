//! Who has a TCP port: nobody, our own group, or a stranger that must be left alone.

use std::io;
use std::net::{IpAddr, SocketAddr};

use crate::identity::Identity;

/// Whether a server could listen on an address now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PortState {
    /// It could.
    Free,
    /// Somebody has it.
    Held {
        /// Who, as far as the system lets us see: a process of another user may not be visible.
        holders: Vec<Holder>,
    },
}

/// A process that listens.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Holder {
    /// Its process id.
    pub pid: i32,
    /// Its command line, escaped and shortened; the program's name when that is all there is.
    pub command: String,
}

/// To whom the listener on an address belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListenerOwner {
    /// To a process of the group, or a descendant of its leader.
    Ours {
        /// That process.
        pid: i32,
    },
    /// To somebody else.
    Foreign(Holder),
    /// Something listens, but the system does not tell us who: a process of another user.
    Hidden,
    /// Nobody listens.
    Nobody,
}

/// Whether `addr` is free: a bind test (as a server would bind) *and* a look at who listens, since on macOS an
/// address can be bound beside a listener on all addresses.
///
/// # Errors
/// The address cannot be bound for a reason of its own: not ours, a privileged port.
pub async fn check(addr: SocketAddr) -> io::Result<PortState> {
    let _ = addr;
    unimplemented!()
}

/// To whom the listener on `addr` belongs, for a caller that runs the group of `leader`.
///
/// # Errors
/// The list of listeners could not be had.
pub async fn listener_owner(addr: SocketAddr, leader: &Identity) -> io::Result<ListenerOwner> {
    let _ = (addr, leader);
    unimplemented!()
}

/// A port on `host` that was free a moment ago.
///
/// # Errors
/// `host` is not an address of this machine, or no port is left.
pub fn free_port(host: IpAddr) -> io::Result<u16> {
    Ok(std::net::TcpListener::bind((host, 0))?.local_addr()?.port())
}
