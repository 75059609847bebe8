//! What the beat promises, from outside: processes, real networks, real RedBeat, the command line.

mod editing;
mod failover;
mod faults;
mod python;

use redis::{AsyncCommands, aio::MultiplexedConnection};
use serde_json::Value;

/// The messages of a queue that nobody serves, the first published first.
async fn messages(redis: &mut MultiplexedConnection, queue: &str) -> Vec<Value> {
    let messages: Vec<String> = redis.lrange(queue, 0, -1).await.unwrap();
    messages.iter().rev().map(|message| serde_json::from_str(message).unwrap()).collect()
}

fn id(message: &Value) -> String {
    message["headers"]["id"].as_str().unwrap().to_owned()
}
