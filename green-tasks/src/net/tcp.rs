//! TCP.

use std::fmt;
use std::future::poll_fn;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::net::{self, Shutdown, SocketAddr, ToSocketAddrs};
use std::os::fd::{AsFd, BorrowedFd};
use std::panic::Location;
use std::time::Duration;

use rustix::net::{AddressFamily, SocketType, sockopt};

use super::address::Address;
use super::io::{Io, check_limit, new_socket};
use super::polled::{Polled, sealed::AsIo};

/// A socket that accepts connections, as [`std::net::TcpListener`].
///
/// # Examples
///
/// ```
/// use std::io::{Read, Write};
/// use green_tasks::net::{TcpListener, TcpStream};
/// use green_tasks::{spawn, FutureResult, Runtime, Stackful};
///
/// // SAFETY: nothing that these tasks call is on the list of `Stackful::assume`.
/// let token = unsafe { Stackful::assume() };
/// let echoed = Runtime::builder().stackful(token).build()?.run(|| {
///     let listener = TcpListener::bind("127.0.0.1:0")?;
///     let address = listener.local_addr()?;
///     let server = spawn(move || {
///         let (mut stream, _) = listener.accept()?;
///         let mut buffer = [0; 5];
///         stream.read_exact(&mut buffer)?;
///         stream.write_all(&buffer)
///     });
///     let mut stream = TcpStream::connect(address)?;
///     stream.write_all(b"hello")?;
///     let mut echoed = String::new();
///     stream.read_to_string(&mut echoed)?;
///     server.result().unwrap()?;
///     Ok::<_, std::io::Error>(echoed)
/// })??;
/// assert_eq!(echoed, "hello");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct TcpListener(Io<net::TcpListener>);

impl TcpListener {
    /// Listens at an address. Resolving a name blocks the thread; a numeric address does not.
    ///
    /// # Errors
    ///
    /// As in std.
    pub fn bind(address: impl ToSocketAddrs) -> io::Result<Self> {
        Self::from_std(net::TcpListener::bind(address)?)
    }

    /// Wraps a socket of std.
    ///
    /// # Errors
    ///
    /// If it cannot be made non-blocking.
    pub fn from_std(socket: net::TcpListener) -> io::Result<Self> {
        Ok(Self(Io::listening(socket)?))
    }

    /// Returns the std socket, which blocks again, as do its clones.
    ///
    /// # Errors
    ///
    /// If it cannot be made blocking.
    pub fn into_std(self) -> io::Result<net::TcpListener> {
        self.0.into_inner()
    }

    /// Waits for a connection.
    ///
    /// # Errors
    ///
    /// As in std; mostly, that there are too many open files. The connection keeps waiting then, so the
    /// task sleeps for 5 ms and tries once more before the call fails: a loop that just tries again takes no
    /// time from other tasks, which may close some.
    #[track_caller]
    pub fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let accept = net::TcpListener::accept;
        let (socket, address) = self.0.accept(Location::caller(), accept)?;
        Ok((TcpStream::from_std(socket)?, address))
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

    /// Accepts one connection after another, without end. An error ends only that [`accept`](Self::accept): the next may
    /// succeed.
    pub fn incoming(&self) -> Incoming<'_> {
        Incoming { listener: self }
    }

    /// Where it listens.
    ///
    /// # Errors
    ///
    /// As in std.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.socket().local_addr()
    }
}

/// The connections of a [`TcpListener`].
#[derive(Debug)]
#[must_use = "iterators are lazy: nothing is accepted before the first `next`"]
pub struct Incoming<'a> {
    listener: &'a TcpListener,
}

impl Iterator for Incoming<'_> {
    type Item = io::Result<TcpStream>;

    fn next(&mut self) -> Option<io::Result<TcpStream>> {
        Some(self.listener.accept().map(|(stream, _)| stream))
    }
}

/// A connection, as [`std::net::TcpStream`].
///
/// # Examples
///
/// See [`TcpListener`].
pub struct TcpStream(Io<net::TcpStream>);

impl TcpStream {
    /// Connects. If a name has several addresses, they are tried one after another.
    ///
    /// A name is looked up where [blocking calls](crate::unblock) are made, so other tasks go on
    /// meanwhile.
    ///
    /// # Errors
    ///
    /// As in std; of several addresses, the error of the last.
    ///
    /// # Cancel safety
    ///
    /// If the task is cancelled while it waits, the socket is closed, and the result of a name look-up is
    /// ignored.
    ///
    /// # Examples
    ///
    /// ```
    /// use green_tasks::net::{TcpListener, TcpStream};
    /// use green_tasks::Runtime;
    ///
    /// Runtime::new().run(|| {
    ///     let listener = TcpListener::bind("127.0.0.1:0")?;
    ///     let port = listener.local_addr()?.port();
    ///     let stream = TcpStream::connect(("localhost", port))?;
    ///     assert_eq!(stream.peer_addr()?.port(), port);
    ///     Ok::<_, std::io::Error>(())
    /// })??;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn connect(address: impl Address) -> io::Result<Self> {
        let at = Location::caller();
        let mut last = None;
        for address in address.resolve()? {
            match Self::connect_to(address, at) {
                Ok(stream) => return Ok(stream),
                Err(error) => last = Some(error),
            }
        }
        Err(last
            .unwrap_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the name has no address")))
    }

    fn connect_to(address: SocketAddr, at: &'static Location<'static>) -> io::Result<Self> {
        let (stream, is_connected) = Self::begin_to_connect(address)?;
        if !is_connected {
            stream.0.wait_writable(at)?;
            sockopt::socket_error(stream.0.socket())??;
        }
        Ok(stream)
    }

