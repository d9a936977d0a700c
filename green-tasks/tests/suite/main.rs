//! All tests that need only a thread of their own.
//!
//! # What coroutines can get wrong, and which test shows that these do not
//!
//! Unsound, even if tasks never move:
//!
//! | what | test |
//! |---|---|
//! | scopes of a thread-local are left out of order | `guards::a_thread_local_scope_that_is_left_out_of_order_…` |
//! | a task suspends while a thread-local is initialized | `guards::a_thread_local_that_suspends_…` |
//! | a thread-local owns a scheduler | `guards::a_runtime_in_a_thread_local_…`, `guards::a_run_in_the_destructor_…` |
//! | closures become tasks without the promise | `tasks::spawning_where_it_cannot_be_gives_a_handle_that_says_so` |
//! | a started task moves to another thread | `guards::a_started_task_stays_on_its_thread`, `threads::a_started_task_stays_…` |
//! | a waker owns what is not `Send` | `guards::a_waker_owns_nothing_of_its_task` |
//! | a waker wakes the next task in its place | `tasks::wakers_that_outlive_their_task_or_runtime_wake_nobody` |
//! | a scope returns before its tasks have ended | all of `scope` |
//! | a stack is reused while others point into it | `guards::the_stack_of_a_task_that_is_left_behind_…`, `scope::a_task_that_is_left_behind_…` |
//! | a task overflows its stack | `tests/overflow` |
//! | something is borrowed while user code runs | both of `reentry`, `polled::a_waker_that_is_dropped_…`, `sync::what_is_left_in_a_channel_…` |
//!
//! Hazards of unwinding:
//!
//! | what | test |
//! |---|---|
//! | a destructor that waits while its task unwinds aborts the process | `cancel::a_destructor_may_wait_while_its_task_unwinds` |
//! | it waits forever | `cancel::a_task_that_can_neither_go_on_nor_unwind_…` |
//! | a cancellation is caught and forgotten | `cancel::whoever_catches_it_is_unwound_again_at_the_next_wait` |
//! | a cancellation looks like a panic | `guards::the_panic_hook_is_not_called_…` |
//! | one task unwinds, and another is mistaken for it | `cancel::a_task_that_rests_is_cancelled_while_another_one_unwinds`, `cancel::a_cancellation_waits_…` |
//! | a cancellation poisons locks | `cancel::our_locks_are_not_poisoned_…`; std's: `cancel::a_std_lock_…` |
//! | tasks outlive the run | `cancel::leaving_run_ends_all_that_is_left`, `threads::the_end_of_the_run_ends_everything_…` |
//! | unwinding is switched off | `./check.sh abort`: it does not compile |
//! | something is lost or leaked wherever a task is cancelled | all of `points`, `cancel::a_storm_…`, `tests/many` |
//!
//! Hazards of waiting:
//!
//! | what | test |
//! |---|---|
//! | a waiting task holds a std lock | `guards::a_lock_of_std_…` |
//! | a lock lets in any task of the same thread | `guards::a_lock_that_its_thread_may_take_again_…` |
//! | nothing can ever go on, and nobody reports it | all of `deadlock`; over threads: `threads::a_deadlock_over_two_threads_…` |
//! | something can, and a deadlock is reported | `deadlock::a_task_of_another_thread_…`, `deadlock::a_future_whose_waker_…` |
//! | a busy thread never sees other threads' wakes | `tasks::a_result_of_another_thread_…`, `tasks::where_turns_are_long_…` |
//! | busy sockets keep everything else from running | `net::whoever_always_has_something_to_read_…` |
//! | a busy thread never starts shared tasks | `threads::what_nobody_has_started_…` |
//! | a wake is lost as the scheduler falls asleep | `tests/loom`, the models in `scheduler/crew` |
//! | calls that wait for blocking calls take up all the threads | `blocking::calls_that_wait_for_calls_of_their_own_…` |
//! | an accept that fails is retried without a pause | `tests/descriptors` |
//! | more tasks than a process may have mappings | `tests/many`, `tests/mapped` |
#![cfg(not(any(pool_loom, pool_sim)))]
#![deny(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "a failure of a test")]

mod blocking;
mod cancel;
mod deadlock;
mod debug;
mod guards;
mod local;
mod net;
mod outlast;
mod points;
mod polled;
mod pool;
mod reentry;
mod rwlock;
mod scope;
mod select;
mod sockets;
mod support;
mod sync;
mod tasks;
mod threads;
mod waits;
