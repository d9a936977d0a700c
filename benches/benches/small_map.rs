//! Ordered maps of 10, 100 and 1,000 items of 1 µs, where waking the workers decides.

use criterion::{Criterion, criterion_group, criterion_main};

fn small_map(criterion: &mut Criterion) {
    benches::measure(criterion, "small_map");
}

criterion_group!(group, small_map);
criterion_main!(group);
