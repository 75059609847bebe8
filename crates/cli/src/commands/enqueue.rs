//! `enqueue` and `scrape`: publish a task, and wait for it where asked.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
    time::Duration,
};

use jiff::{Timestamp, tz::TimeZone};
use rhubarb_queue::{
    CallOptions, Publish, Published,
    canvas::Call,
    wire::{self, Signature, TaskResult, Time},
};
use rhubarb_settings::Settings;
use serde::Serialize;
use serde_json::Value;

use super::{Context, wait};
use crate::{
    cli::{EnqueueArgs, Eta, ScrapeArgs, Shown},
    error::Error,
    output::{self, Format},
    view,
};

const SCRAPE: &str = "job_scraper.tasks.scrape_specific_keyword";

/// The largest signature that is read, bytes.
const MAX_SIGNATURE: u64 = 16 << 20;

/// What was published, where nobody waits for it.
#[derive(Debug, Serialize)]
struct Sent<'a> {
    id: &'a str,
    /// Whether the same task had been published before, under this id.
    duplicate: bool,
}

impl Sent<'_> {
    fn show(&self, shown: Shown) -> Result<(), Error> {
        Ok(Format::of(shown.json).show(self, |sent| sent.id.to_owned())?)
    }
}

/// Publishes any task, or a canvas.
pub(crate) async fn enqueue(context: &Context, args: EnqueueArgs) -> Result<(), Error> {
    let (wait, shown) = (args.wait, args.shown);
    check_wait(wait, &context.config)?;
    if let Some(file) = args.signature.clone() {
        return canvas(context, &file, publish(args, &context.config)?, (wait, shown)).await;
    }
    let task = publish(args, &context.config)?;
    let published = context.client.publish(&task).await?;
    tell_duplicate(&published);
    let Some(timeout) = wait else {
        return Sent { id: &published.id, duplicate: published.duplicate }.show(shown);
    };
    let what = format!("waiting for {} ({})", task.task, published.id);
    let result = wait::result(&context.client, &published.id, timeout, &what).await?;
    Format::Json.show(&result.result, |_| String::new())?;
    Ok(())
}

/// Publishes a signature with the options of the call; prints the id that its result is stored
/// under.
async fn canvas(
    context: &Context,
    file: &Path,
    call: Publish,
    (wait, shown): (Option<Duration>, Shown),
) -> Result<(), Error> {
    let signature = read_signature(file)?;
    let what = signature.task.clone();
    let Signature { args, options, .. } = call.into();
    let call = Call { args, options, ..Call::default() };
    let result = context.client.apply_with(signature, call).await?;
    let Some(timeout) = wait else {
        return Sent { id: &result.id, duplicate: false }.show(shown);
    };
    let what = format!("waiting for {what} ({})", result.id);
    let value = wait::canvas(&context.client, &result, timeout, &what).await?;
    Format::Json.show(&value, |_| String::new())?;
    Ok(())
}

fn read_signature(file: &Path) -> Result<Signature, Error> {
    let shown = file.display();
    let wrong = |problem: String| Error::Usage(format!("invalid --signature `{shown}`: {problem}"));
    let reader: Box<dyn Read> = if file.as_os_str() == "-" {
        Box::new(io::stdin())
    } else {
        Box::new(File::open(file).map_err(|error| wrong(error.to_string()))?)
    };
    let mut text = Vec::new();
    reader
        .take(MAX_SIGNATURE + 1)
        .read_to_end(&mut text)
        .map_err(|error| wrong(error.to_string()))?;
    if text.len() as u64 > MAX_SIGNATURE {
        return Err(wrong(format!("it has more than {} MiB", MAX_SIGNATURE >> 20)));
    }
    let valid: Result<Value, _> = serde_json::from_slice(&text);
    valid.map_err(|problem| wrong(format!("not valid JSON: {problem}")))?;
    let value = wire::common(&String::from_utf8_lossy(&text)).map_err(wrong)?;
    Signature::from_value(value).map_err(wrong)
}

/// Publishes a scrape.
pub(crate) async fn scrape(context: &Context, args: ScrapeArgs) -> Result<(), Error> {
    check_sources(&args.sources, &context.config)?;
    check_wait(args.wait, &context.config)?;
    let published = context.client.publish(&scrape_task(&args)).await?;
    let Some(timeout) = args.wait else {
        return Sent { id: &published.id, duplicate: published.duplicate }.show(args.shown);
    };
    let what = format!("scraping \"{}\" ({})", args.keyword, published.id);
    let result = wait::result(&context.client, &published.id, timeout, &what).await?;
    let TaskResult { result: summary, .. } = &result;
    Format::of(args.shown.json).show(summary, view::summary)?;
    view::unwell(summary).iter().for_each(|sentence| output::note(sentence));
    Ok(())
}

fn tell_duplicate(published: &Published) {
    if published.duplicate {
        output::note("not published: the same task with the same arguments was published before");
    }
}

