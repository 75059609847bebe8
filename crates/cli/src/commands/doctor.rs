//! `doctor`: whether the installation is fit to run, one sentence for each thing that is not.

use rhubarb_connection::Connections;
use rhubarb_jobs::Caches;
use rhubarb_monitor::{
    collect::Scope,
    doctor::{self, Examination},
    finding::Level,
    scan::Effort,
    servers,
};
use rhubarb_queue::Client;
use rhubarb_settings::Settings;

use crate::{
    cli::DoctorArgs,
    error::Error,
    output::{self, Format},
    view,
};

/// Examines the installation. A sound one is told by silence, as a script wants it.
pub(crate) async fn run(
    config: &Settings,
    warnings: &[String],
    args: &DoctorArgs,
) -> Result<(), Error> {
    let connections = Connections::new(&config.redis, "rhubarb-doctor")?;
    let servers = servers::of(&connections);
    let client = Client::new(&connections, config);
    let caches = Caches::new(&config.cache, &connections)?;
    let effort = Effort::new(args.effort, true);
    let look = Scope { config, servers: &servers, client: &client, info: true, effort };
    let running = (!args.setup).then_some(&caches);
    let examined = doctor::examine(&look, running, warnings).await;
    show(&examined, args)?;
    if examined.is_ill(args.strict) {
        return Err(Error::Findings(told(&examined)));
    }
    Ok(())
}

fn show(examined: &Examination, args: &DoctorArgs) -> Result<(), Error> {
    if args.json {
        return Ok(Format::Json.show(examined, |_| String::new())?);
    }
    if !examined.findings.is_empty() {
        output::print(&view::findings(&examined.findings))?;
    }
    Ok(())
}

fn told(examined: &Examination) -> String {
    let of = |level| examined.findings.iter().filter(|finding| finding.level == level).count();
    let counted = |n: usize, what: &str| match n {
        0 => None,
        1 => Some(format!("1 {what}")),
        n => Some(format!("{n} {what}s")),
    };
    let found = [counted(of(Level::Error), "error"), counted(of(Level::Warning), "warning")];
    let found: Vec<String> = found.into_iter().flatten().collect();
    format!("{}; below each stands what to do", found.join(" and "))
}
