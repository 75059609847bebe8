//! Kombu's `Broadcast` queues: each worker runs what is published to all.

use rhubarb_e2e::eventually::eventually;

use super::{int, own_worker, shop_with_lease};
use crate::shop::SOON;

/// Publishes as Celery does once the exchange is known on its connection; before that, its own
/// workers hear nothing.
const PUBLISH: &str = "
import sys
from celery import Celery
from kombu.common import Broadcast
app = Celery(broker=sys.argv[1], backend=sys.argv[1])
app.conf.task_queues = (Broadcast('bcast'),)
exchange = app.amqp.queues['bcast'].exchange
app.send_task('e2e.sleep', (0,), queue='bcast', declare=[exchange], task_id=sys.argv[2])
app.send_task('python.echo', (0,), queue='bcast', declare=[exchange])
";

#[tokio::test]
async fn each_worker_runs_what_is_published_to_a_broadcast_queue() {
    let shop = shop_with_lease(2).await;
    let Some(python) = shop.python() else { return };
    let mut queue = shop.queue().await;
    let mut workers: Vec<_> = ["one", "two"]
        .map(|name| own_worker(&shop, &["-Q", "bcast", "-n", &format!("{name}@here")]))
        .into_iter()
        .collect();
    eventually(SOON, "both listen", async || {
        let heard: (String, usize) = redis::cmd("PUBSUB")
            .arg("NUMSUB")
            .arg("/0.bcast/celery")
            .query_async(&mut queue)
            .await
            .unwrap();
        (heard.1 == 2).then_some(())
    })
    .await;
    let url = shop.installation.redis.url(0);
    let publish = python.command(&["-c", PUBLISH, &url, "the-id"]).status().unwrap();
    assert!(publish.success());
    for worker in &mut workers {
        worker.line("the-id", SOON).await;
    }
    let result = shop.client().wait("the-id", SOON, |_| {}).await.unwrap().unwrap();
    assert_eq!(result.result, 0.0, "{result:?}");
    assert_eq!(int(&mut queue, "ZCARD", "rhubarb:parked").await, 0, "Python's own are for Python");
}
