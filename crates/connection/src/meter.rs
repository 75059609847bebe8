//! What an answer may take: counted from its bytes as they come, before anything is made of them.
//!
//! The parser makes room for as many values as an answer's head says, and keeps what has come until
//! the rest is there. A server that is hostile or broken would therefore cost all memory with a few
//! bytes, or with an answer that never ends. An answer that would take more than its limit ends its
//! connection.

use std::{
    fmt, io,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use redis::RedisResult;

use crate::error::{inside, is_loss};

/// What one value takes beside its bytes.
const VALUE: u64 = 64;
/// The most digits of a length.
const DIGITS: usize = 19;

/// What the requests on one connection may be answered with.
#[derive(Debug)]
pub(crate) struct Allowance {
    /// The most that the answer to one request may take, bytes.
    limit: AtomicU64,
    /// How many requests wait for their answers.
    waiting: AtomicUsize,
    /// How many have had theirs.
    answered: AtomicU64,
}

impl Allowance {
    pub(crate) fn new(limit: u64) -> Arc<Self> {
        let limit = AtomicU64::new(limit);
        Arc::new(Self { limit, waiting: AtomicUsize::new(0), answered: AtomicU64::new(0) })
    }

    /// Lets each answer take this much, if it is more than before.
    pub(crate) fn raise(&self, limit: u64) {
        self.limit.fetch_max(limit, Ordering::Relaxed);
    }

    /// Notes a request, until what is returned is dropped.
    pub(crate) fn request(self: &Arc<Self>) -> Request {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        Request(Arc::clone(self))
    }
}

/// A request that waits for its answer.
#[derive(Debug)]
pub(crate) struct Request(Arc<Allowance>);

impl Drop for Request {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
        self.0.answered.fetch_add(1, Ordering::Relaxed);
    }
}

/// An answer that was not read to its end, for it takes too much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooLarge {
    /// The most that an answer may take, bytes.
    pub(crate) limit: u64,
}

impl TooLarge {
    /// Returns it if an error is for that.
    pub(crate) fn of(error: &redis::RedisError) -> Option<Self> {
        inside(error).copied()
    }
}

impl fmt::Display for TooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the answer takes more than {} MiB", self.limit >> 20)
    }
}

impl std::error::Error for TooLarge {}

/// Counts what comes on one connection.
#[derive(Debug)]
pub(crate) struct Meter {
    allowance: Arc<Allowance>,
    /// How many requests had been answered when `charged` was last nothing.
    answered: u64,
    /// What the answers take that came since.
    charged: u64,
    /// What the value took that is being read, if the server sends it unasked.
    unasked: Option<u64>,
    /// Tells others what the meter refused.
    refused: Refused,
    /// How many values are still to come until the outermost one ends.
    open: u64,
    state: State,
}

/// What a meter refused, for who knows the connection alone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Refused(Arc<OnceLock<TooLarge>>);

impl Refused {
    /// Returns the answer to a pipeline: its error says only that the connection has ended, for the
    /// client tells a pipeline that is not answered in full nothing else (redis 1.8).
    pub(crate) fn explain<T>(&self, answer: RedisResult<T>) -> RedisResult<T> {
        answer.map_err(|error| match self.0.get() {
            Some(refused) if is_loss(&error) => too_large(*refused).into(),
            _ => error,
        })
    }
}

fn too_large(refused: TooLarge) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, refused)
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// A value's first byte is next.
    Kind,
    /// In the digits of a length.
    Length { kind: u8, length: Length },
    /// In a line of text; whether its last byte was a carriage return.
    Text { returned: bool },
    /// In bytes of a known number, with the end of their line.
    Bytes { left: u64 },
}

#[derive(Clone, Copy, Debug, Default)]
struct Length {
    n: u64,
    digits: usize,
    is_negative: bool,
    returned: bool,
}

impl Meter {
    pub(crate) fn new(allowance: Arc<Allowance>) -> Self {
        let answered = allowance.answered.load(Ordering::Relaxed);
        Self {
            allowance,
            answered,
            charged: 0,
            unasked: None,
            refused: Refused::default(),
            open: 0,
            state: State::Kind,
        }
    }

    pub(crate) fn refused(&self) -> Refused {
        self.refused.clone()
    }

    /// Counts what has come.
    ///
    /// # Errors
    ///
    /// [`TooLarge`], or that this is no answer of a Redis: the connection is of no more use.
    pub(crate) fn read(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        let answered = self.allowance.answered.load(Ordering::Relaxed);
        if answered != self.answered {
            self.answered = answered;
            self.charged = 0;
        }
        while !bytes.is_empty() {
            bytes = self.step(bytes)?;
        }
        Ok(())
    }

