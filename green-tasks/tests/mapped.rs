//! If each guard takes a mapping, the limit on tasks leaves some mappings to others, and beyond it an error says what
//! to do.
#![cfg(all(target_os = "linux", not(any(pool_loom, pool_sim))))]
#![expect(unsafe_code, reason = "the token is a promise")]
#![expect(clippy::unwrap_used, reason = "a failure of the test")]

use std::fs;
use std::rc::Rc;

use green_tasks::sync::Event;
use green_tasks::{FutureResult, JoinHandle, Runtime, Stackful, TaskError, spawn_local, yield_now};

/// How many tasks can be suspended at a time.
fn expected() -> usize {
    let text = fs::read_to_string("/proc/sys/vm/max_map_count").unwrap();
    let allowed: usize = text.trim().parse().unwrap();
    allowed / 2 - allowed / 16
}

fn mappings() -> usize {
    fs::read_to_string("/proc/self/maps")
        .unwrap()
        .lines()
        .count()
}

fn main() {
    // SAFETY: the tasks call only std and this crate.
    let token = unsafe { Stackful::assume() };
    let builder = Runtime::builder().stackful(token).stack_size(16 << 10);
    let runtime = builder.mapped_guards().build().unwrap();
    let limit = expected();
    if limit > 100_000 {
        return println!("this system allows more mappings than a test should use");
    }
    let ran = runtime.run(|| {
        // Twice, to reuse stacks with guards.
        for _ in 0..2 {
            let event = Rc::new(Event::new());
            let handles: Vec<JoinHandle<()>> = (0..limit + 50)
                .map(|_| {
                    let event = Rc::clone(&event);
                    spawn_local(move || event.wait())
                })
                .collect();
            yield_now();
            println!("{} mappings with {limit} tasks", mappings());
            assert!(mappings() > 2 * limit - 10);
            event.set();
            let errors: Vec<TaskError> = handles
                .into_iter()
                .filter_map(|handle| handle.result().err())
                .collect();
            assert_eq!(errors.len(), 50);
            let text = errors[0].to_string();
            assert!(text.contains("vm.max_map_count"), "{text}");
        }
    });
    ran.unwrap();
}
