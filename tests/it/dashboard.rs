//! The dashboard in a real browser, over the real stack: what an operator sees and does.

use std::fmt::Write as _;

use rhubarb_e2e::{
    eventually::eventually,
    process::{Process, Signal},
    python::Python,
    redis_server::RedisServer,
};
use rhubarb_queue::{Publish, inspect};
use serde_json::{Value, json};

use crate::{
    OWN_WORKER,
    probes::{address_in, until},
    shop::{SOON, Shop},
};

/// Pages that the menu does not lead to.
const BEHIND: [&str; 9] = [
    "/?span=day",
    "/queue?name=celery",
    "/letters?kind=parked",
    "/tasks?state=FAILURE",
    "/no/such/page",
    "/cache?name=listings",
    "/cache?name=status",
    "/schedule?name=hourly",
    "/schedule",
];
const SCHEDULE: &str =
    "[schedules.nightly]\ntask = \"e2e.now\"\nargs = [0.0]\ncron = \"30 1 * * *\"\n";

/// A shop with a dashboard that knows tokens, and a browser for it.
struct Browser {
    shop: Shop,
    python: Python,
    _web: Process,
}

impl Browser {
    /// None, and a loud line, where no browser was prepared.
    async fn open(more: &str) -> Option<Self> {
        let redis = RedisServer::start().await;
        let mut python = Python::with_browser(&redis.url(0))?;
        let mut shop = Shop::open_on(redis, more).await;
        Self::make_tokens(&mut shop, &mut python).await;
        Some(Self::serve(shop, python).await)
    }

    /// The same, open to all on this machine.
    async fn open_without_tokens() -> Option<Self> {
        let redis = RedisServer::start().await;
        let python = Python::with_browser(&redis.url(0))?;
        Some(Self::serve(Shop::open_on(redis, SCHEDULE).await, python).await)
    }

    async fn make_tokens(shop: &mut Shop, python: &mut Python) {
        for (role, setting) in
            [("TOKEN", "RHUBARB_WEB_WRITE_TOKENS"), ("READER", "RHUBARB_WEB_READ_TOKENS")]
        {
            let made = shop.rhubarb(&["web", "--new-token", &role.to_lowercase()]).await.stdout;
            let of = |word: &str| {
                let line = made.lines().find_map(|line| line.strip_prefix(word));
                line.unwrap_or_else(|| panic!("no {word} in {made}")).trim().to_owned()
            };
            python.set(role, &of("token:"));
            shop.installation.set(setting, &of("configuration:"));
        }
    }

    async fn serve(shop: Shop, mut python: Python) -> Self {
        let mut web = shop.installation.rhubarb_started(&["web", "--port", "0"]);
        let address = address_in(&mut web, "dashboard ready", "http://").await;
        until(&address, "/health/ready", 200).await;
        python.set("DASHBOARD", &format!("http://{address}"));
        python.set("FOLDER", &shop.installation.folder().to_string_lossy());
        Self { shop, python, _web: web }
    }

    async fn play(&self, scenario: &str) -> Value {
        self.python.run(&["-m", "browser", scenario]).await
    }

    fn own_worker(&self, name: &str) -> Process {
        let args = ["--concurrency", "2", "--hostname", name];
        self.shop.installation.start(name, OWN_WORKER, &args)
    }

    async fn place(&self, id: &str, place: &str) {
        // Not by a command: a task that is to be caught while it runs would have ended by then.
        let client = self.shop.client();
        eventually(SOON, &format!("{id} is {place}"), async || {
            let found = inspect::task(&client, id).await.ok();
            found.filter(|task| task.place == place).map(drop)
        })
        .await;
    }

    /// Kills a worker over so many tasks, so that the next worker makes dead letters of them.
    async fn dead_letters(&mut self, n: usize) -> Vec<String> {
        self.shop.installation.set("RHUBARB_WORKER_LEASE", "1");
        self.shop.installation.set("RHUBARB_WORKER_MAX_DELIVERIES", "1");
        let client = self.shop.client();
        let mut ids = Vec::new();
        for _ in 0..n {
            let task = Publish::new("e2e.sleep").arg(5.0);
            ids.push(client.publish(&task).await.unwrap().id);
        }
        let args = ["--concurrency", &n.to_string(), "--hostname", "doomed@host"];
        let mut doomed = self.shop.installation.start("doomed", OWN_WORKER, &args);
        self.place(&ids[n - 1], "running").await;
        doomed.signal(Signal::KILL);
        doomed.ended(SOON).await;
        let _last = self.own_worker("last@host");
        for id in &ids {
            self.place(id, "dead").await;
        }
        self.shop.installation.set("RHUBARB_WORKER_LEASE", "60");
        self.shop.installation.set("RHUBARB_WORKER_MAX_DELIVERIES", "3");
        ids
    }
}

