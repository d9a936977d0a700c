//! A new pool of processes, until its first result.

use criterion::Criterion;

fn main() {
    benches::init();
    let mut criterion = Criterion::default().configure_from_args();
    benches::measure(&mut criterion, "process_start");
    criterion.final_summary();
}
