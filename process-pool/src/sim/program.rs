//! What the owners of a pool do, from a seed.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use future_result::sync::{pass, thread};
use future_result::{Cancel, FutureResult, JoinHandle, pair, pair_with_hook};

use super::Random;
use super::facts::{Fact, How, Order, padding};
use super::world::World;
use crate::call::Call;
use crate::core::Core;
use crate::dispatcher::Dispatcher;
use crate::job::{Job, Terms, message};
use crate::protocol::Conduct;
use crate::retry::Retries;
use crate::state::Limits;
use crate::system::System;
use crate::{Bytes, builder, codec};

thread_local! {
    /// The digest of the last program on this thread.
    pub(super) static DIGEST: Cell<u64> = const { Cell::new(0) };
}

/// How a pool is ended.
#[derive(Clone, Copy, Debug)]
enum Ending {
    Drain,
    Cancel,
    Timed,
    Kill,
}

/// One of those who use the pool.
#[derive(Clone)]
struct Owner {
    core: Arc<Core<World>>,
    world: World,
}

struct Task {
    number: usize,
    handle: JoinHandle<usize>,
    /// Only its handle can end it.
    is_endless: bool,
}

/// Reads a task's value: an error if its bytes are not all the task's.
fn read(bytes: &[u8]) -> Result<usize, String> {
    let (task, bytes): (usize, Bytes) = codec::decode(bytes)?;
    let is_whole = *bytes == *padding(task, bytes.len());
    is_whole
        .then_some(task)
        .ok_or_else(|| "these are other bytes".to_owned())
}

impl Owner {
    /// Calls the pool; afterwards its thread must know all that it has to.
    fn call<R>(&self, call: impl FnOnce(&Core<World>) -> R) -> R {
        self.world.lock().busy += 1;
        let result = call(&self.core);
        self.core.with(|state, _| state.check());
        self.world.lock().busy -= 1;
        result
    }

    fn submit(&self, random: &mut Random) -> Task {
        let how = match random.below(20) {
            0 => How::Panics,
            1 => How::Fails,
            2 => How::Crashes,
            3 => How::CrashesAfterwards,
            4 | 5 => How::Endless,
            6..9 => How::Value(random.below(20_000)),
            _ => How::Value(random.below(50)),
        };
        let limit = random.one_in(6);
        let limit = limit.then(|| Duration::from_micros(random.below(30_000)));
        let retries = Retries {
            left: if random.one_in(4) {
                1 + random.below(3) as u32
            } else {
                0
            },
            pause: Duration::from_micros(random.below(5_000)),
        };
        let number = {
            let mut inner = self.world.lock();
            inner.facts.push(Fact::new(how, limit, retries));
            inner.facts.len() - 1
        };
        let order = Order {
            task: number,
            how,
            padding: padding(number, random.below(200) as usize),
            result: random.below(200) as usize,
        };
        let call = Call::one(|order: Order| order.task).expect("a function of this program");
        let mut parts = Vec::new();
        let bytes = message(call, |bytes| {
            parts = codec::encode_with(&order, bytes, self.core.system.arguments())?;
            Ok(())
        });
        let bytes = bytes.expect("it is short");
        let notifier = Arc::clone(&self.core.notifier);
        let (completer, mut handle) =
            pair_with_hook(self.core.id, move || notifier.notify_cancel());
        if random.one_in(10) {
            let owner = self.clone();
            let mut random = Random::new(random.next());
            // Called on the pool's own thread, or on another that ends a task.
            handle.on_done(move |_| {
                let next = owner.submit(&mut random);
                if next.is_endless {
                    owner.cancel(&next);
                }
            });
        }
        let job = Job::new(bytes, Terms { limit, retries }, completer, read).with_parts(parts);
        self.call(|core| core.submit(job));
        self.world.lock().facts[number].is_submitted = true;
        Task {
            number,
            handle,
            is_endless: how == How::Endless && limit.is_none(),
        }
    }

    fn cancel(&self, task: &Task) {
        let is_first = {
            let mut inner = self.world.lock();
            inner.busy += 1;
            let cancel = &mut inner.facts[task.number].cancel;
            cancel
                .replace(cancel.unwrap_or(Cancel::Requested))
                .is_none()
        };
        let cancel = task.handle.cancel();
        let mut inner = self.world.lock();
        inner.busy -= 1;
        // A task that others cancelled before gives the same answer.
        // Between two attempts, it may have been cancelled with the queued ones.
        let was_tried = inner.facts[task.number].attempts > 0;
        let deeds = &inner.deeds;
        let by_others = deeds.kills || deeds.breaks || (deeds.cancels_queued && was_tried);
        if cancel == Cancel::Prevented && is_first && !by_others {
            inner.facts[task.number].cancel = Some(cancel);
        }
    }

