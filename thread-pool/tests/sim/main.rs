//! Whole programs on simulated threads, by the thousand, each from a seed: who runs next, what time it
//! is, which thread cannot be started, what panics. During and after each, [`ledger`] checks that every
//! job ends exactly once and the pool's numbers add up, and [`lent`] that nothing borrowed is touched
//! too late.
//!
//! Run by `./check.sh sim`. `SIM_RUNS` sets how many programs, `SIM_SEED` the first seed; a failure prints
//! the seed that replays it.
#![cfg(pool_sim)]
#![expect(
    clippy::disallowed_types,
    reason = "the counters are no part of the simulation"
)]
#![expect(clippy::expect_used, reason = "a failed expectation is a failed test")]

mod borrow;
mod entry;
mod job;
mod lanes;
mod ledger;
mod lent;
mod limits;
mod maps;
mod meet;
mod owner;
mod plan;
mod program;
mod record;
mod scheduler;
mod scoped;

use std::env;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use shuttle::Runner;

use self::plan::Plan;
use self::scheduler::{Seeded, Seeds};

/// How many programs are run by default.
const RUNS: u64 = 50_000;

fn number(variable: &str) -> Option<u64> {
    env::var(variable)
        .ok()
        .map(|text| text.parse().expect("a number"))
}

/// Runs programs of this kind on all CPUs.
fn simulate(seeds: Seeds, plan: fn(u64) -> Plan, program: fn()) {
    scheduler::watch_panics();
    let seeds = Arc::new(seeds);
    let cpus = thread::available_parallelism().map_or(1, usize::from);
    let threads: Vec<_> = (0..cpus)
        .map(|_| {
            let seeds = Arc::clone(&seeds);
            thread::spawn(move || {
                let _watch = scheduler::Watch;
                let mut config = shuttle::Config::new();
                config.stack_size = 1 << 18;
                config.max_steps = shuttle::MaxSteps::FailAfter(300_000);
                config.failure_persistence = shuttle::FailurePersistence::None;
                config.silence_warnings = true;
                Runner::new(Seeded::new(Arc::clone(&seeds), plan), config).run(program)
            })
        })
        .collect();
    let results: Vec<_> = threads.into_iter().map(thread::JoinHandle::join).collect();
    let runs: usize = results
        .into_iter()
        .map(|runs| runs.expect("a run failed; its seed is above"))
        .sum();
    println!("sim: {runs} programs");
}

/// The seeds that the environment asks for.
fn seeds() -> Seeds {
    let first = number("SIM_SEED").unwrap_or(0);
    Seeds::new(first, number("SIM_RUNS").unwrap_or(RUNS))
}

#[test]
fn every_job_of_any_program_ends_once() {
    simulate(seeds(), Plan::any, program::run);
}

#[test]
fn every_job_ends_once_where_threads_cannot_be_started() {
    simulate(seeds(), Plan::scarce, program::run);
}

#[test]
fn jobs_that_need_each_other_meet() {
    simulate(seeds(), Plan::meeting, meet::meet);
}

#[test]
fn each_lane_is_in_order_and_gets_its_turn() {
    simulate(seeds(), Plan::single, lanes::queue_up);
}

#[test]
fn jobs_that_no_worker_has_time_for_time_out() {
    simulate(seeds(), Plan::single, limits::come_too_late);
}

#[test]
fn a_seed_gives_the_same_run_again() {
    static DIGEST: AtomicU64 = AtomicU64::new(0);

    let first = number("SIM_SEED").unwrap_or(0);
    let digests = [(); 2].map(|()| {
        DIGEST.store(0, Ordering::Relaxed);
        let add = |digest| {
            DIGEST.fetch_xor(digest, Ordering::Relaxed);
        };
        simulate(
            Seeds::new(first, 200).with_digest(add),
            Plan::any,
            program::run,
        );
        DIGEST.load(Ordering::Relaxed)
    });
    assert_eq!(digests[0], digests[1]);
}
