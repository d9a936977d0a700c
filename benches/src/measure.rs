//! Groups as criterion benchmarks.

use std::time::Duration;

use criterion::{Criterion, Throughput};

use crate::{Workload, groups};

/// Measures all groups of one family. A pool lives only while its row is measured.
pub fn measure(criterion: &mut Criterion, family: &str) {
    for group in groups().iter().filter(|group| group.family() == family) {
        let mut benchmarks = criterion.benchmark_group(group.name);
        benchmarks
            .throughput(Throughput::Elements(group.tasks))
            .sample_size(10)
            .warm_up_time(Duration::from_millis(500))
            .measurement_time(Duration::from_secs(2));
        for row in &group.rows {
            // Started by the first call: a row that a filter leaves out is not called.
            let mut workload: Option<Workload> = None;
            benchmarks.bench_function(row.name, |bencher| {
                if workload.is_none() {
                    match row.start() {
                        Ok(started) => workload = Some(started),
                        Err(reason) => eprintln!("{}: skipped, {reason}", row.name),
                    }
                }
                // Each workload measures itself, since some have to leave pauses out. Criterion wants a
                // time, also of what is not there.
                bencher.iter_custom(|times| match &mut workload {
                    Some(run) => (0..times).map(|_| run().total).sum(),
                    None => Duration::from_nanos(times),
                });
            });
        }
        benchmarks.finish();
    }
}
