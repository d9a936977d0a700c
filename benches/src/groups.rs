//! All workloads. Each file has the code of one and the rows of its groups.

mod as_completed;
mod bridge;
mod cell;
mod echo;
mod green_channel;
mod green_spawn;
mod idle_wake;
mod join;
mod map;
mod nested;
mod process;
mod producers;
mod round_trip;
mod scaling;
mod scope;
mod submit;
mod timers;
mod yields;

use std::time::Duration;

use crate::Group;

/// Every group, in the order of the tables.
#[must_use]
pub fn groups() -> Vec<Group> {
    let mut groups = cell::groups();
    groups.extend([
        submit::group("submit", 0),
        submit::group("submit_working", crate::work::STEPS_100_NS),
        round_trip::group("round_trip/hot", 2_000, Duration::ZERO),
        round_trip::group("round_trip/rested", 200, Duration::from_micros(200)),
        nested::group(),
        producers::group(),
        join::group(),
        as_completed::group(),
        idle_wake::group(),
    ]);
    groups.extend(map::groups());
    groups.extend(scope::groups());
    groups.extend(scaling::groups());
    groups.extend(yields::groups());
    groups.extend([
        green_spawn::group(),
        green_channel::group(),
        timers::group(),
        echo::group(),
    ]);
    groups.extend(bridge::groups());
    groups.extend(process::groups());
    groups
}
