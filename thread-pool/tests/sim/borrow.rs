//! What borrows from the caller's stack: scopes, joins, and maps over slices and vectors.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::entry::quietly;
use crate::job::DEPTH;
use crate::lent::{Ground, Lent};
use crate::owner::Owner;
use crate::program;

pub(crate) use crate::scoped::scope;

/// A tree of joins.
pub(crate) fn join(owner: &Arc<Owner>, depth: usize) {
    let ground = Ground::new(2 + owner.random(|random| random.below(6)));
    let panicked = AtomicBool::new(false);
    let call = Call {
        owner,
        ground: &ground,
        panicked: &panicked,
        depth,
    };
    // From outside each join may take a task.
    owner.ledger.expect_tasks(2 * ground.places() as u64);
    let results = catch_unwind(AssertUnwindSafe(|| call.split(0..ground.places())));
    call.check(results.ok());
}

/// A map over a slice, or a vector.
pub(crate) fn map(owner: &Arc<Owner>, depth: usize) {
    let ground = Ground::new(owner.random(|random| random.below(13)));
    let panicked = AtomicBool::new(false);
    let call = Call {
        owner,
        ground: &ground,
        panicked: &panicked,
        depth,
    };
    owner.ledger.expect_tasks(owner.plan.workers as u64 - 1);
    let results = catch_unwind(AssertUnwindSafe(|| {
        if owner.random(|random| random.one_in(2)) {
            let places: Vec<usize> = (0..ground.places()).collect();
            owner.pool().map_slice(&places, |&place| call.leaf(place))
        } else {
            let lent = (0..ground.places()).map(|place| {
                let has_bomb = owner.random(|random| random.one_in(30));
                (place, ground.lend_bomb(place, has_bomb))
            });
            let lent: Vec<_> = lent.collect();
            owner.pool().map_vec(lent, |(place, lent)| {
                if catch_unwind(AssertUnwindSafe(|| drop(lent))).is_err() {
                    call.panic();
                }
                call.leaf(place)
            })
        }
    }));
    call.check(results.ok());
}

/// A call that lends its ground.
struct Call<'a> {
    owner: &'a Arc<Owner>,
    ground: &'a Ground,
    panicked: &'a AtomicBool,
    depth: usize,
}

impl<'a> Call<'a> {
    fn split(&self, places: Range<usize>) -> Vec<Lent<'a>> {
        if places.len() == 1 {
            return vec![self.leaf(places.start)];
        }
        let middle = places.start + 1 + self.owner.random(|random| random.below(places.len() - 1));
        let (mut left, right) = self.owner.pool().join(
            || self.split(places.start..middle),
            || self.split(middle..places.end),
        );
        left.extend(right);
        left
    }

    fn leaf(&self, place: usize) -> Lent<'a> {
        let lent = self
            .ground
            .lend_bomb(place, self.owner.random(|random| random.one_in(12)));
        lent.visit();
        match self.owner.random(|random| random.below(24)) {
            0 => self.panic(),
            1 if self.depth < DEPTH => program::act(self.owner, self.depth + 1),
            _ => {}
        }
        lent
    }

    fn panic(&self) -> ! {
        self.panicked.store(true, Ordering::Relaxed);
        resume_unwind(Box::new("a call panicked"));
    }

    /// The results, unless the call panicked.
    fn check(&self, results: Option<Vec<Lent<'_>>>) {
        let panicked = self.panicked.load(Ordering::Relaxed);
        assert_eq!(results.is_none(), panicked, "whether it panicked");
        let most = self.ground.visits().max().unwrap_or(0);
        assert!(most <= 1, "a part was run twice");
        if let Some(results) = results {
            let places = results.iter().map(|lent| lent.place);
            assert!(places.eq(0..self.ground.places()), "results out of order");
            assert!(self.ground.visits().all(|visits| visits == 1));
            for lent in results {
                quietly(|| drop(lent));
            }
        }
        self.ground.take_back(0);
    }
}
