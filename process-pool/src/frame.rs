//! Frames: messages in a stream of bytes. Knows nothing of what they mean, or of pipes.
//!
//! A frame is a header of [`HEADER`] bytes, and a body. All numbers are little-endian:
//!
//! | bytes | what |
//! |---|---|
//! | 0–7 | the length of the body |
//! | 8–15 | the sequence number |
//! | 16–19 | the kind, of which this module knows nothing |
//! | 20–23 | a check of the other fields |
//!
//! The check is no protection against an enemy, who has the pipe anyway. It detects a stream that is out
//! of step, because something else was written into it, before a random length is believed. Even a
//! length that is believed costs no memory before its bytes are there: at most as much is reserved
//! as has already come, or [`CHUNK`].

use std::fmt;
use std::ops::Range;

/// The size of a header, in bytes.
pub(crate) const HEADER: usize = 24;

/// The longest body: larger than any machine's memory, and far from overflowing anything.
pub(crate) const BODY_MAX: u64 = 1 << 40;

/// How many bytes are read at a time, at least.
pub(crate) const CHUNK: usize = 64 * 1024;

/// A buffer that has grown beyond this is freed when it is empty.
const KEPT_MAX: usize = 1 << 20;

/// What a frame says besides its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) length: u64,
    pub(crate) sequence: u64,
    pub(crate) kind: u32,
}

/// Why a stream of frames cannot be read any further.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum FrameError {
    /// A header's check is wrong: the stream is out of step.
    OutOfStep,
    /// A body's length is out of range.
    TooLong(u64),
    /// There is no memory for more bytes.
    OutOfMemory,
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfStep => f.write_str("what came through the pipe is not a message"),
            Self::TooLong(length) => write!(f, "a message claims to be {length} bytes long"),
            Self::OutOfMemory => f.write_str("there is not enough memory for a message"),
        }
    }
}

impl Header {
    fn check(self) -> u32 {
        let mixed =
            self.length ^ self.sequence.rotate_left(23) ^ u64::from(self.kind).rotate_left(47);
        // Not zero for zeros. The multiplier, 2^64 / the golden ratio, spreads every bit upwards.
        let mixed = (mixed ^ 0x70F0_0150_5E55_ED00).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        (mixed >> 32) as u32
    }

    fn encode(self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        let (length, rest) = bytes.split_at_mut(8);
        let (sequence, rest) = rest.split_at_mut(8);
        let (kind, check) = rest.split_at_mut(4);
        length.copy_from_slice(&self.length.to_le_bytes());
        sequence.copy_from_slice(&self.sequence.to_le_bytes());
        kind.copy_from_slice(&self.kind.to_le_bytes());
        check.copy_from_slice(&self.check().to_le_bytes());
        bytes
    }

    fn decode(bytes: &[u8; HEADER]) -> Result<Self, FrameError> {
        let word = |at: usize| -> u32 {
            let bytes = [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]];
            u32::from_le_bytes(bytes)
        };
        let long = |at: usize| u64::from(word(at)) | u64::from(word(at + 4)) << 32;
        let header = Self {
            length: long(0),
            sequence: long(8),
            kind: word(16),
        };
        if header.check() != word(20) {
            return Err(FrameError::OutOfStep);
        }
        if header.length > BODY_MAX {
            return Err(FrameError::TooLong(header.length));
        }
        Ok(header)
    }
}

/// Leaves room for a header at the end of `buffer`; returns where the frame begins, for [`seal`].
pub(crate) fn begin(buffer: &mut Vec<u8>) -> usize {
    let start = buffer.len();
    buffer.extend_from_slice(&[0; HEADER]);
    start
}

/// Writes the header of a frame that is otherwise complete: `frame` is the room that [`begin`] left,
/// and the body.
///
/// # Errors
///
/// [`FrameError::TooLong`] if the body is. (A `frame` without room for a header is out of step.)
pub(crate) fn seal(frame: &mut [u8], kind: u32, sequence: u64) -> Result<(), FrameError> {
    let Some((header, body)) = frame.split_at_mut_checked(HEADER) else {
        return Err(FrameError::OutOfStep);
    };
    let length = body.len() as u64;
    if length > BODY_MAX {
        return Err(FrameError::TooLong(length));
    }
    let sealed = Header {
        length,
        sequence,
        kind,
    };
    header.copy_from_slice(&sealed.encode());
    Ok(())
}

