//! Gives the shop's worker work, and prints what it made of it: `cargo run --bin order`.

use rhubarb::prelude::*;
use shop::{Order, add, price, sell, total};

/// How long a result is waited for.
const SOON: Duration = Duration::from_secs(30);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let client = rhubarb::connect(&rhubarb::configuration()?)?;

    let sum = add::call(2).y(3).send(&client).await?;
    println!("2 + 3 = {}", sum.get(SOON).await?);

    let tea = price::call("tea").send(&client).await?.get(SOON).await?;
    let order = Order { item: "tea".to_owned(), count: 2 };
    let sold = sell::call().orders(vec![order]).prices([("tea".to_owned(), tea)].into());
    println!("the till holds {}", sold.send(&client).await?.get(SOON).await?);

    let sums = vec![add::call(1).signature()?, add::call(2).y(2).signature()?];
    let result = client.apply(chord(sums, total::partial().signature()?)).await?;
    println!("the chord's end: {:?}", client.join(&result, SOON).await?);
    Ok(())
}
