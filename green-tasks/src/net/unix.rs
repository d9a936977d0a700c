//! Sockets between processes of one machine.

use std::fmt;
use std::io::{self, Read, Write};
use std::iter;
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::{self, SocketAddr};
use std::panic::Location;
use std::path::Path;
use std::time::Duration;

use super::io::{Io, check_limit, insist};
use super::polled::sealed::AsIo;

/// A socket that accepts connections, as [`std::os::unix::net::UnixListener`].
///
/// # Examples
///
/// ```
/// use std::io::{Read, Write};
/// use green_tasks::net::{UnixListener, UnixStream};
/// use green_tasks::{spawn, FutureResult, Runtime, Stackful};
///
/// // SAFETY: nothing that these tasks call is on the list of `Stackful::assume`.
/// let token = unsafe { Stackful::assume() };
/// let path = std::env::temp_dir().join(format!("listener-{}", std::process::id()));
/// let text = Runtime::builder().stackful(token).build()?.run(|| {
///     let listener = UnixListener::bind(&path)?;
///     let server = spawn(move || {
///         for stream in listener.incoming().take(1) {
///             stream?.write_all(b"hello")?;
///         }
///         Ok::<_, std::io::Error>(())
///     });
///     let mut text = String::new();
///     UnixStream::connect(&path)?.read_to_string(&mut text)?;
///     server.result().unwrap()?;
///     Ok::<_, std::io::Error>(text)
/// })??;
/// std::fs::remove_file(&path)?;
/// assert_eq!(text, "hello");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct UnixListener(Io<net::UnixListener>);

impl UnixListener {
    /// Listens at a path.
    ///
    /// # Errors
    ///
    /// As in std.
    pub fn bind(path: impl AsRef<Path>) -> io::Result<Self> {
        Self::from_std(net::UnixListener::bind(path)?)
    }

    /// Wraps a socket of std.
    ///
    /// # Errors
    ///
    /// If it cannot be made non-blocking.
    pub fn from_std(socket: net::UnixListener) -> io::Result<Self> {
        Ok(Self(Io::listening(socket)?))
    }

    /// Another handle to the same listener, say to accept connections on several threads: each connection
    /// goes to one of them.
    ///
    /// # Errors
    ///
    /// As in std.
    pub fn try_clone(&self) -> io::Result<Self> {
        Self::from_std(self.0.socket().try_clone()?)
    }

    /// Waits for a connection.
    ///
    /// # Errors
    ///
    /// As of [`TcpListener::accept`](super::TcpListener::accept).
    #[track_caller]
    pub fn accept(&self) -> io::Result<(UnixStream, SocketAddr)> {
        let accept = net::UnixListener::accept;
        let (socket, address) = self.0.accept(Location::caller(), accept)?;
        Ok((UnixStream::from_std(socket)?, address))
    }

    /// Accepts one connection after another, without end. An error ends only that [`accept`](Self::accept): the next may
    /// succeed.
    pub fn incoming(&self) -> impl Iterator<Item = io::Result<UnixStream>> + '_ {
        iter::repeat_with(|| self.accept().map(|(stream, _)| stream))
    }

    /// Where it listens.
    ///
    /// # Errors
    ///
    /// As in std.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.socket().local_addr()
    }

    /// Returns the std socket, which blocks again, as do its clones.
    ///
    /// # Errors
    ///
    /// If it cannot be made blocking.
    pub fn into_std(self) -> io::Result<net::UnixListener> {
        self.0.into_inner()
    }
}

/// A connection, as [`std::os::unix::net::UnixStream`].
///
/// # Examples
///
/// ```
/// use std::io::{Read, Write};
/// use green_tasks::net::UnixStream;
/// use green_tasks::{spawn, FutureResult, Runtime, Stackful};
///
/// // SAFETY: nothing that these tasks call is on the list of `Stackful::assume`.
/// let token = unsafe { Stackful::assume() };
/// let text = Runtime::builder().stackful(token).build()?.run(|| {
///     let (mut here, mut there) = UnixStream::pair()?;
///     let writing = spawn(move || there.write_all(b"hello"));
///     let mut text = String::new();
///     here.read_to_string(&mut text)?;
///     writing.result().unwrap()?;
///     Ok::<_, std::io::Error>(text)
/// })??;
/// assert_eq!(text, "hello");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct UnixStream(Io<net::UnixStream>);

