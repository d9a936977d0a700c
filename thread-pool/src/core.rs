//! What a pool's workers share with its owner.

use std::sync::{Arc, OnceLock};

use future_result::claim::Role;
use future_result::sync::atomic::{AtomicBool, Ordering, fence, fence_between_seq_cst};
use future_result::sync::{Mutex, thread};
use future_result::{Cause, Completer, PoolId, Rejection, Status, Task, TaskError, TaskList};

use crate::abandoned::{Abandoned, Why};
use crate::bound::Bound;
use crate::current;
use crate::injector::Injector;
use crate::join::Slots;
use crate::lanes::Lanes;
use crate::mailbox::Mailbox;
use crate::roster::{Roster, Seat};
use crate::sleep::{Sleep, Wake};
use crate::submitter::Kept;
use crate::tally::{Tally, Totals};
use crate::timer::Timer;
use crate::trace;
use crate::worker::{self, Local, Queues};
use crate::worker_state::{Begun, Factory};

/// Called by each worker before its first job or after its last, with the worker's number.
pub(crate) type Hook = Box<dyn Fn(usize) + Send + Sync>;

/// How the threads are made.
pub(crate) struct Threads {
    pub(crate) name: String,
    pub(crate) stack_size: Option<usize>,
    pub(crate) initializer: Option<Hook>,
    pub(crate) make_state: Option<Factory>,
    pub(crate) exit_hook: Option<Hook>,
    pub(crate) measures_delays: bool,
}

impl Threads {
    /// Whether a worker runs user code before its first job.
    pub(crate) fn has_beginning(&self) -> bool {
        self.initializer.is_some() || self.make_state.is_some()
    }
}

pub(crate) struct Core {
    pub(crate) id: PoolId,
    pub(crate) injector: Injector,
    pub(crate) lanes: Lanes,
    pub(crate) timer: Arc<Timer>,
    pub(crate) bound: Option<Arc<Bound>>,
    pub(crate) sleep: Sleep,
    pub(crate) roster: Roster,
    pub(crate) threads: Threads,
    /// Whether it has stopped accepting tasks.
    closed: AtomicBool,
    pub(crate) abandoned: Arc<Abandoned>,
    /// By the worker's number; a worker that leaves early takes its own out. `None` if nobody will
    /// join them.
    handles: Mutex<Option<Vec<Option<thread::JoinHandle<()>>>>>,
    /// Completed by the last worker to leave.
    terminated: Mutex<Option<Completer<()>>>,
    /// What a sibling crate keeps with the pool.
    pub(crate) companion: OnceLock<Kept>,
}

impl Core {
    pub(crate) fn new(
        id: PoolId,
        bound: Option<Bound>,
        sleep: Sleep,
        threads: Threads,
        terminated: Completer<()>,
    ) -> Self {
        let abandoned = Arc::new(Abandoned::new());
        Self {
            id,
            injector: Injector::new(),
            lanes: Lanes::new(),
            timer: Arc::new(Timer::new(Arc::clone(&abandoned))),
            bound: bound.map(Arc::new),
            sleep,
            roster: Roster::new(),
            threads,
            closed: AtomicBool::new(false),
            abandoned,
            handles: Mutex::new(Some(Vec::new())),
            terminated: Mutex::new(Some(terminated)),
            companion: OnceLock::new(),
        }
    }

    /// Queues a task: a worker's own in its deque, all others in the injector. Gives it back if the
    /// pool is closed.
    #[inline]
    pub(crate) fn push(self: &Arc<Self>, task: Task) -> Result<(), Task> {
        if self.is_forked() {
            return Err(task);
        }
        current::with_of(self, |local| {
            match local {
                Some(_) if self.is_closed() => return Err(task),
                Some(local) => self.push_local(local, task),
                None => {
                    self.injector.push(task)?;
                    self.pushed();
                }
            }
            Ok(())
        })
    }

