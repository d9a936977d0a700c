//! Proves that destructors, which are user code, can do their worst: panic, wait, hold the cell that
//! they lie in, or never run.
#![cfg(not(pool_loom))]
#![expect(
    clippy::disallowed_types,
    reason = "tests count and coordinate with std's atomics and locks"
)]

mod support {
    pub(crate) mod drops;
}

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use future_result::{
    Cancel, CancelToken, FutureResult, JoinHandle, Map, TaskError, pair, run_chunk, task,
};

use self::support::drops::{Drops, Guard};

/// Panics when dropped, without a report and without anything allocated.
struct PanicsOnDrop(#[expect(dead_code, reason = "it is there to be dropped")] Guard);

impl Drop for PanicsOnDrop {
    fn drop(&mut self) {
        if !thread::panicking() {
            resume_unwind(Box::new(()));
        }
    }
}

/// Every combination of the flags.
fn flags<const N: usize>() -> impl Iterator<Item = [bool; N]> {
    (0..1_u32 << N).map(|bits| std::array::from_fn(|bit| bits >> bit & 1 == 1))
}

#[test]
fn leaked_ends_leave_the_other_end_working() {
    /// What is in here is never dropped, yet no leak to a leak detector.
    static LEAKED: Mutex<Vec<Box<dyn std::any::Any + Send>>> = Mutex::new(Vec::new());
    let leak = |end: Box<dyn std::any::Any + Send>| LEAKED.lock().unwrap().push(end);

    let value = Drops::default();
    let guard = value.guard();
    let (completer, handle) = pair::<Guard>();
    leak(Box::new(handle));
    assert!(
        completer.complete(guard).is_ok(),
        "its handle might still come"
    );
    assert_eq!(value.count(), 0);

    let (completer, handle) = pair::<u8>();
    leak(Box::new(completer));
    let Err(handle) = handle.result_timeout(Duration::ZERO) else {
        unreachable!("nobody completes it")
    };
    assert_eq!(handle.cancel(), Cancel::Prevented);
    assert!(matches!(handle.result(), Err(TaskError::Cancelled)));

    let (completer, handle) = pair();
    let token = completer.token();
    leak(Box::new(token.clone()));
    completer.complete(1).unwrap();
    assert_eq!(handle.result().unwrap(), 1);
    assert!(
        !token.is_cancelled(),
        "the cell lives as long as its tokens"
    );

    let closure = Drops::default();
    let guard = closure.guard();
    let (task, handle) = task(move || drop(guard));
    leak(Box::new(task));
    assert_eq!(handle.cancel(), Cancel::Prevented);
    assert_eq!(closure.count(), 1);
}

#[test]
fn dropping_a_value_that_panics_frees_the_cell_and_reaches_the_dropper() {
    let value = Drops::default();
    let (completer, handle) = pair();
    let token = completer.token();
    assert!(completer.complete(PanicsOnDrop(value.guard())).is_ok());
    assert!(catch_unwind(AssertUnwindSafe(|| drop(handle))).is_err());
    assert_eq!(value.count(), 1);
    assert!(!token.is_cancelled());
}

#[test]
fn dropping_a_value_that_panics_does_not_reach_the_runner() {
    let value = Drops::default();
    let guard = value.guard();
    let (task, handle) = task(|| PanicsOnDrop(guard));
    drop(handle);
    task.run();
    assert_eq!(value.count(), 1);
}

#[test]
fn dropping_a_closure_that_panics_completes_all_the_same() {
    let closure = Drops::default();
    let captured = PanicsOnDrop(closure.guard());
    let (unrun, handle) = task(move || drop(captured));
    assert_eq!(handle.cancel(), Cancel::Prevented);
    assert_eq!(closure.count(), 1);
    assert!(matches!(handle.result(), Err(TaskError::Cancelled)));
    unrun.run();

    let captured = PanicsOnDrop(closure.guard());
    let (unrun, handle) = task(move || drop(captured));
    drop(unrun);
    assert_eq!(closure.count(), 2);
    assert!(matches!(handle.result(), Err(TaskError::Lost(_))));
}

#[test]
fn captured_drop_that_panics_after_the_value_was_made_is_a_panic() {
    let closure = Drops::default();
    let captured = PanicsOnDrop(closure.guard());
    let (task, handle) = task(move || {
        let _captured = captured;
        1
    });
    task.run();
    assert!(matches!(handle.result(), Err(TaskError::Panicked(_))));
    assert_eq!(closure.count(), 1);
}

#[test]
fn payload_whose_drop_panics_is_contained_where_nobody_takes_it() {
    let payload = Drops::default();
    let guard = payload.guard();
    let (task, handle) = task(move || resume_unwind(Box::new(PanicsOnDrop(guard))));
    drop(handle);
    task.run();
    assert_eq!(payload.count(), 1);
}

#[test]
fn value_whose_drop_panics_does_not_keep_a_map_from_cancelling_the_rest() {
    for detaches in [false, true] {
        let drops = Drops::default();
        let mut queued = Vec::new();
        let submit = |items: Vec<usize>| {
            let drops = drops.clone();
            let is_last = items == [3];
            let value = move |_| PanicsOnDrop(drops.guard());
            let (task, handle) = task(move || run_chunk(&value, items));
            if is_last {
                queued.push(task);
            } else {
                task.run();
            }
            handle
        };
        let mut map = Map::new(0..4, submit, 4);
        assert!(catch_unwind(AssertUnwindSafe(|| drop(map.next()))).is_err());
        // Two values that panic, and a task that has not started.
        if detaches {
            map.detach();
        } else {
            drop(map);
        }
        assert_eq!(queued[0].is_stale(), !detaches);
        assert_eq!(drops.count(), 3);
    }
}

#[test]
fn completer_dropped_by_an_unwinding_thread_tells_its_handle() {
    let (completer, handle) = pair::<()>();
    let unwound = catch_unwind(AssertUnwindSafe(move || {
        let _completer = completer;
        resume_unwind(Box::new(()));
    }));
    assert!(unwound.is_err());
    assert!(matches!(handle.result(), Err(TaskError::Lost(_))));
}

#[test]
fn value_whose_drop_waits_for_another_handle_does_not_hang_the_runner() {
    struct WaitsOnDrop(Option<JoinHandle<u8>>, mpsc::Sender<u8>);

    impl Drop for WaitsOnDrop {
        fn drop(&mut self) {
            let result = self.0.take().map(FutureResult::result);
            self.1.send(result.unwrap().unwrap()).unwrap();
        }
    }

    let (inner, awaited) = pair();
    let (log, seen) = mpsc::channel();
    let (task, handle) = task(move || WaitsOnDrop(Some(awaited), log));
    drop(handle);
    let runner = thread::spawn(|| task.run());
    inner.complete(9).unwrap();
    runner.join().unwrap();
    assert_eq!(seen.recv().unwrap(), 9);
}

#[test]
fn closure_that_owns_its_own_handle_is_detached_by_its_end() {
    for [run, cancel_inside] in flags() {
        let closure = Drops::default();
        let own = Arc::new(Mutex::new(None::<JoinHandle<Guard>>));
        let (captured, guard) = (own.clone(), closure.guard());
        let (task, handle) = task(move || {
            let handle = captured.lock().unwrap().take().unwrap();
            if cancel_inside {
                assert_eq!(handle.cancel(), Cancel::Requested);
                assert!(CancelToken::current().is_cancelled());
            }
            drop(handle);
            guard
        });
        *own.lock().unwrap() = Some(handle);
        drop(own);
        if run {
            task.run();
        } else {
            drop(task);
        }
        assert_eq!(closure.count(), 1);
    }
}

#[test]
fn value_that_holds_a_token_of_its_own_cell_frees_it_last() {
    for take in [true, false] {
        let (completer, handle) = pair::<CancelToken>();
        let token = completer.token();
        assert!(completer.complete(token).is_ok());
        if take {
            let token = handle.result().unwrap();
            assert!(!token.is_cancelled());
        } else {
            drop(handle);
        }
    }
}

#[test]
#[ignore = "aborts; for the test below"]
fn flood_of_leaked_tokens() {
    let (completer, _handle) = pair::<()>();
    let token = completer.token();
    for _ in 0..1_u32 << 24 {
        std::mem::forget(token.clone());
    }
}

#[test]
#[cfg(unix)]
#[cfg_attr(miri, ignore = "starts a process")]
fn flood_of_leaked_tokens_aborts_before_the_count_can_wrap() {
    use std::os::unix::process::ExitStatusExt;

    const SIGABRT: i32 = 6;
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "flood_of_leaked_tokens", "--ignored"])
        .output()
        .unwrap();
    assert_eq!(output.status.signal(), Some(SIGABRT), "{output:?}");
}
