//! What can be seen of tasks, from inside and outside.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, mpsc};
use std::task::{Context, Wake, Waker};
use std::thread;
use std::time::Duration;

use future_result::pair;
use green_tasks::sync::{Event, Mutex, Select, unbounded};
use green_tasks::{
    FutureResult, Runtime, TaskError, TaskState, dump, monitor, sleep, spawn, spawn_future,
    spawn_local, stack_high_water, yield_now,
};

use crate::support::{run, simulate, stackful};

#[test]
fn a_dump_tells_of_each_task_what_it_waits_for_where_and_since_when() {
    simulate(1, || {
        let event = Rc::new(Event::new());
        let lock = Rc::new(Mutex::new(()));
        let guard = lock.lock();
        let waited_for = Rc::clone(&event);
        let first = spawn_local(move || waited_for.wait());
        sleep(Duration::from_secs(5));
        let contended = Rc::clone(&lock);
        let second = spawn_local(move || drop(contended.lock()));
        let third = spawn_future(std::future::pending::<()>());
        sleep(Duration::from_secs(2));
        let fourth = spawn_local(|| ());

        let tasks = dump();
        let lines: Vec<_> = tasks.iter().map(ToString::to_string).collect();
        assert_eq!(tasks.len(), 5, "{lines:?}");
        for (number, task) in tasks.iter().enumerate() {
            assert_eq!(task.number, number as u64);
            assert!(task.spawned_at.file().ends_with(if number == 0 {
                "support.rs"
            } else {
                "debug.rs"
            }));
        }
        assert!(matches!(tasks[0].state, TaskState::Running));
        let expected = [
            ("waits for an event at", "since 7s"),
            ("waits for a lock at", "since 2s"),
            ("awaits something", "since 2s"),
            ("can go on", ""),
        ];
        for (line, (what, since)) in lines[1..].iter().zip(expected) {
            assert!(line.contains(what) && line.contains(since), "{line}");
        }
        assert!(lines[1].contains("debug.rs:"), "{}", lines[1]);

        event.set();
        drop(guard);
        first.result().unwrap();
        second.result().unwrap();
        fourth.result().unwrap();
        let _ = third.cancel();
        assert!(third.result().is_err());
        assert_eq!(dump().len(), 1);
    });
    assert!(dump().is_empty());
}

#[test]
fn a_monitor_answers_on_other_threads_also_while_all_sleep_and_not_after_the_end() {
    let mut kept = None;
    run(|| {
        let from_elsewhere = monitor();
        kept = Some(from_elsewhere.clone());
        let (completer, told) = pair();
        let asking = thread::spawn(move || {
            let tasks = from_elsewhere.dump().result();
            let sent = completer.complete(tasks);
            assert!(sent.is_ok());
        });
        let waiting = spawn_local(|| sleep(Duration::from_secs(3600)));
        yield_now();
        let tasks = told.result().unwrap().unwrap();
        assert!(tasks.len() == 2, "{tasks:?}");
        assert!(tasks[0].to_string().contains("waits for a result"));
        assert!(tasks[1].to_string().contains("sleeps at"));
        asking.join().unwrap();
        let _ = waiting.cancel();
    });
    let late = kept.unwrap().dump().result();
    assert!(matches!(late, Err(TaskError::Lost(_))));
    let homeless = monitor().dump().result();
    assert!(matches!(homeless, Err(TaskError::Lost(_))));
}

