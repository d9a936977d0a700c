//! A small client for async code: a connection for each page, and HTTP/1.0, in which the body ends where the
//! connection does.
//!
//! It waits with the sockets and timers of `async-io`, wrapped in the TLS of `rustls`. Resolving a name blocks,
//! so that is a closure on the pool, which is awaited like a future. There are large async clients; most come
//! with a runtime of their own, and the point here is that none is needed. It has no proxies, and does not
//! reuse connections.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::Arc;

use async_io::{Async, Timer};
use futures_lite::future::or;
use futures_lite::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use futures_rustls::TlsConnector;
use futures_rustls::rustls::crypto::ring;
use futures_rustls::rustls::pki_types::ServerName;
use futures_rustls::rustls::{ClientConfig, RootCertStore};
use thread_pool::ThreadPoolExecutor;
use ureq::http::Uri;
use ureq::http::uri::Scheme;

use crate::fetch::{FetchError, Outcome, Page};
use crate::job::Client;
use crate::ways::WayError;

/// The number of redirects that `ureq` follows.
const REDIRECTS: usize = 10;
/// The longest body that `ureq` accepts.
const BODY_LIMIT: u64 = 10 << 20;

/// Fetches pages in async code.
#[derive(Debug)]
pub struct AsyncClient {
    pool: Arc<ThreadPoolExecutor>,
    like: Client,
    tls: Arc<ClientConfig>,
}

/// What a server has answered.
struct Answer {
    status: u16,
    location: Option<String>,
    body: Vec<u8>,
}

impl AsyncClient {
    /// A client that resolves names on a pool, with the time limit of `like` for each page.
    ///
    /// # Errors
    /// Never, with the TLS versions that it speaks.
    pub fn new(pool: Arc<ThreadPoolExecutor>, like: Client) -> Result<Self, WayError> {
        let roots = RootCertStore {
            roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
        };
        let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let tls = Arc::new(tls);
        Ok(Self { pool, like, tls })
    }

    /// Fetches a whole page, as [`fetch`](crate::fetch::fetch()) does.
    ///
    /// # Errors
    /// Whatever kept the page from arriving, including a status of 400 or above.
    pub async fn fetch(&self, url: &str) -> Outcome {
        let limit = self.like.timeout;
        let late = async {
            Timer::after(limit).await;
            Err(FetchError::TimedOut(limit))
        };
        or(self.follow(url), late).await
    }

    async fn follow(&self, url: &str) -> Outcome {
        let mut url: Uri = url.parse().map_err(failed)?;
        for _ in 0..=REDIRECTS {
            let answer = self.get(&url).await.map_err(failed)?;
            match (answer.status, answer.location) {
                (301..=303 | 307 | 308, Some(to)) => url = redirected(&url, &to)?,
                (400.., _) => return Err(FetchError::Status(answer.status)),
                _ => return Ok(Page::new(&answer.body)),
            }
        }
        Err(failed("too many redirects"))
    }

    /// One request on a connection of its own.
    async fn get(&self, url: &Uri) -> io::Result<Answer> {
        let host = url.host().ok_or_else(|| io::Error::other("no host"))?;
        let is_tls = url.scheme() == Some(&Scheme::HTTPS);
        let port = url.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let stream = connect(&self.resolve(bare, port).await?).await?;
        let path = url.path_and_query().map_or("/", |path| path.as_str());
        let authority = url.authority().map_or(host, |authority| authority.as_str());
        let request = format!(
            "GET {path} HTTP/1.0\r\nHost: {authority}\r\nUser-Agent: {}\r\nAccept: */*\r\n\r\n",
            concat!("crawl/", env!("CARGO_PKG_VERSION"))
        );
        if is_tls {
            let name = ServerName::try_from(bare.to_owned()).map_err(io::Error::other)?;
            let tls = TlsConnector::from(Arc::clone(&self.tls));
            ask(tls.connect(name, stream).await?, &request).await
        } else {
            ask(stream, &request).await
        }
    }

    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        if let Ok(number) = host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(number, port)]);
        }
        let host = host.to_owned();
        let addresses = self.pool.submit(move || {
            let addresses = (host.as_str(), port).to_socket_addrs();
            addresses.map(|addresses| addresses.collect::<Vec<_>>())
        });
        addresses.await.map_err(io::Error::other)?
    }
}

