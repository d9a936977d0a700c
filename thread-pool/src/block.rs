//! Many calls of one function, shared out by a cursor: what a map over a slice is made of.
//!
//! No item is queued. There is one block for the whole map, on the caller's stack, and whoever takes
//! part advances its cursor and makes the calls that it has passed. The caller begins at once; helpers
//! are queued when there turns out to be enough to do, at most one for each worker. Those that nobody
//! has started by the end are cancelled.
//!
//! Each share is a fixed fraction of what is left, so shares get smaller towards the end, and all
//! participants finish at about the same time, however different the calls are
//! (guided self-scheduling: Polychronopoulos and Kuck, IEEE Transactions on Computers, 1987).
//!
//! A panic moves the cursor to the end, so that nobody begins another share.

#![expect(
    unsafe_code,
    reason = "many threads write the results into one allocation"
)]

use std::any::Any;
use std::cell::Cell;
use std::mem::{self, MaybeUninit};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::time::Duration;

use future_result::claim::{Role, task_with_guard};
use future_result::sync::atomic::{AtomicU64, Ordering};
use future_result::sync::{Mutex, WORTH_WAKING, now};
use future_result::{TaskList, abort_on_unwind, contain};

use crate::core::Core;
use crate::crowd::Crowd;

/// A share is one part in this many, times the number of workers, of what is left.
const PARTS: u64 = 8;
/// The most calls between two looks at the clock.
const COUNT_MAX: u64 = 1 << 20;
/// The least time between two looks at the clock to aim for.
const SPAN: Duration = Duration::from_micros(1);

/// Where the calls get their arguments from, each once.
pub(crate) trait Source: Sync {
    type Item;

    /// # Safety
    ///
    /// Each index is below the number of calls, and is asked for at most once.
    unsafe fn get(&self, index: usize) -> Self::Item;

    /// Drops what will not be asked for.
    ///
    /// # Safety
    ///
    /// As for [`Source::get`], for each of these.
    unsafe fn drop_items(&self, indices: Range<usize>);
}

/// Calls `function` with all items of `source`, on the calling thread and on workers, and returns the
/// results in order.
pub(crate) fn map<S, R, F>(core: &Arc<Core>, len: usize, source: &S, function: &F) -> Vec<R>
where
    S: Source,
    R: Send,
    F: Fn(S::Item) -> R + Sync,
{
    let mut results = Vec::with_capacity(len);
    let block = Block {
        source,
        function,
        results: Results(results.spare_capacity_mut().as_mut_ptr()),
        len: len as u64,
        parts: PARTS * core.sleep.places() as u64,
        cursor: AtomicU64::new(0),
        done: Mutex::new(Vec::new()),
        panic: Mutex::new(None),
    };
    // The others borrow the block: nothing may end this frame before they have left. Nothing unwinds here.
    abort_on_unwind(|| block.run(core));
    let panic = block.panic.lock().take();
    if let Some(payload) = panic {
        let done = mem::take(&mut *block.done.lock());
        for range in done {
            // SAFETY: these were written, and nobody else looks at them any more.
            contain(|| unsafe { block.results.drop_in(range) });
        }
        resume_unwind(payload);
    }
    // SAFETY: all calls were made, none has panicked, and each has written its result.
    unsafe { results.set_len(len) };
    results
}

struct Block<'a, S, F, R> {
    source: &'a S,
    function: &'a F,
    /// Room for `len` of them.
    results: Results<R>,
    len: u64,
    parts: u64,
    /// All calls below it have been taken.
    cursor: AtomicU64,
    /// The shares whose results are there. Looked at only after a panic.
    done: Mutex<Vec<Range<usize>>>,
    /// The first one.
    panic: Mutex<Option<Box<dyn Any + Send>>>,
}

/// How far the calls of a share have come. Stored only on drop, so that it costs the calls nothing.
struct At<'a> {
    index: usize,
    begun: &'a Cell<usize>,
}

impl Drop for At<'_> {
    fn drop(&mut self) {
        self.begun.set(self.index);
    }
}

struct Results<R>(*mut MaybeUninit<R>);

// SAFETY: each place is written only by whoever moved the cursor over it, and `R` is `Send`.
unsafe impl<R: Send> Sync for Results<R> {}

impl<R> Results<R> {
    /// # Safety
    ///
    /// The caller has moved the cursor over the index.
    unsafe fn write(&self, index: usize, result: R) {
        // SAFETY: inside the allocation, as the cursor stays within it.
        let place = unsafe { self.0.add(index) };
        // SAFETY: valid for writes, and the caller's alone.
        unsafe { place.write(MaybeUninit::new(result)) };
    }

    /// # Safety
    ///
    /// The results in the range were written, and belong to the caller, who never looks at them again.
    unsafe fn drop_in(&self, range: Range<usize>) {
        for index in range {
            // SAFETY: inside the allocation.
            let place = unsafe { self.0.add(index) };
            // SAFETY: written, as the caller ensures; nobody else has a reference.
            let place = unsafe { &mut *place };
            // SAFETY: written, and not looked at again.
            contain(|| unsafe { place.assume_init_drop() });
        }
    }
}