    /// Queues a task of the calling worker.
    #[inline]
    pub(crate) fn push_local(self: &Arc<Self>, local: &Local, task: Task) {
        local.push(task);
        // ORDERING: the producer's fence in the proof of `sleep`. A deque's push is a SeqCst
        // read-modify-write, and the word is read by a SeqCst load.
        fence_between_seq_cst();
        self.wake_if_wanting();
    }

    /// Queues what a running task spawned after the pool gave up what was queued.
    pub(crate) fn push_part(self: &Arc<Self>, part: Task) {
        self.lanes.push_part(part);
        // ORDERING: the producer's fence in the proof of `sleep`.
        fence(Ordering::SeqCst);
        self.wake_if_wanting();
    }

    /// Queues many tasks as [`Core::push`] does, in one step with one wake-up. If the pool is closed,
    /// fails them, and returns false.
    pub(crate) fn push_all(self: &Arc<Self>, mut tasks: TaskList) -> bool {
        if tasks.is_empty() {
            return true;
        }
        let refused = current::with_of(self, |local| match local {
            _ if self.is_forked() => Err(tasks),
            Some(_) if self.is_closed() => Err(tasks),
            Some(local) => {
                while let Some(task) = tasks.pop_front() {
                    local.push(task);
                }
                Ok(())
            }
            None => self.injector.push_all(tasks),
        });
        match refused {
            Err(tasks) => {
                fail_all(tasks, &TaskError::Rejected(self.rejection()));
                false
            }
            Ok(()) => {
                // ORDERING: the producer's fence in the proof of `sleep`.
                fence(Ordering::SeqCst);
                self.wake_if_wanting();
                true
            }
        }
    }

    /// Counts helpers that were queued, for a call that goes on meanwhile.
    pub(crate) fn count_helpers(&self, helpers: usize) {
        self.roster
            .count(|departed| departed.announced += helpers as u64);
    }

    /// Like [`Core::push`], but wakes nobody: for a submitter that holds a lock.
    pub(crate) fn queue(self: &Arc<Self>, task: Task) -> Result<(), Task> {
        current::with_of(self, |local| match local {
            Some(local) => {
                local.push(task);
                Ok(())
            }
            None => self.injector.push(task),
        })
    }

    /// Queues a task of a worker that leaves, and wakes nobody yet.
    pub(crate) fn leave_to_others(&self, task: Task) {
        if let Err(task) = self.injector.push(task) {
            self.reject(task);
        }
    }

    /// What is left to do after [`Core::queue`], once the lock is released.
    pub(crate) fn queued_in_room(self: &Arc<Self>, queued: Result<(), Task>) {
        if let Err(task) = queued {
            return self.reject(task);
        }
        self.pushed();
    }

    /// Runs a task on the thread that submitted it, and counts it.
    pub(crate) fn run_by_caller(&self, task: Task) {
        let status = task.run_unless(|| None);
        self.roster.count(|departed| departed.count(status));
    }

    /// Why nothing is accepted.
    #[cold]
    pub(crate) fn rejection(&self) -> Rejection {
        if self.is_forked() {
            // Any lock may be held by a thread of the parent process.
            return Rejection::Forked;
        }
        self.injector.closed().unwrap_or(Rejection::ShutDown)
    }

    /// Fails a task that came back.
    #[cold]
    pub(crate) fn reject(&self, task: Task) {
        task.fail(TaskError::Rejected(self.rejection()));
    }

    /// Wakes a worker if one is needed for what was just pushed to the injector, a lane or the own deque.
    #[inline]
    pub(crate) fn pushed(self: &Arc<Self>) {
        // ORDERING: the producer's fence in the proof of `sleep`. Each of these pushes is a SeqCst
        // read-modify-write, and the word is read by a SeqCst load.
        fence_between_seq_cst();
        self.wake_if_wanting();
    }

    /// Wakes or starts a worker if there is a place for one. The caller has added work, and then
    /// issued a fence.
    #[inline]
    pub(crate) fn wake_if_wanting(self: &Arc<Self>) {
        if self.sleep.is_wanting() {
            self.wake_one();
        }
    }

