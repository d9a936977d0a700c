//! Proves that waiting inside a worker runs the awaited task, and only that, and never deadlocks.
#![cfg(not(pool_loom))]
#![expect(
    clippy::disallowed_types,
    clippy::unwrap_used,
    reason = "tests count with std's atomics, and their helpers unwrap"
)]

mod support;

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, ThreadId};
use std::time::Duration;

use thread_pool::{
    Cancel, CancelToken, CompletionSet, FutureResult, JoinHandle, TaskError, ThreadPoolExecutor,
    When, as_completed, wait,
};

use self::support::occupy;

type Pool = Arc<ThreadPoolExecutor>;

fn pool(workers: usize, name: &str) -> Pool {
    let builder = ThreadPoolExecutor::builder().workers(workers).name(name);
    Arc::new(builder.build().unwrap())
}

/// Runs `job`, which gets the pool, on one of its workers, and waits outside.
fn inside<T: Send + 'static>(
    pool: &Pool,
    job: impl FnOnce(&Pool) -> T + Send + 'static,
) -> Result<T, TaskError> {
    let its_pool = Arc::clone(pool);
    pool.submit(move || job(&its_pool)).result()
}

fn thread_name() -> String {
    thread::current().name().unwrap().to_owned()
}

/// How many jobs the pool says are queued, tombstones included.
fn queued(pool: &ThreadPoolExecutor) -> usize {
    let text = format!("{pool:?}");
    let (_, after) = text.split_once("queued: ").unwrap();
    let digits = after.split(|c: char| !c.is_ascii_digit()).next().unwrap();
    digits.parse().unwrap()
}

#[test]
fn result_in_the_only_worker_runs_the_task_in_place() {
    let pool = pool(1, "one");
    let threads: [ThreadId; 2] = inside(&pool, |pool| {
        let subtask = pool.submit(|| thread::current().id());
        [thread::current().id(), subtask.result().unwrap()]
    })
    .unwrap();
    assert_eq!(threads[0], threads[1]);
}

#[test]
fn waits_nested_300_levels_deep_on_one_worker() {
    fn level(pool: &Pool, left: usize) -> usize {
        if left == 0 {
            return 0;
        }
        let next = Arc::clone(pool);
        let below = pool.submit(move || level(&next, left - 1));
        1 + below.result().unwrap()
    }

    let pool = Arc::new(
        ThreadPoolExecutor::builder()
            .workers(1)
            .stack_size(16 << 20)
            .build()
            .unwrap(),
    );
    assert_eq!(inside(&pool, |pool| level(pool, 300)).unwrap(), 300);
}

/// Submits both branches and waits, at every level, as nobody should and everybody does.
fn fibonacci(pool: &Pool, n: u64) -> u64 {
    if n < 2 {
        return n;
    }
    let [one, two] = [n - 1, n - 2].map(|n| {
        let its_pool = Arc::clone(pool);
        pool.submit(move || fibonacci(&its_pool, n))
    });
    one.result().unwrap() + two.result().unwrap()
}

#[test]
fn recursive_forks_end_on_one_two_and_three_workers() {
    for workers in 1..=3 {
        let pool = pool(workers, "fork");
        assert_eq!(inside(&pool, |pool| fibonacci(pool, 14)).unwrap(), 377);
    }
}

#[test]
fn recursive_forks_from_several_roots_at_once_end() {
    let pool = pool(2, "roots");
    let roots: Vec<_> = (0..8)
        .map(|n| {
            let its_pool = Arc::clone(&pool);
            pool.submit(move || fibonacci(&its_pool, n + 4))
        })
        .collect();
    let sums: Vec<_> = roots
        .into_iter()
        .map(|root| root.result().unwrap())
        .collect();
    assert_eq!(sums, [3, 5, 8, 13, 21, 34, 55, 89]);
}

#[test]
fn as_completed_in_the_only_worker_yields_each_once() {
    let pool = pool(1, "one");
    let order = inside(&pool, |pool| {
        let handles: Vec<_> = (0..100).map(|n| pool.submit(move || n * n)).collect();
        as_completed(handles)
            .map(|(index, result)| {
                assert_eq!(result.unwrap(), index * index);
                index
            })
            .collect::<Vec<_>>()
    });
    assert_eq!(order.unwrap(), (0..100).collect::<Vec<_>>());
}

