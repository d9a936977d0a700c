//! What one worker prints: a pipe, and the last lines that came through it, in case it dies.
//!
//! Two threads read from it, each under its lock: the [forwarder](crate::forwarder), whenever there is
//! something, and the pool's thread, once, when the worker is dead. Neither ever waits: not for the worker,
//! nor, while it holds the lock, for whoever reads what is forwarded. So nothing is lost between them,
//! and nothing comes out twice or in another order.

use std::collections::VecDeque;
use std::fmt;
use std::io;

use future_result::sync::Mutex;

use crate::sys::{self, Descriptor, never_wait, pipe};

/// How much is read at a time, in bytes: what a pipe holds.
const READ: usize = 64 * 1024;
/// How many times at most when the worker is dead: somebody else may still write.
const LAST_READS: usize = 4;
/// A line longer than this, in bytes, is forwarded before its end has come.
const LINE_MAX: usize = 4096;
/// How many bytes and lines of the last output are kept: enough for a panic's message and the backtrace
/// after it.
const TAIL_BYTES: usize = 16 * 1024;
const TAIL_LINES: usize = 128;

/// The pool's end of the pipe that a worker prints to.
pub(crate) struct Output {
    pipe: Descriptor,
    text: Mutex<Text>,
}

#[derive(Default)]
struct Text {
    tail: Tail,
    /// Read and not forwarded: the beginning of a line, or what a dead worker left.
    held: Vec<u8>,
}

/// Whether there may be more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flow {
    More,
    /// Nothing more will ever come.
    End,
}

impl Output {
    /// Also returns the other end, for the worker.
    pub(crate) fn new() -> io::Result<(Self, Descriptor)> {
        let (pipe, writer) = pipe()?;
        // Only this end: a worker that prints much waits.
        never_wait(&pipe)?;
        let text = Mutex::new(Text::default());
        Ok((Self { pipe, text }, writer))
    }

    /// Readable when there is something, or the last writer is gone.
    pub(crate) const fn fd(&self) -> &Descriptor {
        &self.pipe
    }

    /// Reads once, and replaces `lines` with the complete lines. The beginning of
    /// another one is [held](Self::is_holding), so that lines of two workers do not get mixed up.
    pub(crate) fn read_lines(&self, lines: &mut Vec<u8>) -> Flow {
        lines.clear();
        let mut text = self.text.lock();
        lines.append(&mut text.held);
        let flow = text.tail.read(&self.pipe, lines);
        if flow == Some(Flow::End) {
            return Flow::End;
        }
        let is_end = |&byte: &u8| byte == b'\n' || byte == b'\r';
        let end = lines.iter().rposition(is_end).map_or(0, |at| at + 1);
        if lines.len() - end < LINE_MAX {
            text.held.extend(lines.drain(end..));
        }
        Flow::More
    }

    pub(crate) fn is_holding(&self) -> bool {
        !self.text.lock().held.is_empty()
    }

    /// Takes what is held.
    pub(crate) fn take_held(&self) -> Vec<u8> {
        std::mem::take(&mut self.text.lock().held)
    }

    /// Reads all that the dead worker left, which is held then, and returns the last lines that it printed.
    /// It does not wait for others that still have the pipe.
    pub(crate) fn last_words(&self) -> String {
        let mut text = self.text.lock();
        let Text { tail, held } = &mut *text;
        for _ in 0..LAST_READS {
            if tail.read(&self.pipe, held) != Some(Flow::More) {
                break;
            }
        }
        tail.to_text()
    }
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Output").finish_non_exhaustive()
    }
}

/// The last bytes of a stream.
#[derive(Default)]
struct Tail {
    bytes: VecDeque<u8>,
    /// There were more before them.
    is_cut: bool,
}

impl Tail {
    /// Reads once, appends that to `buffer`, and adds it to the tail. `None` if there was nothing.
    fn read(&mut self, pipe: &Descriptor, buffer: &mut Vec<u8>) -> Option<Flow> {
        let before = buffer.len();
        buffer.reserve(READ);
        match sys::read(pipe, buffer) {
            Ok(0) => Some(Flow::End),
            Ok(_) => {
                self.push(buffer.get(before..).unwrap_or_default());
                Some(Flow::More)
            }
            Err(error) => match error.kind() {
                io::ErrorKind::Interrupted => Some(Flow::More),
                io::ErrorKind::WouldBlock => None,
                _ => Some(Flow::End),
            },
        }
    }

