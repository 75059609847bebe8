//! Python and Rust workers beside each other, and the ways from one kind to the other.

/// The way in: messages that dead Python workers had not acknowledged.
mod adopting;
/// What is published to all workers at once.
mod broadcasting;
/// One Python and one Rust worker on one queue.
mod fleet;
/// The way out: what a Python worker would not find.
mod handing_back;
/// A task that moves from one kind to the other by shares.
mod sharing;

use std::process::Command;

use redis::aio::MultiplexedConnection;
use rhubarb_e2e::{process::Process, python::Python, redis_server::RedisServer};

use crate::{OWN_WORKER, shop::Shop};

/// The lists of the default queue, most urgent first.
const LISTS: [&str; 4] =
    ["celery", "celery\u{6}\u{16}3", "celery\u{6}\u{16}6", "celery\u{6}\u{16}9"];

/// A shop whose Rust workers are `own_worker`, with a lease that a test may wait for.
async fn shop_with_lease(seconds: u64) -> Shop {
    let mut shop = Shop::open_on(RedisServer::start().await, "").await;
    shop.installation.set("RHUBARB_WORKER_LEASE", &seconds.to_string());
    shop
}

fn own_worker(shop: &Shop, args: &[&str]) -> Process {
    shop.installation.start("own-worker", OWN_WORKER, args)
}

/// Starts a Celery worker with the tasks of `interop/fleet.py` on the default queue.
fn celery_worker(shop: &Shop, python: &Python, args: &[&str]) -> Process {
    Process::start("celery", shop.installation.folder(), celery_command(python, args))
}

fn celery_command(python: &Python, args: &[&str]) -> Command {
    let line = ["-m", "celery", "-A", "fleet", "worker", "-l", "info"];
    python.command(&[&line, args].concat())
}

/// All messages that wait in the default queue by list, the next to be taken first.
async fn waiting(queue: &mut MultiplexedConnection) -> Vec<Vec<Vec<u8>>> {
    let mut lists = Vec::new();
    for list in LISTS {
        let mut messages: Vec<Vec<u8>> =
            redis::cmd("LRANGE").arg(list).arg(0).arg(-1).query_async(queue).await.unwrap();
        messages.reverse();
        lists.push(messages);
    }
    lists
}

/// The ids of all messages that wait in the default queue, in the order in which they would be
/// taken.
async fn waiting_ids(queue: &mut MultiplexedConnection) -> Vec<String> {
    let id = |message: &Vec<u8>| {
        let message: serde_json::Value = serde_json::from_slice(message).unwrap();
        message["headers"]["id"].as_str().unwrap().to_owned()
    };
    waiting(queue).await.concat().iter().map(id).collect()
}

async fn int(queue: &mut MultiplexedConnection, command: &str, key: &str) -> usize {
    redis::cmd(command).arg(key).query_async(queue).await.unwrap()
}
