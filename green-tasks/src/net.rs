//! Sockets that suspend their task where those of std block their thread.
//!
//! They have std's names, and are `Read` and `Write`, so that code which knows nothing of tasks works on
//! them: parsers, TLS, HTTP clients. Outside of a runtime they block the calling thread.
//!
//! A socket may be moved to another thread, say into a task that [`spawn`](crate::spawn) starts there; it
//! is used by one at a time. Tasks of several threads can share one by `try_clone`, for instance to
//! accept connections from one listener. After a few dozen uses that did not have to wait, the other
//! tasks have a turn.
//!
//! Async code on a runtime uses them by [`Polled`].
//!
//! # Cancel safety
//!
//! A task is only unwound while it waits, before it has read or written anything in that call. What a
//! call has transferred is always told. (`write_all` and `read_exact` are many calls.)

mod address;
mod io;
mod polled;
mod tcp;
mod udp;
mod unix;

pub use self::address::Address;
pub use self::polled::Polled;
pub use self::tcp::{Incoming, TcpListener, TcpStream};
pub use self::udp::UdpSocket;
pub use self::unix::{UnixDatagram, UnixListener, UnixStream};
