//! With a real zygote, which is stopped where a worker is to stay expected.

use rustix::process::{Pid, Signal, kill_process};

use super::*;
use crate::builder;
use crate::call::Call;
use crate::child::{Child, Source as Origin};
use crate::protocol::Conduct;
use crate::state::Process;
use crate::store::{self, Store};

fn nursery() -> (Arc<Nursery>, Store) {
    let setup = |call| builder::start::setup(call, &[], false, Conduct::default()).unwrap();
    let plan = Plan {
        setup: setup(None),
        ..Plan::default()
    };
    let nothing = Call::one(|()| ()).unwrap().to_bytes();
    let poller = Arc::new(Poller::new().unwrap());
    let nursery = Nursery::new(
        Arc::new(plan),
        poller,
        Arc::default(),
        &setup(Some(&nothing)),
    );
    let nursery = Arc::new(nursery.unwrap());
    nursery.preload().unwrap();
    (nursery, Store::create(store::ARGUMENTS).unwrap())
}

fn ask_for(nursery: &Arc<Nursery>, store: &Store, number: u64) -> Child {
    let (child, _) = child::spawn(number, &Origin::Zygote(nursery), store).unwrap();
    child
}

/// A worker that could not be watched has its number reused: its end would be taken for that of the next one.
#[test]
fn the_end_of_an_expected_worker_that_was_waited_for_is_not_told_again() {
    let (nursery, store) = nursery();
    let zygote = nursery.inner.lock().zygote.clone().unwrap();
    let pid = Pid::from_raw(zygote.process.pid().cast_signed()).unwrap();
    kill_process(pid, Signal::STOP).unwrap();
    let [first, second] = [7, 8].map(|number| ask_for(&nursery, &store, number));
    first.abandon();
    // Its zygote has ended with it, and so has all else that was asked for.
    let mut events = Vec::new();
    assert!(nursery.tell_lost(&mut events));
    let tokens: Vec<u64> = events.iter().map(|&Event(token)| token).collect();
    assert_eq!(tokens, [token::new(8, Source::Process)]);
    assert!(second.has_ended() && second.is_blameless());
    second.abandon();
    assert!(!nursery.tell_lost(&mut events));
}
