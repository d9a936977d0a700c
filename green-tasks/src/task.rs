//! What code does as a task, or to make one.

use std::future::Future;
use std::panic::Location;
use std::pin::pin;

use future_result::{JoinHandle, block_until};

use crate::scheduler::{current, homeless};

/// Runs a closure as a task of its own, on whichever of the runtime's [threads](crate::Builder::threads)
/// gets to it first. There it stays. If there is only one thread, its turn comes when the caller waits.
///
/// The handle is that of all pools: wait for it or cancel it anywhere, even on other threads.
/// Dropping it detaches. For a closure that is not `Send`, see [`spawn_local`].
///
/// Always returns a handle: outside of a runtime, or in one without the token
/// [`Stackful`](crate::Stackful), its outcome is an error that says so.
///
/// # Examples
///
/// ```
/// use green_tasks::{spawn, yield_now, FutureResult, Runtime, Stackful};
///
/// // SAFETY: nothing that these tasks call is on the list of `Stackful::assume`.
/// let token = unsafe { Stackful::assume() };
/// let runtime = Runtime::builder().stackful(token).build()?;
/// let sum = runtime.run(|| {
///     let handles: Vec<_> = (1..=3)
///         .map(|n| {
///             spawn(move || {
///                 yield_now();
///                 n * n
///             })
///         })
///         .collect();
///     handles.into_iter().map(FutureResult::result).sum::<Result<i32, _>>()
/// })?;
/// assert_eq!(sum?, 14);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[track_caller]
pub fn spawn<F, T>(closure: F) -> JoinHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    match current::get() {
        Some(scheduler) => scheduler.spawn_anywhere(Location::caller(), closure),
        None => homeless().handle,
    }
}

/// Like [`spawn`], but on the calling thread, so neither the closure nor its value need be `Send`: such tasks
/// can share an `Rc`, and whatever is in [`sync`](crate::sync).
///
/// # Examples
///
/// ```
/// use green_tasks::{spawn_local, sync::Event, FutureResult, Runtime, Stackful};
/// use std::rc::Rc;
///
/// // SAFETY: nothing that these tasks call is on the list of `Stackful::assume`.
/// let token = unsafe { Stackful::assume() };
/// Runtime::builder().stackful(token).build()?.run(|| {
///     let event = Rc::new(Event::new());
///     let waiting = spawn_local({
///         let event = Rc::clone(&event);
///         move || event.wait()
///     });
///     event.set();
///     waiting.result()
/// })??;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[track_caller]
pub fn spawn_local<F, T>(closure: F) -> JoinHandle<T>
where
    F: FnOnce() -> T + 'static,
    T: 'static,
{
    let spawned = match current::get() {
        Some(scheduler) => scheduler.spawn_call(Location::caller(), closure),
        None => homeless(),
    };
    spawned.handle
}

/// Runs a future as a task of its own, on the calling thread.
///
/// Like [`spawn_local`], but it needs no stack and no token. (To have a future on any thread, `spawn`
/// a closure that [awaits](await_future) it.) What it calls may wait as any code may;
/// but it then waits on the thread's own stack, where nested waits can only end from the innermost
/// out. So await instead where you can.
///
/// # Examples
///
/// ```
/// use green_tasks::{spawn_future, Runtime};
///
/// let sum = Runtime::new().block_on(async {
///     let two = spawn_future(async { 2 });
///     let three = spawn_future(async { 3 });
///     Ok::<_, green_tasks::TaskError>(two.await? + three.await?)
/// })?;
/// assert_eq!(sum?, 5);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[track_caller]
pub fn spawn_future<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    let spawned = match current::get() {
        Some(scheduler) => scheduler.spawn_future(Location::caller(), future),
        None => homeless(),
    };
    spawned.handle
}

/// Waits for a future as the calling code waits: a task suspends, a plain thread parks.
///
/// # Examples
///
/// ```
/// use green_tasks::await_future;
///
/// assert_eq!(await_future(async { 6 * 7 }), 42);
/// ```
pub fn await_future<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    loop {
        // There is no deadline, so this cannot time out.
        if let Ok(output) = block_until(None, |context| future.as_mut().poll(context)) {
            return output;
        }
    }
}

