//! Blocking calls run elsewhere, and a task that waits for one can be cancelled at once.

use std::rc::Rc;
use std::sync::{Arc, Barrier, mpsc};
use std::thread;
use std::time::Duration;

use green_tasks::net::{TcpListener, TcpStream};
use green_tasks::{
    FutureResult, JoinHandle, Runtime, TaskError, spawn, spawn_local, unblock, yield_now,
};

use crate::support::{OnDrop, run, stackful};

#[test]
fn the_others_go_on_while_a_call_blocks() {
    run(|| {
        let (sender, receiver) = mpsc::channel();
        let blocked = spawn_local(|| unblock(move || receiver.recv().unwrap()).result().unwrap());
        yield_now();
        sender.send(3).unwrap();
        assert_eq!(blocked.result().unwrap(), 3);
    });
}

#[test]
fn more_calls_than_threads_all_come_to_their_turn() {
    run(|| {
        let handles: Vec<_> = (0..200).map(|n| unblock(move || n)).collect();
        let sum: i32 = handles
            .into_iter()
            .map(|handle| handle.result().unwrap())
            .sum();
        assert_eq!(sum, 199 * 200 / 2);
    });
}

/// The number of threads for the calls of one level.
const THREADS: usize = 16;

/// Occupies all threads of a level with concurrent calls, each of which goes on with `then`.
fn all_at_once<T: Send + 'static>(then: fn() -> T) -> Vec<T> {
    let all_there = Arc::new(Barrier::new(THREADS));
    let call = |_| {
        let all_there = Arc::clone(&all_there);
        unblock(move || {
            all_there.wait();
            then()
        })
    };
    let calls: Vec<_> = (0..THREADS).map(call).collect();
    calls
        .into_iter()
        .map(|call| call.result().unwrap())
        .collect()
}

/// Has a limit that is only reached if all threads are stuck.
fn is_made(call: JoinHandle<()>) -> bool {
    call.result_timeout(Duration::from_secs(10)).is_ok()
}

/// One test, since two would compete for the threads.
#[test]
fn calls_that_wait_for_calls_of_their_own_leave_threads_for_those() {
    run(|| {
        let made = all_at_once(|| is_made(unblock(|| unblock(|| ()).result().unwrap())));
        assert_eq!(made, [true; THREADS]);

        // From a task of a runtime within the call.
        let made = all_at_once(|| {
            let made = Runtime::new().run(|| is_made(unblock(|| ())));
            made.unwrap()
        });
        assert_eq!(made, [true; THREADS]);

        // From another thread of such a runtime.
        let made = all_at_once(|| {
            let made = stackful().threads(2).build().unwrap().run(|| {
                let (sender, receiver) = mpsc::channel();
                drop(spawn(move || sender.send(is_made(unblock(|| ())))));
                // Occupies this thread, so that the other one starts the task.
                receiver.recv().unwrap()
            });
            made.unwrap()
        });
        assert_eq!(made, [true; THREADS]);
    });
}

#[test]
fn a_task_that_is_cancelled_while_blocked_unwinds_at_once_and_the_result_is_dropped_elsewhere() {
    let (told, dropped_on) = mpsc::channel();
    let here = thread::current().id();
    run(|| {
        let (sender, receiver) = mpsc::channel::<()>();
        let waiting = spawn_local(move || {
            let call = unblock(move || {
                let _ = receiver.recv();
                OnDrop(move || told.send(thread::current().id()).unwrap())
            });
            drop(call.result());
        });
        yield_now();
        let _ = waiting.cancel();
        // The call still blocks.
        assert!(matches!(waiting.result(), Err(TaskError::Cancelled)));
        sender.send(()).unwrap();
    });
    assert_ne!(dropped_on.recv().unwrap(), here);
}

#[test]
fn a_call_panics_to_whoever_waits_and_the_next_is_made_all_the_same() {
    run(|| {
        let broken = unblock(|| std::panic::resume_unwind(Box::new("broken")));
        let Err(TaskError::Panicked(panic)) = broken.result() else {
            panic!("another end")
        };
        assert!(panic.message().contains("broken"));
        assert_eq!(unblock(|| 1).result().unwrap(), 1);
    });
}

#[test]
fn a_hook_gets_each_call_and_what_it_drops_is_lost() {
    let (calls, queue) = mpsc::channel::<Box<dyn FnOnce() + Send>>();
    let runtime = stackful()
        .blocking(move |call| calls.send(call).unwrap())
        .build()
        .unwrap();
    let ran = runtime.run(|| {
        let (first, second) = (unblock(|| 1), unblock(|| 2));
        drop(queue.recv().unwrap());
        assert!(matches!(first.result(), Err(TaskError::Lost(_))));
        queue.recv().unwrap()();
        assert_eq!(second.result().unwrap(), 2);
    });
    ran.unwrap();
}

#[test]
fn names_are_looked_up_by_the_hook_and_numbers_are_not_looked_up() {
    let (calls, queue) = mpsc::channel::<Box<dyn FnOnce() + Send>>();
    let runtime = stackful()
        .blocking(move |call| calls.send(call).unwrap())
        .build()
        .unwrap();
    let ran = runtime.run(|| {
        let listener = Rc::new(TcpListener::bind("127.0.0.1:0").unwrap());
        let port = listener.local_addr().unwrap().port();
        assert!(TcpStream::connect(format!("127.0.0.1:{port}")).is_ok());
        assert!(queue.try_recv().is_err());
        let connecting = spawn_local(move || TcpStream::connect(("localhost", port)).is_ok());
        yield_now();
        queue.recv().unwrap()();
        assert!(connecting.result().unwrap());

        let connecting = spawn_local(|| TcpStream::connect("no.such.name.invalid:1").is_err());
        yield_now();
        let look_up = queue.recv().unwrap();
        // It has not started, so it never will.
        let _ = connecting.cancel();
        assert!(matches!(connecting.result(), Err(TaskError::Cancelled)));
        look_up();
    });
    ran.unwrap();
}
