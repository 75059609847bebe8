//! Where one message of the Redis protocol ends (RESP2 and RESP3, as of Redis 7.0), and what its
//! command is.

/// What stands at the beginning of a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Frame {
    /// A whole message of this many bytes.
    Whole(usize),
    /// The beginning of one.
    Part,
    /// No message of this protocol (TLS, say).
    Foreign,
}

/// Looks at the beginning of a buffer.
pub(crate) fn frame(bytes: &[u8]) -> Frame {
    match end_of(bytes, 0, 0) {
        Ok(end) => Frame::Whole(end),
        Err(Stop::Part) => Frame::Part,
        Err(Stop::Foreign) => Frame::Foreign,
    }
}

/// Returns a request's command, in capitals; empty for what is no request.
pub(crate) fn command(request: &[u8]) -> String {
    let mut lines = request.split(|&b| b == b'\n');
    let name = match lines.next() {
        Some([b'*', ..]) => lines.nth(1),
        Some(inline) => inline.split(|&b| b == b' ').next(),
        None => None,
    };
    let name = name.unwrap_or_default().trim_ascii_end();
    String::from_utf8_lossy(name).to_ascii_uppercase()
}

/// Tells whether a message from the server was sent unasked.
pub(crate) fn is_push(message: &[u8]) -> bool {
    message.first() == Some(&b'>')
}

enum Stop {
    Part,
    Foreign,
}

/// How deep Redis nests its answers at the most; a bound for our own stack.
const DEPTH: usize = 32;

fn end_of(bytes: &[u8], start: usize, depth: usize) -> Result<usize, Stop> {
    if depth > DEPTH {
        return Err(Stop::Foreign);
    }
    let rest = bytes.get(start..).filter(|rest| !rest.is_empty()).ok_or(Stop::Part)?;
    if !rest[0].is_ascii_graphic() {
        return Err(Stop::Foreign);
    }
    let line = rest.windows(2).position(|two| two == b"\r\n").ok_or(Stop::Part)?;
    let after = start + line + 2;
    let n = || -> Result<Option<usize>, Stop> {
        let text = std::str::from_utf8(&rest[1..line]).map_err(|_| Stop::Foreign)?;
        match text.parse::<i64>() {
            Ok(n) => Ok(usize::try_from(n).ok()),
            Err(_) => Err(Stop::Foreign),
        }
    };
    match rest[0] {
        b'$' | b'!' | b'=' => match n()? {
            Some(n) if bytes.len() >= after + n + 2 => Ok(after + n + 2),
            Some(_) => Err(Stop::Part),
            None => Ok(after),
        },
        b'*' | b'~' | b'>' => items(bytes, after, n()?.unwrap_or(0), depth),
        b'%' | b'|' => items(bytes, after, 2 * n()?.unwrap_or(0), depth),
        // One line, a request typed by hand among them.
        _ => Ok(after),
    }
}

fn items(bytes: &[u8], start: usize, n: usize, depth: usize) -> Result<usize, Stop> {
    (0..n).try_fold(start, |at, _| end_of(bytes, at, depth + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_messages_end_is_found_in_each_of_its_kinds() {
        let whole = |bytes: &[u8]| {
            assert_eq!(frame(&[bytes, b"+next\r\n"].concat()), Frame::Whole(bytes.len()));
            for cut in 1..bytes.len() {
                assert_eq!(frame(&bytes[..cut]), Frame::Part, "{cut}");
            }
        };
        whole(b"+OK\r\n");
        whole(b"$3\r\na\r\n\r\n");
        whole(b"$-1\r\n");
        whole(b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n");
        whole(b"*-1\r\n");
        whole(b">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n");
        whole(b"%1\r\n+proto\r\n:3\r\n");
        whole(b"_\r\n");
        whole(b",1.5\r\n");
    }

    #[test]
    fn what_is_no_message_is_foreign() {
        assert_eq!(frame(&[0x16, 3, 1, 2, 0]), Frame::Foreign);
        assert_eq!(frame(b"$x\r\n"), Frame::Foreign);
        assert_eq!(frame("*1\r\n".repeat(1000).as_bytes()), Frame::Foreign);
    }

    #[test]
    fn a_requests_command_is_its_first_word() {
        assert_eq!(command(b"*2\r\n$3\r\nget\r\n$1\r\nk\r\n"), "GET");
        assert_eq!(command(b"ping\r\n"), "PING");
        assert_eq!(command(b"ping now\r\n"), "PING");
        assert_eq!(command(b""), "");
    }
}
