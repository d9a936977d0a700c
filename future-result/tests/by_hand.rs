//! Proves that a task that hands on its cell is a task until it runs and a pair afterwards.
#![cfg(not(pool_loom))]
#![expect(clippy::disallowed_types, reason = "tests count with std's atomics")]

mod support {
    pub(crate) mod drops;
}

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, mpsc};

use future_result::{
    Cancel, CellId, Completer, FutureResult, InPlace, PoolId, Status, TaskError, task_by_hand,
};

use self::support::drops::Drops;

/// Counts how often it is told.
fn counting_hook(told: &Arc<AtomicUsize>) -> impl Fn(CellId) + Send + Sync + 'static {
    let told = Arc::clone(told);
    move |_| {
        told.fetch_add(1, SeqCst);
    }
}

#[test]
fn a_task_by_hand_ends_when_its_completer_says_so_and_not_when_its_closure_returns() {
    let told = Arc::new(AtomicUsize::new(0));
    let pool = PoolId::new();
    let (hand_over, handed) = mpsc::channel();
    let (task, mut handle) = task_by_hand(pool, counting_hook(&told), move |completer| {
        hand_over.send(completer).unwrap();
    });
    // Not even its own pool's worker can run it in place.
    assert_eq!(pool.enter(|| handle.run_in_place()), InPlace::Never);
    assert_eq!(task.run_unless(|| None), Some(Status::Succeeded));
    assert_eq!(handle.status(), Status::Pending);
    let completer: Completer<Box<u64>> = handed.recv().unwrap();
    assert_eq!(handle.cancel(), Cancel::Requested);
    assert!(completer.is_cancelled());
    assert_eq!(told.load(SeqCst), 1);
    completer.complete(Box::new(7)).unwrap();
    assert_eq!(*handle.result().unwrap(), 7);
    assert_eq!(Arc::strong_count(&told), 1);
}

#[test]
fn a_hook_of_a_task_by_hand_is_told_which_task_it_is() {
    let (told, hears) = mpsc::channel();
    let (hand_over, handed) = mpsc::channel();
    let hook = move |cell| told.send(cell).unwrap();
    let (task, handle) = task_by_hand(PoolId::new(), hook, move |completer| {
        hand_over.send(completer).unwrap();
    });
    task.run();
    let completer: Completer<()> = handed.recv().unwrap();
    let _ = handle.cancel();
    assert_eq!(hears.recv().unwrap(), completer.id());
}

#[test]
fn a_task_by_hand_that_never_runs_drops_its_closure_and_says_why() {
    let drops = Drops::default();
    let told = Arc::new(AtomicUsize::new(0));
    let make = || {
        let guard = drops.guard();
        task_by_hand::<_, u64, _>(PoolId::new(), counting_hook(&told), move |_| {
            let _guard = &guard;
            unreachable!("it never runs")
        })
    };
    let (task, handle) = make();
    assert_eq!(handle.cancel(), Cancel::Prevented);
    assert_eq!(drops.count(), 1);
    assert!(task.is_stale());
    assert_eq!(task.run_unless(|| None), Some(Status::Cancelled));
    assert!(matches!(handle.result(), Err(TaskError::Cancelled)));

    let (task, handle) = make();
    drop(task);
    assert!(matches!(handle.result(), Err(TaskError::Lost(_))));

    let (task, handle) = make();
    let status = task.run_unless(|| Some(TaskError::Cancelled));
    assert_eq!(status, Some(Status::Cancelled));
    assert!(matches!(handle.result(), Err(TaskError::Cancelled)));

    let (task, handle) = make();
    drop(handle);
    task.fail(TaskError::TimedOut);

    assert_eq!(drops.count(), 4);
    assert_eq!(told.load(SeqCst), 0);
    assert_eq!(Arc::strong_count(&told), 1);
}

#[test]
fn a_task_by_hand_whose_closure_panics_is_lost_unless_it_was_handed_on() {
    let (task, handle) = task_by_hand::<_, u64, _>(PoolId::new(), |_| (), |_| panic!("too early"));
    assert_eq!(task.run_unless(|| None), Some(Status::Failed));
    assert!(matches!(handle.result(), Err(TaskError::Lost(_))));

    let (hand_over, handed) = mpsc::channel();
    let (task, handle) = task_by_hand(
        PoolId::new(),
        |_| (),
        move |completer| {
            hand_over.send(completer).unwrap();
            panic!("too late")
        },
    );
    assert_eq!(task.run_unless(|| None), Some(Status::Failed));
    let completer: Completer<u64> = handed.recv().unwrap();
    completer.complete(3).unwrap();
    assert_eq!(handle.result().unwrap(), 3);
}
