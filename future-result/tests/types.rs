//! Proves what the types promise: size, `Send` and `Sync`, variance, and values and closures of any
//! size and alignment, empty and uninhabited ones among them.
#![cfg(not(pool_loom))]
#![expect(clippy::unwrap_used, reason = "the helpers of tests unwrap")]

use std::cell::Cell;
use std::convert::Infallible;
use std::marker::PhantomData;
use std::panic::resume_unwind;
use std::rc::Rc;
use std::sync::mpsc;
use std::thread;

use future_result::{
    AsCompleted, BoxedResult, Cancel, CancelOnDrop, CancelToken, Completer, CompletionSet,
    FutureResult, JoinHandle, Panic, PoolId, Shared, Task, TaskError, as_completed, pair, task,
    task_in,
};

/// Whether a type implements a trait, as a constant: an inherent item hides the trait's, where its
/// bound is met. Underscores, since in each use one of the two is dead.
macro_rules! implements {
    ($type:ty: $bound:path) => {{
        struct Probe<T: ?Sized>(PhantomData<T>);
        trait _Otherwise {
            const _YES: bool = false;
        }
        impl<T: ?Sized> _Otherwise for Probe<T> {}
        impl<T: ?Sized + $bound> Probe<T> {
            const _YES: bool = true;
        }
        <Probe<$type>>::_YES
    }};
}

macro_rules! assert_send_sync {
    ($($type:ty => $send:literal, $sync:literal;)*) => {$(
        assert_eq!(implements!($type: Send), $send, "{}: Send", stringify!($type));
        assert_eq!(implements!($type: Sync), $sync, "{}: Sync", stringify!($type));
    )*};
}

macro_rules! assert_unwind_safe {
    ($($type:ty),*) => {$(
        assert!(implements!($type: std::panic::UnwindSafe), "{}", stringify!($type));
        assert!(implements!($type: std::panic::RefUnwindSafe), "&{}", stringify!($type));
    )*};
}

/// Neither `Send` nor `Sync`.
type Neither = Rc<u8>;
/// `Send`, but not `Sync`.
type OnlySend = Cell<u8>;
/// `Sync`, but not `Send`.
type OnlySync = std::sync::MutexGuard<'static, u8>;

#[test]
fn send_and_sync_follow_the_value() {
    assert_send_sync! {
        JoinHandle<u8> => true, true;
        // Through a shared handle nobody gets at the value.
        JoinHandle<OnlySend> => true, true;
        JoinHandle<OnlySync> => false, false;
        JoinHandle<Neither> => false, false;
        Completer<u8> => true, true;
        Completer<OnlySend> => true, true;
        Completer<OnlySync> => false, false;
        Completer<Neither> => false, false;
        Task => true, true;
        CancelToken => true, true;
        CancelOnDrop<JoinHandle<OnlySend>> => true, true;
        CancelOnDrop<JoinHandle<Neither>> => false, false;
        CompletionSet<u8, JoinHandle<OnlySend>> => true, true;
        CompletionSet<Neither, JoinHandle<u8>> => false, false;
        CompletionSet<u8, JoinHandle<Neither>> => false, false;
        AsCompleted<JoinHandle<OnlySend>> => true, true;
        AsCompleted<JoinHandle<Neither>> => false, false;
        Shared<JoinHandle<u8>> => true, true;
        // Clones on several threads look at the one value that they clone.
        Shared<JoinHandle<OnlySend>> => false, false;
        Shared<JoinHandle<OnlySync>> => false, false;
        Shared<JoinHandle<Neither>> => false, false;
        BoxedResult<'static, u8> => true, false;
        TaskError => true, true;
        Panic => true, true;
        PoolId => true, true;
    }
}

#[test]
fn handles_can_be_moved_while_polled_and_caught_as_errors() {
    assert!(implements!(JoinHandle<std::marker::PhantomPinned>: Unpin));
    assert_unwind_safe! { Panic, JoinHandle<OnlySend>, Completer<OnlySend>, Shared<JoinHandle<u8>>, Task, CancelToken }
    assert!(implements!(TaskError: std::error::Error));
    assert!(!implements!(JoinHandle<u8>: Clone));
    assert!(!implements!(Completer<u8>: Clone));
    assert!(!implements!(Task: Clone));
}

