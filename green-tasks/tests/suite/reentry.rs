//! User code that the scheduler wakes, clones or drops in the middle of its work may call anything: nothing of the
//! scheduler is borrowed or half done meanwhile.

use std::cell::Cell;
use std::future::{pending, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use future_result::pair;
use green_tasks::net::{Polled, UnixStream};
use green_tasks::sync::{Event, unbounded};
use green_tasks::{
    FutureResult, JoinHandle, checkpoint, dump, no_suspend, now, shield, sleep, sleep_async,
    spawn_future, spawn_local, stack_high_water, task_local, yield_now,
};

use crate::support::{OnDrop, run};

const SHORT: Duration = Duration::from_millis(1);

thread_local! {
    static CALLS: Cell<u32> = const { Cell::new(0) };
}

task_local! {
    static LOCAL: Box<dyn std::any::Any>;
}

/// Uses all that a scheduler has: tasks, timers, sockets, wakes.
fn everything() {
    let mut context = Context::from_waker(Waker::noop());
    drop(spawn_local(|| ()));
    let _ = spawn_future(pending::<()>()).cancel();
    assert!(!dump().is_empty());
    assert!(stack_high_water().is_some());
    assert!(now() <= shield(|| no_suspend(now)));
    checkpoint();
    let mut long = sleep_async(Duration::from_secs(100));
    assert!(Pin::new(&mut long).poll(&mut context).is_pending());
    drop(long);
    let (here, there) = UnixStream::pair().unwrap();
    let read =
        |mut socket: &std::os::unix::net::UnixStream| std::io::Read::read(&mut socket, &mut [0]);
    let _ = here.poll_read_with(&mut context, read);
    drop((here, there));
    let (completer, handle) = pair();
    let waiting = spawn_local(move || handle.result());
    // At the end of the run there is no receiver.
    let _ = completer.complete(());
    drop(waiting);
    // Reached only without a panic, which might go unnoticed.
    CALLS.set(CALLS.get() + 1);
}

/// How many times `f` made something call everything.
fn calls(f: impl FnOnce()) -> u32 {
    let before = CALLS.get();
    f();
    CALLS.get() - before
}

/// A waker that calls everything when woken, and when its last clone is dropped.
struct Calls;

impl Calls {
    fn waker() -> Waker {
        Waker::from(Arc::new(Self))
    }
}

impl Wake for Calls {
    fn wake(self: Arc<Self>) {
        everything();
    }
}

impl Drop for Calls {
    fn drop(&mut self) {
        everything();
    }
}

/// A value that calls everything when it is dropped.
fn value() -> OnDrop<fn()> {
    OnDrop(everything)
}

/// Lets the scheduler look at everything.
fn look() {
    for _ in 0..200 {
        yield_now();
    }
}

/// Twice each: when woken and when dropped.
#[test]
fn a_waker_may_call_everything() {
    run(|| {
        let timer = calls(|| {
            let mut sleeping = pin!(sleep_async(SHORT));
            let polled = sleeping
                .as_mut()
                .poll(&mut Context::from_waker(&Calls::waker()));
            assert!(polled.is_pending());
            sleep(SHORT * 2);
        });
        assert_eq!(timer, 2);
        // This one is dropped in the timer wheel.
        let timer = calls(|| {
            let mut sleeping = Box::pin(sleep_async(SHORT));
            let polled = sleeping
                .as_mut()
                .poll(&mut Context::from_waker(&Calls::waker()));
            assert!(polled.is_pending());
            drop(sleeping);
        });
        assert_eq!(timer, 1);

        let (here, there) = UnixStream::pair().unwrap();
        let wait_for = |socket: &UnixStream| {
            let read = |mut socket: &std::os::unix::net::UnixStream| {
                std::io::Read::read(&mut socket, &mut [0])
            };
            // Again, if others had a turn meanwhile.
            while calls(|| {
                let waker = Calls::waker();
                assert!(
                    socket
                        .poll_read_with(&mut Context::from_waker(&waker), read)
                        .is_pending()
                );
            }) > 0
            {}
        };
        wait_for(&here);
        let socket = calls(|| {
            std::io::Write::write_all(&mut &there, &[1]).unwrap();
            look();
        });
        assert_eq!(socket, 2);
        wait_for(&there);
        let gone = calls(|| {
            drop(there);
            // Registering another socket detects that.
            let (other, _end) = UnixStream::pair().unwrap();
            assert!(
                other
                    .poll_read_with(&mut Context::from_waker(Waker::noop()), |_| {
                        Err::<(), _>(std::io::ErrorKind::WouldBlock.into())
                    })
                    .is_pending()
            );
        });
        assert_eq!(gone, 1);

        let (completer, mut handle) = pair::<()>();
        let ended = calls(|| {
            let polled = Pin::new(&mut handle).poll(&mut Context::from_waker(&Calls::waker()));
            assert!(polled.is_pending());
            spawn_local(|| completer.complete(()).unwrap())
                .result()
                .unwrap();
        });
        assert_eq!(ended, 2);
    });
}

#[test]
fn a_destructor_may_call_everything_wherever_its_value_is_dropped() {
    let at_the_end = run(|| {
        let dropped = |name: &str, f: &dyn Fn()| assert_eq!(calls(f), 1, "{name}");
        let cancel = |handle: JoinHandle<()>| {
            let _ = handle.cancel();
            assert!(handle.result().is_err());
            yield_now();
        };
        dropped("of a closure that has not started", &|| {
            let value = value();
            cancel(spawn_local(move || drop(value)));
        });
        dropped("of a closure that waits", &|| {
            let value = value();
            let handle = spawn_local(move || {
                let _value = value;
                Event::new().wait();
            });
            yield_now();
            cancel(handle);
        });
        dropped("of a future that waits", &|| {
            let value = value();
            let handle = spawn_future(async move {
                let _value = value;
                pending().await
            });
            yield_now();
            cancel(handle);
        });
        dropped("of a future that is ready", &|| {
            let value = value();
            let ready = poll_fn(move |_| {
                let _ = &value;
                Poll::Ready(())
            });
            spawn_future(ready).result().unwrap();
        });
        dropped("what nobody wants", &|| {
            drop(spawn_local(value));
            yield_now();
        });
        dropped("a panic that nobody looks at", &|| {
            drop(spawn_local(|| {
                std::panic::resume_unwind(Box::new(SendValue))
            }));
            yield_now();
        });
        dropped("of a task's local", &|| {
            let local = || LOCAL.scope(Box::new(value()), yield_now);
            spawn_local(local).result().unwrap();
        });
        dropped("of a channel", &|| {
            let (sender, receiver) = unbounded();
            sender.send(value()).unwrap();
            drop((sender, receiver));
        });

        // The run ends with these.
        let (first, second) = (value(), value());
        drop(spawn_local(move || {
            let _first = first;
            Event::new().wait();
        }));
        yield_now();
        drop(spawn_local(move || drop(second)));
        CALLS.get()
    });
    assert_eq!(CALLS.get() - at_the_end, 2);
}

struct SendValue;

impl Drop for SendValue {
    fn drop(&mut self) {
        everything();
    }
}
