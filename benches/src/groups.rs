//! All workloads. Each file has the code of one, and the rows of its groups.

mod as_completed;
mod join;
mod map;
mod nested;
mod process;
mod producers;
mod round_trip;
mod submit;

use std::time::Duration;

use crate::Group;

/// Every group, in the order of the tables.
#[must_use]
pub fn groups() -> Vec<Group> {
    let mut groups = vec![
        submit::group("submit", 0),
        submit::group("submit_working", crate::work::STEPS_100_NS),
        round_trip::group("round_trip/hot", 2_000, Duration::ZERO),
        round_trip::group("round_trip/rested", 200, Duration::from_micros(200)),
        nested::group(),
        producers::group(),
        join::group(),
        as_completed::group(),
    ];
    groups.extend(map::groups());
    groups.extend(process::groups());
    groups
}
