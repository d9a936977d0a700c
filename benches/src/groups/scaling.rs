//! How the cost of a task grows: with the number of workers, the number of tasks, and their length.

use std::hint::black_box;
use std::time::Duration;

use crate::group::{Group, Run, Workload, timed};
use crate::limit;
use crate::pools::{self, Async, Pool, WORKERS, WithOneshot};
use crate::work::{STEPS_1_US, STEPS_100_NS, work};

/// What every pool of a group does.
#[derive(Clone, Copy)]
struct Load {
    workers: usize,
    tasks: u64,
    /// Of work in each task.
    steps: u64,
}

impl Load {
    fn run(self, pool: impl Pool) -> Workload {
        let Self { tasks, steps, .. } = self;
        let result = work(steps);
        Box::new(move || {
            timed(|| {
                let handles = (0..tasks).map(|_| pool.submit(move || work(steps)));
                let sum = pool.sum(handles.collect());
                assert_eq!(sum, result.wrapping_mul(tasks));
            })
        })
    }

    /// All the work, divided by the number of workers or of CPUs, whichever is smaller.
    fn ideal(self) -> Workload {
        let Self {
            workers,
            tasks,
            steps,
        } = self;
        Box::new(move || {
            let run = timed(|| {
                for _ in 0..tasks {
                    // Otherwise the compiler does it once for all tasks.
                    black_box(work(black_box(steps)));
                }
            });
            Run::of(run.total / limit::cpus().min(workers as u32))
        })
    }

    fn group(self, name: &'static str, about: &'static str) -> Group {
        let workers = self.workers;
        // About 50 ms a round, but at least one run.
        let length = Duration::from_nanos(200 + 2 * self.steps) * self.tasks as u32;
        let runs = Duration::from_millis(50)
            .div_duration_f64(length)
            .clamp(1.0, 1_000.0);
        Group::new(name, self.tasks, runs as u32)
            .about(about)
            .free_alone()
            .ours("thread-pool", move || self.run(pools::ours_of(workers)))
            .reference("limit: the work alone, on all CPUs", move || self.ideal())
            .peer("rayon + oneshot", move || {
                self.run(WithOneshot(pools::rayon_of(workers)))
            })
            .peer("threadpool + oneshot", move || {
                self.run(WithOneshot(pools::threadpool_of(workers)))
            })
            .peer("executors: channel + oneshot", move || {
                self.run(WithOneshot(pools::executors_channel_of(workers)))
            })
            .peer("tokio: spawn", move || {
                self.run(Async(pools::tokio_of(workers)))
            })
    }
}

pub(super) fn groups() -> Vec<Group> {
    let load = Load {
        workers: WORKERS,
        tasks: 10_000,
        steps: STEPS_1_US,
    };
    let by_workers = [
        ("scaling_workers/1", 1),
        ("scaling_workers/2", 2),
        ("scaling_workers/4", 4),
        ("scaling_workers/8", 8),
    ];
    let by_workers = by_workers.map(|(name, workers)| {
        let about =
            "Tasks of 1 µs on a growing number of workers, which may exceed that of the CPUs.";
        Load { workers, ..load }.group(name, about)
    });
    let by_queue = [
        ("scaling_queue/1", 1),
        ("scaling_queue/10", 10),
        ("scaling_queue/100", 100),
        ("scaling_queue/1000", 1_000),
        ("scaling_queue/10000", 10_000),
        ("scaling_queue/100000", 100_000),
    ];
    let by_queue = by_queue.map(|(name, tasks)| {
        let about = "Empty tasks, all submitted before the first result is taken.";
        Load {
            tasks,
            steps: 0,
            ..load
        }
        .group(name, about)
    });
    let by_length = [
        ("scaling_task/0", 0, 10_000),
        ("scaling_task/100ns", STEPS_100_NS, 10_000),
        ("scaling_task/1us", STEPS_1_US, 10_000),
        ("scaling_task/10us", 10 * STEPS_1_US, 2_000),
        ("scaling_task/100us", 100 * STEPS_1_US, 200),
    ];
    let by_length = by_length.map(|(name, steps, tasks)| {
        let about =
            "Tasks of growing length: from which one on does a pool cost nothing beside the work?";
        Load {
            steps,
            tasks,
            ..load
        }
        .group(name, about)
    });
    by_workers
        .into_iter()
        .chain(by_queue)
        .chain(by_length)
        .collect()
}
