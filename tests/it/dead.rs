//! Dead letters and parked tasks as an operator has them: from a real kill to the command line.

use rhubarb_e2e::process::{Process, Signal};
use rhubarb_queue::Publish;
use serde_json::Value;

use crate::{
    OWN_WORKER,
    shop::{SOON, Shop},
};

async fn shop() -> Shop {
    let mut shop = Shop::open().await;
    shop.installation.set("RHUBARB_WORKER_LEASE", "1");
    shop.installation.set("RHUBARB_WORKER_MAX_DELIVERIES", "2");
    shop
}

fn own_worker(shop: &Shop, name: &str) -> Process {
    shop.installation.start(name, OWN_WORKER, &["--concurrency", "1", "--hostname", name])
}

/// Kills workers with SIGKILL while they sleep in a task, until it is a dead letter; returns it.
async fn kill_until_dead(shop: &Shop, id: &str) -> Value {
    for nth in 0..2 {
        let mut doomed = own_worker(shop, &format!("doomed{nth}@host"));
        rhubarb_e2e::eventually::eventually(SOON, "a worker runs it", async || {
            // It looks at one place after the other: a message that moves meanwhile may be seen in
            // none.
            let found = shop.rhubarb(&["task", id, "--json"]).await;
            let task = if found.code == 0 { found.json() } else { Value::Null };
            (task["place"] == "running" && task["worker"] == format!("doomed{nth}@host"))
                .then_some(())
        })
        .await;
        doomed.signal(Signal::KILL);
        doomed.ended(SOON).await;
    }
    let last = own_worker(shop, "last@host");
    let client = shop.client();
    let told = client.wait(id, SOON, |_| {}).await.unwrap().expect("whoever waits is told");
    assert_eq!(told.status.as_str(), "FAILURE");
    assert!(told.result.to_string().contains("2 workers died"), "{}", told.result);
    drop(last);
    shop.json(&["dead", "show", id]).await
}

#[tokio::test]
async fn a_task_whose_workers_are_killed_is_a_letter_with_their_deaths_and_comes_back_by_command() {
    let shop = shop().await;
    let client = shop.client();
    let sleep = |seconds: f64| Publish::new("e2e.sleep").arg(seconds);
    let id = client.publish(&sleep(60.0)).await.unwrap().id;

    let letter = kill_until_dead(&shop, &id).await;
    assert_eq!(letter["deliveries"], 2, "{letter:#}");
    let history = letter["history"].as_array().unwrap();
    assert_eq!(history.len(), 3, "{letter:#}");
    assert!(history[0]["error"].as_str().unwrap().contains("the worker died"), "{letter:#}");
    assert_ne!(history[0]["worker"], history[1]["worker"], "each process is named: {letter:#}");
    assert_eq!(history[2]["worker"], "last@host");
    let shown = shop.rhubarb(&["dead", "show", &id]).await;
    assert_eq!(shown.stdout.matches("attempt ").count(), 3, "{}", shown.stdout);

    let listed = |args: &'static [&str]| {
        let shop = &shop;
        async move { shop.json(&[&["dead", "list"], args].concat()).await.as_array().unwrap().len() }
    };
    assert_eq!(listed(&["--task", "e2e.sleep", "--queue", "celery", "--reason", "DIED"]).await, 1);
    assert_eq!(listed(&["--task", "e2e.who"]).await, 0);
    assert_eq!(listed(&["--older-than", "3600"]).await, 0);

    let none = shop.rhubarb(&["dead", "retry", "--queue", "mail"]).await;
    assert!(none.stdout.contains("0 dead letters"), "{}", none.stdout);
    let back = shop.rhubarb(&["dead", "retry", "--task", "e2e.sleep"]).await;
    assert!(back.code == 0 && back.stdout.contains("1 dead letter put back"), "{}", back.stdout);
    assert_eq!(client.result(&id).await.unwrap(), None, "its old result is gone");
    assert_eq!(shop.json(&["dead", "list"]).await, serde_json::json!([]));
    let again = kill_until_dead(&shop, &id).await;
    assert_eq!(again["deliveries"], 2, "its count began anew");
    let dropped = shop.rhubarb(&["dead", "drop", &id]).await;
    assert_eq!(dropped.code, 0, "{}", dropped.stderr);
    assert_eq!(shop.rhubarb(&["dead", "show", &id]).await.code, 1);
}

#[tokio::test]
async fn deaths_before_a_retry_are_told_as_well() {
    let shop = shop().await;
    let id = shop.client().publish(&Publish::new("e2e.kills")).await.unwrap().id;
    for nth in 0..3 {
        own_worker(&shop, &format!("doomed{nth}@host")).ended(SOON).await;
    }
    let last = own_worker(&shop, "last@host");
    shop.client().wait(&id, SOON, |_| {}).await.unwrap().expect("whoever waits is told");
    drop(last);
    let letter = shop.json(&["dead", "show", &id]).await;
    let history = letter["history"].as_array().unwrap();
    let told: Vec<bool> = history
        .iter()
        .map(|one| one["error"].as_str().unwrap().contains("the worker died"))
        .collect();
    assert_eq!(told, [true, false, true, true, false], "{letter:#}");
    assert!(history[1]["error"].as_str().unwrap().contains("not yet"), "{letter:#}");
}

