//! Every way, called through the library, and the server of the pages.

#![expect(clippy::unwrap_used, reason = "a test reports a failure by a panic")]

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use crawl::fetch::{FetchError, fetch};
use crawl::job::{Client, Job};
use crawl::server::Server;
use crawl::ways::{MAP, WAYS};

const PATIENCE: Duration = Duration::from_secs(60);

fn server() -> Server {
    Server::start(Duration::from_millis(1)).unwrap()
}

fn job(urls: Vec<String>) -> Job {
    Job::new(urls, 4, Client::direct(PATIENCE))
}

#[test]
fn all_ways_bring_the_same_pages_in_the_order_of_the_urls() {
    let server = server();
    let urls: Vec<_> = (1..=20)
        .map(|n| server.url(&format!("/page/{n}")))
        .collect();
    let rows: Vec<_> = WAYS.iter().map(|way| way.run(&job(urls.clone()))).collect();
    let pages: Vec<_> = rows[0]
        .pages()
        .iter()
        .map(|page| page.clone().unwrap())
        .collect();
    let titles: Vec<_> = pages.iter().map(|page| page.title.clone()).collect();
    assert_eq!(
        titles,
        (1..=20).map(|n| format!("Page {n}")).collect::<Vec<_>>()
    );
    assert!(pages.windows(2).all(|pair| pair[0].bytes < pair[1].bytes));
    for row in &rows {
        assert_eq!(row.pages(), rows[0].pages(), "{}", row.way);
        assert_eq!(row.fetched(), 20, "{}", row.way);
    }
}

#[test]
fn failed_page_keeps_its_place_in_every_way() {
    let server = server();
    let urls = ["/page/1", "/status/500", "/nothing", "/page/2"].map(|path| server.url(path));
    for way in WAYS {
        let row = way.run(&job(urls.to_vec()));
        let pages = row.pages();
        assert!(
            pages[0].is_ok() && pages[3].is_ok(),
            "{}: {pages:?}",
            way.name
        );
        assert_eq!(pages[1], Err(FetchError::Status(500)), "{}", way.name);
        assert_eq!(pages[2], Err(FetchError::Status(404)), "{}", way.name);
    }
}

#[test]
fn no_pages_are_no_failure() {
    for way in WAYS {
        let row = way.run(&job(Vec::new()));
        assert!(row.outcomes.unwrap().is_empty(), "{}", way.name);
    }
}

#[test]
fn one_page_per_host_keeps_the_first_of_each() {
    let urls = [
        "http://a.example/1",
        "http://a.example/2",
        "http://b.example/1",
        "http://a.example:8080/",
    ];
    let job = job(urls.map(str::to_owned).to_vec()).one_page_per_host();
    assert_eq!(
        job.urls,
        [
            "http://a.example/1",
            "http://b.example/1",
            "http://a.example:8080/"
        ]
    );
}

/// No certificate of a test would be trusted, so this looks at the first bytes: a TLS handshake record.
#[test]
fn https_is_spoken_in_tls() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let url = format!("https://{}/", listener.local_addr().unwrap());
    let first_bytes = thread::spawn(move || {
        let mut bytes = [0; 2];
        listener
            .accept()
            .and_then(|(mut stream, _)| stream.read_exact(&mut bytes))
            .unwrap();
        bytes
    });
    let agent = job(Vec::new()).agent;
    assert!(matches!(fetch(&agent, &url), Err(FetchError::Failed(_))));
    assert_eq!(first_bytes.join().unwrap(), [0x16, 0x03]);
}

/// Ends only if dropping the server wakes and joins all of its threads.
#[test]
fn dropping_the_server_ends_connections_that_wait() {
    let server = server();
    let address = server.url("/");
    let address = address
        .trim_start_matches("http://")
        .trim_end_matches('/')
        .to_owned();

    let mut unanswered = TcpStream::connect(&address).unwrap();
    unanswered.write_all(b"GET /slow HTTP/1.1\r\n\r\n").unwrap();
    let mut silent = TcpStream::connect(&address).unwrap();
    let mut half = TcpStream::connect(&address).unwrap();
    half.write_all(b"GET /page/1 HT").unwrap();
    // Once this one is served, the three before it have been accepted.
    let served = MAP.run(&job(vec![server.url("/page/1")]));
    assert_eq!(served.fetched(), 1);

    drop(server);
    let mut rest = Vec::new();
    for stream in [&mut unanswered, &mut silent, &mut half] {
        let _ended_or_reset = stream.read_to_end(&mut rest);
    }
    assert!(rest.is_empty());
    assert!(TcpStream::connect(&address).is_err());
}

#[test]
fn server_refuses_what_it_does_not_know_and_ends_that_connection() {
    let server = server();
    let address = server.url("/");
    let address = address.trim_start_matches("http://").trim_end_matches('/');
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .write_all(b"POST /page/1 HTTP/1.1\r\nContent-Length: 0\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 405"), "{answer}");
}
