mod collisions;

use std::{collections::BTreeSet, fs, path::Path};

use proptest::prelude::*;
use rhubarb_config::{Item, ItemKind, Part, in_force, reference, template};
use rhubarb_connection::Role;
use rhubarb_core::config::CommonArgs;
use rhubarb_queue::config::Machine;
use rhubarb_schedule::WebhookUrl;
use rhubarb_scrape::config::SourceKind;

use super::*;

fn load(
    file: Option<(&Path, &str)>,
    environment: &Environment,
    flags: &[(&'static str, String)],
) -> Result<Loaded, Problems> {
    rhubarb_config::load(file, environment, flags)
}

/// Returns each setting that has a variable: its name, the variable, and what holds by default.
fn rows() -> Vec<(String, String, String, bool)> {
    let (config, mut all) = (Settings::default(), Vec::new());
    let top = Item { place: String::new(), words: "", examples: "", kind: ItemKind::Table };
    config.visit(top, &mut |item| {
        if let ItemKind::Setting(facts, shown, _) = item.kind {
            let variable = format!("RHUBARB_{}", item.place.to_uppercase().replace('.', "_"));
            all.push((item.place, variable, shown.text().to_owned(), facts.example.is_some()));
        }
    });
    all
}

fn problems(text: &str) -> Vec<String> {
    Settings::from_toml(text).map_or_else(|problems| problems.0, |_| Vec::new())
}

#[test]
fn flags_win_over_the_environment_over_the_file_over_the_defaults() {
    let text = "[worker]\nconcurrency = 2\nlease = \"20s\"\nqueues = [\"a\"]";
    let environment =
        Environment::of(&[("RHUBARB_WORKER_CONCURRENCY", "3"), ("RHUBARB_WORKER_QUEUES", "b,c")]);
    let file = Some((Path::new("x.toml"), text));
    let loaded = load(file, &environment, &[("worker.queues", "d".to_owned())]).unwrap();
    let worker = &loaded.config.worker;
    assert_eq!((worker.concurrency, worker.lease.as_secs()), (3, 20));
    assert_eq!(worker.queues, ["d"]);
    let printed = loaded.to_string();
    for line in [
        "worker.concurrency = 3  # RHUBARB_WORKER_CONCURRENCY",
        "worker.lease = 20  # x.toml",
        "worker.queues = [\"d\"]  # a flag",
        "beat.lease = 10  # default",
    ] {
        assert!(printed.contains(line), "{line} in {printed}");
    }
}

#[test]
fn the_names_that_people_already_have_are_read() {
    let environment = Environment::of(&[
        ("REDIS_URL", "redis://one:1"),
        ("REDIS_TLS_URL", "rediss://two:2"),
        ("CELERY_RESULT_BACKEND", "redis://three:3/7"),
        ("PORT", "5000"),
        ("DYNO", "worker.1"),
    ]);
    let config = load(None, &environment, &[]).unwrap().config;
    assert_eq!(config.redis.url.expose().as_str(), "rediss://two:2");
    assert_eq!(config.url_for(Role::Results).1, 7);
    assert_eq!((config.web.port, config.node_name().as_str()), (5000, "rhubarb@worker.1"));
}

#[test]
fn all_problems_are_told_at_once_with_name_and_range() {
    let found = problems(
        "[worker]\nconcurrency = 5000\nlaese = 1\ndrain = \"soon\"\n[nonsense]\na = 1\n[schedules.x]\ntask = \"t\"\ncrontab = { minute = \"5/20\" }\n\
         [[sources]]\ntype = \"greenhouse\"\n[celery]\ntimezone = \"Mars/Base\"",
    );
    for part in [
        "worker.concurrency",
        "0 to 1000",
        "worker.laese",
        "worker.drain",
        "nonsense",
        "schedules.x.crontab",
        "sources[0].board",
        "celery.timezone",
    ] {
        assert!(found.iter().any(|problem| problem.contains(part)), "{part}: {found:?}");
    }
}

#[test]
fn another_kind_of_broker_is_refused_in_one_sentence_without_its_password() {
    for url in ["amqp://user:hunter2@h//", "django-db", "rpc://"] {
        let environment = Environment::of(&[("CELERY_RESULT_BACKEND", url)]);
        let problems = load(None, &environment, &[]).unwrap_err().to_string();
        assert!(
            problems.contains("CELERY_RESULT_BACKEND") && !problems.contains("hunter2"),
            "{problems}"
        );
    }
}

#[test]
fn a_backend_of_another_kind_is_nothing_where_ours_is_set() {
    let environment = |backend| {
        let ours = ("RHUBARB_REDIS_RESULTS_URL", "redis://one:1/3");
        Environment::of(&[("CELERY_RESULT_BACKEND", backend), ours])
    };
    for backend in ["django-db", "rpc://", "disabled://", "amqp://h//"] {
        let config = load(None, &environment(backend), &[]).unwrap().config;
        assert_eq!(config.url_for(Role::Results).1, 3, "{backend}");
        assert!(!config.celery.results_disabled, "{backend}");
    }
    let environment =
        Environment::of(&[("REDIS_URL", "sentinel://x"), ("REDIS_TLS_URL", "rediss://two:2")]);
    assert_eq!(
        load(None, &environment, &[]).unwrap().config.redis.url.expose().as_str(),
        "rediss://two:2"
    );
}

#[test]
fn disabled_results_are_shown_as_they_are_written() {
    for text in ["disabled://", "disabled"] {
        let loaded = load(None, &Environment::of(&[("CELERY_RESULT_BACKEND", text)]), &[]).unwrap();
        assert!(loaded.config.celery.results_disabled, "{text}");
        assert_eq!(loaded.config.url_for(Role::Results), loaded.config.url_for(Role::Queue));
        let shown = loaded.to_string();
        assert!(shown.contains("redis.results_url = \"disabled://\""), "{shown}");
    }
}

#[test]
fn an_unknown_variable_of_ours_is_reported() {
    let environment =
        Environment::of(&[("RHUBARB_WORKER_CONCURENCY", "3"), ("RHUBARB_TEST_PYTHON", "p")]);
    let problems = load(None, &environment, &[]).unwrap_err();
    assert_eq!(problems.0.len(), 1, "{problems}");
}

#[test]
fn a_syntax_error_names_file_and_line() {
    assert!(problems("[worker]\n= 3")[0].contains("rhubarb.toml, line 2"));
}

#[test]
fn a_password_is_never_printed() {
    let environment = Environment::of(&[("REDIS_URL", "redis://:hunter2@h")]);
    let loaded = load(None, &environment, &[]).unwrap();
    assert!(!format!("{loaded}{loaded:?}").contains("hunter2"));
}

#[test]
fn caches_on_the_queues_database_are_warned_about() {
    let environment = Environment::of(&[("RHUBARB_REDIS_JOBS_DB", "0")]);
    assert!(load(None, &environment, &[]).unwrap().warnings[0].contains("FLUSHDB"));
}

/// What stands above the settings in the template.
const HEAD: &str = r#"# Rhubarb's configuration, complete: every setting, with its default where a line is commented
# out.
#
# It is looked for at --config PATH, else $RHUBARB_CONFIG, else ./rhubarb.toml; without a file the
# defaults hold. Environment variables go before the file and flags before both. Every setting below
# has a variable, but for what stands in tables (schedules, sources, shares, aliases of tasks and
# caches, [[cache.listings]], [[intake.apalis]], routes): worker.lease is RHUBARB_WORKER_LEASE
# (lists are separated by commas). `worker --print-config` shows what holds.
#
# Durations are seconds (90) or text ("90s", "10m", "1h30m"); sizes are bytes (8388608) or text ("8
# MiB").
#
# Written from the declarations in the code: RHUBARB_TEST_BLESS=1 cargo test -p rhubarb-settings.
"#;

/// What stands above the settings on their page.
const PAGE_HEAD: &str = "\
# Settings

<!-- Written from the declarations: RHUBARB_TEST_BLESS=1 cargo test -p rhubarb-settings -->

All settings of `rhubarb.toml`, by section. [deploy/rhubarb.toml](../deploy/rhubarb.toml) is a
template with all of them. Each setting of a section is also a variable: `worker.concurrency` is
`RHUBARB_WORKER_CONCURRENCY`; lists are separated by commas. Lengths of time are seconds or text
(`90s`, `10m`, `1h30m`), sizes bytes or text (`8 MiB`). `worker --print-config` prints what holds and
where it came from, as a file that can be read again.
";

/// Compares a file with what the declarations say; writes it where that is asked for.
fn is_as_declared(path: &str, expected: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path);
    if Environment::from_process().get("RHUBARB_TEST_BLESS").is_some() {
        fs::write(&path, expected).unwrap();
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    let differ = found.lines().zip(expected.lines()).position(|(one, other)| one != other);
    assert!(
        found == expected,
        "{} is not what the declarations say, from line {:?}; write it anew with \
         RHUBARB_TEST_BLESS=1 cargo test -p rhubarb-settings",
        path.display(),
        differ.map(|line| line + 1)
    );
}

#[test]
fn the_template_and_the_page_of_settings_are_what_the_declarations_say() {
    let config = Settings::default();
    is_as_declared("deploy/rhubarb.toml", &template(&config, HEAD));
    is_as_declared("docs/settings.md", &reference(&config, PAGE_HEAD));
}

/// What holds on this machine where nothing is set.
fn expected(machine: &Machine) -> Settings {
    let mut settings = Settings::from_toml("").unwrap();
    settings.machine = machine.clone();
    settings
}

#[test]
fn the_template_changes_nothing_but_for_its_examples_and_names_every_setting() {
    let text = template(&Settings::default(), HEAD);
    let mut config = Settings::from_toml(&text).unwrap();
    assert!(config.scraping.sources.iter().skip(3).all(|source| !source.enabled));
    config.scraping.sources.retain(|source| source.enabled);
    let machine = config.machine.clone();
    assert_eq!(config, expected(&machine));
    let mut all = Settings::from_toml(&in_force(&Settings::default())).unwrap();
    all.scraping.sources.retain(|source| source.enabled);
    assert_eq!(all, expected(&machine));
    for (name, ..) in rows() {
        let (section, key) = name.rsplit_once('.').unwrap();
        assert!(text.contains(&format!("[{section}]")), "{section}");
        let line =
            |line: &str| line.trim_start_matches(['#', ' ']).starts_with(&format!("{key} ="));
        assert!(text.lines().any(line), "{name} is not in deploy/rhubarb.toml");
    }
    for line in text.lines() {
        assert!(line.chars().count() <= 100, "{line}");
    }
}

/// What is printed, without where it came from.
fn values(printed: &str) -> Vec<&str> {
    printed.lines().map(|line| line.rsplit_once("  # ").map_or(line, |(line, _)| line)).collect()
}

/// Something of each kind, with secrets where they may be.
const OF_EACH_KIND: &str = r#"
[redis]
url = "rediss://:hunter2@r.example:6380/0"
results_url = "disabled://"
ca_file = "/a \"b\".pem"
connect_timeout = 0.25
[celery]
sep = "\u0001'\""
[celery.task_routes]
"a.*" = "b"
"c d" = { queue = "e", priority = 3 }
[worker]
queues = ["a", "b"]
unknown_tasks = "forward:other"
[beat]
alert_url = "https://h.example/hunter2"
[schedules."a b"]
task = "t"
cron = "0 30 9 * * mon-fri"
args = [1, 2.5, "x\ny", { deep = [true] }]
options = { time_limit = "5m", headers = { a = 1 } }
catch_up = { max = 3, window = "2h" }
[schedules.secret]
task = "t"
every = 30
kwargs = { url = "redis://u:hunter2@h", token = "hunter2", n = 1 }
[tasks.aliases]
"x.y" = "z"
[[sources]]
type = "greenhouse"
board = "acme"
[[sources]]
type = "jsonld"
urls = ["https://h.example/hunter2"]
[[sources]]
type = "html"
urls = ["https://h.example"]
selectors = { item = "li", detail = { description = ".d" } }
[cache.aliases.jobs]
timeout = 300
[cache.aliases.new]
role = "cache"
timeout = "none"
[[cache.listings]]
[[cache.listings]]
alias = "default"
key = "l:{keyword_slug}"
[cache.users]
timeout = "none"
[[intake.apalis]]
queue = "q"
task = "t"
"#;

#[test]
fn a_printed_configuration_is_read_back_as_it_was() {
    let read =
        |text: &str| load(Some((Path::new("x.toml"), text)), &Environment::of(&[]), &[]).unwrap();
    let first = read(OF_EACH_KIND);
    let printed = first.to_string();
    assert!(!printed.contains("hunter2"), "{printed}");
    for cut in ["redis.url", "beat.alert_url", "schedules.secret", "    # { type = \"jsonld\""] {
        let line = printed.lines().find(|line| line.trim_start_matches("# ").starts_with(cut));
        let line = line.or_else(|| printed.lines().find(|line| line.starts_with(cut))).unwrap();
        assert!(line.contains("# ") && line.contains("set, not shown"), "{line}");
    }
    let again = read(&printed);
    let mut expected = first.config.clone();
    expected.redis.url = Settings::default().engine.redis.url;
    expected.beat.alert_url = WebhookUrl::default();
    expected.schedules.remove("secret");
    expected.scraping.sources.retain(|source| source.kind != SourceKind::JsonLd);
    assert_eq!(again.config, expected);
    // A second time nothing is lost any more, and everything comes from the file.
    let printed = again.to_string();
    let third = read(&printed).to_string();
    assert_eq!(values(&third), values(&printed));
    assert_eq!(read(&third).to_string(), third);
}

#[test]
fn the_defaults_are_printed_and_read_back() {
    let printed = load(None, &Environment::of(&[]), &[]).unwrap().to_string();
    let again = load(Some((Path::new("x"), &printed)), &Environment::of(&[]), &[]).unwrap();
    assert_eq!(again.config, load(None, &Environment::of(&[]), &[]).unwrap().config);
    assert_eq!(values(&again.to_string()), values(&printed));
}

#[test]
fn passwords_in_lists_and_of_sources_are_hidden_too() {
    let text = "[scrape]\nproxy_lists = [\"http://u:hunter2@h/l\"]";
    let file = Some((Path::new("x.toml"), text));
    let loaded = load(file, &Environment::of(&[]), &[]).unwrap();
    assert!(!loaded.to_string().contains("hunter2"), "{loaded}");
    let environment = Environment::of(&[("RHUBARB_SCRAPE_PROXY_LISTS", "ftp://u:hunter2@h/l")]);
    let problems = load(None, &environment, &[]).unwrap_err().to_string();
    assert!(problems.contains("scrape.proxy_lists") && !problems.contains("hunter2"), "{problems}");
}

/// Where a secret may stand in an address.
const PLACES: [&str; 5] = [
    "https://u:hunter2@h.example/l",
    "https://hunter2@h.example/l",
    "https://h.example/l?token=hunter2&page=1",
    "https://h.example/hunter2/l",
    "https://h.example/l#hunter2",
];

#[test]
fn no_secret_of_any_address_is_printed_with_the_configuration_or_with_what_is_wrong_with_it() {
    for address in PLACES {
        let redis = "rediss://u:hunter2@r.example:6380/0?password=hunter2";
        let urls: Vec<(String, &str)> = rows()
            .into_iter()
            .filter(|(name, ..)| name.ends_with("url") || name == "scrape.proxy_lists")
            .map(|(name, variable, ..)| {
                (variable, if name.starts_with("redis") { redis } else { address })
            })
            .collect();
        assert!(urls.len() >= 9, "{urls:?}");
        let urls: Vec<_> = urls.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        let file = format!(
            "[[sources]]\ntype = \"jsonld\"\nurls = [{address:?}]\nbase_url = {address:?}\n"
        );
        let file = Some((Path::new("x.toml"), file.as_str()));
        let environment = Environment::of(&urls);
        let loaded = load(file, &environment, &[]).unwrap();
        let all = format!("{loaded} {loaded:?} {:?} {environment:?}", loaded.config);
        assert!(all.contains("h.example") && !all.contains("hunter2"), "{address}: {all}");

        let odd = address.replace("https://", "ftp://");
        for (name, _) in &urls {
            let wrong = load(None, &Environment::of(&[(name, &odd)]), &[]).unwrap_err();
            let told = format!("{wrong} {wrong:?}");
            assert!(!told.contains("hunter2"), "{name}: {told}");
        }
        for wrong in [
            format!("urls = [{odd:?}]"),
            format!("urls = {address:?}"),
            format!("urls = [\"https://h\"]\nbase_url = {odd:?}"),
            format!("urls = [\"https://h\"]\nbase_url = [{address:?}]"),
        ] {
            let file = format!("[[sources]]\ntype = \"jsonld\"\n{wrong}\n");
            let told = Settings::from_toml(&file).unwrap_err().to_string();
            assert!(told.contains("sources[0]") && !told.contains("hunter2"), "{told}");
        }
    }
}

#[test]
fn every_setting_can_be_set_by_its_variable() {
    for (name, variable, shown, _) in rows() {
        let value = match shown {
            unset if unset == "(unset)" && name.ends_with("_url") => "redis://h/1".to_owned(),
            unset if unset == "(unset)" && name.ends_with(".http") => "127.0.0.1:1".to_owned(),
            unset if unset == "(unset)" && name.ends_with(".secret") => "7".repeat(16),
            unset if unset == "(unset)" && name.ends_with(".otlp") => "http://h".to_owned(),
            unset if unset == "(unset)" && name == "web.bind" => "::1".to_owned(),
            unset if unset == "(unset)" => "7".to_owned(),
            list if list.starts_with('[') => list.replace(['[', ']', '"'], ""),
            text if text.starts_with('"') => {
                let table: toml::Table = format!("v = {text}").parse().unwrap();
                table["v"].as_str().unwrap().to_owned()
            }
            other => other,
        };
        let loaded = load(None, &Environment::of(&[(&variable, &value)]), &[]);
        let loaded = loaded.unwrap_or_else(|e| panic!("{variable} = {value:?}: {e}"));
        assert_eq!(loaded.origins.get(&name), Some(variable.as_str()));
    }
}

#[test]
fn services_that_kubernetes_names_are_no_settings_of_ours() {
    let environment = Environment::of(&[
        ("RHUBARB_SERVICE_HOST", "10.0.0.1"),
        ("RHUBARB_WEB_PORT", "tcp://10.0.0.1:80"),
        ("RHUBARB_WEB_PORT_80_TCP_ADDR", "10.0.0.1"),
    ]);
    assert_eq!(load(None, &environment, &[]).unwrap().config.web, Settings::default().web);
}

#[test]
fn with_the_brokers_url_alone_the_caches_are_on_its_server() {
    let check = |variables: &[(&str, &str)], expect: &str| {
        let config = load(None, &Environment::of(variables), &[]).unwrap().config;
        assert_eq!(config.url_for(Role::Jobs).0.to_string(), expect);
        assert_eq!(config.url_for(Role::Queue).0.to_string(), "redis://b/4");
    };
    check(&[("CELERY_BROKER_URL", "redis://b/4")], "redis://b/3");
    check(&[("CELERY_BROKER_URL", "redis://b/4"), ("REDIS_URL", "redis://a")], "redis://a/3");
}

#[test]
fn rust_log_goes_before_the_setting() {
    let environment = Environment::of(&[("RUST_LOG", "debug"), ("RHUBARB_LOG_LEVEL", "warn")]);
    assert_eq!(load(None, &environment, &[]).unwrap().config.log.level, "debug");
    assert!(problems("[log]\nlevel = \"info,=x=y\"")[0].contains("log.level"));
    for level in ["warning", "CRITICAL", "fatal", "info,rhubarb_queue=debug"] {
        let environment = Environment::of(&[("RHUBARB_LOG_LEVEL", level)]);
        assert!(load(None, &environment, &[]).is_ok(), "{level}");
    }
    let problem = &problems("[cache.aliases.default]\nrole = \"queue\"")[0];
    assert!(problem.starts_with("cache.aliases.default.role: "), "{problem}");
    let problem = &problems("[log]\nlevel = \"loud\"")[0];
    assert!(problem.contains("debug, info, warning, error, critical"), "{problem}");
}

#[test]
fn a_value_can_be_kept_for_ever() {
    let config = Settings::from_toml(
        "[cache.status]\ntimeout = \"none\"\n[cache.aliases.jobs]\ntimeout = \"none\"\n[cache.proxies]\nkey = \"p\"",
    )
    .unwrap();
    assert_eq!((config.cache.status.timeout, config.cache.aliases["jobs"].timeout), (None, None));
    assert_eq!(config.cache.proxies.timeout, Settings::default().cache.proxies.timeout);
    assert_eq!(config.cache.proxies.key, "p");
    assert!(problems("[cache.status]\ntimeout = 0")[0].contains("\"none\" for ever"));
    assert!(problems("[cache.status]\nkye = 0")[0].contains("known here: alias, key, timeout"));
    assert!(problems("[cache.proxies]\nalias = \"no\"")[0].contains("no alias `no`"));
    assert!(problems("[cache.users]\nkey = \"user\"")[0].contains("{id}"));
}

#[test]
fn entries_are_read_with_care() {
    let check = |text: &str, expect: &str| {
        let found = problems(text);
        assert!(found.len() == 1 && found[0].contains(expect), "{expect}: {found:?}");
    };
    let schedule = |rest: &str| format!("[schedules.s]\ntask = \"t\"\n{rest}");
    check(&schedule("every = 0.5"), "schedules.s.every: 1 s or more");
    check(&schedule("every = 5\npriority = 10"), "schedules.s.priority: 0 (most urgent) to 9");
    check(&schedule("every = 5\nqueue = \"\""), "schedules.s.queue");
    check("[schedules.s]\ntask = \"\"\nevery = 5", "schedules.s.task: it is empty");
    check("[[intake.apalis]]\nqueue = \"\"\ntask = \"t\"", "queue: it is empty");
    let html = "[[sources]]\ntype = \"html\"\nurls = [\"http://h\"]\n";
    check(
        &format!("{html}selectors = {{ item = \"li\", detail = {{ titel = \"h1\" }} }}"),
        "detail.titel: no such field",
    );
    check("[scrape]\nrequest_timeout = 200", "must not be longer than scrape.source_timeout");
    check("redis = 5", "redis: a table is expected");
    let config = Settings::from_toml(&schedule("every = 5\nkwargs = { on = 2026-11-24 }")).unwrap();
    assert_eq!(config.schedules["s"].kwargs["on"], "2026-11-24");
}

#[test]
fn each_part_says_where_it_came_from() {
    let file = Some((Path::new("x.toml"), "[[sources]]\ntype = \"remoteok\""));
    let flags = CommonArgs { redis_url: Some("redis://f".to_owned()), ..CommonArgs::default() };
    let flags: Vec<_> = flags.settings().collect();
    let printed = load(file, &Environment::of(&[]), &flags).unwrap().to_string();
    assert!(printed.contains("sources = [  # x.toml\n    { type = \"remoteok\""), "{printed}");
    assert!(printed.contains("scrape_jobs_hourly") && printed.contains("redis://f"), "{printed}");
    let schedules = printed.lines().filter(|line| line.starts_with("schedules."));
    assert!(schedules.into_iter().all(|line| line.ends_with("# default")), "{printed}");
}

proptest! {
    #[test]
    fn a_damaged_file_is_never_more_than_problems(
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0..30_usize, "\\PC{0,6}"), 1..6),
    ) {
        let mut text = in_force(&Settings::default());
        for (at, length, piece) in edits {
            let from = text.floor_char_boundary(at.index(text.len().max(1)));
            let to = text.floor_char_boundary((from + length).min(text.len())).max(from);
            text.replace_range(from..to, &piece);
        }
        if let Err(problems) = Settings::from_toml(&text) {
            prop_assert!(!problems.0.is_empty());
        }
    }

    #[test]
    fn arbitrary_text_is_never_more_than_problems(
        text in "\\PC{0,200}", value in "\\PC{0,30}", row in any::<prop::sample::Index>(),
    ) {
        let _ = Settings::from_toml(&text);
        let _ = Settings::from_toml(&format!("[worker]\nconcurrency = {value}"));
        let (_, variable, ..) = row.get(&rows()).clone();
        let _ = load(None, &Environment::of(&[(&variable, &value)]), &[]);
    }
}

