//! The table of settings: name, what is accepted, where it lies. Files, environment, flags,
//! `--print-config` and the documentation's test all read it.

use std::time::Duration;

use super::{
    model::{Config, MAX_BLOCKING_THREADS},
    node,
    read::{Input, Kept, Setting, not},
};
use crate::{queue_name, redact::Address, telemetry};

/// One setting of the file's plain sections.
pub(super) struct Row {
    /// Its name in the file: `section.key`.
    pub(super) name: &'static str,
    /// What is accepted, as a person reads it.
    pub(super) accepts: &'static str,
    /// Reads it into the configuration.
    pub(super) set: fn(&mut Config, Input<'_>) -> Result<(), String>,
    /// Shows what holds.
    pub(super) show: fn(&Config) -> String,
}

impl Row {
    /// Returns its name in the environment.
    pub(super) fn variable(&self) -> String {
        format!("RHUBARB_{}", self.name.to_uppercase().replace('.', "_"))
    }
}

fn checked<T: Setting>(
    input: Input<'_>,
    holds: impl Fn(&T) -> bool,
    accepts: &str,
) -> Result<T, String> {
    let expected = || format!("{accepts} is expected");
    let value = T::read(input).map_err(|problem| {
        let problem = if problem.ends_with("is expected") { expected() } else { problem };
        not::<T>(&problem, input)
    })?;
    if holds(&value) { Ok(value) } else { Err(not::<T>(&expected(), input)) }
}

macro_rules! rows {
    ($($name:literal: $($field:ident).+, $accepts:expr, $holds:expr;)*) => {
        &[$(Row {
            name: $name,
            accepts: $accepts,
            set: |config, input| {
                config.$($field).+ = checked(input, $holds, $accepts)?;
                Ok(())
            },
            show: |config| config.$($field).+.show(),
        }),*]
    };
}

const fn is_results(role: &str) -> bool {
    matches!(role.as_bytes(), b"results")
}

/// Celery's own URL of a result backend that stores nothing.
const DISABLED: &str = "disabled://";

fn set_results_url(config: &mut Config, input: Input<'_>) -> Result<(), String> {
    // Celery takes the scheme alone, too.
    let text = String::read(input).unwrap_or_default();
    config.celery.results_disabled = text.trim_end_matches("://") == "disabled";
    if !config.celery.results_disabled {
        config.redis.urls.insert(
            "results".to_owned(),
            Setting::read(input).map_err(|problem| {
                format!(
                    "{problem}; `{DISABLED}` stores no results, other backends are Celery's alone"
                )
            })?,
        );
    }
    Ok(())
}

fn show_results_url(config: &Config) -> String {
    if config.celery.results_disabled {
        return DISABLED.to_owned().show();
    }
    config.redis.urls.get("results").cloned().show()
}

macro_rules! roles {
    ($($role:literal),*) => {
        &[$(
            Row {
                name: concat!("redis.", $role, "_url"),
                accepts: if is_results($role) {
                    "a Redis URL, or \"disabled://\" for no results,"
                } else {
                    "a Redis URL"
                },
                set: |config, input| {
                    if is_results($role) {
                        return set_results_url(config, input);
                    }
                    config.redis.urls.insert($role.to_owned(), Setting::read(input)?);
                    Ok(())
                },
                show: |config| {
                    if is_results($role) {
                        return show_results_url(config);
                    }
                    config.redis.urls.get($role).cloned().show()
                },
            },
            Row {
                name: concat!("redis.", $role, "_db"),
                accepts: "a database number, 0 to 15 on most servers,",
                set: |config, input| {
                    let accepts = "a database number, 0 to 15 on most servers,";
                    config.redis.dbs.insert($role.to_owned(), checked(input, |_| true, accepts)?);
                    Ok(())
                },
                show: |config| config.redis.dbs.get($role).copied().show(),
            },
        )*]
    };
}

/// Writes the rows of a value that is written to one place in a cache.
macro_rules! targets {
    ($($target:ident),*) => {
        &[$(
            Row {
                name: concat!("cache.", stringify!($target), ".alias"),
                accepts: "the name of a cache alias",
                set: |config, input| {
                    config.cache.$target.alias = checked(input, |text: &String| name(text), "the name of a cache alias")?;
                    Ok(())
                },
                show: |config| config.cache.$target.alias.show(),
            },
            Row {
                name: concat!("cache.", stringify!($target), ".key"),
                accepts: "a logical key of 1 to 200 characters",
                set: |config, input| {
                    config.cache.$target.key = checked(input, |text: &String| name(text), "a logical key of 1 to 200 characters")?;
                    Ok(())
                },
                show: |config| config.cache.$target.key.show(),
            },
            Row {
                name: concat!("cache.", stringify!($target), ".timeout"),
                accepts: "1 s or more, or \"none\" for ever,",
                set: |config, input| {
                    let accepts = "1 s or more, or \"none\" for ever,";
                    config.cache.$target.timeout = checked(input, |_: &Kept| true, accepts)?.0;
                    Ok(())
                },
                show: |config| Kept(config.cache.$target.timeout).show(),
            },
        )*]
    };
}

const fn s(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn within(low: u64, high: u64) -> impl Fn(&Duration) -> bool {
    move |d| *d >= s(low) && *d <= s(high)
}

fn zone(name: &str) -> bool {
    jiff::tz::TimeZone::get(name).is_ok()
}

fn name(text: &str) -> bool {
    (1..=200).contains(&text.len()) && !text.chars().any(char::is_control)
}

/// Returns all rows, in the order of the documentation.
pub(super) fn rows() -> impl Iterator<Item = &'static Row> {
    ROLES.iter().chain(ROWS).chain(TARGETS)
}

/// Finds a row by its name in the file.
pub(super) fn row(name: &str) -> Option<&'static Row> {
    rows().find(|row| row.name == name)
}

