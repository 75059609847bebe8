use proptest::prelude::*;

use super::*;

fn problems(text: &str) -> Vec<String> {
    Config::from_toml(text).map_or_else(|problems| problems.0, |_| Vec::new())
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

#[test]
fn the_example_file_is_right_and_names_every_setting() {
    let text = include_str!("../../../../../deploy/rhubarb.toml");
    let config = Config::from_toml(text).unwrap();
    assert_eq!(config.scrape.keywords.len(), 20);
    for row in settings::rows() {
        let (section, key) = row.name.rsplit_once('.').unwrap();
        assert!(text.contains(&format!("[{section}]")), "{section}");
        let line =
            |line: &str| line.trim_start_matches(['#', ' ']).starts_with(&format!("{key} ="));
        assert!(text.lines().any(line), "{} is not in deploy/rhubarb.toml", row.name);
    }
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
        let urls: Vec<(String, &str)> = settings::rows()
            .filter(|row| row.name.ends_with("url") || row.name == "scrape.proxy_lists")
            .map(|row| {
                (row.variable(), if row.name.starts_with("redis") { redis } else { address })
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
            let told = Config::from_toml(&file).unwrap_err().to_string();
            assert!(told.contains("sources[0]") && !told.contains("hunter2"), "{told}");
        }
    }
}

#[test]
fn every_setting_can_be_set_by_its_variable() {
    let config = Config::default();
    for row in settings::rows() {
        let value = match (row.show)(&config) {
            unset if unset == "(unset)" && row.name.ends_with("_url") => "redis://h/1".to_owned(),
            unset if unset == "(unset)" => "7".to_owned(),
            list if list.starts_with('[') => list.replace(['[', ']', '"'], ""),
            text if text.starts_with('"') => {
                let table: toml::Table = format!("v = {text}").parse().unwrap();
                table["v"].as_str().unwrap().to_owned()
            }
            other => other,
        };
        let loaded = load(None, &Environment::of(&[(&row.variable(), &value)]), &[]);
        let loaded = loaded.unwrap_or_else(|e| panic!("{} = {value:?}: {e}", row.variable()));
        assert_eq!(loaded.origins.get(row.name), Some(&row.variable()));
    }
}

#[test]
fn services_that_kubernetes_names_are_no_settings_of_ours() {
    let environment = Environment::of(&[
        ("RHUBARB_SERVICE_HOST", "10.0.0.1"),
        ("RHUBARB_WEB_PORT", "tcp://10.0.0.1:80"),
        ("RHUBARB_WEB_PORT_80_TCP_ADDR", "10.0.0.1"),
    ]);
    assert_eq!(load(None, &environment, &[]).unwrap().config.web, Config::default().web);
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
    let config = Config::from_toml(
        "[cache.status]\ntimeout = \"none\"\n[cache.aliases.jobs]\ntimeout = \"none\"\n[cache.proxies]\nkey = \"p\"",
    )
    .unwrap();
    assert_eq!((config.cache.status.timeout, config.cache.aliases["jobs"].timeout), (None, None));
    assert_eq!(config.cache.proxies.timeout, Config::default().cache.proxies.timeout);
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
    let config = Config::from_toml(&schedule("every = 5\nkwargs = { on = 2026-11-24 }")).unwrap();
    assert_eq!(config.schedules["s"].kwargs["on"], "2026-11-24");
}

#[test]
fn each_part_says_where_it_came_from() {
    let file = Some((Path::new("x.toml"), "[[sources]]\ntype = \"remoteok\""));
    let flags = CommonArgs { redis_url: Some("redis://f".to_owned()), ..CommonArgs::default() };
    let flags: Vec<_> = flags.settings().collect();
    let printed = load(file, &Environment::of(&[]), &flags).unwrap().to_string();
    assert!(printed.contains("sources.remoteok = remoteok  # x.toml"), "{printed}");
    assert!(printed.contains("scrape_jobs_hourly") && printed.contains("redis://f"), "{printed}");
    let schedules = printed.lines().filter(|line| line.starts_with("schedules."));
    assert!(schedules.into_iter().all(|line| line.ends_with("# default")), "{printed}");
}

/// The example file with every setting in force, to be damaged.
fn example() -> String {
    let text = include_str!("../../../../../deploy/rhubarb.toml");
    let setting = |line: &str| {
        let name = line.strip_prefix("# ")?.split_once(" = ")?.0.to_owned();
        name.chars().all(|c| c.is_ascii_lowercase() || c == '_').then(|| line[2..].to_owned())
    };
    text.lines().map(|line| setting(line).unwrap_or_else(|| line.to_owned()) + "\n").collect()
}

proptest! {
    #[test]
    fn a_damaged_file_is_never_more_than_problems(
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0..30_usize, "\\PC{0,6}"), 1..6),
    ) {
        let mut text = example();
        for (at, length, piece) in edits {
            let from = text.floor_char_boundary(at.index(text.len().max(1)));
            let to = text.floor_char_boundary((from + length).min(text.len())).max(from);
            text.replace_range(from..to, &piece);
        }
        if let Err(problems) = Config::from_toml(&text) {
            prop_assert!(!problems.0.is_empty());
        }
    }

    #[test]
    fn arbitrary_text_is_never_more_than_problems(text in "\\PC{0,200}", value in "\\PC{0,30}") {
        let _ = Config::from_toml(&text);
        let _ = Config::from_toml(&format!("[worker]\nconcurrency = {value}"));
        for row in settings::rows() {
            let _ = load(None, &Environment::of(&[(&row.variable(), &value)]), &[]);
        }
    }
}
