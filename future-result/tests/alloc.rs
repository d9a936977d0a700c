//! Proves what costs an allocation: making a task or a pair costs exactly one, and completing,
//! cancelling and taking none; and that every way through a cell gives back what it took.
#![cfg(not(pool_loom))]
#![expect(
    clippy::disallowed_types,
    reason = "a waker that does nothing is an Arc of nothing"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::future::Future;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use future_result::{
    Cancel, CancelToken, CompletionSet, FutureResult, JoinHandle, PoolId, TaskError, When,
    as_completed, pair, task, task_in, wait,
};

/// The system's allocator, counting for each thread, so that tests side by side do not disturb
/// each other.
struct Counting;

thread_local! {
    static ALLOCATED: Cell<usize> = const { Cell::new(0) };
    static FREED: Cell<usize> = const { Cell::new(0) };
    /// Live blocks with the alignment that small cells have and hardly anything else.
    static CELLS: Cell<isize> = const { Cell::new(0) };
}

// SAFETY: passes everything on to `System`; counting touches only constant-initialised locals
// without destructors, which neither allocate nor can be gone.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATED.set(ALLOCATED.get() + 1);
        CELLS.set(CELLS.get() + isize::from(layout.align() == 16));
        // SAFETY: passed on to the caller.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        FREED.set(FREED.get() + 1);
        CELLS.set(CELLS.get() - isize::from(layout.align() == 16));
        // SAFETY: passed on to the caller.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static GLOBAL: Counting = Counting;

/// What `f` returns, how often it allocates, and how often it frees, on this thread.
fn counted<R>(f: impl FnOnce() -> R) -> (R, usize, usize) {
    let before = (ALLOCATED.get(), FREED.get());
    let result = f();
    let after = (ALLOCATED.get(), FREED.get());
    (result, after.0 - before.0, after.1 - before.1)
}

/// What `f` returns; it must allocate and free this often.
#[track_caller]
fn costs<R>(allocated: usize, freed: usize, f: impl FnOnce() -> R) -> R {
    let (result, really_allocated, really_freed) = counted(f);
    assert_eq!(
        (really_allocated, really_freed),
        (allocated, freed),
        "allocated and freed"
    );
    result
}

/// A value that makes its cell too large to be kept for the next one.
const LARGE: [u64; 12] = [7; 12];

fn poll<T>(handle: &mut JoinHandle<T>, waker: &Waker) -> Poll<Result<T, TaskError>> {
    Pin::new(handle).poll(&mut Context::from_waker(waker))
}

struct Quiet;

impl Wake for Quiet {
    fn wake(self: Arc<Self>) {}
}

#[test]
fn counting_allocator_counts() {
    let boxed = costs(1, 0, || Box::new(1));
    costs(0, 1, || drop(boxed));
}

#[test]
fn task_costs_one_allocation_from_submission_to_result() {
    let captured = [7_u8; 300];
    let (task, handle) = costs(1, 0, || task(move || captured.map(u16::from)));
    costs(0, 0, || task.run());
    let value = costs(0, 1, || handle.result());
    assert_eq!(value.unwrap(), [7; 300]);
}

#[test]
fn task_of_any_alignment_costs_one_allocation() {
    #[repr(align(4096))]
    struct Page([u8; 4096]);

    let page = Page([1; 4096]);
    let (task, handle) = costs(1, 0, || task(move || page.0[5]));
    costs(0, 0, || task.run());
    costs(0, 1, || handle.result()).unwrap();
}

#[test]
fn pair_costs_one_allocation_from_completer_to_value() {
    let (completer, handle) = costs(1, 0, pair);
    costs(0, 0, || completer.complete(LARGE)).unwrap();
    let value = costs(0, 1, || handle.result());
    assert_eq!(value.unwrap(), LARGE);
}

#[test]
fn started_pair_and_its_token_cost_nothing_more() {
    let (mut completer, mut handle) = costs(1, 0, pair);
    let token = costs(0, 0, || {
        assert!(completer.start());
        let token = completer.token();
        assert!(poll(&mut handle, Waker::noop()).is_pending());
        completer.complete(LARGE).unwrap();
        assert!(poll(&mut handle, Waker::noop()).is_ready());
        assert!(!token.clone().is_cancelled());
        token
    });
    drop(token);
}

#[test]
fn last_token_frees_the_cell() {
    let (completer, handle) = costs(1, 0, pair);
    let token = completer.token();
    costs(0, 0, || {
        completer.complete(LARGE).unwrap();
        handle.result().unwrap();
    });
    costs(0, 1, || drop(token));
}

