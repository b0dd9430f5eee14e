//! Who has a TCP port: nobody, our own group, or a stranger that must be left alone.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::ops::Range;

use listeners::{Listener, Protocol, SocketState};
use tokio::task::spawn_blocking;

use crate::identity::{Identity, Presence};
use crate::launch::NONCE_VARIABLE;
use crate::marks::survivor;
use crate::os;

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

/// Whether `addr` is free: a bind test (as a server would bind) and, where that is not enough, a look
/// at who listens: on macOS an address can be bound beside a listener on all addresses.
///
/// # Errors
/// The address cannot be bound for a reason of its own: not ours, a privileged port.
pub async fn check(addr: SocketAddr) -> io::Result<PortState> {
    // The bind test takes microseconds, a thread to do it on would cost more; to find who it is takes milliseconds.
    match bind_test(addr)? {
        Bindable::Yes => Ok(PortState::Free),
        Bindable::Perhaps | Bindable::No => spawn_blocking(move || check_now(addr)).await.map_err(io::Error::other)?,
    }
}

/// To whom the listener on `addr` belongs, for a caller that runs the group of `leader`.
///
/// # Errors
/// The list of listeners could not be had.
pub async fn listener_owner(addr: SocketAddr, leader: &Identity) -> io::Result<ListenerOwner> {
    let leader = leader.clone();
    spawn_blocking(move || owner_now(addr, &leader)).await.map_err(io::Error::other)?
}

/// Where nobody gets a port without asking for it by its number: below the ranges from which Linux (from 32768) and macOS
/// (from 49152) serve outgoing connections.
const QUIET: Range<u16> = 20_000..32_768;

/// So many quiet ports are tried.
const TRIES: usize = 64;

/// A port on `host` that was free a moment ago, and is likely to stay so until somebody binds it: the local end of any
/// connection on this machine can be a port that the system chose, but hardly one of these.
///
/// # Errors
/// `host` is not an address of this machine, or no port is left.
pub fn free_port(host: IpAddr) -> io::Result<u16> {
    let quiet = |_| {
        // Keyed by chance anew for each hasher, which is all that is needed here.
        let chance = RandomState::new().build_hasher().finish();
        let span = u64::from(QUIET.end - QUIET.start);
        u16::try_from(chance % span).map(|at| QUIET.start + at).ok()
    };
    match (0..TRIES).filter_map(quiet).find(|port| TcpListener::bind((host, *port)).is_ok()) {
        Some(port) => Ok(port),
        None => Ok(TcpListener::bind((host, 0))?.local_addr()?.port()),
    }
}

/// What a bind test says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bindable {
    /// Nobody listens.
    Yes,
    /// It can be bound, but perhaps beside a listener on all addresses.
    Perhaps,
    /// Somebody listens.
    No,
}

fn bind_test(addr: SocketAddr) -> io::Result<Bindable> {
    match TcpListener::bind(addr) {
        Ok(_) if cfg!(target_os = "linux") => Ok(Bindable::Yes),
        Ok(_) => Ok(Bindable::Perhaps),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Ok(Bindable::No),
        Err(error) => Err(error),
    }
}

fn check_now(addr: SocketAddr) -> io::Result<PortState> {
    // Once more: the listener may have gone since, and the one of the test, which would be in the list, has.
    match bind_test(addr)? {
        Bindable::Yes => Ok(PortState::Free),
        Bindable::Perhaps => {
            let holders = holders(addr)?;
            Ok(if holders.is_empty() { PortState::Free } else { PortState::Held { holders } })
        }
        // Who it is, is a courtesy; that somebody is there, is known.
        Bindable::No => Ok(PortState::Held { holders: holders(addr).unwrap_or_default() }),
    }
}

fn owner_now(addr: SocketAddr, leader: &Identity) -> io::Result<ListenerOwner> {
    // The first is the one with the most specific address, which is the one that gets connections.
    match holders(addr)?.into_iter().next() {
        Some(holder) if belongs(holder.pid, leader) => Ok(ListenerOwner::Ours { pid: holder.pid }),
        Some(holder) => Ok(ListenerOwner::Foreign(holder)),
        None => match TcpListener::bind(addr) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => Ok(ListenerOwner::Hidden),
            Ok(_) | Err(_) => Ok(ListenerOwner::Nobody),
        },
    }
}