    fn step<'b>(&mut self, bytes: &'b [u8]) -> io::Result<&'b [u8]> {
        match self.state {
            State::Kind => self.kind(bytes[0])?,
            State::Length { kind, mut length } => match length.read(bytes[0])? {
                true => self.length(kind, length)?,
                false => self.state = State::Length { kind, length },
            },
            State::Text { returned } => return self.text(bytes, returned),
            State::Bytes { left } => return Ok(self.bytes(bytes, left)),
        }
        Ok(&bytes[1..])
    }

    fn kind(&mut self, kind: u8) -> io::Result<()> {
        if self.open == 0 {
            self.open = 1;
            self.unasked = (kind == b'>').then_some(self.charged);
            self.charge(VALUE)?;
        }
        self.state = match kind {
            b'*' | b'~' | b'>' | b'%' | b'|' | b'$' | b'=' | b'!' => {
                State::Length { kind, length: Length::default() }
            }
            b'+' | b'-' | b':' | b',' | b'#' | b'_' | b'(' => State::Text { returned: false },
            _ => {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "what answers is no Redis"));
            }
        };
        Ok(())
    }

    fn length(&mut self, kind: u8, length: Length) -> io::Result<()> {
        let n = if length.is_negative { 0 } else { length.n };
        match kind {
            b'$' | b'=' | b'!' if !length.is_negative => {
                self.charge(n)?;
                self.state = State::Bytes { left: n.saturating_add(2) };
            }
            // A null.
            b'$' => self.ended(),
            b'=' | b'!' => return Err(odd_length()),
            b'%' => self.values(n.saturating_mul(2))?,
            b'|' if !length.is_negative => self.values(n.saturating_mul(2).saturating_add(1))?,
            b'|' => return Err(odd_length()),
            _ => self.values(n)?,
        }
        Ok(())
    }

    /// Counts the values that one consists of.
    fn values(&mut self, n: u64) -> io::Result<()> {
        self.charge(n.saturating_mul(VALUE))?;
        self.open = self.open.saturating_add(n);
        self.ended();
        Ok(())
    }

    fn text<'b>(&mut self, bytes: &'b [u8], returned: bool) -> io::Result<&'b [u8]> {
        if returned && bytes[0] == b'\n' {
            self.ended();
            return Ok(&bytes[1..]);
        }
        let line = bytes.iter().position(|byte| *byte == b'\r');
        let n = line.map_or(bytes.len(), |at| at + 1);
        self.charge(n as u64)?;
        self.state = State::Text { returned: line.is_some() };
        Ok(&bytes[n..])
    }

    fn bytes<'b>(&mut self, bytes: &'b [u8], left: u64) -> &'b [u8] {
        let n = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
        let left = left - n as u64;
        if left == 0 {
            self.ended();
        } else {
            self.state = State::Bytes { left };
        }
        &bytes[n..]
    }

    /// Notes the end of a value, or of the head of one that consists of others.
    fn ended(&mut self) {
        self.state = State::Kind;
        self.open -= 1;
        if self.open == 0
            && let Some(before) = self.unasked.take()
        {
            // It is handed on at once, and waits for no request to end.
            self.charged = self.charged.min(before);
        }
    }

    fn charge(&mut self, n: u64) -> io::Result<()> {
        self.charged = self.charged.saturating_add(n);
        let limit = self.allowance.limit.load(Ordering::Relaxed);
        if self.charged <= limit {
            return Ok(());
        }
        // Each of the requests under way may have an answer, some of which nobody has taken yet.
        let waiting = self.allowance.waiting.load(Ordering::Relaxed).max(1) as u64;
        if self.charged <= limit.saturating_mul(waiting) && n <= limit {
            return Ok(());
        }
        Err(too_large(*self.refused.0.get_or_init(|| TooLarge { limit })))
    }
}

impl Length {
    /// Takes one byte; tells whether it was the last.
    fn read(&mut self, byte: u8) -> io::Result<bool> {
        match byte {
            b'\n' if self.returned && self.digits > 0 => return Ok(true),
            b'\r' if !self.returned => self.returned = true,
            b'-' if self.digits == 0 && !self.is_negative && !self.returned => {
                self.is_negative = true;
            }
            b'0'..=b'9' if self.digits < DIGITS && !self.returned => {
                self.n = self.n.saturating_mul(10).saturating_add(u64::from(byte - b'0'));
                self.digits += 1;
            }
            _ => return Err(odd_length()),
        }
        Ok(false)
    }
}

