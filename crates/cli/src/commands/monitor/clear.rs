//! `--clear`: what `clear_cache_task` clears, and no more.

use std::io::{self, IsTerminal};

use rhubarb_jobs::{CacheConfig, Caches, Cleared};
use serde::Serialize;

use super::{collect, report::Report};
use crate::{
    commands::Context,
    commands::pauses::confirmed,
    error::Error,
    output::{self, Format},
};

/// What `--clear --json` prints.
#[derive(Debug, Serialize)]
struct Gone {
    /// All of them.
    keys: u64,
    #[serde(flatten)]
    cleared: Cleared,
}

/// Deletes the job caches, after asking. What would go is counted with bounded effort first, so
/// that the question says it.
pub(super) async fn clear(
    context: &Context,
    look: &collect::Scope<'_>,
    yes: bool,
    json: bool,
) -> Result<(), Error> {
    if !yes && !io::stdin().is_terminal() {
        return Err(Error::Usage("not a terminal to ask on: add --yes to agree".to_owned()));
    }
    let caches = Caches::new(&context.config.cache, &context.connections)?;
    let report = collect::report(look).await;
    let roles = roles(&context.config.cache);
    reached(&report, &roles)?;
    let about = about(&report, &roles);
    if yes {
        output::note(&format!("deleting {about}"));
    } else if !confirmed(&format!("Delete {about}? Queues, sessions and other caches stay."))? {
        return Err(Error::Failed("nothing was deleted".to_owned()));
    }
    let cleared = caches.clear().await?;
    let keys = cleared.listings + cleared.status + cleared.proxies;
    Ok(Format::of(json).show(&Gone { keys, cleared }, told)?)
}

/// Returns the roles whose databases hold what is deleted.
fn roles(caches: &CacheConfig) -> Vec<&'static str> {
    let targets = caches.listings.iter().chain([&caches.status, &caches.proxies]);
    targets.filter_map(|target| Some(caches.aliases.get(&target.alias)?.role.name())).collect()
}

/// Begins nothing where part of it could not be done.
fn reached(report: &Report, roles: &[&str]) -> Result<(), Error> {
    for database in &report.databases {
        let matters = database.roles.iter().any(|role| roles.contains(role));
        if let Some(why) = database.unreachable.as_ref().filter(|_| matters) {
            let name = database.name();
            let told = format!("nothing was deleted: cannot reach {name}: {why}");
            return Err(match database.misconfigured {
                true => Error::Configuration(told),
                false => Error::Unreached(told),
            });
        }
    }
    Ok(())
}

fn about(report: &Report, roles: &[&str]) -> String {
    let how_many = report.to_clear(roles).map_or_else(|| "all".to_owned(), |count| count.shown());
    format!("{how_many} keys of listings, scraping status and proxy list")
}

fn told(gone: &Gone) -> String {
    let Cleared { listings, status, proxies } = gone.cleared;
    format!(
        "deleted: {} keys ({listings} listings, {status} scraping status, {proxies} proxy list)",
        gone.keys
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_went_is_told_by_what_it_was() {
        let gone = Gone { keys: 13, cleared: Cleared { listings: 12, status: 1, proxies: 0 } };
        assert_eq!(told(&gone), "deleted: 13 keys (12 listings, 1 scraping status, 0 proxy list)");
        let json = serde_json::to_value(&gone).unwrap();
        assert_eq!(
            json,
            serde_json::json!({"keys": 13, "listings": 12, "status": 1, "proxies": 0})
        );
    }
}
