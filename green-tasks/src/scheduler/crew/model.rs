//! Two schedulers of one run, in all interleavings that loom can reach.
//!
//! They have no stacks, so whoever starts a closure refuses it, with an error that says so. All else is as in a
//! real run: spawning, taking, lying down, getting up, deadlock, and the end.

use std::panic::Location;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use future_result::sync::{Counter, now};
use future_result::{FutureResult, Rejection, TaskError, pair};

use super::{Crew, Parcel, Post};
use crate::Runtime;
use crate::offload::Offload;
use crate::scheduler::{Call, Scheduler, Settings};
use crate::sync::Event;
use crate::threads::{self, Threads};

/// Runs `main` with two schedulers. True if nothing could ever go on.
fn run<R>(main: impl FnOnce(&Rc<Scheduler>) -> R) -> (std::thread::Result<R>, bool) {
    let here = Location::caller();
    let crew = Crew::new(2);
    let other = Threads::start(&crew, vec![None], &Runtime::builder(), here).unwrap();
    let settings = Settings {
        stacks: None,
        post: Some(Post { crew, place: 0 }),
        offload: Offload::default(),
        seed: None,
        pulse: None,
    };
    let scheduler = Scheduler::new(settings, here);
    let result = threads::enter(&scheduler, || scheduler.run_main(|| main(&scheduler)));
    assert!(other.join().is_none());
    (result, scheduler.take_deadlock().is_some())
}

/// Counts its drops.
struct Counted(Arc<Counter>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.add(1);
    }
}

#[test]
fn a_task_that_any_may_start_races_the_others_sleep_and_is_started_once() {
    loom::model(|| {
        let drops = Arc::new(Counter::new());
        let counted = Counted(Arc::clone(&drops));
        let (result, is_deadlock) = run(|scheduler| {
            let handle = scheduler.spawn_anywhere(Location::caller(), move || drop(counted));
            handle.result()
        });
        let full = TaskError::Rejected(Rejection::Full);
        assert_eq!(result.unwrap().unwrap_err().to_string(), full.to_string());
        assert!(!is_deadlock);
        assert_eq!(drops.get(), 1);
    });
}

/// The task is in the queue while the calling thread sleeps, and nobody else would ever take it.
#[test]
fn a_thread_that_is_not_called_on_leaves_what_is_spawned_to_the_one_that_sleeps() {
    loom::model(|| {
        let (result, _) = run(|scheduler| {
            let handle = scheduler.spawn_anywhere(Location::caller(), || ());
            // Waits as a plain thread: this scheduler does nothing meanwhile.
            let waiting = loom::thread::spawn(move || handle.result());
            waiting.join().unwrap()
        });
        assert!(result.unwrap().is_err());
    });
}

#[test]
fn the_end_of_the_run_races_a_task_that_nobody_has_started_and_it_is_dropped_once() {
    loom::model(|| {
        let drops = Arc::new(Counter::new());
        let counted = Counted(Arc::clone(&drops));
        let (handle, is_deadlock) =
            run(|scheduler| scheduler.spawn_anywhere(Location::caller(), move || drop(counted)));
        assert!(!is_deadlock);
        assert_eq!(drops.get(), 1);
        let ended = handle.unwrap().result();
        assert!(matches!(
            ended,
            Err(TaskError::Cancelled | TaskError::Rejected(Rejection::Full))
        ));
    });
}

/// The wake-up by the first task's end is on its way while both lie down. If it did not count, the second wait
/// would get a verdict that all is over.
#[test]
fn a_wake_up_on_its_way_is_hope_for_who_lies_down_without() {
    loom::model(|| {
        let (ended, is_deadlock) = run(|scheduler| {
            for _ in 0..2 {
                let handle = scheduler.spawn_anywhere(Location::caller(), || ());
                let error = handle.result().unwrap_err();
                assert!(matches!(error, TaskError::Rejected(Rejection::Full)));
            }
        });
        assert!(ended.is_ok());
        assert!(!is_deadlock);
    });
}

#[test]
fn cancelling_from_elsewhere_races_whoever_takes_it_and_it_is_dropped_once() {
    loom::model(|| {
        let drops = Arc::new(Counter::new());
        let counted = Counted(Arc::clone(&drops));
        let (result, _) = run(|scheduler| {
            let handle = scheduler.spawn_anywhere(Location::caller(), move || drop(counted));
            let _ = handle.cancel();
            handle.result()
        });
        assert!(result.unwrap().is_err());
        assert_eq!(drops.get(), 1);
    });
}

