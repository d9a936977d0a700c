//! Where sockets could hang, spin, or lose data: each of these once did, or would without the line that it guards.

use std::cell::Cell;
use std::future::poll_fn;
use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

use green_tasks::net::{Polled, TcpListener, TcpStream, UnixDatagram, UnixListener, UnixStream};
use green_tasks::{FutureResult, no_suspend, sleep, spawn_future, spawn_local, timeout, yield_now};

use rustix::fs::{OFlags, fcntl_getfl};

use crate::support::run;

const LONG: Duration = Duration::from_secs(20);

fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let here = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (here, listener.accept().unwrap().0)
}

/// Makes the scheduler look at the sockets, and gives turns to the tasks that this wakes.
fn look() {
    for _ in 0..200 {
        yield_now();
    }
}

/// A private directory, removed on drop.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("green-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_socket_that_need_not_wait_is_used_within_no_suspend_as_often_as_one_likes() {
    run(|| {
        let (mut here, mut there) = UnixStream::pair().unwrap();
        there.write_all(&[1; 1000]).unwrap();
        let other = spawn_local(|| ());
        no_suspend(|| {
            for _ in 0..1000 {
                here.read_exact(&mut [0]).unwrap();
            }
        });
        assert!(!other.is_done());
        // The others had their turn long ago.
        there.write_all(&[1]).unwrap();
        assert!(other.is_done());
    });
}

#[test]
fn a_datagram_to_whom_others_have_filled_up_is_sent_when_there_is_room() {
    let folder = Folder::new("datagrams");
    let path = folder.0.join("receiver");
    run(|| {
        let receiver = UnixDatagram::bind(&path).unwrap();
        let other = std::os::unix::net::UnixDatagram::unbound().unwrap();
        other.set_nonblocking(true).unwrap();
        let mut filled = 0;
        while other.send_to(b"other", &path).is_ok() {
            filled += 1;
        }
        let sending = spawn_local({
            let path = path.clone();
            move || {
                let sender =
                    UnixDatagram::from_std(std::os::unix::net::UnixDatagram::unbound().unwrap());
                sender.unwrap().send_to(b"ours", path).unwrap()
            }
        });
        look();
        assert!(!sending.is_done());
        let mut buffer = [0; 8];
        for _ in 0..filled {
            assert_eq!(receiver.recv(&mut buffer).unwrap(), 5);
        }
        let received = timeout(LONG, || receiver.recv(&mut buffer).unwrap());
        assert_eq!(received, Ok(4));
        assert_eq!(sending.result().unwrap(), 4);
    });
}

/// A failed attempt is itself an event, so a task could wake itself endlessly.
#[test]
fn async_code_sends_a_datagram_when_there_is_room_and_tries_rarely_until_then() {
    let folder = Folder::new("polled-datagrams");
    let path = folder.0.join("receiver");
    run(|| {
        let receiver = UnixDatagram::bind(&path).unwrap();
        // The system wakes connected ones.
        for is_connected in [false, true] {
            let sender = std::os::unix::net::UnixDatagram::unbound().unwrap();
            if is_connected {
                sender.connect(&path).unwrap();
            }
            let sender = UnixDatagram::from_std(sender).unwrap();
            let attempts = Rc::new(Cell::new(0));
            let sending = spawn_future({
                let (path, attempts) = (path.clone(), Rc::clone(&attempts));
                async move {
                    for _ in 0..1000 {
                        let send = |socket: &std::os::unix::net::UnixDatagram| {
                            attempts.set(attempts.get() + 1);
                            if is_connected {
                                socket.send(b"datagram")
                            } else {
                                socket.send_to(b"datagram", &path)
                            }
                        };
                        poll_fn(|context| sender.poll_write_with(context, send))
                            .await
                            .unwrap();
                    }
                }
            });
            look();
            let (attempts_before, start) = (attempts.get(), Instant::now());
            sleep(Duration::from_millis(20));
            let most = start.elapsed().as_millis() + 1;
            assert!(attempts.get() - attempts_before <= most);
            for _ in 0..1000 {
                let received = timeout(LONG, || receiver.recv(&mut [0; 8]).unwrap());
                assert_eq!(received, Ok(8));
            }
            sending.result().unwrap();
        }
    });
}

