//! Where the configuration comes from: defaults < file < environment < flags.

use std::{collections::BTreeMap, fmt, path::Path};

use serde::Deserialize;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use crate::{
    facts::Facts,
    origins::Origins,
    pages,
    part::{Item, ItemKind, Part, Reading},
    pieces::{self, Pieces},
    table::Table,
    value::Input,
};

/// The whole of a configuration: the table that is the file.
pub trait Configuration: Table {
    /// The section of which there may be very many entries; each is read by itself.
    const MANY: &'static str = "";
    /// Sections that only other programs read. They may stand in the same file, and are left alone
    /// there and in the environment.
    const OTHERS: &'static [&'static str] = &[];

    /// Takes what the machine says, which is no setting.
    fn surroundings(&mut self, environment: &Environment) {
        let _ = environment;
    }

    /// Completes what only several settings together tell, and adds what is wrong with them.
    fn complete(&mut self, origins: &mut Origins, problems: &mut Vec<String>) {
        let _ = (origins, problems);
    }

    /// Returns what a person should know before relying on it.
    fn warnings(&self) -> Vec<String> {
        Vec::new()
    }
}

/// The environment's variables, as far as they are looked at. Their values are never printed.
#[derive(Clone, Default)]
pub struct Environment {
    variables: BTreeMap<String, String>,
    /// This machine's name.
    pub host: String,
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.variables.keys()).finish()
    }
}

impl Environment {
    /// Reads the process's own. The only place that does.
    pub fn from_process() -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "this is the one place that the ban points to"
        )]
        let variables = std::env::vars_os();
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        let host = gethostname::gethostname().to_string_lossy().into_owned();
        Self { variables: variables.filter_map(text).collect(), host }
    }

    /// Makes one of the given variables, on a host named `host`.
    pub fn of(variables: &[(&str, &str)]) -> Self {
        let variables =
            variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Self { variables: variables.collect(), host: "host".to_owned() }
    }

    /// Makes one without variables, on this machine.
    pub fn empty() -> Self {
        Self { variables: BTreeMap::new(), ..Self::from_process() }
    }

    /// Returns a variable that is set and not empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }
}

/// Tells whether Kubernetes set this variable: it gives every container the addresses of the
/// services beside it, and those of a service named `rhubarb` or `rhubarb-web` begin as our own
/// variables do.
fn is_service_link(name: &str, value: &str) -> bool {
    ["_SERVICE_HOST", "_SERVICE_PORT", "_TCP_PROTO", "_TCP_PORT", "_TCP_ADDR"]
        .iter()
        .any(|part| name.contains(part))
        || value.starts_with("tcp://")
}

/// Reads a configuration from a file's text alone.
///
/// # Errors
///
/// All problems at once.
pub fn from_toml<C: Configuration>(text: &str) -> Result<C, Problems> {
    let file = Some((Path::new("rhubarb.toml"), text));
    load(file, &Environment::empty(), &[]).map(|loaded| loaded.config)
}

/// Tells whether a variable sets something that only other programs read.
fn is_of_others<C: Configuration>(name: &str) -> bool {
    C::OTHERS.iter().any(|section| name.starts_with(&(variable(section) + "_")))
}

/// A configuration with where each setting came from.
#[derive(Clone, Debug)]
pub struct Loaded<C> {
    /// The configuration.
    pub config: C,
    /// What a person should know before relying on it.
    pub warnings: Vec<String>,
    /// Where it came from.
    pub origins: Origins,
}

/// What holds, as a file that can be read again, with where it came from; secrets cut.
impl<C: Configuration> fmt::Display for Loaded<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&pages::print(&self.config, &self.origins))?;
        self.warnings.iter().try_for_each(|warning| writeln!(f, "# warning: {warning}"))
    }
}

/// Everything that is wrong with a configuration, one sentence each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(pub Vec<String>);

impl std::error::Error for Problems {}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the configuration has {} problem{}",
            self.0.len(),
            if self.0.len() == 1 { "" } else { "s" }
        )?;
        self.0.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}

