//! The simulated system. Before each request of the pool, some workers do some steps: nothing
//! that a worker does can be seen at any other moment.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::{Arc, Weak};
use std::time::Duration;

use future_result::sync::{Mutex, MutexGuard, now, pass, thread};

use super::Random;
use super::facts::{Deeds, Fact};
use super::process::Sim;
use super::worker::Worker;
use crate::claims::Claims;
use crate::core::Core;
use crate::notifier::Bell;
use crate::spare::{Spare, Taken};
use crate::store::Store;
use crate::sys::{Descriptor, Event};
use crate::system::{System, Wait};
use crate::token::{self, Source};

/// How large a store is, in bytes: for no parts, for some, or for more than any program has.
const STORES: [u64; 4] = [0, 4096, 3 * 4096, 1 << 20];

/// How likely each fault is: one in so many.
#[derive(Clone, Copy, Debug)]
pub(super) struct Faults {
    spawn: u64,
    wait: u64,
    pub(super) pipe: u64,
}

pub(super) struct Inner {
    pub(super) random: Random,
    pub(super) faults: Faults,
    pub(super) workers: BTreeMap<u64, Worker>,
    /// One of them may be a spare, here with the store of its values.
    spare: Spare<(u64, Descriptor)>,
    /// Whether the program's workers are forked at all.
    has_spares: bool,
    /// How many were made since a worker was wanted.
    spares: u32,
    pub(super) facts: Vec<Fact>,
    pub(super) deeds: Deeds,
    /// How many threads are in the middle of a call to the pool.
    pub(super) busy: u32,
    is_ringing: bool,
    sleeper: Option<thread::Thread>,
    /// How many starts in a row failed, and until when there must not be another.
    failed_starts: u32,
    pauses_until: Option<std::time::Instant>,
    core: Weak<Core<World>>,
    /// How often in a row the pool's thread was about to sleep when something was due.
    overdue: u32,
    /// The digest of all that happened.
    pub(super) digest: u64,
}

/// The system, and all that a program and its checks want to know about it.
#[derive(Clone)]
pub(crate) struct World(Arc<Shared>);

struct Shared {
    setup: Vec<u8>,
    arguments: Arc<Store>,
    /// The same store, read-only.
    readable: Arc<Descriptor>,
    inner: Mutex<Inner>,
}

/// What a simulated worker's answers come through.
#[derive(Debug)]
pub(crate) struct Results {
    id: u64,
    claims: Arc<Claims>,
    values: Arc<Descriptor>,
}

impl World {
    pub(super) fn new(seed: u64, setup: Vec<u8>) -> Self {
        let mut random = Random::new(seed.rotate_left(17));
        let faults = Faults {
            spawn: random.pick(&[0, 0, 0, 3, 10]),
            wait: random.pick(&[0, 0, 0, 0, 100]),
            pipe: random.pick(&[0, 0, 200]),
        };
        let has_spares = random.one_in(2);
        let arguments = Store::create(random.pick(&STORES)).expect("a store");
        let readable = Arc::new(arguments.read_only().expect("a descriptor"));
        let inner = Mutex::new(Inner {
            random,
            faults,
            workers: BTreeMap::new(),
            spare: Spare::new(),
            has_spares,
            spares: 0,
            facts: Vec::new(),
            deeds: Deeds::default(),
            busy: 0,
            is_ringing: false,
            sleeper: None,
            failed_starts: 0,
            pauses_until: None,
            core: Weak::new(),
            overdue: 0,
            digest: 0,
        });
        Self(Arc::new(Shared {
            setup,
            arguments: Arc::new(arguments),
            readable,
            inner,
        }))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.inner.lock()
    }

    pub(super) fn watch(&self, core: &Arc<Core<Self>>) {
        self.lock().core = Arc::downgrade(core);
    }

    /// Has some workers do some steps.
    pub(super) fn stir(&self) -> MutexGuard<'_, Inner> {
        let mut inner = self.lock();
        for _ in 0..inner.random.below(4) {
            inner.step_one();
        }
        inner
    }

    /// Checks the pool's state before its thread sleeps. Returns after what time something is due, and whether there
    /// may be a spare worker.
    fn look_after(&self) -> (Option<Duration>, bool) {
        let Some(core) = self.lock().core.upgrade() else {
            return (None, true);
        };
        let (due, may_spare) = core.with(|state, _| {
            state.check();
            (state.due(), state.may_spare())
        });
        (due.map(|at| at.saturating_duration_since(now())), may_spare)
    }

    /// Starts a new worker; returns the store of its values.
    fn start(&self, inner: &mut Inner, id: u64) -> io::Result<Descriptor> {
        let values = Store::create(inner.random.pick(&STORES))?.into_fd();
        let theirs = Store::open(values.try_clone()?)?;
        let worker = Worker::new(&mut inner.random, Arc::clone(&self.0.readable), theirs);
        let before = inner.workers.insert(id, worker);
        assert!(before.is_none(), "two workers with one number");
        Ok(values)
    }
}

