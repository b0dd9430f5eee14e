//! The answering end: an address, and who answers there.

use std::future::Future;
use std::io;
use std::net::SocketAddr;

use tokio::net::TcpListener;

use crate::{Operator, Token, routes};

/// A control plane that has its address and does not answer yet.
#[derive(Debug)]
pub struct Bound {
    listener: TcpListener,
    address: SocketAddr,
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
    let listener = TcpListener::bind(address).await.map_err(wrap)?;
    let address = listener.local_addr().map_err(wrap)?;
    Ok(Bound { listener, address })
}

// === impl Bound ===

impl Bound {
    /// The address that was taken.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers requests for `operator` until `stop` resolves; open answers are then given up.
    ///
    /// # Errors
    /// When accepting connections fails for good.
    pub async fn serve<O: Operator>(
        self,
        operator: O,
        token: Token,
        stop: impl Future<Output = ()> + Send,
    ) -> io::Result<()> {
        let app = routes::router(operator, token, self.address);
        // Not axum's graceful shutdown: that waits for streams that never end by themselves.
        tokio::select! {
            served = async { axum::serve(self.listener, app).await } => served,
            () = stop => Ok(()),
        }
    }
}