#[test]
fn polling_and_waking_cost_nothing() {
    let waker = Waker::from(Arc::new(Quiet));
    let (completer, mut handle) = costs(1, 0, pair);
    costs(0, 0, || {
        assert!(poll(&mut handle, &waker).is_pending());
        assert!(poll(&mut handle, Waker::noop()).is_pending());
        assert!(poll(&mut handle, &waker).is_pending());
        completer.complete(LARGE).unwrap();
    });
    let polled = costs(0, 1, || poll(&mut handle, &waker));
    assert!(matches!(polled, Poll::Ready(Ok(LARGE))));
}

#[test]
fn waiting_on_a_plain_thread_costs_nothing_but_the_first_time() {
    let (completer, mut handle) = pair();
    // Makes this thread's parker.
    assert!(!handle.wait_timeout(Duration::ZERO));
    costs(0, 0, || assert!(!handle.wait_timeout(Duration::ZERO)));
    completer.complete(LARGE).unwrap();
    costs(0, 1, || handle.result()).unwrap();
}

#[test]
fn cancelling_costs_nothing_and_a_tombstone_frees_the_cell() {
    let (unrun, handle) = costs(1, 0, || task(|| LARGE));
    assert_eq!(costs(0, 0, || handle.cancel()), Cancel::Prevented);
    let result = costs(0, 0, || handle.result());
    assert!(matches!(result, Err(TaskError::Cancelled)));
    costs(0, 1, || unrun.run());

    let (completer, handle) = costs(1, 0, pair);
    assert_eq!(costs(0, 0, || handle.cancel()), Cancel::Prevented);
    costs(0, 0, || drop(handle));
    assert_eq!(costs(0, 1, || completer.complete(LARGE)), Err(LARGE));
}

#[test]
fn dropping_a_tombstone_costs_no_more_than_running_it() {
    let (task, handle) = task(|| LARGE);
    assert_eq!(handle.cancel(), Cancel::Prevented);
    drop(handle);
    costs(0, 1, || drop(task));
}

#[test]
fn detached_work_frees_the_cell_by_itself() {
    let (detached, handle) = costs(1, 0, || task(|| LARGE));
    costs(0, 0, || drop(handle));
    costs(0, 1, || detached.run());

    let (completer, handle) = costs(1, 0, pair);
    costs(0, 0, || drop(handle));
    assert_eq!(costs(0, 1, || completer.complete(LARGE)), Err(LARGE));
}

#[test]
fn running_in_place_costs_nothing() {
    let pool = PoolId::new();
    let (tombstone, handle) = costs(1, 0, || task_in(pool, || LARGE));
    costs(0, 0, || pool.enter(|| handle.result())).unwrap();
    costs(0, 1, || tombstone.run());
}

/// The small cells, which are kept.
#[cfg(not(pool_unpooled))]
mod kept {
    use super::*;

    /// As many as one thread keeps, and some more.
    const MANY: usize = 1000;

    #[test]
    fn a_small_cell_is_used_again() {
        task(|| 1).0.run();
        costs(0, 0, || {
            for n in 0..MANY {
                let (task, handle) = task(move || n);
                task.run();
                assert_eq!(handle.result().unwrap(), n);
                let (completer, handle) = pair();
                completer.complete(n).unwrap();
                assert_eq!(handle.result().unwrap(), n);
            }
        });
    }

    #[test]
    fn cells_that_another_thread_frees_come_back() {
        let (to_other, tasks) = std::sync::mpsc::channel::<Vec<future_result::Task>>();
        let (to_us, done) = std::sync::mpsc::channel::<Vec<future_result::Task>>();
        let other = std::thread::spawn(move || {
            for mut tasks in tasks {
                tasks.drain(..).for_each(future_result::Task::run);
                to_us.send(tasks).unwrap();
            }
        });
        let mut batch = Vec::with_capacity(MANY);
        let mut allocated = Vec::new();
        for _ in 0..10 {
            let ((), cells, _) = counted(|| {
                batch.extend(
                    (0..MANY).map(|n| future_result::Task::detached(move || assert!(n < MANY))),
                );
            });
            allocated.push(cells);
            to_other.send(batch).unwrap();
            batch = done.recv().unwrap();
        }
        drop(to_other);
        other.join().unwrap();
        assert!(allocated[0] >= MANY);
        // All but those in the magazines of the other thread.
        assert!(allocated[9] < MANY / 4, "{allocated:?}");
    }

    #[test]
    fn a_thread_that_ends_gives_its_cells_back() {
        use std::sync::mpsc::{Sender, channel};

        /// Counts when the thread's cells are gone: locals go in the reverse order of their first use.
        struct CountLast(Sender<isize>);

        impl Drop for CountLast {
            fn drop(&mut self) {
                let _ = self.0.send(CELLS.get());
            }
        }

        thread_local!(static LAST: Cell<Option<CountLast>> = const { Cell::new(None) });

        let (sender, count) = channel();
        let thread = std::thread::spawn(move || {
            LAST.set(Some(CountLast(sender)));
            drop((0..20).map(|n| task(move || n)).collect::<Vec<_>>());
            CELLS.get()
        });
        assert!(thread.join().unwrap() >= 20);
        assert_eq!(count.recv(), Ok(0));
    }