#[test]
fn whoever_is_called_back_since_no_dump_will_come_cannot_suspend_the_scheduler() {
    struct Yields(mpsc::Sender<&'static str>);

    impl Wake for Yields {
        fn wake(self: Arc<Self>) {
            self.0.send("called").unwrap();
            yield_now();
            self.0.send("has suspended").unwrap();
        }
    }

    let (sender, said) = mpsc::channel();
    let waker = Waker::from(Arc::new(Yields(sender)));
    let asked = run(|| {
        let mut asked = monitor().dump();
        let polled = Pin::new(&mut asked).poll(&mut Context::from_waker(&waker));
        assert!(polled.is_pending());
        asked
    });
    drop(waker);
    assert!(matches!(asked.result(), Err(TaskError::Lost(_))));
    assert_eq!(said.iter().collect::<Vec<_>>(), ["called"]);
}

/// It is called while the queue is empty, on the stack of the current task: here the main task, which was handed a
/// lock and does not know yet.
#[test]
fn a_waker_that_wants_to_wait_takes_nothing_from_whoever_it_interrupts() {
    struct Waits(fn());

    impl Wake for Waits {
        fn wake(self: Arc<Self>) {
            (self.0)();
            unreachable!("nobody can wait here");
        }
    }

    let waits: [fn(); 2] = [
        || Event::new().wait(),
        || {
            let (_sender, receiver) = unbounded::<()>();
            Select::new().recv(&receiver, |_| ()).wait();
        },
    ];
    for wait in waits {
        let waker = Waker::from(Arc::new(Waits(wait)));
        // The mail is read before each 61st turn, and one of those comes right after the unlocking.
        for turns in 0..61 {
            run(|| {
                let lock = Rc::new(Mutex::new(()));
                let (locked, waker) = (Rc::clone(&lock), waker.clone());
                let holder = spawn_local(move || {
                    let guard = locked.lock();
                    (0..=turns).for_each(|_| yield_now());
                    let mut dumped = monitor().dump();
                    let polled = Pin::new(&mut dumped).poll(&mut Context::from_waker(&waker));
                    assert!(polled.is_pending());
                    drop(guard);
                    dumped
                });
                yield_now();
                drop(lock.lock());
                drop(holder.result().unwrap());
            });
        }
    }
}

#[test]
fn the_watchdog_tells_once_of_each_turn_that_is_too_long_and_whose_it_is() {
    let (sender, receiver) = mpsc::channel();
    let report = move |hog: &green_tasks::Hog| drop(sender.send((*hog, hog.to_string())));
    let limit = Duration::from_millis(4);
    let runtime = stackful().watchdog(limit, report).build().unwrap();
    runtime
        .run(|| {
            let hogging = spawn_local(move || {
                // Holds its thread until it is reported.
                let (hog, line) = receiver.recv().unwrap();
                assert_eq!(hog.number, 1);
                assert!(hog.elapsed >= limit);
                assert!(line.contains("task 1, spawned at"), "{line}");
                // It goes on holding, which is not reported again.
                assert!(receiver.recv_timeout(5 * limit).is_err());
                receiver
            });
            let receiver = hogging.result().unwrap();
            // The thread sleeps, which is nobody's turn.
            sleep(10 * limit);
            assert!(receiver.try_recv().is_err());
        })
        .unwrap();
}

#[test]
fn a_watchdog_that_panics_goes_on_and_ends_with_the_run() {
    let (sender, receiver) = mpsc::channel();
    let report = move |_: &green_tasks::Hog| {
        let _ = sender.send(());
        std::panic::resume_unwind(Box::new("in the watchdog"));
    };
    let builder = Runtime::builder().watchdog(Duration::from_millis(2), report);
    let runtime = builder.build().unwrap();
    runtime
        .run(|| {
            receiver.recv().unwrap();
            yield_now();
            receiver.recv().unwrap();
        })
        .unwrap();
    drop(runtime);
    // The watchdog's thread is gone, and its callback with it.
    assert!(receiver.recv().is_err());
}

/// The calling thread only waits for the other, whose task keeps computing.
#[test]
fn the_watchdog_does_not_blame_who_has_ended_and_waits_for_other_threads() {
    let (sender, receiver) = mpsc::channel();
    let limit = Duration::from_millis(4);
    let report = move |hog: &green_tasks::Hog| {
        let _ = sender.send(hog.number);
    };
    let builder = stackful().threads(2).watchdog(limit, report);
    let (tell, told) = mpsc::channel();
    builder
        .build()
        .unwrap()
        .run(|| {
            let (started, has_started) = mpsc::channel();
            drop(spawn(move || {
                started.send(()).unwrap();
                tell.send(receiver.recv().unwrap()).unwrap();
                while let Ok(number) = receiver.recv_timeout(10 * limit) {
                    tell.send(number).unwrap();
                }
            }));
            // On the other thread, since this one gives nobody a turn.
            has_started.recv().unwrap();
        })
        .unwrap();
    assert!(told.iter().all(|number| number != 0));
}

#[inline(never)]
fn use_stack(bytes: usize) -> usize {
    let room = std::hint::black_box([1_u8; 1024]);
    if bytes <= room.len() {
        return room.len();
    }
    use_stack(bytes - room.len()) + usize::from(std::hint::black_box(room)[7])
}

#[test]
fn the_high_water_mark_is_of_the_deepest_task_and_stays_when_its_memory_has_gone() {
    let runtime = stackful().stack_size(2 << 20).build().unwrap();
    runtime
        .run(|| {
            assert_eq!(stack_high_water(), Some(0));
            spawn_local(yield_now).result().unwrap();
            let shallow = stack_high_water().unwrap();
            assert!((4096..200 << 10).contains(&shallow), "{shallow}");
            // Many at a time, so that some memory, including the deep one's, goes back to the system.
            let mut tasks = vec![spawn_local(|| {
                use_stack(300 << 10);
                yield_now();
            })];
            tasks.extend((0..500).map(|_| spawn_local(yield_now)));
            tasks.into_iter().for_each(|task| task.result().unwrap());
            let deep = stack_high_water().unwrap();
            assert!((300 << 10..=2 << 20).contains(&deep), "{deep}");
        })
        .unwrap();
    assert_eq!(stack_high_water(), None);
    assert_eq!(Runtime::new().run(stack_high_water).unwrap(), None);
}
