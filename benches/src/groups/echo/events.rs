//! The limit: a loop over socket events, without tasks.

use std::net::TcpStream;
use std::os::fd::OwnedFd;

use rustix::event::epoll;
use rustix::io::{Errno, read, write};

use super::{CONNECTIONS, MESSAGES, SIZE, connections};
use crate::group::{Run, timed};
use crate::pools::done;

/// One end of a connection.
struct End {
    socket: OwnedFd,
    /// How many messages it still has to send; a server's end sends back what it receives.
    left: Option<usize>,
}

pub(super) fn run() -> Run {
    let (clients, servers) = connections();
    let ends = |streams: Vec<TcpStream>, left| {
        streams.into_iter().map(move |stream| {
            done(stream.set_nonblocking(true));
            let socket = stream.into();
            End { socket, left }
        })
    };
    let mut ends: Vec<_> = ends(clients, Some(MESSAGES))
        .chain(ends(servers, None))
        .collect();
    let poller = done(epoll::create(epoll::CreateFlags::CLOEXEC));
    for (index, end) in ends.iter().enumerate() {
        let data = epoll::EventData::new_u64(index as u64);
        let flags = epoll::EventFlags::IN | epoll::EventFlags::ET;
        done(epoll::add(&poller, &end.socket, data, flags));
    }
    timed(|| {
        let mut open = CONNECTIONS;
        for end in &mut ends[..CONNECTIONS] {
            end.send(&[7; SIZE]);
        }
        let mut events = Vec::with_capacity(1024);
        while open > 0 {
            events.clear();
            done(epoll::wait(
                &poller,
                rustix::buffer::spare_capacity(&mut events),
                None,
            ));
            for event in &events {
                open -= usize::from(ends[event.data.u64() as usize].is_done());
            }
        }
    })
}

impl End {
    fn send(&mut self, message: &[u8]) {
        if let Some(left) = &mut self.left {
            *left -= 1;
        }
        assert_eq!(write(&self.socket, message), Ok(message.len()));
    }

    /// Whether that was the last message.
    fn is_done(&mut self) -> bool {
        let mut buffer = [0; 1024];
        match read(&self.socket, &mut buffer) {
            Ok(SIZE) => {}
            Err(Errno::AGAIN) => return false,
            other => panic!("a message arrived in parts: {other:?}"),
        }
        if self.left == Some(0) {
            return true;
        }
        self.send(&buffer[..SIZE]);
        false
    }
}