impl UnixStream {
    /// Connects to the listener at a path. If its backlog is full, this tries again from time to time: the system does
    /// not tell when there is room.
    ///
    /// # Errors
    ///
    /// As in std.
    ///
    /// # Cancel safety
    ///
    /// If the task is cancelled while it waits, the socket is closed.
    #[track_caller]
    pub fn connect(path: impl AsRef<Path>) -> io::Result<Self> {
        use rustix::net::{AddressFamily, SocketAddrUnix, SocketType};

        let socket = super::io::new_socket(AddressFamily::UNIX, SocketType::STREAM)?;
        let stream = Self::from_std(socket.into())?;
        let address = SocketAddrUnix::new(path.as_ref())?;
        insist(|| Ok(rustix::net::connect(stream.0.socket(), &address)?))?;
        Ok(stream)
    }

    /// A pair, connected to each other.
    ///
    /// # Errors
    ///
    /// As in std.
    pub fn pair() -> io::Result<(Self, Self)> {
        let (one, other) = net::UnixStream::pair()?;
        Ok((Self::from_std(one)?, Self::from_std(other)?))
    }

    /// Wraps a socket of std.
    ///
    /// # Errors
    ///
    /// If it cannot be made non-blocking.
    pub fn from_std(socket: net::UnixStream) -> io::Result<Self> {
        Ok(Self(Io::new(socket)?))
    }

    /// Returns the std socket, which blocks again, as do its clones.
    ///
    /// # Errors
    ///
    /// If it cannot be made blocking.
    pub fn into_std(self) -> io::Result<net::UnixStream> {
        self.0.into_inner()
    }

    /// Another handle to the same connection, say to read and write in two tasks. (A reference reads
    /// and writes as well.) It begins with the same time limits.
    ///
    /// # Errors
    ///
    /// As in std.
    pub fn try_clone(&self) -> io::Result<Self> {
        let clone = Self::from_std(self.0.socket().try_clone()?)?;
        clone.0.read_limit.set(self.0.read_limit.get());
        clone.0.write_limit.set(self.0.write_limit.get());
        Ok(clone)
    }

    /// This end of the connection.
    ///
    /// # Errors
    ///
    /// As in std.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.socket().local_addr()
    }

    /// The other end.
    ///
    /// # Errors
    ///
    /// As in std.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.0.socket().peer_addr()
    }

    /// Shuts down one or both directions.
    ///
    /// # Errors
    ///
    /// As in std.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.0.socket().shutdown(how)
    }

    /// How long a read may wait; see
    /// [`TcpStream::set_read_timeout`](super::TcpStream::set_read_timeout).
    ///
    /// # Errors
    ///
    /// If the limit is zero.
    pub fn set_read_timeout(&self, limit: Option<Duration>) -> io::Result<()> {
        self.0.read_limit.set(check_limit(limit)?);
        Ok(())
    }

    /// How long a write may wait, likewise.
    ///
    /// # Errors
    ///
    /// If the limit is zero.
    pub fn set_write_timeout(&self, limit: Option<Duration>) -> io::Result<()> {
        self.0.write_limit.set(check_limit(limit)?);
        Ok(())
    }
}

impl Read for &UnixStream {
    #[track_caller]
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0
            .read(Location::caller(), |mut socket| socket.read(buffer))
    }
}