    #[cold]
    fn wake_one(self: &Arc<Self>) {
        match self.sleep.wake_one() {
            Wake::Nobody => {}
            Wake::Sleeper(bed) => bed.wake(),
            Wake::Start => {
                // Without the thread the work waits for the existing ones.
                if self.start_worker(None).is_err() {
                    self.sleep.wake_instead();
                }
            }
        }
    }

    /// Starts a thread that the sleep word already counts; it reports its start to `begun`.
    pub(crate) fn start_worker(self: &Arc<Self>, begun: Option<Begun>) -> std::io::Result<()> {
        let queues = Queues::new();
        let seat = Arc::new(Seat {
            slots: Slots::new(),
            own: queues.own.stealer(),
            batch: queues.batch.stealer(),
            mailbox: Mailbox::new(),
            tally: Tally::new(self.threads.measures_delays),
        });
        let index = self.roster.enter(&seat);
        let mut builder = thread::Builder::new().name(format!("{}-{index}", self.threads.name));
        if let Some(bytes) = self.threads.stack_size {
            builder = builder.stack_size(bytes);
        }
        let core = Arc::clone(self);
        let its_seat = Arc::clone(&seat);
        // Held until the handle is in its place, so that the worker cannot leave earlier.
        let mut handles = self.handles.lock();
        match builder.spawn(move || worker::run(core, index, queues, its_seat, begun)) {
            Ok(handle) => {
                if let Some(handles) = &mut *handles {
                    if handles.len() <= index {
                        handles.resize_with(index + 1, || None);
                    }
                    // The previous worker of that number left while the pool was closed, and is still
                    // to be joined.
                    let before = handles[index].replace(handle);
                    handles.extend(before.map(Some));
                }
                Ok(())
            }
            Err(error) => {
                drop(handles);
                self.roster.leave(index);
                let unread = seat.mailbox.close();
                let lost = Cause::new("the worker's thread could not be started");
                fail_all(unread, &TaskError::Lost(lost));
                self.not_started(1);
                Err(error)
            }
        }
    }

    /// This many threads that the sleep word counts will never run.
    pub(crate) fn not_started(&self, threads: usize) {
        if self.sleep.not_started(threads) {
            self.terminate();
        }
    }

    /// The last thing that a worker does after it has [left](Sleep::leave).
    pub(crate) fn forget_worker(&self, index: usize) {
        self.give_up_seat(index);
        if self.sleep.left() {
            self.terminate();
        }
    }

    /// The last thing that a worker without a state does, which runs no task: as if it had never
    /// started. It does not count as searching.
    pub(crate) fn forget_beginner(&self, index: usize) {
        self.give_up_seat(index);
        self.sleep.start_searching();
        self.not_started(1);
        self.sleep.wake_instead();
    }

    fn give_up_seat(&self, index: usize) {
        if !self.is_over() {
            // It leaves early, and nobody will join it.
            let mut handles = self.handles.lock();
            let handle = handles
                .as_mut()
                .and_then(|handles| handles.get_mut(index)?.take());
            drop(handles);
            drop(handle);
        }
        self.roster.leave(index);
    }

    /// Wakes all workers, as each has mail.
    pub(crate) fn wake_all(&self) {
        self.sleep.wake_all();
    }

    /// Completes the wait for the end: no worker is left.
    pub(crate) fn terminate(&self) {
        self.timer.close();
        self.tell_companion();
        let terminated = self.terminated.lock().take();
        if let Some(terminated) = terminated {
            // Nobody to tell if the pool was detached.
            let _ = terminated.complete(());
        }
    }

    /// Whether there are threads that nobody has joined or detached.
    pub(crate) fn has_handles(&self) -> bool {
        self.handles.lock().iter().flatten().any(Option::is_some)
    }

    /// Nobody will join the threads, nor any that start later.
    pub(crate) fn detach_threads(&self) {
        let handles = self.handles.lock().take();
        drop(handles);
    }

