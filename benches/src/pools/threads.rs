//! Pools of threads that take closures, ours first.

use std::time::Duration;

use executors::crossbeam_workstealing_pool::{ThreadPool as Stealing, small_pool};
use executors::parker::{SmallThreadData, StaticParker};
use executors::{Executor, crossbeam_channel_pool};
use scheduled_thread_pool::ScheduledThreadPool;
use thread_pool::{FutureResult, JoinHandle, ThreadPoolExecutor};

use super::{Execute, Pool, WORKERS, done};

pub(crate) fn ours() -> ThreadPoolExecutor {
    ours_of(WORKERS)
}

pub(crate) fn ours_of(workers: usize) -> ThreadPoolExecutor {
    done(ThreadPoolExecutor::new(workers))
}

impl Pool for ThreadPoolExecutor {
    type Handle = JoinHandle<u64>;

    fn submit(&self, job: impl FnOnce() -> u64 + Send + 'static) -> Self::Handle {
        Self::submit(self, job)
    }

    fn take(&self, handle: Self::Handle) -> u64 {
        done(handle.result())
    }
}

impl Execute for ThreadPoolExecutor {
    fn execute(&self, job: impl FnOnce() + Send + 'static) {
        done(Self::execute(self, job));
    }
}

pub(crate) fn rayon() -> rayon::ThreadPool {
    rayon_of(WORKERS)
}

pub(crate) fn rayon_of(workers: usize) -> rayon::ThreadPool {
    done(rayon::ThreadPoolBuilder::new().num_threads(workers).build())
}

impl Execute for rayon::ThreadPool {
    fn execute(&self, job: impl FnOnce() + Send + 'static) {
        self.spawn(job);
    }
}

pub(crate) fn threadpool() -> threadpool::ThreadPool {
    threadpool_of(WORKERS)
}

pub(crate) fn threadpool_of(workers: usize) -> threadpool::ThreadPool {
    threadpool::ThreadPool::new(workers)
}

impl Execute for threadpool::ThreadPool {
    fn execute(&self, job: impl FnOnce() + Send + 'static) {
        Self::execute(self, job);
    }
}

pub(crate) fn executors_channel() -> crossbeam_channel_pool::ThreadPool {
    executors_channel_of(WORKERS)
}

pub(crate) fn executors_channel_of(workers: usize) -> crossbeam_channel_pool::ThreadPool {
    crossbeam_channel_pool::ThreadPool::new(workers)
}

impl Execute for crossbeam_channel_pool::ThreadPool {
    fn execute(&self, job: impl FnOnce() + Send + 'static) {
        Executor::execute(self, job);
    }
}

/// It needs a shutdown: without one its workers panic once it is dropped.
pub(crate) struct ExecutorsStealing(Stealing<StaticParker<SmallThreadData>>);

pub(crate) fn executors_stealing() -> ExecutorsStealing {
    ExecutorsStealing(small_pool(WORKERS))
}

impl Execute for ExecutorsStealing {
    fn execute(&self, job: impl FnOnce() + Send + 'static) {
        self.0.execute(job);
    }
}

impl Drop for ExecutorsStealing {
    fn drop(&mut self) {
        done(self.0.shutdown_borrowed());
    }
}

pub(crate) fn scheduled() -> ScheduledThreadPool {
    ScheduledThreadPool::new(WORKERS)
}

impl Execute for ScheduledThreadPool {
    fn execute(&self, job: impl FnOnce() + Send + 'static) {
        Self::execute(self, job);
    }
}

pub(crate) fn rusty_pool() -> rusty_pool::ThreadPool {
    rusty_pool::ThreadPool::new(WORKERS, WORKERS, Duration::from_secs(60))
}

impl Pool for rusty_pool::ThreadPool {
    type Handle = rusty_pool::JoinHandle<u64>;

    fn submit(&self, job: impl FnOnce() -> u64 + Send + 'static) -> Self::Handle {
        self.evaluate(job)
    }

    fn take(&self, handle: Self::Handle) -> u64 {
        handle.await_complete()
    }
}

impl Execute for rusty_pool::ThreadPool {
    fn execute(&self, job: impl FnOnce() + Send + 'static) {
        Self::execute(self, job);
    }
}

/// The one global pool of `blocking`. It has up to 500 threads unless `BLOCKING_MAX_THREADS` is set before the
/// first job, as `compare` does.
pub(crate) struct Blocking;

impl Pool for Blocking {
    type Handle = blocking::Task<u64>;

    fn submit(&self, job: impl FnOnce() -> u64 + Send + 'static) -> Self::Handle {
        blocking::unblock(job)
    }

    fn take(&self, handle: Self::Handle) -> u64 {
        futures_lite::future::block_on(handle)
    }
}

/// `chili`, whose calling thread is one of the two.
pub(crate) fn chili() -> chili::ThreadPool {
    chili::ThreadPool::with_config(chili::Config {
        thread_count: std::num::NonZero::new(WORKERS),
        ..chili::Config::default()
    })
}

static FORTE: forte::ThreadPool = forte::ThreadPool::new();

/// `forte`, whose calling thread is one of the two. Its pools are statics, and stopping one hangs in this
/// version (it joins its heartbeat thread while holding the lock that the thread needs), so it runs until the
/// process ends: its row is the last of a group.
pub(crate) fn forte() -> &'static forte::ThreadPool {
    FORTE.resize_to(WORKERS - 1);
    &FORTE
}
