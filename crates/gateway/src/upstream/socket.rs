//! The socket of a connection to a server on this machine, and how it is made without waiting for the runtime.
//!
//! On the loopback interface a connection is there when `connect` returns, though it says "in progress", and it takes a request
//! at once. Whoever waits for the runtime to say so waits for two turns of its loop, and for a timer, which wakes the loop once
//! more. So both are tried first; if it is not as we think, it is waited for as ever.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use rustix::io::Errno;
use socket2::{Domain, SockRef, Type};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::ConnectError;

/// A connected socket.
#[derive(Debug)]
pub(super) struct Socket {
    stream: TcpStream,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing was written, so there is room, whether the runtime knows it or not.
    Fresh,
    Used,
}

// === impl Socket ===

impl Socket {
    /// Connects to `address`.
    ///
    /// # Errors
    ///
    /// It does not listen, or has not accepted within `limit`.
    pub(super) async fn connect(address: SocketAddr, limit: Duration) -> Result<Self, ConnectError> {
        let (stream, begun) = begin(address).map_err(ConnectError::of)?;
        if begun == Begun::InProgress && stream.peer_addr().is_err() {
            match timeout(limit, stream.writable()).await {
                Ok(writable) => writable.map_err(ConnectError::of)?,
                Err(_) => return Err(ConnectError::TimedOut { limit }),
            }
            if let Some(error) = stream.take_error().map_err(ConnectError::of)? {
                return Err(ConnectError::of(error));
            }
        }
        Ok(Self { stream, state: State::Fresh })
    }
}

/// How far `connect` has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Begun {
    Connected,
    InProgress,
}

fn begin(address: SocketAddr) -> io::Result<(TcpStream, Begun)> {
    #[cfg(target_os = "linux")]
    let socket = socket2::Socket::new(Domain::for_address(address), Type::STREAM.nonblocking(), None)?;
    #[cfg(not(target_os = "linux"))]
    let socket = {
        let socket = socket2::Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        socket
    };
    let begun = match socket.connect(&address.into()) {
        Ok(()) => Begun::Connected,
        Err(error) if error.raw_os_error() == Some(Errno::INPROGRESS.raw_os_error()) => Begun::InProgress,
        Err(error) => return Err(error),
    };
    // Tokens are small and must not wait for each other.
    socket.set_tcp_nodelay(true)?;
    Ok((TcpStream::from_std(socket.into())?, begun))
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let socket = self.get_mut();
        if std::mem::replace(&mut socket.state, State::Used) == State::Fresh
            && let Ok(written) = SockRef::from(&socket.stream).send_vectored(bufs)
        {
            return Poll::Ready(Ok(written));
        }
        // What was wrong, if anything was, is found again here.
        Pin::new(&mut socket.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}