async fn connect(addresses: &[SocketAddr]) -> io::Result<Async<TcpStream>> {
    let mut last = io::Error::other("the host has no address");
    for &address in addresses {
        match Async::<TcpStream>::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Sends a request and reads the answer to its end.
async fn ask(mut stream: impl AsyncRead + AsyncWrite + Unpin, request: &str) -> io::Result<Answer> {
    stream.write_all(request.as_bytes()).await?;
    stream.flush().await?;
    let mut bytes = Vec::new();
    stream.take(BODY_LIMIT).read_to_end(&mut bytes).await?;
    answer(bytes).ok_or_else(|| io::Error::other("the answer is not HTTP, or not whole"))
}

/// The parts of an answer; `None` if it is cut short.
fn answer(mut bytes: Vec<u8>) -> Option<Answer> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let body = bytes.split_off(end + 4);
    let head = String::from_utf8_lossy(&bytes);
    let mut lines = head.lines();
    let mut words = lines.next()?.split_whitespace();
    words.next().filter(|word| word.starts_with("HTTP/1."))?;
    let status = words.next()?.parse().ok()?;
    let mut location = None;
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        let value = value.trim();
        if name.eq_ignore_ascii_case("location") {
            location = Some(value.to_owned());
        }
        if name.eq_ignore_ascii_case("content-length") && value.parse() != Ok(body.len()) {
            return None;
        }
    }
    Some(Answer {
        status,
        location,
        body,
    })
}

/// Where a redirect leads: to a full URL, to another host, or to a path on the same one.
fn redirected(from: &Uri, to: &str) -> Result<Uri, FetchError> {
    if to.contains("://") {
        return to.parse().map_err(failed);
    }
    if to.starts_with("//") {
        let scheme = from.scheme_str().unwrap_or("http");
        return format!("{scheme}:{to}").parse().map_err(failed);
    }
    let folder = from
        .path()
        .rsplit_once('/')
        .map_or("", |(folder, _)| folder);
    let path = match to.strip_prefix('/') {
        Some(_) => to.to_owned(),
        None => format!("{folder}/{to}"),
    };
    let mut parts = from.clone().into_parts();
    parts.path_and_query = Some(path.parse().map_err(failed)?);
    Uri::from_parts(parts).map_err(failed)
}

fn failed(error: impl std::fmt::Display) -> FetchError {
    FetchError::Failed(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answer_is_taken_apart_and_one_that_is_cut_short_is_none() {
        let whole = b"HTTP/1.1 302 Found\r\nLocation: /there\r\nContent-Length: 2\r\n\r\nab";
        let parts = answer(whole.to_vec()).unwrap();
        assert_eq!(parts.status, 302);
        assert_eq!(parts.location.as_deref(), Some("/there"));
        assert_eq!(parts.body, b"ab");
        for end in 0..whole.len() {
            assert!(answer(whole[..end].to_vec()).is_none(), "{end}");
        }
        assert!(answer(b"SSH-2.0\r\n\r\n".to_vec()).is_none());
    }

    #[test]
    fn redirect_leads_to_a_path_of_the_host_or_elsewhere() {
        let from: Uri = "http://a.example:8080/x/y?z".parse().unwrap();
        for (to, url) in [
            ("/p?q", "http://a.example:8080/p?q"),
            ("w", "http://a.example:8080/x/w"),
            ("//b.example/", "http://b.example/"),
            ("https://b.example/", "https://b.example/"),
        ] {
            assert_eq!(redirected(&from, to).unwrap().to_string(), url);
        }
    }
}
