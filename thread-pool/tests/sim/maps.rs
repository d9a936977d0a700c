//! The lazy map: its items are jobs, and their results come in order.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use thread_pool::TaskError;

use crate::entry::{Entry, Observer, Value, quietly};
use crate::owner::Owner;

pub(crate) fn map(owner: &Arc<Owner>) {
    let (items, chunk, buffer, taken) = owner.random(|random| {
        let items = random.below(6);
        (
            items,
            1 + random.below(3),
            1 + random.below(4),
            random.below(items + 2),
        )
    });
    let (in_order, limit, detaches) = owner.random(|random| {
        let limit = random.pick(&[None, None, Some(0), Some(1)]);
        (!random.one_in(3), limit, random.one_in(3))
    });
    let observers = Arc::new(Mutex::new(Vec::<Observer>::new()));
    let input = (0..items).map({
        let (ledger, observers) = (Arc::clone(&owner.ledger), Arc::clone(&observers));
        move |_| {
            let entry = ledger.add(false);
            let observer = entry.observer();
            if chunk > 1 {
                observer.shares_task();
                ledger.expect_tasks(1);
            }
            let mut observers = observers.lock().unwrap_or_else(PoisonError::into_inner);
            observers.push(observer);
            entry
        }
    });
    let ledger = Arc::clone(&owner.ledger);
    let function = move |entry: Entry| {
        entry.run();
        let observer = entry.observer();
        let (panics, has_bomb) = ledger.with_random(|random| (random.one_in(6), random.one_in(6)));
        if panics {
            entry.panic(observer.value(has_bomb));
        }
        observer.value(has_bomb)
    };
    let mut map = owner.pool().map(function, input);
    map = map.chunk_size(chunk).buffer_size(buffer);
    if !in_order {
        map = map.unordered();
    }
    if let Some(milliseconds) = limit {
        map = map.timeout(Duration::from_millis(milliseconds));
    }
    let mut count = 0;
    let is_exhausted = loop {
        if count == taken {
            break false;
        }
        let Some(result) = map.next() else {
            break true;
        };
        if in_order {
            let observers = observers.lock().unwrap_or_else(PoisonError::into_inner);
            tell(observers.get(count), &result, limit.is_some());
        }
        quietly(|| drop(result));
        count += 1;
    };
    if is_exhausted && limit.is_none() {
        assert_eq!(count, items, "results of a map");
    }
    if detaches {
        quietly(|| map.detach());
    } else {
        // What has not started is cancelled, values and all.
        quietly(|| drop(map));
    }
}

/// The result is that of the next job in order. A map's time-out says nothing about the job.
fn tell(observer: Option<&Observer>, result: &Result<Value, TaskError>, is_limited: bool) {
    match (observer, result) {
        (_, Err(TaskError::TimedOut)) if is_limited => {}
        (Some(observer), result) => observer.told(result.as_ref()),
        (None, _) => panic!("more results than items"),
    }
}
