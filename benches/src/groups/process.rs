//! Tasks for worker processes: the round trip of one, the throughput of tiny ones, the transfer of large
//! arguments and results, and the time until a new pool has its first result.

use std::hint::black_box;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use process_pool::{Builder, FutureResult, ProcessPoolExecutor};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::group::{Group, Run, Workload, timed};
use crate::limit;
use crate::pools::{LARGE, Processes, Procspawn, done, touch};

/// Python's pools: their names here and in the script.
const PYTHON: &[(&str, &str)] = &[
    ("Python: ProcessPoolExecutor", "ProcessPoolExecutor"),
    ("Python: multiprocessing.Pool", "multiprocessing.Pool"),
    ("Python: loky", "loky"),
];

const TINY: u64 = 20_000;
/// This many messages of eight bytes fill a page, which a pipe passes on as a whole.
const BATCH: usize = 512;
/// This many workers are killed one after another.
const RESPAWNS: u64 = 20;
/// How long each of them has lived: long enough for the next one to be forked in advance.
const LIFE: Duration = Duration::from_millis(1);
/// This many large arguments are sent at once.
const OUTSTANDING: usize = 8;
/// How many of them a run sends one by one.
const LARGE_ONES: usize = 10;

pub(super) fn groups() -> Vec<Group> {
    let mut groups = vec![
        round_trip("process_round_trip/hot", 2_000, Duration::ZERO)
            .about("Tiny tasks, each sent to a worker process and waited for before the next.")
            .aim_everywhere(0.25, Some("procspawn")),
        round_trip("process_round_trip/rested", 200, Duration::from_micros(200))
            .about("The same after a rest of 200 µs, in which the workers fall asleep.")
            .aim_everywhere(0.9, Some("procspawn")),
        Group::new("process_throughput/submit", TINY, 2)
            .about("Tiny tasks, submitted one by one, each with a handle; every result is taken.")
            .aim_time(Duration::from_micros(1))
            .ours("process-pool", submit::<ProcessPoolExecutor>)
            .reference("limit: two pipes and a thread, 512 at a time", batches)
            .peer("procspawn: 256 at a time", submit::<Procspawn>)
            .python(PYTHON),
        Group::new("process_throughput/map", TINY, 10)
            .about("The same numbers, with a map that sends a hundred of them at a time.")
            .aim_everywhere(0.7, Some("Python: multiprocessing.Pool"))
            .ours("process-pool", map::<ProcessPoolExecutor>)
            .peer("procspawn: chunks by hand", map::<Procspawn>)
            .python(PYTHON),
        sending("process_payload/in", LARGE, LARGE_ONES)
            .about("Arguments of 8 MiB, one after another: created beforehand, sent, and read in the worker.")
            .aim_everywhere(0.3, Some("procspawn: serde_bytes")),
        Group::new("process_payload/out", LARGE_ONES as u64, 1)
            .about("Results of 8 MiB, one after another: created in the worker and sent back.")
            .aim_everywhere(0.5, Some("procspawn: serde_bytes"))
            .ours("process-pool: Bytes", receive::<ProcessPoolExecutor>)
            .peer("procspawn: serde_bytes", receive::<Procspawn>)
            .reference("limit: copy into kept memory", || copy(LARGE, LARGE_ONES))
            .python(PYTHON),
        Group::new("process_payload/in_8_outstanding", OUTSTANDING as u64, 2)
            .about("Eight arguments of 8 MiB at once.")
            .aim_everywhere(1.0, None)
            .ours("process-pool: Bytes", send_many::<ProcessPoolExecutor>)
            // With more it hangs.
            .peer("procspawn: 2 at a time", send_many::<Procspawn>)
            .python(PYTHON),
        Group::new("process_start", 1, 20)
            .about("From nothing to the first result of a pool of two workers.")
            .aim_everywhere(0.8, Some("procspawn"))
            .ours("process-pool", start::<ProcessPoolExecutor>)
            .reference("limit: true, started and waited for", start_true)
            .peer("procspawn", start::<Procspawn>)
            .python(PYTHON),
        Group::new("process_start/respawn", RESPAWNS, 3)
            .about("From the death of the only worker, which was killed, to the first result of the next. It had lived for a millisecond, or was killed after its first result.")
            .aim_time(Duration::from_micros(200))
            .ours("process-pool: preload", || respawn(preloading(), LIFE))
            .ours("process-pool: preload, killed at once", || {
                respawn(preloading(), Duration::ZERO)
            })
            .reference("process-pool: without", || {
                respawn(ProcessPoolExecutor::builder(), LIFE)
            }),
    ];
    let by_size = [
        ("scaling_payload/64 B", 64, 1_000),
        ("scaling_payload/1 KiB", 1 << 10, 1_000),
        ("scaling_payload/16 KiB", 16 << 10, 500),
        ("scaling_payload/64 KiB", 64 << 10, 200),
        ("scaling_payload/1 MiB", 1 << 20, 50),
        ("scaling_payload/8 MiB", LARGE, LARGE_ONES),
    ];
    groups.extend(by_size.map(|(name, size, count)| {
        sending(name, size, count)
            .about("Arguments of growing size, sent to a worker process one after another and read there.")
            .free_alone()
    }));
    groups
}

