//! Pools that run futures. A closure becomes a future without an await.

use std::future::{Future, pending};
use std::sync::Arc;
use std::thread;

use async_executor::{Executor, StaticExecutor};
use futures::channel::oneshot;
use futures::future::RemoteHandle;
use futures::task::SpawnExt;
use futures_lite::future::block_on;
use thread_pool::{JoinHandle, TaskError, ThreadPoolExecutor};
use tokio::runtime::{Builder, Runtime};

use super::{Execute, Pool, WORKERS, done};

/// A pool whose tasks may await the handles of others.
pub(crate) trait AsyncPool: Clone + Send + Sync + 'static {
    type Handle: Future<Output: Send> + Send;

    fn spawn(&self, task: impl Future<Output = u64> + Send + 'static) -> Self::Handle;

    /// The value of an awaited handle, whose error cannot happen here.
    fn value(output: <Self::Handle as Future>::Output) -> u64;

    /// Blocks on a future outside the pool.
    fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        block_on(future)
    }
}

/// An [`AsyncPool`] as a [`Pool`].
pub(crate) struct Async<P>(pub(crate) P);

impl<P: AsyncPool> Pool for Async<P> {
    type Handle = P::Handle;

    fn submit(&self, job: impl FnOnce() -> u64 + Send + 'static) -> Self::Handle {
        self.0.spawn(async move { job() })
    }

    fn take(&self, handle: Self::Handle) -> u64 {
        P::value(self.0.block_on(handle))
    }

    fn sum(&self, handles: Vec<Self::Handle>) -> u64 {
        self.0.block_on(sum::<P>(handles))
    }
}

/// Awaits all handles in order.
pub(crate) async fn sum<P: AsyncPool>(handles: Vec<P::Handle>) -> u64 {
    let mut sum = 0_u64;
    for handle in handles {
        sum = sum.wrapping_add(P::value(handle.await));
    }
    sum
}

/// Ours: the bridge's futures on its thread pool.
#[derive(Clone)]
pub(crate) struct Bridge(Arc<ThreadPoolExecutor>);

pub(crate) fn bridge() -> Bridge {
    Bridge(Arc::new(super::ours()))
}

impl AsyncPool for Bridge {
    type Handle = JoinHandle<u64>;

    fn spawn(&self, task: impl Future<Output = u64> + Send + 'static) -> Self::Handle {
        futures_lite_bridge::spawn(&self.0, task)
    }

    fn value(output: Result<u64, TaskError>) -> u64 {
        done(output)
    }

    fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        futures_lite_bridge::block_on(future)
    }
}

/// `async-executor`, run by two threads until the last clone is gone.
#[derive(Clone)]
pub(crate) struct AsyncExecutor {
    executor: Arc<Executor<'static>>,
    _stop: Arc<Vec<oneshot::Sender<()>>>,
}

pub(crate) fn async_executor() -> AsyncExecutor {
    let executor = Arc::new(Executor::new());
    let start = |_| {
        let (stop, stopped) = oneshot::channel::<()>();
        let executor = Arc::clone(&executor);
        thread::spawn(move || block_on(executor.run(stopped)));
        stop
    };
    let stop = (0..WORKERS).map(start).collect();
    AsyncExecutor {
        executor,
        _stop: Arc::new(stop),
    }
}

impl AsyncPool for AsyncExecutor {
    type Handle = async_executor::Task<u64>;

    fn spawn(&self, task: impl Future<Output = u64> + Send + 'static) -> Self::Handle {
        self.executor.spawn(task)
    }

    fn value(output: u64) -> u64 {
        output
    }
}

/// The same executor, leaked: its docs promise less synchronization for one that never stops.
#[derive(Clone, Copy)]
pub(crate) struct LeakedExecutor(&'static StaticExecutor);

/// Its two threads run until the process ends.
pub(crate) fn leaked_executor() -> LeakedExecutor {
    let executor = Executor::new().leak();
    for _ in 0..WORKERS {
        thread::spawn(|| block_on(executor.run(pending::<()>())));
    }
    LeakedExecutor(executor)
}

impl AsyncPool for LeakedExecutor {
    type Handle = async_executor::Task<u64>;

    fn spawn(&self, task: impl Future<Output = u64> + Send + 'static) -> Self::Handle {
        self.0.spawn(task)
    }

    fn value(output: u64) -> u64 {
        output
    }
}

impl Execute for LeakedExecutor {
    fn execute(&self, job: impl FnOnce() + Send + 'static) {
        self.0.spawn(async move { job() }).detach();
    }
}

/// Tokio's scheduler of async tasks.
#[derive(Clone)]
pub(crate) struct Tokio(pub(crate) Arc<Runtime>);

pub(crate) fn tokio() -> Tokio {
    tokio_of(WORKERS)
}

pub(crate) fn tokio_of(workers: usize) -> Tokio {
    let mut builder = Builder::new_multi_thread();
    let runtime = builder
        .worker_threads(workers)
        .max_blocking_threads(workers)
        .build();
    Tokio(Arc::new(done(runtime)))
}

impl AsyncPool for Tokio {
    type Handle = tokio::task::JoinHandle<u64>;

    fn spawn(&self, task: impl Future<Output = u64> + Send + 'static) -> Self::Handle {
        self.0.spawn(task)
    }

    fn value(output: Result<u64, tokio::task::JoinError>) -> u64 {
        done(output)
    }

    fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.0.block_on(future)
    }
}

impl Execute for Tokio {
    fn execute(&self, job: impl FnOnce() + Send + 'static) {
        self.0.spawn(async move { job() });
    }
}

/// Tokio's threads for closures that block.
pub(crate) struct TokioBlocking(Tokio);

pub(crate) fn tokio_blocking() -> TokioBlocking {
    TokioBlocking(tokio())
}

impl Pool for TokioBlocking {
    type Handle = tokio::task::JoinHandle<u64>;

    fn submit(&self, job: impl FnOnce() -> u64 + Send + 'static) -> Self::Handle {
        self.0.0.spawn_blocking(job)
    }

    fn take(&self, handle: Self::Handle) -> u64 {
        done(self.0.block_on(handle))
    }

    fn sum(&self, handles: Vec<Self::Handle>) -> u64 {
        self.0.block_on(sum::<Tokio>(handles))
    }
}

pub(crate) fn futures_pool() -> futures::executor::ThreadPool {
    let mut builder = futures::executor::ThreadPool::builder();
    done(builder.pool_size(WORKERS).create())
}

impl AsyncPool for futures::executor::ThreadPool {
    type Handle = RemoteHandle<u64>;

    fn spawn(&self, task: impl Future<Output = u64> + Send + 'static) -> Self::Handle {
        done(self.spawn_with_handle(task))
    }

    fn value(output: u64) -> u64 {
        output
    }

    fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        futures::executor::block_on(future)
    }
}

/// As a [`Pool`] it takes plain closures; here its tasks are futures.
impl AsyncPool for rusty_pool::ThreadPool {
    type Handle = oneshot::Receiver<u64>;

    fn spawn(&self, task: impl Future<Output = u64> + Send + 'static) -> Self::Handle {
        self.spawn_await(task).receiver
    }

    fn value(output: Result<u64, oneshot::Canceled>) -> u64 {
        done(output)
    }
}
