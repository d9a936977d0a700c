//! 20,000 tiny tasks for worker processes: each with its handle, and in a map with chunks of 100.

use criterion::Criterion;

fn main() {
    benches::init();
    let mut criterion = Criterion::default().configure_from_args();
    benches::measure(&mut criterion, "process_throughput");
    criterion.final_summary();
}
