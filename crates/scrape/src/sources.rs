//! The kinds of sources, one file each.
//!
//! A new kind is one file with a pure `parse`, and one line in [`build`].

pub mod arbeitnow;
pub mod ashby;
pub mod bamboohr;
pub mod breezy;
pub mod greenhouse;
pub mod hackernews;
pub mod himalayas;
pub mod html;
pub mod icims;
pub mod jobicy;
pub mod join;
pub mod json;
pub mod jsonld;
pub mod lever;
pub mod oracle;
pub mod personio;
pub mod pinpoint;
pub mod recruitee;
pub mod remoteok;
pub mod remotive;
pub mod rippling;
pub mod rss;
pub mod sitemap;
pub mod smartrecruiters;
pub mod successfactors;
pub mod teamtailor;
pub mod weworkremotely;
pub mod workable;
pub mod workday;

use std::sync::Arc;

use crate::config::{SourceConfig, SourceKind};

use self::html::HtmlSource;
use crate::{
    fetch::Fetcher,
    gathering::{Gathering, SourceLimits},
    locale::Locale,
    query::Query,
    setup::BuildError,
    source::{Refines, Running, Source, Sources},
};

/// Builds a source from its configuration.
///
/// # Errors
/// Names the setting that is missing or invalid; a selector that doesn't parse is named with its
/// text.
pub fn build(config: &SourceConfig) -> Result<Box<dyn Source>, BuildError> {
    let source = build_kind(config)?;
    let language = Locale::of_tag(config.language.as_deref().unwrap_or_default());
    let home = Locale::of_country(config.country.as_deref().unwrap_or_default()).or(language);
    if home == Locale::default() {
        return Ok(source);
    }
    Ok(Box::new(AtHome { source, home }))
}

/// A source of which the configuration says language and country.
#[derive(Debug)]
struct AtHome {
    source: Box<dyn Source>,
    home: Locale,
}

impl Source for AtHome {
    fn name(&self) -> &str {
        self.source.name()
    }

    fn aggregates(&self) -> bool {
        self.source.aggregates()
    }

    fn limits(&self) -> SourceLimits {
        self.source.limits()
    }

    fn gives_all(&self) -> bool {
        self.source.gives_all()
    }

    fn refines(&self, query: &Query) -> Refines {
        self.source.refines(query)
    }

    fn refine<'a>(
        &'a self,
        fetcher: &'a Fetcher,
        query: &'a Query,
        found: &'a Gathering,
    ) -> Running<'a> {
        Box::pin(async move {
            let query = query.at_home(self.home);
            self.source.refine(fetcher, &query, found).await;
        })
    }

    fn run<'a>(
        &'a self,
        fetcher: &'a Fetcher,
        query: &'a Query,
        found: &'a Gathering,
    ) -> Running<'a> {
        Box::pin(async move {
            let query = query.at_home(self.home);
            self.source.run(fetcher, &query, found).await;
        })
    }
}

fn build_kind(config: &SourceConfig) -> Result<Box<dyn Source>, BuildError> {
    Ok(match config.kind {
        SourceKind::Greenhouse => Box::new(greenhouse::build(config)?),
        SourceKind::Lever => Box::new(lever::build(config)?),
        SourceKind::Ashby => Box::new(ashby::build(config)?),
        SourceKind::Workday => Box::new(workday::build(config)?),
        SourceKind::RemoteOk => Box::new(remoteok::build(config)?),
        SourceKind::WeWorkRemotely => Box::new(weworkremotely::build(config)?),
        SourceKind::Arbeitnow => Box::new(arbeitnow::build(config)?),
        SourceKind::Workable => Box::new(workable::build(config)?),
        SourceKind::SmartRecruiters => Box::new(smartrecruiters::build(config)?),
        SourceKind::Recruitee => Box::new(recruitee::build(config)?),
        SourceKind::Teamtailor => Box::new(teamtailor::build(config)?),
        SourceKind::Personio => Box::new(personio::build(config)?),
        SourceKind::Rippling => Box::new(rippling::build(config)?),
        SourceKind::Breezy => Box::new(breezy::build(config)?),
        SourceKind::BambooHr => Box::new(bamboohr::build(config)?),
        SourceKind::Pinpoint => Box::new(pinpoint::build(config)?),
        SourceKind::Join => Box::new(join::build(config)?),
        SourceKind::Oracle => Box::new(oracle::build(config)?),
        SourceKind::Icims => Box::new(icims::build(config)?),
        SourceKind::SuccessFactors => Box::new(successfactors::build(config)?),
        SourceKind::Remotive => Box::new(remotive::build(config)?),
        SourceKind::Himalayas => Box::new(himalayas::build(config)?),
        SourceKind::Jobicy => Box::new(jobicy::build(config)?),
        SourceKind::HackerNews => Box::new(hackernews::build(config)?),
        SourceKind::Json => Box::new(json::build(config)?),
        SourceKind::Rss => Box::new(rss::build(config)?),
        SourceKind::Sitemap => Box::new(sitemap::build(config)?),
        SourceKind::JsonLd => Box::new(jsonld::build(config)?),
        SourceKind::Html => Box::new(HtmlSource::new(config)?),
    })
}

/// Builds every enabled source.
///
/// # Errors
/// All invalid sources at once.
pub fn build_all(configs: &[SourceConfig]) -> Result<Sources, Vec<BuildError>> {
    let mut built = Sources::new();
    let mut errors = Vec::new();
    for config in configs.iter().filter(|config| config.enabled) {
        match build(config) {
            Ok(source) => built.push(Arc::from(source)),
            Err(error) => errors.push(error),
        }
    }
    if errors.is_empty() { Ok(built) } else { Err(errors) }
}
