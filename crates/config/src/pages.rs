//! What is written from the declarations: `--print-config`, the template, the reference.

use std::collections::BTreeSet;

use crate::{
    collection::comment,
    facts::Facts,
    origins::Origins,
    part::{Item, ItemKind, Part},
    value::Shown,
};

fn visit<'p>(config: &'p dyn Part, see: &mut dyn FnMut(Item<'p>)) {
    config.visit(Item::table(String::new(), "", ""), see);
}

/// The first line of what is printed.
const HEAD: &str = "# What holds, as a file that can be read again. A secret is cut, and its line a \
                    comment: it has to be set anew.\n";

/// Returns what holds, and where it came from.
pub(crate) fn print(config: &dyn Part, origins: &Origins) -> String {
    let mut text = HEAD.to_owned();
    visit(config, &mut |item| {
        let from = origins.get(&item.place).unwrap_or("default");
        match item.kind {
            ItemKind::Table => {}
            ItemKind::Setting(facts, shown, _) => {
                let (off, set) = match shown {
                    Shown::Is(_) => ("", ""),
                    Shown::Unset => ("# ", ""),
                    Shown::Cut(_) => ("# ", "set, not shown; "),
                };
                let (name, value, accepts) = (item.place, shown.text(), facts.accepts());
                text += &format!("{off}{name} = {value}  # {from}; {set}accepts {accepts}\n");
            }
            ItemKind::Collection(entries) => text += &entries.print(&item.place, from),
        }
    });
    text
}

/// Returns the commented template: every setting, with its default where a line is commented out.
pub fn template(config: &dyn Part, head: &str) -> String {
    write(config, head, "# ")
}

/// Returns the template with every setting in force.
pub fn in_force(config: &dyn Part) -> String {
    write(config, "", "")
}

fn write(config: &dyn Part, head: &str, off: &str) -> String {
    let mut text = head.to_owned();
    // A table that is there several times is explained once.
    let mut told = BTreeSet::new();
    visit(config, &mut |item| {
        let Item { place, words, examples, kind } = item;
        match kind {
            ItemKind::Table => text += &format!("\n{}[{place}]\n", comment(words)),
            ItemKind::Setting(facts, shown, written) => {
                if told.insert((facts.key, words)) {
                    let more = variables(facts);
                    let more = if more.is_empty() {
                        more
                    } else {
                        format!("#{}\n", more.replace('`', ""))
                    };
                    text += &format!("{}{more}", comment(words));
                }
                text += &setting(facts, &shown, &written, off);
            }
            ItemKind::Collection(entries) => {
                text += &format!("\n{}{}", comment(words), entries.template(&place));
                text += examples;
            }
        }
    });
    text
}

fn setting(facts: &Facts, shown: &Shown, written: &str, off: &str) -> String {
    let value = facts.example.unwrap_or(written);
    let off = if facts.example.is_some() || *shown == Shown::Unset { "# " } else { off };
    let line = format!("{off}{} = {value}\n", facts.key);
    match value.strip_prefix('[').and_then(|list| list.strip_suffix(']')) {
        // A long list has a line for each of its items.
        Some(items) if line.len() > 100 => {
            let items: String =
                items.split(", ").map(|item| format!("{off}    {item},\n")).collect();
            format!("{off}{} = [\n{items}{off}]\n", facts.key)
        }
        _ => line,
    }
}

/// Returns the page of all settings, as Markdown.
pub fn reference(config: &dyn Part, head: &str) -> String {
    const TABLE: &str = "\n| setting | default | accepts | what it is |\n|---|---|---|---|\n";
    let mut text = head.to_owned();
    visit(config, &mut |Item { place, words, kind, .. }| match kind {
        ItemKind::Table => text += &format!("\n## `[{place}]`\n\n{}{TABLE}", plain(words)),
        ItemKind::Setting(facts, shown, written) => {
            let default = if shown == Shown::Unset { "" } else { &written };
            text += &row(facts.key, facts, default, &variables(facts));
        }
        ItemKind::Collection(entries) => {
            let keys = entries.keys();
            let head = if keys.is_empty() { "" } else { TABLE };
            text += &format!("\n## `{place}`\n\n{}{head}", plain(words));
            for (name, facts, default) in keys {
                text += &row(&name, facts, &default, "");
            }
        }
    });
    text
}

fn plain(words: &str) -> String {
    words.lines().map(|line| format!("{}\n", line.trim())).collect()
}

/// Says which other variables set a setting.
fn variables(facts: &Facts) -> String {
    let all: Vec<String> =
        facts.before.iter().chain(facts.over).map(|other| format!("`{other}`")).collect();
    match all.as_slice() {
        [] => String::new(),
        [one] => format!(" {one} sets it too."),
        more => format!(" {} set it too.", more.join(" and ")),
    }
}

fn row(name: &str, facts: &Facts, default: &str, more: &str) -> String {
    let words = plain(facts.words).trim().replace('\n', " ") + more;
    let default = if facts.required { String::new() } else { code(default) };
    let cells = [&code(name), &default, facts.accepts(), &words];
    format!("| {} |\n", cells.map(|cell| cell.replace('|', "\\|")).join(" | "))
}

fn code(text: &str) -> String {
    let shown: String = text.chars().take(60).collect();
    let more = if shown.len() < text.len() { "…" } else { "" };
    if text.is_empty() { String::new() } else { format!("`{shown}{more}`") }
}
