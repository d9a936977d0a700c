//! 1,000 tasks that each submit 100 tasks to their own pool and wait for them.

use criterion::{Criterion, criterion_group, criterion_main};

fn nested(criterion: &mut Criterion) {
    benches::measure(criterion, "nested");
}

criterion_group!(group, nested);
criterion_main!(group);
