//! Pushing ready-made messages over a plain connection, so that nobody's client is measured.

use std::{
    fs,
    io::{BufRead, BufReader, BufWriter, Write},
    net::TcpStream,
    path::Path,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, bail};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::messages::{Template, fresh_id};

/// How many messages one LPUSH has when a list is filled.
const BATCH: usize = 100;
/// The most messages that are sent before their replies are read when they are due at once.
const MOST_AT_ONCE: usize = 500;

/// A list on a server, and the messages for it.
#[derive(Debug)]
pub(crate) struct Target {
    replies: BufReader<TcpStream>,
    list: String,
    template: Template,
    buffer: Vec<u8>,
}

impl Target {
    /// Connects and reads the template.
    pub(crate) fn open(address: &str, list: &str, template: &Path) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).with_context(|| format!("connect {address}"))?;
        stream.set_nodelay(true)?;
        let text = fs::read_to_string(template)
            .with_context(|| format!("read the template {}", template.display()))?;
        Ok(Self {
            replies: BufReader::new(stream),
            list: list.to_owned(),
            template: Template::parse(text.trim_end()),
            buffer: Vec::new(),
        })
    }

    /// Appends one LPUSH of these messages to what is to be sent.
    fn append(&mut self, ids: &[Uuid]) {
        let len = self.template.message_len();
        // Writing into memory cannot fail.
        let _ = write!(self.buffer, "*{}\r\n$5\r\nLPUSH\r\n", ids.len() + 2);
        let _ = write!(self.buffer, "${}\r\n{}\r\n", self.list.len(), self.list);
        for id in ids {
            let _ = write!(self.buffer, "${len}\r\n");
            self.template.write(*id, fresh_id(), &mut self.buffer);
            self.buffer.extend_from_slice(b"\r\n");
        }
    }

    /// Sends it and waits for that many replies.
    fn send(&mut self, replies: usize) -> anyhow::Result<()> {
        self.replies.get_mut().write_all(&self.buffer)?;
        self.buffer.clear();
        let mut line = String::new();
        for _ in 0..replies {
            line.clear();
            if self.replies.read_line(&mut line)? == 0 || !line.starts_with(':') {
                bail!("LPUSH was answered with `{}`", line.trim_end());
            }
        }
        Ok(())
    }
}

/// Fills the list.
pub(crate) fn load(mut target: Target, count: usize) -> anyhow::Result<Value> {
    let begun = Instant::now();
    let mut left = count;
    while left > 0 {
        let n = left.min(BATCH);
        let ids: Vec<Uuid> = std::iter::repeat_with(fresh_id).take(n).collect();
        target.append(&ids);
        target.send(1)?;
        left -= n;
    }
    let seconds = begun.elapsed().as_secs_f64();
    Ok(json!({"count": count, "seconds": seconds, "message_bytes": target.template.message_len()}))
}

/// Sends at a steady rate, however long the replies take: what is due by then goes together.
pub(crate) fn pace(
    mut target: Target,
    rate: f64,
    seconds: f64,
    log: &Path,
) -> anyhow::Result<Value> {
    let mut log = BufWriter::new(fs::File::create(log)?);
    let count = (rate * seconds).ceil();
    let begun = Instant::now();
    let mut sent = 0.0;
    while sent < count {
        let now = begun.elapsed().as_secs_f64();
        let wait = sent / rate - now;
        if wait > 0.0 {
            pause(Duration::from_secs_f64(wait));
            continue;
        }
        let mut at_once = 0;
        let at = SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos();
        while sent < count && sent / rate <= now && at_once < MOST_AT_ONCE {
            let id = fresh_id();
            target.append(&[id]);
            writeln!(log, "{id} {at}")?;
            (sent, at_once) = (sent + 1.0, at_once + 1);
        }
        target.send(at_once)?;
    }
    log.flush()?;
    Ok(json!({"count": sent, "seconds": begun.elapsed().as_secs_f64()}))
}

fn pause(time: Duration) {
    #[expect(clippy::disallowed_methods, reason = "the only thread waits for its next message")]
    std::thread::sleep(time);
}