    /// Called before a wait for a task, which may be behind these, or behind those of another waiting owner.
    fn cancel_endless(&self, tasks: &[Task]) {
        for task in tasks.iter().filter(|task| task.is_endless) {
            self.cancel(task);
        }
    }

    fn finish(&self, task: Task) {
        let result = task.handle.result();
        let inner = self.world.lock();
        inner.facts[task.number].check(task.number, &result, &inner.deeds);
    }

    fn act(&self, random: &mut Random) {
        let mut tasks = Vec::new();
        for _ in 0..random.below(10) {
            match random.below(10) {
                0..6 => tasks.push(self.submit(random)),
                6 => pass(Duration::from_micros(random.below(10_000))),
                choice if !tasks.is_empty() => {
                    let at = random.below(tasks.len() as u64) as usize;
                    match choice {
                        7 => self.cancel(&tasks[at]),
                        8 => {
                            self.cancel_endless(&tasks);
                            self.finish(tasks.swap_remove(at));
                        }
                        // Nobody will see its outcome.
                        _ if !tasks[at].is_endless => drop(tasks.swap_remove(at)),
                        _ => {}
                    }
                }
                _ => {
                    let limit = Duration::from_millis(random.below(10));
                    for task in &mut tasks {
                        let _ = task.handle.wait_timeout(limit);
                    }
                }
            }
        }
        self.cancel_endless(&tasks);
        for task in tasks {
            self.finish(task);
        }
    }

    fn end(&self, ending: Ending) {
        match ending {
            Ending::Drain | Ending::Timed => {
                self.world.lock().deeds.closes = true;
                self.call(Core::close);
            }
            Ending::Cancel => {
                let there = {
                    let mut inner = self.world.lock();
                    inner.deeds.cancels_queued = true;
                    let there = inner.facts.iter().map(|fact| fact.is_submitted);
                    there.collect::<Vec<_>>()
                };
                self.call(Core::cancel_queued);
                let mut inner = self.world.lock();
                for (at, fact) in inner.facts.iter_mut().enumerate() {
                    fact.is_final = true;
                    fact.is_over = there.get(at) == Some(&true);
                }
                drop(inner);
                self.end(Ending::Drain);
            }
            Ending::Kill => {
                self.world.lock().deeds.kills = true;
                self.call(Core::kill);
            }
        }
    }
}

/// One program, from the pool's beginning to its end.
pub(super) fn run(seed: u64) {
    let mut random = Random::new(seed);
    let workers = 1 + random.below(3) as usize;
    let limits = Limits {
        workers,
        min_workers: random.pick(&[0, 1, workers, workers]).min(workers),
        keep_alive: Duration::from_micros(random.below(20_000)),
        memory: None,
        tasks: random.one_in(4).then(|| 1 + random.below(4)),
        prefetch: random.one_in(3).then(|| 1 + random.below(4) as usize),
    };
    let setup = builder::start::setup(None, &[], false, Conduct::default()).expect("it is short");
    let world = World::new(seed, setup);
    let core = Arc::new(Core::new(world.clone(), world.clone(), limits));
    world.watch(&core);
    let Ok(dispatcher) = Dispatcher::new(Arc::clone(&core)) else {
        return assert!(world.lock().workers.is_empty());
    };
    let (completer, terminated) = pair();
    let mut terminated = terminated.shared();
    let thread = thread::Builder::new().spawn(move || dispatcher.run(completer));
    let thread = thread.expect("a simulated thread");
    let owner = Owner { core, world };

    let others: Vec<_> = (0..random.below(3))
        .map(|_| {
            let (owner, mut random) = (owner.clone(), Random::new(random.next()));
            let thread = thread::Builder::new().spawn(move || owner.act(&mut random));
            thread.expect("a simulated thread")
        })
        .collect();
    owner.act(&mut random);
    let ending = random.pick(&[Ending::Drain, Ending::Cancel, Ending::Timed, Ending::Kill]);
    owner.end(ending);
    if matches!(ending, Ending::Timed)
        && !terminated.wait_timeout(Duration::from_millis(random.below(50)))
    {
        owner.end(random.pick(&[Ending::Drain, Ending::Cancel, Ending::Kill]));
    }
    for other in others {
        other
            .join()
            .expect("a failure is reported where it is found");
    }
    terminated.wait();
    thread.join().expect("it catches every panic");

    owner.core.with(|state, _| state.check_end());
    let inner = owner.world.lock();
    assert!(inner.workers.values().all(|worker| worker.is_reaped));
    DIGEST.set(inner.digest);
}
