//! Every way, called through the library, and what a worker's death costs.

#![expect(clippy::unwrap_used, reason = "a test reports a failure by a panic")]

use primes::kill::{Aftermath, Lost, kill_one};
use primes::numbers::pick;
use primes::ways::{Job, PROCESSES, THREADS, WAYS};

fn alternating(count: usize) -> Vec<bool> {
    (0..count).map(|index| index % 2 == 0).collect()
}

#[test]
fn all_ways_find_the_primes_in_the_order_of_the_numbers() {
    for workers in [1, 3] {
        let numbers = pick(21, 32);
        let job = Job { numbers, workers };
        for way in WAYS {
            let row = way.run(&job);
            assert_eq!(row.answers.unwrap(), alternating(21), "{}", way.name);
        }
    }
}

#[test]
fn no_numbers_are_no_failure() {
    let job = Job {
        numbers: Vec::new(),
        workers: 2,
    };
    for way in WAYS {
        assert!(way.run(&job).answers.unwrap().is_empty(), "{}", way.name);
    }
}

#[test]
fn pool_without_workers_is_told_in_its_row() {
    let job = Job {
        numbers: pick(2, 32),
        workers: 0,
    };
    for way in [THREADS, PROCESSES] {
        let row = way.run(&job);
        assert!(row.answers().is_empty() && row.primes() == 0);
        let error = row.answers.unwrap_err().to_string();
        assert!(error.contains("at least one worker"), "{error}");
    }
}

/// A job during which a worker was killed in the middle of a number. On a busy machine the kill may come between
/// two numbers, or after the last: then it tries again.
fn killed_in_the_midst(job: &Job) -> (Aftermath, Lost) {
    let mut aftermaths = std::iter::repeat_with(|| kill_one(job).unwrap()).take(50);
    let hit = aftermaths
        .find(|aftermath| !aftermath.lost.is_empty())
        .unwrap();
    let lost = hit.lost[0].clone();
    assert_eq!(hit.lost.len(), 1, "{hit:?}");
    (hit, lost)
}

#[test]
fn killed_worker_costs_its_number_alone_which_is_then_tested_elsewhere() {
    let job = Job {
        numbers: pick(12, 44),
        workers: 2,
    };
    let (aftermath, lost) = killed_in_the_midst(&job);
    assert_eq!(aftermath.before, 6);
    assert_eq!(aftermath.answers, alternating(12));
    assert_eq!(lost.died.pid(), aftermath.killed);
    assert_eq!(lost.died.signal(), Some(9));
    assert_ne!(lost.again.pid, aftermath.killed);
    let place = job.numbers.iter().position(|&number| number == lost.number);
    assert_eq!(lost.again.is_prime, aftermath.answers[place.unwrap()]);

    let text = aftermath.to_string();
    for told in [
        format!("{}: worker process {}", lost.number, aftermath.killed),
        "(SIGKILL) while it ran the task".to_owned(),
        "ended well    11 numbers\n".to_owned(),
        format!("says worker {}", lost.again.pid),
    ] {
        assert!(text.contains(&told), "{told} is not in\n{text}");
    }
}

/// The only worker has to be replaced before the lost number can be tested again.
#[test]
fn killed_worker_is_replaced() {
    let job = Job {
        numbers: pick(6, 44),
        workers: 1,
    };
    let (aftermath, lost) = killed_in_the_midst(&job);
    assert_eq!(aftermath.answers, alternating(6));
    let [(pid, tested)] = aftermath.newcomers[..] else {
        panic!("{aftermath:?}");
    };
    assert_ne!(pid, aftermath.killed);
    assert_eq!(lost.again.pid, pid);
    assert!((1..=3).contains(&tested), "{aftermath:?}");
    let told = format!("new worker    {pid}, which has tested {tested} number");
    assert!(aftermath.to_string().contains(&told), "{aftermath}");
}

#[test]
fn killing_when_there_is_hardly_anything_to_do_costs_no_answer() {
    for (count, workers) in [(1, 1), (1, 3), (2, 2)] {
        let numbers = pick(count, 32);
        let aftermath = kill_one(&Job { numbers, workers }).unwrap();
        assert_eq!(aftermath.answers, alternating(count));
    }
}