/// Tells whether a section has settings.
pub(super) fn is_section(section: &str) -> bool {
    rows().any(|row| row.name.strip_prefix(section).is_some_and(|rest| rest.starts_with('.')))
}

static ROLES: &[Row] = roles!("queue", "results", "cache", "sessions", "jobs");

static TARGETS: &[Row] = targets!(status, proxies, details, responses, users);

static ROWS: &[Row] = rows! {
    "redis.url": redis.url, "a Redis URL", |_| true;
    "redis.layout": redis.layout, "\"four\" or \"two\"", |_| true;
    "redis.connect_timeout": redis.connect_timeout, "100 ms to 60 s", |d: &Duration| *d >= Duration::from_millis(100) && *d <= s(60);
    "redis.command_timeout": redis.command_timeout, "100 ms to 60 s", |d: &Duration| *d >= Duration::from_millis(100) && *d <= s(60);
    "redis.ca_file": redis.ca_file, "the path of a PEM file", |_| true;
    "redis.ssl_cert_reqs": redis.ssl_cert_reqs, "\"none\", \"optional\" or \"required\"", |text: &String| ["none", "optional", "required"].contains(&text.to_ascii_lowercase().trim_start_matches("cert_"));
    "redis.ssl_check_hostname": redis.ssl_check_hostname, "true or false", |_| true;
    "redis.ssl_certfile": redis.ssl_certfile, "the path of a PEM file", |_| true;
    "redis.ssl_keyfile": redis.ssl_keyfile, "the path of a PEM file", |_| true;
    "celery.global_keyprefix": celery.global_keyprefix, "text", |_| true;
    "celery.priority_steps": celery.priority_steps, "an ascending list of numbers from 0 to 255 that begins with 0", |steps: &Vec<u8>| steps.first() == Some(&0) && steps.len() <= 16 && steps.windows(2).all(|w| w[0] < w[1]);
    "celery.sep": celery.sep, "text of 1 to 8 bytes", |sep: &String| (1..=8).contains(&sep.len());
    "celery.task_default_queue": celery.task_default_queue, "a queue's name of 1 to 512 characters without control characters", |text: &String| queue_name::is_valid(text);
    "celery.task_default_priority": celery.task_default_priority, "0 (most urgent) to 255", |_| true;
    "celery.result_global_keyprefix": celery.result_global_keyprefix, "text", |_| true;
    "celery.result_keyprefix_form": celery.result_keyprefix_form, "\"5.7\" or \"5.4\"", |_| true;
    "celery.result_expires": celery.result_expires, "1 s to 365 days", within(1, 365 * 86_400);
    "celery.result_compression": celery.result_compression, "one of \"none\", \"zlib\", \"gzip\", \"bzip2\", \"zstd\"", |_| true;
    "celery.result_compression_min_bytes": celery.result_compression_min_bytes, "0 to 512 MiB", |n: &usize| *n <= 512 << 20;
    "celery.max_publish_bytes": celery.max_publish_bytes, "1 KiB to 512 MiB", |n: &usize| (1 << 10..=512 << 20).contains(n);
    "celery.publish_patience": celery.publish_patience, "0 s to 1 h", within(0, 3600);
    "celery.result_extended": celery.result_extended, "true or false", |_| true;
    "celery.task_ignore_result": celery.task_ignore_result, "true or false", |_| true;
    "celery.task_store_errors_even_if_ignored": celery.task_store_errors_even_if_ignored, "true or false", |_| true;
    "celery.task_track_started": celery.task_track_started, "true or false", |_| true;
    "celery.task_send_sent_event": celery.task_send_sent_event, "true or false", |_| true;
    "celery.task_inherit_parent_priority": celery.task_inherit_parent_priority, "true or false", |_| true;
    "celery.timezone": celery.timezone, "an IANA time zone such as \"Europe/Berlin\"", |text: &String| zone(text);
    "worker.concurrency": worker.concurrency, "0 to 1000 (0 for 8 a core)", |n: &usize| *n <= 1000;
    "worker.blocking_threads": worker.blocking_threads, "0 to 256 (0 for as many as worker.concurrency)", |n: &usize| *n <= MAX_BLOCKING_THREADS;
    "worker.queues": worker.queues, "a list of at most 100 queue names, each of 1 to 512 characters without control characters", |queues: &Vec<String>| queues.len() <= 100 && queues.iter().all(|queue| queue_name::is_valid(queue));
    "worker.exclude_queues": worker.exclude_queues, "a list of at most 100 queue names, each of 1 to 512 characters without control characters", |queues: &Vec<String>| queues.len() <= 100 && queues.iter().all(|queue| queue_name::is_valid(queue));
    "worker.lease": worker.lease, "1 s to 10 minutes", within(1, 600);
    "worker.drain": worker.drain, "0 s to 1 h", within(0, 3600);
    "worker.task_time_limit": worker.task_time_limit, "0 s (none) to 7 days", within(0, 7 * 86_400);
    "worker.task_soft_time_limit": worker.task_soft_time_limit, "0 s (none) to 7 days", within(0, 7 * 86_400);
    "worker.max_deliveries": worker.max_deliveries, "1 to 1000", |n: &u32| (1..=1000).contains(n);
    "worker.max_message_bytes": worker.max_message_bytes, "1 KiB to 512 MiB", |n: &usize| (1 << 10..=512 << 20).contains(n);
    "worker.max_result_bytes": worker.max_result_bytes, "1 KiB to 512 MiB", |n: &usize| (1 << 10..=512 << 20).contains(n);
    "worker.results_beyond_maxmemory": worker.results_beyond_maxmemory, "0 to 64 GiB", |n: &usize| *n <= 64 << 30;
    "worker.max_dead_letters": worker.dead_letters.count, "1 to 1000000", |n: &usize| (1..=1_000_000).contains(n);
    "worker.max_dead_letters_age": worker.dead_letters.age, "1 minute to 365 days", within(60, 365 * 86_400);
    "worker.max_dead_letters_bytes": worker.dead_letters.bytes, "64 KiB to 64 GiB", |n: &usize| (64 << 10..=64 << 30).contains(n);
    "worker.max_parked": worker.parked.count, "1 to 1000000", |n: &usize| (1..=1_000_000).contains(n);
    "worker.max_parked_age": worker.parked.age, "1 minute to 365 days", within(60, 365 * 86_400);
    "worker.max_parked_bytes": worker.parked.bytes, "64 KiB to 64 GiB", |n: &usize| (64 << 10..=64 << 30).contains(n);
    "worker.max_memory": worker.max_memory, "0 (off), or 16 MiB to 1024 GiB", |n: &usize| *n == 0 || (16 << 20..=1 << 40).contains(n);
    "worker.poll_interval": worker.poll_interval, "1 s to 10 minutes", within(1, 600);
    "worker.watchdog": worker.watchdog, "0 s (off), or 1 s to 1 h", |d: &Duration| d.is_zero() || within(1, 3600)(d);
    "worker.hostname": worker.hostname, node::RULE, |text: &String| node::is_valid(text);
    "worker.unknown_tasks": worker.unknown_tasks, "\"park\" or \"forward:QUEUE\"", |_| true;
    "worker.send_task_events": worker.send_task_events, "true or false", |_| true;
    "worker.send_heartbeats": worker.send_heartbeats, "true or false", |_| true;
    "worker.enable_remote_control": worker.enable_remote_control, "true or false", |_| true;
    "worker.mingle": worker.mingle, "true or false", |_| true;
    "worker.revoke_expires": worker.revoke_expires, "1 minute to 7 days", within(60, 7 * 86_400);
    "beat.timezone": beat.timezone, "an IANA time zone such as \"Europe/Berlin\"", |text: &String| zone(text);
    "beat.lease": beat.lease, "2 s to 10 minutes", within(2, 600);
    "beat.redbeat": beat.redbeat, "true or false", |_| true;
    "beat.redbeat_key_prefix": beat.redbeat_key_prefix, "text of 1 to 200 characters", |text: &String| name(text);
    "beat.alert_url": beat.alert_url, "an http:// or https:// address, or nothing,", |_| true;
    "beat.ping_url": beat.ping_url, "an http:// or https:// address, or nothing,", |_| true;
    "scrape.keywords": scrape.keywords, "a list of 1 to 1000 keywords", |list: &Vec<String>| (1..=1000).contains(&list.len()) && list.iter().all(|word| name(word));
    "scrape.timezone": scrape.timezone, "an IANA time zone such as \"Europe/Berlin\"", |text: &String| zone(text);
    "scrape.fresh_for": scrape.fresh_for, "0 s to 7 days", within(0, 7 * 86_400);
    "scrape.user_agent": scrape.user_agent, "text of 1 to 200 printable ASCII characters", |text: &String| name(text) && text.is_ascii();
    "scrape.min_interval": scrape.min_interval, "0 s to 1 h", within(0, 3600);
    "scrape.connect_timeout": scrape.connect_timeout, "100 ms to 60 s", |d: &Duration| *d >= Duration::from_millis(100) && *d <= s(60);
    "scrape.request_timeout": scrape.request_timeout, "100 ms to 10 minutes", |d: &Duration| *d >= Duration::from_millis(100) && *d <= s(600);
    "scrape.source_timeout": scrape.source_timeout, "100 ms to 1 h", |d: &Duration| *d >= Duration::from_millis(100) && *d <= s(3600);
    "scrape.max_body_bytes": scrape.max_body_bytes, "1 KiB to 512 MiB", |n: &usize| (1 << 10..=512 << 20).contains(n);
    "scrape.max_redirects": scrape.max_redirects, "0 to 20", |n: &usize| *n <= 20;
    "scrape.allow_downgrade": scrape.allow_downgrade, "true or false", |_| true;
    "scrape.obey_robots": scrape.obey_robots, "true or false", |_| true;
    "scrape.allow_private": scrape.allow_private, "a list of hosts, host:port, or \"*\"", |_| true;
    "scrape.allow_private_proxies": scrape.allow_private_proxies, "a list of hosts, host:port, or \"*\"", |_| true;
    "scrape.match_description": scrape.match_description, "true or false", |_| true;
    "scrape.proxy_lists": scrape.proxy_lists, "a list of http(s) URLs", |list: &Vec<Address>| list.iter().all(Address::is_http);
    "scrape.proxies_required": scrape.proxies_required, "true or false", |_| true;
    "scrape.concurrent_sources": scrape.concurrent_sources, "1 to 64", |n: &usize| (1..=64).contains(n);
    "log.format": log.format, "\"auto\", \"text\", \"logfmt\" or \"json\"", |_| true;
    "log.level": log.level, "a level (trace, debug, info, warning, error, critical, off) or a list of directives such as \"info,rhubarb_queue=debug\"", |text: &String| telemetry::level(text).is_ok();
    "web.port": web.port, "0 to 65535", |_| true;
};
