//! The system as it is: starts real processes and waits for them.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use future_result::sync::{Mutex, now};

use crate::child::{self, Child, Plan, Results};
use crate::forwarder::Forwarder;
use crate::store::{self, Store};
use crate::sys::{self, Descriptor, Event, EventFd, Interest, Poller};
use crate::system::{System, Wait};
use crate::token::{self, Source};

#[derive(Debug)]
pub(crate) struct Host {
    poller: Poller,
    plan: Plan,
    /// Where long parts of arguments go.
    arguments: Arc<Store>,
    /// Puts through what workers print, until the pool has ended.
    forwarder: Mutex<Option<Forwarder>>,
}

impl Host {
    /// With the bell that ends its wait.
    ///
    /// # Errors
    ///
    /// If there are no descriptors left, no memory, or no thread.
    pub(crate) fn new(plan: Plan) -> io::Result<(Self, EventFd)> {
        let (poller, bell) = (Poller::new()?, EventFd::new()?);
        poller.add(bell.fd(), token::NOTIFIER, Interest::Read)?;
        let host = Self {
            poller,
            plan,
            arguments: Arc::new(Store::create(store::ARGUMENTS)?),
            forwarder: Mutex::new(Some(Forwarder::start()?)),
        };
        Ok((host, bell))
    }

    pub(crate) const fn poller(&self) -> &Poller {
        &self.poller
    }

    fn watch(&self, id: u64, child: &Child, results: &Descriptor) -> io::Result<()> {
        let of = |source| token::new(id, source);
        self.poller
            .add(results, of(Source::Results), Interest::Read)?;
        self.poller
            .add(child.process_fd(), of(Source::Process), Interest::Read)?;
        match &*self.forwarder.lock() {
            Some(forwarder) => forwarder.add(id, Arc::clone(child.output())),
            None => Ok(()),
        }
    }
}

impl System for Host {
    type Process = Child;
    type Results = Results;
    type Bell = EventFd;

    fn spawn(&self, id: u64) -> io::Result<(Child, Results)> {
        let (child, results) = child::spawn(&self.plan, &self.arguments)?;
        if let Err(error) = self.watch(id, &child, &results.pipe) {
            self.poller.remove(&results.pipe);
            self.poller.remove(child.process_fd());
            child.abandon();
            return Err(error);
        }
        Ok((child, results))
    }

    fn place(&self, index: usize) -> &[u8] {
        self.plan.places.get(index).map_or(&[], Vec::as_slice)
    }

    fn setup(&self) -> &[u8] {
        &self.plan.setup
    }

    fn wait(&self, events: &mut Vec<Event>, wait: Wait) -> io::Result<()> {
        let limit = match wait {
            Wait::Look => Some(Duration::ZERO),
            Wait::Until(deadline) => deadline.map(|at| at.saturating_duration_since(now())),
        };
        self.poller.wait(events, limit)
    }

    fn read(&self, results: &Results, room: &mut Vec<u8>) -> io::Result<usize> {
        sys::read(&results.pipe, room)
    }

    fn buried(&self, id: u64) {
        if let Some(forwarder) = &*self.forwarder.lock() {
            forwarder.bury(id);
        }
    }

    fn end(&self) {
        // Taken out first: it waits for what is still to be put through.
        let forwarder = self.forwarder.lock().take();
        drop(forwarder);
    }

    fn unwatch_results(&self, results: &Results) {
        self.poller.remove(&results.pipe);
    }

    fn arguments(&self) -> &Arc<Store> {
        &self.arguments
    }

    fn values<'a>(&self, results: &'a Results) -> &'a Arc<Descriptor> {
        &results.values
    }

    fn has_read(&self, results: &Results, sequence: u64) {
        results.page.has_read(sequence);
    }
}
