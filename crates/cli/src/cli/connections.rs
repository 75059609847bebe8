//! `connections`

use std::fmt;

use clap::Args;

use super::Shown;

/// The plans of Heroku's Key-Value Store, 2026-11: connections and memory, MB.
const PLANS: [(&str, u32, u32); 7] = [
    ("mini", 20, 25),
    ("premium-0", 40, 50),
    ("premium-1", 80, 100),
    ("premium-2", 200, 250),
    ("premium-3", 400, 500),
    ("premium-4", 700, 750),
    ("premium-5", 1_000, 1_000),
];

/// `connections`
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  rhubarb connections
  rhubarb connections --plan mini --formation web=1,worker=2,beat=1 --others 8
  rhubarb connections --plan 50:100 --formation worker=4,beat=2

It asks no server: it counts by the configuration, which says how many databases are in use. While \
a deployment replaces processes, old and new ones run together, so that each counts twice.

Exit codes:
  0  it fits, or no plan was named
  1  it does not fit")]
pub(crate) struct ConnectionsArgs {
    /// What Redis has: a plan of Heroku's (mini, premium-0 to premium-5), or CONNECTIONS:MB
    #[arg(long, value_name = "PLAN", value_parser = parse_plan)]
    pub(crate) plan: Option<Plan>,
    /// How many processes of each run: web (`rhubarb web`), worker, beat
    #[arg(long, value_name = "NAME=N,…", default_value = "web=1,worker=1,beat=1",
        value_parser = parse_formation)]
    pub(crate) formation: Formation,
    /// How many connections others hold beside them at the most, Django's for instance
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) others: u32,
    /// How it is shown.
    #[command(flatten)]
    pub(crate) shown: Shown,
}

/// What a server gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    /// As it was asked for.
    pub(crate) name: String,
    /// How many connections it lets in.
    pub(crate) connections: u32,
    /// Its memory, bytes.
    pub(crate) memory: u64,
}

/// How many processes run of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Formation {
    /// `rhubarb web`
    pub(crate) web: u32,
    /// `worker`
    pub(crate) worker: u32,
    /// `beat`
    pub(crate) beat: u32,
}

impl fmt::Display for Formation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "web={},worker={},beat={}", self.web, self.worker, self.beat)
    }
}

fn parse_plan(text: &str) -> Result<Plan, String> {
    let plan = |connections, megabytes: u32| Plan {
        name: text.to_owned(),
        connections,
        memory: u64::from(megabytes) << 20,
    };
    if let Some((_, connections, megabytes)) = PLANS.iter().find(|(name, ..)| *name == text) {
        return Ok(plan(*connections, *megabytes));
    }
    let numbers = text.split_once(':').and_then(|(connections, megabytes)| {
        Some((connections.trim().parse().ok()?, megabytes.trim().parse().ok()?))
    });
    let names: Vec<&str> = PLANS.iter().map(|(name, ..)| *name).collect();
    numbers
        .map(|(connections, megabytes)| plan(connections, megabytes))
        .ok_or_else(|| format!("it is none of {}, nor CONNECTIONS:MB as 20:25", names.join(", ")))
}

fn parse_formation(text: &str) -> Result<Formation, String> {
    let mut formation = Formation::default();
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let wrong = || format!("`{part}` is not NAME=N with web, worker or beat and a number");
        let (name, number) = part.split_once('=').ok_or_else(wrong)?;
        // More processes than these would only overflow what they are multiplied with.
        let number = number.trim().parse::<u16>().map_err(|_| wrong())?.into();
        match name.trim() {
            "web" => formation.web = number,
            "worker" => formation.worker = number,
            "beat" => formation.beat = number,
            _ => return Err(wrong()),
        }
    }
    Ok(formation)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_a_name_or_two_numbers() {
        let mini = parse_plan("mini").unwrap();
        assert_eq!((mini.connections, mini.memory), (20, 25 << 20));
        let own = parse_plan("50:100").unwrap();
        assert_eq!((own.connections, own.memory), (50, 100 << 20));
        for wrong in ["", "maxi", "20", "20:", ":25", "a:b", "-1:5", "99999999999:1"] {
            assert!(parse_plan(wrong).unwrap_err().contains("premium-0"), "{wrong}");
        }
    }

    #[test]
    fn a_formation_names_what_runs() {
        let all = parse_formation("web=2, worker=3,beat=1").unwrap();
        assert_eq!(all, Formation { web: 2, worker: 3, beat: 1 });
        assert_eq!(parse_formation("worker=4").unwrap(), Formation { worker: 4, ..all_none() });
        for wrong in ["worker", "worker=", "worker=-1", "clock=1", "worker=70000"] {
            assert!(parse_formation(wrong).is_err(), "{wrong}");
        }
    }

    fn all_none() -> Formation {
        Formation::default()
    }
}
