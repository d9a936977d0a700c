//! What a pool costs: 100,000 empty jobs, submitted by one thread outside the pool, and every result taken.
//! In `submit_working` that thread works for 100 ns before each job.

use criterion::{Criterion, criterion_group, criterion_main};

fn submit(criterion: &mut Criterion) {
    benches::measure(criterion, "submit");
    benches::measure(criterion, "submit_working");
}

criterion_group!(group, submit);
criterion_main!(group);
