//! How the cost of a task grows with the number of workers, the number of tasks, their length, and the size
//! of their argument.

use criterion::Criterion;

fn main() {
    benches::init();
    let mut criterion = Criterion::default().configure_from_args();
    for family in ["workers", "queue", "task", "payload"] {
        benches::measure(&mut criterion, &format!("scaling_{family}"));
    }
    criterion.final_summary();
}
