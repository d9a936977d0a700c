//! Ordered maps: many tiny items, items of 1 µs, and items of 0 to 20 µs.

use criterion::{Criterion, criterion_group, criterion_main};

fn map(criterion: &mut Criterion) {
    benches::measure(criterion, "map");
}

criterion_group!(group, map);
criterion_main!(group);
