//! With real processes, whose events are handled one at a time.

use future_result::{FutureResult, JoinHandle, pair};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, Signal, kill_process};

use super::*;
use std::time::Duration;

use crate::call::Call;
use crate::child::Plan;
use crate::host::Host;
use crate::job::Terms;
use crate::protocol::Conduct;
use crate::retry::Retries;
use crate::state::Limits;
use crate::{builder, job};

fn dispatcher() -> Dispatcher<Host> {
    dispatcher_with(None)
}

/// `preload` is an encoded call.
fn dispatcher_with(preload: Option<&[u8]>) -> Dispatcher<Host> {
    let setup = |call| builder::start::setup(call, &[], false, Conduct::default()).unwrap();
    let plan = Plan {
        setup: setup(None),
        preload: preload.map(|call| setup(Some(call))),
        ..Plan::default()
    };
    let limits = Limits {
        workers: 1,
        min_workers: 1,
        keep_alive: Duration::MAX,
        memory: None,
        tasks: None,
        prefetch: None,
    };
    let (host, bell) = Host::new(plan).unwrap();
    host.preload().unwrap();
    Dispatcher::new(Arc::new(Core::new(host, bell, limits))).unwrap()
}

#[test]
fn a_dispatcher_that_never_ran_leaves_no_process() {
    let dispatcher = dispatcher();
    let core = Arc::clone(&dispatcher.core);
    let pids = core.with(|state, _| state.pids());
    drop(dispatcher);
    assert_eq!(pids.len(), 1);
    assert!(core.with(|state, _| state.pids()).is_empty());
    // Not even a zombie.
    assert!(!std::path::Path::new(&format!("/proc/{}", pids[0])).exists());
}

/// Adds 1 and 1.
fn submit_addition(core: &Core<Host>) -> JoinHandle<u32> {
    let call = Call::one(|n: u32| n + 1).unwrap();
    let message = job::message(call, |bytes| codec::encode(&1_u32, bytes)).unwrap();
    let (completer, handle) = pair();
    let terms = Terms {
        limit: None,
        retries: Retries::NONE,
    };
    core.submit(Job::new(message, terms, completer, codec::decode::<u32>));
    handle
}

#[test]
fn a_thread_that_never_comes_to_sleep_has_the_next_worker_started_too() {
    let nothing = Call::one(|()| ()).unwrap().to_bytes();
    let mut dispatcher = dispatcher_with(Some(&nothing));
    let core = Arc::clone(&dispatcher.core);
    let handle = submit_addition(&core);
    let mut events = Vec::new();
    let mut rounds_since = 0;
    while rounds_since < SPARE_EACH {
        // Before that the pool has no worker that is ready, and keeps no spare.
        rounds_since += u32::from(handle.is_done());
        core.notifier.notify();
        dispatcher.turn();
        dispatcher.wait(&mut events, None).unwrap();
        for Event(token) in events.drain(..) {
            dispatcher.handle(token);
        }
    }
    assert!(core.system.has_spare());
}

/// Whatever the order in which the system reports the two.
#[test]
fn a_death_that_is_seen_before_the_answer_does_not_cost_it() {
    let mut dispatcher = dispatcher();
    let core = Arc::clone(&dispatcher.core);
    let handle = submit_addition(&core);
    // READY, after which it gets the task; then the answer, which nobody reads.
    for is_ready in [true, false] {
        let results = &dispatcher.inboxes[&0].results.pipe;
        assert_eq!(
            poll(&mut [PollFd::new(results, PollFlags::IN)], None),
            Ok(1)
        );
        if is_ready {
            // Once, or it might already find the answer.
            dispatcher.receive(0, 1, false);
        }
    }
    assert!(!handle.is_done());
    let pid = core.with(|state, _| state.pids())[0];
    kill_process(Pid::from_raw(pid.cast_signed()).unwrap(), Signal::KILL).unwrap();
    core.with(|state, _| state.await_end(0));
    dispatcher.handle(token::new(0, Source::Process));
    assert_eq!(handle.result().unwrap(), 2);
}
