//! Proves that the recorder of the `metrics` crate gets the pool's numbers.
#![cfg(all(feature = "metrics", not(pool_loom)))]
#![expect(
    clippy::disallowed_types,
    clippy::unwrap_used,
    reason = "tests count with std's atomics, and their helpers unwrap"
)]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use metrics::{
    Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit,
    with_local_recorder,
};
use thread_pool::{FutureResult, ThreadPoolExecutor};

/// Each metric by its name and label values.
#[derive(Default)]
struct Memory(Mutex<BTreeMap<String, Arc<AtomicU64>>>);

impl Memory {
    fn cell(&self, kind: &str, key: &Key) -> Arc<AtomicU64> {
        let labels = key
            .labels()
            .map(|label| format!(" {}={}", label.key(), label.value()));
        let name = format!("{kind} {}{}", key.name(), labels.collect::<String>());
        Arc::clone(self.0.lock().unwrap().entry(name).or_default())
    }

    fn counters_and_gauges(&self) -> Vec<(String, f64)> {
        let cells = self.0.lock().unwrap();
        let value = |name: &str, bits: u64| match name.starts_with("counter") {
            true => bits as f64,
            false => f64::from_bits(bits),
        };
        let values = cells.iter();
        let values =
            values.map(|(name, cell)| (name.clone(), value(name, cell.load(Ordering::Relaxed))));
        values.collect()
    }
}

impl Recorder for Memory {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.cell("counter", key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.cell("gauge", key))
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

#[test]
fn the_recorder_gets_the_snapshot_and_again_what_has_changed() {
    let memory = Memory::default();
    let builder = ThreadPoolExecutor::builder().workers(1).name("resize");
    let pool = builder.build().unwrap();
    let (started, wait_for_start) = std::sync::mpsc::channel();
    let (gate, wait_for_gate) = std::sync::mpsc::channel::<()>();
    pool.execute(move || {
        started.send(()).unwrap();
        wait_for_gate.recv().unwrap_err();
    })
    .unwrap();
    wait_for_start.recv().unwrap();
    let panics = pool.submit(|| std::panic::resume_unwind(Box::new(())));
    let cancelled = pool.submit(|| ());
    let _ = cancelled.cancel();
    with_local_recorder(&memory, || pool.record_metrics());
    let expected = |[done, cancelled, panicked, running, queued]: [f64; 5]| {
        [
            (
                "counter thread_pool_tasks_total pool=resize outcome=cancelled",
                cancelled,
            ),
            (
                "counter thread_pool_tasks_total pool=resize outcome=done",
                done,
            ),
            (
                "counter thread_pool_tasks_total pool=resize outcome=panicked",
                panicked,
            ),
            ("gauge thread_pool_tasks_queued pool=resize", queued),
            ("gauge thread_pool_threads pool=resize state=idle", 0.0),
            (
                "gauge thread_pool_threads pool=resize state=running",
                running,
            ),
            ("gauge thread_pool_threads_blocked pool=resize", 0.0),
        ]
        .map(|(name, value)| (name.to_owned(), value))
    };
    assert_eq!(
        memory.counters_and_gauges(),
        expected([0.0, 0.0, 0.0, 1.0, 2.0])
    );
    drop(gate);
    let result: Result<(), _> = panics.result();
    result.unwrap_err();
    pool.shutdown().unwrap();
    with_local_recorder(&memory, || pool.record_metrics());
    assert_eq!(
        memory.counters_and_gauges(),
        expected([1.0, 1.0, 1.0, 0.0, 0.0])
    );
}
