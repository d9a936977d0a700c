//! A server that sends back what it receives, and its clients, in the same process: 64 bytes back and forth on
//! each of a hundred connections. Connecting is not measured.

mod events;

use std::io::{self, Read, Write};
use std::net::{self, Ipv4Addr, SocketAddr};
use std::thread;
use std::time::Instant;

use futures_lite::{AsyncReadExt, AsyncWriteExt};
use green_tasks::{FutureResult, spawn, spawn_local};
use may::go;

use crate::group::{Group, Run, Workload, timed};
use crate::pools::{self, LocalAsync, WORKERS, done, green, green_on, local, may, python};

const CONNECTIONS: usize = 100;
/// Per connection.
const MESSAGES: usize = 100;
const SIZE: usize = 64;
const ANYWHERE: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 0);

/// Sends back whatever arrives, until the end.
fn serve(mut stream: impl Read + Write) -> io::Result<()> {
    let mut buffer = [0; 1024];
    loop {
        match stream.read(&mut buffer)? {
            0 => return Ok(()),
            len => stream.write_all(&buffer[..len])?,
        }
    }
}

fn ask(stream: &mut (impl Read + Write)) -> io::Result<()> {
    let mut buffer = [7; SIZE];
    for _ in 0..MESSAGES {
        stream.write_all(&buffer)?;
        stream.read_exact(&mut buffer)?;
    }
    Ok(())
}

/// Both ends of all connections, as std sockets.
fn connections() -> (Vec<net::TcpStream>, Vec<net::TcpStream>) {
    let listener = done(net::TcpListener::bind(ANYWHERE));
    let address = done(listener.local_addr());
    let connect = || {
        let client = done(net::TcpStream::connect(address));
        let (server, _) = done(listener.accept());
        done(client.set_nodelay(true));
        done(server.set_nodelay(true));
        (client, server)
    };
    (0..CONNECTIONS).map(|_| connect()).unzip()
}

fn ours() -> Run {
    let stream = |stream| done(green_tasks::net::TcpStream::from_std(stream));
    let (clients, servers) = connections();
    let serving: Vec<_> = servers
        .into_iter()
        .map(|server| spawn_local(move || serve(stream(server))))
        .collect();
    let mut clients: Vec<_> = clients.into_iter().map(stream).collect();
    let run = timed(|| {
        let asking = clients.drain(..).map(|mut client| {
            spawn_local(move || {
                done(ask(&mut client));
                client
            })
        });
        let asking: Vec<_> = asking.collect();
        clients.extend(asking.into_iter().map(|handle| done(handle.result())));
    });
    drop(clients);
    for handle in serving {
        done(done(handle.result()));
    }
    run
}

/// The same, with tasks that either of two threads may start.
fn ours_on_two() -> Run {
    let stream = |stream| done(green_tasks::net::TcpStream::from_std(stream));
    let (clients, servers) = connections();
    let serving: Vec<_> = servers
        .into_iter()
        .map(|server| spawn(move || serve(stream(server))))
        .collect();
    let mut clients: Vec<_> = clients.into_iter().map(stream).collect();
    let run = timed(|| {
        let asking = clients.drain(..).map(|mut client| {
            spawn(move || {
                done(ask(&mut client));
                client
            })
        });
        let asking: Vec<_> = asking.collect();
        clients.extend(asking.into_iter().map(|handle| done(handle.result())));
    });
    drop(clients);
    for handle in serving {
        done(done(handle.result()));
    }
    run
}

fn with_may() -> Run {
    let (address, serving) = {
        let listener = done(may::net::TcpListener::bind(ANYWHERE));
        let address: SocketAddr = done(listener.local_addr());
        let serving = go!(move || {
            let accept = |_| {
                let (stream, _) = done(listener.accept());
                done(stream.set_nodelay(true));
                go!(move || done(serve(stream)))
            };
            (0..CONNECTIONS).map(accept).collect::<Vec<_>>()
        });
        (address, serving)
    };
    let connect = |_| {
        let stream = done(may::net::TcpStream::connect(address));
        done(stream.set_nodelay(true));
        stream
    };
    let clients: Vec<_> = (0..CONNECTIONS).map(connect).collect();
    let Ok(serving) = serving.join() else {
        panic!("the server failed");
    };
    let mut after = Vec::new();
    let run = timed(|| {
        let asking = clients.into_iter().map(|mut client| {
            go!(move || {
                done(ask(&mut client));
                client
            })
        });
        let asking: Vec<_> = asking.collect();
        after.extend(asking.into_iter().map(|handle| handle.join()));
    });
    drop(after);
    for handle in serving {
        assert!(handle.join().is_ok());
    }
    run
}

