//! All files through all stages: **the file to read**.
//!
//! ```text
//!            io pool        cpu pool       cpu pool        io pool
//! files ───► read ────────► parse ───────► compress ─────► write ───► done
//!   ▲                                                                  │
//!   └────────────── a next one only when one is through ◄──────────────┘
//! ```
//!
//! One thread holds a [`CompletionSet`] with one handle for each file in progress, keyed by the file's number and
//! stage. Whenever a stage of any file completes, the thread submits that file's next stage; when a file is done or has
//! failed, it starts another. It does no work of its own, so it never keeps a stage waiting.
//!
//! **Back-pressure.** At most `window` files are in progress, however many there are and wherever they are held up. If
//! writing is slow, the window fills with files that wait to be written, and reading pauses. So memory is bounded by
//! `window` files of the largest accepted size, each both raw and packed. A bound on each pool's queue
//! ([`queue_bound`](thread_pool::Builder::queue_bound)) would limit what waits for one stage, not for all of them; and
//! it would block the one thread that moves files on from the others.
//!
//! **What is nearly done goes first.** In their pools, compressing and writing have a higher priority than parsing and
//! reading, since they free memory.
//!
//! **Two pools.** Reading and writing wait for the disk, so more threads help; parsing and compressing compute, and
//! more threads than CPUs only get in each other's way. With one pool of either size the CPUs would idle while the disk
//! is slow, or all files would be compressed at once.
//!
//! **Failures.** A stage returns its error as a value, and a panic in it becomes a [`TaskError`]; either ends only that
//! file. The key in the set says which one it was.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use thread_pool::{BuildError, CompletionSet, JoinHandle, Priority, TaskError, ThreadPoolExecutor};

use crate::log::Stats;
use crate::progress::Progress;
use crate::stage::{FileError, Stage, compress, parse, read, write};

/// What to do, and how much at once.
#[derive(Clone, Debug)]
pub struct Job {
    /// The files, in the order in which they are started.
    pub files: Vec<PathBuf>,
    /// The folder for the compressed files.
    pub output: PathBuf,
    /// Threads that read and write.
    pub io_workers: usize,
    /// Threads that parse and compress.
    pub cpu_workers: usize,
    /// Files that may be in progress at once; 0 counts as 1.
    pub window: usize,
    /// The largest accepted file, in bytes.
    pub max_bytes: u64,
    /// How hard to compress, 0 to 9.
    pub level: u32,
}

impl fmt::Display for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (files, io, cpu) = (self.files.len(), self.io_workers, self.cpu_workers);
        write!(
            f,
            "{files} files; {io} threads read and write, {cpu} parse and compress; at most {} files at once",
            self.window
        )
    }
}

/// The outcome.
#[derive(Debug, Default)]
pub struct Outcome {
    /// What each stage did, in order.
    pub stages: [Work; Stage::ALL.len()],
    /// How many files succeeded.
    pub written: usize,
    /// Their size after compression, in bytes.
    pub packed_bytes: u64,
    /// What was counted in them.
    pub stats: Stats,
    /// Those that failed, by their index in the job, each with the reason.
    pub failed: BTreeMap<usize, FileError>,
    /// The most files that were in progress at once.
    pub most_at_once: usize,
    /// From the first file to the last.
    pub elapsed: Duration,
}

/// What one stage did.
#[derive(Clone, Copy, Debug, Default)]
pub struct Work {
    /// Files that it finished.
    pub files: usize,
    /// Files that failed in it.
    pub failed: usize,
    /// The bytes that it took in; for reading, those that it read.
    pub bytes: u64,
    /// The working time of its threads, added up.
    pub busy: Duration,
}

/// A file after a stage, with all that later ones need.
enum Step {
    Read {
        raw: Vec<u8>,
    },
    Parsed {
        raw: Vec<u8>,
        stats: Stats,
    },
    Packed {
        packed: Vec<u8>,
        raw_bytes: u64,
        stats: Stats,
    },
    Written {
        packed_bytes: u64,
        stats: Stats,
    },
}

impl Step {
    /// The bytes that the stage before worked on.
    fn bytes(&self) -> u64 {
        match self {
            Self::Read { raw } | Self::Parsed { raw, .. } => raw.len() as u64,
            Self::Packed { raw_bytes, .. } => *raw_bytes,
            Self::Written { packed_bytes, .. } => *packed_bytes,
        }
    }
}

/// A task's result: what its stage made of the file, and how long that took.
type Ran = (Result<Step, FileError>, Duration);