fn publish(args: EnqueueArgs, config: &Settings) -> Result<Publish, Error> {
    let eta = args.eta.map(|eta| instant(eta, &config.celery.timezone)).transpose()?;
    let named = |tasks: Vec<String>| tasks.into_iter().map(|task| Signature::new(&task)).collect();
    let headers = args.headers.into_iter().map(|(name, value)| (name, Value::from(value)));
    Ok(Publish {
        task: args.task.unwrap_or_default(),
        args: args.args.0,
        kwargs: args.kwargs,
        unique_for: args.unique_for,
        options: CallOptions {
            id: args.id.map(|id| id.to_string()),
            queue: args.queue,
            countdown: args.countdown,
            eta: eta.map(Time::at),
            expires_in: args.expires,
            priority: args.priority,
            time_limit: args.time_limit,
            soft_time_limit: args.soft_time_limit,
            shadow: args.shadow,
            headers: headers.collect(),
            ignore_result: args.ignore_result.then_some(true),
            link: named(args.link),
            link_error: named(args.link_error),
            ..CallOptions::default()
        },
    })
}

/// Returns the instant that an ETA means; one in a gap of the zone's clock is the one after it.
fn instant(eta: Eta, timezone: &str) -> Result<Timestamp, Error> {
    match eta {
        Eta::At(at) => Ok(at),
        Eta::Local(local) => TimeZone::get(timezone)
            .and_then(|zone| zone.to_timestamp(local))
            .map_err(|problem| Error::Usage(format!("invalid --eta `{local}`: {problem}"))),
    }
}

/// Said before anything is published: a task that was published for nothing would be published
/// again.
fn check_wait(wait: Option<Duration>, config: &Settings) -> Result<(), Error> {
    if wait.is_some() && config.celery.results_disabled {
        let reason = "--wait: no results are stored (redis.results_url is `disabled://`)";
        return Err(Error::Usage(reason.to_owned()));
    }
    Ok(())
}

/// A scrape of a name that is not configured would find nothing and say so as an honest zero.
fn check_sources(wanted: &[String], config: &Settings) -> Result<(), Error> {
    let known: Vec<&str> =
        config.scraping.sources.iter().map(|source| source.name.as_str()).collect();
    match wanted.iter().find(|name| !known.contains(&name.as_str())) {
        None => Ok(()),
        Some(name) => {
            let known = known.join(", ");
            Err(Error::Usage(format!("no source is named `{name}`; configured are {known}")))
        }
    }
}

fn scrape_task(args: &ScrapeArgs) -> Publish {
    let mut task = Publish::new(SCRAPE).arg(args.keyword.as_str());
    let filters = &args.filters;
    if let Some(location) = &filters.location {
        task = task.kwarg("location", location.as_str());
    }
    if let Some(remote) = filters.remote {
        task = task.kwarg("remote", remote);
    }
    if let Some(age) = filters.posted_within {
        task = task.kwarg("posted_within", age.as_secs());
    }
    if let Some(kind) = &filters.employment_type {
        task = task.kwarg("employment_type", kind.as_str());
    }
    if let Some(least) = filters.min_salary {
        task = task.kwarg("min_salary", least);
    }
    if let Some(company) = &filters.company {
        task = task.kwarg("company", company.as_str());
    }
    if args.force {
        task = task.kwarg("force", true);
    }
    if !args.sources.is_empty() {
        task = task.kwarg("sources", args.sources.clone());
    }
    task
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cli::OnlyArgs;

    #[test]
    fn an_eta_without_offset_is_in_celerys_time_zone() {
        let local = Eta::Local("2027-07-01T09:00:00".parse().unwrap());
        let expect: Timestamp = "2027-07-01T07:00:00Z".parse().unwrap();
        assert_eq!(instant(local, "Europe/Berlin").unwrap(), expect);
        assert!(instant(local, "Europe/Atlantis").is_err());
    }

    #[test]
    fn nothing_is_published_to_be_waited_for_where_no_results_are_stored() {
        let mut config = Settings::default();
        let wait = Some(Duration::from_secs(1));
        assert!(check_wait(wait, &config).is_ok());
        config.celery.results_disabled = true;
        assert!(matches!(check_wait(wait, &config), Err(Error::Usage(_))));
        assert!(check_wait(None, &config).is_ok());
    }

    #[test]
    fn a_scrape_names_only_what_was_asked_for() {
        let args = |location: Option<&str>, sources: &[&str], force| ScrapeArgs {
            keyword: "rust".into(),
            filters: OnlyArgs { location: location.map(str::to_owned), ..OnlyArgs::default() },
            sources: sources.iter().map(|name| (*name).to_owned()).collect(),
            force,
            wait: None,
            shown: crate::cli::Shown { json: false },
        };
        let task = scrape_task(&args(None, &[], false));
        assert_eq!((task.args, task.kwargs.len()), (vec![json!("rust")], 0));
        let mut filtered = args(None, &[], false);
        filtered.filters = OnlyArgs {
            remote: Some(true),
            posted_within: Some(Duration::from_secs(3_600)),
            min_salary: Some(60e3),
            ..OnlyArgs::default()
        };
        let kwargs = json!({"remote": true, "posted_within": 3_600, "min_salary": 60e3});
        assert_eq!(json!(scrape_task(&filtered).kwargs), kwargs);
        let task = scrape_task(&args(Some("Oslo"), &["remoteok"], true));
        let kwargs = json!({"location": "Oslo", "force": true, "sources": ["remoteok"]});
        assert_eq!(json!(task.kwargs), kwargs);
    }
}