    #[test]
    fn alignment_beyond_the_usual_is_kept() {
        #[repr(align(64))]
        struct Line(u8);

        let (task, handle) = task(|| Line(7));
        task.run();
        let line = handle.result().unwrap();
        assert_eq!((&raw const line).addr() % 64, 0);
        assert_eq!(line.0, 7);
    }
}

#[test]
fn completing_into_and_taking_from_a_set_costs_nothing_per_result() {
    const HANDLES: usize = 10;
    let mut set = CompletionSet::new();
    // The second time, the set has its room and the thread its parker.
    for warm in [false, true] {
        let mut completers = Vec::new();
        for key in 0..HANDLES {
            let (completer, handle) = pair();
            set.insert(key, handle);
            completers.push(completer);
        }
        let mut allocated = 0;
        for completer in completers {
            allocated += counted(|| completer.complete(()).unwrap()).1;
        }
        allocated += counted(|| {
            for _ in 0..HANDLES {
                set.wait_next().unwrap().1.unwrap();
            }
        })
        .1;
        // The queue between them grows by a block for every 31 completions.
        assert!(!warm || allocated <= 1, "{allocated} allocations");
    }
}

/// Everything that `f` allocates is freed by its end.
#[track_caller]
fn balanced(f: impl Fn()) {
    // Whatever a thread sets up once.
    f();
    let ((), allocated, freed) = counted(f);
    assert_eq!(allocated, freed);
    assert!(allocated > 0, "there was nothing to be freed");
}

#[test]
fn every_way_through_a_cell_frees_what_it_allocated() {
    let text = || (String::from("a value with memory of its own"), LARGE);
    balanced(|| {
        let (task, handle) = task(text);
        task.run();
        drop(handle);
    });
    balanced(|| drop(task(text)));
    balanced(|| {
        let captured = text();
        let (task, handle) = task(move || captured);
        let _ = handle.cancel();
        drop((task, handle));
    });
    balanced(|| {
        let (task, handle) =
            task(|| -> [u64; 12] { resume_unwind(Box::new(String::from("payload"))) });
        task.run();
        assert!(handle.result().is_err());
    });
    balanced(|| {
        let (completer, mut handle) = pair();
        let captured = text();
        handle.on_done(move |_| drop(captured));
        handle.on_done(|_| ());
        assert!(poll(&mut handle, &Waker::from(Arc::new(Quiet))).is_pending());
        completer.complete(text()).unwrap();
        handle.on_done(|_| ());
        drop(handle);
    });
    balanced(|| {
        let (completer, mut handle) = pair();
        assert!(poll(&mut handle, &Waker::from(Arc::new(Quiet))).is_pending());
        handle.on_done(|_| ());
        let token = completer.token();
        drop(handle);
        completer.complete(text()).unwrap();
        drop(token);
    });
    balanced(|| {
        // The handle in its own callback: gone with it.
        let (completer, handle) = pair();
        let own = Arc::new(Mutex::new(None));
        let inner = own.clone();
        let mut handle = handle;
        handle.on_done(move |_| drop(inner.lock().unwrap().take()));
        *own.lock().unwrap() = Some(handle);
        completer.complete(text()).unwrap();
    });
    balanced(|| {
        let (task, handle) = task(|| (CancelToken::current(), LARGE));
        task.run();
        drop(handle.result());
    });
}

#[test]
fn every_way_to_wait_for_several_frees_what_it_allocated() {
    let text = || (String::from("a value with memory of its own"), LARGE);
    balanced(|| {
        let (completer, handle) = pair();
        let shared = handle.shared();
        let mut other = shared.clone();
        assert!(!other.wait_timeout(Duration::ZERO));
        completer.complete(text()).unwrap();
        drop(other);
        shared.result().unwrap();
    });
    balanced(|| {
        let (completer, handle) = pair::<(String, [u64; 12])>();
        let (_other, pending) = pair::<(String, [u64; 12])>();
        let mut completed = as_completed([handle, pending]);
        completer.complete(text()).unwrap();
        assert!(completed.next().is_some());
    });
    balanced(|| {
        // The completion comes when the set is gone, and finds what is left of its queue.
        let (completer, handle) = pair::<(String, [u64; 12])>();
        let mut set = CompletionSet::new();
        set.insert(text(), handle);
        assert!(set.wait_next_timeout(Duration::ZERO).is_err());
        drop(set);
        assert!(completer.complete(text()).is_err());
    });
    balanced(|| {
        let (completer, handle) = pair::<(String, [u64; 12])>();
        let mut handles = [handle];
        assert!(wait(&mut handles, When::All, Some(Duration::ZERO)).timed_out);
        completer.complete(text()).unwrap();
    });
}
