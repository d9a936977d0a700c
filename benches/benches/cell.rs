//! What a result costs by itself: one thread creates, completes and takes it.

use criterion::{Criterion, criterion_group, criterion_main};

fn cell(criterion: &mut Criterion) {
    benches::measure(criterion, "cell");
}

criterion_group!(group, cell);
criterion_main!(group);
