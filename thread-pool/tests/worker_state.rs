//! Proves that each worker has a state of its own, from before its first task until after its last.
#![cfg(not(pool_loom))]
#![expect(clippy::disallowed_types, reason = "tests count with std's atomics")]

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Barrier, Mutex, OnceLock};
use std::thread::{self, ThreadId};

use thread_pool::{
    BuildError, FutureResult, Rejection, TaskError, ThreadPoolExecutor, try_join_all,
    with_worker_state,
};

#[test]
fn each_worker_has_its_own_and_it_need_not_be_send() {
    let builder = ThreadPoolExecutor::builder().workers(3);
    let pool = builder
        .worker_state(|index| Rc::new(Cell::new(1000 * index)))
        .build()
        .unwrap();
    for round in 0..5 {
        let barrier = Arc::new(Barrier::new(3));
        let jobs = (0..3).map(|_| {
            let barrier = Arc::clone(&barrier);
            move || {
                barrier.wait();
                with_worker_state(|state: &Rc<Cell<usize>>| state.replace(state.get() + 1))
            }
        });
        let mut seen = try_join_all(pool.submit_all(jobs)).unwrap();
        seen.sort();
        assert_eq!(seen, [round, 1000 + round, 2000 + round].map(Some));
    }
}

#[test]
fn it_is_made_after_the_initializer_on_its_worker() {
    thread_local!(static INITIALIZED: Cell<bool> = const { Cell::new(false) });
    let builder = ThreadPoolExecutor::builder().workers(2);
    let builder = builder.initializer(|_| INITIALIZED.set(true));
    let make = |_| (INITIALIZED.get(), thread::current().id());
    let pool = builder.worker_state(make).build().unwrap();
    let job =
        || with_worker_state(|state: &(bool, ThreadId)| *state == (true, thread::current().id()));
    assert_eq!(pool.submit(job).result().unwrap(), Some(true));
}

#[test]
fn there_is_none_outside_nor_of_another_type_nor_in_another_pool() {
    let with = ThreadPoolExecutor::builder()
        .workers(1)
        .worker_state(|_| 7_u32);
    let with = with.build().unwrap();
    let without = ThreadPoolExecutor::new(1).unwrap();
    let job = || {
        (
            with_worker_state(|n: &u32| *n),
            with_worker_state(|n: &u64| *n),
        )
    };
    assert_eq!(with.submit(job).result().unwrap(), (Some(7), None));
    assert_eq!(without.submit(job).result().unwrap(), (None, None));
    assert_eq!(job(), (None, None));
}

