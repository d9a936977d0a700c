//! Four threads that submit 25,000 jobs each, whose results nobody takes.

use criterion::{Criterion, criterion_group, criterion_main};

fn producers(criterion: &mut Criterion) {
    benches::measure(criterion, "producers");
}

criterion_group!(group, producers);
criterion_main!(group);
