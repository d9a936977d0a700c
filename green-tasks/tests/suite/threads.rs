//! Several threads: any may start a shared task, nothing is lost or left, and the run ends as with one.
#![expect(
    clippy::disallowed_types,
    reason = "a test's counters are not part of what it tests"
)]

use std::collections::HashSet;
use std::io::{Read, Write};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, mpsc};
use std::thread::{self, ThreadId};
use std::time::Duration;

use future_result::pair;
use green_tasks::net::{TcpListener, TcpStream, UnixStream};
use green_tasks::sync::Event;
use green_tasks::{
    Cancel, Deadlock, FutureResult, JoinHandle, Runtime, RuntimeError, TaskError, checkpoint, dump,
    monitor, scope, sleep, spawn, spawn_future, spawn_local, unblock, yield_now,
};

use crate::support::{OnDrop, stackful};

/// Counts live values: up when made, down when dropped.
#[derive(Clone, Default)]
struct Alive(Arc<AtomicUsize>);

struct One(Arc<AtomicUsize>);

impl Alive {
    fn one(&self) -> One {
        self.0.fetch_add(1, Ordering::Relaxed);
        One(Arc::clone(&self.0))
    }

    fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Drop for One {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn try_run_on<R>(threads: usize, main: impl FnOnce() -> R) -> Result<R, RuntimeError> {
    stackful().threads(threads).build()?.run(main)
}

#[track_caller]
fn run_on<R>(threads: usize, main: impl FnOnce() -> R) -> R {
    match try_run_on(threads, main) {
        Ok(result) => result,
        Err(error) => panic!("{error}"),
    }
}

#[track_caller]
fn deadlock_on<R>(threads: usize, main: impl FnOnce() -> R) -> Deadlock {
    match try_run_on(threads, main) {
        Err(RuntimeError::Deadlock(deadlock)) => deadlock,
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("it has ended"),
    }
}

/// A task on another thread than the calling one, which blocks until it has started.
fn spawn_elsewhere<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    let (started, has_started) = mpsc::channel();
    let handle = spawn(move || {
        started.send(()).unwrap();
        f()
    });
    has_started.recv().unwrap();
    handle
}

#[test]
fn threads_that_have_nothing_to_do_start_what_a_busy_one_has_spawned() {
    let ids = run_on(4, || {
        // None of the four goes on before all have arrived.
        let barrier = Arc::new(Barrier::new(4));
        let meet = || {
            let barrier = Arc::clone(&barrier);
            spawn(move || {
                barrier.wait();
                thread::current().id()
            })
        };
        let others: Vec<_> = (0..3).map(|_| meet()).collect();
        barrier.wait();
        let ids = others.into_iter().map(|handle| handle.result().unwrap());
        ids.chain([thread::current().id()])
            .collect::<HashSet<ThreadId>>()
    });
    assert_eq!(ids.len(), 4);
}

#[test]
fn a_started_task_stays_on_its_thread_and_local_ones_on_that_of_their_spawner() {
    run_on(4, || {
        let task = |n: u64| {
            spawn(move || {
                let here = thread::current().id();
                let local = Rc::new(n);
                let inner = spawn_local(move || (*local, thread::current().id()));
                let future = spawn_future(async { thread::current().id() });
                for _ in 0..20 {
                    yield_now();
                    assert_eq!(thread::current().id(), here);
                }
                let mut in_scope = None;
                scope(|s| drop(s.spawn(|| in_scope = Some(thread::current().id()))));
                assert_eq!(inner.result().unwrap(), (n, here));
                assert_eq!(future.result().unwrap(), here);
                assert_eq!(in_scope, Some(here));
            })
        };
        let handles: Vec<_> = (0..200).map(task).collect();
        for handle in handles {
            handle.result().unwrap();
        }
    });
}

#[test]
fn what_nobody_has_started_is_started_also_by_a_thread_whose_tasks_never_rest_for_long() {
    run_on(2, || {
        let (go, gone) = mpsc::channel::<()>();
        // Occupies the other thread.
        let blocking = spawn_elsewhere(move || gone.recv());
        let started = spawn(|| ());
        while !started.is_done() {
            yield_now();
        }
        go.send(()).unwrap();
        blocking.result().unwrap().unwrap();
    });
}

#[test]
fn handles_cross_between_threads_in_all_directions() {
    const TASKS: usize = 500;
    run_on(4, || {
        // Each waits for the one before, whatever its thread.
        let mut last = spawn(|| 0);
        for _ in 0..TASKS {
            let before = last;
            last = spawn(move || before.result().unwrap() + 1);
        }
        assert_eq!(last.result().unwrap(), TASKS);
    });
}

#[test]
fn cancel_storms_across_threads_lose_nothing_and_leak_nothing() {
    for round in 0..6 {
        let alive = Alive::default();
        run_on(4, || {
            let task = |n: usize| {
                let one = alive.one();
                spawn(move || {
                    let _one = one;
                    match n % 4 {
                        0 => sleep(Duration::from_secs(3600)),
                        1 => Event::new().wait(),
                        // Few, or too many turns come between two of the others.
                        2 if n < 20 => loop {
                            yield_now();
                        },
                        2 => sleep(Duration::from_secs(1800)),
                        _ => (),
                    }
                })
            };
            let handles: Vec<_> = (0..400).map(task).collect();
            let (even, odd): (Vec<_>, Vec<_>) = handles
                .into_iter()
                .enumerate()
                .partition(|(n, _)| n / 4 % 2 == 0);
            let cancel_all = |handles: Vec<(usize, JoinHandle<()>)>| {
                for (n, handle) in handles {
                    let cancelled = handle.cancel();
                    let result = handle.result();
                    match cancelled {
                        Cancel::TooLate => assert!(n % 4 == 3 && result.is_ok(), "{result:?}"),
                        Cancel::Prevented => assert!(matches!(result, Err(TaskError::Cancelled))),
                        _ if n % 4 == 3 => drop(result),
                        _ => assert!(matches!(result, Err(TaskError::Cancelled)), "{result:?}"),
                    }
                }
            };
            let elsewhere = unblock(move || cancel_all(odd));
            for _ in 0..round {
                yield_now();
            }
            cancel_all(even);
            elsewhere.result().unwrap();
        });
        assert_eq!(alive.count(), 0);
    }
}

#[test]
fn the_end_of_the_run_ends_everything_wherever_it_is() {
    for round in 0..20 {
        let alive = Alive::default();
        let mut kept = Vec::new();
        run_on(4, || {
            for n in 0..200 {
                let one = alive.one();
                let more = alive.clone();
                kept.push(spawn(move || {
                    let _one = one;
                    if n % 2 == 0 {
                        let (one, another) = (more.one(), more.one());
                        drop(spawn(move || drop(one)));
                        drop(spawn_local(move || {
                            let _another = another;
                            Event::new().wait();
                        }));
                    }
                    sleep(Duration::from_secs(3600));
                }));
            }
            for _ in 0..round * 3 {
                yield_now();
            }
        });
        assert_eq!(alive.count(), 0, "round {round}");
        for handle in kept {
            let ended = handle.result();
            assert!(matches!(ended, Err(TaskError::Cancelled)), "{ended:?}");
        }
    }
}

#[test]
fn a_panic_of_main_ends_the_tasks_of_all_threads_before_it_goes_on() {
    let alive = Alive::default();
    let result = std::panic::catch_unwind(|| {
        run_on(3, || {
            let one = alive.one();
            drop(spawn_elsewhere(move || {
                let _one = one;
                sleep(Duration::from_secs(3600));
            }));
            std::panic::resume_unwind(Box::new("main's own"));
        })
    });
    let payload = result.unwrap_err();
    assert_eq!(payload.downcast_ref(), Some(&"main's own"));
    assert_eq!(alive.count(), 0);
}

#[test]
fn a_deadlock_over_two_threads_names_the_tasks_of_both() {
    for _ in 0..20 {
        let report = deadlock_on(2, || {
            let elsewhere = spawn_elsewhere(|| Event::new().wait());
            let here = spawn_local(move || elsewhere.result());
            let _ = here.result().unwrap();
        });
        assert_eq!(report.tasks().len(), 3, "{report}");
        let text = report.to_string();
        assert!(text.contains("main task"), "{text}");
        assert!(text.contains("waits for an event at"), "{text}");
        assert_eq!(
            text.matches("waits for a result of task").count(),
            2,
            "{text}"
        );
    }
}

#[test]
fn handles_of_a_deadlock_over_threads_learn_of_it() {
    let mut kept = None;
    let report = deadlock_on(4, || {
        kept = Some(spawn_elsewhere(|| Event::new().wait()));
        Event::new().wait();
    });
    let Err(TaskError::Deadlock(cause)) = kept.unwrap().result() else {
        panic!("another end")
    };
    assert_eq!(cause.to_string(), report.to_string());
}

#[test]
fn whoever_has_hope_on_one_thread_is_hope_for_all() {
    let value = run_on(3, || {
        let (completer, handle) = pair();
        let waiting = spawn_elsewhere(move || handle.result().unwrap());
        let (mut here, mut there) = UnixStream::pair().unwrap();
        let reading = spawn(move || {
            let mut byte = [0];
            here.read_exact(&mut byte).unwrap();
            byte[0]
        });
        let outside = thread::spawn(move || {
            there.write_all(&[3]).unwrap();
            completer.complete(4).unwrap();
        });
        let sum = reading.result().unwrap() + waiting.result().unwrap();
        outside.join().unwrap();
        sum
    });
    assert_eq!(value, 7);
}

#[test]
fn results_that_go_to_and_fro_are_never_taken_for_a_deadlock() {
    run_on(2, || {
        for n in 0..2_000_u32 {
            assert_eq!(spawn(move || n).result().unwrap(), n);
        }
    });
}

#[test]
fn a_task_that_is_left_behind_on_another_thread_is_told_by_run() {
    let ran = thread::spawn(|| {
        try_run_on(2, || {
            let stuck = spawn_elsewhere(|| {
                let _on_drop = OnDrop(|| Event::new().wait());
                Event::new().wait();
            });
            let _ = stuck.cancel();
        })
    });
    match ran.join().unwrap() {
        Err(RuntimeError::Stuck(left)) => assert_eq!(left.tasks().len(), 1, "{left}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn runs_of_several_threads_do_not_nest_and_settings_that_make_no_sense_are_refused() {
    run_on(2, || {
        let inner = spawn(|| Runtime::new().run(|| ())).result().unwrap();
        assert!(matches!(inner, Err(RuntimeError::Nested)));
    });
    let seeded = stackful().threads(2).deterministic(1).build();
    assert!(matches!(seeded, Err(RuntimeError::OneThread)));
    let alone = Runtime::builder().threads(2).build();
    assert!(matches!(alone, Err(RuntimeError::OneThread)));
    assert!(Runtime::builder().threads(0).build().is_ok());
}

#[test]
fn a_connection_that_one_thread_has_accepted_is_served_on_another() {
    run_on(2, || {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut stream, _) = listener.accept().unwrap();
        // A wait that times out registers it here.
        stream
            .set_read_timeout(Some(Duration::from_millis(1)))
            .unwrap();
        assert!(stream.read(&mut [0]).is_err());
        stream.set_read_timeout(None).unwrap();
        let (send, go_on) = pair();
        let serving = spawn_elsewhere(move || {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            stream.write_all(&[byte[0] + 1]).unwrap();
            send.complete(()).unwrap();
            stream
        });
        client.write_all(&[1]).unwrap();
        go_on.result().unwrap();
        let mut byte = [0];
        client.read_exact(&mut byte).unwrap();
        assert_eq!(byte, [2]);
        // And back: it is registered here again, and sees the client close.
        let mut stream = serving.result().unwrap();
        let reading = spawn_local(move || stream.read(&mut [0]).unwrap());
        yield_now();
        drop(client);
        assert_eq!(reading.result().unwrap(), 0);
    });
}

#[test]
fn sockets_that_travel_and_are_dropped_anywhere_leave_no_trace_in_the_reactors() {
    run_on(2, || {
        for round in 0..200 {
            let (mut here, mut there) = UnixStream::pair().unwrap();
            there
                .set_read_timeout(Some(Duration::from_micros(1)))
                .unwrap();
            assert!(there.read(&mut [0]).is_err());
            let other = spawn(move || {
                here.set_read_timeout(Some(Duration::from_micros(1)))
                    .unwrap();
                assert!(here.read(&mut [0]).is_err());
                if round % 2 == 0 { Some(here) } else { None }
            });
            // Both are dropped here, or one there, wherever they are registered.
            let back = other.result().unwrap();
            drop(there);
            if let Some(mut back) = back {
                back.set_read_timeout(None).unwrap();
                assert_eq!(back.read(&mut [0]).unwrap(), 0);
            }
        }
    });
}

#[test]
fn accept_loops_on_several_threads_share_a_listener() {
    const CLIENTS: usize = 100;
    run_on(4, || {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        for _ in 0..4 {
            let listener = listener.try_clone().unwrap();
            drop(spawn(move || {
                loop {
                    let (mut stream, _) = listener.accept().unwrap();
                    drop(spawn(move || {
                        let mut byte = [0];
                        while let Ok(1) = stream.read(&mut byte) {
                            stream.write_all(&byte).unwrap();
                        }
                    }));
                }
            }));
        }
        let client = |n: usize| {
            spawn(move || {
                let mut stream = TcpStream::connect(address).unwrap();
                for round in 0..10 {
                    let sent = [(n + round) as u8];
                    stream.write_all(&sent).unwrap();
                    let mut back = [0];
                    stream.read_exact(&mut back).unwrap();
                    assert_eq!(back, sent);
                }
            })
        };
        let clients: Vec<_> = (0..CLIENTS).map(client).collect();
        for client in clients {
            client.result().unwrap();
        }
    });
}

#[test]
fn a_monitor_lists_the_tasks_of_all_threads_and_those_that_none_has_started() {
    let asking = run_on(2, || {
        let (release, released) = mpsc::channel::<()>();
        let (parked, started) = mpsc::channel();
        let there = spawn_elsewhere(move || {
            drop(spawn_local(|| sleep(Duration::from_secs(3600))));
            yield_now();
            parked.send(()).unwrap();
            // Nobody starts anything.
            released.recv().unwrap();
        });
        started.recv().unwrap();
        let unstarted = spawn(|| ());
        // Only this thread's, and the unstarted ones.
        let ours: Vec<_> = dump().iter().map(ToString::to_string).collect();
        assert_eq!(ours.len(), 2, "{ours:?}");
        assert!(ours[0].ends_with(" runs"), "{ours:?}");
        assert!(ours[1].ends_with(" can go on"), "{ours:?}");
        let monitor = monitor();
        let mut asked = monitor.dump();
        // The other thread has not answered.
        unstarted.result().unwrap();
        yield_now();
        assert!(!asked.wait_timeout(Duration::ZERO));
        release.send(()).unwrap();
        let all = asked.result().unwrap();
        let all: Vec<_> = all.iter().map(ToString::to_string).collect();
        assert!(all.iter().any(|line| line.contains("main task")), "{all:?}");
        assert!(all.iter().any(|line| line.contains("sleeps at")), "{all:?}");
        assert!(
            all.iter().any(|line| line.ends_with("can go on")),
            "{all:?}"
        );
        let mut numbers: Vec<_> = all.iter().map(|line| line.split(',').next()).collect();
        numbers.dedup();
        assert_eq!(numbers.len(), all.len(), "{all:?}");
        there.result().unwrap();
        monitor
    });
    assert!(matches!(asking.dump().result(), Err(TaskError::Lost(_))));
}

#[test]
fn a_run_that_ends_at_once_ends_all_its_threads() {
    for threads in 1..5 {
        for _ in 0..50 {
            run_on(threads, || drop(spawn(checkpoint)));
        }
    }
}