#[test]
fn it_is_dropped_once_on_its_worker_before_the_exit_hook() {
    struct Logged(Arc<Mutex<Vec<(&'static str, ThreadId)>>>, ThreadId);

    impl Drop for Logged {
        fn drop(&mut self) {
            assert_eq!(self.1, thread::current().id());
            self.0
                .lock()
                .unwrap()
                .push(("state", thread::current().id()));
        }
    }

    let log = Arc::new(Mutex::new(Vec::new()));
    let (in_state, in_hook) = (Arc::clone(&log), Arc::clone(&log));
    let pool = ThreadPoolExecutor::builder()
        .workers(3)
        .worker_state(move |_| Logged(Arc::clone(&in_state), thread::current().id()))
        .exit_hook(move |_| {
            in_hook
                .lock()
                .unwrap()
                .push(("hook", thread::current().id()))
        })
        .build()
        .unwrap();
    pool.submit(|| ()).result().unwrap();
    assert!(log.lock().unwrap().is_empty());
    pool.shutdown().unwrap();
    let log = log.lock().unwrap();
    assert_eq!(log.len(), 6);
    let states = log
        .iter()
        .enumerate()
        .filter(|(_, (what, _))| *what == "state");
    for (place, (_, worker)) in states {
        let later = &log[place + 1..];
        assert_eq!(
            later
                .iter()
                .filter(|entry| **entry == ("hook", *worker))
                .count(),
            1
        );
    }
}

#[test]
fn a_factory_that_panics_breaks_the_pool() {
    let builder = ThreadPoolExecutor::builder().workers(2);
    let make = |index: usize| assert_eq!(index, 0, "no state for the second");
    let pool = builder.worker_state(make).build().unwrap();
    let is_broken = |error: TaskError| matches!(error, TaskError::Rejected(Rejection::Broken));
    // Until the panic, tasks still run.
    while pool.submit(|| ()).result().is_ok() {}
    assert!(is_broken(pool.submit(|| ()).result().unwrap_err()));
}

#[test]
fn a_panic_in_its_destructor_is_contained() {
    struct Bad;

    impl Drop for Bad {
        fn drop(&mut self) {
            panic!("bad manners");
        }
    }

    let hooks = Arc::new(AtomicUsize::new(0));
    let in_hook = Arc::clone(&hooks);
    let pool = ThreadPoolExecutor::builder()
        .workers(2)
        .worker_state(|_| Bad)
        .exit_hook(move |_| {
            in_hook.fetch_add(1, Ordering::Relaxed);
        })
        .build()
        .unwrap();
    pool.shutdown().unwrap();
    assert_eq!(hooks.load(Ordering::Relaxed), 2);
}

#[test]
fn a_task_that_is_run_in_place_shares_it_with_the_one_that_waits() {
    let builder = ThreadPoolExecutor::builder().workers(1);
    let pool = builder
        .worker_state(|_| RefCell::new(Vec::<&str>::new()))
        .build();
    let pool = Arc::new(pool.unwrap());
    let same = Arc::clone(&pool);
    let seen = pool.submit(move || {
        with_worker_state(|log: &RefCell<Vec<&str>>| {
            log.borrow_mut().push("outer");
            let inner =
                || with_worker_state(|log: &RefCell<Vec<&str>>| log.borrow_mut().push("inner"));
            assert_eq!(same.submit(inner).result().unwrap(), Some(()));
            log.borrow_mut().push("outer again");
            log.borrow().clone()
        })
    });
    let seen = seen.result().unwrap().unwrap();
    assert_eq!(seen, ["outer", "inner", "outer again"]);
}

#[test]
fn a_panic_of_its_user_leaves_it_there() {
    let builder = ThreadPoolExecutor::builder().workers(1);
    let pool = builder.worker_state(|_| Cell::new(0_u32)).build().unwrap();
    let panicked = pool.submit(|| {
        with_worker_state(|state: &Cell<u32>| {
            state.set(5);
            panic!("no luck today")
        })
        .unwrap_or(())
    });
    assert!(matches!(panicked.result(), Err(TaskError::Panicked(_))));
    let state = pool.submit(|| with_worker_state(Cell::<u32>::get));
    assert_eq!(state.result().unwrap(), Some(5));
}

#[test]
fn a_state_that_cannot_be_made_is_the_error_of_build_and_the_others_are_dropped() {
    let left = Arc::new(AtomicUsize::new(0));
    let in_hook = Arc::clone(&left);
    let kept = Arc::new(());
    let in_state = Arc::clone(&kept);
    let error = ThreadPoolExecutor::builder()
        .workers(3)
        .try_worker_state(move |index| match index {
            1 => Err("the database is away"),
            _ => Ok(Arc::clone(&in_state)),
        })
        .exit_hook(move |_| {
            in_hook.fetch_add(1, Ordering::Relaxed);
        })
        .build()
        .unwrap_err();
    assert!(matches!(&error, BuildError::State(_)));
    assert_eq!(
        error.to_string(),
        "a worker could not make its state: the database is away"
    );
    assert_eq!(left.load(Ordering::Relaxed), 3, "all have left");
    assert_eq!(Arc::strong_count(&kept), 1, "with what they had made");
}

#[test]
fn a_pool_that_was_built_has_the_state_for_every_task() {
    let builder = ThreadPoolExecutor::builder().workers(3);
    let builder = builder.try_worker_state(u32::try_from);
    let pool = builder.build().unwrap();
    let jobs = (0..100).map(|_| || with_worker_state(|index: &u32| *index < 3));
    let seen = try_join_all(pool.submit_all(jobs)).unwrap();
    assert_eq!(seen, [Some(true); 100]);
}

/// A pool that grows to two; its second worker asks the test how making its state goes.
#[expect(clippy::unwrap_used, reason = "in a test, a panic reports a failure")]
fn growing() -> (
    ThreadPoolExecutor,
    Receiver<()>,
    Sender<Result<u32, &'static str>>,
) {
    let (asks, asked) = channel();
    let (answer, answers) = channel();
    let answers = Mutex::new(answers);
    let make = move |index| {
        if index == 0 {
            return Ok(0);
        }
        asks.send(()).unwrap();
        answers
            .lock()
            .unwrap()
            .recv()
            .unwrap_or(Err("the test is over"))
    };
    let builder = ThreadPoolExecutor::builder().workers(2).min_workers(1);
    let pool = builder.try_worker_state(make).build().unwrap();
    (pool, asked, answer)
}

#[test]
fn a_later_worker_without_a_state_runs_nothing_and_is_started_anew_by_later_work() {
    let (pool, asked, answer) = growing();
    let (go, wait_for_go) = channel::<()>();
    let busy = pool.submit(move || wait_for_go.recv().is_err());
    let state = || with_worker_state(|state: &u32| *state);
    let first = pool.submit(state);
    asked.recv().unwrap();
    answer.send(Err("not yet")).unwrap();
    // Until it has left, nobody is started in its place.
    let mut later = Vec::new();
    while asked.try_recv().is_err() {
        later.push(pool.submit(state));
        thread::yield_now();
    }
    assert!(!first.is_done());
    answer.send(Ok(7)).unwrap();
    assert_eq!(first.result().unwrap(), Some(7));
    for state in later {
        assert_eq!(state.result().unwrap(), Some(7));
    }
    drop(go);
    assert!(busy.result().unwrap());
    pool.shutdown().unwrap();
}

#[test]
fn what_waits_for_a_worker_without_a_state_is_run_by_the_others_and_its_mail_is_lost() {
    let (pool, asked, answer) = growing();
    let (go, wait_for_go) = channel::<()>();
    let busy = pool.submit(move || wait_for_go.recv().is_err());
    let queued = pool.submit(|| with_worker_state(|state: &u32| *state));
    asked.recv().unwrap();
    let mut everywhere = pool.broadcast(|index| index);
    assert_eq!(everywhere.len(), 2);
    answer.send(Err("never")).unwrap();
    let lost = everywhere.remove(1).result();
    assert!(matches!(&lost, Err(TaskError::Lost(cause)) if cause.to_string().contains("state")));
    drop(go);
    assert!(busy.result().unwrap());
    assert_eq!(queued.result().unwrap(), Some(0));
    assert_eq!(everywhere.remove(0).result().unwrap(), 0);
    pool.shutdown().unwrap();
}

#[test]
fn what_the_making_has_submitted_is_run_also_if_there_is_no_state() {
    let pool = Arc::new(OnceLock::<ThreadPoolExecutor>::new());
    let (sender, handles) = channel();
    // Or the pool would keep itself alive.
    let inside = Arc::downgrade(&pool);
    let make = move |index| {
        if index == 0 {
            return Ok(());
        }
        if let Some(pool) = inside.upgrade().as_ref().and_then(|it| it.get()) {
            sender.send(pool.submit(thread::current)).unwrap();
        }
        Err("none")
    };
    let builder = ThreadPoolExecutor::builder()
        .workers(2)
        .min_workers(1)
        .name("some");
    let built = builder.try_worker_state(make).build().unwrap();
    let pool = pool.get_or_init(|| built);
    let (go, wait_for_go) = channel::<()>();
    let busy = pool.submit(move || wait_for_go.recv().is_err());
    let queued = pool.submit(|| ());
    let inner = handles.recv().unwrap();
    drop(go);
    assert_eq!(inner.result().unwrap().name(), Some("some-0"));
    assert!(busy.result().unwrap());
    queued.result().unwrap();
}

#[test]
fn making_that_panics_breaks_the_pool_also_where_it_may_fail() {
    let make = |_: usize| -> Result<u32, TaskError> { panic!("no manners") };
    let builder = ThreadPoolExecutor::builder().workers(1);
    let pool = builder.try_worker_state(make).build().unwrap();
    let refused = pool.submit(|| ()).result();
    assert!(matches!(
        refused,
        Err(TaskError::Rejected(Rejection::Broken))
    ));
}
