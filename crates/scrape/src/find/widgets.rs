//! Boards that a page embeds without their addresses: by a widget that is told the board's name,
//! or because the page itself is made by the service.

use url::Url;

use super::Candidate;
use crate::{config::SourceKind, text::cut};

/// The services by the words that settings and attributes have in their names.
const SERVICES: [(&str, SourceKind); 11] = [
    ("greenhouse", SourceKind::Greenhouse),
    ("lever", SourceKind::Lever),
    ("ashby", SourceKind::Ashby),
    ("workable", SourceKind::Workable),
    ("smartrecruiters", SourceKind::SmartRecruiters),
    ("recruitee", SourceKind::Recruitee),
    ("teamtailor", SourceKind::Teamtailor),
    ("personio", SourceKind::Personio),
    ("breezy", SourceKind::Breezy),
    ("bamboohr", SourceKind::BambooHr),
    ("pinpoint", SourceKind::Pinpoint),
];

/// How the name of a setting ends that names a board, beside that of the service.
const ENDS: [&str; 15] = [
    "board",
    "boardtoken",
    "boardname",
    "boardid",
    "account",
    "accountname",
    "company",
    "companycode",
    "companyid",
    "organization",
    "org",
    "site",
    "slug",
    "subdomain",
    "tenant",
];

/// Settings of the services' own widgets: what the page has in it too, and the setting.
const WIDGETS: [(&str, &str, SourceKind); 8] = [
    ("smartrecruiters", "company_code", SourceKind::SmartRecruiters),
    ("smartrecruiters", "companyCode", SourceKind::SmartRecruiters),
    ("everJobs", "accountName", SourceKind::Lever),
    ("workable", "whr_embed", SourceKind::Workable),
    ("greenhouse", "boardToken", SourceKind::Greenhouse),
    ("greenhouse", "board_token", SourceKind::Greenhouse),
    ("ashby", "jobBoardName", SourceKind::Ashby),
    ("lever", "leverAccount", SourceKind::Lever),
];

/// What a page has in it that the service makes under the company's own host.
const MADE_BY: [(&str, SourceKind); 4] = [
    ("teamtailor-cdn.com/", SourceKind::Teamtailor),
    ("recruiteecdn.com/", SourceKind::Recruitee),
    ("recruitee-careers-sites", SourceKind::Recruitee),
    ("assets-cdn.breezy.hr/", SourceKind::Breezy),
];

/// A setting's name, and its value with what stands before it, are no longer.
const MAX_SETTING: usize = 200;

/// As much of a tag is read.
const MAX_TAG: usize = 2_000;

/// As many places are looked at for one name.
const MAX_PLACES: usize = 200;

/// Returns the boards that widgets, settings and attributes of a page name.
pub(super) fn named(body: &str) -> Vec<Candidate> {
    let mut found: Vec<Candidate> = Vec::new();
    let lower = body.to_ascii_lowercase();
    let mut add = |kind: SourceKind, board: &str| {
        let why = format!("the page's widget names a {} board", kind.label());
        let board = Candidate::board(kind, board, &why);
        if !found.iter().any(|known| known.config == board.config) {
            found.push(board);
        }
    };
    for (mark, setting, kind) in WIDGETS {
        if lower.contains(&mark.to_ascii_lowercase()) {
            for (at, _) in body.match_indices(setting).take(MAX_PLACES) {
                if let Some(board) = value_after(body, at + setting.len()) {
                    add(kind, board);
                }
            }
        }
    }
    for (service, kind) in SERVICES {
        for (at, _) in lower.match_indices(service).take(MAX_PLACES) {
            let end = end_of_name(body, at + service.len());
            let setting = lower[at + service.len()..end].replace(['-', '_', ':'], "");
            if ENDS.contains(&&setting[..])
                && let Some(board) = value_after(body, end)
            {
                add(kind, board);
            }
        }
    }
    found.extend(in_attributes(body));
    found
}

fn end_of_name(body: &str, from: usize) -> usize {
    let rest = cut(&body[from..], MAX_SETTING);
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    from + rest.find(|c| !is_part(c)).unwrap_or(rest.len())
}

/// Returns the text that a setting is given whose name ends here: quoted, or a number.
fn value_after(body: &str, end: usize) -> Option<&str> {
    let rest = cut(&body[end..], MAX_SETTING).trim_start_matches(['"', '\'', '\\']).trim_start();
    let rest = rest.strip_prefix([':', '=', '('])?.trim_start();
    let text = rest.trim_start_matches(['\\']);
    let quoted = text.strip_prefix(['"', '\'']);
    let text = quoted.unwrap_or(text);
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let board = &text[..text.find(|c| !is_part(c)).unwrap_or(text.len())];
    let is_number = !board.is_empty() && board.bytes().all(|b| b.is_ascii_digit());
    let is_ended = text[board.len()..].starts_with(['"', '\'', '\\']) || quoted.is_none();
    let is_word = matches!(board, "true" | "false" | "null" | "undefined");
    let is_name = (2..=64).contains(&board.len()) && !is_word && is_ended;
    (is_name && (quoted.is_some() || is_number)).then_some(board)
}

/// Returns the boards of tags that name a service in one attribute and a board in another:
/// `data-ats="lever" data-board="acme"`.
fn in_attributes(body: &str) -> Vec<Candidate> {
    let mut found = Vec::new();
    for (at, _) in body.match_indices("data-").take(MAX_PLACES) {
        let before = body.floor_char_boundary(at.saturating_sub(MAX_TAG));
        let Some(start) = body[before..at].rfind('<').map(|start| before + start) else { continue };
        let tag = cut(&body[start..], MAX_TAG);
        let tag = &tag[..tag.find('>').unwrap_or(tag.len())];
        let says = |(name, _): &&(&str, SourceKind)| {
            let quoted = [format!("=\"{name}\""), format!("='{name}'")];
            quoted.iter().any(|quoted| tag.to_ascii_lowercase().contains(quoted))
        };
        let Some((_, kind)) = SERVICES.iter().find(says) else { continue };
        for end in ENDS {
            let name = format!("data-{end}");
            let mut places = tag.match_indices(&name).take(8);
            if let Some(board) = places.find_map(|(at, _)| value_after(tag, at + name.len())) {
                let why = format!("the page's widget names a {} board", kind.label());
                found.push(Candidate::board(*kind, board, &why));
            }
        }
    }
    found
}

/// Returns the source of a page that a service makes under the company's own host.
pub(super) fn made_by(body: &str, page: &Url) -> Option<Candidate> {
    // The widget in a page of the company's own has no more than a key.
    let body = body.replace("scripts.teamtailor-cdn.com/widgets", "");
    let (_, kind) = MADE_BY.iter().find(|(mark, _)| body.contains(mark))?;
    let host = page.host_str()?.trim_start_matches("www.");
    let mut labels = host.rsplit('.').skip(1);
    let company = labels.find(|label| label.len() > 3).or_else(|| host.split('.').next())?;
    let why = format!("the page is made by {}", kind.label());
    let mut found = Candidate::board(*kind, company, &why);
    found.config.base_url = Some(page.origin().ascii_serialization().as_str().into());
    Some(found)
}