    fn push(&mut self, bytes: &[u8]) {
        let new = bytes.get(bytes.len().saturating_sub(TAIL_BYTES)..);
        let new = new.unwrap_or_default();
        let excess = (self.bytes.len() + new.len()).saturating_sub(TAIL_BYTES);
        self.is_cut |= excess > 0 || new.len() < bytes.len();
        self.bytes.drain(..excess);
        self.bytes.extend(new);
    }

    /// The last lines, without one whose beginning is gone, unless there is no other.
    fn to_text(&self) -> String {
        let bytes: Vec<u8> = self.bytes.iter().copied().collect();
        let text = String::from_utf8_lossy(&bytes);
        let text = text.trim_end_matches(['\n', '\r']);
        let whole = match text.split_once('\n') {
            Some((_, rest)) if self.is_cut => rest,
            _ => text,
        };
        let lines: Vec<&str> = whole.lines().collect();
        let first = lines.len().saturating_sub(TAIL_LINES);
        lines.get(first..).unwrap_or_default().join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(writer: &Descriptor, bytes: &[u8]) {
        assert_eq!(sys::write(writer, bytes).unwrap(), bytes.len());
    }

    #[test]
    fn lines_come_out_whole_and_the_rest_is_held() {
        let (output, writer) = Output::new().unwrap();
        let mut lines = b"what was there".to_vec();
        write(&writer, b"one\ntwo");
        assert_eq!(output.read_lines(&mut lines), Flow::More);
        assert_eq!(lines, b"one\n");
        assert!(output.is_holding());
        write(&writer, b" and a half\r50 %");
        assert_eq!(output.read_lines(&mut lines), Flow::More);
        assert_eq!(lines, b"two and a half\r");
        // There is nothing, but that is not the end.
        assert_eq!(output.read_lines(&mut lines), Flow::More);
        assert!(lines.is_empty());
        drop(writer);
        assert_eq!(output.read_lines(&mut lines), Flow::End);
        assert_eq!(lines, b"50 %");
    }

    #[test]
    fn a_line_without_an_end_is_not_held_for_ever() {
        let (output, writer) = Output::new().unwrap();
        let mut lines = Vec::new();
        write(&writer, &[b'x'; LINE_MAX - 1]);
        assert_eq!(output.read_lines(&mut lines), Flow::More);
        assert!(lines.is_empty());
        write(&writer, b"x");
        assert_eq!(output.read_lines(&mut lines), Flow::More);
        assert_eq!(lines.len(), LINE_MAX);
        assert!(!output.is_holding() && output.take_held().is_empty());
    }

    #[test]
    fn the_dead_are_read_to_the_end_after_what_was_held_also_if_others_have_the_pipe() {
        let (output, writer) = Output::new().unwrap();
        let mut lines = Vec::new();
        write(&writer, b"one\ntw");
        assert_eq!(output.read_lines(&mut lines), Flow::More);
        write(&writer, b"o\nthree");
        assert_eq!(output.last_words(), "one\ntwo\nthree");
        assert_eq!(output.take_held(), b"two\nthree");
        // Somebody else prints; the dead worker's last lines are taken.
        write(&writer, b"four\n");
        assert_eq!(output.read_lines(&mut lines), Flow::More);
        assert_eq!(lines, b"four\n");
    }

    #[test]
    fn the_tail_has_the_last_lines_and_no_more_bytes_than_it_may() {
        let mut tail = Tail::default();
        for line in 0..200 {
            tail.push(format!("line {line}\n").as_bytes());
        }
        let expected: Vec<String> = (72..200).map(|line| format!("line {line}")).collect();
        assert_eq!(tail.to_text(), expected.join("\n"));

        // Of the first of these lines, only the end is there.
        for _ in 0..20 {
            tail.push(&[&[b'y'; 999][..], b"\n"].concat());
        }
        let line = "y".repeat(999);
        assert_eq!(tail.to_text(), [&*line; 16].join("\n"));
        // And if there is no other, its end is better than nothing.
        tail.push(&[b'z'; 3 * TAIL_BYTES]);
        assert_eq!(tail.to_text(), "z".repeat(TAIL_BYTES));
        assert!(tail.bytes.len() <= TAIL_BYTES);
    }

    #[test]
    fn bytes_that_are_no_text_are_told_as_far_as_they_are() {
        let mut tail = Tail::default();
        tail.push(b"caf\xe9 \xff\xfe\n\n");
        assert_eq!(tail.to_text(), "caf\u{fffd} \u{fffd}\u{fffd}");
        assert_eq!(Tail::default().to_text(), "");
    }
}