/// A shop in which much has happened.
async fn busy() -> Option<Browser> {
    let mut browser = Browser::open(SCHEDULE).await?;
    let shop = &browser.shop;
    let client = shop.client();
    let _worker = shop.worker(&["--hostname", "scraper@host"]).await;
    let mut ids = Vec::new();
    for (task, queue) in [
        ("shop.parked", "celery"),
        ("shop.with_a_name_that_is_longer_than_any_phone_is_wide_and_has_no_break", "celery"),
        ("shop.mail", "a-queue-whose-name-is-longer-than-any-phone-is-wide-and-served-by-nobody"),
    ] {
        let task = Publish::new(task).queue(queue).arg("<script>alert(1)</script>");
        ids.push(client.publish(&task).await.unwrap().id);
    }
    let scrape = shop.rhubarb(&["scrape", "rust"]).await;
    assert_eq!(scrape.code, 0, "{}", scrape.stderr);
    let scraped = client.wait(scrape.stdout.trim(), SOON, |_| {}).await.unwrap();
    assert!(scraped.is_some(), "the scrape has not ended");
    let mut connection = shop.queue().await;
    let mut push = redis::cmd("LPUSH");
    let _: u64 = push.arg("celery").arg("no message").query_async(&mut connection).await.unwrap();
    browser.place(&ids[0], "parked").await;
    let _beat = shop.installation.beat(&[]);
    for command in [
        &["pause", "slow", "--note", "a deploy"][..],
        &["schedules", "add", "hourly", "--task", "shop.report", "--every", "1h"],
        &["schedules", "pause", "hourly", "--note", "until the shop opens"],
    ] {
        let ran = shop.rhubarb(command).await;
        assert_eq!(ran.code, 0, "{command:?}: {}", ran.stderr);
    }
    let mut pages = BEHIND.join(" ");
    for id in [&ids[0], &ids[2], scrape.stdout.trim()] {
        write!(pages, " /task?id={id}").unwrap();
    }
    browser.python.set(
        "PAGES",
        &format!("{pages} /scraping?keyword=rust /cache?name=listings&argument=rust"),
    );
    Some(browser)
}

#[tokio::test]
async fn every_page_is_sound_in_both_themes_on_a_phone_by_keyboard_and_for_axe() {
    let Some(browser) = busy().await else { return };
    let seen = browser.play("look").await;
    assert!(seen["pages"].as_array().unwrap().len() > BEHIND.len() + 10, "{seen}");
}

#[tokio::test]
async fn a_person_logs_in_is_refused_or_may_only_read() {
    let Some(mut browser) = Browser::open(SCHEDULE).await else { return };
    let client = browser.shop.client();
    client.publish(&Publish::new("shop.mail").queue("mail")).await.unwrap();
    let pages = "/ /queues /queue?name=mail /letters /schedules /schedule?name=nightly /workers \
                 /tasks /caches /sessions /redis /audit";
    browser.python.set("PAGES", pages);
    let seen = browser.play("way_in").await;
    assert_eq!(seen["reader"].as_array().unwrap().len(), 12, "{seen}");
}

#[tokio::test]
async fn an_operator_watches_finds_out_why_retries_pauses_and_runs_a_schedule() {
    let Some(mut browser) = Browser::open(SCHEDULE).await else { return };
    let dead = browser.dead_letters(7).await;
    let _worker = browser.own_worker("own@host");
    browser.python.set("DEAD", &dead[0]);
    browser.python.set("GROUP", &dead[1..].join(" "));
    let seen = browser.play("operate").await;
    let did: Vec<&Value> =
        seen["audit"].as_array().unwrap().iter().map(|one| &one["what"]).collect();
    let expected = json!("run-schedule nightly ");
    assert!(did.contains(&&expected), "{did:?}");
}

#[tokio::test]
async fn the_api_is_as_its_description_says_whatever_it_is_asked() {
    let Some(browser) = Browser::open_without_tokens().await else { return };
    let _worker = browser.own_worker("own@host");
    let seen = browser.play("api").await;
    println!("{seen}");
}
