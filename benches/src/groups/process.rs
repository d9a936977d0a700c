//! Tasks for worker processes: how long one takes there and back, how many tiny ones go through, how
//! large arguments and results travel, and how soon a new pool has its first result.

use std::hint::black_box;
use std::io::{PipeReader, PipeWriter, Read, Write, pipe};
use std::thread;
use std::time::{Duration, Instant};

use process_pool::{FutureResult, ProcessPoolExecutor};

use crate::group::{Group, Run, Workload, timed};
use crate::pools::{LARGE, Processes, Procspawn, done, touch};

/// Python's pools: their names here, and in the script.
const PYTHON: &[(&str, &str)] = &[
    ("Python: ProcessPoolExecutor", "ProcessPoolExecutor"),
    ("Python: multiprocessing.Pool", "multiprocessing.Pool"),
    ("Python: loky", "loky"),
];

const TINY: u64 = 20_000;
/// So many large arguments are under way at once.
const OUTSTANDING: usize = 8;

pub(super) fn groups() -> Vec<Group> {
    let pause = Duration::from_micros(200);
    vec![
        round_trip("process_round_trip/hot", 2_000, Duration::ZERO),
        round_trip("process_round_trip/rested", 200, pause),
        group("process_throughput/submit", TINY, 2)
            .ours("process-pool", submit::<ProcessPoolExecutor>)
            .peer("procspawn: 256 at a time", submit::<Procspawn>)
            .python(PYTHON),
        group("process_throughput/map", TINY, 10)
            .ours("process-pool", map::<ProcessPoolExecutor>)
            .peer("procspawn: chunks by hand", map::<Procspawn>)
            .python(PYTHON),
        group("process_payload/in", 10, 1)
            .ours("process-pool: Bytes", send::<ProcessPoolExecutor>)
            .peer("procspawn: serde_bytes", send::<Procspawn>)
            .reference("limit: copy into kept memory", copy)
            .python(PYTHON),
        group("process_payload/out", 10, 1)
            .ours("process-pool: Bytes", receive::<ProcessPoolExecutor>)
            .peer("procspawn: serde_bytes", receive::<Procspawn>)
            .reference("limit: copy into kept memory", copy)
            .python(PYTHON),
        // procspawn hangs with more than two.
        group("process_payload/in_8_outstanding", OUTSTANDING as u64, 2)
            .ours("process-pool: Bytes", send_many)
            .python(PYTHON),
        group("process_start", 1, 20)
            .ours("process-pool", start::<ProcessPoolExecutor>)
            .peer("procspawn", start::<Procspawn>)
            .python(PYTHON),
    ]
}

fn group(name: &'static str, tasks: u64, runs: u32) -> Group {
    Group::new(name, tasks, runs)
}

fn round_trip(name: &'static str, trips: u64, rest: Duration) -> Group {
    group(name, trips, 3)
        .ours("process-pool", move || {
            let pool = ProcessPoolExecutor::start();
            trips_of(trips, rest, move |n| pool.take(Processes::submit(&pool, n)))
        })
        .peer("procspawn", move || {
            let pool = Procspawn::start();
            trips_of(trips, rest, move |n| pool.take(pool.submit(n)))
        })
        .reference("limit: two pipes and a thread", move || {
            let mut echo = Echo::start();
            trips_of(trips, rest, move |n| echo.trip(n))
        })
        .python(PYTHON)
}

/// The rests are not measured. With them every trip is timed for itself.
fn trips_of(trips: u64, rest: Duration, mut trip: impl FnMut(u64) -> u64 + 'static) -> Workload {
    if rest.is_zero() {
        return Box::new(move || timed(|| (0..trips).for_each(|n| assert_eq!(trip(n), n))));
    }
    Box::new(move || {
        each((0..trips).map(|n| {
            thread::sleep(rest);
            let start = Instant::now();
            assert_eq!(trip(n), n);
            start.elapsed()
        }))
    })
}

fn each(times: impl Iterator<Item = Duration>) -> Run {
    let each: Vec<_> = times.collect();
    let total = each.iter().sum();
    Run {
        each,
        ..Run::of(total)
    }
}

/// A thread at the other ends of two pipes.
struct Echo {
    there: PipeWriter,
    back: PipeReader,
}

impl Echo {
    fn start() -> Self {
        let (mut from, there) = done(pipe());
        let (back, mut to) = done(pipe());
        thread::spawn(move || {
            let mut bytes = [0; 8];
            while from.read_exact(&mut bytes).is_ok() && to.write_all(&bytes).is_ok() {}
        });
        Self { there, back }
    }

    fn trip(&mut self, n: u64) -> u64 {
        done(self.there.write_all(&n.to_ne_bytes()));
        let mut bytes = [0; 8];
        done(self.back.read_exact(&mut bytes));
        u64::from_ne_bytes(bytes)
    }
}

fn submit<P: Processes>() -> Workload {
    let pool = P::start();
    Box::new(move || timed(|| assert_eq!(pool.sum(TINY), (0..TINY).sum::<u64>())))
}

fn map<P: Processes>() -> Workload {
    let pool = P::start();
    Box::new(move || timed(|| assert_eq!(pool.map_sum(TINY), (0..TINY).sum::<u64>())))
}

/// What is sent is made before the clock runs.
fn send<P: Processes>() -> Workload {
    let pool = P::start();
    Box::new(move || {
        each((0..10).map(|_| {
            let argument = P::argument();
            let start = Instant::now();
            assert_eq!(pool.send(argument), (LARGE / 4096) as u64);
            start.elapsed()
        }))
    })
}

fn receive<P: Processes>() -> Workload {
    let pool = P::start();
    Box::new(move || {
        each((0..10).map(|n| {
            let start = Instant::now();
            assert_eq!(pool.receive(n), LARGE);
            start.elapsed()
        }))
    })
}

fn send_many() -> Workload {
    let pool = ProcessPoolExecutor::start();
    Box::new(move || {
        let arguments: Vec<_> = (0..OUTSTANDING)
            .map(|_| ProcessPoolExecutor::argument())
            .collect();
        timed(|| {
            let submit = |bytes| pool.submit(|bytes: process_pool::Bytes| touch(&bytes), bytes);
            let handles: Vec<_> = arguments.into_iter().map(submit).collect();
            for handle in handles {
                assert_eq!(done(handle.result()), (LARGE / 4096) as u64);
            }
        })
    })
}

fn copy() -> Workload {
    let from = vec![1_u8; LARGE];
    let mut to = vec![2_u8; LARGE];
    Box::new(move || {
        each((0..10).map(|_| {
            let start = Instant::now();
            to.copy_from_slice(&from);
            black_box(touch(&to));
            start.elapsed()
        }))
    })
}

/// The end of the pool is not measured.
fn start<P: Processes>() -> Workload {
    Box::new(|| {
        let start = Instant::now();
        let pool = P::start();
        assert_eq!(pool.take(pool.submit(7)), 7);
        let total = start.elapsed();
        drop(pool);
        Run {
            each: vec![total],
            ..Run::of(total)
        }
    })
}
