//! The pools, each with two workers, behind the few operations that workloads need. A pool is added with a
//! constructor and an implementation of one of the traits; each does what the pool's own docs advise.

mod futures;
mod green;
mod local;
mod processes;
mod python;
mod threads;

pub(crate) use self::futures::*;
pub(crate) use self::green::{green, green_on, green_runtime, may};
pub(crate) use self::local::*;
pub(crate) use self::processes::*;
pub use self::python::python_versions;
pub(crate) use self::python::{PYTHON_THREADS, gevent_memory, python, script};
pub(crate) use self::threads::*;

/// Workers of each pool, including the calling thread where that takes part in the work (chili, forte).
pub(crate) const WORKERS: usize = 2;

/// A pool that gives results back.
pub(crate) trait Pool: Send + Sync + 'static {
    /// What yields the result.
    type Handle: Send;

    fn submit(&self, job: impl FnOnce() -> u64 + Send + 'static) -> Self::Handle;

    /// Waits for one result.
    fn take(&self, handle: Self::Handle) -> u64;

    /// Waits for all results in order and adds them up, modulo 2⁶⁴.
    fn sum(&self, handles: Vec<Self::Handle>) -> u64 {
        let results = handles.into_iter().map(|handle| self.take(handle));
        results.fold(0, u64::wrapping_add)
    }
}

/// A pool that runs jobs without returning a result.
pub(crate) trait Execute: Send + Sync + 'static {
    fn execute(&self, job: impl FnOnce() + Send + 'static);
}

/// How to get results from a pool that returns none: through a channel for each job.
pub(crate) struct WithOneshot<E>(pub(crate) E);

impl<E: Execute> Pool for WithOneshot<E> {
    type Handle = oneshot::Receiver<u64>;

    fn submit(&self, job: impl FnOnce() -> u64 + Send + 'static) -> Self::Handle {
        let (sender, receiver) = oneshot::channel();
        self.0.execute(move || {
            let _ = sender.send(job());
        });
        receiver
    }

    fn take(&self, handle: Self::Handle) -> u64 {
        done(handle.recv())
    }
}

/// The value. Jobs do not fail here, and pools outlive their results.
pub(crate) fn done<T, E: std::fmt::Display>(result: Result<T, E>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("a benchmark's pool or job failed: {error}"),
    }
}