/// Moves all files of the job through all stages.
///
/// # Errors
/// If the pools cannot be started. What happens to files is in the outcome.
pub fn run(job: &Job, progress: &Progress) -> Result<Outcome, BuildError> {
    let mut flow = Flow {
        job,
        output: job.output.as_path().into(),
        io: pool("io", job.io_workers)?,
        cpu: pool("cpu", job.cpu_workers)?,
        on_their_way: CompletionSet::new(),
        outcome: Outcome::default(),
        progress,
    };
    let start = Instant::now();
    let mut waiting = job.files.iter().enumerate();
    loop {
        while flow.on_their_way.len() < job.window.max(1)
            && let Some((file, path)) = waiting.next()
        {
            flow.begin(file, path.clone());
        }
        let at_once = flow.on_their_way.len();
        flow.outcome.most_at_once = flow.outcome.most_at_once.max(at_once);
        let Some(((file, stage), ran)) = flow.on_their_way.wait_next() else {
            break;
        };
        flow.done(file, stage, ran);
    }
    flow.outcome.elapsed = start.elapsed();
    Ok(flow.outcome)
}

fn pool(name: &str, workers: usize) -> Result<ThreadPoolExecutor, BuildError> {
    ThreadPoolExecutor::builder()
        .workers(workers)
        .name(name)
        .build()
}

struct Flow<'a> {
    job: &'a Job,
    output: Arc<Path>,
    io: ThreadPoolExecutor,
    cpu: ThreadPoolExecutor,
    /// One handle for each file, for its current stage.
    on_their_way: CompletionSet<(usize, Stage), JoinHandle<Ran>>,
    outcome: Outcome,
    progress: &'a Progress,
}

impl Flow<'_> {
    fn begin(&mut self, file: usize, path: PathBuf) {
        let max_bytes = self.job.max_bytes;
        self.submit(file, Stage::Read, move || {
            let raw = read(&path, max_bytes)?;
            Ok(Step::Read { raw })
        });
    }

    /// Records a completed stage, and submits the next.
    fn done(&mut self, file: usize, stage: Stage, ran: Result<Ran, TaskError>) {
        let (step, busy) =
            ran.unwrap_or_else(|error| (Err(FileError::Task(error)), Duration::ZERO));
        let work = &mut self.outcome.stages[stage as usize];
        work.busy += busy;
        match step {
            Ok(step) => {
                work.files += 1;
                work.bytes += step.bytes();
                self.progress.done(stage);
                self.go_on(file, step);
            }
            Err(error) => {
                work.failed += 1;
                self.progress.failed(stage);
                self.outcome.failed.insert(file, error);
            }
        }
    }

    fn go_on(&mut self, file: usize, step: Step) {
        match step {
            Step::Read { raw } => self.submit(file, Stage::Parse, move || {
                let stats = parse(&raw)?;
                Ok(Step::Parsed { raw, stats })
            }),
            Step::Parsed { raw, stats } => {
                let level = self.job.level;
                self.submit(file, Stage::Compress, move || {
                    let packed = compress(&raw, level)?;
                    let raw_bytes = raw.len() as u64;
                    Ok(Step::Packed {
                        packed,
                        raw_bytes,
                        stats,
                    })
                });
            }
            Step::Packed { packed, stats, .. } => {
                let (source, output) = (self.job.files[file].clone(), Arc::clone(&self.output));
                self.submit(file, Stage::Write, move || {
                    write(&source, &output, &packed)?;
                    let packed_bytes = packed.len() as u64;
                    Ok(Step::Written {
                        packed_bytes,
                        stats,
                    })
                });
            }
            Step::Written {
                packed_bytes,
                stats,
            } => {
                self.outcome.written += 1;
                self.outcome.packed_bytes += packed_bytes;
                self.outcome.stats += stats;
            }
        }
    }

    fn submit<F>(&mut self, file: usize, stage: Stage, work: F)
    where
        F: FnOnce() -> Result<Step, FileError> + Send + 'static,
    {
        let (pool, priority) = match stage {
            Stage::Read => (&self.io, Priority::Normal),
            Stage::Parse => (&self.cpu, Priority::Normal),
            Stage::Compress => (&self.cpu, Priority::High),
            Stage::Write => (&self.io, Priority::High),
        };
        let handle = pool.task().priority(priority).submit(move || {
            let start = Instant::now();
            let step = work();
            (step, start.elapsed())
        });
        self.on_their_way.insert((file, stage), handle);
    }
}
