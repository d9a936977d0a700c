//! New tasks.

use std::future::Future;
use std::panic::Location;
use std::rc::Rc;
use std::sync::Arc;

use future_result::{
    Cause, CellId, Completer, JoinHandle, Rejection, TaskError, pair, pair_with_hook,
    pair_with_waker,
};

use super::Scheduler;
use super::job::{Call, Job, Polled};
use super::parcel::{Parcel, Place};
use super::task::{Body, Key, Task};
use super::waker::WakeHandle;

/// A task and the handle to its outcome.
pub(crate) struct Spawned<T> {
    pub(crate) handle: JoinHandle<T>,
    /// `None` if it was refused.
    pub(crate) task: Option<Rc<Task>>,
}

impl Scheduler {
    /// Runs a closure on a stack of its own; `job` turns it into a job.
    pub(crate) fn spawn<T>(
        &self,
        spawned_at: &'static Location<'static>,
        job: impl FnOnce(Completer<T>) -> Box<dyn Job>,
    ) -> Spawned<T> {
        if self.stacks.is_none() {
            let cause =
                Cause::new("its runtime runs futures alone; give the builder the token `Stackful`");
            return refused(TaskError::Lost(cause));
        }
        self.enter(spawned_at, |completer| Body::Unstarted(job(completer)))
    }

    /// Runs a closure on a stack of its own.
    pub(crate) fn spawn_call<F, T>(
        &self,
        spawned_at: &'static Location<'static>,
        closure: F,
    ) -> Spawned<T>
    where
        F: FnOnce() -> T + 'static,
        T: 'static,
    {
        self.spawn(spawned_at, |completer| {
            Box::new(Call { closure, completer })
        })
    }

    /// Like [`spawn_call`](Self::spawn_call), on whichever of the run's threads takes it first.
    pub(crate) fn spawn_anywhere<F, T>(
        &self,
        spawned_at: &'static Location<'static>,
        closure: F,
    ) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let Some(post) = &self.post else {
            return self.spawn_call(spawned_at, closure).handle;
        };
        let place = Arc::new(Place::default());
        let (completer, handle) = pair_with_hook(self.id, {
            let place = Arc::clone(&place);
            move || place.cancel()
        });
        let pushed = post.crew.push(Parcel {
            serial: self.next_serial(),
            spawned_at,
            cell: completer.id(),
            job: Box::new(Call { closure, completer }),
            place,
        });
        if let Err(parcel) = pushed {
            parcel.job.refuse(TaskError::Rejected(Rejection::ShutDown));
        }
        handle
    }

    /// The number of the next task, unique in the run.
    fn next_serial(&self) -> u64 {
        let spawned = self.spawned.get();
        self.spawned.set(spawned + 1);
        match &self.post {
            None => spawned + 1,
            Some(post) => spawned * post.crew.size() as u64 + post.place as u64 + 1,
        }
    }

    /// Polls a future until it is ready.
    pub(crate) fn spawn_future<F>(
        &self,
        spawned_at: &'static Location<'static>,
        future: F,
    ) -> Spawned<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        self.enter(spawned_at, |completer| {
            Body::Future(Box::pin(Polled::new(future, completer)))
        })
    }

    fn enter<T>(
        &self,
        spawned_at: &'static Location<'static>,
        body: impl FnOnce(Completer<T>) -> Body,
    ) -> Spawned<T> {
        if self.is_closing.get() {
            return refused(TaskError::Rejected(Rejection::ShutDown));
        }
        let Some(key) = self.tasks.reserve() else {
            return refused(TaskError::Rejected(Rejection::Full));
        };
        let serial = self.next_serial();
        let (completer, handle) = self.cell(key);
        let cell: CellId = completer.id();
        let now = self.seen.get();
        let task = Task::new(key, serial, spawned_at, Some(cell), now, body(completer));
        let task = self.tasks.enter(task);
        self.queue.push(Rc::clone(&task));
        Spawned {
            handle,
            task: Some(task),
        }
    }

    /// A cell for an outcome: its handle can cancel the task from anywhere, and its wakers can wake it.
    fn cell<T>(&self, key: Key) -> (Completer<T>, JoinHandle<T>) {
        pair_with_waker(self.id, WakeHandle::new(Arc::clone(&self.inbox), key))
    }
}

/// For spawns where there is no scheduler.
pub(crate) fn homeless<T>() -> Spawned<T> {
    let cause =
        Cause::new("no runtime of green tasks runs on this thread; spawn within `Runtime::run`");
    refused(TaskError::Lost(cause))
}

fn refused<T>(error: TaskError) -> Spawned<T> {
    let (completer, handle) = pair();
    completer.fail(error);
    Spawned { handle, task: None }
}
