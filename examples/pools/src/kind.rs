//! The kinds of jobs, each at several sizes. Another kind is one entry here.

use std::net::SocketAddr;

use clap::ValueEnum;

use crate::task::Task;
use crate::ways::Job;

/// What the tasks of a job do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// They compute; the size is how long one does
    Cpu,
    /// They wait for the server; the size is how many do
    Io,
    /// Both; the size is the part of the time that is computing
    Mixed,
}

/// The settings of all jobs of a run.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// The address of the server.
    pub server: SocketAddr,
    /// How many rounds of computing take a millisecond.
    pub rounds_per_milli: u64,
    /// How many CPUs to use.
    pub cpus: usize,
    /// How many tasks the largest waiting job has; mixed ones have a quarter of them.
    pub tasks: usize,
    /// The total computing time of a job, in milliseconds.
    pub compute_millis: u64,
    /// How long the server takes to answer, in microseconds.
    pub wait_micros: u32,
    /// How many tasks a pool of threads or processes runs at once if they wait for part of their time.
    pub mixed_workers: usize,
    /// The most processes to use.
    pub most_processes: usize,
}

/// The size of a job of some kind.
#[derive(Clone, Debug, PartialEq)]
pub struct Size {
    /// Its text in the table.
    pub name: String,
    /// Its position on an axis.
    pub value: f64,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Cpu, Self::Io, Self::Mixed];

    /// Its name in the report.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Cpu => "CPU-bound",
            Self::Io => "I/O-bound",
            Self::Mixed => "mixed",
        }
    }

    /// The meaning of the size.
    #[must_use]
    pub fn what(self) -> &'static str {
        match self {
            Self::Cpu => "how long a task computes",
            Self::Io => "how many tasks wait",
            Self::Mixed => "how much of a task is computing",
        }
    }

    /// The sizes to try.
    #[must_use]
    pub fn sizes(self, setting: &Setting) -> Vec<Size> {
        let size = |name: String, value: usize| Size {
            name,
            value: value as f64,
        };
        match self {
            Self::Cpu => {
                let micros = [1, 10, 100, 1_000, 10_000];
                let name = |micros: usize| match micros {
                    0..1_000 => format!("{micros} µs"),
                    _ => format!("{} ms", micros / 1_000),
                };
                micros.map(|it| size(name(it), it)).into()
            }
            Self::Io => {
                // In steps of four, up to the requested number.
                let tasks = [64, 16, 4, 1].map(|part| (setting.tasks / part).max(1));
                let mut sizes: Vec<_> = tasks.map(|it| size(it.to_string(), it)).into();
                sizes.dedup();
                sizes
            }
            Self::Mixed => [0, 25, 50, 75, 100]
                .map(|percent| size(format!("{percent} %"), percent))
                .into(),
        }
    }

    /// The job for one of its sizes.
    #[must_use]
    pub fn job(self, size: &Size, setting: &Setting) -> Job {
        let &Setting {
            server,
            rounds_per_milli,
            cpus,
            tasks,
            mixed_workers,
            ..
        } = setting;
        let wait = f64::from(setting.wait_micros);
        let (count, compute, wait, workers) = match self {
            Self::Cpu => {
                let count = (setting.compute_millis as f64 * 1e3 / size.value).ceil();
                (count as usize, size.value, 0.0, cpus)
            }
            Self::Io => (size.value as usize, 0.0, wait, size.value as usize),
            Self::Mixed => {
                let part = size.value / 100.0;
                (
                    tasks.div_ceil(4),
                    wait * part,
                    wait * (1.0 - part),
                    mixed_workers,
                )
            }
        };
        let rounds = (compute * rounds_per_milli as f64 / 1e3) as u64;
        let ask = (wait > 0.0).then_some((server, wait as u32));
        let task = |number| Task {
            number,
            rounds,
            ask,
        };
        Job {
            tasks: (0..count as u64).map(task).collect(),
            cpus,
            threads: workers,
            processes: workers.min(setting.most_processes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setting() -> Setting {
        Setting {
            server: ([127, 0, 0, 1], 1).into(),
            rounds_per_milli: 1_000,
            cpus: 2,
            tasks: 128,
            compute_millis: 100,
            wait_micros: 4_000,
            mixed_workers: 16,
            most_processes: 24,
        }
    }

    #[test]
    fn cpu_bound_jobs_compute_equally_long_and_ask_nobody() {
        for size in Kind::Cpu.sizes(&setting()) {
            let job = Kind::Cpu.job(&size, &setting());
            let rounds: u64 = job.tasks.iter().map(|task| task.rounds).sum();
            assert_eq!(rounds, 100_000, "{size:?}");
            assert!(job.tasks.iter().all(|task| task.ask.is_none()));
            assert_eq!((job.threads, job.processes), (2, 2));
        }
    }

    #[test]
    fn io_bound_jobs_wait_all_at_once_but_for_processes() {
        let sizes = Kind::Io.sizes(&setting());
        let jobs: Vec<_> = sizes
            .iter()
            .map(|size| Kind::Io.job(size, &setting()))
            .collect();
        let counts: Vec<_> = jobs.iter().map(|job| job.tasks.len()).collect();
        assert_eq!(counts, [2, 8, 32, 128]);
        for job in jobs {
            assert_eq!(job.threads, job.tasks.len());
            assert_eq!(job.processes, job.tasks.len().min(24));
            assert!(
                job.tasks
                    .iter()
                    .all(|task| task.rounds == 0 && task.ask == Some((setting().server, 4_000)))
            );
        }
        let one = Setting {
            tasks: 1,
            ..setting()
        };
        assert_eq!(Kind::Io.sizes(&one).len(), 1);
    }

    #[test]
    fn mixed_tasks_take_equally_long() {
        let sizes = Kind::Mixed.sizes(&setting());
        let tasks = sizes
            .iter()
            .map(|size| Kind::Mixed.job(size, &setting()).tasks[0]);
        let parts: Vec<_> = tasks
            .map(|task| (task.rounds, task.ask.map(|(_, micros)| micros)))
            .collect();
        assert_eq!(
            parts,
            [
                (0, Some(4_000)),
                (1_000, Some(3_000)),
                (2_000, Some(2_000)),
                (3_000, Some(1_000)),
                (4_000, None)
            ]
        );
    }
}
