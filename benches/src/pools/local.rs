//! Executors of futures that stay on one thread.

use std::cell::RefCell;
use std::future::Future;
use std::rc::Rc;

use async_executor::LocalExecutor;
use futures::executor::{LocalPool, LocalSpawner};
use futures::task::LocalSpawnExt;
use futures_lite::future;
use tokio::runtime::{Builder, Runtime};
use tokio::task::LocalSet;

use super::done;
use crate::group::{Run, Workload};

/// An executor whose tasks stay on the thread that blocks on it.
pub(crate) trait LocalAsync: Clone + 'static {
    fn spawn<T: 'static>(
        &self,
        task: impl Future<Output = T> + 'static,
    ) -> impl Future<Output = T> + 'static;

    fn block_on<T>(&self, future: impl Future<Output = T>) -> T;

    /// Lets the other tasks run.
    fn yield_now() -> impl Future<Output = ()> {
        future::yield_now()
    }
}

/// A workload that runs `code` on the executor.
pub(crate) fn local<P: LocalAsync>(pool: P, code: impl AsyncFn(P) -> Run + 'static) -> Workload {
    Box::new(move || pool.block_on(code(pool.clone())))
}

/// `async-executor`'s.
#[derive(Clone)]
pub(crate) struct AsyncLocal(Rc<LocalExecutor<'static>>);

pub(crate) fn async_local() -> AsyncLocal {
    AsyncLocal(Rc::new(LocalExecutor::new()))
}

impl LocalAsync for AsyncLocal {
    fn spawn<T: 'static>(
        &self,
        task: impl Future<Output = T> + 'static,
    ) -> impl Future<Output = T> + 'static {
        self.0.spawn(task)
    }

    fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        future::block_on(self.0.run(future))
    }
}

/// The same executor, blocked on in such a way that `smol`'s timers and sockets need no other thread.
#[derive(Clone)]
pub(crate) struct Smol(AsyncLocal);

pub(crate) fn smol() -> Smol {
    Smol(async_local())
}

impl LocalAsync for Smol {
    fn spawn<T: 'static>(
        &self,
        task: impl Future<Output = T> + 'static,
    ) -> impl Future<Output = T> + 'static {
        self.0.spawn(task)
    }

    fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        smol::block_on(self.0.0.run(future))
    }
}

/// Tokio's `LocalSet`, on a runtime of one thread.
#[derive(Clone)]
pub(crate) struct TokioLocal(Rc<(LocalSet, Runtime)>);

pub(crate) fn tokio_local() -> TokioLocal {
    let runtime = done(Builder::new_current_thread().enable_all().build());
    TokioLocal(Rc::new((LocalSet::new(), runtime)))
}

impl LocalAsync for TokioLocal {
    fn spawn<T: 'static>(
        &self,
        task: impl Future<Output = T> + 'static,
    ) -> impl Future<Output = T> + 'static {
        let handle = self.0.0.spawn_local(task);
        async { done(handle.await) }
    }

    fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        let (local, runtime) = &*self.0;
        local.block_on(runtime, future)
    }

    fn yield_now() -> impl Future<Output = ()> {
        tokio::task::yield_now()
    }
}

/// `futures`' `LocalPool`.
#[derive(Clone)]
pub(crate) struct FuturesLocal {
    pool: Rc<RefCell<LocalPool>>,
    spawner: LocalSpawner,
}

pub(crate) fn futures_local() -> FuturesLocal {
    let pool = LocalPool::new();
    FuturesLocal {
        spawner: pool.spawner(),
        pool: Rc::new(RefCell::new(pool)),
    }
}

impl LocalAsync for FuturesLocal {
    fn spawn<T: 'static>(
        &self,
        task: impl Future<Output = T> + 'static,
    ) -> impl Future<Output = T> + 'static {
        done(self.spawner.spawn_local_with_handle(task))
    }

    fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.pool.borrow_mut().run_until(future)
    }
}
