//! Which scheduler runs on the calling thread.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use future_result::can_have_blocker;
use future_result::sync::thread_locals;

use super::Scheduler;
use super::inbox::Inbox;

thread_locals! {
    /// Set while [`enter`] runs, which is on the stack of `Runtime::run`: when the thread's locals are destroyed,
    /// no task is left to unwind. Borrowed only to be cloned or compared.
    static CURRENT: RefCell<Option<Rc<Scheduler>>> = RefCell::new(None);
}

/// The scheduler of the calling thread.
#[inline]
pub(crate) fn get() -> Option<Rc<Scheduler>> {
    CURRENT
        .try_with(|current| current.borrow().clone())
        .ok()
        .flatten()
}

/// Whether the calling thread can have one: not while its locals are destroyed.
pub(crate) fn is_possible() -> bool {
    can_have_blocker() && CURRENT.try_with(|_| ()).is_ok()
}

/// Like [`get`], if it is the one with this inbox.
pub(super) fn of_inbox(inbox: &Arc<Inbox>) -> Option<Rc<Scheduler>> {
    get().filter(|scheduler| Arc::ptr_eq(&scheduler.inbox, inbox))
}

/// Runs `f` with `scheduler` as that of the calling thread, which has none.
pub(crate) fn enter<R>(scheduler: Rc<Scheduler>, f: impl FnOnce() -> R) -> R {
    struct Leave;

    impl Drop for Leave {
        fn drop(&mut self) {
            let left = CURRENT.try_with(RefCell::take);
            drop(left);
        }
    }

    CURRENT.with(|current| current.replace(Some(scheduler)));
    let _leave = Leave;
    f()
}
