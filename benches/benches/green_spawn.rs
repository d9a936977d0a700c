//! Empty green tasks, each spawned and waited for before the next.

use criterion::{Criterion, criterion_group, criterion_main};

fn green_spawn(criterion: &mut Criterion) {
    benches::measure(criterion, "green_spawn");
}

criterion_group!(group, green_spawn);
criterion_main!(group);
