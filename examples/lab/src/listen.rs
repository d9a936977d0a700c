//! A socket for many clients at once.

use std::io;
use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Socket, Type};

/// How many clients may wait to be accepted. std's 128 are too few when hundreds arrive at once: those turned
/// away only try again after a second.
const BACKLOG: i32 = 4096;

/// Listens at an address; port 0 means any free port. The address can be reused as soon as the program has
/// ended.
///
/// # Errors
/// The system's error, for example if the address is in use.
///
/// # Examples
///
/// ```
/// let listener = lab::listen::listen(([127, 0, 0, 1], 0).into())?;
/// assert_ne!(listener.local_addr()?.port(), 0);
/// # std::io::Result::Ok(())
/// ```
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}
