//! A run's threads other than the calling one. They live as long as the run.

use std::io;
use std::panic::Location;
use std::rc::Rc;
use std::sync::Arc;

use future_result::sync::thread;
use future_result::{Blocker, abort_on_unwind, with_blocker};

use crate::deadlock::Deadlock;
use crate::offload;
use crate::runtime::Builder;
use crate::scheduler::{Crew, Post, Scheduler, Settings, current};
use crate::stack::{SignalStack, Slab, StackPool};
use crate::watchdog::Watchdog;

/// The other threads; dropping this waits for them.
pub(crate) struct Threads {
    crew: Arc<Crew>,
    handles: Vec<thread::JoinHandle<Option<Deadlock>>>,
}

impl Threads {
    /// Starts a thread for each of the slabs, at the places after the first.
    pub(crate) fn start(
        crew: &Arc<Crew>,
        slabs: Vec<Option<Slab>>,
        builder: &Builder,
        caller: &'static Location<'static>,
    ) -> io::Result<Self> {
        let mut threads = Self {
            crew: Arc::clone(crew),
            handles: Vec::with_capacity(slabs.len()),
        };
        let level = offload::level();
        for (index, slab) in slabs.into_iter().enumerate() {
            let place = index + 1;
            let (crew, offload) = (Arc::clone(crew), builder.offload.clone());
            let watchdog = builder.watch.clone().map(Watchdog::start).transpose()?;
            let thread = thread::Builder::new().name(format!("green-tasks-{place}"));
            let handle = thread.spawn(move || {
                offload::set_level(level);
                let settings = Settings {
                    stacks: slab.map(StackPool::new),
                    post: Some(Post { crew, place }),
                    offload,
                    seed: None,
                    pulse: watchdog.as_ref().map(Watchdog::pulse),
                };
                let scheduler = Scheduler::new(settings, caller);
                // No task's panic gets here. Without this thread, the run would never end.
                abort_on_unwind(|| enter(&scheduler, || scheduler.serve()));
                scheduler.take_stuck()
            })?;
            threads.handles.push(handle);
        }
        Ok(threads)
    }

    /// Waits until all have ended, which they do after `run`'s closure; returns the tasks that they had to leave
    /// behind.
    pub(crate) fn join(mut self) -> Option<Deadlock> {
        self.wait()
    }

    fn wait(&mut self) -> Option<Deadlock> {
        let joined = self.handles.drain(..).map(thread::JoinHandle::join);
        // All report the same.
        joined.filter_map(Result::ok).flatten().last()
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        if !self.handles.is_empty() {
            // Not all could be started.
            self.crew.give_up();
            self.wait();
        }
    }
}

/// Runs `f` with the scheduler as that of the calling thread.
pub(crate) fn enter<R>(scheduler: &Rc<Scheduler>, f: impl FnOnce() -> R) -> R {
    let _signal_stack = scheduler.has_stacks().then(SignalStack::ensure);
    let blocker: Rc<dyn Blocker> = Rc::clone(scheduler) as _;
    current::enter(Rc::clone(scheduler), || {
        // With its own identity, so that a pool's worker does not run the pool's tasks on the small stacks of green
        // ones.
        scheduler.id().enter(|| with_blocker(blocker, f))
    })
}
