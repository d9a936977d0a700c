//! Ten thousand tasks that sleep for 10 ms at the same time.

use criterion::{Criterion, criterion_group, criterion_main};

fn timers(criterion: &mut Criterion) {
    benches::measure(criterion, "timers");
}

criterion_group!(group, timers);
criterion_main!(group);
