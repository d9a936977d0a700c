//! Values of tasks: each task sees its own within the scope, however it leaves it.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;

use green_tasks::{
    FutureResult, NoValue, Runtime, sleep, sleep_async, spawn_future, spawn_local, task_local,
    yield_now,
};

use crate::support::{Drops, OnDrop, run};

task_local! {
    static NUMBER: u32;
    static TEXT: RefCell<String>;
}

fn number() -> Result<u32, NoValue> {
    NUMBER.try_with(|number| *number)
}

#[test]
fn tasks_and_futures_that_take_turns_see_their_own_values() {
    run(|| {
        let mut tasks: Vec<_> = (0..4)
            .map(|n| {
                spawn_local(move || {
                    NUMBER.scope(n, || {
                        yield_now();
                        let inner = NUMBER.scope(n + 10, || {
                            yield_now();
                            number()
                        });
                        assert_eq!((inner, number()), (Ok(n + 10), Ok(n)));
                    });
                    assert_eq!(number(), Err(NoValue));
                })
            })
            .collect();
        tasks.extend((0..4).map(|n| {
            spawn_future(async move {
                let scoped = NUMBER.scope_async(n, async {
                    sleep_async(Duration::from_millis(1)).await;
                    number()
                });
                assert_eq!((scoped.await, number()), (Ok(n), Err(NoValue)));
            })
        }));
        tasks.into_iter().for_each(|task| task.result().unwrap());
    });
}

#[test]
fn a_spawned_task_does_not_inherit_and_the_spawners_value_stays() {
    run(|| {
        NUMBER.scope(1, || {
            assert_eq!(spawn_local(number).result().unwrap(), Err(NoValue));
            assert_eq!(number(), Ok(1));
        });
        TEXT.scope(RefCell::default(), || {
            TEXT.with(|text| text.borrow_mut().push('a'));
            assert_eq!(TEXT.with(|text| text.borrow().clone()), "a");
            assert_eq!(number(), Err(NoValue));
        });
    });
}

#[test]
fn a_value_goes_with_its_scope_when_the_task_is_cancelled_or_panics() {
    run(|| {
        task_local! { static COUNTED: crate::support::Counted }
        let drops = Drops::default();
        let counted = drops.counted();
        let seen = Rc::new(Cell::new(false));
        let inner = Rc::clone(&seen);
        let task = spawn_local(move || {
            COUNTED.scope(counted, || {
                // Destructors on the way out still see it.
                let _look = OnDrop(|| inner.set(COUNTED.try_with(|_| ()).is_ok()));
                sleep(Duration::from_secs(3600));
            });
        });
        yield_now();
        let _ = task.cancel();
        assert!(task.result().is_err());
        assert!(seen.get());
        assert_eq!(drops.get(), 1);

        let counted = drops.counted();
        let ended = catch_unwind(AssertUnwindSafe(|| {
            COUNTED.scope(counted, || std::panic::resume_unwind(Box::new("fails")))
        }));
        assert!(ended.is_err() && COUNTED.try_with(|_| ()).is_err());
        assert_eq!(drops.get(), 2);
    });
}

#[test]
fn a_future_that_is_dropped_in_the_middle_still_has_its_value() {
    let seen = Rc::new(Cell::new(None));
    let inner = Rc::clone(&seen);
    run(move || {
        let task = spawn_future(NUMBER.scope_async(7, async move {
            let _look = OnDrop(|| inner.set(number().ok()));
            std::future::pending::<()>().await;
        }));
        yield_now();
        let _ = task.cancel();
        assert!(task.result().is_err());
        assert_eq!(number(), Err(NoValue));
    });
    assert_eq!(seen.get(), Some(7));
}

#[test]
fn code_outside_has_values_of_its_thread_and_run_begins_with_none() {
    NUMBER.scope(1, || {
        assert_eq!(number(), Ok(1));
        let within = Runtime::new().run(|| (number(), NUMBER.scope(2, number)));
        assert_eq!(within.unwrap(), (Err(NoValue), Ok(2)));
        assert_eq!(number(), Ok(1));
    });
    assert_eq!(number(), Err(NoValue));
    let ended = catch_unwind(|| NUMBER.with(|number| *number));
    let text = ended.unwrap_err().downcast::<String>().unwrap();
    assert!(text.contains("`NUMBER`"), "{text}");
}