/// Takes bytes as they come, and yields frames.
///
/// [`room`](Self::room) is where to put bytes, [`next`](Self::next) finds frames in them, and
/// [`body`](Self::body) shows their bodies until the next call of `room`.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    buffer: Vec<u8>,
    /// Where the next frame starts.
    start: usize,
}

impl Decoder {
    pub(crate) const fn new() -> Self {
        Self {
            buffer: Vec::new(),
            start: 0,
        }
    }

    /// The vector to append bytes to, with spare capacity.
    ///
    /// # Errors
    ///
    /// [`FrameError::OutOfMemory`] if there is no room.
    pub(crate) fn room(&mut self) -> Result<&mut Vec<u8>, FrameError> {
        self.buffer.drain(..self.start);
        self.start = 0;
        if self.buffer.is_empty() && self.buffer.capacity() > KEPT_MAX {
            self.buffer = Vec::new();
        }
        let missing = match self.peek() {
            Ok(Some((_, end))) => end.saturating_sub(self.buffer.len()),
            // `next` reports what is wrong.
            Ok(None) | Err(_) => CHUNK,
        };
        let ahead = missing.clamp(1, CHUNK.max(self.buffer.len()));
        self.buffer
            .try_reserve(ahead)
            .map_err(|_| FrameError::OutOfMemory)?;
        Ok(&mut self.buffer)
    }

    /// The header of the frame that begins at `start`, and where the frame ends.
    fn peek(&self) -> Result<Option<(Header, usize)>, FrameError> {
        let rest = self.buffer.get(self.start..).unwrap_or_default();
        let Some(bytes) = rest.first_chunk::<HEADER>() else {
            return Ok(None);
        };
        let header = Header::decode(bytes)?;
        let too_long = FrameError::TooLong(header.length);
        let length =
            usize::try_from(header.length).map_err(|_| FrameError::TooLong(header.length))?;
        let end = (self.start + HEADER).checked_add(length).ok_or(too_long)?;
        Ok(Some((header, end)))
    }

    /// The next complete frame, and where its body is.
    ///
    /// # Errors
    ///
    /// [`FrameError`] if the stream is broken, for good.
    pub(crate) fn next(&mut self) -> Result<Option<(Header, Range<usize>)>, FrameError> {
        match self.peek()? {
            Some((header, end)) if end <= self.buffer.len() => {
                let body = self.start + HEADER..end;
                self.start = end;
                Ok(Some((header, body)))
            }
            _ => Ok(None),
        }
    }

    /// The body of a frame that [`next`](Self::next) returned since the last call of
    /// [`room`](Self::room).
    pub(crate) fn body(&self, place: Range<usize>) -> &[u8] {
        self.buffer.get(place).unwrap_or_default()
    }

    /// Whether the stream could end here without cutting off a frame.
    #[cfg(test)]
    pub(crate) fn is_between_frames(&self) -> bool {
        self.start == self.buffer.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u32, sequence: u64, body: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let start = begin(&mut bytes);
        bytes.extend_from_slice(body);
        seal(&mut bytes[start..], kind, sequence).unwrap();
        bytes
    }

    /// All frames of a stream that comes in pieces of this size.
    fn decode(stream: &[u8], piece: usize) -> Result<Vec<(u32, u64, Vec<u8>)>, FrameError> {
        let mut decoder = Decoder::new();
        let mut frames = Vec::new();
        for piece in stream.chunks(piece) {
            decoder.room()?.extend_from_slice(piece);
            while let Some((header, body)) = decoder.next()? {
                frames.push((header.kind, header.sequence, decoder.body(body).to_vec()));
            }
        }
        Ok(frames)
    }

    /// Marsaglia's xorshift: enough to make a mess, the same in every run.
    struct Random(u64);

    impl Random {
        fn next(&mut self) -> u64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            self.0
        }

