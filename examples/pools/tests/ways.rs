//! Every way, called through the library.

use std::net::SocketAddr;

use pools::kind::{Kind, Setting};
use pools::measure::{measure, starts};
use pools::server::Server;
use pools::task::Task;
use pools::ways::{Job, ONE_BY_ONE, WAYS};

fn setting(server: &Server) -> Setting {
    Setting {
        server: server.address(),
        rounds_per_milli: 10,
        cpus: 2,
        tasks: 20,
        compute_millis: 1,
        wait_micros: 200,
        mixed_workers: 3,
        most_processes: 2,
    }
}

fn tasks(count: u64, task: impl Fn(u64) -> Task) -> Job {
    Job {
        tasks: (0..count).map(task).collect(),
        cpus: 2,
        threads: 3,
        processes: 2,
    }
}

#[test]
fn all_ways_find_the_same_numbers_in_the_order_of_the_tasks() {
    let server = Server::start().unwrap();
    let job = tasks(40, |number| Task {
        number,
        rounds: number * 3,
        ask: (number % 2 == 0).then(|| (server.address(), number as u32 * 10)),
    });
    let expected = ONE_BY_ONE.run(&job).numbers.unwrap();
    assert_eq!(expected.len(), 40);
    for way in WAYS {
        assert_eq!(way.run(&job).numbers.unwrap(), expected, "{}", way.name);
    }
}

#[test]
fn no_tasks_are_no_failure() {
    let job = tasks(0, |_| unreachable!());
    for way in WAYS {
        assert_eq!(way.run(&job).numbers.unwrap(), [0; 0], "{}", way.name);
    }
}

#[test]
fn server_that_is_gone_is_told_by_every_way() {
    // Nobody listens at port 0.
    let gone = SocketAddr::from(([127, 0, 0, 1], 0));
    let job = tasks(3, |number| Task {
        number,
        rounds: 0,
        ask: Some((gone, 1)),
    });
    for way in WAYS {
        let error = way.run(&job).numbers.unwrap_err().to_string();
        assert!(
            error.starts_with("cannot ask the server: "),
            "{}: {error}",
            way.name
        );
    }
}

#[test]
fn pool_without_workers_is_told_by_the_ways_that_have_one() {
    let mut job = tasks(1, |number| Task {
        number,
        rounds: 0,
        ask: None,
    });
    (job.cpus, job.threads, job.processes) = (0, 0, 0);
    let failed = WAYS.iter().filter(|way| way.run(&job).numbers.is_err());
    let failed: Vec<_> = failed.map(|way| way.name).collect();
    assert_eq!(failed, ["threads", "processes", "async"]);
}

#[test]
fn every_kind_is_measured_at_every_size_in_every_way() {
    let server = Server::start().unwrap();
    let setting = setting(&server);
    for kind in Kind::ALL {
        let ticks = std::cell::Cell::new(0);
        let grid = measure(kind, &setting, 2, || ticks.set(ticks.get() + 1));
        assert_eq!(grid.failures, [""; 0]);
        assert_eq!(ticks.get(), grid.sizes.len() * WAYS.len() * 2);
        for size in 0..grid.sizes.len() {
            assert!(!grid.winners(size).is_empty());
            assert!((0..WAYS.len()).all(|way| grid.speed_up(way, size).is_some()));
        }
    }
    assert!(starts(&setting, 1).iter().all(Option::is_some));
}

#[test]
fn way_that_fails_is_told_and_the_others_are_measured() {
    let server = Server::start().unwrap();
    let no_processes = Setting {
        most_processes: 0,
        ..setting(&server)
    };
    let grid = measure(Kind::Cpu, &no_processes, 1, || ());
    assert_eq!(grid.failures.len(), grid.sizes.len());
    assert!(grid.failures[0].starts_with("processes, CPU-bound, 1 µs: "));
    assert_eq!(grid.speed_up(2, 0), None);
    assert!(grid.speed_up(1, 0).is_some());
}
