//! What the system gives a server: sockets that listen, and files.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io;
use std::net::SocketAddr;
use tokio::net::{TcpListener, TcpSocket};

/// Connections that may wait to be accepted. All clients of a Reader that ended come back at once;
/// what does not fit waits a second and more for its next attempt. Linux cuts it down to
/// `net.core.somaxconn`, 4096 by default.
const BACKLOG: u32 = 4_096;

/// Bytes that the system may keep of what one client has not been sent yet. Without it that is up
/// to several megabytes: of memory that no limit here counts, and of news that are old by the time
/// a slow client reads them, since only what waits in front of it can be replaced by newer.
#[cfg(any(target_os = "linux", target_os = "android"))]
const UNSENT: u32 = 128 * 1_024;

/// A socket that listens. What is set here holds for every connection that it accepts.
pub(super) fn listener(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = match addr {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // A server that is started again takes the place of one whose connections still end.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    #[cfg(any(target_os = "linux", target_os = "android"))]
    socket2::SockRef::from(&socket).set_tcp_notsent_lowat(UNSENT)?;
    socket.bind(addr)?;
    socket.listen(BACKLOG)
}

/// As many open files as this process may have: every client is one, and many systems begin with
/// 1,024.
pub(super) fn raise_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    if limit.current == limit.maximum {
        return;
    }
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    // macOS has a limit of its own below an unlimited maximum. Then it stays as it is.
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::debug!(%error, "the limit of open files stays as it is");
    }
}
