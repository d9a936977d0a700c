//! Running tasks: a task goes on until it rests or ends.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::thread::panicking;

use future_result::{Cause, Rejection, TaskError, contain};

use super::Scheduler;
use super::job::{FutureJob, Job};
use super::task::{Body, Ends, Phase, Rest, Task};
use crate::engine::{Fiber, Step};
use crate::stack::{Label, NoStack};

impl Scheduler {
    /// Puts a task into the run queue if it rests, or makes its next rest short. If it is queued already, or has
    /// ended, there is nothing to do.
    #[inline]
    pub(crate) fn wake(&self, task: &Rc<Task>) {
        match task.phase.get() {
            Phase::Resting => {
                task.phase.set(Phase::Queued);
                self.queue.push(Rc::clone(task));
            }
            Phase::Running => task.woken.set(true),
            Phase::Queued | Phase::Due | Phase::Ended => {}
        }
    }

    /// Lets the calling task rest until it is woken, or spuriously; others run meanwhile.
    ///
    /// Unwinds if the task is to stop: before, and after.
    ///
    /// # Panics
    ///
    /// If the task has said that it will not suspend.
    // Inlined down to the switch: each frame between that and the task's own code returns on another stack
    // than the one that the CPU expects.
    #[inline(always)]
    pub(crate) fn rest(&self, task: &Rc<Task>, rest: Rest) {
        let may_unwind = self.before_rest(task, rest.what);
        task.begin_rest(rest, self.seen.get());
        if task.woken.take() {
            self.queue_again(task);
        } else {
            task.phase.set(Phase::Resting);
        }
        // By value, so that what a caller's constant says is decided at compile time.
        self.switch(task, rest.ends);
        task.end_rest();
        after_rest(task, may_unwind);
    }

    /// Gives the others a turn before the calling task goes on: a [`rest`](Self::rest) that is over at once. What
    /// it is for is not noted, which would touch one more cache line: reports call such a task ready.
    #[inline(always)]
    pub(crate) fn give_way(&self, task: &Rc<Task>) {
        let may_unwind = self.before_rest(task, &"lets others have a turn");
        task.woken.set(false);
        self.queue_again(task);
        self.switch(task, Ends::Here);
        task.note_owed();
        after_rest(task, may_unwind);
    }

    /// Unwinds if the task is to stop. Otherwise says whether it may be unwinding already.
    #[inline(always)]
    fn before_rest(&self, task: &Rc<Task>, what: &'static &'static str) -> bool {
        task.raise();
        if task.is_pinned() {
            refuse_to_rest(what);
        }
        let may_unwind = panicking();
        if may_unwind {
            self.note_unsure(task);
        }
        may_unwind
    }

    #[cold]
    fn note_unsure(&self, task: &Rc<Task>) {
        if !task.is_unsure.replace(true) {
            self.unsure.borrow_mut().push(Rc::clone(task));
        }
    }

    /// It is running, and gets its next turn after the others.
    #[inline(always)]
    fn queue_again(&self, task: &Rc<Task>) {
        task.phase.set(Phase::Queued);
        self.queue.push(Rc::clone(task));
    }

    #[inline(always)]
    fn switch(&self, task: &Rc<Task>, ends: Ends) {
        let is_elsewhere = ends == Ends::Elsewhere;
        if is_elsewhere {
            self.elsewhere.set(self.elsewhere.get() + 1);
        }
        match task.suspender.get() {
            Some(suspender) => {
                self.suspend(task, suspender);
                if is_elsewhere {
                    self.elsewhere.set(self.elsewhere.get() - 1);
                }
            }
            // `run_another` stops counting it when it is due: it may then wait long for those above it.
            None => self.drive(task),
        }
        debug_assert_eq!(task.phase.get(), Phase::Running);
    }

