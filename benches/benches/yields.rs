//! Tasks that yield to each other: two of them, and a thousand.

use criterion::{Criterion, criterion_group, criterion_main};

fn yields(criterion: &mut Criterion) {
    benches::measure(criterion, "yield");
}

criterion_group!(group, yields);
criterion_main!(group);
