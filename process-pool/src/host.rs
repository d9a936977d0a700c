//! The system as it is: starts real processes and waits for them.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::buffer::spare_capacity;

use crate::child::{self, Child, Plan};
use crate::sys::{Event, EventFd, Interest, Poller};
use crate::system::System;
use crate::token::{self, Source};

#[derive(Debug)]
pub(crate) struct Host {
    poller: Poller,
    plan: Plan,
}

impl Host {
    /// With the bell that ends its wait.
    ///
    /// # Errors
    ///
    /// If there are no descriptors left.
    pub(crate) fn new(plan: Plan) -> io::Result<(Self, EventFd)> {
        let (poller, bell) = (Poller::new()?, EventFd::new()?);
        poller.add(bell.fd(), token::NOTIFIER, Interest::Read)?;
        Ok((Self { poller, plan }, bell))
    }

    pub(crate) const fn poller(&self) -> &Poller {
        &self.poller
    }

    fn watch(&self, id: u64, child: &Child, results: &OwnedFd) -> io::Result<()> {
        let of = |source| token::new(id, source);
        self.poller
            .add(results, of(Source::Results), Interest::Read)?;
        self.poller
            .add(child.process_fd(), of(Source::Process), Interest::Read)
    }
}

impl System for Host {
    type Process = Child;
    type Results = OwnedFd;
    type Bell = EventFd;

    fn spawn(&self, id: u64) -> io::Result<(Child, OwnedFd)> {
        let (child, results) = child::spawn(&self.plan)?;
        if let Err(error) = self.watch(id, &child, &results) {
            self.poller.remove(&results);
            self.poller.remove(child.process_fd());
            child.abandon();
            return Err(error);
        }
        Ok((child, results))
    }

    fn setup(&self) -> &[u8] {
        &self.plan.setup
    }

    fn wait(&self, events: &mut Vec<Event>, limit: Option<Duration>) -> io::Result<()> {
        self.poller.wait(events, limit)
    }

    fn read(&self, results: &OwnedFd, room: &mut Vec<u8>) -> io::Result<usize> {
        Ok(rustix::io::read(results, spare_capacity(room))?)
    }

    fn unwatch_results(&self, results: &OwnedFd) {
        self.poller.remove(results);
    }
}
