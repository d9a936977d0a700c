//! A simulated process as the pool holds it: what the pool does to it happens in the [world](super::world).

use std::fmt;
use std::io::{self, IoSlice};
use std::sync::Arc;
use std::time::Instant;

use super::facts::{last_words, peak_rss};
use super::world::{Inner, World};
use crate::claims::Claims;
use crate::state::{End, Process};
use crate::sys::Exit;

/// A simulated process as the pool holds it.
pub(crate) struct Sim {
    pub(super) world: World,
    pub(super) id: u64,
    pub(super) claims: Arc<Claims>,
}

impl Process for Sim {
    type Poller = World;

    fn pid(&self) -> u32 {
        self.id as u32 + 1
    }

    fn write(&self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut inner = self.world.stir();
        let most = inner.random.pick(&[1, 10, 100, 10_000]);
        let is_interrupted = inner.random.one_in(30);
        let chance = inner.faults.pipe;
        let fails = inner.random.one_in(chance);
        let worker = inner.worker(self.id);
        let most = worker.room().min(most);
        if is_interrupted {
            return Err(io::ErrorKind::Interrupted.into());
        }
        if most == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        if fails {
            return Err(io::Error::other("the pipe is broken"));
        }
        let bytes = pieces.iter().flat_map(|piece| piece.iter().copied());
        let before = worker.tasks.len();
        worker.tasks.extend(bytes.take(most));
        let written = worker.tasks.len() - before;
        worker.claims.ring();
        inner.wake();
        Ok(written)
    }

    fn watch_room(&self, _: &World, id: u64) -> io::Result<()> {
        assert_eq!(id, self.id);
        let mut inner = self.world.stir();
        let chance = inner.faults.pipe;
        if inner.random.one_in(chance) {
            return Err(io::Error::other("there is no memory left"));
        }
        let worker = inner.worker(id);
        assert!(!worker.watches_room);
        worker.watches_room = true;
        inner.wake();
        Ok(())
    }

    fn unwatch_room(&self, _: &World) {
        let mut inner = self.world.stir();
        let worker = inner.worker(self.id);
        assert!(worker.watches_room);
        worker.watches_room = false;
    }

    fn unwatch_end(&self, _: &World) {
        let mut inner = self.world.stir();
        let worker = inner.worker(self.id);
        assert!(worker.watches_end);
        worker.watches_end = false;
    }

    fn take_back(&self, end: u64) -> u64 {
        // The page outlives the process.
        if let Some(worker) = self.world.stir().workers.get_mut(&self.id) {
            worker.taken = end;
        }
        self.claims.take_back(end)
    }

    fn done(&self) -> u64 {
        drop(self.world.stir());
        self.claims.done()
    }

    fn kill(&self) {
        let mut inner = self.world.stir();
        inner.worker(self.id).is_killed = true;
        inner.wake();
    }

    fn await_end(&self) {
        let mut inner = self.world.stir();
        let worker = inner.worker(self.id);
        let is_dead = worker.exit.is_some();
        assert!(worker.is_killed || is_dead, "it would wait forever");
        if !is_dead {
            let Inner { workers, facts, .. } = &mut *inner;
            let worker = workers.get_mut(&self.id);
            worker
                .into_iter()
                .for_each(|it| it.die(facts, Exit::Unknown));
        }
    }

    fn is_blameless(&self) -> bool {
        self.world.stir().worker(self.id).is_blameless
    }

    fn is_full(&self) -> bool {
        drop(self.world.stir());
        self.claims.is_full()
    }

    fn reap(&self) -> End {
        let mut inner = self.world.stir();
        let breaks = inner.deeds.breaks;
        let worker = inner.worker(self.id);
        assert!(!worker.watches_room && !worker.watches_end);
        assert!(breaks || !worker.watches_results);
        worker.watches_results = false;
        worker.is_reaped = true;
        End {
            exit: worker.exit.expect("it has ended"),
            peak_rss: Some(peak_rss(self.pid())),
            stderr: last_words(self.pid()),
        }
    }
}

impl Sim {
    /// Checks a worker that was given so many tasks: once it has too much memory it gets no more, and is never
    /// idle, since it reports that before it answers.
    pub(crate) fn check_full(&self, given: u64, is_idle: bool) {
        if !self.claims.is_full() {
            return;
        }
        assert!(!is_idle, "a full worker waits for tasks");
        let mut inner = self.world.lock();
        let before = inner.worker(self.id).given_when_full.get_or_insert(given);
        assert!(given <= *before, "a full worker was given a task");
        *before = given;
    }

    /// Whether it has too much memory.
    pub(crate) fn is_really_full(&self) -> bool {
        self.claims.is_full()
    }

    /// Since when the pool could know that it runs a task other than the last before `next`, if it does.
    pub(crate) fn runs_since(&self, next: u64) -> Option<Instant> {
        self.world.lock().worker(self.id).runs_since(next)
    }

    /// Up to which number the pool has taken tasks back.
    pub(crate) fn taken(&self) -> u64 {
        self.world.lock().worker(self.id).taken
    }
}

impl fmt::Debug for Sim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sim({})", self.id)
    }
}
