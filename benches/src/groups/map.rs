//! Ordered maps: one function over many items, with the results in a vector. An item is an amount of work.

use orx_parallel::{Par, ParCollection};
use paralight::prelude::{
    CpuPinningPolicy, ExactParallelSourceExt, RangeStrategy, ThreadCount, ThreadPoolBuilder,
};

use crate::group::{Group, Workload, timed};
use crate::limit;
use crate::pools::{self, WORKERS};
use crate::work::{STEPS_1_US, STEPS_5_NS_AMONG_MANY, irregular, work};

/// One input, and what some pools have to be told of it.
#[derive(Clone)]
struct Input {
    items: Vec<u64>,
    /// For paralight, which steals only if asked to.
    regular: bool,
}

fn sequential(input: &Input) -> Vec<u64> {
    input.items.iter().map(|&item| work(item)).collect()
}

/// Runs `map` on the input, whose results are known.
fn over(input: &Input, mut map: impl FnMut(&Input) -> Vec<u64> + 'static) -> Workload {
    let input = input.clone();
    let expected = sequential(&input);
    Box::new(move || {
        let mut results = Vec::new();
        let run = timed(|| results = map(&input));
        assert_eq!(results, expected);
        run
    })
}

fn ours(input: &Input) -> Workload {
    let pool = pools::ours();
    over(input, move |input| {
        pool.map_slice(&input.items, |&item| work(item))
    })
}

fn rayon(input: &Input) -> Workload {
    use rayon::prelude::{IntoParallelRefIterator, ParallelIterator};
    let pool = pools::rayon();
    over(input, move |input| {
        pool.install(|| input.items.par_iter().map(|&item| work(item)).collect())
    })
}

fn orx(input: &Input) -> Workload {
    over(input, |input| {
        let results = input.items.par().map(|&item| work(item));
        results.num_threads(WORKERS).collect()
    })
}

fn paralight(input: &Input) -> Workload {
    use paralight::prelude::IntoExactParallelRefSource;
    let mut pool = ThreadPoolBuilder {
        num_threads: pools::done(ThreadCount::try_from(WORKERS)),
        range_strategy: if input.regular {
            RangeStrategy::Fixed
        } else {
            RangeStrategy::WorkStealing
        },
        cpu_pinning: CpuPinningPolicy::No,
    }
    .build();
    over(input, move |input| {
        let results = input.items.par_iter().map(|&item| work(item));
        results.with_thread_pool(&mut pool).collect()
    })
}

/// Every item the same `steps`.
fn regular(count: usize, steps: u64) -> Input {
    Input {
        items: vec![steps; count],
        regular: true,
    }
}

/// The sequential map, divided by the number of CPUs: nothing can be faster.
fn ideal(input: &Input) -> Workload {
    let mut run = over(input, sequential);
    Box::new(move || {
        let mut run = run();
        run.total /= limit::cpus();
        run
    })
}

fn group(name: &'static str, runs: u32, input: Input) -> Group {
    Group::new(name, input.items.len() as u64, runs)
        .about("An ordered map: one function over many items, with the results in a vector.")
        .aim_everywhere(1.0, None)
        .ours("thread-pool", with(ours, &input))
        .reference("limit: the work alone, on all CPUs", with(ideal, &input))
        .reference("sequential", with(|input| over(input, sequential), &input))
        .peer("rayon", with(rayon, &input))
        .peer("orx-parallel", with(orx, &input))
        .peer("paralight", with(paralight, &input))
}

fn with(start: fn(&Input) -> Workload, input: &Input) -> impl Fn() -> Workload + use<> {
    let input = input.clone();
    move || start(&input)
}

pub(super) fn groups() -> Vec<Group> {
    let irregular = Input {
        items: irregular(5_000, 20 * STEPS_1_US),
        regular: false,
    };
    vec![
        group("map/5ns", 3, regular(1_000_000, STEPS_5_NS_AMONG_MANY)),
        group("map/1us", 3, regular(20_000, STEPS_1_US)),
        group("map/irregular", 3, irregular),
        group("small_map/10", 1_000, regular(10, STEPS_1_US)),
        group("small_map/100", 300, regular(100, STEPS_1_US)),
        group("small_map/1000", 50, regular(1_000, STEPS_1_US)),
    ]
}