impl Inner {
    /// Has a worker do a step; false if none has anything to do.
    fn step_one(&mut self) -> bool {
        let start = self.random.next();
        let count = self.workers.len() as u64;
        for offset in 0..count {
            let at = (start.wrapping_add(offset) % count) as usize;
            let Some((&id, worker)) = self.workers.iter_mut().nth(at) else {
                continue;
            };
            let was_alive = worker.exit.is_none();
            if worker.step(&mut self.random, &mut self.facts) {
                let is_dead = worker.exit.is_some();
                // The pool is not told of a spare's end.
                let counts = was_alive && is_dead && !worker.is_blameless && !worker.is_spare;
                self.deeds.failures += u32::from(counts);
                self.note(id << 1 | u64::from(is_dead));
                return true;
            }
        }
        false
    }

    pub(super) fn note(&mut self, what: u64) {
        self.digest = Random::new(self.digest ^ what).next();
    }

    pub(super) fn wake(&mut self) {
        if let Some(thread) = self.sleeper.take() {
            thread.unpark();
        }
    }

    pub(super) fn worker(&mut self, id: u64) -> &mut Worker {
        let worker = self.workers.get_mut(&id).expect("a worker that there is");
        assert!(
            !worker.is_reaped,
            "nobody may touch a process that was reaped"
        );
        worker
    }

    /// A spare worker that was never the pool's is gone.
    fn forget(&mut self, id: u64) {
        let worker = self.workers.remove(&id).expect("a worker that there is");
        assert!(worker.is_spare && worker.tasks.is_empty());
    }

    fn events(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        if self.is_ringing {
            events.push(Event(token::NOTIFIER));
        }
        for (&id, worker) in &self.workers {
            let mut tell = |source| events.push(Event(token::new(id, source)));
            if worker.watches_results && (!worker.results.is_empty() || worker.is_silent()) {
                tell(Source::Results);
            }
            if worker.watches_room && worker.room() > 0 {
                tell(Source::Tasks);
            }
            if (worker.watches_end || worker.is_spare) && worker.exit.is_some() {
                tell(Source::Process);
            }
        }
        // In any order, and not all at once.
        for index in (1..events.len()).rev() {
            let other = self.random.below(index as u64 + 1) as usize;
            events.swap(index, other);
        }
        let most = 1 + self.random.below(8) as usize;
        events.truncate(most);
        events
    }
}

impl System for World {
    type Process = Sim;
    type Results = Results;
    type Bell = Self;

    fn spawn(&self, id: u64) -> io::Result<(Sim, Results)> {
        let mut inner = self.stir();
        let time = now();
        let waits = inner.pauses_until.is_none_or(|until| until <= time);
        assert!(waits, "a start that should have waited");
        let chance = inner.faults.spawn;
        if inner.random.one_in(chance) {
            let pause = Duration::from_millis(10) * 2_u32.pow(inner.failed_starts.min(6));
            inner.pauses_until = time.checked_add(pause);
            inner.failed_starts += 1;
            inner.deeds.failures += 1;
            return Err(io::Error::other("no process is left"));
        }
        inner.failed_starts = 0;
        inner.pauses_until = None;
        inner.spares = 0;
        let values = match inner.spare.take() {
            Some(Taken::Good((number, values))) if inner.worker(number).exit.is_none() => {
                assert_eq!(number, id, "a spare with another number");
                assert!(!inner.worker(id).is_killed, "a spare that was killed");
                values
            }
            Some(Taken::Good((number, _)) | Taken::Doomed((number, _))) => {
                inner.forget(number);
                self.start(&mut inner, id)?
            }
            None => self.start(&mut inner, id)?,
        };
        let worker = inner.worker(id);
        worker.is_spare = false;
        worker.watches_results = true;
        worker.watches_end = true;
        let claims = Arc::clone(&worker.claims);
        let world = self.clone();
        let results = Results {
            id,
            claims: Arc::clone(&claims),
            values: Arc::new(values),
        };
        Ok((Sim { world, id, claims }, results))
    }

    fn keep_spare(&self, next: Option<u64>) {
        let mut inner = self.stir();
        let Some(id) = next else {
            if let Some(&(doomed, _)) = inner.spare.doom(|_| true) {
                inner.worker(doomed).is_killed = true;
            }
            return;
        };
        if !inner.has_spares || !inner.spare.has_room() {
            return;
        }
        inner.spares += 1;
        assert!(inner.spares <= 5, "too many spare workers");
        let chance = inner.faults.spawn;
        let made = match inner.random.one_in(chance) {
            true => None,
            false => self.start(&mut inner, id).ok(),
        };
        inner.spare.keep(id, made.map(|values| (id, values)));
    }

    fn has_spare(&self) -> bool {
        self.stir().spare.is_kept()
    }

    fn place(&self, _: usize) -> &[u8] {
        &[]
    }

