//! `connections`: whether a formation's connections fit a plan, and what is kept fits its memory.

use std::collections::BTreeSet;

use rhubarb_connection::Role;
use rhubarb_monitor::number::bytes;
use rhubarb_settings::Settings;
use serde::Serialize;

use crate::{
    cli::{ConnectionsArgs, Formation, Plan},
    error::Error,
    output::Format,
    table::Grid,
};

/// Old and new processes run together while a deployment replaces them.
const OVERLAP: u32 = 2;

/// The budget, as JSON shows it.
#[derive(Debug, PartialEq, Serialize)]
struct Budget {
    processes: Vec<Process>,
    others: u32,
    /// At the most, during a deployment.
    connections: u32,
    connections_allowed: Option<u32>,
    kept: Vec<Kept>,
    memory_allowed: Option<u64>,
    fits: bool,
}

/// One kind of process.
#[derive(Debug, PartialEq, Serialize)]
struct Process {
    name: &'static str,
    count: u32,
    connections_each: u32,
    connections_during_deployment: u32,
}

/// What is kept in Redis beside what waits and runs.
#[derive(Debug, PartialEq, Serialize)]
struct Kept {
    what: &'static str,
    bytes: u64,
}

/// Counts, shows, and ends without success when it does not fit.
pub(crate) fn run(config: &Settings, args: &ConnectionsArgs) -> Result<(), Error> {
    let budget = budget(config, args.formation, args.plan.as_ref(), args.others);
    Format::of(args.shown.json).show(&budget, shown)?;
    match (&args.plan, budget.fits) {
        (Some(plan), false) => Err(Error::Failed(refused(&budget, plan))),
        _ => Ok(()),
    }
}

fn budget(config: &Settings, formation: Formation, plan: Option<&Plan>, others: u32) -> Budget {
    let databases = |roles: &[Role]| -> u32 {
        let used: BTreeSet<String> = roles.iter().map(|role| place(config, *role)).collect();
        u32::try_from(used.len()).unwrap_or(u32::MAX)
    };
    let queue = [Role::Queue, Role::Results];
    let worker = [&queue[..], &[Role::Cache, Role::Jobs]].concat();
    let process = |name, count: u32, roles: &[Role]| Process {
        name,
        count,
        connections_each: databases(roles),
        connections_during_deployment: count * databases(roles) * OVERLAP,
    };
    let processes = vec![
        process("web", formation.web, &Role::ALL),
        process("worker", formation.worker, &worker),
        process("beat", formation.beat, &[Role::Queue]),
    ];
    let ours: u32 = processes.iter().map(|one| one.connections_during_deployment).sum();
    let connections = ours.saturating_add(others);
    let fits = plan.is_none_or(|plan| connections <= plan.connections);
    Budget {
        processes,
        others,
        connections,
        connections_allowed: plan.map(|plan| plan.connections),
        kept: kept(config, plan),
        memory_allowed: plan.map(|plan| plan.memory),
        fits,
    }
}

/// A database by its server and number, as [`rhubarb_connection::Connections`] tells them apart.
fn place(config: &Settings, role: Role) -> String {
    let (url, db) = config.redis.url_for(role);
    format!("{}#{db}", url.expose())
}

/// What may stay in Redis when nothing waits, each at its cap.
fn kept(config: &Settings, plan: Option<&Plan>) -> Vec<Kept> {
    let part = |part: u64| plan.map_or(u64::MAX, |plan| plan.memory / part);
    let kept = |what, bytes: usize, most: u64| Kept { what, bytes: most.min(bytes as u64) };
    let scrape = &config.scraping.scrape;
    vec![
        kept("dead letters", config.worker.max_dead_letters_bytes, part(1)),
        kept("parked tasks", config.worker.max_parked_bytes, part(1)),
        // These take a part of a small server at the most, whatever they are set to.
        kept("history", config.history.max_bytes, part(10)),
        kept("pages of job sites", scrape.page_cache_bytes, part(10)),
        kept("boards of job sites", scrape.board_cache_bytes, part(5)),
    ]
}

