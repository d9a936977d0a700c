//! A hundred thousand suspended tasks (`GREEN_TASKS=1000000` for a million) take no more mappings and a page of
//! memory each, and all of them end. Then as many are cancelled at random points, in random order: nothing is
//! leaked or lost.
#![cfg(not(any(pool_loom, pool_sim)))]
#![expect(unsafe_code, reason = "the token is a promise")]
#![expect(clippy::unwrap_used, reason = "a failure of the test")]

use std::cell::Cell;
use std::fs;
use std::rc::Rc;
use std::time::Duration;

use green_tasks::sync::{Event, Mutex, RwLock, Select, Semaphore, bounded};
use green_tasks::{
    FutureResult, Runtime, Stackful, TaskError, dump, sleep, spawn_local, yield_now,
};

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

/// Whether guards cost no mappings here.
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
    // SAFETY: the tasks call only std and this crate.
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
            // The allocator has a few of its own.
            assert!(after < before + 200);
        }
        if let (Some(before), Some(after)) = (memory_before, resident_bytes()) {
            let bytes = (after - before) / count;
            println!("{bytes} bytes a task");
            // Unoptimised code may touch a second page of its stack.
            assert!(bytes <= if cfg!(debug_assertions) { 8_602 } else { 4_506 });
        }
        event.set();
        for handle in handles {
            handle.result().unwrap();
        }
        assert_eq!(waiting.get(), 0);
    });
    ran.unwrap();
    runtime.run(|| storm(count)).unwrap();
}

/// Counts its live values.
struct Counted(Rc<Cell<usize>>);

impl Counted {
    fn new(count: &Rc<Cell<usize>>) -> Self {
        count.set(count.get() + 1);
        Self(Rc::clone(count))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

/// Many tasks that wait for the same things, each cancelled sooner or later.
fn storm(count: usize) {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut random = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 16) as usize % below
    };
    let alive = Rc::new(Cell::new(0));
    let (sent, received) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
    let shared = Rc::new((
        Mutex::new(()),
        RwLock::new(()),
        Semaphore::new(10),
        Event::new(),
    ));
    let (left, from_left) = bounded(100);
    let (right, from_right) = bounded(100);
    let mut handles: Vec<_> = (0..count)
        .map(|_| {
            let here = Counted::new(&alive);
            let (alive, shared) = (Rc::clone(&alive), Rc::clone(&shared));
            let (sent, received) = (Rc::clone(&sent), Rc::clone(&received));
            let (left, right) = (left.clone(), right.clone());
            let (from_left, from_right) = (from_left.clone(), from_right.clone());
            let (first, how) = (random(7), random(3));
            spawn_local(move || {
                let _here = here;
                let (mutex, lock, permits, event) = &*shared;
                for step in first.. {
                    let _inside = Counted::new(&alive);
                    match step % 7 {
                        0 => {
                            let _guard = mutex.lock();
                            yield_now();
                        }
                        1 => {
                            let _guard = lock.read();
                            yield_now();
                        }
                        2 => {
                            let _guard = lock.write();
                            yield_now();
                        }
                        3 => {
                            let _permit = permits.acquire();
                            sleep(Duration::from_millis(how as u64));
                        }
                        4 => {
                            let value = || Counted::new(&alive);
                            let done = Select::new()
                                .send(&left, value, |sent| sent.is_ok())
                                .send(&right, value, |sent| sent.is_ok())
                                .wait();
                            assert!(done);
                            sent.set(sent.get() + 1);
                        }
                        5 => {
                            let value = Select::new()
                                .recv(&from_left, Result::ok)
                                .recv(&from_right, Result::ok)
                                .wait();
                            assert!(value.is_some());
                            received.set(received.get() + 1);
                        }
                        _ => event.wait(),
                    }
                }
            })
        })
        .collect();
    let mut cancelled = 0;
    while !handles.is_empty() {
        let handle = handles.swap_remove(random(handles.len()));
        let _ = handle.cancel();
        cancelled += 1;
        match handle.result() {
            Err(TaskError::Cancelled) => {}
            other => panic!("{other:?}"),
        }
        if random(100) == 0 {
            yield_now();
        }
        if random(1000) == 0 {
            shared.3.set();
            shared.3.reset();
        }
    }
    assert_eq!((cancelled, dump().len()), (count, 1));
    // Nothing is locked, and each value sent was received or is still there.
    let (mutex, lock, permits, _) = &*shared;
    assert!(mutex.try_lock().is_some() && lock.try_write().is_some());
    assert_eq!(permits.available(), 10);
    let there = from_left.len() + from_right.len();
    assert_eq!(sent.get(), received.get() + there);
    assert_eq!(alive.get(), there);
    println!(
        "{cancelled} tasks cancelled, {} values received, {there} left",
        received.get()
    );
    drop((left, right, from_left, from_right));
    assert_eq!(alive.get(), 0);
}
