//! Tasks that borrow from the stack of the caller.

use criterion::{Criterion, criterion_group, criterion_main};

fn scope(criterion: &mut Criterion) {
    benches::measure(criterion, "scope");
}

criterion_group!(group, scope);
criterion_main!(group);
