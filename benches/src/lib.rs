//! What the benchmarks share: the workloads, each in one place, and the pools that run them.
//!
//! [`groups()`] lists the workloads with the rows of each. Two programs run them: the criterion
//! benchmarks in `benches/`, through [`measure()`], and `src/bin/compare`, which gives every row and
//! round a process of its own.

mod group;
mod groups;
mod limit;
mod machine;
mod measure;
mod pools;
mod work;

pub use self::group::{Group, Kind, Row, Run, Workload};
pub use self::groups::groups;
pub use self::limit::box_and_two_rmws;
pub use self::machine::{Pin, cpu_time};
pub use self::measure::measure;

/// To be called first of all in `main`: the peer's worker processes come there, and go no further. Ours
/// are the same executable too, but do not come to `main`; neither sees the other's environment variable.
pub fn init() {
    procspawn::init();
}