    /// Like [`connect`](Self::connect), for async code on a runtime. It takes one address, not a name to look
    /// up.
    ///
    /// # Errors
    ///
    /// As in std; outside of a runtime, one of kind [`Other`](io::ErrorKind::Other).
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the socket is closed.
    ///
    /// # Examples
    ///
    /// ```
    /// use green_tasks::net::{TcpListener, TcpStream};
    /// use green_tasks::Runtime;
    ///
    /// Runtime::new().block_on(async {
    ///     let listener = TcpListener::bind("127.0.0.1:0")?;
    ///     let address = listener.local_addr()?;
    ///     let stream = TcpStream::connect_async(address).await?;
    ///     assert_eq!(stream.peer_addr()?, address);
    ///     Ok::<_, std::io::Error>(())
    /// })??;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn connect_async(address: SocketAddr) -> io::Result<Self> {
        let (stream, _) = Self::begin_to_connect(address)?;
        let is_connected = |socket: &net::TcpStream| {
            sockopt::socket_error(socket)??;
            match socket.peer_addr() {
                Err(error) if error.kind() == io::ErrorKind::NotConnected => {
                    Err(io::ErrorKind::WouldBlock.into())
                }
                peer => peer.map(|_| ()),
            }
        };
        poll_fn(|context| stream.poll_write_with(context, is_connected)).await?;
        Ok(stream)
    }

    /// A connecting socket, and whether it is connected already.
    fn begin_to_connect(address: SocketAddr) -> io::Result<(Self, bool)> {
        let family = match address {
            SocketAddr::V4(_) => AddressFamily::INET,
            SocketAddr::V6(_) => AddressFamily::INET6,
        };
        let socket = new_socket(family, SocketType::STREAM)?;
        let stream = Self::from_std(socket.into())?;
        match rustix::net::connect(stream.0.socket(), &address) {
            Ok(()) => Ok((stream, true)),
            // After a signal, connecting also goes on by itself.
            Err(rustix::io::Errno::INPROGRESS | rustix::io::Errno::INTR) => Ok((stream, false)),
            Err(error) => Err(error.into()),
        }
    }

    /// Wraps a socket of std.
    ///
    /// # Errors
    ///
    /// If it cannot be made non-blocking.
    pub fn from_std(socket: net::TcpStream) -> io::Result<Self> {
        Ok(Self(Io::new(socket)?))
    }

    /// Returns the std socket, which blocks again, as do its clones.
    ///
    /// # Errors
    ///
    /// If it cannot be made blocking.
    pub fn into_std(self) -> io::Result<net::TcpStream> {
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

    /// Shuts down one or both directions.
    ///
    /// # Errors
    ///
    /// As in std.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.0.socket().shutdown(how)
    }

    /// Whether small writes are sent at once.
    ///
    /// # Errors
    ///
    /// As in std.
    pub fn set_nodelay(&self, is_on: bool) -> io::Result<()> {
        self.0.socket().set_nodelay(is_on)
    }

    /// How long a read may wait; `None` is without limit. A read that takes longer ends with
    /// [`TimedOut`](io::ErrorKind::TimedOut).
    ///
    /// # Errors
    ///
    /// If the limit is zero.
    pub fn set_read_timeout(&self, limit: Option<Duration>) -> io::Result<()> {
        self.0.read_limit.set(check_limit(limit)?);
        Ok(())
    }

    /// How long a write may wait, as with [`set_read_timeout`](Self::set_read_timeout).
    ///
    /// # Errors
    ///
    /// If the limit is zero.
    pub fn set_write_timeout(&self, limit: Option<Duration>) -> io::Result<()> {
        self.0.write_limit.set(check_limit(limit)?);
        Ok(())
    }

    /// Waits for bytes and leaves them where they are.
    ///
    /// # Errors
    ///
    /// As in std.
    #[track_caller]
    pub fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0
            .read(Location::caller(), |socket| socket.peek(buffer))
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
}

impl Read for &TcpStream {
    #[track_caller]
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = buffer.len();
        self.0
            .read_tcp(Location::caller(), len, |mut socket| socket.read(buffer))
    }

    #[track_caller]
    fn read_vectored(&mut self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        let len = buffers.iter().map(|buffer| buffer.len()).sum();
        self.0.read_tcp(Location::caller(), len, |mut socket| {
            socket.read_vectored(buffers)
        })
    }
}

impl Write for &TcpStream {
    #[track_caller]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0
            .write(Location::caller(), |mut socket| socket.write(bytes))
    }

    #[track_caller]
    fn write_vectored(&mut self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.write(Location::caller(), |mut socket| {
            socket.write_vectored(buffers)
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for TcpStream {
    #[track_caller]
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (&*self).read(buffer)
    }

    #[track_caller]
    fn read_vectored(&mut self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        (&*self).read_vectored(buffers)
    }
}

impl Write for TcpStream {
    #[track_caller]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (&*self).write(bytes)
    }

    #[track_caller]
    fn write_vectored(&mut self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        (&*self).write_vectored(buffers)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsIo for TcpListener {
    type Socket = net::TcpListener;

    fn io(&self) -> &Io<net::TcpListener> {
        &self.0
    }
}

impl AsIo for TcpStream {
    type Socket = net::TcpStream;

    fn io(&self) -> &Io<net::TcpStream> {
        &self.0
    }
}

impl AsFd for TcpStream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.socket().as_fd()
    }
}

impl AsFd for TcpListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.socket().as_fd()
    }
}

impl fmt::Debug for TcpListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.socket().fmt(f)
    }
}

impl fmt::Debug for TcpStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.socket().fmt(f)
    }
}
