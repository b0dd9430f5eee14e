//! What a service tells systemd while it runs: lines in a datagram, as `sd_notify(3)` describes them.

use std::ffi::OsStr;
use std::io;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The longest STATUS. It is one line on a screen.
const LONGEST: usize = 200;

/// One thing to tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice<'a> {
    /// The start is over.
    Ready,
    /// The end has begun.
    Stopping,
    /// How it is, in plain words.
    Status(&'a str),
    /// It lives.
    Watchdog,
    /// Starting or stopping goes on; from now on it may take so much longer.
    ExtendTimeout(Duration),
}

/// The way to the service manager. What cannot be told is lost: the service does not depend on being heard.
#[derive(Debug)]
pub struct Notifier {
    socket: UnixDatagram,
    address: SocketAddr,
    said: Mutex<String>,
}

/// Why there is no such way.
#[derive(Debug, thiserror::Error)]
pub enum NotifyError {
    /// Neither a path nor an abstract name, e.g. `vsock:…`, as virtual machines have it.
    #[error("NOTIFY_SOCKET is neither an absolute path nor an abstract name")]
    Address,
    /// The system refused.
    #[error("NOTIFY_SOCKET cannot be used")]
    Io(#[from] io::Error),
}

// === impl Notice ===

impl Notice<'_> {
    fn line(self) -> String {
        match self {
            Self::Ready => "READY=1\n".to_owned(),
            Self::Stopping => "STOPPING=1\n".to_owned(),
            Self::Watchdog => "WATCHDOG=1\n".to_owned(),
            Self::ExtendTimeout(time) => format!("EXTEND_TIMEOUT_USEC={}\n", time.as_micros()),
            // A line end would begin another assignment.
            Self::Status(text) => {
                let plain = text.chars().map(|it| if it.is_control() { ' ' } else { it });
                format!("STATUS={}\n", plain.take(LONGEST).collect::<String>())
            }
        }
    }
}

// === impl Notifier ===

impl Notifier {
    /// A way to `address`, as it stands in `NOTIFY_SOCKET`: an absolute path, or an abstract name behind an `@`. Whether
    /// anybody listens there is not looked at.
    ///
    /// # Errors
    /// [`NotifyError`] when there can be none.
    pub fn open(address: &OsStr) -> Result<Self, NotifyError> {
        let address = address_of(address)?;
        let socket = UnixDatagram::unbound()?;
        // The service must not wait for a manager that does not read.
        socket.set_nonblocking(true)?;
        Ok(Self { socket, address, said: Mutex::default() })
    }

    /// Tells all of this at once.
    ///
    /// # Errors
    /// When nobody listens, or what was told before has not been read yet.
    pub fn send(&self, notices: &[Notice<'_>]) -> io::Result<()> {
        let text: String = notices.iter().map(|notice| notice.line()).collect();
        self.socket.send_to_addr(text.as_bytes(), &self.address).map(drop)
    }

    /// Tells how it is, if that is news.
    pub fn status(&self, text: &str) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if *said != text && self.send(&[Notice::Status(text)]).is_ok() {
            text.clone_into(&mut said);
        }
    }

    /// Tells again how it is, after something else has been told in its place.
    pub fn repeat_status(&self) {
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = self.send(&[Notice::Status(&said)]);
    }
}

fn address_of(address: &OsStr) -> Result<SocketAddr, NotifyError> {
    use std::os::unix::ffi::OsStrExt as _;
    match address.as_bytes() {
        [b'/', ..] => Ok(SocketAddr::from_pathname(Path::new(address))?),
        #[cfg(target_os = "linux")]
        [b'@', name @ ..] => {
            use std::os::linux::net::SocketAddrExt as _;
            Ok(SocketAddr::from_abstract_name(name)?)
        }
        _ => Err(NotifyError::Address),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(socket: &UnixDatagram) -> String {
        let mut buffer = [0; 1024];
        let length = socket.recv(&mut buffer).expect("a datagram");
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    }

    #[test]
    fn what_is_told_is_what_sd_notify_would_send() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("notify");
        let manager = UnixDatagram::bind(&path).expect("bound");
        let notifier = Notifier::open(path.as_os_str()).expect("open");
        notifier.send(&[Notice::Ready, Notice::Status("serving")]).expect("sent");
        assert_eq!(heard(&manager), "READY=1\nSTATUS=serving\n");
        notifier.send(&[Notice::Stopping, Notice::ExtendTimeout(Duration::from_millis(1500))]).expect("sent");
        assert_eq!(heard(&manager), "STOPPING=1\nEXTEND_TIMEOUT_USEC=1500000\n");
        notifier.send(&[Notice::Watchdog]).expect("sent");
        assert_eq!(heard(&manager), "WATCHDOG=1\n");
    }

    #[test]
    fn a_status_cannot_smuggle_an_assignment_and_is_told_once() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("notify");
        let manager = UnixDatagram::bind(&path).expect("bound");
        let notifier = Notifier::open(path.as_os_str()).expect("open");
        notifier.status("down\nREADY=1\r\x1b[31m");
        notifier.status("down\nREADY=1\r\x1b[31m");
        notifier.status(&"ы".repeat(1000));
        notifier.repeat_status();
        assert_eq!(heard(&manager), "STATUS=down READY=1  [31m\n");
        let long = format!("STATUS={}\n", "ы".repeat(LONGEST));
        assert_eq!((heard(&manager), heard(&manager)), (long.clone(), long));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn an_abstract_name_is_as_good_as_a_path() {
        use std::os::linux::net::SocketAddrExt as _;
        let name = format!("mlx-tree-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).expect("a name");
        let manager = UnixDatagram::bind_addr(&address).expect("bound");
        let notifier = Notifier::open(OsStr::new(&format!("@{name}"))).expect("open");
        notifier.send(&[Notice::Watchdog]).expect("sent");
        assert_eq!(heard(&manager), "WATCHDOG=1\n");
    }

    #[test]
    fn nobody_who_listens_is_no_disaster_and_neither_is_one_who_does_not_read() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("notify");
        let notifier = Notifier::open(path.as_os_str()).expect("open");
        notifier.status("first");
        assert!(notifier.send(&[Notice::Ready]).is_err());
        let manager = UnixDatagram::bind(&path).expect("bound");
        // Until its queue is full; it does not block then.
        while notifier.send(&[Notice::Watchdog]).is_ok() {}
        assert_eq!(heard(&manager), "WATCHDOG=1\n");
        notifier.status("first");
        let all: Vec<_> = std::iter::repeat_with(|| heard(&manager)).take_while(|it| it != "STATUS=first\n").collect();
        assert!(all.iter().all(|it| it == "WATCHDOG=1\n"), "what could not be told is told when it can be");
        for other in ["relative", "vsock:2:1", ""] {
            assert!(matches!(Notifier::open(OsStr::new(other)), Err(NotifyError::Address)), "{other:?}");
        }
    }
}