#[test]
fn whoever_connects_to_a_path_waits_while_too_many_others_do() {
    let folder = Folder::new("backlog");
    let path = folder.0.join("listener");
    run(|| {
        let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        rustix::net::listen(&listener, 1).unwrap();
        let listener = UnixListener::from_std(listener).unwrap();
        let connecting: Vec<_> = (0..10)
            .map(|_| {
                let path = path.clone();
                spawn_local(move || UnixStream::connect(path).map(drop))
            })
            .collect();
        yield_now();
        for _ in 0..10 {
            timeout(LONG, || listener.accept().unwrap()).unwrap();
        }
        for one in connecting {
            one.result().unwrap().unwrap();
        }
        drop(listener);
        let error = UnixStream::connect(&path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    });
}

#[test]
fn shutting_down_the_own_end_ends_a_read_that_waits_there() {
    run(|| {
        let (tcp, _other) = pair();
        let (unix, _another) = UnixStream::pair().unwrap();
        let (tcp, unix) = (Rc::new(tcp), Rc::new(unix));
        let reading = spawn_local({
            let tcp = Rc::clone(&tcp);
            move || (&*tcp).read(&mut [0]).unwrap()
        });
        let reading_too = spawn_local({
            let unix = Rc::clone(&unix);
            move || (&*unix).read(&mut [0]).unwrap()
        });
        yield_now();
        tcp.shutdown(Shutdown::Read).unwrap();
        unix.shutdown(Shutdown::Read).unwrap();
        for read in [reading, reading_too] {
            assert_eq!(timeout(LONG, || read.result().unwrap()), Ok(0));
        }
    });
}

/// A read is short, and either no more will come, or more has come already.
#[test]
fn after_a_short_read_the_end_and_what_came_meanwhile_are_found() {
    run(|| {
        // Unless somebody waits for a socket, nobody looks at them.
        let (mut idle, _silent) = UnixStream::pair().unwrap();
        drop(spawn_local(move || idle.read(&mut [0]).unwrap()));
        for waits_first in [false, true] {
            let (mut here, mut there) = pair();
            let reads = Rc::new(Cell::new(0));
            let reading = spawn_local({
                let reads = Rc::clone(&reads);
                move || {
                    let (mut all, mut buffer) = (Vec::new(), [0; 100]);
                    loop {
                        let len = here.read(&mut buffer).unwrap();
                        if len == 0 {
                            return all;
                        }
                        all.extend_from_slice(&buffer[..len]);
                        reads.set(reads.get() + 1);
                        // The socket is looked at before the next read.
                        look();
                    }
                }
            });
            if waits_first {
                yield_now();
            }
            there.write_all(b"one").unwrap();
            while reads.get() == 0 {
                yield_now();
            }
            there.write_all(b"two").unwrap();
            while reads.get() == 1 {
                yield_now();
            }
            // The last bytes and the end arrive together.
            there.write_all(b"three").unwrap();
            drop(there);
            let all = timeout(LONG, || reading.result().unwrap()).unwrap();
            assert_eq!(all, b"onetwothree");
        }
    });
}

/// It is read, though nobody has looked at the sockets since it arrived.
#[test]
fn after_a_short_read_what_came_is_read_within_no_suspend() {
    run(|| {
        let (mut here, mut there) = pair();
        let reading = spawn_local(move || {
            let mut buffer = [0; 100];
            assert_eq!(here.read(&mut buffer).unwrap(), 3);
            here
        });
        yield_now();
        there.write_all(b"one").unwrap();
        let mut here = reading.result().unwrap();
        there.write_all(b"more").unwrap();
        let len = no_suspend(|| here.read(&mut [0; 100]).unwrap());
        assert_eq!(len, 4);
    });
}

/// A read stops at the mark of an urgent byte, and more may follow it.
#[test]
fn what_stands_behind_an_urgent_byte_is_read() {
    run(|| {
        for waits_first in [false, true] {
            let (mut here, there) = pair();
            let reading = spawn_local(move || {
                let mut all = [0; 6];
                let (mut len, mut buffer) = (0, [0; 100]);
                while len < 6 {
                    let more = here.read(&mut buffer).unwrap();
                    all[len..len + more].copy_from_slice(&buffer[..more]);
                    len += more;
                }
                all
            });
            if waits_first {
                yield_now();
            }
            (&there).write_all(b"abc").unwrap();
            rustix::net::send(&there, b"!", rustix::net::SendFlags::OOB).unwrap();
            (&there).write_all(b"def").unwrap();
            let all = timeout(LONG, || reading.result().unwrap()).unwrap();
            assert_eq!(&all, b"abcdef");
        }
    });
}

#[test]
fn a_scheduler_that_waits_for_sockets_is_woken_by_other_threads_each_time() {
    run(|| {
        let (mut idle, _silent) = UnixStream::pair().unwrap();
        drop(spawn_local(move || idle.read(&mut [0]).unwrap()));
        for round in 0..50 {
            let (completer, handle) = future_result::pair();
            let other = std::thread::spawn(move || completer.complete(round));
            let result = timeout(LONG, || handle.result().unwrap());
            assert_eq!(result, Ok(round));
            other.join().unwrap().unwrap();
        }
    });
}

/// They have the methods of std's, and only the task waits.
#[test]
fn unix_sockets_have_names_clones_and_time_limits() {
    let folder = std::env::temp_dir().join(format!("green-tasks-unix-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let (stream, datagrams) = (folder.join("stream"), folder.join("datagrams"));
    let limit = Some(Duration::from_millis(1));
    run(|| {
        let listener = UnixListener::bind(&stream).unwrap();
        let address = listener.local_addr().unwrap();
        assert_eq!(address.as_pathname(), Some(stream.as_path()));
        let accepting = spawn_local(move || {
            let accepted: Vec<_> = listener.incoming().take(2).map(Result::unwrap).collect();
            // It blocks again.
            let listener = listener.into_std().unwrap();
            assert!(!fcntl_getfl(&listener).unwrap().contains(OFlags::NONBLOCK));
            accepted
        });
        let here = UnixStream::connect(&stream).unwrap();
        let _second = UnixStream::connect(&stream).unwrap();
        let there = accepting.result().unwrap();
        assert_eq!(
            here.peer_addr().unwrap().as_pathname(),
            Some(stream.as_path())
        );
        assert!(here.local_addr().unwrap().is_unnamed());
        here.set_read_timeout(limit).unwrap();
        let reading = here.try_clone().unwrap();
        let error = (&reading).read(&mut [0]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut, "a clone has the limit");
        (&there[0]).write_all(b"x").unwrap();
        assert_eq!((&reading).read(&mut [0]).unwrap(), 1);

        let bound = UnixDatagram::bind(&datagrams).unwrap();
        let address = bound.local_addr().unwrap();
        assert_eq!(address.as_pathname(), Some(datagrams.as_path()));
        bound.set_read_timeout(limit).unwrap();
        let receiving = bound.try_clone().unwrap();
        let error = receiving.recv(&mut [0]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut, "a clone has the limit");
        let sending = UnixDatagram::unbound().unwrap();
        sending.connect(&datagrams).unwrap();
        sending.send(b"y").unwrap();
        let (len, from) = receiving.recv_from(&mut [0; 4]).unwrap();
        assert!(len == 1 && from.is_unnamed());
        let blocking = bound.into_std().unwrap();
        assert!(!fcntl_getfl(&blocking).unwrap().contains(OFlags::NONBLOCK));
    });
    std::fs::remove_dir_all(&folder).unwrap();
}
