//! Four threads that submit jobs whose results nobody takes. Each has a counter of its own, so that
//! only the pool is contended.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, Thread};

use crate::group::{Group, Workload, timed};
use crate::pools::{self, Execute};

const JOBS_EACH: u64 = 25_000;

static COUNTERS: [Counter; 4] = [const { Counter::new() }; 4];

/// One producer's remaining jobs, in a cache line of its own (two, since CPUs fetch pairs).
#[repr(align(128))]
struct Counter {
    left: AtomicU64,
    producer: Mutex<Option<Thread>>,
}

impl Counter {
    const fn new() -> Self {
        Self {
            left: AtomicU64::new(0),
            producer: Mutex::new(None),
        }
    }

    fn reset(&self, jobs: u64) {
        *self.producer() = Some(thread::current());
        self.left.store(jobs, Ordering::Release);
    }

    fn count_down(&self) {
        if self.left.fetch_sub(1, Ordering::AcqRel) == 1
            && let Some(producer) = &*self.producer()
        {
            producer.unpark();
        }
    }

    fn wait(&self) {
        while self.left.load(Ordering::Acquire) > 0 {
            thread::park();
        }
    }

    fn producer(&self) -> std::sync::MutexGuard<'_, Option<Thread>> {
        pools::done(self.producer.lock())
    }
}

/// The least contention that four threads can have: each keeps adding to the same number.
fn contended() -> Workload {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    Box::new(|| {
        timed(|| {
            thread::scope(|scope| {
                for _ in &COUNTERS {
                    scope.spawn(|| {
                        for _ in 0..JOBS_EACH {
                            NUMBER.fetch_add(1, Ordering::Relaxed);
                        }
                    });
                }
            });
        })
    })
}

fn four_producers(pool: impl Execute) -> Workload {
    let produce = move |counter: &'static Counter| {
        counter.reset(JOBS_EACH);
        for _ in 0..JOBS_EACH {
            pool.execute(|| counter.count_down());
        }
        counter.wait();
    };
    Box::new(move || {
        timed(|| {
            thread::scope(|scope| {
                for counter in &COUNTERS {
                    scope.spawn(|| produce(counter));
                }
            });
        })
    })
}

pub(super) fn group() -> Group {
    Group::new("producers", JOBS_EACH * COUNTERS.len() as u64, 3)
        .about("Four threads that submit jobs at once, whose results nobody takes.")
        .aim_everywhere(1.0, None)
        .and_spread()
        .ours("thread-pool", || four_producers(pools::ours()))
        .reference("limit: one number that all add to", contended)
        .peer("executors: channel", || {
            four_producers(pools::executors_channel())
        })
        .peer("executors: stealing", || {
            four_producers(pools::executors_stealing())
        })
        .peer("rusty_pool", || four_producers(pools::rusty_pool()))
        .peer("rayon", || four_producers(pools::rayon()))
        .peer("threadpool", || four_producers(pools::threadpool()))
        .peer("async-executor: leaked", || {
            four_producers(pools::leaked_executor())
        })
        .peer("tokio: spawn", || four_producers(pools::tokio()))
}
