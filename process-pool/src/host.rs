//! The real system: starts processes and waits for them.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use future_result::sync::{Mutex, now};

use crate::child::{self, Child, Plan, Results};
use crate::forwarder::Forwarder;
use crate::nursery::Nursery;
use crate::spare::{Spare, Taken};
use crate::state::Process;
use crate::store::{self, Store};
use crate::sys::{self, Descriptor, Event, EventFd, Interest, Poller};
use crate::system::{System, Wait};
use crate::token::{self, Source};

#[derive(Debug)]
pub(crate) struct Host {
    poller: Arc<Poller>,
    plan: Arc<Plan>,
    /// The store for long parts of arguments.
    arguments: Arc<Store>,
    /// Forwards what workers print, until the pool has ended.
    forwarder: Arc<Mutex<Option<Forwarder>>>,
    /// Forks the workers, if they are forked.
    nursery: Option<Arc<Nursery>>,
    /// The worker that was forked ahead of time. Only the pool's thread uses it.
    spare: Mutex<Spare<(Child, Results)>>,
}

impl Host {
    /// Also returns the bell that ends its waits.
    ///
    /// # Errors
    ///
    /// If there are no descriptors left, no memory, or no thread.
    pub(crate) fn new(plan: Plan) -> io::Result<(Self, EventFd)> {
        let (poller, bell) = (Arc::new(Poller::new()?), EventFd::new()?);
        poller.add(bell.fd(), token::NOTIFIER, Interest::Read)?;
        let arguments = Arc::new(Store::create(store::ARGUMENTS)?);
        let plan = Arc::new(plan);
        let forwarder = Arc::new(Mutex::new(Some(Forwarder::start()?)));
        let nursery = plan.preload.as_deref().map(|setup| {
            let (plan, poller) = (Arc::clone(&plan), Arc::clone(&poller));
            Nursery::new(plan, poller, Arc::clone(&forwarder), setup).map(Arc::new)
        });
        let host = Self {
            nursery: nursery.transpose()?,
            spare: Mutex::new(Spare::new()),
            poller,
            plan,
            arguments,
            forwarder,
        };
        Ok((host, bell))
    }

    /// Has a zygote preload, if there is to be one, and waits for that.
    ///
    /// # Errors
    ///
    /// Text that says why it did not.
    pub(crate) fn preload(&self) -> Result<(), String> {
        self.nursery.as_ref().map_or(Ok(()), |it| it.preload())
    }

    pub(crate) fn poller(&self) -> &Poller {
        &self.poller
    }

    fn start(&self, id: u64) -> io::Result<(Child, Results)> {
        let source = match &self.nursery {
            Some(nursery) => child::Source::Zygote(nursery),
            None => child::Source::Program(&self.plan),
        };
        child::spawn(id, &source, &self.arguments)
    }

    /// The spare worker, if there is one and it lives.
    fn take_spare(&self) -> Option<(Child, Results)> {
        let taken = self.spare.lock().take()?;
        match taken {
            Taken::Good(spare) if !spare.0.has_ended() => Some(spare),
            Taken::Good((child, _)) | Taken::Doomed((child, _)) => {
                self.put_away(child);
                None
            }
        }
    }

    /// Ends a worker that the state never had, if it has not ended.
    fn put_away(&self, child: Child) {
        if let Some(process) = child.process_fd() {
            self.poller.remove(process);
        }
        let _unused = child.abandon();
    }

    fn watch(&self, id: u64, child: &Child, results: &Descriptor) -> io::Result<()> {
        let of = |source| token::new(id, source);
        self.poller
            .add(results, of(Source::Results), Interest::Read)?;
        if child.is_program()
            && let Some(process) = child.process_fd()
        {
            self.poller
                .add(process, of(Source::Process), Interest::Read)?;
        }
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
        let (child, results) = match self.take_spare() {
            Some(spare) => spare,
            None => self.start(id)?,
        };
        if let Err(error) = self.watch(id, &child, &results.pipe) {
            self.poller.remove(&results.pipe);
            if let Some(process) = child.process_fd() {
                self.poller.remove(process);
            }
            child.abandon();
            return Err(error);
        }
        Ok((child, results))
    }

    fn keep_spare(&self, next: Option<u64>) {
        let Some(nursery) = &self.nursery else {
            return;
        };
        let mut spare = self.spare.lock();
        if let Some(id) = next {
            if spare.has_room() && nursery.has_zygote() {
                spare.keep(id, self.start(id).ok());
            }
            return;
        }
        // If it is still expected, that would cost the zygote.
        let is_there = |(child, _): &(Child, Results)| child.process_fd().is_some();
        if let Some((child, _)) = spare.doom(is_there) {
            child.kill();
        }
    }

    fn has_spare(&self) -> bool {
        self.nursery.is_some() && self.spare.lock().is_kept()
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
        let Some(nursery) = &self.nursery else {
            return self.poller.wait(events, limit);
        };
        events.clear();
        if !nursery.tell_lost(events) {
            self.poller.wait(events, limit)?;
            nursery.attend(events);
        }
        let lost = self.spare.lock().lose(events);
        if let Some((child, _)) = lost {
            self.put_away(child);
        }
        Ok(())
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
        let spare = self.spare.lock().take();
        if let Some(Taken::Good((child, _)) | Taken::Doomed((child, _))) = spare {
            self.put_away(child);
        }
        if let Some(nursery) = &self.nursery {
            nursery.end();
        }
        // Taken out first, since its drop waits for what is still to be forwarded.
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
