//! What several tests need.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use green_tasks::{Runtime, Stackful};
use thread_pool::ThreadPoolExecutor;

pub(crate) fn pool(workers: usize) -> ThreadPoolExecutor {
    let builder = ThreadPoolExecutor::builder();
    builder.workers(workers).name("bridge").build().unwrap()
}

/// Closed until somebody opens it.
#[derive(Clone)]
pub(crate) struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    pub(crate) fn new() -> Self {
        Self(Arc::default())
    }

    pub(crate) fn open(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_all();
    }

    pub(crate) fn wait(&self) {
        let closed = self.0.0.lock().unwrap();
        drop(self.0.1.wait_while(closed, |open| !*open).unwrap());
    }
}

/// Counts its drops.
pub(crate) struct Counted(&'static AtomicUsize);

impl Counted {
    pub(crate) fn new(drops: &'static AtomicUsize) -> Self {
        Self(drops)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// A runtime of green tasks with closures as tasks.
pub(crate) fn stackful() -> Runtime {
    // SAFETY: the tests' tasks suspend in no initializer of a thread-local, in no call that keeps a pointer to its
    // own frame in one, and on no stack but their own.
    let token = unsafe { Stackful::assume() };
    Runtime::builder().stackful(token).build().unwrap()
}