/// Who listens where a client of `addr` would arrive; the most specific address first.
fn holders(addr: SocketAddr) -> io::Result<Vec<Holder>> {
    let all = listeners::get_all().map_err(|error| io::Error::other(error.to_string()))?;
    let mut here: Vec<Listener> = all.into_iter().filter(|listener| serves(listener, addr)).collect();
    here.sort_by_key(|listener| (listener.socket.ip() != addr.ip(), listener.process.pid));
    let mut holders: Vec<Holder> = Vec::new();
    for Listener { process, .. } in here {
        let pid = process.pid.cast_signed();
        if holders.iter().all(|holder| holder.pid != pid) {
            let command = survivor(pid).command;
            holders.push(Holder { pid, command: if command.is_empty() { process.name } else { command } });
        }
    }
    Ok(holders)
}

fn serves(listener: &Listener, addr: SocketAddr) -> bool {
    let (theirs, ours) = (listener.socket.ip().to_canonical(), addr.ip().to_canonical());
    listener.protocol == Protocol::TCP
        && listener.state == SocketState::Listen
        && listener.socket.port() == addr.port()
        && (theirs == ours || theirs.is_unspecified() || ours.is_unspecified())
}

/// Whether a process is in the group, descends from the leader, or bears the mark of its life: the same
/// processes that would be ended with it.
fn belongs(pid: i32, leader: &Identity) -> bool {
    /// Deeper than any real tree of processes; a guard against a table that changes under us.
    const DEEPEST: usize = 64;
    if leader.presence() == Presence::Reused {
        return false;
    }
    let mut ancestors = std::iter::successors(os::entry(pid), |entry| os::entry(entry.ppid)).take(DEEPEST);
    if ancestors.any(|entry| entry.pgid == leader.pid || entry.pid == leader.pid) {
        return true;
    }
    let mark = os::variable(leader.pid, NONCE_VARIABLE);
    mark.is_some() && os::variable(pid, NONCE_VARIABLE) == mark
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    const HOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    #[tokio::test]
    async fn a_port_that_somebody_listens_on_is_held_by_name_and_free_afterwards() {
        let listener = TcpListener::bind((HOST, 0)).expect("a port");
        let addr = listener.local_addr().expect("its address");
        let PortState::Held { holders } = check(addr).await.expect("checked") else {
            panic!("it is held");
        };
        let us = nix::unistd::getpid().as_raw();
        assert!(holders.iter().any(|holder| holder.pid == us && !holder.command.is_empty()), "{holders:?}");
        let owner = listener_owner(addr, &Identity::own()).await.expect("asked");
        assert_eq!(owner, ListenerOwner::Ours { pid: us });
        drop(listener);
        // Another test may have forked meanwhile: until it executes, its child has the socket, too.
        for _ in 0..100 {
            if check(addr).await.expect("checked") == PortState::Free {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        assert_eq!(listener_owner(addr, &Identity::own()).await.expect("asked"), ListenerOwner::Nobody);
    }

    #[test]
    fn a_free_port_is_none_that_an_outgoing_connection_could_take() {
        let ports: std::collections::BTreeSet<_> = (0..8).map(|_| free_port(HOST).expect("one")).collect();
        assert!(ports.iter().all(|port| QUIET.contains(port)), "{ports:?}");
        assert!(ports.len() > 1, "two launches at once must not get the same: {ports:?}");
    }

    #[tokio::test]
    async fn a_listener_on_all_addresses_holds_each_of_them() {
        let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).expect("a port");
        let port = listener.local_addr().expect("its address").port();
        let state = check(SocketAddr::new(HOST, port)).await.expect("checked");
        assert!(matches!(state, PortState::Held { .. }), "{state:?}");
    }

    #[tokio::test]
    async fn an_address_that_is_not_ours_is_an_error_and_not_a_conflict() {
        assert!(check("192.0.2.1:80".parse().expect("an address")).await.is_err());
        assert_ne!(free_port(HOST).expect("a port"), 0);
    }
}
