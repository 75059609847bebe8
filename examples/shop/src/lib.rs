//! The shop's tasks: each is declared once, for the worker that runs it and for those who call it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use rhubarb::prelude::*;
use serde::{Deserialize, Serialize};

/// What the tasks share: one till for the whole process. Cloning it clones the handle.
#[derive(Clone, Debug, Default)]
pub struct Till(Arc<Mutex<i64>>);

/// What somebody buys.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Order {
    /// The article's name.
    pub item: String,
    /// How many of it.
    pub count: u32,
}

/// Adds two numbers, as Python's `def add(x, y=1)` would.
#[task(name = "shop.add", queue = "shop")]
pub async fn add(x: i64, #[default(1)] y: i64) -> Result<i64, TaskError> {
    x.checked_add(y).ok_or_else(|| TaskError::failed("OverflowError", "the sum is too large"))
}

/// Looks up a price with somebody unreliable: what passes by itself is tried again.
#[task(name = "shop.price", queue = "shop", retry = RetryPolicy {
    max_retries: 5,
    base: Duration::from_millis(100),
    cap: Duration::from_secs(30),
})]
pub async fn price(context: TaskContext, item: String) -> Result<i64, TaskError> {
    if context.info().retries == 0 {
        return Err(TaskError::transient("ConnectionError", "the price list is being printed"));
    }
    match item.as_str() {
        "tea" => Ok(350),
        "jam" => Ok(200),
        _ => Err(TaskError::failed("KeyError", item)),
    }
}

/// Sells what was ordered, each at its price in cents, and tells what the till holds then.
#[task(name = "shop.sell", queue = "shop", time_limit = 60)]
pub async fn sell(
    State(till): State<Till>,
    #[args] orders: Vec<Order>,
    #[kwargs] prices: BTreeMap<String, i64>,
) -> anyhow::Result<i64> {
    let mut sum = 0;
    for Order { item, count } in &orders {
        let price = prices.get(item);
        sum += price.ok_or_else(|| anyhow::anyhow!("`{item}` has no price"))? * i64::from(*count);
    }
    let mut till = till.0.lock().unwrap_or_else(PoisonError::into_inner);
    *till += sum;
    Ok(*till)
}

/// Adds many numbers: the end of a chord. It computes, and so it is no async function.
#[task(name = "shop.total", queue = "shop")]
pub fn total(numbers: Vec<i64>) -> i64 {
    numbers.iter().sum()
}

/// Registers all of them.
///
/// # Errors
///
/// None; a worker's `main` asks for a `Result`.
pub fn register(app: &mut App) -> anyhow::Result<()> {
    app.state(Till::default());
    app.add_all([add::task(), price::task(), sell::task(), total::task()]);
    Ok(())
}