/// Sends `count` arguments of one size, each once the one before it was answered.
fn sending(name: &'static str, size: usize, count: usize) -> Group {
    Group::new(name, count as u64, 1)
        .ours("process-pool: Bytes", move || {
            send::<ProcessPoolExecutor>(size, count)
        })
        .peer("procspawn: serde_bytes", move || {
            send::<Procspawn>(size, count)
        })
        .reference("limit: copy into kept memory", move || copy(size, count))
        .python(PYTHON)
}

fn round_trip(name: &'static str, trips: u64, rest: Duration) -> Group {
    Group::new(name, trips, 3)
        .and_spread()
        .ours("process-pool", move || {
            let pool = ProcessPoolExecutor::start();
            trips_of(trips, rest, move |n| pool.take(Processes::submit(&pool, n)))
        })
        .peer("procspawn", move || {
            let pool = Procspawn::start();
            trips_of(trips, rest, move |n| pool.take(pool.submit(n)))
        })
        .reference("limit: two pipes and a thread", move || {
            let mut pipes = limit::Pipes::start::<8>();
            trips_of(trips, rest, move |n: u64| {
                u64::from_ne_bytes(pipes.trip(n.to_ne_bytes()))
            })
        })
        .python(PYTHON)
}

/// Rests are not measured. With them each trip is timed separately.
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

fn submit<P: Processes>() -> Workload {
    let pool = P::start();
    Box::new(move || timed(|| assert_eq!(pool.sum(TINY), (0..TINY).sum::<u64>())))
}

fn map<P: Processes>() -> Workload {
    let pool = P::start();
    Box::new(move || timed(|| assert_eq!(pool.map_sum(TINY), (0..TINY).sum::<u64>())))
}

/// As many messages as there are tasks, and nothing else.
fn batches() -> Workload {
    let mut pipes = limit::Pipes::start::<{ BATCH * 8 }>();
    Box::new(move || {
        timed(|| {
            for _ in 0..TINY.div_ceil(BATCH as u64) {
                black_box(pipes.trip([7; BATCH * 8]));
            }
        })
    })
}

/// The number of bytes that [`touch`] adds up, one of each page, all of them 1.
fn touched(size: usize) -> u64 {
    size.div_ceil(4096) as u64
}

/// The argument is created before the clock starts.
fn send<P: Processes>(size: usize, count: usize) -> Workload {
    let pool = P::start();
    Box::new(move || {
        each((0..count).map(|_| {
            let argument = vec![P::argument(size)];
            let start = Instant::now();
            assert_eq!(pool.send(argument), touched(size));
            start.elapsed()
        }))
    })
}

fn receive<P: Processes>() -> Workload {
    let pool = P::start();
    Box::new(move || {
        each((0..LARGE_ONES).map(|n| {
            let start = Instant::now();
            assert_eq!(pool.receive(n as u8), LARGE);
            start.elapsed()
        }))
    })
}

fn send_many<P: Processes>() -> Workload {
    let pool = P::start();
    Box::new(move || {
        let arguments = (0..OUTSTANDING).map(|_| P::argument(LARGE)).collect();
        timed(|| assert_eq!(pool.send(arguments), OUTSTANDING as u64 * touched(LARGE)))
    })
}

fn copy(size: usize, count: usize) -> Workload {
    let from = vec![1_u8; size];
    let mut to = vec![2_u8; size];
    Box::new(move || {
        each((0..count).map(|_| {
            let start = Instant::now();
            to.copy_from_slice(black_box(&from));
            black_box(touch(&to));
            start.elapsed()
        }))
    })
}

/// A process that does nothing at all.
fn start_true() -> Workload {
    Box::new(|| timed(|| assert!(done(Command::new("true").status()).success())))
}

/// Dropping the pool is not measured.
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

fn preloading() -> Builder {
    ProcessPoolExecutor::builder().preload(|()| (), ())
}

/// The time until a killed worker has ended is not measured: it is the system's alone.
fn respawn(builder: Builder, life: Duration) -> Workload {
    let pool = done(builder.workers(1).build());
    let pid = move || {
        let pid = done(pool.submit(|()| std::process::id(), ()).result());
        done(Pid::from_raw(pid.cast_signed()).ok_or("no process has this number"))
    };
    Box::new(move || {
        each((0..RESPAWNS).map(|_| {
            let worker = done(pidfd_open(pid(), PidfdFlags::empty()));
            thread::sleep(life);
            done(pidfd_send_signal(&worker, Signal::KILL));
            done(poll(&mut [PollFd::new(&worker, PollFlags::IN)], None));
            let start = Instant::now();
            pid();
            start.elapsed()
        }))
    })
}
