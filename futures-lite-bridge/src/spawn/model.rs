//! Models of concurrent access to the waiting futures.

use std::sync::Arc;
use std::task::{Wake, Waker};

use future_result::sync::atomic::{AtomicU32, Ordering};

use future_result::{Completer, FutureResult, PoolId, Task, pair, task_by_hand};
use loom::thread;
use thread_pool::Companion;

use super::waiting::Waiting;

#[derive(Default)]
struct Woken(AtomicU32);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        // ORDERING: Relaxed; read after a join.
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Woken {
    fn new() -> (Arc<Self>, Waker) {
        let woken = Arc::new(Self::default());
        (Arc::clone(&woken), Waker::from(woken))
    }

    fn times(&self) -> u32 {
        // ORDERING: Relaxed; after a join.
        self.0.load(Ordering::Relaxed)
    }
}

/// Counts its drops.
struct Counted(Arc<Woken>);

impl Drop for Counted {
    fn drop(&mut self) {
        Arc::clone(&self.0).wake();
    }
}

#[test]
fn cancel_races_enter_and_either_wakes_the_future_or_is_seen_by_it() {
    loom::model(|| {
        let waiting = Arc::new(Waiting::default());
        let hook = {
            let waiting = Arc::clone(&waiting);
            move |cell| waiting.wake(cell)
        };
        let (hand_over, begun) = std::sync::mpsc::channel();
        let begin = move |completer: Completer<()>| hand_over.send(completer).unwrap();
        let (task, handle) = task_by_hand(PoolId::new(), hook, begin);
        task.run();
        let completer = begun.recv().unwrap();
        let cell = completer.id();
        let canceller = thread::spawn(move || {
            let _ = handle.cancel();
        });
        let (woken, waker) = Woken::new();
        assert!(waiting.enter(cell, waker).is_ok());
        let is_seen = completer.is_cancelled();
        canceller.join().unwrap();
        assert!(is_seen || woken.times() == 1);
        waiting.leave(cell);
        drop(completer);
    });
}

#[test]
fn enter_races_the_end_and_is_woken_or_refused() {
    loom::model(|| {
        let waiting = Arc::new(Waiting::default());
        let end = {
            let waiting = Arc::clone(&waiting);
            thread::spawn(move || waiting.pool_has_ended())
        };
        let (woken, waker) = Woken::new();
        let (completer, _handle) = pair::<()>();
        let is_refused = waiting.enter(completer.id(), waker).is_err();
        end.join().unwrap();
        assert!(is_refused != (woken.times() == 1));
    });
}

#[test]
fn keep_races_the_end_and_what_is_kept_is_dropped_once() {
    loom::model(|| {
        let waiting = Arc::new(Waiting::default());
        let end = {
            let waiting = Arc::clone(&waiting);
            thread::spawn(move || waiting.pool_has_ended())
        };
        let (drops, _waker) = Woken::new();
        let counted = Counted(Arc::clone(&drops));
        waiting.keep(Task::detached(move || drop(counted)));
        end.join().unwrap();
        assert_eq!(drops.times(), 1);
    });
}
