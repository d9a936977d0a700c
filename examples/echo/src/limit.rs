//! The limit of this process's descriptors.

use std::io;

use rustix::process::{Resource, getrlimit, setrlimit};

/// Descriptors besides the connections: standard streams, the listener, the poller, and what they need.
const BESIDES: u64 = 32;

/// Raises the process's own limit so that it can have this many connections.
///
/// # Errors
/// If the system's limit is lower; the error says what to do.
pub fn allow(connections: usize) -> io::Result<()> {
    let needed = connections as u64 + BESIDES;
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= needed) {
        return Ok(());
    }
    if let Some(most) = limit.maximum.filter(|&most| most < needed) {
        return Err(io::Error::other(format!(
            "{connections} connections need {needed} descriptors, and this process may have {most}; \
             raise the hard limit (ulimit -Hn) or take fewer connections"
        )));
    }
    limit.current = Some(needed);
    setrlimit(Resource::Nofile, limit)?;
    Ok(())
}