#[test]
fn completion_set_that_grows_in_the_only_worker_yields_each_once() {
    let pool = pool(1, "one");
    let seen = inside(&pool, |pool| {
        let mut set = CompletionSet::new();
        set.insert(1_u32, pool.submit(|| 1_u32));
        let mut seen = HashSet::new();
        while let Some((key, result)) = set.wait_next() {
            assert_eq!(result.unwrap(), key);
            assert!(seen.insert(key), "{key} came twice");
            for child in [2 * key, 2 * key + 1] {
                if child < 64 {
                    set.insert(child, pool.submit(move || child));
                }
            }
        }
        seen
    });
    assert_eq!(seen.unwrap(), (1..64).collect());
}

#[test]
fn wait_for_all_in_the_only_worker_runs_all() {
    let pool = pool(1, "one");
    inside(&pool, |pool| {
        let mut handles: Vec<_> = (0..20).map(|n| pool.submit(move || n)).collect();
        let waited = wait(&mut handles, When::All, None);
        assert_eq!(waited.done.len(), 20);
        assert!(waited.pending.is_empty());
        assert!(!waited.timed_out);
        let sum: i32 = handles.into_iter().flat_map(JoinHandle::result).sum();
        assert_eq!(sum, 190);
    })
    .unwrap();
}

#[test]
fn wait_for_the_first_in_the_only_worker_runs_one_and_no_more() {
    let pool = pool(1, "one");
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&runs);
    let handles = inside(&pool, move |pool| {
        let mut handles: Vec<_> = (0..3)
            .map(|_| {
                let runs = Arc::clone(&counted);
                pool.submit(move || runs.fetch_add(1, Ordering::Relaxed))
            })
            .collect();
        let waited = wait(&mut handles, When::FirstCompleted, None);
        assert_eq!((waited.done, waited.pending), (vec![0], vec![1, 2]));
        assert_eq!(counted.load(Ordering::Relaxed), 1);
        handles
    });
    for handle in handles.unwrap() {
        handle.result().unwrap();
    }
    assert_eq!(runs.load(Ordering::Relaxed), 3);
}

#[test]
fn wait_for_the_first_error_in_the_only_worker_stops_at_it() {
    let pool = pool(1, "one");
    inside(&pool, |pool| {
        let mut handles: Vec<_> = (0..4)
            .map(|n| pool.submit(move || assert_ne!(n, 1, "as planned")))
            .collect();
        let waited = wait(&mut handles, When::FirstError, None);
        assert_eq!((waited.done, waited.pending), (vec![0, 1], vec![2, 3]));
    })
    .unwrap();
}

#[test]
fn maps_of_every_kind_in_the_only_worker_end() {
    let pool = pool(1, "one");
    inside(&pool, |pool| {
        let ordered: Result<Vec<_>, _> = pool.map(|n| n + 1, 0..50).collect();
        assert_eq!(ordered.unwrap(), (1..51).collect::<Vec<_>>());
        let chunked: Result<Vec<_>, _> = pool.map(|n| n + 1, 0..50).chunk_size(7).collect();
        assert_eq!(chunked.unwrap(), (1..51).collect::<Vec<_>>());
        let unordered: Result<HashSet<_>, _> = pool.map(|n| n + 1, 0..50).unordered().collect();
        assert_eq!(unordered.unwrap(), (1..51).collect());
        let endless = pool.map(|n| n + 1, 0_u64..).take(50);
        assert_eq!(endless.flatten().sum::<u64>(), (1..51).sum());
    })
    .unwrap();
}

#[test]
fn a_map_inside_a_map_inside_a_map_on_one_worker_ends() {
    let pool = pool(1, "one");
    let (two, three) = (Arc::clone(&pool), Arc::clone(&pool));
    let sum = move |n: u64| three.map(move |m| m + n, 0..10).flatten().sum::<u64>();
    let sum = Arc::new(sum);
    let middle = move |n: u64| {
        let sum = Arc::clone(&sum);
        two.map(move |m| sum(m * n), 0..10).flatten().sum::<u64>()
    };
    let total: u64 = pool.map(middle, 0..10).flatten().sum();
    assert_eq!(total, 4500 + 45 * 45 * 10);
}

