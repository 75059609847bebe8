//! The example `examples/shop`: a project of its own, called by Python and typed from Rust.

use std::{collections::BTreeSet, fs, process::Command};

use rhubarb::{
    GetError,
    canvas::{Joined, chain, chord},
};
use rhubarb_e2e::file;
use serde_json::json;
use shop::{Order, add, price, sell, total};

use crate::shop::{SOON, Shop};

/// The example's worker, built for these tests.
const WORKER: &str = env!("CARGO_BIN_EXE_e2e-shop");
/// The example's other program.
const ORDER: &str = env!("CARGO_BIN_EXE_e2e-shop-order");

async fn open() -> (Shop, rhubarb_e2e::process::Process) {
    let shop = Shop::open().await;
    let worker = shop.installation.start("shop", WORKER, &["--queues", "shop"]);
    shop.registered_workers(1).await;
    (shop, worker)
}

#[tokio::test]
async fn a_declared_task_is_typed_at_both_ends() {
    let (shop, _worker) = open().await;
    let client = shop.client();
    assert_eq!(add::call(2).send(&client).await.unwrap().get(SOON).await.unwrap(), 3);
    assert_eq!(add::call(2).y(3).send(&client).await.unwrap().get(SOON).await.unwrap(), 5);
    assert_eq!(price::call("tea").send(&client).await.unwrap().get(SOON).await.unwrap(), 350);
    let orders = vec![Order { item: "tea".to_owned(), count: 2 }];
    let sold = sell::call().orders(orders.clone()).prices([("tea".to_owned(), 350)].into());
    assert_eq!(sold.send(&client).await.unwrap().get(SOON).await.unwrap(), 700);

    let failed = sell::call().orders(orders).send(&client).await.unwrap();
    let error = failed.get(SOON).await.unwrap_err();
    let id = failed.id();
    assert!(matches!(error, GetError::Failed { .. }), "{error:?}");
    let text = format!("task `shop.sell` ({id}) failed: Error('`tea` has no price')");
    assert_eq!(error.to_string(), text);

    let steps =
        vec![add::call(1).y(2).signature().unwrap(), add::partial().y(4).signature().unwrap()];
    let end = total::partial().signature().unwrap();
    for (canvas, expected) in [
        (chain(steps.clone()), json!(7)),
        (
            chord(vec![add::call(1).signature().unwrap(), add::call(2).signature().unwrap()], end),
            json!(5),
        ),
    ] {
        let result = client.apply(canvas).await.unwrap();
        assert_eq!(client.join(&result, SOON).await.unwrap(), Some(Joined::Success(expected)));
    }
}

#[tokio::test]
async fn the_shops_own_program_gets_its_answers() {
    let (shop, _worker) = open().await;
    let ran = rhubarb_e2e::installation::run(shop.installation.command(ORDER, &[])).await;
    let told = "2 + 3 = 5\nthe till holds 700\nthe chord's end: Some(Success(Number(6)))\n";
    assert_eq!((ran.code, ran.stdout.as_str()), (0, told), "{}", ran.stderr);
}

#[tokio::test]
async fn python_calls_a_declared_task_as_any_other() {
    let (shop, _worker) = open().await;
    let Some(python) = shop.python() else { return };
    let call = |task: &str, args, kwargs| json!({"task": task, "args": args, "kwargs": kwargs, "options": {"queue": "shop"}});
    let wrong = [
        (json!([]), json!({}), "missing required argument 'x'"),
        (json!([1, 2, 3]), json!({}), "takes at most 2 positional arguments but 3 were given"),
        (json!([1]), json!({"x": 2}), "got multiple values for argument 'x'"),
        (json!([1]), json!({"z": 2}), "got an unexpected keyword argument 'z'"),
        (json!(["a"]), json!({}), "argument 'x': invalid type: string \"a\", expected i64"),
    ];
    let good = [
        (call("shop.add", json!([2]), json!({})), json!(3)),
        (call("shop.add", json!([2, 3]), json!({})), json!(5)),
        (call("shop.add", json!([]), json!({"y": 4, "x": 2})), json!(6)),
        (call("shop.price", json!(["jam"]), json!({})), json!(200)),
        (call("shop.sell", json!([{"item": "jam", "count": 3}]), json!({"jam": 200})), json!(600)),
        (call("shop.total", json!([[1, 2, 3]]), json!({})), json!(6)),
    ];
    let calls = good.iter().map(|(call, _)| call.clone());
    let refused =
        wrong.iter().map(|(args, kwargs, _)| call("shop.add", args.clone(), kwargs.clone()));
    let calls: Vec<_> = calls.chain(refused).collect();
    let told = python.run(&["send.py", &json!(calls).to_string()]).await;
    for (at, (call, expected)) in good.iter().enumerate() {
        assert_eq!(told[at]["result"], *expected, "{call}: {}", told[at]);
    }
    for (at, (_, _, text)) in wrong.iter().enumerate() {
        let error = &told[good.len() + at]["error"];
        assert_eq!(*error, json!(["TypeError", "builtins", [format!("shop.add() {text}")]]));
    }
}

#[test]
fn a_worker_of_ones_own_compiles_no_page_and_tells_how_much_it_compiles() {
    let folder = tempfile::tempdir().unwrap();
    let root = file("..").canonicalize().unwrap();
    // A copy outside the tree: the lock that Cargo writes for it is the workspace's.
    let manifest = fs::read_to_string(root.join("examples/shop/Cargo.toml")).unwrap();
    let path = format!("\"{}\"", root.join("crates/rhubarb").display());
    let manifest = manifest.replace("\"../../crates/rhubarb\"", &path);
    fs::write(folder.path().join("Cargo.toml"), manifest).unwrap();
    fs::copy(root.join("Cargo.lock"), folder.path().join("Cargo.lock")).unwrap();
    fs::create_dir(folder.path().join("src")).unwrap();
    fs::write(folder.path().join("src/lib.rs"), "").unwrap();
    let tree = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--edges", "normal", "--prefix", "none", "--format", "{p}"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    let (tree, told) =
        (String::from_utf8_lossy(&tree.stdout), String::from_utf8_lossy(&tree.stderr));
    let names: BTreeSet<&str> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
    assert!(names.contains("rhubarb"), "{tree}{told}");
    for never in ["reqwest", "scraper", "html5ever", "axum", "apalis-redis"] {
        assert!(!names.contains(never), "{tree}");
    }
    println!("a worker of one's own compiles {} crates", names.len());
}