#[test]
fn the_last_to_lie_down_without_hope_tells_all_whichever_it_is() {
    loom::model(|| {
        let (result, is_deadlock) = run(|_| Event::new().wait());
        assert!(result.is_err());
        assert!(is_deadlock);
    });
}

/// A task that is only counted.
fn parcel() -> Parcel {
    let (completer, _) = pair::<()>();
    Parcel {
        serial: 1,
        spawned_at: Location::caller(),
        cell: completer.id(),
        job: Box::new(Call {
            closure: || (),
            completer,
        }),
        place: Arc::default(),
    }
}

/// Which of the places got mail.
fn mail(crew: &Crew) -> Vec<usize> {
    let came = |place: &usize| !crew.inbox(*place).take().is_empty();
    (0..crew.size()).filter(came).collect()
}

#[test]
fn one_sleeper_at_a_time_is_woken_and_whoever_has_looked_wakes_the_next() {
    loom::model(|| {
        let crew = Crew::new(3);
        assert!(crew.lie_down(1, false).is_none());
        assert!(crew.lie_down(2, false).is_none());
        for _ in 0..3 {
            assert!(crew.push(parcel()).is_ok());
        }
        // The last to lie down; nobody else until that one has looked.
        assert_eq!(mail(&crew), [2]);
        assert!(crew.get_up(2).is_some());
        assert_eq!(mail(&crew), [1]);
        assert!(crew.get_up(1).is_some());
        // Whoever wants to sleep finds the rest.
        assert!(crew.lie_down(1, false).is_some());
        assert!(crew.lie_down(1, false).is_none());
        assert!(crew.push(parcel()).is_ok());
        assert_eq!(mail(&crew), [1]);
        // A scheduler that got up for another reason is not woken for work.
        assert!(crew.get_up(1).is_some());
        assert!(crew.lie_down(1, false).is_none());
        assert!(crew.get_up(1).is_none());
        assert!(crew.push(parcel()).is_ok());
        assert!(mail(&crew).is_empty());
    });
}

/// How many unstarted tasks a scheduler takes that has so many others due.
fn share(crew: &Crew, place: usize, due: usize, now: Instant) -> usize {
    crew.share(place, due, now).len()
}

#[test]
fn whoever_has_enough_to_do_leaves_what_is_there_to_the_one_that_is_on_its_way() {
    loom::model(|| {
        let (crew, now) = (Crew::new(2), now());
        assert!(crew.lie_down(1, false).is_none());
        for _ in 0..3 {
            assert!(crew.push(parcel()).is_ok());
        }
        assert_eq!(share(&crew, 0, 1, now), 0);
        assert!(crew.get_up(1).is_some());
        // The other has taken one and is as busy.
        assert_eq!(share(&crew, 0, 1, now), 1);
    });
}

#[test]
fn whoever_has_more_to_do_than_another_leaves_it_to_that_unless_that_does_not_come_to_it() {
    loom::model(|| {
        let (crew, now) = (Crew::new(2), now());
        for _ in 0..16 {
            assert!(crew.push(parcel()).is_ok());
        }
        // Nothing is known of the other one.
        assert_eq!(share(&crew, 0, 9, now), 8);
        assert_eq!(share(&crew, 1, 3, now), 4);
        // They have 17 and 7.
        assert_eq!(share(&crew, 0, 17, now), 0);
        assert_eq!(share(&crew, 1, 7, now), 2);
        // The same load: both take some.
        assert_eq!(share(&crew, 0, 9, now), 1);
        assert_eq!(share(&crew, 1, 9, now), 1);
        // A scheduler that comes for a single one has nothing else to do.
        for _ in 0..4 {
            assert!(crew.push(parcel()).is_ok());
        }
        assert!(crew.take(1, now).is_some());
        assert_eq!(share(&crew, 0, 1, now), 0);
        // But that was long ago: the other is in the middle of a long turn.
        assert_eq!(share(&crew, 0, 1, now + super::STALE), 2);
    });
}

#[test]
fn the_last_to_leave_has_those_who_are_left_without_hope_say_what_they_know() {
    loom::model(|| {
        let crew = Crew::new(2);
        assert!(crew.lie_down(1, true).is_none());
        assert!(mail(&crew).is_empty());
        crew.leave(0);
        assert_eq!(mail(&crew), [1]);
    });
}
