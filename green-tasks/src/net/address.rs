//! Where to connect to: an address, or a name that has to be looked up.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};

use future_result::FutureResult;

use crate::offload::unblock;
use crate::scheduler::current;

/// What [`TcpStream::connect`](super::TcpStream::connect) connects to: a [`SocketAddr`], a text like
/// `"example.org:443"`, or a host and a port.
///
/// The system's way to look up a name blocks the thread, so that
/// is done [elsewhere](crate::unblock). A numeric address needs no look-up.
pub trait Address: sealed::Resolve {}

impl<A: sealed::Resolve> Address for A {}

mod sealed {
    use super::{SocketAddr, io};

    pub trait Resolve {
        fn resolve(self) -> io::Result<Vec<SocketAddr>>;
    }
}

impl sealed::Resolve for SocketAddr {
    fn resolve(self) -> io::Result<Vec<SocketAddr>> {
        Ok(vec![self])
    }
}

impl sealed::Resolve for (IpAddr, u16) {
    fn resolve(self) -> io::Result<Vec<SocketAddr>> {
        Ok(vec![self.into()])
    }
}

impl sealed::Resolve for &str {
    fn resolve(self) -> io::Result<Vec<SocketAddr>> {
        match self.parse() {
            Ok(address) => Ok(vec![address]),
            Err(_) => look_up(self.to_owned()),
        }
    }
}

impl sealed::Resolve for String {
    fn resolve(self) -> io::Result<Vec<SocketAddr>> {
        self.as_str().resolve()
    }
}

impl sealed::Resolve for (&str, u16) {
    fn resolve(self) -> io::Result<Vec<SocketAddr>> {
        let (host, port) = self;
        match host.parse::<IpAddr>() {
            Ok(host) => Ok(vec![(host, port).into()]),
            Err(_) => look_up((host.to_owned(), port)),
        }
    }
}

/// Outside of a runtime, where everything blocks, this does too.
fn look_up(name: impl ToSocketAddrs + Send + 'static) -> io::Result<Vec<SocketAddr>> {
    let look_up = move || name.to_socket_addrs().map(Iterator::collect);
    if current::get().is_none() {
        return look_up();
    }
    match unblock(look_up).cancel_on_drop().result() {
        Ok(addresses) => addresses,
        Err(error) => Err(io::Error::other(error)),
    }
}
