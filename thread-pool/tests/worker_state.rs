//! Proves that each worker has a state of its own, from before its first task until after its last.
#![cfg(not(pool_loom))]
#![expect(clippy::disallowed_types, reason = "tests count with std's atomics")]

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::thread::{self, ThreadId};

use thread_pool::{
    FutureResult, Rejection, TaskError, ThreadPoolExecutor, try_join_all, with_worker_state,
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
    // What comes before the panic still runs.
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