#[test]
fn handle_and_task_are_one_pointer() {
    assert_eq!(size_of::<JoinHandle<[u8; 4096]>>(), size_of::<usize>());
    assert_eq!(size_of::<JoinHandle<()>>(), size_of::<usize>());
    assert_eq!(size_of::<Option<Task>>(), size_of::<usize>());
}

/// A value whose content can be told wrong, and whose address can.
trait Payload: Send + 'static {
    fn make(seed: u8) -> Self;
    fn assert_is(&self, seed: u8);

    fn assert_aligned(&self) {
        let address = std::ptr::from_ref(self).cast::<u8>().addr();
        assert_eq!(address % align_of_val(self), 0, "misaligned");
    }
}

macro_rules! payload {
    ($name:ident, $align:literal, $size:expr) => {
        #[repr(align($align))]
        struct $name([u8; $size]);

        impl Payload for $name {
            fn make(seed: u8) -> Self {
                let mut bytes = [seed; $size];
                for (index, byte) in bytes.iter_mut().enumerate() {
                    *byte = byte.wrapping_add(index as u8);
                }
                Self(bytes)
            }

            fn assert_is(&self, seed: u8) {
                for (index, byte) in self.0.iter().enumerate() {
                    assert_eq!(*byte, seed.wrapping_add(index as u8));
                }
            }
        }
    };
}

payload!(Empty, 1, 0);
payload!(Byte, 1, 1);
payload!(Odd, 2, 13);
payload!(Word, 8, 8);
payload!(Line, 64, 64);
payload!(EmptyLine, 64, 0);
payload!(Page, 4096, 1);
payload!(EmptyPage, 4096, 0);
payload!(Large, 16, LARGE);

/// Under miri each byte takes its time.
const LARGE: usize = if cfg!(miri) { 300 } else { 100_000 };

/// One way through a cell for a closure that captures an `A` and returns a `B`.
fn travel<A: Payload, B: Payload>(seed: u8) {
    let closure = |captured: A| {
        move || {
            captured.assert_is(seed);
            captured.assert_aligned();
            B::make(!seed)
        }
    };
    let check = |value: B| {
        value.assert_is(!seed);
        value.assert_aligned();
    };

    let (task, mut handle) = task(closure(A::make(seed)));
    handle.on_done(move |result| {
        // Where it lies in its cell.
        result.unwrap().assert_is(!seed);
        result.unwrap().assert_aligned();
    });
    task.run();
    check(handle.result().unwrap());

    let pool = PoolId::new();
    let (tombstone, handle) = task_in(pool, closure(A::make(seed)));
    check(pool.enter(|| handle.result()).unwrap());
    drop(tombstone);

    let (task, handle) = future_result::task(closure(A::make(seed)));
    assert_eq!(handle.cancel(), Cancel::Prevented);
    assert!(matches!(handle.result(), Err(TaskError::Cancelled)));
    drop(task);

    let (task, handle) = future_result::task(closure(A::make(seed)));
    task.fail(TaskError::TimedOut);
    assert!(matches!(handle.result(), Err(TaskError::TimedOut)));

    let (completer, mut handle) = pair::<B>();
    let (log, seen) = mpsc::channel();
    handle.on_done(move |result| {
        result.unwrap().assert_is(!seed);
        result.unwrap().assert_aligned();
        log.send(()).unwrap();
    });
    assert!(completer.complete(B::make(!seed)).is_ok());
    seen.recv().unwrap();
    check(handle.result().unwrap());

    let (completer, handle) = pair::<B>();
    drop(handle);
    let Err(back) = completer.complete(B::make(!seed)) else {
        unreachable!("nobody can take it")
    };
    check(back);
}

fn travel_with_every_value<A: Payload>(seed: u8) {
    travel::<A, Empty>(seed);
    travel::<A, Byte>(seed);
    travel::<A, Odd>(seed);
    travel::<A, Word>(seed);
    travel::<A, Line>(seed);
    travel::<A, EmptyLine>(seed);
    travel::<A, Page>(seed);
    travel::<A, EmptyPage>(seed);
    travel::<A, Large>(seed);
}