#[test]
fn a_worker_waits_for_another_pool_by_parking_not_by_running() {
    let (mine, other) = (pool(1, "mine"), pool(1, "other"));
    let gate = occupy(&other);
    let (queued, wait_until_queued) = channel();
    let outer = mine.submit(move || {
        // Queued behind the gate, so it could run in place if that were allowed.
        let there = other.submit(|| (thread_name(), thread::current().id()));
        queued.send(()).unwrap();
        let there = there.result().unwrap();
        (thread_name(), thread::current().id(), there)
    });
    wait_until_queued.recv().unwrap();
    drop(gate);
    let (here, id, (there, other_id)) = outer.result().unwrap();
    assert_eq!(here, "mine-0");
    assert_eq!(there, "other-0");
    assert_ne!(id, other_id);
}

#[test]
fn as_completed_and_wait_over_two_pools_run_only_their_own_in_place() {
    let (mine, other) = (pool(1, "mine"), pool(1, "other"));
    let its_other = Arc::clone(&other);
    inside(&mine, move |mine| {
        let pools = [mine, &its_other, mine, &its_other];
        let handles = pools.map(|pool| pool.submit(thread_name));
        let names: [&str; 4] = ["mine-0", "other-0", "mine-0", "other-0"];
        let mut seen = 0;
        for (index, result) in as_completed(handles) {
            assert_eq!(result.unwrap(), names[index]);
            seen += 1;
        }
        assert_eq!(seen, 4);
        let mut handles = pools.map(|pool| pool.submit(thread_name));
        assert_eq!(wait(&mut handles, When::All, None).done.len(), 4);
        let got = handles.map(|handle| handle.result().unwrap());
        assert_eq!(got, names);
    })
    .unwrap();
}

#[test]
fn two_pools_that_wait_for_each_other_in_turn_end_with_a_worker_to_spare() {
    let (one, two) = (pool(2, "one"), pool(1, "two"));
    let (back, there) = (Arc::clone(&one), Arc::clone(&two));
    let names = inside(&one, move |_| {
        let on_two = there.submit(move || {
            let on_one = back.submit(thread_name);
            [thread_name(), on_one.result().unwrap()]
        });
        (thread_name(), on_two.result().unwrap())
    });
    let (first, [second, third]) = names.unwrap();
    assert_eq!(second, "two-0");
    assert!(first.starts_with("one-") && third.starts_with("one-"));
    assert_ne!(first, third, "the first was waiting");
}

#[test]
fn a_waiter_that_holds_a_lock_runs_only_what_it_waits_for() {
    let pool = pool(1, "one");
    let lock = Arc::new(Mutex::new(Vec::new()));
    let (go, wait_for_go) = channel::<()>();
    let (its_pool, its_lock) = (Arc::clone(&pool), Arc::clone(&lock));
    let holder = pool.submit(move || {
        wait_for_go.recv().unwrap();
        let mut log = its_lock.lock().unwrap();
        let subtask = its_pool.submit(|| "subtask");
        // The stranger is queued before the subtask, and wants the lock: run here, it would
        // never get it.
        let name = subtask.result().unwrap();
        log.push(name);
        log.push("holder");
    });
    let its_lock = Arc::clone(&lock);
    let stranger = pool.submit(move || its_lock.lock().unwrap().push("stranger"));
    go.send(()).unwrap();
    holder.result().unwrap();
    stranger.result().unwrap();
    assert_eq!(*lock.lock().unwrap(), ["subtask", "holder", "stranger"]);
}

#[test]
fn the_later_of_two_is_awaited_and_the_earlier_stays_queued() {
    let pool = pool(1, "one");
    inside(&pool, |pool| {
        let early = pool.submit(|| "early");
        let late = pool.submit(|| "late");
        assert_eq!(late.result().unwrap(), "late");
        assert!(!early.is_done());
        assert_eq!(early.result().unwrap(), "early");
    })
    .unwrap();
}

