//! The token by which a program declares that its code may run on coroutines.
#![expect(unsafe_code, reason = "the token is a promise")]

/// The permission to run closures as tasks, each on a stack of its own: see [`assume`](Self::assume).
#[derive(Clone, Copy, Debug)]
pub struct Stackful(());

impl Stackful {
    /// Declares that all code that tasks will run is fit for that.
    ///
    /// When a task waits, in the middle of whatever it called, other tasks go on **on the same
    /// thread**. To ordinary code this is just a call that takes long. But some code is
    /// sound only because of something that is true of threads and not of tasks: between its call
    /// of a function and the return, nothing runs on its thread but what that function calls, and
    /// calls on one thread end in the reverse order of their beginning. Suspended in such a place,
    /// safe code has been seen to read freed memory.
    ///
    /// # Safety
    ///
    /// None of the code that runs in the tasks of the runtime that gets this token, in any
    /// library, suspends
    ///
    /// - **while a thread-local variable is being initialized or destroyed**: in the initializer of a
    ///   `thread_local!`, or in the destructor of its value. Two tasks would initialize it, and the
    ///   second initialization drops the value that the first user has borrowed.
    /// - **within a call that has stored a pointer to its own stack frame, or to something that it
    ///   borrows, in a thread-local place**, to take it out again when it returns: `scoped-tls`, the
    ///   current-context variables of some interpreters, parsers and graphics libraries,
    ///   `ThreadPoolExecutor::join` of the `thread-pool` crate on one of its workers. Tasks leave such
    ///   calls in any order, so what is put back may point to a frame that is gone. (Those whose
    ///   thread-local place owns what it holds, or counts, are fine.)
    /// - **within a call that hands out exclusive access to something of its thread**, and whose proof
    ///   that there is no second one is that nothing else runs on the thread meanwhile: an unsafe
    ///   `thread_local` cell without a borrow flag.
    /// - **on any stack but the task's**: in a coroutine that another library runs, or in a signal
    ///   handler.
    ///
    /// And: **foreign code** (C, say) that is called on a task's stack makes do with what is left
    /// of it. Rust code probes each page that it needs, and so hits the guard below a stack that is
    /// too small; code that was compiled without such probes can jump over the guard.
    ///
    /// *Suspends* means: calls a function of this crate that waits, or waits for a result of any pool,
    /// or calls something that does, as a closure or a `Read` that was passed in may.
    ///
    /// # How to keep the promise
    ///
    /// Wrap code that you are not sure of in [`no_suspend`](crate::no_suspend): there, an attempt to suspend
    /// panics. Only code that takes callbacks, or does I/O through traits that you implement
    /// with this crate's sockets, needs it; other code cannot suspend at all.
    ///
    /// # What is sound anyway
    ///
    /// This crate guarantees, whatever the tasks do: a started task never leaves its thread, even
    /// if there are [several](crate::Builder::threads); so its thread-locals stay those of its own
    /// thread, and all of the above applies to each thread separately. A closure that has not
    /// started may start on another thread only if it is `Send`. No task is unwound from outside, or when the
    /// thread's locals are gone. A waker owns
    /// nothing of its task. A stack that could not be unwound is never used again, so pointers
    /// into it stay valid. [`scope`](crate::scope()) does not return before its tasks have ended.
    ///
    /// # What is sound, and may surprise
    ///
    /// - A guard of a std or `parking_lot` mutex that is held while its task waits blocks the thread
    ///   if another task wants the lock: a deadlock that nobody can report. Use
    ///   [`sync`](crate::sync), or drop the guard first. Reentrant locks, such
    ///   as that of `stdout`, let another task in.
    /// - While a task waits in a destructor in the middle of its unwinding, `std::thread::panicking()` is
    ///   true for other tasks, too, so a std mutex that they unlock then is poisoned.
    /// - If a panic hook waits, std takes a panic of another task meanwhile for one within the hook, and
    ///   aborts the process.
    /// - Thread-local variables are shared by all tasks of the thread; and with several threads, nobody can
    ///   tell on which one [`spawn`](crate::spawn) starts a task.
    /// - A task that is cancelled unwinds out of what it waits in. If that would have to pass through
    ///   foreign code, the process aborts: let callbacks from there wait within
    ///   [`shield`](crate::shield).
    ///
    /// # Examples
    ///
    /// ```
    /// use green_tasks::{Runtime, Stackful};
    ///
    /// // SAFETY: the tasks call std and this crate, which do none of the above.
    /// let token = unsafe { Stackful::assume() };
    /// let runtime = Runtime::builder().stackful(token).build()?;
    /// # runtime.run(|| ())?;
    /// # Ok::<(), green_tasks::RuntimeError>(())
    /// ```
    #[must_use]
    pub const unsafe fn assume() -> Self {
        Self(())
    }
}
