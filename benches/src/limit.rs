//! What cannot be beaten.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::{self, JoinHandle, Thread};

/// The least that a one-allocation, two-party result can cost: allocate and free a box of the
/// cell's size, and one read-modify-write by each side.
#[inline]
pub(crate) fn box_and_two_rmws() -> u64 {
    let cell = Box::new((AtomicU32::new(0), [7_u64; 5]));
    // ORDERING: as in the cell; on x86 any read-modify-write costs the same.
    cell.0.fetch_xor(1, Ordering::AcqRel);
    cell.0.fetch_xor(2, Ordering::AcqRel);
    black_box(&cell).1[0]
}

/// A thread that sleeps until it is woken, answers, and sleeps again: the kernel's part of a round
/// trip.
pub(crate) struct Sleeper {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    state: AtomicU32,
    caller: Thread,
}

const ASLEEP: u32 = 0;
const WOKEN: u32 = 1;
const ENDING: u32 = 2;

impl Sleeper {
    /// The calling thread is the one that is answered.
    pub(crate) fn start() -> Self {
        let shared = Arc::new(Shared {
            state: AtomicU32::new(ASLEEP),
            caller: thread::current(),
        });
        let inside = Arc::clone(&shared);
        let sleep = move || {
            loop {
                match inside.state.load(Ordering::Acquire) {
                    ASLEEP => thread::park(),
                    WOKEN => {
                        inside.state.store(ASLEEP, Ordering::Release);
                        inside.caller.unpark();
                    }
                    _ => return,
                }
            }
        };
        Self {
            shared,
            thread: Some(thread::spawn(sleep)),
        }
    }

    pub(crate) fn wake(&self) {
        self.set(WOKEN);
    }

    /// Until it has answered.
    pub(crate) fn wait(&self) {
        while self.shared.state.load(Ordering::Acquire) != ASLEEP {
            thread::park();
        }
    }

    fn set(&self, state: u32) {
        self.shared.state.store(state, Ordering::Release);
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        self.set(ENDING);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