fn odd_length() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "what answers is no Redis: a length is no number")
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: u64 = 10_000;

    fn meter() -> (Arc<Allowance>, Meter) {
        let allowance = Allowance::new(LIMIT);
        (allowance.clone(), Meter::new(allowance))
    }

    fn is_too_large(read: io::Result<()>) -> bool {
        read.is_err_and(|error| TooLarge::of(&error.into()) == Some(TooLarge { limit: LIMIT }))
    }

    #[test]
    fn answers_of_every_kind_are_read_to_their_end_however_they_are_cut() {
        let all =
            b"+OK\r\n-ERR a\rb\nc\r\n:12\r\n$5\r\n\r\n\r\nx\r\n$0\r\n\r\n$-1\r\n*-1\r\n*0\r\n_\r\n\
            *2\r\n*1\r\n:1\r\n$1\r\na\r\n%1\r\n+k\r\n~1\r\n,1.5\r\n|1\r\n+a\r\n+b\r\n#t\r\n\
            =7\r\ntxt:abc\r\n!3\r\nERR\r\n(123\r\n>2\r\n$7\r\nmessage\r\n+x\r\n>0\r\n";
        for size in [1, 2, 3, 7, all.len()] {
            let (_, mut meter) = meter();
            for part in all.chunks(size) {
                meter.read(part).unwrap();
            }
            assert!(matches!(meter.state, State::Kind) && meter.open == 0, "{meter:?}");
        }
    }

    #[test]
    fn what_an_answer_says_that_it_will_take_is_refused_before_it_comes() {
        for head in [
            "$10000\r\n",
            "*157\r\n",
            "*1\r\n%80\r\n",
            "~9223372036854775807\r\n",
            "|9223372036854775807\r\n",
            "%9999999999999999999\r\n",
            ">1000\r\n",
        ] {
            assert!(is_too_large(meter().1.read(head.as_bytes())), "{head}");
        }
        meter().1.read(b"*150\r\n").unwrap();
    }

    #[test]
    fn what_never_ends_is_refused_once_it_takes_too_much() {
        for endless in ["+xxxxxxxxx", "*1\r\n", "%1\r\n:1\r\n", "*9\r\n:1\r\n$5\r\naaaaa\r\n"] {
            let (_, mut meter) = meter();
            let mut n = 0;
            let error = loop {
                n += 1;
                if let Err(error) = meter.read(endless.as_bytes()) {
                    break error;
                }
            };
            assert!(n * endless.len() <= 10_100, "{endless}: {n}");
            assert!(is_too_large(Err(error)), "{endless}");
        }
    }

    #[test]
    fn every_request_may_have_an_answer_of_its_own() {
        let (allowance, mut meter) = meter();
        let answer = format!("$9000\r\n{}\r\n", "x".repeat(9_000));
        let first = allowance.request();
        meter.read(answer.as_bytes()).unwrap();
        assert!(is_too_large(Meter::new(allowance.clone()).read(answer.repeat(2).as_bytes())));
        drop(first);
        for _ in 0..10 {
            let _request = allowance.request();
            meter.read(answer.as_bytes()).unwrap();
        }
        let (_one, _other) = (allowance.request(), allowance.request());
        meter.read(answer.repeat(2).as_bytes()).unwrap();
        assert!(is_too_large(meter.read(answer.as_bytes())));
    }

    #[test]
    fn what_comes_unasked_is_counted_by_itself() {
        let (_, mut meter) = meter();
        let push = format!(">2\r\n+message\r\n$8000\r\n{}\r\n", "x".repeat(8_000));
        for _ in 0..10 {
            meter.read(push.as_bytes()).unwrap();
        }
        meter.read(b"+OK\r\n").unwrap();
    }

    #[test]
    fn what_no_redis_says_is_refused() {
        for odd in ["HTTP/1.1 400\r\n", "*?\r\n", "$ 5\r\n", "$\r\n", "=-1\r\n", "$1\n", "*--1\r\n"]
        {
            let error = meter().1.read(odd.as_bytes()).unwrap_err();
            assert!(error.to_string().starts_with("what answers is no Redis"), "{odd}: {error}");
        }
        let digits = format!("*{}\r\n", "0".repeat(20));
        meter().1.read(digits.as_bytes()).unwrap_err();
    }
}
