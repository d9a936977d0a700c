//! Submitting one empty job and waiting for it: back to back, and after 200 µs of rest.

use criterion::{Criterion, criterion_group, criterion_main};

fn round_trip(criterion: &mut Criterion) {
    benches::measure(criterion, "round_trip");
}

criterion_group!(group, round_trip);
criterion_main!(group);
