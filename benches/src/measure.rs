//! Groups as criterion benchmarks.

use std::env;
use std::time::Duration;

use criterion::{Criterion, Throughput};

use crate::{Workload, groups};

/// Measures all groups of one family. A pool lives only while its row is measured.
pub fn measure(criterion: &mut Criterion, family: &str) {
    // The most that `--quick` spends on a row. Otherwise, as long as the figures do not settle, criterion would
    // take as long as for a thorough run.
    let is_quick = env::args().any(|argument| argument == "--quick");
    let time = Duration::from_millis(if is_quick { 200 } else { 2_000 });
    for group in groups().iter().filter(|group| group.family() == family) {
        let mut benchmarks = criterion.benchmark_group(group.name);
        benchmarks
            .throughput(Throughput::Elements(group.tasks))
            .sample_size(10)
            .warm_up_time(Duration::from_millis(500))
            .measurement_time(time);
        for row in &group.rows {
            let mut workload: Option<Workload> = None;
            if row.may_be_absent {
                match row.start() {
                    Ok(started) => workload = Some(started),
                    Err(reason) => {
                        eprintln!("{}/{}: skipped, {reason}", group.name, row.name);
                        continue;
                    }
                }
            }
            benchmarks.bench_function(row.name, |bencher| {
                // Each workload measures itself, since some have to exclude pauses. It is started by the first call,
                // which a row that a filter excludes never gets.
                bencher.iter_custom(|times| {
                    let run = workload.get_or_insert_with(|| row.start_what_is_there());
                    (0..times).map(|_| run().total).sum()
                });
            });
        }
        benchmarks.finish();
    }
}