#[test]
fn waiting_for_a_task_that_runs_elsewhere_parks_and_runs_it_once() {
    let pool = pool(2, "two");
    let runs = Arc::new(AtomicUsize::new(0));
    let (started, wait_for_start) = channel();
    let (go, wait_for_go) = channel::<()>();
    let in_job = Arc::clone(&runs);
    let running = pool.submit(move || {
        in_job.fetch_add(1, Ordering::Relaxed);
        started.send(()).unwrap();
        wait_for_go.recv().unwrap();
        thread_name()
    });
    wait_for_start.recv().unwrap();
    let names = inside(&pool, move |_| {
        go.send(()).unwrap();
        [thread_name(), running.result().unwrap()]
    });
    let [waiter, runner] = names.unwrap();
    assert_ne!(waiter, runner);
    assert_eq!(runs.load(Ordering::Relaxed), 1);
}

#[test]
fn two_workers_want_the_same_queued_task_it_runs_once() {
    let pool = pool(2, "two");
    for _ in 0..300 {
        let runs = Arc::new(AtomicUsize::new(0));
        let gates = [occupy(&pool), occupy(&pool)];
        let in_job = Arc::clone(&runs);
        let wanted = pool.submit(move || in_job.fetch_add(1, Ordering::Relaxed));
        let one = wanted.shared();
        let two = one.clone();
        let waiters = [one, two].map(|wanted| pool.submit(move || wanted.result().unwrap()));
        drop(gates);
        for waiter in waiters {
            assert_eq!(waiter.result().unwrap(), 0);
        }
        assert_eq!(runs.load(Ordering::Relaxed), 1);
    }
}

#[test]
fn in_place_claim_races_the_other_worker_and_runs_once() {
    let pool = pool(2, "two");
    let runs = Arc::new(AtomicUsize::new(0));
    let in_job = Arc::clone(&runs);
    inside(&pool, move |pool| {
        for round in 0..3000_usize {
            let runs = Arc::clone(&in_job);
            let subtask = pool.submit(move || {
                runs.fetch_add(1, Ordering::Relaxed);
                round
            });
            for _ in 0..round % 5 {
                thread::yield_now();
            }
            assert_eq!(subtask.result().unwrap(), round);
        }
    })
    .unwrap();
    pool.shutdown().unwrap();
    assert_eq!(runs.load(Ordering::Relaxed), 3000);
}

#[test]
fn a_cancelled_subtask_is_an_error_at_once_in_the_only_worker() {
    let pool = pool(1, "one");
    inside(&pool, |pool| {
        let subtask = pool.submit(|| unreachable!());
        assert_eq!(subtask.cancel(), Cancel::Prevented);
        let error: Result<(), _> = subtask.result();
        assert!(matches!(error, Err(TaskError::Cancelled)));
    })
    .unwrap();
}

#[test]
fn a_panic_of_a_subtask_in_place_is_its_waiters_to_handle() {
    let pool = pool(1, "one");
    let message = inside(&pool, |pool| {
        let subtask = pool.submit(|| panic!("in place"));
        match subtask.result() {
            Err(TaskError::Panicked(panic)) => panic.message().to_owned(),
            Ok(()) | Err(_) => unreachable!(),
        }
    });
    assert_eq!(message.unwrap(), "in place");
}

#[test]
fn the_token_inside_is_the_inner_tasks_and_outside_the_outer_tasks() {
    let pool = pool(1, "one");
    let (started, wait_for_start) = channel();
    let (go, wait_for_go) = channel::<()>();
    let its_pool = Arc::clone(&pool);
    let outer = pool.submit(move || {
        started.send(()).unwrap();
        wait_for_go.recv().unwrap();
        let before = CancelToken::current().is_cancelled();
        let inner = its_pool.submit(|| CancelToken::current().is_cancelled());
        let inside = inner.result().unwrap();
        [before, inside, CancelToken::current().is_cancelled()]
    });
    wait_for_start.recv().unwrap();
    assert_eq!(outer.cancel(), Cancel::Requested);
    go.send(()).unwrap();
    assert_eq!(outer.result().unwrap(), [true, false, true]);
}