#[test]
fn closure_and_value_of_any_size_and_alignment_share_a_cell() {
    // Debug builds keep many copies of a large value on the stack.
    let builder = thread::Builder::new().stack_size(64 << 20);
    let thread = builder.spawn(|| {
        travel_with_every_value::<Empty>(1);
        travel_with_every_value::<Byte>(2);
        travel_with_every_value::<Odd>(3);
        travel_with_every_value::<Word>(4);
        travel_with_every_value::<Line>(5);
        travel_with_every_value::<EmptyLine>(6);
        travel_with_every_value::<Page>(7);
        travel_with_every_value::<EmptyPage>(8);
        travel_with_every_value::<Large>(9);
    });
    thread.unwrap().join().unwrap();
}

#[test]
fn huge_value_comes_through_whole() {
    const HUGE: usize = if cfg!(miri) { 1 << 12 } else { 1 << 20 };
    let builder = thread::Builder::new().stack_size(64 << 20);
    let thread = builder.spawn(|| {
        let (task, handle) = task(|| [7_u8; HUGE]);
        task.run();
        assert!(handle.result().unwrap().iter().all(|byte| *byte == 7));
    });
    thread.unwrap().join().unwrap();
}

#[test]
fn task_without_a_possible_value_can_only_fail() {
    let (never, handle) = task(|| -> Infallible { resume_unwind(Box::new(())) });
    never.run();
    assert!(matches!(handle.result(), Err(TaskError::Panicked(_))));

    let (completer, handle) = pair::<Infallible>();
    drop(completer);
    assert!(matches!(handle.result(), Err(TaskError::Lost(_))));
}

#[test]
fn value_that_is_not_send_stays_on_its_thread_while_tokens_leave() {
    let (completer, handle) = pair::<Rc<u8>>();
    let token = completer.token();
    completer.complete(Rc::new(5)).unwrap();
    // The token may be the last owner of the memory.
    let (gone, go) = mpsc::channel::<()>();
    let other = thread::spawn(move || {
        go.recv().unwrap_err();
        token.is_cancelled()
    });
    assert_eq!(*handle.result().unwrap(), 5);
    drop(gone);
    assert!(!other.join().unwrap());
}

#[test]
fn borrowed_values_travel_between_scoped_threads() {
    /// A handle to a longer-lived value serves as one to a shorter-lived value.
    fn shorten<'a>(handle: JoinHandle<&'static str>, _like: &'a str) -> JoinHandle<&'a str> {
        handle
    }

    /// What takes shorter-lived values takes longer-lived ones.
    fn lengthen<'a>(completer: Completer<&'a str>, _like: &'a str) -> Completer<&'static str> {
        completer
    }

    let text = String::from("borrowed");
    let (completer, handle) = pair::<&str>();
    thread::scope(|scope| {
        scope.spawn(|| completer.complete(&text).unwrap());
        assert_eq!(handle.result().unwrap(), "borrowed");
    });

    let (completer, handle) = pair::<&'static str>();
    let handle = shorten(handle, &text);
    completer.complete("static").unwrap();
    assert_eq!(handle.result().unwrap(), "static");

    let (completer, handle) = pair::<&str>();
    lengthen(completer, &text).complete("static").unwrap();
    assert_eq!(handle.result().unwrap(), "static");
}

#[test]
fn mixed_handles_wait_together_behind_a_box() {
    let (completer, by_hand) = pair();
    let (queued, by_task) = task(|| 2);
    let (lost, by_loss) = pair::<u32>();
    let (other, guarded) = pair();
    let mixed: Vec<BoxedResult<'_, u32>> = vec![
        by_hand.boxed(),
        by_task.shared().boxed(),
        by_loss.boxed().boxed(),
        guarded.cancel_on_drop().boxed(),
    ];
    assert!(mixed.iter().all(|handle| !handle.is_done()));
    assert_eq!(mixed[0].cancel(), Cancel::Prevented);
    assert_eq!(completer.complete(1), Err(1));
    let mut completed = as_completed(mixed);
    let mut next = || completed.next().map(|(place, result)| (place, result.ok()));
    assert_eq!(next(), Some((0, None)));
    other.complete(4).unwrap();
    assert_eq!(next(), Some((3, Some(4))));
    queued.run();
    assert_eq!(next(), Some((1, Some(2))));
    drop(lost);
    assert_eq!(next(), Some((2, None)));
    assert_eq!(next(), None);
}
