//! Two tasks that send a number back and forth over two channels.

use futures_lite::StreamExt;
use green_tasks::sync::unbounded;
use green_tasks::{FutureResult, spawn_local};
use may::go;

use crate::group::{Group, Run, Workload, timed};
use crate::limit::Switches;
use crate::pools::{self, LocalAsync, done, green, local, may, python};

const TRIPS: u64 = 50_000;

fn ours() -> Run {
    let (ask, asked) = unbounded();
    let (answer, answered) = unbounded();
    timed(|| {
        let answering = spawn_local(move || {
            for _ in 0..TRIPS {
                assert!(answer.send(done(asked.recv())).is_ok());
            }
        });
        let asking = spawn_local(move || {
            for n in 0..TRIPS {
                assert!(ask.send(n).is_ok());
                assert_eq!(done(answered.recv()), n);
            }
        });
        done(asking.result());
        done(answering.result());
    })
}

fn with_may() -> Run {
    let (ask, asked) = may::sync::mpsc::channel();
    let (answer, answered) = may::sync::mpsc::channel();
    timed(|| {
        let answering = go!(move || {
            for _ in 0..TRIPS {
                done(answer.send(done(asked.recv())));
            }
        });
        let asking = go!(move || {
            for n in 0..TRIPS {
                done(ask.send(n));
                assert_eq!(done(answered.recv()), n);
            }
        });
        assert!(asking.join().is_ok() && answering.join().is_ok());
    })
}

/// What differs between the channels of futures.
trait Channel: 'static {
    type Sender: 'static;
    type Receiver: 'static;
    fn new() -> (Self::Sender, Self::Receiver);
    fn send(sender: &Self::Sender, value: u64);
    async fn recv(receiver: &mut Self::Receiver) -> Option<u64>;
}

/// Tokio's.
struct Tokio;

impl Channel for Tokio {
    type Sender = tokio::sync::mpsc::UnboundedSender<u64>;
    type Receiver = tokio::sync::mpsc::UnboundedReceiver<u64>;

    fn new() -> (Self::Sender, Self::Receiver) {
        tokio::sync::mpsc::unbounded_channel()
    }

    fn send(sender: &Self::Sender, value: u64) {
        done(sender.send(value));
    }

    async fn recv(receiver: &mut Self::Receiver) -> Option<u64> {
        receiver.recv().await
    }
}

/// `async-channel`'s.
struct Async;

impl Channel for Async {
    type Sender = async_channel::Sender<u64>;
    type Receiver = async_channel::Receiver<u64>;

    fn new() -> (Self::Sender, Self::Receiver) {
        async_channel::unbounded()
    }

    fn send(sender: &Self::Sender, value: u64) {
        done(sender.try_send(value));
    }

    async fn recv(receiver: &mut Self::Receiver) -> Option<u64> {
        receiver.recv().await.ok()
    }
}

/// `futures`'.
struct Futures;

impl Channel for Futures {
    type Sender = futures::channel::mpsc::UnboundedSender<u64>;
    type Receiver = futures::channel::mpsc::UnboundedReceiver<u64>;

    fn new() -> (Self::Sender, Self::Receiver) {
        futures::channel::mpsc::unbounded()
    }

    fn send(sender: &Self::Sender, value: u64) {
        done(sender.unbounded_send(value));
    }

    async fn recv(receiver: &mut Self::Receiver) -> Option<u64> {
        receiver.next().await
    }
}

fn futures<C: Channel, P: LocalAsync>(pool: P) -> Workload {
    local(pool, async |pool: P| {
        let (ask, mut asked) = C::new();
        let (answer, mut answered) = C::new();
        let start = std::time::Instant::now();
        let answering = pool.spawn(async move {
            for n in 0..TRIPS {
                assert_eq!(C::recv(&mut asked).await, Some(n));
                C::send(&answer, n);
            }
        });
        let asking = pool.spawn(async move {
            for n in 0..TRIPS {
                C::send(&ask, n);
                assert_eq!(C::recv(&mut answered).await, Some(n));
            }
        });
        asking.await;
        answering.await;
        Run::since(start)
    })
}

pub(super) fn group() -> Group {
    Group::new("green_channel", 2 * TRIPS, 10)
        .about("A number that two tasks send back and forth over two channels; the time is per message.")
        .aim_everywhere(0.5, Some("tokio: mpsc on LocalSet"))
        .ours("green-tasks", || green(ours))
        .peer("tokio: mpsc on LocalSet", || {
            futures::<Tokio, _>(pools::tokio_local())
        })
        .peer("tokio: mpsc on async-executor", || {
            futures::<Tokio, _>(pools::async_local())
        })
        .peer("async-channel on async-executor", || {
            futures::<Async, _>(pools::async_local())
        })
        .peer("futures: mpsc on LocalPool", || {
            futures::<Futures, _>(pools::futures_local())
        })
        .peer("may: mpsc", || may(1, with_may))
        .foreign("gevent: SimpleQueue", || {
            python("green.py", "green_channel")
        })
        .reference("limit: switches alone", || {
            Box::new(|| {
                let mut switches = Switches::new(2, TRIPS);
                timed(|| switches.run())
            })
        })
}
