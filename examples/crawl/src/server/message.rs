//! The part of HTTP/1.1 that the server speaks: the head of a GET request, and the answer to it.

use std::io::{self, BufRead, Read};

/// The longest head of a request, in bytes.
const HEAD_LIMIT: u64 = 16 * 1024;

/// What matters of a request here.
pub(super) struct Request {
    is_get: bool,
    path: String,
    /// Whether another request may follow on the same connection.
    pub(super) keep_alive: bool,
}

impl Request {
    /// The head of the next request; `None` when the client is done.
    pub(super) fn read(reader: &mut impl BufRead) -> io::Result<Option<Self>> {
        let mut head = reader.by_ref().take(HEAD_LIMIT);
        let mut line = String::new();
        head.read_line(&mut line)?;
        let mut words = line.split_whitespace();
        let (Some(method), Some(path)) = (words.next(), words.next()) else {
            return Ok(None);
        };
        let mut request = Self {
            is_get: method == "GET",
            path: path.to_owned(),
            keep_alive: method == "GET" && words.next() == Some("HTTP/1.1"),
        };
        loop {
            line.clear();
            if head.read_line(&mut line)? == 0 {
                return Ok(None);
            }
            let header = line.trim().to_ascii_lowercase();
            if header.is_empty() {
                return Ok(Some(request));
            }
            // The body is not read, so what follows the head is not a request.
            let ends = ["connection: close", "content-length:", "transfer-encoding:"];
            request.keep_alive &= !ends.iter().any(|end| header.starts_with(end));
        }
    }

    /// The status and the text, or `None` for a path that is never answered.
    pub(super) fn answer(&self) -> Option<(u16, String)> {
        if !self.is_get {
            return Some((405, "this server knows GET alone".to_owned()));
        }
        Some(match self.path.split('/').collect::<Vec<_>>()[..] {
            ["", "slow"] => return None,
            ["", "page", number] => match number.parse() {
                Ok(number) => (200, page(number)),
                Err(_) => (404, "a page has a number, as in /page/1".to_owned()),
            },
            ["", "status", code] => match code.parse() {
                Ok(code @ 400..=599) => (code, "as it was asked for".to_owned()),
                _ => (404, "a status is one of 400 to 599".to_owned()),
            },
            _ => (404, "there are /page/N, /status/N and /slow".to_owned()),
        })
    }
}

/// The whole message in one string, so that it is sent in one write.
pub(super) fn message(status: u16, body: &str, keep_alive: bool) -> String {
    let connection = if keep_alive { "keep-alive" } else { "close" };
    format!(
        "HTTP/1.1 {status} {status}\r\nContent-Type: text/html; charset=utf-8\r\n\
         Content-Length: {}\r\nConnection: {connection}\r\n\r\n{body}",
        body.len()
    )
}

fn page(number: u32) -> String {
    let paragraph =
        "<p>The server took its time, and the client had nothing to do meanwhile.</p>\n";
    let paragraphs = paragraph.repeat(8 + (number % 64) as usize);
    format!(
        "<!doctype html>\n<html><head><title>Page {number}</title></head>\n<body>\n{paragraphs}</body></html>\n"
    )
}
