//! Models of waiting for room, without the workers.

use loom::thread;

use super::*;

#[test]
fn close_races_two_who_wait_for_room_and_releases_both() {
    loom::model(|| {
        let bound = Arc::new(Bound::new(PoolId::new(), 1, WhenFull::Block));
        let permit = bound.reserve().unwrap().fill(|permit| permit);
        let waiting = [(); 2].map(|()| {
            let bound = Arc::clone(&bound);
            thread::spawn(move || bound.reserve().err())
        });
        bound.close(Rejection::ShutDown);
        for thread in waiting {
            assert_eq!(thread.join().unwrap(), Some(Rejection::ShutDown));
        }
        drop(permit);
    });
}

#[test]
fn permits_that_come_back_race_two_who_wait_and_each_gets_one() {
    loom::model(|| {
        let bound = Arc::new(Bound::new(PoolId::new(), 1, WhenFull::Block));
        let permit = bound.reserve().unwrap().fill(|permit| permit);
        let waiting = [(); 2].map(|()| {
            let bound = Arc::clone(&bound);
            thread::spawn(move || drop(bound.reserve().unwrap().fill(|permit| permit)))
        });
        drop(permit);
        for thread in waiting {
            thread.join().unwrap();
        }
    });
}
