//! Two green tasks that send a number back and forth.

use criterion::{Criterion, criterion_group, criterion_main};

fn green_channel(criterion: &mut Criterion) {
    benches::measure(criterion, "green_channel");
}

criterion_group!(group, green_channel);
criterion_main!(group);
