//! Proves that errors say what happened and to whom they can be traced, and that a panic reaches
//! whoever wants it.
#![cfg(not(pool_loom))]
#![expect(
    clippy::disallowed_types,
    reason = "tests count and coordinate with std's atomics and locks"
)]

use std::error::Error;
use std::panic::{catch_unwind, panic_any, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::{fmt, io};

use future_result::{
    Cancel, Cause, FutureResult, Panic, Rejection, TaskError, WaitTimedOut, pair, task,
};

fn panicking<T: std::any::Any + Send>(payload: T) -> Panic {
    let (task, handle) = task(move || -> () { resume_unwind(Box::new(payload)) });
    task.run();
    match handle.result() {
        Err(TaskError::Panicked(panic)) => panic,
        other => unreachable!("{other:?}"),
    }
}

fn every_error() -> Vec<TaskError> {
    vec![
        TaskError::Cancelled,
        TaskError::Panicked(panicking("no luck")),
        TaskError::Rejected(Rejection::ShutDown),
        TaskError::Rejected(Rejection::Full),
        TaskError::Rejected(Rejection::Broken),
        TaskError::Lost(Cause::new("the worker died")),
        TaskError::TimedOut,
        TaskError::Deadlock(Cause::new("a waits for b waits for a")),
        TaskError::Codec(Cause::new("unexpected end")),
    ]
}

#[test]
fn messages_are_lowercase_sentences_without_a_full_stop() {
    let mut texts: Vec<String> = every_error().iter().map(ToString::to_string).collect();
    texts.push(WaitTimedOut.to_string());
    for text in &texts {
        assert!(text.starts_with(|c: char| c.is_lowercase()), "{text}");
        assert!(!text.ends_with('.'), "{text}");
    }
    let all = texts.len();
    texts.sort();
    texts.dedup();
    assert_eq!(texts.len(), all, "two errors say the same");
}

#[test]
fn messages_contain_what_is_known() {
    let text = |error: TaskError| error.to_string();
    assert!(text(TaskError::Panicked(panicking("no luck"))).contains("no luck"));
    for make in [TaskError::Lost, TaskError::Deadlock, TaskError::Codec] {
        assert!(text(make(Cause::new("the detail"))).contains("the detail"));
    }
    let rejected = text(TaskError::Rejected(Rejection::Full));
    assert!(rejected.contains(&Rejection::Full.to_string()));
}

#[derive(Debug)]
struct Outer(io::Error);

impl fmt::Display for Outer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the outer reason")
    }
}

impl Error for Outer {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}

#[test]
fn source_goes_on_where_the_message_ends() {
    let error = TaskError::Lost(Cause::new(Outer(io::Error::other("the inner reason"))));
    // The message names the cause already; the chain must not repeat it.
    assert!(error.to_string().contains("the outer reason"));
    assert_eq!(error.source().unwrap().to_string(), "the inner reason");
    let TaskError::Lost(cause) = &error else {
        unreachable!("made above")
    };
    assert!(cause.get_ref().downcast_ref::<Outer>().is_some());

    assert!(TaskError::Cancelled.source().is_none());
    assert!(TaskError::Lost(Cause::new("text")).source().is_none());
}

#[test]
fn ends_without_a_value_say_which_end_it_was() {
    let (dropped, handle) = task(|| ());
    drop(dropped);
    let text = handle.result().unwrap_err().to_string();
    assert!(text.contains("dropped before it ran"), "{text}");

    let (completer, handle) = pair::<()>();
    drop(completer);
    let text = handle.result().unwrap_err().to_string();
    assert!(text.contains("without an outcome"), "{text}");

    let (completer, handle) = pair::<()>();
    completer.fail(TaskError::Cancelled);
    assert!(matches!(handle.result(), Err(TaskError::Cancelled)));

    let (completer, handle) = pair::<()>();
    assert_eq!(handle.cancel(), Cancel::Prevented);
    completer.fail(TaskError::TimedOut);
    assert!(
        matches!(handle.result(), Err(TaskError::Cancelled)),
        "cancelling is final"
    );
}

