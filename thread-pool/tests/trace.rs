//! Proves that each task has a span, which knows where the task was submitted and in which span.
#![cfg(all(feature = "tracing", not(pool_loom)))]
#![expect(
    clippy::disallowed_types,
    clippy::unwrap_used,
    reason = "tests count with std's atomics, and their helpers unwrap"
)]

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};
use std::thread;

use thread_pool::{FutureResult, ThreadPoolExecutor, WhenFull, try_join_all};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::with_default;
use tracing::{Event, Metadata, Subscriber, info_span};

thread_local! {
    static ENTERED: RefCell<Vec<Id>> = const { RefCell::new(Vec::new()) };
}

/// What is known of a span.
#[derive(Clone, Debug, Default)]
struct Seen {
    name: &'static str,
    parent: Option<usize>,
    fields: HashMap<&'static str, String>,
    /// The threads that entered it.
    entered: Vec<String>,
    closed: bool,
}

impl Visit for Seen {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.fields.insert(field.name(), format!("{value:?}"));
    }
}

/// Remembers all spans; a span's number is its place plus one.
#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Vec<Seen>>>);

impl Memory {
    fn spans(&self, name: &str) -> Vec<Seen> {
        let spans = self.0.lock().unwrap();
        spans
            .iter()
            .filter(|span| span.name == name)
            .cloned()
            .collect()
    }

    fn change(&self, id: &Id, change: impl FnOnce(&mut Seen)) {
        change(&mut self.0.lock().unwrap()[id.into_u64() as usize - 1]);
    }
}

impl Subscriber for Memory {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        let current = ENTERED.with_borrow(|entered| entered.last().cloned());
        let parent = attributes.parent().cloned();
        let parent = parent.or(current.filter(|_| attributes.is_contextual()));
        let mut seen = Seen {
            name: attributes.metadata().name(),
            parent: parent.map(|id| id.into_u64() as usize - 1),
            ..Seen::default()
        };
        attributes.record(&mut seen);
        let mut spans = self.0.lock().unwrap();
        spans.push(seen);
        Id::from_u64(spans.len() as u64)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {}

    fn enter(&self, id: &Id) {
        let name = thread::current().name().unwrap_or_default().to_owned();
        self.change(id, |seen| seen.entered.push(name));
        ENTERED.with_borrow_mut(|entered| entered.push(id.clone()));
    }

    fn exit(&self, _: &Id) {
        ENTERED.with_borrow_mut(Vec::pop);
    }

    fn try_close(&self, id: Id) -> bool {
        self.change(&id, |seen| seen.closed = true);
        true
    }
}

fn pool() -> ThreadPoolExecutor {
    let builder = ThreadPoolExecutor::builder().workers(1).name("trace");
    builder.build().unwrap()
}

/// Whether the task was submitted on this line of this file.
fn is_from(seen: &Seen, line: u32) -> bool {
    seen.fields["code.file.path"].contains("tests/trace.rs")
        && seen.fields["code.line.number"] == line.to_string()
}

#[test]
fn a_task_runs_in_a_span_that_knows_where_it_was_submitted() {
    let (pool, memory) = (pool(), Memory::default());
    with_default(memory.clone(), || {
        pool.submit(|| ()).result().unwrap();
    });
    let line = line!() - 2;
    pool.shutdown().unwrap();
    let [seen] = &memory.spans("task")[..] else {
        panic!("one task, one span")
    };
    assert!(is_from(seen, line), "{seen:?}");
    assert_eq!(seen.entered, ["trace-0"]);
    assert!(seen.closed);
}

#[test]
fn each_way_to_submit_tells_its_place() {
    let (pool, memory) = (pool(), Memory::default());
    let first = with_default(memory.clone(), || {
        let first = line!() + 1;
        drop(pool.submit(|| ()));
        drop(pool.try_submit(|| ()).unwrap());
        pool.execute(|| ()).unwrap();
        drop(pool.submit_all([|| ()]));
        let mapped = pool.map(|n: u32| n, [1]);
        let tried = pool.try_map(Ok::<u32, ()>, [1]);
        drop(pool.broadcast(|_| ()));
        assert_eq!(mapped.count() + tried.count(), 2);
        first
    });
    pool.shutdown().unwrap();
    let spans = memory.spans("task");
    assert_eq!(spans.len(), 7);
    // The maps are lazy, so their tasks come last.
    let lines = [0, 1, 2, 3, 6, 4, 5].map(|line| first + line);
    for (seen, line) in spans.iter().zip(lines) {
        assert!(is_from(seen, line), "{seen:?} is not of line {line}");
        assert_eq!(seen.entered, ["trace-0"]);
    }
}

