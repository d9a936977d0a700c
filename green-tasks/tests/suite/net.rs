//! Sockets suspend only the task, and lose nothing.

use std::cell::Cell;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use green_tasks::net::{TcpListener, TcpStream, UdpSocket, UnixDatagram, UnixListener, UnixStream};
use green_tasks::{
    Cancel, Elapsed, FutureResult, GreenPool, TaskError, checkpoint, spawn_local, timeout,
    yield_now,
};

use crate::support::{OnDrop, run};

fn echo_server(listener: TcpListener) {
    loop {
        let (mut stream, _) = listener.accept().unwrap();
        drop(spawn_local(move || {
            let mut buffer = [0; 1024];
            loop {
                match stream.read(&mut buffer) {
                    Ok(0) | Err(_) => return,
                    Ok(len) => stream.write_all(&buffer[..len]).unwrap(),
                }
            }
        }));
    }
}

fn serve() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(spawn_local(move || echo_server(listener)));
    address
}

#[test]
fn many_connections_are_served_on_one_thread() {
    run(|| {
        let address = serve();
        let pool = GreenPool::new(200);
        let talk = move |n: u32| {
            let mut stream = TcpStream::connect(address).unwrap();
            for round in 0..10 {
                let sent = format!("{n} says {round}");
                stream.write_all(sent.as_bytes()).unwrap();
                let mut back = vec![0; sent.len()];
                stream.read_exact(&mut back).unwrap();
                assert_eq!(back, sent.as_bytes());
            }
            n
        };
        let total: u32 = pool.imap_unordered(talk, 0..400).map(Result::unwrap).sum();
        assert_eq!(total, 400 * 399 / 2);
    });
}

#[test]
fn more_than_fits_into_the_buffers_goes_through() {
    run(|| {
        let (mut here, mut there) = UnixStream::pair().unwrap();
        let bytes: Vec<u8> = (0..4_000_000_u32).map(|n| (n % 251) as u8).collect();
        let expected = bytes.clone();
        let writing = spawn_local(move || {
            there.write_all(&bytes).unwrap();
            there.shutdown(Shutdown::Write).unwrap();
            let mut rest = Vec::new();
            there.read_to_end(&mut rest).unwrap();
            rest.len()
        });
        let mut received = Vec::new();
        here.read_to_end(&mut received).unwrap();
        assert!(received == expected);
        here.write_all(b"and back").unwrap();
        drop(here);
        assert_eq!(writing.result().unwrap(), 8);
    });
}

#[test]
fn one_task_reads_while_another_writes_the_same_connection() {
    run(|| {
        let address = serve();
        let stream = Rc::new(TcpStream::connect(address).unwrap());
        let reading = spawn_local({
            let stream = Rc::clone(&stream);
            move || {
                let mut back = vec![0; 100_000];
                (&*stream).read_exact(&mut back).unwrap();
                back
            }
        });
        yield_now();
        (&*stream).write_all(&[7; 100_000]).unwrap();
        assert!(reading.result().unwrap() == [7; 100_000]);
    });
}

#[test]
fn a_cancelled_read_takes_no_byte() {
    run(|| {
        let (here, mut there) = UnixStream::pair().unwrap();
        let here = Rc::new(here);
        let reading = spawn_local({
            let here = Rc::clone(&here);
            move || (&*here).read(&mut [0; 8]).unwrap()
        });
        yield_now();
        there.write_all(b"bytes").unwrap();
        assert_eq!(reading.cancel(), Cancel::Requested);
        assert!(matches!(reading.result(), Err(TaskError::Cancelled)));
        let mut buffer = [0; 8];
        assert_eq!((&*here).read(&mut buffer).unwrap(), 5);
    });
}

#[test]
fn time_limits_of_sockets_and_of_tasks_end_a_read() {
    run(|| {
        let (mut here, mut there) = UnixStream::pair().unwrap();
        let limit = Duration::from_millis(5);
        let ended = timeout(limit, || here.read(&mut [0; 8]).unwrap());
        assert_eq!(ended, Err(Elapsed));
        here.set_read_timeout(Some(limit)).unwrap();
        let error = here.read(&mut [0; 8]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        there.write_all(b"late").unwrap();
        assert_eq!(here.read(&mut [0; 8]).unwrap(), 4);
        let error = here.set_read_timeout(Some(Duration::ZERO)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    });
}

#[test]
fn whoever_always_has_something_to_read_lets_the_others_run() {
    run(|| {
        let (mut here, mut there) = UnixStream::pair().unwrap();
        there.write_all(&[1; 10_000]).unwrap();
        let other = spawn_local(|| ());
        let mut bytes = 0;
        while !other.is_done() {
            here.read_exact(&mut [0]).unwrap();
            bytes += 1;
        }
        assert!(bytes < 200, "{bytes}");
    });
}

#[test]
fn a_connection_that_is_refused_is_an_error() {
    run(|| {
        let address = {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            listener.local_addr().unwrap()
        };
        let error = TcpStream::connect(address).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    });
}

#[test]
fn sockets_work_outside_of_a_runtime_and_in_one_after_the_other() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let other = std::thread::spawn(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        let mut byte = [0];
        for _ in 0..3 {
            stream.read_exact(&mut byte).unwrap();
            stream.write_all(&[byte[0] + 1]).unwrap();
        }
        stream.into_std().unwrap()
    });
    let (mut stream, _) = listener.accept().unwrap();
    let mut turn = |byte: u8| {
        let mut back = [byte];
        stream.write_all(&back).unwrap();
        stream.read_exact(&mut back).unwrap();
        back[0]
    };
    assert_eq!(turn(1), 2);
    assert_eq!(run(|| turn(2)), 3);
    assert_eq!(run(|| turn(3)), 4);
    assert!(other.join().unwrap().peer_addr().is_ok());
}

#[test]
fn a_task_that_waits_for_a_socket_is_no_deadlock_and_ends_with_the_run() {
    let ended = Rc::new(Cell::new(false));
    run(|| {
        let (mut here, there) = UnixStream::pair().unwrap();
        let ended = Rc::clone(&ended);
        drop(spawn_local(move || {
            let _there = there;
            let _on_drop = OnDrop(|| ended.set(true));
            here.read_exact(&mut [0]).unwrap();
        }));
        for _ in 0..200 {
            yield_now();
            checkpoint();
        }
    });
    assert!(ended.get());
}

#[test]
fn datagrams_and_paths() {
    let folder = std::env::temp_dir().join(format!("green-tasks-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("listener");
    run(|| {
        let listener = UnixListener::bind(&path).unwrap();
        let accepting = spawn_local(move || listener.accept().unwrap().0);
        let mut here = UnixStream::connect(&path).unwrap();
        let mut there = accepting.result().unwrap();
        here.write_all(b"by path").unwrap();
        let mut back = [0; 7];
        there.read_exact(&mut back).unwrap();
        assert_eq!(&back, b"by path");

        let (one, other) = UnixDatagram::pair().unwrap();
        let receiving = spawn_local(move || {
            let mut buffer = [0; 16];
            let len = other.recv(&mut buffer).unwrap();
            buffer[..len].to_vec()
        });
        yield_now();
        one.send(b"datagram").unwrap();
        assert_eq!(receiving.result().unwrap(), b"datagram");

        let bound = UdpSocket::bind("127.0.0.1:0").unwrap();
        bound
            .set_read_timeout(Some(Duration::from_millis(1)))
            .unwrap();
        let error = bound.recv_from(&mut [0; 1]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
    });
    std::fs::remove_dir_all(&folder).unwrap();
}
