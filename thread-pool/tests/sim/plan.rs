//! What kind of program a seed makes: the pool's settings, how busy it is, what goes wrong, how it ends.

use std::time::Duration;

use future_result::sync::Faults;
use thread_pool::WhenFull;

use crate::scheduler::Random;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) workers: usize,
    pub(crate) min_workers: usize,
    pub(crate) keep_alive: Duration,
    pub(crate) bound: Option<(usize, WhenFull)>,
    pub(crate) measures_delays: bool,
    pub(crate) hooks: Hooks,
    pub(crate) submitters: usize,
    pub(crate) steps: usize,
    pub(crate) ending: Ending,
    pub(crate) detaches: bool,
    pub(crate) faults: Faults,
}

/// What the workers run when they start and leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hooks {
    Without,
    Counted,
    /// One initializer in this many panics.
    Breaking(usize),
}

/// What the main thread does while the others submit.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ending {
    /// Lets go of the pool: its last owner drops it.
    LetGo,
    Shutdown,
    ShutdownNow,
    ShutdownTimeout,
}

impl Plan {
    pub(crate) fn any(seed: u64) -> Self {
        let mut random = Random::new(seed.rotate_left(32));
        let workers = 1 + random.below(3);
        let policies = [WhenFull::Block, WhenFull::Reject, WhenFull::CallerRuns];
        let bound = (1 + random.below(2), random.pick(&policies));
        let endings = [
            Ending::LetGo,
            Ending::Shutdown,
            Ending::ShutdownNow,
            Ending::ShutdownTimeout,
        ];
        let hooks = [
            Hooks::Without,
            Hooks::Without,
            Hooks::Counted,
            Hooks::Breaking(6),
        ];
        Self {
            workers,
            min_workers: 1 + random.below(workers),
            keep_alive: Duration::from_millis(random.pick(&[0, 1, 1, 60_000])),
            bound: random.one_in(3).then_some(bound),
            measures_delays: random.one_in(4),
            hooks: random.pick(&hooks),
            submitters: random.below(3),
            steps: 1 + random.below(10),
            ending: random.pick(&endings),
            detaches: random.one_in(4),
            faults: Faults {
                spawn: random.pick(&[0, 0, 2, 5]),
                wake: random.pick(&[0, 3, 20]),
                expire: random.pick(&[1, 2, 10]),
            },
        }
    }

    /// Threads are often needed, and often cannot be started.
    pub(crate) fn scarce(seed: u64) -> Self {
        let plan = Self::any(seed);
        let mut random = Random::new(!seed);
        Self {
            workers: 1 + random.below(3),
            min_workers: 1,
            keep_alive: Duration::from_millis(random.pick(&[0, 1])),
            bound: None,
            submitters: 1 + random.below(2),
            ending: random.pick(&[Ending::LetGo, Ending::Shutdown]),
            faults: Faults {
                spawn: 2,
                wake: 0,
                expire: 1,
            },
            ..plan
        }
    }

    /// As many threads as needed, no bound, and no initializer that panics: everything submitted before
    /// the end is run. For programs in which jobs need each other.
    pub(crate) fn meeting(seed: u64) -> Self {
        let mut random = Random::new(!seed);
        let workers = 1 + random.below(2);
        Self {
            min_workers: 1 + random.below(workers),
            keep_alive: Duration::from_millis(random.pick(&[0, 1, 60_000])),
            submitters: random.below(3),
            ..Self::reliable(seed, workers)
        }
    }

    /// One worker that exists from the start, so that its order of work is known.
    pub(crate) fn single(seed: u64) -> Self {
        Self::reliable(seed, 1)
    }

    fn reliable(seed: u64, workers: usize) -> Self {
        let plan = Self::any(seed);
        Self {
            workers,
            min_workers: workers,
            bound: None,
            hooks: match plan.hooks {
                Hooks::Breaking(_) => Hooks::Counted,
                hooks => hooks,
            },
            faults: Faults {
                spawn: 0,
                ..plan.faults
            },
            ..plan
        }
    }

    pub(crate) const fn faults(&self) -> Faults {
        self.faults
    }

    pub(crate) fn has_policy(&self, policy: WhenFull) -> bool {
        self.bound.is_some_and(|bound| bound.1 == policy)
    }
}
