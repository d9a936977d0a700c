//! Proves that every clone of a shared handle gets the outcome, whichever polls, cancels, panics or
//! goes away meanwhile.
#![cfg(not(pool_loom))]
#![expect(
    clippy::disallowed_types,
    clippy::unwrap_used,
    reason = "tests count with std's atomics, and their helpers unwrap"
)]

mod support {
    pub(crate) mod wakes;
}

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use future_result::{
    Cancel, FutureResult, PoolId, Status, TaskError, as_completed, pair, task, task_in,
};

use self::support::wakes::Wakes;

/// Longer than the slowest machine takes; reached only if a wake-up was lost.
const LONG: Duration = Duration::from_secs(100);
const ROUNDS: usize = if cfg!(miri) { 20 } else { 300 };

fn poll<F: Future + Unpin>(future: &mut F, waker: &Waker) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(waker))
}

/// What a [`Scripted`] handle does when it is polled; the wakers are woken by hand.
type OnPoll = Box<dyn FnMut(&mut Context<'_>) -> Poll<Result<u8, TaskError>> + Send>;

/// A handle that does as it is told.
struct Scripted {
    on_poll: OnPoll,
    cancels: Arc<AtomicUsize>,
}

impl Scripted {
    fn new(
        on_poll: impl FnMut(&mut Context<'_>) -> Poll<Result<u8, TaskError>> + Send + 'static,
    ) -> Self {
        Self {
            on_poll: Box::new(on_poll),
            cancels: Arc::default(),
        }
    }
}

impl Future for Scripted {
    type Output = Result<u8, TaskError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        (self.on_poll)(context)
    }
}

impl FutureResult for Scripted {
    type Value = u8;

    fn poll_done(&mut self, context: &mut Context<'_>) -> Poll<()> {
        (self.on_poll)(context).map(drop)
    }

    fn status(&self) -> Status {
        Status::Pending
    }

    fn cancel(&self) -> Cancel {
        self.cancels.fetch_add(1, SeqCst);
        Cancel::Requested
    }
}

/// A scripted handle whose first poll stays inside until told to leave.
struct Inside {
    entered: mpsc::Receiver<Waker>,
    leave: mpsc::Sender<Poll<Result<u8, TaskError>>>,
}

impl Inside {
    fn new() -> (Scripted, Self) {
        let (enter, entered) = mpsc::channel();
        let (leave, left) = mpsc::channel();
        let scripted = Scripted::new(move |context| {
            enter.send(context.waker().clone()).unwrap();
            left.recv().unwrap()
        });
        (scripted, Self { entered, leave })
    }
}

#[test]
fn clones_on_several_threads_all_get_the_outcome() {
    for round in 0..ROUNDS {
        let (completer, handle) = pair::<Arc<usize>>();
        let shared = handle.shared();
        let barrier = Barrier::new(4);
        thread::scope(|scope| {
            for how in 0..3 {
                let (mut clone, barrier) = (shared.clone(), &barrier);
                scope.spawn(move || {
                    barrier.wait();
                    let result = match how {
                        0 => clone.result(),
                        1 => futures_lite::future::block_on(clone),
                        _ => {
                            while !clone.wait_timeout(Duration::from_millis(1)) {}
                            clone.result()
                        }
                    };
                    assert_eq!(*result.unwrap(), round);
                });
            }
            barrier.wait();
            completer.complete(Arc::new(round)).unwrap();
        });
        let value = shared.result().unwrap();
        assert_eq!(Arc::strong_count(&value), 1, "all others are gone");
    }
}

#[test]
fn first_poller_dropped_does_not_strand_the_others() {
    let (completer, handle) = pair();
    let (gone, stays) = (Arc::<Wakes>::default(), Arc::<Wakes>::default());
    let mut first = handle.shared();
    let mut second = first.clone();
    // The first brings the waker to the handle; the second finds it there.
    assert!(poll(&mut first, &Waker::from(gone.clone())).is_pending());
    assert!(poll(&mut second, &Waker::from(stays.clone())).is_pending());
    drop(first);
    assert_eq!(Arc::strong_count(&gone), 1, "its waker went with it");
    completer.complete(1).unwrap();
    assert_eq!((gone.count(), stays.count()), (0, 1));
    assert_eq!(second.result().unwrap(), 1);
}

#[test]
fn woken_clone_dropped_unpolled_does_not_strand_the_others() {
    let (completer, handle) = pair();
    let wakes: [Arc<Wakes>; 3] = Default::default();
    let shared = handle.shared();
    let mut clones = wakes.each_ref().map(|_| shared.clone());
    for (clone, wakes) in clones.iter_mut().zip(&wakes) {
        assert!(poll(clone, &Waker::from(wakes.clone())).is_pending());
    }
    completer.complete(1).unwrap();
    assert_eq!(wakes.each_ref().map(|wakes| wakes.count()), [1; 3]);
    let [one, two, three] = clones;
    drop((one, two));
    assert_eq!(three.result().unwrap(), 1);
    assert_eq!(shared.result().unwrap(), 1);
}

#[test]
fn drops_of_polling_clones_race_complete_and_the_last_is_woken() {
    for round in 0..ROUNDS {
        let (completer, handle) = pair();
        let mut stays = handle.shared();
        let mut goes = stays.clone();
        assert!(poll(&mut goes, Waker::noop()).is_pending());
        let barrier = Barrier::new(3);
        thread::scope(|scope| {
            scope.spawn(|| {
                barrier.wait();
                completer.complete(round).unwrap();
            });
            scope.spawn(|| {
                barrier.wait();
                let _ = poll(&mut goes, Waker::noop());
                drop(goes);
            });
            barrier.wait();
            stays.wait();
        });
        assert_eq!(stays.result().unwrap(), round);
    }
}

#[test]
fn place_of_a_dropped_clone_is_given_to_the_next() {
    let (completer, handle) = pair();
    let shared = handle.shared();
    let mut stays = shared.clone();
    let wakes = Arc::<Wakes>::default();
    assert!(poll(&mut stays, &Waker::from(wakes.clone())).is_pending());
    for _ in 0..10 {
        let mut goes = shared.clone();
        assert!(poll(&mut goes, Waker::noop()).is_pending());
    }
    assert_eq!(wakes.count(), 0, "it was not taken from the one that stays");
    completer.complete(1).unwrap();
    assert_eq!(wakes.count(), 1);
}

#[test]
fn clone_that_finds_the_handle_in_use_is_woken_by_its_user() {
    let (scripted, inside) = Inside::new();
    let mut user = scripted.shared();
    let mut other = user.clone();
    let wakes = Arc::<Wakes>::default();
    thread::scope(|scope| {
        scope.spawn(move || assert!(poll(&mut user, Waker::noop()).is_ready()));
        inside.entered.recv().unwrap();
        assert!(poll(&mut other, &Waker::from(wakes.clone())).is_pending());
        assert_eq!(other.status(), Status::Pending);
        inside.leave.send(Poll::Ready(Ok(1))).unwrap();
    });
    assert_eq!(wakes.count(), 1);
    assert_eq!(other.status(), Status::Succeeded);
    assert_eq!(other.result().unwrap(), 1);
}

#[test]
fn wake_while_the_handle_is_in_use_is_not_lost() {
    /// Reports its wake-ups to a channel.
    struct Reports(mpsc::Sender<()>);

    impl Wake for Reports {
        fn wake(self: Arc<Self>) {
            self.0.send(()).unwrap();
        }
    }

    let (scripted, inside) = Inside::new();
    let mut user = scripted.shared();
    let mut other = user.clone();
    let (report, woken) = mpsc::channel();
    let waker = Waker::from(Arc::new(Reports(report)));
    thread::scope(|scope| {
        // Polls once, and never again by itself.
        scope.spawn(move || drop(poll(&mut user, Waker::noop())));
        let handle_waker = inside.entered.recv().unwrap();
        assert!(poll(&mut other, &waker).is_pending());
        // The outcome comes after the poll has looked for it and before it is back.
        handle_waker.wake();
        woken.recv().unwrap();
        assert!(poll(&mut other, &waker).is_pending(), "still in use");
        inside.leave.send(Poll::Pending).unwrap();
        inside.leave.send(Poll::Ready(Ok(2))).unwrap();
        // The user looks once more, or tells the other to do so.
        loop {
            woken.recv_timeout(LONG).expect("nobody looks any more");
            if let Poll::Ready(result) = poll(&mut other, &waker) {
                assert_eq!(result.unwrap(), 2);
                return;
            }
        }
    });
}

#[test]
fn cancel_while_another_clone_polls_reaches_the_handle() {
    let (scripted, inside) = Inside::new();
    let cancels = scripted.cancels.clone();
    let mut user = scripted.shared();
    let other = user.clone();
    thread::scope(|scope| {
        scope.spawn(move || assert!(poll(&mut user, Waker::noop()).is_ready()));
        inside.entered.recv().unwrap();
        assert_eq!(other.cancel(), Cancel::Requested);
        assert_eq!(cancels.load(SeqCst), 0, "the handle is in use");
        inside.leave.send(Poll::Pending).unwrap();
        // The user cancels on the other's behalf, and looks again.
        inside.entered.recv().unwrap();
        assert_eq!(cancels.load(SeqCst), 1);
        inside
            .leave
            .send(Poll::Ready(Err(TaskError::Cancelled)))
            .unwrap();
    });
    assert!(matches!(other.result(), Err(TaskError::Cancelled)));
}

#[test]
fn cancel_races_polls_and_all_clones_hear_of_it() {
    for _ in 0..ROUNDS {
        let (task, handle) = task(|| 1);
        let shared = handle.shared();
        let barrier = Barrier::new(3);
        thread::scope(|scope| {
            for _ in 0..2 {
                let (clone, barrier) = (shared.clone(), &barrier);
                scope.spawn(move || {
                    barrier.wait();
                    assert!(matches!(clone.result(), Err(TaskError::Cancelled)));
                });
            }
            barrier.wait();
            assert_ne!(shared.cancel(), Cancel::TooLate);
        });
        assert!(task.is_stale());
        assert_eq!(shared.status(), Status::Cancelled);
        assert_eq!(shared.cancel(), Cancel::Prevented);
    }
}

#[test]
fn cancel_answers_as_the_handle_does() {
    let (cancelled, handle) = task(|| 1);
    let shared = handle.shared();
    assert_eq!(shared.cancel(), Cancel::Prevented);
    assert_eq!(shared.clone().cancel(), Cancel::Prevented);
    assert!(cancelled.is_stale());

    let (mut completer, handle) = pair();
    let shared = handle.shared();
    assert!(completer.start());
    assert_eq!(shared.cancel(), Cancel::Requested);
    assert!(completer.is_cancelled());
    completer.complete(1).unwrap();
    assert_eq!(shared.cancel(), Cancel::TooLate);
    assert_eq!(shared.result().unwrap(), 1);
}

#[test]
fn poll_that_panics_reaches_its_poller_and_the_others_get_lost() {
    let (enter, entered) = mpsc::channel();
    let (leave, left) = mpsc::channel::<()>();
    let mut shared = Scripted::new(move |_| {
        enter.send(()).unwrap();
        left.recv().unwrap_err();
        resume_unwind(Box::new("from poll"))
    })
    .shared();
    let mut other = shared.clone();
    let wakes = Arc::<Wakes>::default();
    thread::scope(|scope| {
        let poller = scope.spawn(move || {
            catch_unwind(AssertUnwindSafe(|| poll(&mut shared, Waker::noop()))).unwrap_err()
        });
        entered.recv().unwrap();
        assert!(poll(&mut other, &Waker::from(wakes.clone())).is_pending());
        drop(leave);
        let payload = poller.join().unwrap();
        assert_eq!(*payload.downcast::<&str>().unwrap(), "from poll");
    });
    assert_eq!(wakes.count(), 1, "left waiting forever");
    assert!(matches!(other.result(), Err(TaskError::Lost(_))));
}

#[test]
fn clone_of_the_value_that_panics_costs_its_taker_alone() {
    #[derive(Debug)]
    struct PanicsOnce(Arc<AtomicBool>);

    impl Clone for PanicsOnce {
        fn clone(&self) -> Self {
            if self.0.swap(false, SeqCst) {
                resume_unwind(Box::new(()));
            }
            Self(self.0.clone())
        }
    }

    let armed = Arc::new(AtomicBool::new(true));
    let (completer, handle) = pair();
    let mut first = handle.shared();
    let second = first.clone();
    completer.complete(PanicsOnce(armed.clone())).unwrap();
    assert!(catch_unwind(AssertUnwindSafe(|| poll(&mut first, Waker::noop()))).is_err());
    assert!(second.result().is_ok());
    assert!(first.result().is_ok());
    assert_eq!(Arc::strong_count(&armed), 1);
}

#[test]
fn handle_that_wakes_itself_gives_its_poller_the_turn_back() {
    // Like a future that yields to its executor; tokio's own do so when their budget is used up.
    const FAR_TOO_OFTEN: usize = 1000;
    let polls = Arc::new(AtomicUsize::new(0));
    let count = polls.clone();
    let mut shared = Scripted::new(move |context| {
        if count.fetch_add(1, SeqCst) == FAR_TOO_OFTEN {
            return Poll::Ready(Ok(1));
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .shared();
    let wakes = Arc::<Wakes>::default();
    let polled = poll(&mut shared, &Waker::from(wakes.clone()));
    assert!(
        polled.is_pending(),
        "it spun {} times within one poll",
        polls.load(SeqCst)
    );
    assert!(wakes.count() > 0, "and must be polled again");
}

#[test]
fn wish_to_cancel_on_any_look_does_not_hide_a_wake_up() {
    // A clone looks several times before it gives up its turn; the request may come at any of them, even the last.
    for wish_at in 1..20 {
        let other = Arc::new(Mutex::new(None::<future_result::Shared<Scripted>>));
        let (wakes, inner) = (Arc::<Wakes>::default(), other.clone());
        let waker = Waker::from(wakes.clone());
        let woken_before = Arc::new(AtomicUsize::new(0));
        let (before, count) = (woken_before.clone(), wakes.clone());
        let mut looks = 0;
        let mut user = Scripted::new(move |context| {
            looks += 1;
            if looks > wish_at + 1 {
                return Poll::Ready(Ok(looks));
            }
            context.waker().wake_by_ref();
            let mut other = inner.lock().unwrap();
            let other = other.as_mut().unwrap();
            // Was woken, and finds the handle in use.
            assert!(poll(other, &waker).is_pending());
            before.store(count.count(), SeqCst);
            if looks == wish_at {
                assert_eq!(other.cancel(), Cancel::Requested);
            }
            Poll::Pending
        })
        .shared();
        *other.lock().unwrap() = Some(user.clone());
        // Looks as often as it likes in one turn, and is gone.
        let _ = poll(&mut user, Waker::noop());
        drop(user);
        // The other owns itself through its script.
        drop(other.lock().unwrap().take());
        assert!(
            wakes.count() > woken_before.load(SeqCst),
            "the other sleeps through what has happened on look {}",
            wish_at + 1,
        );
    }
}

#[test]
fn last_clone_dropped_detaches_and_earlier_ones_do_nothing() {
    let (detached, handle) = task(|| 1);
    let shared = handle.shared();
    drop(shared.clone());
    assert!(!detached.is_stale());
    drop(shared);
    assert!(!detached.is_stale(), "detached, not cancelled");
    detached.run();

    let (completer, handle) = pair();
    let shared = handle.shared();
    drop(shared.clone());
    drop(shared);
    assert_eq!(completer.complete(1), Err(1));
}

#[test]
fn last_clone_dropped_cancels_what_was_to_be_cancelled_on_drop() {
    let (task, handle) = task(|| 1);
    let shared = handle.cancel_on_drop().shared();
    let other = shared.clone();
    drop(shared);
    assert!(!task.is_stale());
    drop(other);
    assert!(task.is_stale());
}

#[test]
fn outcome_is_there_for_clones_made_later_and_polled_again() {
    let (completer, handle) = pair();
    let mut shared = handle.shared();
    completer.complete(String::from("kept")).unwrap();
    for _ in 0..2 {
        let Poll::Ready(result) = poll(&mut shared, Waker::noop()) else {
            unreachable!("it is done")
        };
        assert_eq!(result.unwrap(), "kept");
    }
    assert_eq!(shared.clone().shared().result().unwrap(), "kept");
    assert_eq!(shared.status(), Status::Succeeded);
}

#[test]
fn clones_in_one_set_are_each_yielded_once() {
    let (completer, handle) = pair();
    let shared = handle.shared();
    let mut completed = as_completed(vec![shared.clone(), shared.clone(), shared]);
    completer.complete(3).unwrap();
    let mut places: Vec<usize> = completed
        .by_ref()
        .map(|(place, result)| {
            assert_eq!(result.unwrap(), 3);
            place
        })
        .collect();
    places.sort_unstable();
    assert_eq!(places, [0, 1, 2]);
}

#[test]
fn worker_that_waits_for_a_clone_runs_the_task_in_place() {
    let pool = PoolId::new();
    let (tombstone, handle) = task_in(pool, || 5);
    let shared = handle.shared();
    let mut other = shared.clone();
    let wakes = Arc::<Wakes>::default();
    assert!(poll(&mut other, &Waker::from(wakes.clone())).is_pending());
    assert_eq!(pool.enter(|| shared.result()).unwrap(), 5);
    assert_eq!(wakes.count(), 1);
    assert_eq!(other.result().unwrap(), 5);
    assert!(tombstone.is_stale());
}

#[test]
fn handle_polled_inside_itself_stays_pending_and_does_not_hang() {
    let own = Arc::new(Mutex::new(None::<future_result::Shared<Scripted>>));
    let inner = own.clone();
    let mut polls = 0;
    let shared = Scripted::new(move |_| {
        polls += 1;
        if polls == 1 {
            let mut own = inner.lock().unwrap().take().unwrap();
            assert!(poll(&mut own, Waker::noop()).is_pending());
            assert_eq!(own.status(), Status::Pending);
            assert_eq!(own.cancel(), Cancel::Requested);
        }
        Poll::Ready(Ok(polls))
    })
    .shared();
    *own.lock().unwrap() = Some(shared.clone());
    assert_eq!(shared.result().unwrap(), 1);
}
