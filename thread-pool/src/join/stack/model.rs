//! A model of the slots alone: in a whole pool other things also order the owner and the thief.

use std::sync::Arc;

use loom::cell::UnsafeCell;
use loom::thread;

use super::*;

struct Offer {
    slots: Slots,
    /// Stands for what lies in the job.
    fact: UnsafeCell<u32>,
}

// SAFETY: loom checks every access, which is what the model is for.
unsafe impl Sync for Offer {}

unsafe fn run_nothing(_: NonNull<Header>) {}

#[test]
fn steal_races_taking_back_and_one_has_the_job_as_it_was_offered() {
    loom::model(|| {
        let offer = Arc::new(Offer {
            slots: Slots::new(),
            fact: UnsafeCell::new(0),
        });
        let thief = thread::spawn({
            let offer = Arc::clone(&offer);
            move || {
                let stolen = offer.slots.steal(0).is_some();
                if stolen {
                    // SAFETY: loom fails the model if anybody writes meanwhile.
                    offer.fact.with(|fact| assert_eq!(unsafe { *fact }, 7));
                }
                stolen
            }
        });
        let header = Header {
            run: run_nothing,
            state: AtomicU32::new(0),
            taker: AtomicU32::new(0),
            bed: ptr::null(),
        };
        let job = NonNull::from(&header);
        let stack = Stack::new(1);
        // SAFETY: loom fails the model if anybody else looks meanwhile.
        offer.fact.with_mut(|fact| unsafe { *fact = 7 });
        assert_eq!(stack.push(&offer.slots, job), Pushed::Offered);
        let is_back = stack.pop(&offer.slots, job);
        assert_ne!(is_back, thief.join().unwrap());
    });
}
