//! What a person sees while a task is awaited: a bar on a terminal, lines elsewhere.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;

use crate::{output, table::clean};

/// One report of a running task.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Step {
    done: u64,
    total: u64,
    label: String,
}

/// Shows the reports of one awaited task on standard error.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
    last: Option<Step>,
}

impl Progress {
    /// Begins to show; `what` says what is awaited.
    pub(crate) fn start(what: &str) -> Self {
        if !output::is_interactive() {
            output::note(what);
            return Self { bar: None, last: None };
        }
        let bar = ProgressBar::no_length().with_message(what.to_owned());
        bar.set_style(style("{spinner} {msg} {elapsed}"));
        bar.enable_steady_tick(Duration::from_millis(100));
        Self { bar: Some(bar), last: None }
    }

    /// Shows a report, unless it says the same as the one before or nothing that can be shown.
    pub(crate) fn report(&mut self, meta: &Value) {
        let step = Step::read(meta);
        if step.is_none() || step == self.last {
            return;
        }
        if let Some(step) = &step {
            self.show(step);
        }
        self.last = step;
    }

    /// Says a sentence that stays.
    pub(crate) fn say(&self, sentence: &str) {
        match &self.bar {
            Some(bar) => bar.println(sentence),
            None => output::note(sentence),
        }
    }

    fn show(&self, step: &Step) {
        let Some(bar) = &self.bar else {
            return output::note(&format!("{}/{} {}", step.done, step.total, step.label));
        };
        if self.last.is_none() {
            bar.set_style(style("{spinner} [{bar:24}] {pos}/{len} {msg}"));
        }
        bar.set_length(step.total);
        bar.set_position(step.done);
        bar.set_message(step.label.clone());
    }

    /// Leaves the terminal as it was.
    pub(crate) fn end(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}

impl Step {
    /// Reads a scrape's `{source, status, count, error, done, total}` or a task's `{message,
    /// current, total}`.
    fn read(meta: &Value) -> Option<Self> {
        let number = |keys: &[&str]| keys.iter().find_map(|key| meta.get(key)?.as_u64());
        let text = |key: &str| meta.get(key).and_then(Value::as_str);
        let total = number(&["total"])?;
        let label = match (text("source"), text("status"), text("error")) {
            (Some(source), Some("ok"), _) => {
                format!("{source}: {} listings", number(&["count"]).unwrap_or_default())
            }
            (Some(source), _, Some(error)) => format!("{source}: {error}"),
            (Some(source), Some(status), None) => format!("{source}: {}", status.replace('_', " ")),
            (Some(source), None, None) => source.to_owned(),
            (None, ..) => text("message")?.to_owned(),
        };
        Some(Self { done: number(&["done", "current"])?.min(total), total, label: clean(&label) })
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .expect("the templates are constants, each tried by a test")
        .progress_chars("=> ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn step(done: u64, total: u64, label: &str) -> Option<Step> {
        Some(Step { done, total, label: label.to_owned() })
    }

    #[test]
    fn a_scrapes_and_a_tasks_own_reports_are_understood() {
        let read = |meta: Value| Step::read(&meta);
        assert_eq!(
            read(json!({"source": "lever:x", "done": 1, "total": 4})),
            step(1, 4, "lever:x")
        );
        let ended = |status: &str, error: Option<&str>| json!({"source": "a", "status": status, "count": 3, "error": error, "done": 1, "total": 2});
        assert_eq!(read(ended("ok", None)), step(1, 2, "a: 3 listings"));
        assert_eq!(read(ended("not_found", None)), step(1, 2, "a: not found"));
        assert_eq!(read(ended("failed", Some("answered 500"))), step(1, 2, "a: answered 500"));
        assert_eq!(read(json!({"message": "m", "current": 2, "total": 3})), step(2, 3, "m"));
        assert_eq!(read(json!({"source": "a\u{1b}b", "done": 9, "total": 3})), step(3, 3, "a b"));
        for unknown in
            [json!({}), json!(null), json!({"source": 1, "done": 1, "total": 1}), json!([1])]
        {
            assert_eq!(read(unknown), None);
        }
    }

    #[test]
    fn every_template_is_valid() {
        style("{spinner} {msg} {elapsed}");
        style("{spinner} [{bar:24}] {pos}/{len} {msg}");
    }
}