#[test]
fn own_result_of_a_task_stays_apart_from_task_errors() {
    let (task, handle) = task(|| "x".parse::<u8>());
    task.run();
    let own = handle.result().expect("the task itself went well");
    assert!(own.is_err());
}

#[test]
fn waiters_time_out_is_no_task_error() {
    let (completer, handle) = pair::<()>();
    let Err(handle) = handle.result_timeout(std::time::Duration::ZERO) else {
        unreachable!("nobody completes it")
    };
    completer.fail(TaskError::TimedOut);
    assert!(matches!(
        handle.result_timeout(std::time::Duration::ZERO),
        Ok(Err(TaskError::TimedOut)),
    ));
}

#[test]
fn message_of_a_panic_is_its_text() {
    assert_eq!(panicking("borrowed").message(), "borrowed");
    assert_eq!(panicking(String::from("owned")).message(), "owned");
    assert_eq!(
        panicking(7_u8).message(),
        "a panic whose payload is not text"
    );
    let (formatted, handle) = task(|| -> () { panic!("{} left", 3) });
    formatted.run();
    let text = handle.result().unwrap_err().to_string();
    assert_eq!(text, "the task panicked: 3 left");
    assert_eq!(format!("{:?}", panicking("debug")), "Panic(\"debug\")");
    let elsewhere = Panic::from_elsewhere("far", Some("luck.rs:7:5"));
    assert_eq!(format!("{elsewhere:?}"), "Panic(\"far\", \"luck.rs:7:5\")");
    let text = TaskError::Panicked(elsewhere).to_string();
    assert_eq!(text, "the task panicked at luck.rs:7:5: far");
}

#[test]
fn resume_panics_with_the_payload_itself() {
    #[derive(Debug, PartialEq)]
    struct Payload(u8);

    let panic = panicking(Payload(3));
    let payload = catch_unwind(|| panic.resume()).unwrap_err();
    assert_eq!(*payload.downcast::<Payload>().unwrap(), Payload(3));

    let (raised, handle) = task(|| -> () { panic_any(Payload(4)) });
    raised.run();
    let Err(TaskError::Panicked(panic)) = handle.result() else {
        unreachable!("it panicked")
    };
    assert_eq!(
        *panic.into_payload().downcast::<Payload>().unwrap(),
        Payload(4)
    );
}

#[test]
fn clones_of_a_panic_share_the_payload_and_all_keep_the_message() {
    let panic = panicking(String::from("once"));
    let (one, other) = (panic.clone(), panic.clone());
    assert_eq!(*one.into_payload().downcast::<String>().unwrap(), "once");
    assert_eq!(*other.into_payload().downcast::<String>().unwrap(), "once");
    assert_eq!(panic.message(), "once");

    let panic = panicking(5_u8);
    assert!(panic.clone().into_payload().is::<u8>());
    let late = panic.into_payload().downcast::<String>().unwrap();
    assert_eq!(*late, "a panic whose payload is not text");
}

#[test]
fn payload_is_dropped_once_with_the_last_clone_and_may_panic_there() {
    struct Payload(Arc<AtomicUsize>);

    impl Drop for Payload {
        fn drop(&mut self) {
            self.0.fetch_add(1, SeqCst);
            resume_unwind(Box::new(()));
        }
    }

    let drops = Arc::new(AtomicUsize::new(0));
    let panic = panicking(Payload(drops.clone()));
    let error = TaskError::Panicked(panic.clone());
    drop(panic);
    assert_eq!(drops.load(SeqCst), 0);
    drop(error.clone());
    drop(error);
    assert_eq!(drops.load(SeqCst), 1);
}

#[test]
fn clones_of_errors_share_their_details() {
    let cause = Cause::new(io::Error::other("the cable was cut"));
    let error = TaskError::Lost(cause.clone());
    let TaskError::Lost(clone) = error.clone() else {
        unreachable!("a clone is of the same kind")
    };
    assert!(std::ptr::addr_eq(cause.get_ref(), clone.get_ref()));
    for error in every_error() {
        assert_eq!(error.clone().to_string(), error.to_string());
    }
}