#[test]
fn tasks_run_in_place_do_not_pile_up_in_the_queue() {
    const TASKS: usize = if cfg!(debug_assertions) {
        100_000
    } else {
        500_000
    };
    let pool = pool(1, "one");
    let longest = inside(&pool, |pool| {
        let mut longest = 0;
        for index in 0..TASKS {
            assert_eq!(pool.submit(move || index).result().unwrap(), index);
            if index % 1000 == 0 {
                longest = longest.max(queued(pool));
            }
        }
        longest.max(queued(pool))
    });
    assert!(longest.unwrap() <= 256);
}

#[test]
fn a_wait_with_a_limit_runs_the_queued_task_in_place_all_the_same() {
    const LONG: Duration = Duration::from_secs(1000);
    let pool = pool(1, "one");
    inside(&pool, |pool| {
        let subtask = pool.submit(|| "in time");
        let result = subtask.result_timeout(LONG).unwrap();
        assert_eq!(result.unwrap(), "in time");
        let mut set = CompletionSet::new();
        set.insert((), pool.submit(|| 1));
        let (_, result) = set.wait_next_timeout(LONG).unwrap().unwrap();
        assert_eq!(result.unwrap(), 1);
    })
    .unwrap();
}

#[test]
fn a_subtask_nobody_waits_for_still_runs_after_its_parent() {
    let pool = pool(1, "one");
    let (sender, receiver) = channel();
    inside(&pool, move |pool| {
        drop(pool.submit(move || sender.send("on its own").unwrap()));
    })
    .unwrap();
    assert_eq!(receiver.recv().unwrap(), "on its own");
}

#[test]
fn a_thread_that_a_task_has_spawned_is_no_worker_and_parks() {
    let pool = pool(2, "two");
    let names = inside(&pool, |pool| {
        let subtask = pool.submit(thread_name);
        let waiter = thread::spawn(move || subtask.result().unwrap());
        waiter.join().unwrap()
    });
    assert!(names.unwrap().starts_with("two-"));
}

#[test]
fn a_subtask_handed_to_the_next_task_is_run_in_place_there() {
    let pool = pool(1, "one");
    let (sender, receiver): (Sender<JoinHandle<String>>, Receiver<_>) = channel();
    inside(&pool, move |pool| {
        let its_receiver = receiver;
        // The waiter is queued first, the awaited task after it.
        let waiter = pool.submit(move || its_receiver.recv().unwrap().result().unwrap());
        sender.send(pool.submit(thread_name)).unwrap();
        waiter
    })
    .map(|waiter| assert_eq!(waiter.result().unwrap(), "one-0"))
    .unwrap();
}

#[test]
fn many_waits_parked_on_one_shared_running_task_are_all_woken() {
    let pool = pool(4, "four");
    for _ in 0..100 {
        let (go, wait_for_go) = channel::<()>();
        let (started, wait_for_start) = channel();
        let slow = pool.submit(move || {
            started.send(()).unwrap();
            wait_for_go.recv().unwrap_err();
            7
        });
        wait_for_start.recv().unwrap();
        let slow = slow.shared();
        let waiters: Vec<_> = (0..3)
            .map(|_| {
                let slow = slow.clone();
                pool.submit(move || slow.result().unwrap())
            })
            .collect();
        drop(go);
        for waiter in waiters {
            assert_eq!(waiter.result().unwrap(), 7);
        }
    }
}

#[test]
fn no_task_is_begun_in_place_when_the_time_is_over() {
    use std::time::Duration;

    let pool = Arc::new(ThreadPoolExecutor::new(1).unwrap());
    let its_pool = Arc::clone(&pool);
    let outer = pool.submit(move || {
        let submit = || its_pool.submit(|| ());
        assert!(submit().result_timeout(Duration::ZERO).is_err());
        let mut handles = [submit(), submit()];
        let waited = wait(&mut handles, When::All, Some(Duration::ZERO));
        assert!(waited.timed_out);
        assert_eq!(waited.pending, [0, 1]);
        let mut completed = as_completed(handles).timeout(Duration::ZERO);
        assert!(completed.next().is_none());
        assert_eq!(completed.pending(), 2);
        let mapped: Vec<_> = its_pool.map(|n| n, 0..3).timeout(Duration::ZERO).collect();
        assert!(matches!(mapped[..], [Err(TaskError::TimedOut)]));
    });
    outer.result().unwrap();
}
