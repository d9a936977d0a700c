//! Sends the tasks at the times of the plan, and records how long each waited.
//!
//! Whether or not the workers keep up, each task is due at its time, and its wait starts then: so a queue does not look
//! short because it blocks the thread that fills it.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use process_pool::{CompletionSet, JoinHandle};

use crate::plan::Plan;
use crate::ways::WayError;
use crate::work::Work;

/// Something that runs the tasks.
pub trait Crew {
    /// Starts or queues a task, and returns its worker; `None` if none takes it yet.
    fn submit(&mut self, work: Work) -> Option<(usize, JoinHandle<u64>)>;

    /// A task of this worker has ended.
    fn done(&mut self, _whom: usize) {}
}

/// For a pool, which takes every task.
impl<F: FnMut(Work) -> JoinHandle<u64>> Crew for F {
    fn submit(&mut self, work: Work) -> Option<(usize, JoinHandle<u64>)> {
        Some((0, self(work)))
    }
}

/// How long each task of the plan waited, in the order of the plan: from when it was due to its result, less the time
/// that it takes by itself.
///
/// # Errors
/// If a task failed, or none is running and nothing takes the next one.
pub fn drive(
    plan: &Plan,
    sleep: fn(Duration),
    crew: &mut impl Crew,
) -> Result<Vec<Duration>, WayError> {
    let mut waits = vec![Duration::ZERO; plan.arrivals.len()];
    let mut coming = plan.arrivals.iter().copied().enumerate().peekable();
    let mut untaken = VecDeque::new();
    let mut set = CompletionSet::new();
    let start = Instant::now();
    loop {
        while let Some(next) = coming.next_if(|(_, it)| start.elapsed() >= it.at) {
            untaken.push_back(next);
        }
        while let Some(&(number, arrival)) = untaken.front() {
            let Some((whom, handle)) = crew.submit(plan.work(arrival)) else {
                break;
            };
            set.insert((number, whom), handle);
            untaken.pop_front();
        }
        let pause = coming
            .peek()
            .map(|(_, next)| next.at.saturating_sub(start.elapsed()));
        let completed = match pause {
            None => set.wait_next(),
            Some(pause) if set.is_empty() => {
                sleep(pause);
                continue;
            }
            Some(pause) => match set.wait_next_timeout(pause) {
                Ok(completed) => completed,
                // The next one is due.
                Err(_) => continue,
            },
        };
        let Some(((number, whom), outcome)) = completed else {
            // Nothing is running and nothing is due.
            return match untaken.len() {
                0 => Ok(waits),
                left => Err(format!("{left} tasks are left that nobody takes").into()),
            };
        };
        outcome?;
        let arrival = plan.arrivals[number];
        let since = start.elapsed().saturating_sub(arrival.at);
        waits[number] = since.saturating_sub(plan.time(arrival));
        crew.done(whom);
    }
}

#[cfg(test)]
mod tests {
    use process_pool::TaskError;

    use super::*;
    use crate::plan::Arrival;
    use crate::work::Kind;

    fn plan(tasks: u64) -> Plan {
        let arrival = |number| Arrival {
            at: Duration::from_micros(number),
            is_long: number == 0,
        };
        Plan {
            arrivals: (0..tasks).map(arrival).collect(),
            kind: Kind::Wait,
            short: Duration::ZERO,
            long: Duration::from_millis(20),
            workers: 1,
            more_workers: 2,
            prefetch: 2,
            rounds_per_milli: 1,
        }
    }

    /// Takes one task at a time and ends it at once.
    #[derive(Default)]
    struct OneAtATime {
        is_busy: bool,
        refused: u32,
        seen: Vec<Work>,
    }

    impl Crew for OneAtATime {
        fn submit(&mut self, work: Work) -> Option<(usize, JoinHandle<u64>)> {
            if self.is_busy {
                self.refused += 1;
                return None;
            }
            self.is_busy = true;
            self.seen.push(work);
            let (completer, handle) = future_result::pair();
            completer.complete(0).ok()?;
            Some((7, handle))
        }

        fn done(&mut self, whom: usize) {
            assert_eq!(whom, 7);
            self.is_busy = false;
        }
    }

    #[test]
    fn what_nobody_takes_yet_is_done_later_in_the_order_of_coming() {
        let plan = plan(10);
        let mut crew = OneAtATime::default();
        let waits = drive(&plan, std::thread::sleep, &mut crew).unwrap();
        assert_eq!(waits.len(), 10);
        let all: Vec<_> = plan.arrivals.iter().map(|&it| plan.work(it)).collect();
        assert_eq!(crew.seen, all);
        // Its own time does not count as waiting, though it took none here.
        assert_eq!(waits[0], Duration::ZERO);
    }

    #[test]
    fn tasks_that_nobody_ever_takes_are_told() {
        struct Nobody;
        impl Crew for Nobody {
            fn submit(&mut self, _work: Work) -> Option<(usize, JoinHandle<u64>)> {
                None
            }
        }
        let error = drive(&plan(3), std::thread::sleep, &mut Nobody).unwrap_err();
        assert_eq!(error.to_string(), "3 tasks are left that nobody takes");
    }

    #[test]
    fn task_that_ends_badly_ends_it_all_with_its_error() {
        let mut lost = |_| {
            let (completer, handle) = future_result::pair();
            completer.fail(TaskError::TimedOut);
            handle
        };
        let error = drive(&plan(3), std::thread::sleep, &mut lost).unwrap_err();
        assert_eq!(error.to_string(), TaskError::TimedOut.to_string());
    }
}
