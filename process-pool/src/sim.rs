//! Whole programs on a simulated system, each from a seed: submitters, cancellers and a closer on
//! simulated threads, the pool's own thread, and workers that answer, answer in pieces, stall, break the
//! protocol, or die at any moment.
//!
//! Only [`System`](crate::system::System) is simulated: the pool's thread, its state, and all
//! above is the real code, and so are the page's words and the stores. [`facts`] records what really happened to
//! each task and checks that its outcome is right; [`check`](crate::state) checks the state's own
//! numbers.
//!
//! Run by `./check.sh sim`. `SIM_RUNS` is the number of programs, `SIM_SEED` the first seed; a failure
//! prints the seed that replays it. A seed gives the same program in every build of the same code: where the linker
//! puts something changes no message's length, and nothing else in a message that decides anything.

#![expect(clippy::expect_used, reason = "a failed expectation is a failed test")]

mod facts;
mod process;
mod program;
mod worker;
mod world;

use std::cell::Cell;
use std::env;
use std::panic;
use std::sync::Once;
use std::thread;

use future_result::sync;
use shuttle::scheduler::{PctScheduler, RandomScheduler};
use shuttle::{Config, FailurePersistence, MaxSteps, Runner};

pub(crate) use self::process::Sim;

/// How many programs to run unless `SIM_RUNS` says otherwise.
const RUNS: u64 = 20_000;

/// A small generator of random numbers (SplitMix64: Steele, Lea, Flood, "Fast splittable pseudorandom
/// number generators", OOPSLA 2014).
#[derive(Debug)]
struct Random(u64);

impl Random {
    const fn new(seed: u64) -> Self {
        Self(seed)
    }

    const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`.
    const fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// True with a chance of one in so many; 0 is never.
    const fn one_in(&mut self, chances: u64) -> bool {
        chances > 0 && self.below(chances) == 0
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }
}

thread_local! {
    static SEED: Cell<Option<u64>> = const { Cell::new(None) };
    static HAS_FAILED: Cell<bool> = const { Cell::new(false) };
}

/// Has every panic print its seed, even one that the pool's thread catches.
fn watch_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            before(info);
            if let Some(seed) = SEED.get() {
                HAS_FAILED.set(true);
                eprintln!("sim: seed {seed}; again by SIM_SEED={seed} SIM_RUNS=1 ./check.sh sim");
            }
        }));
    });
}

fn number(variable: &str) -> Option<u64> {
    env::var(variable).ok()?.parse().ok()
}

/// Runs one program. Returns a digest of all that happened.
fn simulate(seed: u64) -> u64 {
    let mut config = Config::new();
    config.stack_size = 1 << 18;
    config.max_steps = MaxSteps::FailAfter(200_000);
    config.failure_persistence = FailurePersistence::None;
    config.silence_warnings = true;
    SEED.set(Some(seed));
    sync::begin(sync::Faults {
        spawn: 0,
        wake: 20,
        expire: 3,
    });
    let program = move || program::run(seed);
    if seed.is_multiple_of(3) {
        Runner::new(PctScheduler::new_from_seed(seed, 3, 1), config).run(program);
    } else {
        Runner::new(RandomScheduler::new_from_seed(seed, 1), config).run(program);
    }
    assert!(!HAS_FAILED.get(), "a panic was caught");
    let cells = sync::cells();
    assert_eq!(cells, 0, "tasks were not freed");
    SEED.set(None);
    program::DIGEST.get()
}

/// All programs, on all CPUs.
#[test]
fn every_task_of_any_program_ends_once_and_as_it_should() {
    watch_panics();
    let first = number("SIM_SEED").unwrap_or(0);
    let runs = number("SIM_RUNS").unwrap_or(RUNS);
    let threads = thread::available_parallelism().map_or(1, |it| it.get() as u64);
    let all = thread::scope(|scope| {
        let start = |thread| {
            scope.spawn(move || {
                let seeds = first..first.saturating_add(runs);
                let seeds = seeds.skip(thread as usize).step_by(threads as usize);
                seeds.fold(0, |all, seed| all ^ simulate(seed).rotate_left(seed as u32))
            })
        };
        let started: Vec<_> = (0..threads).map(start).collect();
        let ended = started.into_iter().map(|thread| thread.join());
        ended.fold(0, |all, part| {
            all ^ part.expect("a failure prints its seed")
        })
    });
    println!("sim: {runs} programs; digest of all that happened: {all:016x}");
}

#[test]
fn a_seed_gives_the_same_run_again() {
    watch_panics();
    let first = number("SIM_SEED").unwrap_or(0);
    for seed in first..first + 200 {
        assert_eq!(simulate(seed), simulate(seed), "seed {seed}");
    }
}
