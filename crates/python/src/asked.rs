//! What a running task asks the worker for: messages to publish, commands for Redis.

use redis::Value;
use rhubarb_queue::{Client, Outgoing};
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use crate::frames;

/// The most commands of one question.
const MOST: usize = 100_000;

/// Where a message goes.
#[derive(Debug, Deserialize)]
pub(crate) struct To {
    queue: String,
    priority: u8,
}

impl To {
    /// Puts a message to it.
    pub(crate) fn with(self, message: Vec<u8>) -> Outgoing {
        Outgoing { queue: self.queue, priority: self.priority, message }
    }
}

/// Commands for Redis.
#[derive(Debug, Deserialize)]
pub(crate) struct Commands {
    database: Database,
    /// How many words each has.
    commands: Vec<usize>,
    atomic: bool,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Database {
    Queue,
    Results,
}

/// An answer without a value.
#[derive(Debug, Serialize)]
struct Answer {
    kind: &'static str,
    error: Option<String>,
}

fn answer(error: Option<String>) -> Vec<u8> {
    frames::encode(&Answer { kind: "answer", error }, &[])
}

/// Publishes messages and returns the answer.
pub(crate) async fn publish(client: &Client, to: Vec<To>, parts: Vec<Vec<u8>>) -> Vec<u8> {
    let mut messages: Vec<Outgoing> =
        to.into_iter().zip(parts).map(|(to, message)| to.with(message)).collect();
    let sent = client.send_encoded(&mut messages).await;
    answer(sent.err().map(|error| error.to_string()))
}

/// Carries out commands and returns the answer.
pub(crate) async fn commands(client: &Client, commands: Commands, parts: &[Vec<u8>]) -> Vec<u8> {
    let connection = match commands.database {
        Database::Queue => client.queue(),
        Database::Results => client.results(),
    };
    let Some(pipeline) = pipeline(&commands, parts) else {
        return answer(Some("these are no commands for Redis".to_owned()));
    };
    match connection.pipe::<Vec<Value>>(&pipeline).await {
        Ok(values) => {
            let mut parts = Vec::new();
            let values: Vec<Json> = values.into_iter().map(|one| plain(one, &mut parts)).collect();
            let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
            frames::encode(&json!({"kind": "answer", "values": values}), &parts)
        }
        Err(error) => answer(Some(error.to_string())),
    }
}

fn pipeline(commands: &Commands, mut words: &[Vec<u8>]) -> Option<redis::Pipeline> {
    let mut pipeline = redis::pipe();
    if commands.atomic {
        pipeline.atomic();
    }
    if commands.commands.len() > MOST {
        return None;
    }
    for n in &commands.commands {
        let (own, rest) = words.split_at_checked(*n)?;
        let (name, args) = own.split_first()?;
        let command = pipeline.cmd(std::str::from_utf8(name).ok()?);
        args.iter().for_each(|arg| {
            command.arg(arg.as_slice());
        });
        words = rest;
    }
    Some(pipeline)
}

/// An answer of Redis's as JSON; bytes are passed as parts.
fn plain(value: Value, parts: &mut Vec<Vec<u8>>) -> Json {
    let mut bytes = |bytes: Vec<u8>| {
        parts.push(bytes);
        json!({"part": parts.len() - 1})
    };
    match value {
        Value::Nil => Json::Null,
        Value::Int(n) => n.into(),
        Value::Boolean(yes) => yes.into(),
        Value::Okay => bytes(b"OK".to_vec()),
        Value::Double(n) => bytes(n.to_string().into_bytes()),
        Value::BulkString(text) => bytes(text),
        Value::SimpleString(text) => bytes(text.into_bytes()),
        Value::Array(values) | Value::Set(values) => {
            values.into_iter().map(|one| plain(one, parts)).collect()
        }
        Value::Map(pairs) => {
            let flat = pairs.into_iter().flat_map(|(key, value)| [key, value]);
            flat.map(|one| plain(one, parts)).collect()
        }
        _ => Json::Null,
    }
}
