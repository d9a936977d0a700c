//! The 30th Fibonacci number, with a join at every call.

use criterion::{Criterion, criterion_group, criterion_main};

fn join(criterion: &mut Criterion) {
    benches::measure(criterion, "join");
}

criterion_group!(group, join);
criterion_main!(group);