    /// The threads to join.
    pub(crate) fn take_handles(&self) -> Vec<thread::JoinHandle<()>> {
        let handles = self.handles.lock().as_mut().map(std::mem::take);
        handles.into_iter().flatten().flatten().collect()
    }

    /// Whether this process is a fork without the pool's threads, where its locks may never be
    /// released.
    #[inline]
    pub(crate) fn is_forked(&self) -> bool {
        self.id.is_inherited()
    }

    #[inline]
    pub(crate) fn is_closed(&self) -> bool {
        // ORDERING: Relaxed; a hint. The inbox decides what must not be missed.
        self.closed.load(Ordering::Relaxed)
    }

    /// Stops accepting tasks; what is queued still runs. The first reason stays.
    pub(crate) fn close(self: &Arc<Self>, reason: Rejection) {
        // The bound first: whoever holds room relies on the injector being open.
        if let Some(bound) = &self.bound {
            bound.close(reason);
        }
        self.injector.close(reason);
        self.lanes.close(reason);
        // ORDERING: Release pairs with the Acquire of a worker that is about to leave: it sees
        // everything pushed to the injector before.
        self.closed.store(true, Ordering::Release);
        if self.sleep.close() {
            self.terminate();
        }
        // Closing moves tasks, so a worker that has just found one may have missed them.
        // ORDERING: the producer's fence in the proof of `sleep`.
        fence(Ordering::SeqCst);
        if !self.injector.is_empty() || !self.lanes.are_empty() {
            self.wake_if_wanting();
        }
    }

    /// Whether a worker that finds no more work may leave.
    pub(crate) fn is_over(&self) -> bool {
        // ORDERING: Acquire pairs with the Release in `close`.
        self.closed.load(Ordering::Acquire)
    }

    /// Gives up everything that is queued. The pool is closed.
    pub(crate) fn abandon_queued(&self, why: Why) {
        // What the sweep misses while it is being moved fails when somebody is about to run it.
        let error = self.abandoned.begin(why);
        let mut tasks = self.injector.take_all();
        tasks.append(&mut self.lanes.take_all());
        for seat in self.roster.all() {
            while let Some(task) = seat.steal() {
                tasks.push_back(task);
            }
            tasks.append(&mut seat.mailbox.take_all());
        }
        let mut totals = Totals::default();
        tasks.drop_stale_with(|status| totals.count(status));
        let mut given_up = TaskList::new();
        while let Some(task) = tasks.pop_front() {
            totals.count((task.role() != Role::Helper).then_some(Status::Cancelled));
            given_up.push_back(task);
        }
        self.roster.count(|departed| departed.add_tasks(&totals));
        fail_all(given_up, &error);
    }

    /// What all workers and the sweeps of the queues counted.
    pub(crate) fn totals(&self) -> Totals {
        let mut totals = self.roster.totals();
        totals.add_tasks(&self.injector.swept());
        self.lanes.add_swept(&mut totals);
        totals
    }

    /// Whether what is submitted carries a [`Watch`](crate::watch::Watch).
    #[inline]
    pub(crate) fn is_watched(&self) -> bool {
        trace::IS_ON || self.threads.measures_delays
    }

    /// How many tasks are queued, including tombstones but not helpers.
    pub(crate) fn queued(self: &Arc<Self>) -> usize {
        let seats = self.roster.all();
        let with_workers = seats
            .iter()
            .map(|seat| seat.batch.len() + seat.own.len() + seat.mailbox.len());
        let queued = with_workers.sum::<usize>() + self.injector.len() + self.lanes.len();
        // Counting moves tasks, so a worker that is falling asleep may have missed them.
        // ORDERING: the producer's fence in the proof of `sleep`.
        fence(Ordering::SeqCst);
        if queued > 0 {
            self.wake_if_wanting();
        }
        queued.saturating_sub(self.totals().helpers_queued())
    }
}

/// Fails all of them. To be called without a lock.
pub(crate) fn fail_all(mut tasks: TaskList, error: &TaskError) {
    while let Some(task) = tasks.pop_front() {
        task.fail(error.clone());
    }
}
