//! Async code and the thread pool: futures spawned and awaited, blocking calls, readers, writers and iterators
//! awaited, and waiting in code that is not async.

use criterion::{Criterion, criterion_group, criterion_main};

fn bridge(criterion: &mut Criterion) {
    benches::measure(criterion, "bridge");
}

criterion_group!(group, bridge);
criterion_main!(group);