impl<S, F, R> Block<'_, S, F, R>
where
    S: Source,
    R: Send,
    F: Fn(S::Item) -> R + Sync,
{
    /// The caller's part, and all that must happen before it may return.
    fn run(&self, core: &Arc<Core>) {
        let mut helpers = None;
        let mut count = 1;
        let mut before = now();
        while let Some(range) = self.take(count) {
            let made = u32::try_from(range.len()).unwrap_or(u32::MAX);
            self.call(range);
            if helpers.is_some() {
                continue;
            }
            // Not announced yet: small shares, until it is clear whether helpers are worth it.
            let after = now();
            let span = after - before;
            before = after;
            if self.left() > 0 && self.is_worth_waking(core, span / made) {
                helpers = Some(self.announce(core));
                count = u64::MAX;
            } else if span < SPAN {
                count = (2 * count).min(COUNT_MAX);
            }
        }
        if let Some(crowd) = helpers {
            crowd.cancel_the_rest();
            if let Err(payload) = crowd.wait_until_empty(core.id) {
                self.keep_first(payload);
            }
        }
    }

    /// How many calls nobody has taken.
    fn left(&self) -> u64 {
        // ORDERING: Relaxed; for an estimate.
        self.len - self.cursor.load(Ordering::Relaxed)
    }

    fn is_worth_waking(&self, core: &Core, each: Duration) -> bool {
        if core.sleep.places() == 1 {
            return false;
        }
        let left = each.saturating_mul(u32::try_from(self.left()).unwrap_or(u32::MAX));
        // A worker that is already awake comes cheaper.
        let worth = if core.sleep.has_searchers() {
            WORTH_WAKING / 5
        } else {
            WORTH_WAKING
        };
        left >= worth
    }

    /// Brings the other workers in.
    fn announce(&self, core: &Arc<Core>) -> Arc<Crowd> {
        let crowd = Arc::new(Crowd::of_helpers());
        let mut tasks = TaskList::new();
        let others =
            (core.sleep.places() - 1).min(usize::try_from(self.left()).unwrap_or(usize::MAX));
        for _ in 0..others {
            let closure = || {
                while let Some(range) = self.take(u64::MAX) {
                    self.call(range);
                }
            };
            // SAFETY: what the closure borrows lasts until the crowd has been waited for, and so
            // until the presence is dropped; the handle is dropped at once.
            let (task, _) =
                unsafe { task_with_guard(core.id, closure, Crowd::enter(&crowd), Role::Helper) };
            crowd.add(&task);
            tasks.push_back(task);
        }
        if core.push_all(tasks) {
            core.count_helpers(others);
        }
        crowd
    }

    /// Takes a share of what is left, at most `most`.
    fn take(&self, most: u64) -> Option<Range<usize>> {
        // ORDERING: Relaxed everywhere; this only decides who has which share. The block itself
        // came to the others with their task, and the results go back with the task's end.
        let mut start = self.cursor.load(Ordering::Relaxed);
        while start < self.len {
            let share = (self.len - start).div_ceil(self.parts).min(most);
            match self.cursor.compare_exchange_weak(
                start,
                start + share,
                Ordering::Relaxed,
                Ordering::Relaxed,
            ) {
                Ok(_) => return Some(start as usize..(start + share) as usize),
                Err(seen) => start = seen,
            }
        }
        None
    }

    /// Makes the calls of a share.
    fn call(&self, range: Range<usize>) {
        let begun = Cell::new(range.start);
        let calls = || {
            // Copied here, so that they stay in registers from one call to the next.
            let (source, function, results) = (self.source, self.function, Results(self.results.0));
            let mut at = At {
                index: range.start,
                begun: &begun,
            };
            while at.index < range.end {
                // SAFETY: ours to ask for, as we moved the cursor over it; and once.
                let item = unsafe { source.get(at.index) };
                let result = function(item);
                // SAFETY: the same.
                unsafe { results.write(at.index, result) };
                at.index += 1;
            }
        };
        let outcome = catch_unwind(AssertUnwindSafe(calls));
        if mem::needs_drop::<R>() {
            let end = outcome.as_ref().map_or(begun.get(), |()| range.end);
            self.done.lock().push(range.start..end);
        }
        if let Err(payload) = outcome {
            // The call that panicked consumed its item.
            self.stop(begun.get() + 1..range.end, payload);
        }
    }

    /// A call has panicked: nobody takes another share.
    #[cold]
    fn stop(&self, mut rest: Range<usize>, payload: Box<dyn Any + Send>) {
        self.keep_first(payload);
        // ORDERING: Relaxed, as in `take`.
        let start = self.cursor.swap(self.len, Ordering::Relaxed);
        for range in [mem::take(&mut rest), start as usize..self.len as usize] {
            // SAFETY: these were taken, by us, and will not be asked for.
            contain(|| unsafe { self.source.drop_items(range) });
        }
    }

    /// Keeps a panic's payload for the caller, if it is the first.
    fn keep_first(&self, payload: Box<dyn Any + Send>) {
        let mut panic = self.panic.lock();
        let later = if panic.is_none() {
            *panic = Some(payload);
            None
        } else {
            Some(payload)
        };
        drop(panic);
        contain(|| drop(later));
    }
}