#[tokio::test]
async fn parked_tasks_are_shown_and_dropped_and_a_choice_is_asked_for() {
    let shop = Shop::open().await;
    let _worker = shop.worker(&[]).await;
    let client = shop.client();
    for task in ["shop.a", "shop.a", "shop.b"] {
        client.publish(&Publish::new(task)).await.unwrap();
    }
    let parked = rhubarb_e2e::eventually::eventually(SOON, "three are parked", async || {
        let parked = shop.json(&["parked", "list"]).await;
        parked.as_array().filter(|parked| parked.len() == 3).cloned()
    })
    .await;
    let id = parked[0]["id"].as_str().unwrap();
    assert_eq!(shop.json(&["parked", "show", id]).await["id"], id);
    assert_eq!(shop.json(&["parked", "list", "--limit", "2"]).await.as_array().unwrap().len(), 2);
    for wrong in [&["parked", "drop"][..], &["parked", "drop", id, "--all"], &["dead", "retry"]] {
        assert_eq!(shop.rhubarb(wrong).await.code, 2, "{wrong:?}");
    }
    let dropped = shop.rhubarb(&["parked", "drop", "--task", "shop.a"]).await;
    assert!(dropped.stdout.contains("2 parked tasks dropped"), "{}", dropped.stdout);
    for kind in ["parked", "dead"] {
        let asked = shop.rhubarb(&[kind, "drop", "--all"]).await;
        assert!(asked.code == 2 && asked.stderr.contains("--yes"), "{kind}: {}", asked.stderr);
    }
    assert_eq!(shop.json(&["parked", "list"]).await.as_array().unwrap().len(), 1);
    let dropped = shop.rhubarb(&["parked", "drop", "--all", "--yes"]).await;
    assert!(dropped.stdout.contains("1 parked task dropped"), "{}", dropped.stdout);
}

/// Beside those of `bad_input`: what an operator may name.
#[tokio::test]
async fn queues_with_odd_names_are_served_reaped_paused_and_shown() {
    let mut shop = shop().await;
    let names = ["two words", "{braces}", "a{b}c", "{}", "}{", "ümläut-日本", "a:b|c"];
    shop.installation.set("RHUBARB_WORKER_QUEUES", &names.join(","));
    let client = shop.client();
    let mut ids = Vec::new();
    for name in names {
        let publish = Publish::new("e2e.sleep").arg(60.0).queue(name);
        ids.push(client.publish(&publish).await.unwrap().id);
    }
    let doomed = shop.installation.start("doomed", OWN_WORKER, &["--concurrency", "20"]);
    rhubarb_e2e::eventually::eventually(SOON, "each queue's task runs", async || {
        let queues = shop.json(&["queues"]).await;
        let queues = queues.as_array()?.iter();
        let claimed = queues.filter(|queue| queue["claimed"] == 1 && queue["waiting"] == 0);
        (claimed.count() == names.len()).then_some(())
    })
    .await;
    doomed.signal(Signal::KILL);
    let _heir = shop.installation.start("heir", OWN_WORKER, &["--concurrency", "20"]);
    for (name, id) in names.iter().zip(&ids) {
        rhubarb_e2e::eventually::eventually(SOON, name, async || {
            let task = shop.json(&["task", id]).await;
            (task["place"] == "running" && task["queue"] == *name).then_some(())
        })
        .await;
        let paused = shop.rhubarb(&["pause", name]).await;
        assert_eq!(paused.code, 0, "{name}: {}", paused.stderr);
    }
    let queues = shop.json(&["queues"]).await;
    for queue in queues.as_array().unwrap() {
        let is_ours = names.iter().any(|name| queue["name"] == *name);
        assert_eq!(queue["paused"], is_ours, "{queue:#}");
    }
}

/// Flower and `celery inspect` see one node; the queue sees two workers, and each has claims of its
/// own.
#[tokio::test]
async fn two_workers_of_one_name_share_the_work_and_inherit_from_each_other() {
    let shop = shop().await;
    let client = shop.client();
    let mut ids = Vec::new();
    for _ in 0..2 {
        ids.push(client.publish(&Publish::new("e2e.who").arg(4.0)).await.unwrap().id);
    }
    let first = own_worker(&shop, "same@host");
    let mut second = own_worker(&shop, "same@host");
    shop.registered_workers(2).await;
    rhubarb_e2e::eventually::eventually(SOON, "each runs one", async || {
        let workers = shop.json(&["workers"]).await;
        let workers = workers.as_array()?.iter();
        let busy =
            workers.filter(|worker| worker["node"] == "same@host" && worker["n_running"] == 1);
        (busy.count() == 2).then_some(())
    })
    .await;
    let survivor = second.id();
    first.signal(Signal::KILL);
    for id in &ids {
        let done = client.wait(id, SOON, |_| {}).await.unwrap().expect("it ends");
        assert_eq!(done.result, survivor, "the other's task is not taken for its own");
    }
    assert!(second.is_running());
}
