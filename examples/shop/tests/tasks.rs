//! The shop's tasks without Redis and without a worker.

use rhubarb::{assert_published, prelude::*, testing::Eager};
use shop::{add, price, register};

fn shop() -> Eager {
    let mut app = rhubarb::testing::app();
    register(&mut app).unwrap();
    Eager::new(app).unwrap()
}

#[tokio::test]
async fn a_sum_that_is_too_large_fails() {
    let ran = shop().run(add::call(i64::MAX).publish().unwrap()).await;
    assert_eq!(ran.exception().exc_type, "OverflowError");
}

#[tokio::test(start_paused = true)]
async fn a_price_is_looked_up_again() {
    let ran = shop().run(price::call("tea").publish().unwrap()).await;
    assert_eq!((ran.value::<i64>(), ran.waits.len()), (350, 1));
}

#[tokio::test]
async fn what_is_published_is_recorded() {
    let shop = shop();
    add::call(2).y(3).send(shop.client()).await.unwrap();
    assert_published!(shop, "shop.add", args = [2], kwargs = {"y": 3});
}