    /// Runs others until the task's turn comes: how a task without a stack of its own rests.
    #[inline(never)]
    fn drive(&self, task: &Rc<Task>) {
        while task.phase.get() != Phase::Due {
            self.turn();
        }
        task.phase.set(Phase::Running);
    }

    /// One turn of one task; with none queued, sleeps until there may be one.
    #[inline(always)]
    pub(super) fn turn(&self) {
        if self.pace.is_time() {
            self.look_outside();
        }
        match self.queue.pop() {
            Some(task) => self.run(task),
            None => self.idle(),
        }
        if !self.unsure.borrow().is_empty() && !panicking() {
            self.be_sure();
        }
    }

    /// The thread no longer panics, so no task that began to rest meanwhile is unwinding.
    #[cold]
    fn be_sure(&self) {
        for task in self.unsure.take() {
            task.is_unsure.set(false);
            if task.is_wanted() {
                self.wake(&task);
            }
        }
    }

    #[inline(always)]
    fn run(&self, task: Rc<Task>) {
        debug_assert_eq!(task.phase.get(), Phase::Queued);
        task.phase.set(Phase::Running);
        self.beat(Some(&task));
        match self.resume_in_place(task) {
            Ok((_, Step::Suspended)) => {}
            Ok((task, Step::Ended)) => {
                if let Body::Fiber(fiber) = task.body.take() {
                    self.end(&task, fiber);
                }
            }
            Err(task) => self.run_another(task),
        }
    }

    /// Runs a task that is not suspended on a stack of its own.
    fn run_another(&self, task: Rc<Task>) {
        match task.body.take() {
            Body::Unstarted(job) => self.start(task, job),
            Body::Future(future) => self.poll(task, future),
            // It rests further down on this very stack. (Fibers are resumed by the caller.)
            Body::Fiber(_) | Body::Elsewhere => {
                let is_elsewhere = task.rest_ends() == Some(Ends::Elsewhere);
                self.elsewhere
                    .set(self.elsewhere.get() - usize::from(is_elsewhere));
                task.phase.set(Phase::Due);
            }
        }
    }

    fn start(&self, task: Rc<Task>, mut job: Box<dyn Job>) {
        let started = job.start();
        let refused = task.reason().or_else(|| {
            // Its handle has its outcome already.
            (!started).then_some(TaskError::Cancelled)
        });
        let stack = match (refused, &self.stacks) {
            (None, Some(stacks)) => stacks.take().map_err(|error| match error {
                NoStack::InUse => TaskError::Rejected(Rejection::Full),
                error => TaskError::Lost(Cause::new(error)),
            }),
            (None, None) => Err(TaskError::Rejected(Rejection::Full)),
            (Some(error), _) => Err(error),
        };
        let stack = match stack {
            Ok(stack) => stack,
            Err(error) => {
                task.close();
                self.as_current(&task, || job.refuse(error));
                return self.retire(&task);
            }
        };
        stack.set_label(Label::new(task.serial, task.spawned_at));
        let mut fiber = Fiber::new(stack, {
            let task = Rc::clone(&task);
            move |suspender| {
                task.suspender.set(Some(suspender));
                job.run(&task);
                // Up to here, destructors of what the job left behind may still suspend.
                task.suspender.set(None);
            }
        });
        match self.resume(task, &mut fiber) {
            (task, Step::Suspended) => task.put_back(Body::Fiber(fiber)),
            (task, Step::Ended) => self.end(&task, fiber),
        }
    }

    #[inline(always)]
    pub(super) fn resume(&self, task: Rc<Task>, fiber: &mut Fiber) -> (Rc<Task>, Step) {
        let before = self.current.replace(task);
        let step = fiber.resume();
        // Whoever is current meanwhile restores who was.
        (self.current.replace(before), step)
    }

    /// The fiber of a task has ended.
    fn end(&self, task: &Rc<Task>, fiber: Fiber) {
        if let (Some(stack), Some(stacks)) = (fiber.into_stack(), &self.stacks) {
            stacks.give_back(stack);
        }
        self.retire(task);
    }

