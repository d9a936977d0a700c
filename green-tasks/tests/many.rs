//! A hundred thousand suspended tasks (`GREEN_TASKS=1000000` for a million): as many mappings as
//! before, a page of memory each, and all of them end.
#![cfg(not(any(pool_loom, pool_sim)))]
#![expect(unsafe_code, reason = "the token is a promise")]
#![expect(clippy::unwrap_used, reason = "a failure of the test")]

use std::cell::Cell;
use std::fs;
use std::rc::Rc;

use green_tasks::sync::Event;
use green_tasks::{FutureResult, Runtime, Stackful, spawn_local, yield_now};

fn mappings() -> Option<usize> {
    Some(fs::read_to_string("/proc/self/maps").ok()?.lines().count())
}

fn resident_bytes() -> Option<usize> {
    let text = fs::read_to_string("/proc/self/statm").ok()?;
    text.split(' ')
        .nth(1)?
        .parse::<usize>()
        .ok()
        .map(|pages| pages * 4096)
}

/// Whether a guard costs no mapping here.
fn has_cheap_guards() -> bool {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut parts = release
        .split(['.', '-'])
        .map_while(|part| part.parse::<u32>().ok());
    let version = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
    cfg!(target_os = "linux") && version >= (6, 13)
}

fn main() {
    let count = std::env::var("GREEN_TASKS")
        .ok()
        .and_then(|text| text.parse().ok());
    let most = if has_cheap_guards() { 100_000 } else { 10_000 };
    let count: usize = count.unwrap_or(most);
    // SAFETY: the tasks call std and this crate alone.
    let token = unsafe { Stackful::assume() };
    let runtime = Runtime::builder().stackful(token).build().unwrap();
    let ran = runtime.run(|| {
        let event = Rc::new(Event::new());
        let waiting = Rc::new(Cell::new(0));
        let task = || {
            let (event, waiting) = (Rc::clone(&event), Rc::clone(&waiting));
            spawn_local(move || {
                waiting.set(waiting.get() + 1);
                event.wait();
                waiting.set(waiting.get() - 1);
            })
        };
        let mut handles: Vec<_> = (0..10).map(|_| task()).collect();
        yield_now();
        let (mappings_before, memory_before) = (mappings(), resident_bytes());
        handles.extend((10..count).map(|_| task()));
        yield_now();
        assert_eq!(waiting.get(), count);
        if let (Some(before), Some(after)) = (mappings_before, mappings())
            && has_cheap_guards()
        {
            println!("{before} mappings with 10 tasks, {after} with {count}");
            // The allocator has some of its own.
            assert!(after < before + 200);
        }
        if let (Some(before), Some(after)) = (memory_before, resident_bytes()) {
            println!("{} bytes a task", (after - before) / count);
        }
        event.set();
        for handle in handles {
            handle.result().unwrap();
        }
        assert_eq!(waiting.get(), 0);
    });
    ran.unwrap();
}
