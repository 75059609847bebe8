//! Chains, groups and chords from Rust: a client that publishes them and waits for what they come
//! to.
//!
//! The tasks are those of the example `own_tasks`, by their names; a Python worker that knows tasks
//! of these names may run any part.
//!
//! ```sh
//! cargo run --example own_tasks -- --queues shop &
//! cargo run --example canvas
//! ```

use anyhow::Context;
use rhubarb::{
    canvas::{Joined, Signature, chain, chord, group},
    prelude::*,
};

/// `shop.add` with arguments; what comes from the task before goes in front of them.
fn add(args: &[i64]) -> Signature {
    args.iter().fold(Signature::new("shop.add").queue("shop"), |add, arg| add.arg(*arg))
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let client = rhubarb::connect(&rhubarb::configuration()?)?;

    show(&client, "1 + 2, then + 3", chain(vec![add(&[1, 2]), add(&[3])])).await?;
    show(&client, "two sums at once", group(vec![add(&[1, 2]), add(&[3, 4])])).await?;
    let sums = vec![add(&[1, 2]), add(&[3, 4]), add(&[5, 6])];
    let total = Signature::new("shop.total").queue("shop");
    show(&client, "their total, then + 100", chord(sums, total.then(add(&[100])))).await
}

async fn show(client: &Client, what: &str, canvas: Signature) -> anyhow::Result<()> {
    let result = client.apply(canvas).await?;
    let joined = client.join(&result, Duration::from_secs(30)).await?;
    match joined.context("no worker ran it in time: is `own_tasks` running?")? {
        Joined::Success(value) => println!("{what}: {value}"),
        Joined::Failed(failed) => {
            println!("{what}: task {} ended as {}", failed.task_id, failed.status)
        }
    }
    Ok(())
}