#[test]
fn with_a_bound_they_do_too() {
    let builder = ThreadPoolExecutor::builder().workers(1).queue_bound(4);
    let (pool, memory) = (builder.build().unwrap(), Memory::default());
    let first = with_default(memory.clone(), || {
        let first = line!() + 1;
        drop(pool.submit(|| ()));
        drop(pool.try_submit(|| ()).unwrap());
        pool.execute(|| ()).unwrap();
        drop(pool.submit_all([|| ()]));
        first
    });
    pool.shutdown().unwrap();
    let spans = memory.spans("task");
    assert_eq!(spans.len(), 4);
    for (seen, line) in spans.iter().zip(first..) {
        assert!(is_from(seen, line), "{seen:?} is not of line {line}");
        assert!(seen.closed);
    }
}

#[test]
fn its_parent_is_the_span_in_which_it_was_submitted() {
    let (pool, memory) = (Arc::new(pool()), Memory::default());
    let same = Arc::clone(&pool);
    with_default(memory.clone(), || {
        let request = info_span!("request");
        let outer = request.in_scope(|| {
            pool.submit(move || {
                // On the worker only the span knows the subscriber.
                tracing::Span::current().in_scope(|| same.submit(|| ()).result())
            })
        });
        outer.result().unwrap().unwrap();
    });
    pool.shutdown().unwrap();
    let spans = memory.0.lock().unwrap();
    let parent = spans.iter().position(|seen| seen.name == "request");
    let task = spans.iter().find(|seen| seen.name == "task").unwrap();
    assert_eq!(task.parent, parent);
}

#[test]
fn a_panic_leaves_the_span() {
    let (pool, memory) = (pool(), Memory::default());
    with_default(memory.clone(), || {
        let panicked = pool.submit(|| panic!("no luck today"));
        let result: Result<(), _> = panicked.result();
        result.unwrap_err();
    });
    let depth = pool.submit(|| ENTERED.with_borrow(Vec::len));
    assert_eq!(depth.result().unwrap(), 0);
}

#[test]
fn a_cancelled_task_closes_its_span_without_entering_it() {
    let (pool, memory) = (pool(), Memory::default());
    let (gate, wait_for_gate) = std::sync::mpsc::channel::<()>();
    pool.execute(move || {
        wait_for_gate.recv().unwrap_err();
    })
    .unwrap();
    with_default(memory.clone(), || {
        let _ = pool.submit(|| unreachable!()).cancel();
    });
    drop(gate);
    pool.shutdown().unwrap();
    let [seen] = &memory.spans("task")[..] else {
        panic!("one task, one span")
    };
    assert!(seen.closed && seen.entered.is_empty());
}

#[test]
fn a_refused_job_comes_back_without_its_span() {
    for when_full in [WhenFull::Block, WhenFull::Reject] {
        let builder = ThreadPoolExecutor::builder().workers(1).queue_bound(1);
        let bounded = builder.when_full(when_full).build().unwrap();
        for pool in [pool(), bounded] {
            let memory = Memory::default();
            pool.shutdown().unwrap();
            with_default(memory.clone(), || {
                let refused = pool.try_submit(|| 7).unwrap_err();
                assert_eq!(refused.into_job()(), 7);
            });
            let [seen] = &memory.spans("task")[..] else {
                panic!("one job, one span")
            };
            assert!(seen.closed && seen.entered.is_empty());
        }
    }
}

#[test]
fn without_a_subscriber_nothing_is_missed() {
    let pool = pool();
    let squares = pool.submit_all((0..100).map(|n| move || n * n));
    assert!(
        try_join_all(squares)
            .unwrap()
            .into_iter()
            .eq((0..100).map(|n| n * n))
    );
}
