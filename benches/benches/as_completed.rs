//! 10,000 jobs of 0 to 50 µs, whose results are taken as they complete.

use criterion::{Criterion, criterion_group, criterion_main};

fn as_completed(criterion: &mut Criterion) {
    benches::measure(criterion, "as_completed");
}

criterion_group!(group, as_completed);
criterion_main!(group);