    fn setup(&self) -> &[u8] {
        &self.0.setup
    }

    fn wait(&self, events: &mut Vec<Event>, wait: Wait) -> io::Result<()> {
        events.clear();
        let deadline = match wait {
            Wait::Look => Some(now()),
            Wait::Until(deadline) => deadline,
        };
        let is_due = self.look_after().0 == Some(Duration::ZERO);
        if let Wait::Until(_) = wait {
            let mut inner = self.lock();
            inner.overdue = if is_due { inner.overdue + 1 } else { 0 };
            assert!(inner.overdue < 20, "what is due is not done");
        }
        loop {
            let (due, may_spare) = self.look_after();
            let mut inner = self.stir();
            let chance = inner.faults.wait;
            if inner.random.one_in(chance) {
                inner.deeds.breaks = true;
                return Err(io::Error::other("the poller is broken"));
            }
            *events = inner.events();
            let lost = inner.spare.lose(events);
            let is_over = lost.is_some() || deadline.is_some_and(|at| at <= now());
            if let Some((lost, _)) = lost {
                inner.forget(lost);
            }
            if !events.is_empty() || is_over || inner.random.one_in(30) {
                let what = events
                    .iter()
                    .fold(1, |sum, event| sum * 31 + (event.0 & 0xFFFF));
                inner.note(what);
                return Ok(());
            }
            if inner.step_one() {
                continue;
            }
            let wakes = inner.workers.values().filter_map(Worker::wakes_at);
            let next = wakes.chain(deadline).min();
            inner.sleeper = Some(thread::current());
            let passes = inner.random.one_in(2);
            let is_quiet = inner.busy == 0 && !inner.is_ringing;
            let is_kept = inner
                .workers
                .values()
                .any(|it| it.is_spare && !it.is_killed);
            assert!(!is_quiet || may_spare || !is_kept, "a spare worker is kept");
            drop(inner);
            let Some(next) = next else {
                assert!(!is_quiet || due.is_none(), "the pool's thread oversleeps");
                thread::park();
                continue;
            };
            let time = next.saturating_duration_since(now());
            // It looked at the clock once or twice since.
            let latest = due.map(|due| due + Duration::from_micros(100));
            let is_known = latest.is_none_or(|latest| time <= latest);
            assert!(!is_quiet || is_known, "the pool's thread oversleeps");
            if passes {
                pass(time);
            } else {
                thread::yield_now();
            }
        }
    }

    fn read(&self, results: &Results, room: &mut Vec<u8>) -> io::Result<usize> {
        let mut inner = self.stir();
        let most = inner.random.pick(&[1, 20, 100, 10_000]);
        let is_interrupted = inner.random.one_in(30);
        let chance = inner.faults.pipe;
        let fails = inner.random.one_in(chance);
        let worker = inner.worker(results.id);
        if is_interrupted {
            return Err(io::ErrorKind::Interrupted.into());
        }
        if worker.results.is_empty() {
            let is_silent = worker.is_silent();
            return is_silent
                .then_some(0)
                .ok_or(io::ErrorKind::WouldBlock.into());
        }
        if fails {
            let lost = worker.spoil();
            for task in lost {
                inner.facts[task].is_answered = false;
            }
            return Err(io::Error::other("the pipe is broken"));
        }
        let most = worker
            .results
            .len()
            .min(most)
            .min(room.capacity() - room.len());
        room.extend(worker.results.drain(..most));
        worker.read_at = Some(now());
        // It may be an answer, which resets the count of failures.
        inner.failed_starts = 0;
        inner.pauses_until = None;
        Ok(most)
    }

    fn buried(&self, id: u64) {
        let mut inner = self.stir();
        let worker = inner.workers.get_mut(&id).expect("a worker that there is");
        assert!(worker.is_reaped && !worker.is_buried);
        worker.is_buried = true;
    }

    fn end(&self) {
        let mut inner = self.stir();
        if let Some(Taken::Good((spare, _)) | Taken::Doomed((spare, _))) = inner.spare.take() {
            inner.forget(spare);
        }
        assert!(inner.workers.values().all(|it| it.is_buried));
    }

    fn unwatch_results(&self, results: &Results) {
        let mut inner = self.stir();
        let worker = inner.worker(results.id);
        assert!(worker.watches_results);
        worker.watches_results = false;
    }

    fn arguments(&self) -> &Arc<Store> {
        &self.0.arguments
    }

    fn values<'a>(&self, results: &'a Results) -> &'a Arc<Descriptor> {
        // They are about to be read, and their room may have been reused by now.
        drop(self.stir());
        &results.values
    }

    fn has_read(&self, results: &Results, sequence: u64) {
        results.claims.has_read(sequence);
    }
}

impl Bell for World {
    fn ring(&self) {
        let mut inner = self.stir();
        inner.is_ringing = true;
        inner.wake();
    }

    fn silence(&self) {
        self.stir().is_ringing = false;
    }
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("World")
    }
}
