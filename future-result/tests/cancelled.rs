//! Waits for a cancellation.
#![cfg(not(pool_loom))]
#![expect(
    clippy::disallowed_types,
    reason = "what a test counts with is no part of the library"
)]

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use future_result::{Cancel, CancelToken, Cancelled, FutureResult, pair, task};

#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Wakes {
    fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

fn poll(cancelled: &mut Cancelled, wakes: &Arc<Wakes>) -> Poll<()> {
    let waker = Waker::from(Arc::clone(wakes));
    Pin::new(cancelled).poll(&mut Context::from_waker(&waker))
}

#[test]
fn all_who_wait_for_it_are_woken_once_and_nobody_else() {
    let (mut completer, handle) = pair::<()>();
    assert!(completer.start());
    let (other, other_handle) = pair::<()>();
    let wakes = [(); 3].map(|()| Arc::new(Wakes::default()));
    let mut ours = [completer.token().cancelled(), completer.token().cancelled()];
    let mut others = other.token().cancelled();

    for (cancelled, wakes) in ours.iter_mut().zip(&wakes) {
        assert!(poll(cancelled, wakes).is_pending());
    }
    assert!(poll(&mut others, &wakes[2]).is_pending());
    assert_eq!(handle.cancel(), Cancel::Requested);
    assert_eq!(handle.cancel(), Cancel::Requested);
    assert_eq!(wakes.each_ref().map(|wakes| wakes.get()), [1, 1, 0]);
    for (cancelled, wakes) in ours.iter_mut().zip(&wakes) {
        assert!(poll(cancelled, wakes).is_ready());
    }
    assert!(poll(&mut others, &wakes[2]).is_pending());
    drop((completer, other, other_handle));
}

#[test]
fn what_was_cancelled_before_it_began_tells_those_who_wait() {
    let (completer, handle) = pair::<()>();
    let mut cancelled = completer.token().cancelled();
    let wakes = Arc::new(Wakes::default());
    assert!(poll(&mut cancelled, &wakes).is_pending());
    assert_eq!(handle.cancel(), Cancel::Prevented);
    assert_eq!(wakes.get(), 1);
    assert!(poll(&mut cancelled, &wakes).is_ready());
    assert!(completer.token().wait_timeout(Duration::MAX));
}

#[test]
fn the_latest_waker_is_the_one_that_is_woken() {
    let (completer, handle) = pair::<()>();
    let mut cancelled = completer.token().cancelled();
    let [first, second] = [(); 2].map(|()| Arc::new(Wakes::default()));
    assert!(poll(&mut cancelled, &first).is_pending());
    assert!(poll(&mut cancelled, &second).is_pending());
    assert_eq!(Arc::strong_count(&first), 1);
    let _ = handle.cancel();
    assert_eq!([first.get(), second.get()], [0, 1]);
}

#[test]
fn a_wait_that_is_given_up_leaves_no_waker_behind() {
    let (completer, handle) = pair::<()>();
    let mut cancelled = completer.token().cancelled();
    let wakes = Arc::new(Wakes::default());
    assert!(poll(&mut cancelled, &wakes).is_pending());
    assert_eq!(Arc::strong_count(&wakes), 2);
    drop(cancelled);
    assert_eq!(Arc::strong_count(&wakes), 1);
    let _ = handle.cancel();
    assert_eq!(wakes.get(), 0);
}

#[test]
fn a_wait_ends_when_the_task_that_waits_is_cancelled() {
    let (started, wait_for_start) = mpsc::channel();
    let (task, handle) = task(move || {
        let token = CancelToken::current();
        started.send(()).unwrap();
        token.wait_timeout(Duration::MAX)
    });
    let worker = std::thread::spawn(|| task.run());
    wait_for_start.recv().unwrap();
    assert_eq!(handle.cancel(), Cancel::Requested);
    assert!(handle.result().unwrap());
    worker.join().unwrap();
}

#[test]
fn a_wait_that_nobody_cancels_ends_at_its_limit() {
    assert!(!CancelToken::current().wait_timeout(Duration::ZERO));
    let (task, handle) = task(|| CancelToken::current().wait_timeout(Duration::from_millis(1)));
    task.run();
    assert!(!handle.result().unwrap());
}

#[test]
fn a_waker_that_panics_harms_neither_the_canceller_nor_its_neighbours() {
    struct Bad;
    impl Wake for Bad {
        fn wake(self: Arc<Self>) {
            panic!("a bad waker");
        }
    }

    let (completer, handle) = pair::<()>();
    let wakes = Arc::new(Wakes::default());
    let mut bad = completer.token().cancelled();
    let waker = Waker::from(Arc::new(Bad));
    let polled = Pin::new(&mut bad).poll(&mut Context::from_waker(&waker));
    assert!(polled.is_pending());
    let mut good = completer.token().cancelled();
    assert!(poll(&mut good, &wakes).is_pending());
    assert_eq!(handle.cancel(), Cancel::Prevented);
    assert_eq!(wakes.get(), 1);
}
