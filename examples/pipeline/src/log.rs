//! Counts the lines of an access log in the common or the combined format.

use std::ops::AddAssign;

/// The counts of one log, or of several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Lines that are entries.
    pub entries: u64,
    /// Lines that are neither entries nor empty.
    pub odd: u64,
    /// Entries by the first digit of their status, 1 to 5.
    pub by_class: [u64; 5],
    /// Bytes sent with all answers.
    pub sent: u64,
}

impl AddAssign for Stats {
    fn add_assign(&mut self, other: Self) {
        self.entries += other.entries;
        self.odd += other.odd;
        self.sent = self.sent.saturating_add(other.sent);
        for (class, more) in self.by_class.iter_mut().zip(other.by_class) {
            *class += more;
        }
    }
}

impl Stats {
    /// Counts a whole log.
    ///
    /// # Examples
    ///
    /// ```
    /// use pipeline::log::Stats;
    ///
    /// let log = br#"::1 - - [10/Oct/2025:13:55:36 +0000] "GET / HTTP/1.1" 200 2326
    /// what is this?
    /// ::1 - - [10/Oct/2025:13:55:37 +0000] "GET /x HTTP/1.1" 404 - "-" "curl/8.5"
    /// "#;
    /// let stats = Stats::of(log);
    /// assert_eq!((stats.entries, stats.odd, stats.sent), (2, 1, 2326));
    /// assert_eq!(stats.by_class, [0, 1, 0, 1, 0]);
    /// ```
    #[must_use]
    pub fn of(log: &[u8]) -> Self {
        let mut stats = Self::default();
        for line in log.split(|&byte| byte == b'\n') {
            let line = line.trim_ascii();
            if line.is_empty() {
                continue;
            }
            if let Some((class, sent)) = entry(line) {
                stats.entries += 1;
                stats.by_class[class] += 1;
                stats.sent = stats.sent.saturating_add(sent);
            } else {
                stats.odd += 1;
            }
        }
        stats
    }
}

/// The class of the status, from 0, and the bytes sent.
fn entry(line: &[u8]) -> Option<(usize, u64)> {
    // After the time in brackets comes the request in quotes, in which quotes are escaped.
    let after_time = position(line, b"] \"")? + 3;
    let request = &line[after_time..];
    let rest = &request[position(request, b"\" ")? + 2..];
    let mut words = rest.split(|&byte| byte == b' ');
    let class = match words.next()? {
        [digit @ b'1'..=b'5', b'0'..=b'9', b'0'..=b'9'] => usize::from(digit - b'1'),
        _ => return None,
    };
    let sent = match words.next()? {
        b"-" => 0,
        digits => std::str::from_utf8(digits).ok()?.parse().ok()?,
    };
    Some((class, sent))
}

fn position(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_are_no_entries_are_odd() {
        for line in [
            "one two three",
            "::1 - - [now] \"GET /",
            "::1 - - [now] \"GET / HTTP/1.1\"",
            "::1 - - [now] \"GET / HTTP/1.1\" 200",
            "::1 - - [now] \"GET / HTTP/1.1\" 600 1",
            "::1 - - [now] \"GET / HTTP/1.1\" 20 1",
            "::1 - - [now] \"GET / HTTP/1.1\" 200 -1",
            "::1 - - [now] \"GET / HTTP/1.1\" 200 99999999999999999999",
            "\u{0}",
        ] {
            let stats = Stats::of(line.as_bytes());
            assert_eq!((stats.entries, stats.odd), (0, 1), "{line:?}");
        }
    }

    #[test]
    fn empty_log_and_windows_line_ends() {
        assert_eq!(Stats::of(b"\n\r\n"), Stats::default());
        let stats = Stats::of(b"::1 - - [now] \"GET / HTTP/1.1\" 503 7\r\n");
        assert_eq!((stats.entries, stats.odd, stats.sent), (1, 0, 7));
        assert_eq!(stats.by_class, [0, 0, 0, 0, 1]);
    }
}