/// Lets the others have a turn. Outside of a runtime, the thread offers its CPU to others.
///
/// # Cancel safety
///
/// A task that is to stop unwinds from here.
///
/// # Examples
///
/// ```
/// use green_tasks::{spawn_future, yield_now, FutureResult, Runtime};
///
/// Runtime::new().run(|| {
///     let handle = spawn_future(async { 1 });
///     assert!(!handle.is_done());
///     yield_now();
///     assert!(handle.is_done());
/// })?;
/// # Ok::<(), green_tasks::RuntimeError>(())
/// ```
// Inlined also where it is called in several places: see `Scheduler::rest`.
#[inline(always)]
pub fn yield_now() {
    match current::get() {
        Some(scheduler) => {
            let task = scheduler.current();
            scheduler.give_way(&task);
        }
        None => std::thread::yield_now(),
    }
}

/// Unwinds if the calling task was cancelled, or a [`timeout`](crate::timeout) around it has passed; for
/// code that computes long without waiting.
///
/// It also notices cancellations by other threads. Within a `timeout` it looks at the clock; otherwise it costs
/// next to nothing. Within [`no_suspend`] it notices neither. The other tasks get no turn meanwhile:
/// for that there is [`yield_now`]. The clock of a
/// [deterministic](crate::Builder::deterministic) runtime stands still while a task computes.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use green_tasks::{checkpoint, timeout, Elapsed, Runtime};
///
/// Runtime::new().run(|| {
///     let mut steps = 0_u64;
///     let search = timeout(Duration::from_millis(5), || {
///         loop {
///             steps += 1; // Computes, and never waits.
///             checkpoint();
///         }
///     });
///     assert_eq!(search, Err::<(), _>(Elapsed));
///     assert!(steps > 0);
/// })?;
/// # Ok::<(), green_tasks::RuntimeError>(())
/// ```
pub fn checkpoint() {
    if let Some(scheduler) = current::get() {
        scheduler.check();
    }
}

/// Runs `f` without interruption: a cancellation or a time limit that comes meanwhile takes effect
/// when the task next waits after it.
///
/// Only a [deadlock](crate::Deadlock) interrupts it nevertheless, since it could never end
/// otherwise.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use green_tasks::{shield, sleep, timeout, Runtime};
///
/// Runtime::builder().deterministic(7).build()?.run(|| {
///     let written = timeout(Duration::from_secs(1), || {
///         shield(|| {
///             sleep(Duration::from_secs(5)); // Writes what must not be written by halves.
///             "all of it"
///         })
///     });
///     assert_eq!(written, Ok("all of it"));
/// })?;
/// # Ok::<(), green_tasks::RuntimeError>(())
/// ```
pub fn shield<R>(f: impl FnOnce() -> R) -> R {
    let task = current::get().map(|scheduler| scheduler.current());
    let _shield = task.as_ref().map(|task| task.interrupts().shield());
    f()
}

/// Runs `f`, in which the calling task must not suspend: for code that relies on nothing else running
/// on its thread meanwhile, as [`Stackful::assume`](crate::Stackful::assume) says.
///
/// # Panics
///
/// Whatever would wait within it panics.
///
/// # Examples
///
/// ```
/// use green_tasks::{no_suspend, yield_now, Runtime};
/// use std::panic::catch_unwind;
///
/// Runtime::new().run(|| {
///     assert_eq!(no_suspend(|| 6 * 7), 42);
///     assert!(catch_unwind(|| no_suspend(yield_now)).is_err());
/// })?;
/// # Ok::<(), green_tasks::RuntimeError>(())
/// ```
pub fn no_suspend<R>(f: impl FnOnce() -> R) -> R {
    let task = current::get().map(|scheduler| scheduler.current());
    let _pin = task.as_ref().map(|task| task.interrupts().pin());
    f()
}

/// The most bytes of stack that any task of the calling thread has used in this run, to compare with
/// [`stack_size`](crate::Builder::stack_size).
///
/// It counts the pages (usually of 4 KiB) that were ever touched, except those that were swapped
/// out. It looks at each stack that was ever used, which takes about a microsecond
/// each. `None` outside of a runtime, in one without stacks, and where the system does not tell
/// (Linux, Android and Apple's do).
///
/// # Examples
///
/// ```
/// use green_tasks::{spawn, stack_high_water, FutureResult, Runtime, Stackful};
///
/// // SAFETY: nothing that these tasks call is on the list of `Stackful::assume`.
/// let token = unsafe { Stackful::assume() };
/// let runtime = Runtime::builder().stackful(token).stack_size(256 << 10).build()?;
/// runtime.run(|| {
///     let used = spawn(|| std::hint::black_box([1_u8; 100_000]).len());
///     used.result().map(|_| {
///         if let Some(bytes) = stack_high_water() {
///             assert!((100_000..=256 << 10).contains(&bytes));
///         }
///     })
/// })??;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn stack_high_water() -> Option<usize> {
    current::get()?.stack_high_water()
}
