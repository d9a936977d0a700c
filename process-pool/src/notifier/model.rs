//! Models of what others leave for the pool's thread. The bell stands for the kernel's eventfd, whose reads and
//! writes are ordered.

use std::sync::Arc;

use future_result::sync::atomic::AtomicU32;
use loom::thread;

use super::*;

#[derive(Default)]
struct EventFd(AtomicBool);

impl Bell for EventFd {
    fn ring(&self) {
        self.0.swap(true, Ordering::AcqRel);
    }

    fn silence(&self) {
        self.0.swap(false, Ordering::AcqRel);
    }
}

impl EventFd {
    fn wait(&self) {
        while !self.0.load(Ordering::Acquire) {
            thread::yield_now();
        }
    }
}

/// `wish` stands for the handle's wish in the cell of the cancelled task.
fn cancel(wish: &AtomicU32, notifier: &Notifier<EventFd>) {
    wish.fetch_add(1, Ordering::Relaxed);
    notifier.notify_cancel();
}

/// Like the pool's thread: waits, silences the bell, looks.
#[test]
fn cancels_race_the_thread_that_looks_and_none_is_forgotten() {
    loom::model(|| {
        let notifier = Arc::new(Notifier::new(EventFd::default()));
        let wish = Arc::new(AtomicU32::new(0));
        let cancellers = [(); 2].map(|()| {
            let (notifier, wish) = (Arc::clone(&notifier), Arc::clone(&wish));
            thread::spawn(move || cancel(&wish, &notifier))
        });
        let mut seen = 0;
        while seen < 2 {
            notifier.bell.wait();
            notifier.reset();
            if notifier.take_cancels() {
                seen = wish.load(Ordering::Relaxed);
            }
        }
        for thread in cancellers {
            thread.join().unwrap();
        }
    });
}

#[test]
fn who_sees_that_somebody_has_cancelled_sees_the_wish() {
    loom::model(|| {
        let notifier = Arc::new(Notifier::new(EventFd::default()));
        let wish = Arc::new(AtomicU32::new(0));
        let canceller = thread::spawn({
            let (notifier, wish) = (Arc::clone(&notifier), Arc::clone(&wish));
            move || cancel(&wish, &notifier)
        });
        // It looks before each turn, even if it was woken for another reason.
        if notifier.take_cancels() {
            assert_eq!(wish.load(Ordering::Relaxed), 1);
        }
        canceller.join().unwrap();
    });
}
