//! A scope of std threads ends within a green task: it cannot be left, and the task's thread goes on.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use future_result::{CellId, Members, outlast, pair};
use green_tasks::{Elapsed, FutureResult, TaskError, spawn_local, timeout, yield_now};

use crate::support::run;

/// A wait that does not say whom it waits for.
struct Strangers;

impl Members for Strangers {
    fn for_each(&self, _f: &mut dyn FnMut(CellId, &'static str)) {}
}

/// Calls `interrupt` beside a task whose wait cannot be left, and checks that the others had a turn after that,
/// before the wait was over.
fn others_run_on(interrupt: impl FnOnce(&green_tasks::JoinHandle<Result<u8, Elapsed>>)) {
    run(|| {
        let (completer, mut awaited) = pair::<u8>();
        let (told, telling) = mpsc::channel();
        // If the whole thread waits, and not only the task, nobody sends.
        let other = thread::spawn(move || {
            let told = telling.recv_timeout(Duration::from_secs(20));
            completer.complete(1).unwrap();
            told.is_ok()
        });
        let is_over = Rc::new(Cell::new(false));
        let seen = Rc::clone(&is_over);
        let waiting = spawn_local(move || {
            timeout(Duration::from_millis(1), || {
                let ended = outlast(Arc::new(Strangers), |context| {
                    Pin::new(&mut awaited).poll(context).map(drop)
                });
                assert!(ended.is_ok());
                seen.set(true);
                // The interrupt takes effect now.
                yield_now();
                0
            })
        });
        yield_now();
        interrupt(&waiting);
        (0..10).for_each(|_| yield_now());
        let was_waiting = !is_over.get();
        let _ = told.send(());
        match waiting.result() {
            Err(TaskError::Cancelled) | Ok(Err(Elapsed)) => {}
            other => panic!("{other:?}"),
        }
        assert!(is_over.get() && was_waiting);
        assert!(other.join().unwrap(), "the whole thread was waiting");
    });
}

#[test]
fn a_task_that_is_cancelled_there_suspends_on_and_its_thread_goes_on_with_others() {
    others_run_on(|waiting| {
        let _ = waiting.cancel();
    });
}

#[test]
fn a_time_limit_that_is_over_there_waits_too() {
    others_run_on(|_| green_tasks::sleep(Duration::from_millis(5)));
}
