//! A listener that has no descriptor left for a connection. A separate program, since it uses up all of them.
#![cfg(not(any(pool_loom, pool_sim)))]
#![expect(clippy::unwrap_used, reason = "a failure of a test")]

use std::cell::Cell;
use std::fs::File;
use std::net;
use std::rc::Rc;
use std::time::Duration;

use green_tasks::net::TcpListener;
use green_tasks::{FutureResult, Runtime, no_suspend, now, sleep_async, spawn_future};
use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, setrlimit};

/// Opens files until no descriptor is left.
fn use_up_descriptors() -> Vec<File> {
    let (current, maximum) = (Some(64), Some(64));
    setrlimit(Resource::Nofile, Rlimit { current, maximum }).unwrap();
    std::iter::from_fn(|| File::open("/dev/null").ok()).collect()
}

#[test]
fn whoever_accepts_for_want_of_a_descriptor_again_and_again_leaves_the_others_their_time() {
    // The clock is virtual: a loop that never slept would keep it from advancing.
    let runtime = Runtime::builder().deterministic(1).build().unwrap();
    let ran = runtime.run(|| {
        let listener = net::TcpListener::bind("127.0.0.1:0").unwrap();
        let _waiting = net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let listener = TcpListener::from_std(listener).unwrap();
        let mut files = use_up_descriptors();

        let is_shortage = |error| Errno::from_io_error(&error) == Some(Errno::MFILE);
        let start = now();
        assert!(listener.accept().is_err_and(is_shortage));
        assert_eq!(now() - start, Duration::from_millis(5));
        // A task that must not wait gets the error at once.
        assert!(no_suspend(|| listener.accept()).is_err_and(is_shortage));
        assert_eq!(now() - start, Duration::from_millis(5));

        let has_closed = Rc::new(Cell::new(false));
        let closing = spawn_future({
            let has_closed = Rc::clone(&has_closed);
            async move {
                sleep_async(Duration::from_millis(52)).await;
                has_closed.set(files.pop().is_some());
            }
        });
        let refused = listener.incoming().take_while(Result::is_err).count();
        assert!(has_closed.get());
        assert_eq!(refused, 11);
        closing.result().unwrap();
    });
    ran.unwrap();
}
