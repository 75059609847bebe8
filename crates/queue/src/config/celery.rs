//! `[celery]`: Celery's own settings, as the Django application has them.

use std::time::Duration;

use rhubarb_config::{
    rules::{MIB, ZONE, is_zone, seconds, within},
    settings, words,
};

use super::{queue_name, routes::Routes};

settings! {
    /// Celery's own settings, as the Django application has them.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct CeleryConfig {
        /// In front of every key of the queue, Celery's and ours: two installations on one Redis.
        global_keyprefix: String = String::new(), accepts "text";
        /// The priority steps; a message's list is that of the greatest step not above its
        /// priority.
        priority_steps: Vec<u8> = vec![0, 3, 6, 9],
            accepts "an ascending list of numbers from 0 to 255 that begins with 0",
            if |steps| steps.first() == Some(&0) && steps.len() <= 16 && steps.is_sorted_by(|a, b| a < b);
        /// Between a queue's name and its step.
        sep: String = "\u{6}\u{16}".into(),
            accepts "text of 1 to 8 bytes", if |sep| (1..=8).contains(&sep.len());
        /// The queue for tasks that name none.
        task_default_queue: String = "celery".into(),
            accepts "a queue's name of 1 to 512 characters without control characters",
            if |name| queue_name::is_valid(name);
        /// The priority of tasks that name none: 0 (most urgent) to 255.
        task_default_priority: u8 = 0, accepts "0 (most urgent) to 255";
        /// In front of the keys of results, groups and chords: `global_keyprefix` of Celery's
        /// `result_backend_transport_options`.
        result_global_keyprefix: String = String::new(), accepts "text";
        /// How the clients' Celery joins `result_global_keyprefix` and a key: "5.7" with "_" unless
        /// the prefix ends in one of ":_-.", "5.4" always with "_".
        result_keyprefix_form: KeyprefixForm = KeyprefixForm::Celery5_7,
            accepts "\"5.7\" or \"5.4\"";
        /// How long results are kept.
        result_expires: Duration = seconds(86_400),
            accepts "1 s to 365 days", if |d| within(d, 1, 365 * 86_400);
        /// How results of successes are compressed, as Celery's `result_compression`: "none",
        /// "zlib", "gzip" (kombu's other name for zlib), "bzip2" or "zstd". Clients of Celery 5.7
        /// read them whatever their own setting is; older ones cannot.
        result_compression: ResultCompression = ResultCompression::None,
            accepts "one of \"none\", \"zlib\", \"gzip\", \"bzip2\", \"zstd\"";
        /// Only results of at least this size are compressed.
        result_compression_min_bytes: usize = 1 << 10,
            accepts "0 to 512 MiB", if |n| *n <= 512 * MIB;
        /// The greatest message that is published; a larger one is refused before anything is sent.
        max_publish_bytes: usize = 8 * MIB,
            accepts "1 KiB to 512 MiB", if |n| (1 << 10..=512 * MIB).contains(n);
        /// How long publishing waits for a Redis that is out of memory before it fails.
        publish_patience: Duration = seconds(10), accepts "0 s to 1 h", if |d| within(d, 0, 3600);
        /// Whether a result also tells the task's name, arguments, worker, retries and queue.
        result_extended: bool = false;
        /// Whether no task stores a result unless its call asks for it.
        task_ignore_result: bool = false;
        /// Whether failures of tasks whose results are ignored are stored all the same.
        task_store_errors_even_if_ignored: bool = false;
        /// Whether the state STARTED is stored when a task begins; costs a round trip a task.
        task_track_started: bool = false;
        /// Whether publishing a task also sends the event task-sent.
        task_send_sent_event: bool = false;
        /// Whether tasks that a task publishes take its priority where they name none.
        task_inherit_parent_priority: bool = false;
        /// The time zone of an ETA without offset.
        timezone: String = "UTC".into(), accepts ZONE, if |zone| is_zone(zone);
    }
    tables {
        /// Where tasks go whose call names no queue, by name or pattern, as Celery's
        /// `task_routes`; for all that publishes here: schedules, workers, `rhubarb enqueue`,
        /// the client library. A name without * comes first, then the patterns in order.
        task_routes: Routes = Routes::default(),
            examples "# \"job_scraper.tasks.refresh_proxies\" = \"proxies\"\n\
                      # \"job_scraper.*\" = { queue = \"scrapers\", priority = 3 }\n";
    }
    fields {
        /// Whether no result is ever stored, whatever a call asks for: `redis.results_url` is
        /// `disabled://`.
        results_disabled: bool = false;
    }
}

/// How a version of Celery joins the prefix of results and a key's name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeyprefixForm {
    /// Celery 5.7: with `_`, unless the prefix ends in one of `:_-.`.
    #[default]
    Celery5_7,
    /// Celery 5.4: always with `_`.
    Celery5_4,
}
words!(KeyprefixForm: "5.7" => Self::Celery5_7, "5.4" => Self::Celery5_4);

/// How results are compressed, by Celery's name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ResultCompression {
    /// Not at all.
    #[default]
    None,
    /// zlib; `gzip` is kombu's other name for it.
    Zlib,
    /// bzip2.
    Bzip2,
    /// Zstandard; Celery's clients need the package `zstandard` to read it.
    Zstd,
}
words!(ResultCompression: "none" => Self::None, "zlib" => Self::Zlib, "gzip" => Self::Zlib,
    "bzip2" => Self::Bzip2, "zstd" => Self::Zstd);

impl CeleryConfig {
    /// Returns what stands before the names of results, groups and chords.
    ///
    /// Celery's `KeyValueStoreBackend._add_global_keyprefix`, read in 5.4.0 and 5.7.0.
    pub fn result_prefix(&self) -> String {
        let (prefix, joint) = self.result_prefix_parts();
        format!("{prefix}{joint}")
    }

    /// Returns the same as the setting and what joins it to a name.
    pub(crate) fn result_prefix_parts(&self) -> (&str, &'static str) {
        let prefix = self.result_global_keyprefix.as_str();
        let joined = prefix.is_empty()
            || self.result_keyprefix_form == KeyprefixForm::Celery5_7
                && prefix.ends_with([':', '_', '-', '.']);
        (prefix, if joined { "" } else { "_" })
    }
}
