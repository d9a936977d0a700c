//! Sockets as async code uses them: try, and be woken when it is worth trying again.

use std::io;
use std::os::fd::AsFd;
use std::task::{Context, Poll};

use self::sealed::AsIo;
use crate::reactor::Interest;

/// The sockets of this module, for async code on a runtime: in [`spawn_future`](crate::spawn_future),
/// [`await_future`](crate::await_future) and [`Runtime::block_on`](crate::Runtime::block_on).
///
/// It is for building adapters. For streams and listeners there is one: `Green` in
/// `futures-lite-bridge`, which is an `AsyncRead` and `AsyncWrite`, or a `Stream` of connections.
///
/// After [`Poll::Pending`] the waker is woken when it is worth trying again: only the last waker that
/// polled for reading, and the last one for writing, on the thread on which the
/// socket was last polled. After a few dozen uses that did not have to wait, the other tasks have a turn. A
/// socket's time limits are for calls that wait, not for these; use [`sleep_async`](crate::sleep_async).
///
/// The runtime needs its turns: blocking the thread meanwhile, such as with another library's
/// `block_on`, keeps it from looking at the socket.
///
/// # Errors
///
/// Those of the operation. Outside of a runtime, an error of kind [`Other`](io::ErrorKind::Other).
///
/// # Cancel safety
///
/// While it is pending, nothing has been done. If nobody polls again, the last waker may still be woken once;
/// until then, or until the socket is closed, the runtime assumes that somebody waits for the socket,
/// and finds no [deadlock](crate::Deadlock).
///
/// # Examples
///
/// ```
/// use std::future::poll_fn;
/// use green_tasks::net::{Polled, UdpSocket};
/// use green_tasks::{spawn_future, Runtime};
///
/// Runtime::new().block_on(async {
///     let (here, there) = (UdpSocket::bind("127.0.0.1:0")?, UdpSocket::bind("127.0.0.1:0")?);
///     let address = here.local_addr()?;
///     let receiving = spawn_future(async move {
///         let mut buffer = [0; 16];
///         let (bytes, _from) = poll_fn(|context| {
///             here.poll_read_with(context, |socket| socket.recv_from(&mut buffer))
///         })
///         .await?;
///         Ok::<_, std::io::Error>(buffer[..bytes].to_vec())
///     });
///     poll_fn(|context| {
///         there.poll_write_with(context, |socket| socket.send_to(b"hello", address))
///     })
///     .await?;
///     assert_eq!(receiving.await.unwrap()?, b"hello");
///     Ok::<_, std::io::Error>(())
/// })??;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Polled: AsIo {
    /// Does something for which the socket must be readable, with the nonblocking socket of std;
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) becomes pending. So, for 5 ms, does a listener's lack of
    /// descriptors or memory; then it tries once more, and reports the error.
    fn poll_read_with<R>(
        &self,
        context: &mut Context<'_>,
        operation: impl FnMut(&Self::Socket) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        self.io().poll(Interest::Read, context, operation)
    }

    /// Does something for which the socket must be writable, likewise. If that is to send a datagram to a path with
    /// a full queue, it is woken every millisecond, since the system does not report when there is room.
    fn poll_write_with<R>(
        &self,
        context: &mut Context<'_>,
        operation: impl FnMut(&Self::Socket) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        self.io().poll(Interest::Write, context, operation)
    }
}

impl<S: AsIo> Polled for S {}

pub(super) mod sealed {
    use super::AsFd;
    use crate::net::io::Io;

    pub trait AsIo {
        /// The nonblocking socket of std.
        type Socket: AsFd;

        #[doc(hidden)]
        fn io(&self) -> &Io<Self::Socket>;
    }
}