/// Puts a configuration together from a file's text, an environment and flags.
///
/// # Errors
///
/// All problems at once.
pub fn load<C: Configuration>(
    file: Option<(&Path, &str)>,
    environment: &Environment,
    flags: &[(&'static str, String)],
) -> Result<Loaded<C>, Problems> {
    let mut loading = Loading {
        config: C::default(),
        origins: Origins::default(),
        problems: Vec::new(),
        others: BTreeMap::new(),
    };
    if let Some((path, text)) = file {
        loading.file(&path.display().to_string(), text);
    }
    loading.config.surroundings(environment);
    loading.environment(environment);
    for (name, value) in flags {
        loading.set(name, value, "a flag", false);
    }
    let Loading { mut config, mut origins, mut problems, others } = loading;
    problems.extend(others.into_values());
    config.complete(&mut origins, &mut problems);
    if !problems.is_empty() {
        return Err(Problems(problems));
    }
    let warnings = config.warnings();
    Ok(Loaded { config, warnings, origins })
}

/// Returns the name of a setting's variable.
pub(crate) fn variable(name: &str) -> String {
    format!("RHUBARB_{}", name.to_uppercase().replace('.', "_"))
}

/// Returns all settings that have a variable, by their names.
pub(crate) fn settings(config: &dyn Part) -> Vec<(String, &'static Facts)> {
    let mut all = Vec::new();
    let top = Item { place: String::new(), words: "", examples: "", kind: ItemKind::Table };
    config.visit(top, &mut |item| {
        if let ItemKind::Setting(facts, ..) = item.kind {
            all.push((item.place, facts));
        }
    });
    all
}

struct Loading<C> {
    config: C,
    origins: Origins,
    problems: Vec<String>,
    /// What is wrong with variables that other programs read too, by setting: nothing, where it is
    /// set otherwise.
    others: BTreeMap<String, String>,
}

impl<C: Configuration> Loading<C> {
    fn set(&mut self, name: &str, value: &str, origin: &str, is_others: bool) {
        match self.config.set(name, Input::Text(value)) {
            Some(Ok(())) => {
                self.origins.note(name, origin);
                self.others.remove(name);
            }
            Some(Err(problem)) => {
                let problem = format!("{name} (from {origin}): {problem}");
                if is_others {
                    self.others.insert(name.to_owned(), problem);
                } else {
                    self.problems.push(problem);
                }
            }
            None => {}
        }
    }

    fn environment(&mut self, environment: &Environment) {
        let settings = settings(&self.config);
        for (name, facts) in &settings {
            self.known(environment, name, facts.before);
        }
        let ours = environment.variables.iter().filter(|(name, _)| name.starts_with("RHUBARB_"));
        for (name, value) in ours {
            // RHUBARB_TEST_… belongs to the project's own tests.
            let is_other = name == "RHUBARB_CONFIG"
                || name.starts_with("RHUBARB_TEST_")
                || is_of_others::<C>(name);
            if is_other || is_service_link(name, value) {
                continue;
            }
            match settings.iter().find(|(setting, _)| variable(setting) == *name) {
                Some((setting, _)) => self.set(setting, value, name, false),
                None => self
                    .problems
                    .push(format!("{name}: no setting has this name; --print-config lists them")),
            }
        }
        for (name, facts) in &settings {
            self.known(environment, name, facts.over);
        }
    }

    fn known(&mut self, environment: &Environment, setting: &str, variables: &[&str]) {
        for variable in variables {
            if let Some(value) = environment.get(variable) {
                self.set(setting, value, variable, true);
            }
        }
    }

    fn file(&mut self, shown: &str, text: &str) {
        let pieces = Pieces::of(text, C::MANY);
        self.part(&pieces.rest, shown);
        for entry in pieces.entries() {
            self.part(&entry, shown);
        }
    }

    fn part(&mut self, part: &pieces::Part<'_>, shown: &str) {
        let text = part.text();
        let table = match DeTable::parse(&text) {
            Ok(table) => table.into_inner(),
            Err(error) => {
                let line = part.line(error.span().map_or(0, |span| span.start));
                self.problems.push(format!("{shown}, line {line}: {}", error.message()));
                return;
            }
        };
        for (section, value) in table {
            let section = section.into_inner().into_owned();
            if C::OTHERS.contains(&section.as_str()) {
                continue;
            }
            if section == C::MANY && value.get_ref().is_table() {
                self.many(shown, value.into_inner());
                continue;
            }
            match toml::Value::deserialize(ValueDeserializer::from(value)) {
                Ok(value) => self.read(shown, toml::Table::from_iter([(section, value)])),
                Err(error) => {
                    self.problems.push(format!("{shown}, {section}: {}", error.message()));
                }
            }
        }
    }

    /// Reads entries one by one: none keeps another from being read.
    fn many(&mut self, shown: &str, entries: DeValue<'_>) {
        let DeValue::Table(entries) = entries else { return };
        let only =
            |table: toml::Table| toml::Table::from_iter([(C::MANY.to_owned(), table.into())]);
        self.read(shown, only(toml::Table::new()));
        for (name, value) in entries {
            let name = name.into_inner().into_owned();
            match toml::Value::deserialize(ValueDeserializer::from(value)) {
                Ok(value) => self.read(shown, only(toml::Table::from_iter([(name, value)]))),
                Err(error) => {
                    let problem = format!("{}.{name:?}: {}", C::MANY, error.message());
                    self.problems.push(problem);
                }
            }
        }
    }

    fn read(&mut self, origin: &str, table: toml::Table) {
        let (origins, problems) = (&mut self.origins, &mut self.problems);
        let mut reading = Reading { origin: Some(origin), origins, problems };
        self.config.read(&mut reading, "", &toml::Value::Table(table));
    }
}
