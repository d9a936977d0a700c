//! Submitting: one job, many, with a handle or without.

use std::sync::Arc;

use future_result::{JoinHandle, Rejection, Task, TaskError, contain, pair, task_in};

use crate::bound::{Bound, Room};
use crate::current;
use crate::trace::Origin;
use crate::watch::Watch;
use crate::{SubmitError, ThreadPoolExecutor, WhenFull};

impl ThreadPoolExecutor {
    /// Runs `job` on a worker, and returns the handle of its result.
    ///
    /// If the queue has a bound and is full, waits for room, or does what the pool's [`WhenFull`]
    /// says. If the pool does not accept the job, the handle says so with
    /// [`TaskError::Rejected`].
    ///
    /// # Examples
    ///
    /// ```
    /// use thread_pool::{FutureResult, TaskError, ThreadPoolExecutor};
    ///
    /// let pool = ThreadPoolExecutor::new(2)?;
    /// let divided = pool.submit(|| 1 / "0".parse::<i32>().unwrap());
    /// match divided.result() {
    ///     Err(TaskError::Panicked(panic)) => assert!(panic.message().contains("divide by zero")),
    ///     other => unreachable!("{other:?}"),
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn submit<F, T>(&self, job: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.submit_from(Origin::here(), job)
    }

    /// Like [`submit`](Self::submit), from `origin`.
    pub(crate) fn submit_from<F, T>(&self, origin: Origin, job: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        if let Some(bound) = &self.core.bound {
            return self.submit_bounded(bound, Watch::new(&self.core, origin), job);
        }
        let (task, handle) = self.task_from(origin, job);
        if let Err(task) = self.core.push(task) {
            self.core.reject(task);
        }
        handle
    }

