//! What a stack frame lends for the time of a call, after which nobody may touch it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use shuttle::thread;

use crate::entry::explode;
use crate::scheduler;

/// Lies on the lender's stack.
pub(crate) struct Ground {
    /// How often each place was visited.
    visits: Vec<AtomicUsize>,
    made: AtomicUsize,
    dropped: AtomicUsize,
    /// Apart from the ground itself, so that late borrowers still find it.
    is_over: Arc<AtomicBool>,
}

/// A borrower of one place. Dropping it touches the ground, too.
pub(crate) struct Lent<'a> {
    ground: &'a Ground,
    is_over: Arc<AtomicBool>,
    pub(crate) place: usize,
    has_bomb: bool,
}

impl Ground {
    pub(crate) fn new(places: usize) -> Self {
        Self {
            visits: (0..places).map(|_| AtomicUsize::new(0)).collect(),
            made: AtomicUsize::new(0),
            dropped: AtomicUsize::new(0),
            is_over: Arc::default(),
        }
    }

    pub(crate) fn places(&self) -> usize {
        self.visits.len()
    }

    pub(crate) fn lend(&self, place: usize) -> Lent<'_> {
        self.lend_bomb(place, false)
    }

    /// One that panics when it is dropped, if it `has_bomb`.
    pub(crate) fn lend_bomb(&self, place: usize, has_bomb: bool) -> Lent<'_> {
        self.made.fetch_add(1, Ordering::Relaxed);
        Lent {
            ground: self,
            is_over: Arc::clone(&self.is_over),
            place,
            has_bomb,
        }
    }

    pub(crate) fn visits(&self) -> impl Iterator<Item = usize> {
        self.visits
            .iter()
            .map(|visits| visits.load(Ordering::Relaxed))
    }

    /// The call that it was borrowed for has ended. Only this many borrowers may be left, whose
    /// handles were leaked.
    pub(crate) fn take_back(&self, leaks: usize) {
        self.is_over.store(true, Ordering::Relaxed);
        let left = self.made.load(Ordering::Relaxed) - self.dropped.load(Ordering::Relaxed);
        assert!(left <= leaks, "{left} borrowers are left, {leaks} leaked");
    }
}

impl Lent<'_> {
    /// Touches the ground, for a while.
    pub(crate) fn visit(&self) {
        self.touch("visited");
        self.ground.visits[self.place].fetch_add(1, Ordering::Relaxed);
        thread::yield_now();
        self.touch("still being visited");
    }

    fn touch(&self, how: &str) {
        if self.is_over.load(Ordering::Relaxed) {
            scheduler::fail(&format!("lent ground is {how} after the end"));
        }
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        self.touch("left");
        if !self.is_over.load(Ordering::Relaxed) {
            self.ground.dropped.fetch_add(1, Ordering::Relaxed);
        }
        explode(self.has_bomb);
    }
}
