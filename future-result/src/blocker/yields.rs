//! Proves how often a wait yields before its thread parks, by counting the yields.
#![expect(clippy::unwrap_used, reason = "a failure of a test")]

use std::cell::{Cell, RefCell};
use std::task::{Context, Poll, Waker};

use super::{Parker, Wait};
use crate::FutureResult;
use crate::deadlock::Edge;
use crate::sync::YIELDS;

/// Ready at its ninth poll. It is woken when its thread is about to park, and after the seventh poll at the first
/// yield.
#[derive(Default)]
struct Ninth {
    polls: Cell<u32>,
    yields: Cell<u32>,
    /// How many yields there were before each park.
    parks: RefCell<Vec<u32>>,
    waker: RefCell<Option<Waker>>,
}

impl Ninth {
    fn wake(&self) {
        let waker = self.waker.take();
        waker.unwrap().wake();
    }

    fn yielded(&self) {
        self.yields.set(self.yields.get() + 1);
        if self.polls.get() == 7 {
            self.wake();
            self.yields.set(0);
        }
    }
}

impl Wait for &Ninth {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.waker.replace(Some(context.waker().clone()));
        self.polls.set(self.polls.get() + 1);
        match self.polls.get() {
            9 => Poll::Ready(()),
            _ => Poll::Pending,
        }
    }

    fn len(&self) -> usize {
        1
    }

    /// Asked by a thread that runs a task, before it parks.
    fn awaited(&self) -> Option<Vec<Edge>> {
        self.parks.borrow_mut().push(self.yields.take());
        self.wake();
        None
    }
}

#[test]
fn a_wait_yields_before_each_park_half_as_often_as_before_and_as_at_first_once_that_has_paid() {
    let (task, handle) = crate::task(|| {
        let waiting = Ninth::default();
        let yielded = || waiting.yielded();
        let ended = Parker::new().poll_until(None, &mut &waiting, yielded);
        (ended.is_ok(), waiting.parks.take())
    });
    task.run();
    let parks = vec![16, 8, 4, 2, 1, 1, 16];
    assert_eq!(YIELDS, 16);
    assert_eq!(handle.result().unwrap(), (true, parks));
}
