//! What the benchmarks share: the workloads, and the pools that run them.
//!
//! [`groups()`] lists the workloads with their rows. Two programs run them: the criterion
//! benchmarks in `benches/`, through [`measure()`], and `src/bin/compare`, which holds a [`Contest`]:
//! every row and round in a process of its own.

mod contest;
mod group;
mod groups;
mod limit;
mod machine;
mod measure;
mod memory;
mod pools;
mod round;
mod work;

pub use self::contest::{CHILD, Contest, Trouble, measure_child};
pub use self::group::{Aim, Group, Kind, Most, Row, Run, Workload};
pub use self::groups::groups;
pub use self::machine::{Pin, cpu_time};
pub use self::measure::measure;
pub use self::memory::{Footprint, MEMORY_CHILD, Memory, footprints, measure_footprint};
pub use self::pools::python_versions;
pub use self::round::{Summary, human_time};

/// To be called first in `main`: the peer's worker processes get that far, and no further. Ours are the same
/// executable too, but never reach `main`; neither sees the other's environment variable.
pub fn init() {
    procspawn::init();
}