#[test]
fn the_node_name_is_the_dynos_or_the_hosts() {
    let mut config = Settings::default();
    config.machine.host = "box".into();
    assert_eq!(config.node_name(), "rhubarb@box");
    config.machine.dyno = Some("worker.1".into());
    assert_eq!(config.node_name(), "rhubarb@worker.1");
    config.worker.hostname = "w1@%h".into();
    assert_eq!(config.node_name(), "w1@worker.1");
    config.worker.hostname = "w1".into();
    assert_eq!(config.node_name(), "w1@worker.1");
    assert_ne!(config.process_id(), config.process_id());
}

#[test]
fn a_worker_of_ones_own_passes_over_exactly_the_sections_that_are_not_its_own() {
    let sections = |part: &dyn Part| {
        let mut all = BTreeSet::new();
        let top = Item { place: String::new(), words: "", examples: "", kind: ItemKind::Table };
        part.visit(top, &mut |item| {
            all.extend(item.place.split('.').next().map(str::to_owned));
        });
        all
    };
    let (all, own) = (sections(&Settings::default()), sections(&Config::default()));
    let others: BTreeSet<String> = all.difference(&own).cloned().collect();
    assert_eq!(others, Config::OTHERS.iter().map(|&name| name.to_owned()).collect());

    let shared = "[worker]\nconcurrency = 3\n[scrape]\nno_such = 1\n[[sources]]\ntype = \"no such\"\n\
                  [schedules.x]\nno_such = 1\n[cache.status]\nkey = 5";
    let variables = [("RHUBARB_SCRAPE_NO_SUCH", "1"), ("RHUBARB_WORKER_LEASE", "20")];
    let file = Some((Path::new("rhubarb.toml"), shared));
    let own = rhubarb_config::load::<Config>(file, &Environment::of(&variables), &[]).unwrap();
    assert_eq!((own.config.worker.concurrency, own.config.worker.lease.as_secs()), (3, 20));
    assert!(!own.to_string().contains("scrape."), "{own}");
    let told = rhubarb_config::load::<Config>(
        Some((Path::new("rhubarb.toml"), "[scarpe]\na = 1\n[worker]\nconcurency = 1")),
        &Environment::of(&[("RHUBARB_SCARPE_A", "1")]),
        &[],
    );
    let told = told.unwrap_err();
    let expected =
        ["scarpe.a: no such section", "worker.concurency: no such setting", "RHUBARB_SCARPE_A"];
    assert!(
        expected.iter().all(|one| told.0.iter().any(|problem| problem.starts_with(one))),
        "{told}"
    );
    // The product's programs tell of all of it.
    assert_eq!(problems(shared).len(), 6, "{:?}", problems(shared));
}