impl Write for &UnixStream {
    #[track_caller]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0
            .write(Location::caller(), |mut socket| socket.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for UnixStream {
    #[track_caller]
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (&*self).read(buffer)
    }
}

impl Write for UnixStream {
    #[track_caller]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (&*self).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A socket for datagrams, as [`std::os::unix::net::UnixDatagram`].
///
/// # Examples
///
/// ```
/// use green_tasks::net::UnixDatagram;
/// use green_tasks::{spawn, FutureResult, Runtime, Stackful};
///
/// // SAFETY: nothing that these tasks call is on the list of `Stackful::assume`.
/// let token = unsafe { Stackful::assume() };
/// Runtime::builder().stackful(token).build()?.run(|| {
///     let (here, there) = UnixDatagram::pair()?;
///     let sending = spawn(move || there.send(b"hello"));
///     let mut buffer = [0; 16];
///     let len = here.recv(&mut buffer)?;
///     assert_eq!(&buffer[..len], b"hello");
///     sending.result().unwrap()?;
///     Ok::<_, std::io::Error>(())
/// })??;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct UnixDatagram(Io<net::UnixDatagram>);

impl UnixDatagram {
    /// A socket at a path.
    ///
    /// # Errors
    ///
    /// As in std.
    pub fn bind(path: impl AsRef<Path>) -> io::Result<Self> {
        Self::from_std(net::UnixDatagram::bind(path)?)
    }

    /// A socket without a path: it can send, and nobody can answer.
    ///
    /// # Errors
    ///
    /// As in std.
    pub fn unbound() -> io::Result<Self> {
        Self::from_std(net::UnixDatagram::unbound()?)
    }

    /// A pair, connected to each other.
    ///
    /// # Errors
    ///
    /// As in std.
    pub fn pair() -> io::Result<(Self, Self)> {
        let (one, other) = net::UnixDatagram::pair()?;
        Ok((Self::from_std(one)?, Self::from_std(other)?))
    }

    /// Wraps a socket of std.
    ///
    /// # Errors
    ///
    /// If it cannot be made non-blocking.
    pub fn from_std(socket: net::UnixDatagram) -> io::Result<Self> {
        Ok(Self(Io::unaware_of_room(socket)?))
    }

    /// Returns the std socket, which blocks again, as do its clones.
    ///
    /// # Errors
    ///
    /// If it cannot be made blocking.
    pub fn into_std(self) -> io::Result<net::UnixDatagram> {
        self.0.into_inner()
    }

    /// Another handle to the same socket, say to send and receive in two tasks. It begins with the same
    /// time limit.
    ///
    /// # Errors
    ///
    /// As in std.
    pub fn try_clone(&self) -> io::Result<Self> {
        let clone = Self::from_std(self.0.socket().try_clone()?)?;
        clone.0.read_limit.set(self.0.read_limit.get());
        Ok(clone)
    }

    /// Sends to the socket at this path by [`send`](Self::send), and receives from nobody else.
    ///
    /// # Errors
    ///
    /// As in std.
    pub fn connect(&self, path: impl AsRef<Path>) -> io::Result<()> {
        self.0.socket().connect(path)
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

    /// Sends a datagram. If the receiver's queue is full, this tries again from time to time: only connected
    /// sockets are told by the system when there is room.
    ///
    /// # Errors
    ///
    /// As in std.
    #[track_caller]
    pub fn send_to(&self, bytes: &[u8], path: impl AsRef<Path>) -> io::Result<usize> {
        let path = path.as_ref();
        insist(|| self.0.socket().send_to(bytes, path))
    }

    /// Waits for a datagram.
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
}

impl AsIo for UnixListener {
    type Socket = net::UnixListener;

    fn io(&self) -> &Io<net::UnixListener> {
        &self.0
    }
}

impl AsIo for UnixStream {
    type Socket = net::UnixStream;

    fn io(&self) -> &Io<net::UnixStream> {
        &self.0
    }
}

impl AsIo for UnixDatagram {
    type Socket = net::UnixDatagram;

    fn io(&self) -> &Io<net::UnixDatagram> {
        &self.0
    }
}

impl AsFd for UnixStream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.socket().as_fd()
    }
}

impl AsFd for UnixListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.socket().as_fd()
    }
}

impl fmt::Debug for UnixListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.socket().fmt(f)
    }
}

impl fmt::Debug for UnixStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.socket().fmt(f)
    }
}

impl AsFd for UnixDatagram {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.socket().as_fd()
    }
}

impl fmt::Debug for UnixDatagram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.socket().fmt(f)
    }
}
