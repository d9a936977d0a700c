//! The CPUs on which workers run.
#![expect(clippy::unwrap_used, reason = "the helpers of tests unwrap")]

#[expect(dead_code, reason = "each test uses a part of it")]
mod support;

use std::collections::BTreeMap;

use process_pool::{BuildError, ProcessPoolExecutor};
use rustix::process::{Pid, Signal, kill_process};
use support::{Gate, guard, soon, visit};

/// The CPUs on which a process may run, as the system lists them.
fn allowed(pid: u32) -> String {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status
        .lines()
        .find(|it| it.starts_with("Cpus_allowed_list:"));
    line.unwrap().split_whitespace().nth(1).unwrap().to_owned()
}

/// The CPUs of this process.
fn ours() -> Vec<usize> {
    let ours = rustix::thread::sched_getaffinity(None).unwrap();
    (0..1024).filter(|&cpu| ours.is_set(cpu)).collect()
}

#[test]
fn each_worker_runs_on_the_cpus_of_its_index_which_the_next_one_in_its_place_gets() {
    let _guard = guard();
    let builder = ProcessPoolExecutor::builder().workers(2).prefetch(1);
    let pool = builder
        .affinity(|index, cpus| vec![cpus[index % cpus.len()]])
        .build()
        .unwrap();
    let expected: Vec<_> = (0..2)
        .map(|index| ours()[index % ours().len()].to_string())
        .collect();

    let gate = Gate::new();
    let handles = [0; 2].map(|_| pool.submit(visit, gate.path()));
    let mut visitors = BTreeMap::new();
    for _ in 0..2 {
        let visitor = gate.next();
        visitors.insert(allowed(visitor.pid), visitor);
    }
    let mut seen: Vec<_> = visitors.keys().cloned().collect();
    seen.sort();
    let mut places = expected.clone();
    places.sort();
    places.dedup();
    assert_eq!(seen, places);

    // Each in turn is replaced by the next worker, while the other one is there.
    for place in &places {
        let visitor = visitors.remove(place).unwrap();
        let pid = Pid::from_raw(visitor.pid.cast_signed()).unwrap();
        kill_process(pid, Signal::KILL).unwrap();
        drop(visitor);
        let next = pool.submit(visit, gate.path());
        let visitor = gate.next();
        if places.len() > 1 {
            assert_eq!(&allowed(visitor.pid), place);
        }
        visitors.insert(place.clone(), visitor);
        drop(next);
    }
    drop(visitors);
    for handle in handles {
        let _ = soon(handle);
    }
}

#[test]
fn what_a_task_starts_runs_there_too_and_a_program_places_its_workers_as_it_likes() {
    let _guard = guard();
    let last = ours().pop().unwrap();
    let builder = ProcessPoolExecutor::builder().workers(1);
    let pool = builder.affinity(move |_, _| vec![last]).build().unwrap();
    let started = |()| {
        let output = std::process::Command::new("cat")
            .arg("/proc/self/status")
            .output();
        String::from_utf8(output.unwrap().stdout).unwrap()
    };
    let status = soon(pool.submit(started, ())).unwrap();
    let line = status
        .lines()
        .find(|it| it.starts_with("Cpus_allowed_list:"));
    assert_eq!(line.unwrap(), format!("Cpus_allowed_list:\t{last}"));
    // The program itself stays where it was.
    assert!(ours().contains(&last));
    let all = ProcessPoolExecutor::builder()
        .workers(1)
        .affinity(|_, cpus| cpus.to_vec());
    let own = |()| std::process::id();
    let pool = all.build().unwrap();
    let pid = soon(pool.submit(own, ())).unwrap();
    assert_eq!(allowed(pid), allowed(std::process::id()));
}

#[test]
fn a_cpu_that_is_not_there_and_none_at_all_are_told_by_build() {
    let _guard = guard();
    let build = |cpus: &'static [usize]| {
        let builder = ProcessPoolExecutor::builder().workers(2);
        match builder
            .affinity(move |index, ours| {
                if index == 1 {
                    cpus.to_vec()
                } else {
                    ours.to_vec()
                }
            })
            .build()
        {
            Err(BuildError::Affinity(text)) => text,
            other => panic!("{other:?}"),
        }
    };
    for (cpus, number) in [
        (&[1023][..], "CPU 1023"),
        (&[0, 5000], "CPU 5000"),
        (&[], "no CPU"),
    ] {
        let text = build(cpus);
        assert!(text.contains("worker 1") && text.contains(number), "{text}");
    }
}
