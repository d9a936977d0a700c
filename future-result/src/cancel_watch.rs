//! For the pools alone: how one that can stop running work learns that a handle wants it.
//!
//! The wish itself is the flag in the cell. Beyond that the pool has to be woken, and the cell has no
//! room for whom: so pools stand in a list by their identity, which only a request to cancel running
//! work ever looks at.

use std::task::Waker;

use crate::PoolId;
use crate::sync::{Mutex, statics};

statics! {
    static WATCHES: Mutex<Vec<(PoolId, Waker)>> = Mutex::new(Vec::new());
}

/// Wakes a waker whenever a handle from [`pair_in`](crate::pair_in) of this pool asks work that has
/// started to stop; until dropped.
///
/// The pool then looks which of its tasks [are cancelled](crate::Completer::is_cancelled): the wish is
/// there before the wake-up.
#[derive(Debug)]
#[must_use = "dropping it ends the watch"]
pub struct CancelWatch(PoolId);

impl CancelWatch {
    /// Begins to watch.
    pub fn new(pool: PoolId, waker: Waker) -> Self {
        WATCHES.lock().push((pool, waker));
        Self(pool)
    }
}

impl Drop for CancelWatch {
    fn drop(&mut self) {
        let mut watches = WATCHES.lock();
        let place = watches.iter().position(|(pool, _)| *pool == self.0);
        let removed = place.map(|place| watches.swap_remove(place));
        drop(watches);
        // Its destructor is the pool's code.
        drop(removed);
    }
}

/// A handle wants its task to stop.
pub(crate) fn tell(pool: PoolId) {
    let watches = WATCHES.lock();
    let found = watches.iter().find(|(id, _)| *id == pool);
    // Cloned, so that no code of the pool's runs under the lock but this clone, which is ours to know.
    let waker = found.map(|(_, waker)| waker.clone());
    drop(watches);
    if let Some(waker) = waker {
        waker.wake();
    }
}

#[cfg(all(test, not(pool_loom), not(pool_sim)))]
mod tests {
    use std::sync::Arc;
    use std::task::Wake;

    use super::*;
    use crate::sync::atomic::{AtomicU32, Ordering};
    use crate::{Cancel, FutureResult, InPlace, pair_in};

    #[derive(Default)]
    struct Count(AtomicU32);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            // ORDERING: Relaxed; one thread.
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn only_a_request_to_stop_what_runs_wakes_the_pool() {
        let [pool, other] = [PoolId::new(), PoolId::new()];
        let count = Arc::new(Count::default());
        let woken = || count.0.load(Ordering::Relaxed); // ORDERING: Relaxed; one thread.
        let watch = CancelWatch::new(pool, Arc::clone(&count).into());

        let (_queued, handle) = pair_in::<()>(pool);
        assert_eq!(handle.cancel(), Cancel::Prevented);
        let (mut elsewhere, handle) = pair_in::<()>(other);
        assert!(elsewhere.start());
        assert_eq!(handle.cancel(), Cancel::Requested);
        assert_eq!(woken(), 0);

        let (mut running, handle) = pair_in::<()>(pool);
        assert!(running.start());
        assert_eq!(handle.cancel(), Cancel::Requested);
        assert!(running.is_cancelled());
        assert_eq!(woken(), 1);

        drop(watch);
        assert_eq!(handle.cancel(), Cancel::Requested);
        assert_eq!(woken(), 1);
    }

    #[test]
    fn a_pair_of_the_callers_own_pool_is_not_run_in_place() {
        let pool = PoolId::new();
        let (completer, mut handle) = pair_in::<u32>(pool);
        assert_eq!(pool.enter(|| handle.run_in_place()), InPlace::Never);
        assert_eq!(completer.complete(7), Ok(()));
        assert_eq!(handle.result().ok(), Some(7));
    }
}