    /// Makes a task of a job submitted at `origin`.
    pub(crate) fn task_from<F, T>(&self, origin: Origin, job: F) -> (Task, JoinHandle<T>)
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        if self.core.is_watched() {
            let watch = Watch::new(&self.core, origin);
            return task_in(self.core.id, move || watch.run(job));
        }
        task_in(self.core.id, job)
    }

    /// Like [`submit`](Self::submit), for a bounded queue.
    fn submit_bounded<F, T>(&self, bound: &Arc<Bound>, watch: Watch, job: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        match (bound.reserve(), bound.when_full()) {
            (Ok(room), _) => self.fill(room, watch, job),
            (Err(Rejection::Full), WhenFull::CallerRuns) => {
                let (task, handle) = task_in(self.core.id, || watch.run(job));
                self.core.run_by_caller(task);
                handle
            }
            (Err(reason), _) => refused(job, TaskError::Rejected(reason)),
        }
    }

    /// Makes a task of `job`, and puts it where there is room.
    fn fill<F, T>(&self, room: Room<'_>, watch: Watch, job: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let (queued, handle) = room.fill(|permit| {
            // If nobody watches, the job need not carry the watch.
            let (task, handle) = if self.core.is_watched() {
                task_in(self.core.id, move || {
                    drop(permit);
                    watch.run(job)
                })
            } else {
                task_in(self.core.id, move || {
                    drop(permit);
                    job()
                })
            };
            (self.core.queue(task), handle)
        });
        self.core.queued_in_room(queued);
        handle
    }

    /// Like [`submit`](Self::submit), but never waits: gives the job back instead.
    ///
    /// # Errors
    ///
    /// [`SubmitError`] with the job, if the queue is full or the pool is shut down.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::mpsc;
    /// use thread_pool::{FutureResult, Rejection, ThreadPoolExecutor};
    ///
    /// let pool = ThreadPoolExecutor::builder().workers(1).queue_bound(1).build()?;
    /// let (started, wait_for_start) = mpsc::channel();
    /// let (go, wait_for_go) = mpsc::channel::<()>();
    /// let running = pool.submit(move || {
    ///     started.send(()).unwrap();
    ///     wait_for_go.recv().is_err()
    /// });
    /// wait_for_start.recv()?;
    /// let queued = pool.try_submit(|| 1)?;
    /// let refused = pool.try_submit(|| 2).unwrap_err();
    /// assert_eq!(refused.reason(), Rejection::Full);
    /// drop(go);
    /// assert_eq!(queued.result()? + refused.into_job()(), 3);
    /// # drop(running);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn try_submit<F, T>(&self, job: F) -> Result<JoinHandle<T>, SubmitError<F>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        if self.core.is_forked() {
            return Err(SubmitError::new(job, Rejection::Forked));
        }
        if let Some(bound) = &self.core.bound {
            let watch = Watch::new(&self.core, Origin::here());
            return match bound.try_reserve() {
                Ok(room) => Ok(self.fill(room, watch, job)),
                Err(reason) => Err(SubmitError::new(job, reason)),
            };
        }
        if self.core.is_watched() {
            let watch = Watch::new(&self.core, Origin::here());
            let make = |job| task_in(self.core.id, move || watch.run(job));
            return self.add_watched(job, make);
        }
        let core = &self.core;
        current::with_of(core, |local| {
            if let Some(local) = local {
                if core.is_closed() {
                    return Err(SubmitError::new(job, core.rejection()));
                }
                let (task, handle) = task_in(core.id, job);
                core.push_local(local, task);
                return Ok(handle);
            }
            match core.injector.push_task_in(core.id, job) {
                Ok(handle) => {
                    core.pushed();
                    Ok(handle)
                }
                Err(job) => Err(SubmitError::new(job, core.rejection())),
            }
        })
    }

    /// Runs `job` on a worker, without a handle: cheaper than a submission whose handle
    /// is dropped. The panic hook reports a panic, which is otherwise ignored; a cancelling shutdown
    /// drops what has not started.
    ///
    /// If the queue has a bound and is full, waits for room, or does what the pool's [`WhenFull`]
    /// says.
    ///
    /// # Errors
    ///
    /// [`SubmitError`] with the job, if the pool is shut down, or its queue is full and it rejects then.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::mpsc;
    /// use thread_pool::ThreadPoolExecutor;
    ///
    /// let pool = ThreadPoolExecutor::new(2)?;
    /// let (sender, receiver) = mpsc::channel();
    /// pool.execute(move || sender.send("done").unwrap())?;
    /// assert_eq!(receiver.recv()?, "done");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn execute<F>(&self, job: F) -> Result<(), SubmitError<F>>
    where
        F: FnOnce() + Send + 'static,
    {
        if self.core.is_forked() {
            return Err(SubmitError::new(job, Rejection::Forked));
        }
        if let Some(bound) = &self.core.bound {
            return self.execute_bounded(bound, Watch::new(&self.core, Origin::here()), job);
        }
        if self.core.is_watched() {
            let watch = Watch::new(&self.core, Origin::here());
            let make = |job| (Task::detached(move || watch.run::<()>(job)), ());
            return self.add_watched(job, make);
        }
        let core = &self.core;
        current::with_of(core, |local| {
            if let Some(local) = local {
                if core.is_closed() {
                    return Err(SubmitError::new(job, core.rejection()));
                }
                core.push_local(local, Task::detached(job));
                return Ok(());
            }
            match core.injector.push_detached(job) {
                Ok(()) => {
                    core.pushed();
                    Ok(())
                }
                Err(job) => Err(SubmitError::new(job, core.rejection())),
            }
        })
    }

    /// Like [`execute`](Self::execute), for a bounded queue.
    fn execute_bounded<F>(
        &self,
        bound: &Arc<Bound>,
        watch: Watch,
        job: F,
    ) -> Result<(), SubmitError<F>>
    where
        F: FnOnce() + Send + 'static,
    {
        match (bound.reserve(), bound.when_full()) {
            (Ok(room), _) => {
                let queued = room.fill(|permit| {
                    let task = if self.core.is_watched() {
                        Task::detached(move || {
                            drop(permit);
                            watch.run(job);
                        })
                    } else {
                        Task::detached(move || {
                            drop(permit);
                            job();
                        })
                    };
                    self.core.queue(task)
                });
                self.core.queued_in_room(queued);
                Ok(())
            }
            (Err(Rejection::Full), WhenFull::CallerRuns) => {
                self.core.run_by_caller(Task::detached(|| watch.run(job)));
                Ok(())
            }
            (Err(reason), _) => Err(SubmitError::new(job, reason)),
        }
    }

    /// Adds what `make` makes of a job, which cannot be undone: so the pool is kept open before that,
    /// or the job comes back.
    fn add_watched<F, R>(
        &self,
        job: F,
        make: impl FnOnce(F) -> (Task, R),
    ) -> Result<R, SubmitError<F>> {
        let core = &self.core;
        current::with_of(core, |local| {
            if let Some(local) = local {
                if core.is_closed() {
                    return Err(SubmitError::new(job, core.rejection()));
                }
                let (task, handle) = make(job);
                core.push_local(local, task);
                return Ok(handle);
            }
            let open = match core.injector.keep_open() {
                Ok(open) => open,
                Err(reason) => return Err(SubmitError::new(job, reason)),
            };
            let (task, handle) = make(job);
            let queued = core.queue(task);
            drop(open);
            core.queued_in_room(queued);
            Ok(handle)
        })
    }
}

/// The handle of a job that is not queued.
pub(crate) fn refused<F, T>(job: F, error: TaskError) -> JoinHandle<T> {
    contain(|| drop(job));
    let (completer, handle) = pair();
    completer.fail(error);
    handle
}
