//! Limits: what no pool can beat.

use std::hint::black_box;
use std::io::{PipeReader, PipeWriter, Read, Write, pipe};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::{self, JoinHandle, Thread};

use corosensei::stack::DefaultStack;
use corosensei::{Coroutine, CoroutineResult, Yielder};

use crate::pools::{WORKERS, done};

/// How many CPUs a pool's work can use under the current pin. The calling thread's affinity tells, since with
/// [`Pin::Spread`](crate::Pin::Spread) all workers share one CPU as well.
pub(crate) fn cpus() -> u32 {
    let cpus = thread::available_parallelism().map_or(1, |cpus| cpus.get());
    cpus.min(WORKERS) as u32
}

/// The least that sending a closure to its worker costs: box it, call it, free it.
#[inline]
pub(crate) fn boxed_call(n: u64) -> u64 {
    let job: Box<dyn FnOnce() -> u64> = black_box(Box::new(move || n));
    job()
}

/// The least that a result with one allocation and two parties can cost: allocating and freeing a box of the
/// cell's size, and one read-modify-write by each side.
#[inline]
pub(crate) fn box_and_two_rmws() -> u64 {
    let cell = Box::new((AtomicU32::new(0), [7_u64; 5]));
    // ORDERING: as in the cell; on x86 any read-modify-write costs the same.
    cell.0.fetch_xor(1, Ordering::AcqRel);
    cell.0.fetch_xor(2, Ordering::AcqRel);
    black_box(&cell).1[0]
}

/// A thread that sleeps until it is woken, answers, and sleeps again: the kernel's part of a round trip.
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
    /// The answers go to the calling thread.
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

    /// Waits for the answer.
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

/// Stacks that are switched to in turn, without a scheduler.
pub(crate) struct Switches(Vec<Coroutine<(), (), (), DefaultStack>>);

impl Switches {
    /// This many stacks, with a coroutine on each that suspends `each` times.
    pub(crate) fn new(stacks: u64, each: u64) -> Self {
        let task = move |yielder: &Yielder<(), ()>, ()| {
            for _ in 0..each {
                yielder.suspend(());
            }
        };
        Self((0..stacks).map(|_| Coroutine::new(task)).collect())
    }

    /// Resumes them until all have ended.
    pub(crate) fn run(&mut self) {
        let mut are_left = true;
        while are_left {
            for coroutine in &mut self.0 {
                are_left = matches!(coroutine.resume(()), CoroutineResult::Yield(()));
            }
        }
    }
}

/// A coroutine that starts and ends on a reused stack.
pub(crate) fn begin_and_end(stack: DefaultStack, n: u64) -> (DefaultStack, u64) {
    let mut coroutine: Coroutine<(), (), u64, _> = Coroutine::with_stack(stack, move |_, ()| n);
    match coroutine.resume(()) {
        CoroutineResult::Return(n) => (coroutine.into_stack(), n),
        CoroutineResult::Yield(()) => unreachable!("it does not suspend"),
    }
}

/// A thread at the other ends of two pipes, which sends back what it receives.
pub(crate) struct Pipes {
    there: PipeWriter,
    back: PipeReader,
}

impl Pipes {
    /// For messages of `N` bytes.
    pub(crate) fn start<const N: usize>() -> Self {
        let (mut from, there) = done(pipe());
        let (back, mut to) = done(pipe());
        thread::spawn(move || {
            let mut message = [0; N];
            while from.read_exact(&mut message).is_ok() && to.write_all(&message).is_ok() {}
        });
        Self { there, back }
    }

    /// Sends a message and waits for the answer.
    pub(crate) fn trip<const N: usize>(&mut self, message: [u8; N]) -> [u8; N] {
        done(self.there.write_all(&message));
        let mut answer = [0; N];
        done(self.back.read_exact(&mut answer));
        answer
    }
}
