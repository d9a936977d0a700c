//! 8 MiB to a worker process, 8 MiB back, and eight such arguments at once.

use criterion::Criterion;

fn main() {
    benches::init();
    let mut criterion = Criterion::default().configure_from_args();
    benches::measure(&mut criterion, "process_payload");
    criterion.final_summary();
}