        fn below(&mut self, end: usize) -> usize {
            (self.next() % end as u64) as usize
        }
    }

    #[test]
    fn frames_come_out_as_they_went_in_whatever_the_pieces() {
        let bodies: [&[u8]; 4] = [b"", b"a", &[7; 1000], &[0; 100_000]];
        let mut stream = Vec::new();
        let mut expected = Vec::new();
        for (number, body) in bodies.into_iter().enumerate() {
            let (kind, sequence) = (number as u32 + 1, u64::MAX - number as u64);
            stream.extend_from_slice(&frame(kind, sequence, body));
            expected.push((kind, sequence, body.to_vec()));
        }
        for piece in [1, 23, 24, 25, 1024, 65_536, stream.len()] {
            assert_eq!(
                decode(&stream, piece).as_ref(),
                Ok(&expected),
                "in pieces of {piece}"
            );
        }
    }

    #[test]
    fn a_stream_out_of_step_is_an_error() {
        let mut stream = b"hello\n".to_vec();
        stream.extend_from_slice(&frame(1, 1, b"body"));
        assert_eq!(decode(&stream, 7), Err(FrameError::OutOfStep));
        assert_eq!(decode(&[0; HEADER], 24), Err(FrameError::OutOfStep));
        assert_eq!(decode(&[0xFF; 2 * HEADER], 48), Err(FrameError::OutOfStep));
    }

    #[test]
    fn a_length_that_is_only_claimed_costs_no_memory() {
        let claim = |length| {
            let header = Header {
                length,
                sequence: 0,
                kind: 1,
            };
            header.encode()
        };
        assert_eq!(
            decode(&claim(BODY_MAX + 1), 24),
            Err(FrameError::TooLong(BODY_MAX + 1)),
        );
        let mut decoder = Decoder::new();
        decoder.room().unwrap().extend_from_slice(&claim(BODY_MAX));
        assert_eq!(decoder.next(), Ok(None));
        assert!(!decoder.is_between_frames());
        assert!(decoder.room().unwrap().capacity() < 4 * CHUNK);
    }

    #[test]
    fn room_grows_with_what_has_come_and_is_given_back() {
        let stream = frame(1, 1, &vec![1; 8 << 20]);
        let mut decoder = Decoder::new();
        let mut rest = &stream[..];
        while !rest.is_empty() {
            let before = stream.len() - rest.len();
            let room = decoder.room().unwrap();
            assert!(room.capacity() <= 2 * before + 2 * CHUNK);
            let (now, later) = rest.split_at(rest.len().min(room.capacity() - room.len()));
            room.extend_from_slice(now);
            rest = later;
        }
        let (header, body) = decoder.next().unwrap().unwrap();
        assert_eq!(header.length, 8 << 20);
        assert_eq!(decoder.body(body).len(), 8 << 20);
        assert!(decoder.is_between_frames());
        assert!(decoder.room().unwrap().capacity() <= 2 * CHUNK);
    }

    /// Streams with a few bytes changed, cut out or put in, in random pieces: an error or frames, and
    /// never a panic or much memory. A frame that comes out was in the stream before the first change.
    #[test]
    fn damaged_streams_end_in_an_error_or_early() {
        let mut random = Random(0x9E37_79B9);
        for round in 0..20_000_u32 {
            let mut stream = Vec::new();
            let mut whole = Vec::new();
            for number in 0..1 + random.below(5) {
                let body: Vec<u8> = (0..random.below(80)).map(|_| random.next() as u8).collect();
                stream.extend_from_slice(&frame(round, number as u64, &body));
                whole.push((round, number as u64, body));
            }
            for _ in 0..1 + random.below(3) {
                let at = random.below(stream.len());
                match random.below(3) {
                    0 => stream[at] ^= 1 << random.below(8),
                    1 => drop(stream.drain(at..(at + random.below(30)).min(stream.len() - 1))),
                    _ => stream.insert(at, random.next() as u8),
                }
            }
            let piece = 1 + random.below(stream.len());
            let mut decoder = Decoder::new();
            let mut seen = 0;
            'pieces: for piece in stream.chunks(piece) {
                let room = decoder.room().unwrap();
                assert!(room.capacity() <= 4 * CHUNK);
                room.extend_from_slice(piece);
                loop {
                    match decoder.next() {
                        Ok(Some((header, body))) => {
                            // Only headers carry a check, not bodies.
                            let known = whole.iter().find(|it| it.1 == header.sequence);
                            let known = known.expect("a header that nobody wrote");
                            assert_eq!((known.0, known.2.len()), (header.kind, body.len()));
                            seen += 1;
                        }
                        Ok(None) => break,
                        Err(_) => break 'pieces,
                    }
                }
            }
            assert!(seen <= whole.len());
        }
    }

    /// Bytes that never were a frame.
    #[test]
    fn noise_is_no_frame() {
        let mut random = Random(88_172_645_463_325_252);
        for _ in 0..2_000 {
            let noise: Vec<u8> = (0..random.below(400))
                .map(|_| random.next() as u8)
                .collect();
            let frames = decode(&noise, 1 + random.below(64)).unwrap_or_default();
            assert!(frames.is_empty());
        }
    }
}
