//! The round trip of a tiny task to a worker process: back to back, and after 200 µs of rest.

use criterion::Criterion;

fn main() {
    benches::init();
    let mut criterion = Criterion::default().configure_from_args();
    benches::measure(&mut criterion, "process_round_trip");
    criterion.final_summary();
}
