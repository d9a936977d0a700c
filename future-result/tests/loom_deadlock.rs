//! The races of waits that go round in a circle, or look as if they did.
//!
//! Run by `./check.sh loom`.
#![cfg(pool_loom)]
#![expect(
    clippy::disallowed_types,
    clippy::unwrap_used,
    reason = "a model's own counters are no part of it; its helpers unwrap"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Poll, Waker};

use future_result::claim::{Claim, Role, task_with_guard};
use future_result::{
    CellId, CompletionSet, FutureResult, JoinHandle, Members, PoolId, Shared, Task, TaskError,
    outlast, task,
};
use loom::sync::Mutex;
use loom::thread;

/// Where a task finds the handle that it is to wait for; put there before any thread begins.
type Slot<T> = Arc<std::sync::Mutex<Option<T>>>;

fn take<T>(slot: &Slot<T>) -> T {
    slot.lock().unwrap().take().unwrap()
}

fn is_deadlock<T>(result: &Result<T, TaskError>) -> bool {
    matches!(result, Err(TaskError::Deadlock(_)))
}

#[test]
fn two_tasks_that_wait_for_each_other_end_with_one_error() {
    loom::model(|| {
        let errors = Arc::new(AtomicUsize::new(0));
        let slots: [Slot<JoinHandle<()>>; 2] = Default::default();
        let [one, other] = [0, 1].map(|index| {
            let (errors, awaited) = (Arc::clone(&errors), Arc::clone(&slots[1 - index]));
            let (task, handle) = task(move || {
                if is_deadlock(&take(&awaited).result()) {
                    errors.fetch_add(1, Ordering::Relaxed);
                }
            });
            *slots[index].lock().unwrap() = Some(handle);
            task
        });
        let thread = thread::spawn(|| one.run());
        other.run();
        thread.join().unwrap();
        assert_eq!(errors.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn task_that_completes_while_its_waiter_registers_is_no_deadlock() {
    loom::model(|| {
        let (first, handle) = task(|| 1);
        let (waiter, waiting) = task(|| handle.result().unwrap());
        let (next, last) = task(|| waiting.result().unwrap());
        let thread = thread::spawn(|| waiter.run());
        // The thread that runs what the waiter waits for goes on to wait for the waiter.
        first.run();
        next.run();
        assert_eq!(last.result().unwrap(), 1);
        thread.join().unwrap();
    });
}

#[test]
fn cell_that_takes_the_place_of_a_shared_one_is_no_deadlock() {
    /// Of a size that nothing else has, so that the next cell gets the last one's memory.
    type Large = [u64; 32];

    loom::model(|| {
        let (first, handle) = task(Large::default);
        let one = handle.shared();
        let other = one.clone();
        let (waiter, waiting) = task(|| other.result().is_ok());
        let thread = thread::spawn(|| waiter.run());
        first.run();
        // Frees the cell.
        assert!(one.result().is_ok());
        let (next, last) = task(|| [u64::from(waiting.result().unwrap()); 32]);
        next.run();
        assert_eq!(last.result().unwrap()[0], 1);
        thread.join().unwrap();
    });
}

/// A frame that waits for all its tasks, as a scope does.
#[derive(Default)]
struct Crowd {
    /// Of the tasks that are there. Its lock is no step of the model.
    claims: std::sync::Mutex<Vec<Claim>>,
    /// Tasks that have not ended, and who waits for them.
    present: Mutex<(usize, Option<Waker>)>,
}

struct Presence(Arc<Crowd>);

impl Drop for Presence {
    fn drop(&mut self) {
        let mut present = self.0.present.lock().unwrap();
        present.0 -= 1;
        // Only the last one wakes.
        let waker = if present.0 == 0 {
            present.1.take()
        } else {
            None
        };
        drop(present);
        waker.into_iter().for_each(Waker::wake);
    }
}

impl Members for Crowd {
    fn for_each(&self, f: &mut dyn FnMut(CellId, &'static str)) {
        for claim in &*self.claims.lock().unwrap() {
            let (cell, name) = claim.id();
            f(cell, name);
        }
    }
}

impl Crowd {
    fn task(self: &Arc<Self>, closure: impl FnOnce() + Send + 'static) -> Task {
        self.present.lock().unwrap().0 += 1;
        let presence = Presence(Arc::clone(self));
        // SAFETY: the closure borrows nothing.
        let (task, _) = unsafe { task_with_guard(PoolId::new(), closure, presence, Role::Task) };
        self.claims.lock().unwrap().extend(Claim::on(&task));
        task
    }

    fn wait(self: &Arc<Self>) {
        let waited = outlast(Arc::clone(self) as Arc<dyn Members>, |context| {
            let mut present = self.present.lock().unwrap();
            if present.0 == 0 {
                return Poll::Ready(());
            }
            present.1 = Some(context.waker().clone());
            Poll::Pending
        });
        assert!(waited.is_ok());
    }
}

#[test]
fn frame_and_its_task_wait_for_each_other_and_the_task_gets_the_error_whoever_is_last() {
    loom::model(|| {
        let errors = Arc::new(AtomicUsize::new(0));
        let own: Slot<JoinHandle<()>> = Slot::default();
        let crowd = Arc::new(Crowd::default());
        let part = crowd.task({
            let (errors, own) = (Arc::clone(&errors), Arc::clone(&own));
            move || {
                if is_deadlock(&take(&own).result()) {
                    errors.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        let (lender, handle) = task({
            let crowd = Arc::clone(&crowd);
            move || crowd.wait()
        });
        *own.lock().unwrap() = Some(handle);
        let thread = thread::spawn(|| part.run());
        lender.run();
        thread.join().unwrap();
        assert_eq!(errors.load(Ordering::Relaxed), 1);
        crowd.claims.lock().unwrap().clear();
    });
}

#[test]
fn frame_with_two_tasks_that_wait_for_it_ends_when_both_have_the_error() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(1);
    model.check(|| {
        let errors = Arc::new(AtomicUsize::new(0));
        let owns: [Slot<Shared<JoinHandle<()>>>; 2] = Default::default();
        let crowd = Arc::new(Crowd::default());
        let parts = owns.clone().map(|own| {
            let errors = Arc::clone(&errors);
            crowd.task(move || {
                if is_deadlock(&take(&own).result()) {
                    errors.fetch_add(1, Ordering::Relaxed);
                }
            })
        });
        let (lender, handle) = task({
            let crowd = Arc::clone(&crowd);
            move || crowd.wait()
        });
        let handle = handle.shared();
        for own in &owns {
            *own.lock().unwrap() = Some(handle.clone());
        }
        drop(handle);
        let threads = parts.map(|part| thread::spawn(|| part.run()));
        lender.run();
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(errors.load(Ordering::Relaxed), 2);
        crowd.claims.lock().unwrap().clear();
    });
}

#[test]
fn task_that_ends_while_its_frame_registers_is_no_deadlock() {
    loom::model(|| {
        let crowd = Arc::new(Crowd::default());
        let (other, awaited) = task(|| 7);
        let part = crowd.task(move || assert_eq!(awaited.result().unwrap(), 7));
        let (lender, handle) = task({
            let crowd = Arc::clone(&crowd);
            move || crowd.wait()
        });
        let (last, ended) = task(|| handle.result().unwrap());
        let thread = thread::spawn(|| {
            part.run();
            last.run();
        });
        other.run();
        lender.run();
        thread.join().unwrap();
        ended.result().unwrap();
        crowd.claims.lock().unwrap().clear();
    });
}

#[test]
fn set_that_counts_on_its_size_is_woken_when_that_is_no_help() {
    loom::model(|| {
        let errors = Arc::new(AtomicUsize::new(0));
        let awaited: Slot<JoinHandle<()>> = Slot::default();
        let (inner, inner_handle) = task({
            let (errors, awaited) = (Arc::clone(&errors), Arc::clone(&awaited));
            move || {
                if is_deadlock(&take(&awaited).result()) {
                    errors.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        // Two tasks on one thread, so that two threads are enough for a set of two.
        let (outer, outer_handle) = task(|| inner.run());
        let (collector, handle) = task({
            let errors = Arc::clone(&errors);
            move || {
                let mut set = CompletionSet::new();
                set.insert(0, inner_handle);
                set.insert(1, outer_handle);
                let results = set.into_iter().map(|(_, result)| result);
                let failed = results.filter(is_deadlock).count();
                errors.fetch_add(failed, Ordering::Relaxed);
            }
        });
        *awaited.lock().unwrap() = Some(handle);
        let thread = thread::spawn(|| outer.run());
        collector.run();
        thread.join().unwrap();
        assert!(errors.load(Ordering::Relaxed) > 0);
    });
}
