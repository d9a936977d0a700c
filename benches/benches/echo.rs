//! A server that sends back what it receives, and a hundred clients.

use criterion::{Criterion, criterion_group, criterion_main};

fn echo(criterion: &mut Criterion) {
    benches::measure(criterion, "echo");
}

criterion_group!(group, echo);
criterion_main!(group);
