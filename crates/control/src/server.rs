//! The answering end: an address, and who answers there.

use std::future::Future;
use std::io;
use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpSocket};

use crate::{Limits, Operator, Token, front, routes};

/// So much of an answer is with the system at once, for each caller.
const SEND_BUFFER: u32 = 128 << 10;

/// So many callers may wait to be accepted.
const BACKLOG: u32 = 1024;

/// A control plane that has its address and does not answer yet.
#[derive(Debug)]
pub struct Bound {
    listener: TcpListener,
    address: SocketAddr,
    limits: Limits,
}

/// Why the control plane could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Its address cannot be had.
    #[error("the control plane cannot listen on {address}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
}

/// Takes `address` for the control plane; port 0 means any free one.
///
/// # Errors
/// When the address cannot be had.
pub async fn bind(address: SocketAddr) -> Result<Bound, ServeError> {
    let wrap = |source| ServeError::Bind { address, source };
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }.map_err(wrap)?;
    socket.set_reuseaddr(true).map_err(wrap)?;
    // Connections inherit it. The system would let it grow to megabytes for each caller that does not read.
    socket.set_send_buffer_size(SEND_BUFFER).map_err(wrap)?;
    socket.bind(address).map_err(wrap)?;
    let listener = socket.listen(BACKLOG).map_err(wrap)?;
    let address = listener.local_addr().map_err(wrap)?;
    Ok(Bound { listener, address, limits: Limits::default() })
}

// === impl Bound ===

impl Bound {
    /// The address that was taken.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets callers take up other amounts of mlx-tree than by default.
    #[must_use]
    pub const fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Answers requests for `operator` until `stop` resolves; open answers are then given up.
    pub async fn serve<O: Operator>(self, operator: O, token: Token, stop: impl Future<Output = ()> + Send) {
        let router = routes::router(operator, token.clone(), self.address, &self.limits);
        tokio::select! {
            () = front::run(self.listener, router, token, self.limits) => {}
            () = stop => {}
        }
    }
}
