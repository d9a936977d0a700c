//! A watchdog: a thread that reports tasks that keep their thread for longer than a limit.
//!
//! The scheduler writes each turn, and whose it is, into three words ([`Pulse`]) that the watchdog reads from time
//! to time. If it sees the same turn for the length of the limit, it reports it. Without a watchdog, a turn costs a
//! look at an `Option`.
//!
//! The words are written at each turn, so there is no lock. The watchdog reads the turn, then the task, then the
//! turn again, and believes what it read only if the turn is the same.
#![expect(
    unsafe_code,
    reason = "reads a source location through an atomic pointer"
)]

use std::fmt;
use std::io;
use std::panic::Location;
use std::ptr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use future_result::contain;
use future_result::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering, fence};
use future_result::sync::{Mutex, now, thread};

/// What a [`Builder::watchdog`](crate::Builder::watchdog) looks for, and whom it tells.
#[derive(Clone)]
pub(crate) struct Watch {
    pub(crate) limit: Duration,
    pub(crate) report: Arc<dyn Fn(&Hog) + Send + Sync>,
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch")
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}

/// A task that holds up its thread, as [`Builder::watchdog`](crate::Builder::watchdog) reports it.
///
/// It displays as a line of text.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Hog {
    /// Its number, in the order of spawning on one thread; 0 is the main task.
    pub number: u64,
    /// Where it was spawned; for the main task, where the runtime was run.
    pub spawned_at: &'static Location<'static>,
    /// How long it was seen to run; the true time may be longer by a quarter of the limit, and by more if
    /// the process was stopped meanwhile.
    pub elapsed: Duration,
}

impl fmt::Display for Hog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.number {
            0 => f.write_str("the main task")?,
            number => write!(f, "task {number}, spawned at {},", self.spawned_at)?,
        }
        write!(
            f,
            " has held its thread for {:?}: let it call `yield_now`, or compute or block elsewhere (`unblock`)",
            self.elapsed
        )
    }
}

/// Whose turn it is, for another thread to read.
pub(crate) struct Pulse {
    /// Counts turns, including those of no task.
    turn: AtomicU64,
    number: AtomicU64,
    /// Null if it is nobody's turn.
    spawned_at: AtomicPtr<Location<'static>>,
}

/// One reading of a [`Pulse`].
#[derive(Clone, Copy)]
struct Beat {
    turn: u64,
    number: u64,
    spawned_at: Option<&'static Location<'static>>,
}

impl Pulse {
    fn new() -> Self {
        Self {
            turn: AtomicU64::new(0),
            number: AtomicU64::new(0),
            spawned_at: AtomicPtr::new(ptr::null_mut()),
        }
    }

    /// It is this task's turn; `None`: nobody's, and the thread sleeps. Only the scheduler calls this.
    #[inline]
    pub(crate) fn beat(&self, task: Option<(u64, &'static Location<'static>)>) {
        let (number, spawned_at) = match task {
            Some((number, place)) => (number, ptr::from_ref(place).cast_mut()),
            None => (0, ptr::null_mut()),
        };
        // ORDERING: Relaxed; only this thread writes it.
        let turn = self.turn.load(Ordering::Relaxed).wrapping_add(1);
        // ORDERING: Relaxed; the fence orders it before what follows.
        self.turn.store(turn, Ordering::Relaxed);
        // ORDERING: Release pairs with the fence in `look`: whoever sees one of the words below sees this
        // turn, too, or a later one.
        fence(Ordering::Release);
        // ORDERING: Relaxed; as above.
        self.number.store(number, Ordering::Relaxed);
        // ORDERING: Relaxed; as above.
        self.spawned_at.store(spawned_at, Ordering::Relaxed);
    }

    /// `None` if a turn is just beginning.
    fn look(&self) -> Option<Beat> {
        // ORDERING: Relaxed; compared below.
        let turn = self.turn.load(Ordering::Relaxed);
        // ORDERING: Relaxed; the fence orders it before the second look at the turn.
        let number = self.number.load(Ordering::Relaxed);
        // ORDERING: Relaxed; as above.
        let place = self.spawned_at.load(Ordering::Relaxed);
        // ORDERING: Acquire pairs with the fence in `beat`: if one of these words is a later turn's, the
        // turn has changed.
        fence(Ordering::Acquire);
        // ORDERING: Relaxed; as above.
        if self.turn.load(Ordering::Relaxed) != turn {
            return None;
        }
        // SAFETY: null, or from a reference that lives forever, to what nobody changes.
        let spawned_at = unsafe { place.as_ref() };
        Some(Beat {
            turn,
            number,
            spawned_at,
        })
    }
}