    fn poll(&self, task: Rc<Task>, mut future: Pin<Box<dyn FutureJob>>) {
        if task.stop_awaiting() {
            self.elsewhere.set(self.elsewhere.get() - 1);
        }
        let polled = self.as_current(&task, || {
            if let Some(error) = task.reason() {
                task.close();
                future.refuse(error);
                return None;
            }
            if future.as_mut().poll(&task).is_pending() {
                return Some(future);
            }
            contain(|| drop(future));
            None
        });
        let Some(future) = polled else {
            return self.retire(&task);
        };
        task.put_back(Body::Future(future));
        task.begin_rest(Rest::AWAITS, self.seen.get());
        self.elsewhere.set(self.elsewhere.get() + 1);
        if task.woken.take() {
            task.phase.set(Phase::Queued);
            self.queue.push(task);
        } else {
            task.phase.set(Phase::Resting);
        }
    }

    /// Runs `f` with `task` as the one that is running.
    #[inline]
    fn as_current<R>(&self, task: &Rc<Task>, f: impl FnOnce() -> R) -> R {
        let before = self.current.replace(Rc::clone(task));
        let result = f();
        self.current.replace(before);
        result
    }

    /// The task has ended.
    fn retire(&self, task: &Rc<Task>) {
        task.phase.set(Phase::Ended);
        self.tasks.remove(task.key);
    }

    /// Tells a task to stop: it ends with `error`, unless it makes something else of it.
    pub(crate) fn stop(&self, task: &Rc<Task>, error: TaskError) {
        task.interrupts().stop(error);
        self.wake(task);
    }

    pub(crate) fn cancel(&self, task: &Rc<Task>) {
        self.stop(task, TaskError::Cancelled);
    }

    /// Runs `main` as the runtime's main task, and then makes all others stop and end.
    pub(crate) fn run_main<R>(&self, main: impl FnOnce() -> R) -> std::thread::Result<R> {
        self.beat(Some(&self.current()));
        // Unwind safety: passed on to the caller.
        let result = catch_unwind(AssertUnwindSafe(main));
        self.retire_main();
        if let Some(post) = &self.post {
            for parcel in post.crew.close(post.place) {
                self.adopt(parcel);
            }
        }
        self.close();
        self.drain();
        result
    }

    /// For the run's other threads: runs tasks until the run ends.
    pub(crate) fn serve(&self) {
        self.retire_main();
        self.drain();
    }

    fn retire_main(&self) {
        let main = self.current();
        main.close();
        self.retire(&main);
    }

    /// The run ends: no new tasks, and all existing ones stop.
    pub(super) fn close(&self) {
        self.is_closing.set(true);
        for task in self.tasks.all() {
            self.cancel(&task);
        }
    }

    /// The run ends, and no task is left that could end.
    pub(super) fn is_finished(&self) -> bool {
        self.is_closing.get() && (self.tasks.len() == 0 || self.stuck.borrow().is_some())
    }

    /// Runs tasks until the run ends and none is left that could end.
    fn drain(&self) {
        while !self.is_finished() {
            self.turn();
        }
        {
            // Tells whoever asked for a dump that none will come; see `ring`.
            let current = self.current();
            let _pin = current.interrupts().pin();
            contain(|| self.inbox.close());
        }
        if let Some(post) = &self.post {
            post.crew.leave(post.place);
        }
        // The calling thread may have to wait for the others.
        self.beat(None);
    }
}

/// Unwinds if the task is to stop. It ran nothing while it rested, so what was true of it before is true now.
#[inline(always)]
fn after_rest(task: &Task, may_unwind: bool) {
    if may_unwind {
        task.raise();
    } else {
        task.raise_surely();
    }
}

#[cold]
fn refuse_to_rest(what: &'static &'static str) -> ! {
    panic!(
        "suspended within `no_suspend`, where the task {what}; move that out, or do not wait there"
    )
}
