//! How the cost of a task grows with the number of workers, the number of tasks, and their length.

use criterion::{Criterion, criterion_group, criterion_main};

fn scaling(criterion: &mut Criterion) {
    benches::measure(criterion, "scaling_workers");
    benches::measure(criterion, "scaling_queue");
    benches::measure(criterion, "scaling_task");
}

criterion_group!(group, scaling);
criterion_main!(group);