fn threads() -> Run {
    let (clients, servers) = connections();
    let serving: Vec<_> = servers
        .into_iter()
        .map(|server| thread::spawn(move || done(serve(&server))))
        .collect();
    let run = timed(|| {
        thread::scope(|scope| {
            for client in &clients {
                scope.spawn(move || done(ask(&mut &*client)));
            }
        });
    });
    drop(clients);
    for handle in serving {
        assert!(handle.join().is_ok());
    }
    run
}

fn with_smol() -> Workload {
    type Stream = smol::Async<net::TcpStream>;
    local(pools::smol(), async |pool: pools::Smol| {
        let stream = |stream| -> Stream { done(smol::Async::new(stream)) };
        let (clients, servers) = connections();
        let serve = async |mut stream: Stream| {
            let mut buffer = [0; 1024];
            loop {
                match done(stream.read(&mut buffer).await) {
                    0 => return,
                    len => done(stream.write_all(&buffer[..len]).await),
                }
            }
        };
        let ask = async |mut stream: Stream| {
            let mut buffer = [7; SIZE];
            for _ in 0..MESSAGES {
                done(stream.write_all(&buffer).await);
                done(stream.read_exact(&mut buffer).await);
            }
            stream
        };
        let servers = servers.into_iter().map(stream);
        let serving: Vec<_> = servers.map(|server| pool.spawn(serve(server))).collect();
        let clients: Vec<_> = clients.into_iter().map(stream).collect();
        let start = Instant::now();
        let clients = clients.into_iter().map(|client| pool.spawn(ask(client)));
        let asking: Vec<_> = clients.collect();
        let mut clients = Vec::new();
        for handle in asking {
            clients.push(handle.await);
        }
        let run = Run::since(start);
        drop(clients);
        for handle in serving {
            handle.await;
        }
        run
    })
}

/// The same code on either of tokio's schedulers.
fn with_tokio(mut builder: tokio::runtime::Builder) -> Workload {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    async fn serve(mut stream: TcpStream) {
        let mut buffer = [0; 1024];
        loop {
            match done(stream.read(&mut buffer).await) {
                0 => return,
                len => done(stream.write_all(&buffer[..len]).await),
            }
        }
    }
    async fn ask(mut stream: TcpStream) -> TcpStream {
        let mut buffer = [7; SIZE];
        for _ in 0..MESSAGES {
            done(stream.write_all(&buffer).await);
            done(stream.read_exact(&mut buffer).await);
        }
        stream
    }
    async fn run() -> Run {
        let stream = |stream: net::TcpStream| {
            done(stream.set_nonblocking(true));
            done(TcpStream::from_std(stream))
        };
        let (clients, servers) = connections();
        let servers = servers.into_iter().map(stream);
        let serving: Vec<_> = servers.map(|server| tokio::spawn(serve(server))).collect();
        let clients: Vec<_> = clients.into_iter().map(stream).collect();
        let start = Instant::now();
        let asking = clients.into_iter().map(|client| tokio::spawn(ask(client)));
        let asking: Vec<_> = asking.collect();
        let mut clients = Vec::new();
        for handle in asking {
            clients.push(done(handle.await));
        }
        let run = Run::since(start);
        drop(clients);
        for handle in serving {
            done(handle.await);
        }
        run
    }

    let runtime = done(builder.enable_all().build());
    // As a task, since the future passed to `block_on` does not run on a worker.
    Box::new(move || runtime.block_on(async { done(tokio::spawn(run()).await) }))
}

fn tokio_on_one() -> Workload {
    with_tokio(tokio::runtime::Builder::new_current_thread())
}

fn tokio_on_two() -> Workload {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(WORKERS);
    with_tokio(builder)
}

pub(super) fn group() -> Group {
    Group::new("echo", (CONNECTIONS * MESSAGES) as u64, 3)
        .about("64 bytes sent back and forth on each of a hundred connections; both ends are in one process.")
        .aim_everywhere(1.0, Some("tokio: 1 thread"))
        .aim_of("green-tasks: 2 threads", 1.0, "tokio: 2 threads")
        .aim_of("green-tasks: 2 threads", 1.0, "may: 2 threads")
        .ours("green-tasks: 1 thread", || green(ours))
        .ours("green-tasks: 2 threads", || green_on(WORKERS, ours_on_two))
        .peer("tokio: 1 thread", tokio_on_one)
        .peer("smol: 1 thread", with_smol)
        .peer("tokio: 2 threads", tokio_on_two)
        .peer("may: 2 threads", || may(WORKERS, with_may))
        .peer("a thread for each end", || Box::new(threads))
        .foreign("gevent", || python("green.py", "echo"))
        .reference("limit: events alone, 1 thread", || Box::new(events::run))
}
