//! What waking a sleeping pool costs the submitting thread.

use criterion::{Criterion, criterion_group, criterion_main};

fn idle_wake(criterion: &mut Criterion) {
    benches::measure(criterion, "idle_wake");
}

criterion_group!(group, idle_wake);
criterion_main!(group);
