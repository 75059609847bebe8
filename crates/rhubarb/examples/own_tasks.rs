//! A worker with tasks of its own: shared state, arguments, a retry, a progress report.
//!
//! ```sh
//! cargo run --example own_tasks -- --queues shop
//! ```
//!
//! It takes every flag of `worker` (`--help` shows them) and the same configuration. Any Celery
//! client calls it:
//!
//! ```python
//! app.send_task("shop.add", args=[2], kwargs={"y": 3}, queue="shop").get()               # 5
//! app.send_task("shop.restock", kwargs={"items": ["tea", "jam"]}, queue="shop").get()    # {"tea": 1, "jam": 1}
//! app.send_task("shop.price", args=["tea"], queue="shop").get()                          # 3.5
//! ```

use std::{
    collections::BTreeMap,
    process::ExitCode,
    sync::{Arc, Mutex, PoisonError},
};

use rhubarb::prelude::*;

/// What the tasks share: one warehouse for the whole process. Cloning it clones the handle.
#[derive(Clone, Debug, Default)]
struct Warehouse {
    stock: Arc<Mutex<BTreeMap<String, u32>>>,
}

impl Warehouse {
    fn add(&self, item: &str) {
        let mut stock = self.stock.lock().unwrap_or_else(PoisonError::into_inner);
        *stock.entry(item.to_owned()).or_default() += 1;
    }

    fn all(&self) -> BTreeMap<String, u32> {
        self.stock.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The plainest task, as Python's `def add(x, y=1)`. An error fails it for good.
#[task(name = "shop.add", queue = "shop")]
async fn add(x: i64, #[default(1)] y: i64) -> Result<i64, TaskError> {
    x.checked_add(y).ok_or_else(|| TaskError::failed("OverflowError", "the sum is too large"))
}

/// The end of a chord: it is called with the results of the chord's header (see the example
/// `canvas`).
#[task(name = "shop.total", queue = "shop")]
async fn total(numbers: Vec<i64>) -> i64 {
    numbers.iter().sum()
}

/// A long task: shares state, tells how far it is, and ends early when the worker stops.
#[task(name = "shop.restock", queue = "shop", time_limit = 60, max_concurrency = 2)]
async fn restock(
    context: TaskContext,
    State(warehouse): State<Warehouse>,
    items: Vec<String>,
) -> Result<BTreeMap<String, u32>, TaskError> {
    let total = items.len() as u64;
    for (done, item) in (1..).zip(&items) {
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(200)) => warehouse.add(item),
            // The task goes back to its queue, and another worker begins it again.
            () = context.stopping() => return Err(TaskError::Cancelled),
        }
        context.progress(done, total, item).await;
    }
    Ok(warehouse.all())
}

/// A task that asks somebody unreliable: what passes by itself is tried again, what does not fails.
#[task(name = "shop.price", queue = "shop", retry = RetryPolicy {
    max_retries: 5,
    base: Duration::from_secs(1),
    cap: Duration::from_secs(30),
})]
async fn price(context: TaskContext, item: String) -> Result<f64, TaskError> {
    if context.info().retries == 0 {
        return Err(TaskError::transient("ConnectionError", "the price list is being printed"));
    }
    match item.as_str() {
        "tea" => Ok(3.5),
        "jam" => Ok(2.0),
        _ => Err(TaskError::failed("KeyError", item)),
    }
}

fn main() -> ExitCode {
    rhubarb::main(|app| {
        app.state(Warehouse::default());
        app.add_all([add::task(), total::task(), restock::task(), price::task()]);
        Ok(())
    })
}
