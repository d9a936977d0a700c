//! Every way, called through the library.

use std::time::Duration;

use queue_blocking::plan::{Plan, Traffic};
use queue_blocking::report::{Report, Row, plot};
use queue_blocking::ways::{ADAPTIVE, FAIR, KEPT, WAYS, Way};
use queue_blocking::work::Kind;

fn plan(kind: Kind, workers: usize) -> Plan {
    let (short, long) = (Duration::from_micros(100), Duration::from_millis(5));
    let traffic = Traffic {
        tasks: 60,
        every: 10,
        load: 80,
        seed: 1,
    };
    Plan {
        arrivals: traffic.arrivals(short, long, workers),
        kind,
        short,
        long,
        workers,
        more_workers: 3,
        prefetch: 4,
        rounds_per_milli: 1_000,
    }
}

#[test]
fn every_task_has_its_wait_in_every_way() {
    for kind in [Kind::Wait, Kind::Compute] {
        for workers in [1, 2] {
            let plan = plan(kind, workers);
            for way in WAYS {
                let waits = way.run(&plan).unwrap();
                assert_eq!(waits.len(), 60, "{} {kind:?}", way.name);
            }
        }
    }
}

/// The first task is long, and all are due at once. A worker that keeps its prefetched tasks runs them after the long
/// one, though the other worker has been free for a while.
#[test]
fn what_is_kept_ends_after_the_long_task_and_what_is_given_fairly_before_it() {
    let mut plan = plan(Kind::Wait, 2);
    plan.long = Duration::from_millis(500);
    plan.arrivals.truncate(20);
    for (number, arrival) in plan.arrivals.iter_mut().enumerate() {
        arrival.at = Duration::ZERO;
        arrival.is_long = number == 0;
    }
    let after_the_long_one = |way: Way| {
        let waits = way.run(&plan).unwrap();
        let end = waits[0] + plan.long;
        waits[1..].iter().filter(|&&wait| wait >= end).count()
    };
    assert_eq!(after_the_long_one(KEPT), 3, "all else that its worker had");
    assert_eq!(after_the_long_one(FAIR), 0);
    assert_eq!(after_the_long_one(ADAPTIVE), 0);
}

#[test]
fn way_without_workers_says_so_in_its_row_and_the_plot_goes_on() {
    let mut plan = plan(Kind::Wait, 1);
    plan.workers = 0;
    let rows = [FAIR, KEPT].map(|way| Row::of(&way, &plan));
    let report = Report::new(plan, rows.into());
    assert!(!report.is_good());
    let text = report.to_string();
    assert!(text.contains("at least one worker"), "{text}");
    assert!(text.contains("that nobody takes"), "{text}");
    assert!(plot(&[report]).ends_with("</svg>\n"));
}
