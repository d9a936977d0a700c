//! UDP.

use std::fmt;
use std::io;
use std::net::{self, SocketAddr, ToSocketAddrs};
use std::os::fd::{AsFd, BorrowedFd};
use std::panic::Location;
use std::time::Duration;

use super::io::{Io, check_limit};
use super::polled::sealed::AsIo;

/// A socket for datagrams, as [`std::net::UdpSocket`].
///
/// # Examples
///
/// ```
/// use green_tasks::net::UdpSocket;
/// use green_tasks::{spawn, FutureResult, Runtime, Stackful};
///
/// // SAFETY: nothing that these tasks call is on the list of `Stackful::assume`.
/// let token = unsafe { Stackful::assume() };
/// Runtime::builder().stackful(token).build()?.run(|| {
///     let (here, there) = (UdpSocket::bind("127.0.0.1:0")?, UdpSocket::bind("127.0.0.1:0")?);
///     let address = here.local_addr()?;
///     let receiving = spawn(move || {
///         let mut buffer = [0; 16];
///         let (len, _) = here.recv_from(&mut buffer)?;
///         Ok::<_, std::io::Error>(buffer[..len].to_vec())
///     });
///     there.send_to(b"hello", address)?;
///     assert_eq!(receiving.result().unwrap()?, b"hello");
///     Ok::<_, std::io::Error>(())
/// })??;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct UdpSocket(Io<net::UdpSocket>);

impl UdpSocket {
    /// A socket with an address. Resolving a name blocks the thread; a numeric address does not.
    ///
    /// # Errors
    ///
    /// As in std.
    pub fn bind(address: impl ToSocketAddrs) -> io::Result<Self> {
        Self::from_std(net::UdpSocket::bind(address)?)
    }

    /// Wraps a socket of std.
    ///
    /// # Errors
    ///
    /// If it cannot be made non-blocking.
    pub fn from_std(socket: net::UdpSocket) -> io::Result<Self> {
        Ok(Self(Io::new(socket)?))
    }

    /// Returns the std socket, which blocks again, as do its clones.
    ///
    /// # Errors
    ///
    /// If it cannot be made blocking.
    pub fn into_std(self) -> io::Result<net::UdpSocket> {
        self.0.into_inner()
    }

    /// Another handle to the same socket, say to send and receive on two threads.
    ///
    /// # Errors
    ///
    /// As in std.
    pub fn try_clone(&self) -> io::Result<Self> {
        let clone = Self::from_std(self.0.socket().try_clone()?)?;
        clone.0.read_limit.set(self.0.read_limit.get());
        Ok(clone)
    }

    /// Sends to this address by [`send`](Self::send), and receives from nobody else.
    ///
    /// # Errors
    ///
    /// As in std.
    pub fn connect(&self, address: SocketAddr) -> io::Result<()> {
        self.0.socket().connect(address)
    }

    /// Sends a datagram to the connected address.
    ///
    /// # Errors
    ///
    /// As in std.
    #[track_caller]
    pub fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        self.0
            .write(Location::caller(), |socket| socket.send(bytes))
    }

    /// Sends a datagram.
    ///
    /// # Errors
    ///
    /// As in std.
    #[track_caller]
    pub fn send_to(&self, bytes: &[u8], address: SocketAddr) -> io::Result<usize> {
        self.0
            .write(Location::caller(), |socket| socket.send_to(bytes, address))
    }

    /// Waits for a datagram from the connected address.
    ///
    /// # Errors
    ///
    /// As in std.
    #[track_caller]
    pub fn recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0
            .read(Location::caller(), |socket| socket.recv(buffer))
    }

    /// Waits for a datagram, and returns its length and its sender.
    ///
    /// # Errors
    ///
    /// As in std.
    #[track_caller]
    pub fn recv_from(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.0
            .read(Location::caller(), |socket| socket.recv_from(buffer))
    }

    /// How long to wait for a datagram; see
    /// [`TcpStream::set_read_timeout`](super::TcpStream::set_read_timeout).
    ///
    /// # Errors
    ///
    /// If the limit is zero.
    pub fn set_read_timeout(&self, limit: Option<Duration>) -> io::Result<()> {
        self.0.read_limit.set(check_limit(limit)?);
        Ok(())
    }

    /// Its own address.
    ///
    /// # Errors
    ///
    /// As in std.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.socket().local_addr()
    }
}

impl AsIo for UdpSocket {
    type Socket = net::UdpSocket;

    fn io(&self) -> &Io<net::UdpSocket> {
        &self.0
    }
}

impl AsFd for UdpSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.socket().as_fd()
    }
}

impl fmt::Debug for UdpSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.socket().fmt(f)
    }
}