/// The thread that looks; dropping this ends it and waits for it.
pub(crate) struct Watchdog {
    shared: Arc<Shared>,
    thread: Option<thread::JoinHandle<()>>,
}

struct Shared {
    pulse: Arc<Pulse>,
    is_over: AtomicBool,
    /// Whom to wake at the end.
    watcher: Mutex<Option<thread::Thread>>,
}

impl Watchdog {
    pub(crate) fn start(watch: Watch) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            pulse: Arc::new(Pulse::new()),
            is_over: AtomicBool::new(false),
            watcher: Mutex::new(None),
        });
        let theirs = Arc::clone(&shared);
        let builder = thread::Builder::new().name("green-watchdog".to_owned());
        let thread = builder.spawn(move || theirs.watch(&watch))?;
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }

    /// What it reads.
    pub(crate) fn pulse(&self) -> Arc<Pulse> {
        Arc::clone(&self.shared.pulse)
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        let watcher = {
            let watcher = self.shared.watcher.lock();
            // ORDERING: Relaxed; under the lock, which the watcher takes before it first parks; otherwise unparking
            // orders it.
            self.shared.is_over.store(true, Ordering::Relaxed);
            watcher.clone()
        };
        if let Some(watcher) = watcher {
            watcher.unpark();
        }
        if let Some(thread) = self.thread.take() {
            // It contains the panics of what it calls.
            drop(thread.join());
        }
    }
}

impl Shared {
    fn watch(&self, watch: &Watch) {
        {
            let mut watcher = self.watcher.lock();
            *watcher = Some(thread::current());
        }
        let pause = (watch.limit / 4).max(Duration::from_millis(1));
        let mut watcher = Watcher::new(watch.limit, pause);
        // ORDERING: Relaxed; see the store.
        while !self.is_over.load(Ordering::Relaxed) {
            let time = now();
            if let Some(hog) = watcher.see(self.pulse.look(), time) {
                contain(|| (watch.report)(&hog));
            }
            if let Some(until) = time.checked_add(pause) {
                thread::park_deadline(until);
            } else {
                thread::park();
            }
        }
    }
}

/// How long the same turn has been seen.
struct Watcher {
    limit: Duration,
    pause: Duration,
    /// What it last saw, and when.
    seen: Option<(Beat, Instant)>,
    elapsed: Duration,
    is_told: bool,
}

impl Watcher {
    fn new(limit: Duration, pause: Duration) -> Self {
        Self {
            limit,
            pause,
            seen: None,
            elapsed: Duration::ZERO,
            is_told: false,
        }
    }

    /// What to report after a look. Nothing at the first look at a turn, which may have found the words of the turn
    /// before.
    fn see(&mut self, beat: Option<Beat>, time: Instant) -> Option<Hog> {
        let before = self.seen;
        self.seen = beat.map(|beat| (beat, time));
        let same = beat
            .zip(before)
            .filter(|(beat, (before, _))| beat.turn == before.turn);
        let Some((beat, (_, before))) = same else {
            self.elapsed = Duration::ZERO;
            self.is_told = false;
            return None;
        };
        // A late look shows that this thread was kept from running, so perhaps the other was, too: the process was
        // stopped, say, or the machine is overloaded.
        let pause = time.saturating_duration_since(before).min(2 * self.pause);
        self.elapsed += pause;
        let spawned_at = beat.spawned_at?;
        if self.elapsed < self.limit || self.is_told {
            return None;
        }
        self.is_told = true;
        Some(Hog {
            number: beat.number,
            spawned_at,
            elapsed: self.elapsed,
        })
    }
}

#[cfg(all(test, not(any(pool_loom, pool_sim))))]
mod tests {
    use super::*;

    #[test]
    fn a_turn_that_went_on_while_the_process_was_stopped_is_not_told_of() {
        let millis = Duration::from_millis;
        let mut watcher = Watcher::new(millis(40), millis(10));
        let mut time = now();
        let beat = |turn| {
            Some(Beat {
                turn,
                number: 3,
                spawned_at: Some(Location::caller()),
            })
        };
        assert!(watcher.see(beat(1), time).is_none());
        // Nobody ran meanwhile.
        time += millis(10_000);
        assert!(watcher.see(beat(1), time).is_none());
        time += millis(10);
        assert!(watcher.see(beat(1), time).is_none());
        time += millis(10);
        let hog = watcher.see(beat(1), time).unwrap();
        assert_eq!((hog.number, hog.elapsed), (3, millis(40)));
        time += millis(10);
        assert!(watcher.see(beat(1), time).is_none(), "it was told");
        // The next turn starts the count anew.
        for _ in 0..5 {
            assert!(watcher.see(beat(2), time).is_none());
            time += millis(9);
        }
        assert!(watcher.see(beat(2), time).is_some());
    }
}