fn shown(budget: &Budget) -> String {
    let numbers = ["PROCESSES", "EACH", "RUNNING", "DEPLOYING"];
    let mut grid =
        Grid::new(&["CONNECTIONS OF", "PROCESSES", "EACH", "RUNNING", "DEPLOYING"]).right(&numbers);
    for process in &budget.processes {
        let Process { count, connections_each: each, .. } = process;
        grid.row([
            process.name.to_owned(),
            count.to_string(),
            each.to_string(),
            (count * each).to_string(),
            process.connections_during_deployment.to_string(),
        ]);
    }
    let others = budget.others.to_string();
    grid.row(["others".to_owned(), String::new(), String::new(), others.clone(), others]);
    let running = budget.connections.saturating_sub(budget.others) / OVERLAP + budget.others;
    let total = budget.connections.to_string();
    grid.row(["together".to_owned(), String::new(), String::new(), running.to_string(), total]);
    let mut lines = vec![grid.render(), String::new()];
    let mut memory = Grid::new(&["AT MOST KEPT OF", "BYTES"]).right(&["BYTES"]);
    for one in &budget.kept {
        memory.row([one.what.to_owned(), bytes(one.bytes)]);
    }
    memory.row(["together".to_owned(), bytes(kept_together(budget))]);
    lines.push(memory.render());
    if budget.fits {
        lines.extend(verdict(budget));
    }
    lines.join("\n")
}

fn kept_together(budget: &Budget) -> u64 {
    budget.kept.iter().map(|one| one.bytes).sum()
}

fn verdict(budget: &Budget) -> Option<String> {
    let allowed = budget.connections_allowed?;
    let mut said = format!(
        "\nIt fits: {} of {allowed} connections at the most, while a deployment replaces all of \
         them.",
        budget.connections
    );
    let (kept, memory) = (kept_together(budget), budget.memory_allowed?);
    if kept > memory / 2 {
        said += &format!(
            "\nBut what is kept may take {} of its {}. Lower worker.max_dead_letters_bytes and \
             worker.max_parked_bytes.",
            bytes(kept),
            bytes(memory)
        );
    }
    Some(said)
}

fn refused(budget: &Budget, plan: &Plan) -> String {
    format!(
        "{} connections during a deployment are more than the {} of {}: run fewer processes, set \
         redis.layout = \"two\", or get a larger plan",
        budget.connections, plan.connections, plan.name
    )
}

#[cfg(test)]
mod tests {
    use rhubarb_connection::Layout;

    use super::*;

    fn plan(connections: u32) -> Plan {
        Plan { name: "mini".to_owned(), connections, memory: 25 << 20 }
    }

    fn counted(layout: Layout) -> Budget {
        let mut config = Settings::default();
        config.redis.layout = layout;
        let formation = Formation { web: 1, worker: 2, beat: 1 };
        budget(&config, formation, Some(&plan(20)), 4)
    }

    #[test]
    fn each_process_counts_one_connection_a_database_and_twice_during_a_deployment() {
        let two = counted(Layout::Two);
        let each: Vec<u32> = two.processes.iter().map(|one| one.connections_each).collect();
        assert_eq!((each, two.connections, two.fits), (vec![2, 2, 1], 18, true));
        let four = counted(Layout::Four);
        let each: Vec<u32> = four.processes.iter().map(|one| one.connections_each).collect();
        assert_eq!((each, four.connections, four.fits), (vec![4, 3, 1], 26, false));
        assert!(refused(&four, &plan(20)).contains("redis.layout = \"two\""));
    }

    #[test]
    fn what_may_be_kept_is_told_where_it_fills_half_of_the_plan() {
        let said = shown(&counted(Layout::Two));
        assert!(said.contains("It fits: 18 of 20 connections"), "{said}");
        assert!(said.contains("may take 42.0 MiB of its 25.0 MiB"), "{said}");
    }
}
