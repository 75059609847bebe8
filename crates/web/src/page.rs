//! Pages. Each is a struct with its template in `templates/`, which extends `base.html`, and a
//! field `frame`; a module of its own below, a line in [`MENU`], and a route.
//!
//! What stands in a template as `{{ value }}` is escaped. [`text`] cuts what may be long and takes
//! out what could steer a terminal or turn the direction of text around.

pub mod act;
pub mod audit;
pub mod caches;
pub mod letters;
pub mod login;
pub mod overview;
pub mod part;
pub mod queue;
pub mod queues;
pub mod redis;
pub mod schedule;
pub mod schedules;
pub mod scraping;
pub mod sessions;
pub mod tasks;
pub mod workers;

use askama::Template;
use axum::response::Html;

pub use crate::words::text;
use crate::{asset, django, door::Visitor, problem::Problem, site::Site};

/// The media type of a page.
pub const HTML: &str = "text/html; charset=utf-8";

/// What the menu shows: address and words.
const MENU: [(&str, &str); 11] = [
    ("/", "Overview"),
    ("/queues", "Queues"),
    ("/tasks", "Tasks"),
    ("/letters", "Dead and parked"),
    ("/schedules", "Schedules"),
    ("/workers", "Workers"),
    ("/scraping", "Scraping"),
    ("/caches", "Caches"),
    ("/sessions", "Sessions"),
    ("/redis", "Redis"),
    ("/audit", "Audit"),
];
/// Pages whose content stays until somebody asks for another.
const STILL: [&str; 6] = ["", "/tasks", "/scraping", "/schedule", "/cache", "/sessions"];

/// What is around every page.
#[derive(Clone, Debug)]
pub struct Frame {
    /// The page's title.
    pub title: String,
    /// Its address in the menu.
    pub active: &'static str,
    /// Who looks; nobody on the login page and in a problem.
    pub visitor: Option<Visitor>,
    /// Whether there is somebody to log out.
    pub has_login: bool,
    /// How many seconds old what it shows is.
    pub age_s: u64,
}

impl Frame {
    /// Makes that of a page in the menu.
    pub fn new(site: &Site, visitor: &Visitor, active: &'static str, title: &str) -> Self {
        Self {
            title: title.to_owned(),
            active,
            visitor: Some(visitor.clone()),
            // Django's own login ends in Django.
            has_login: !site.doors().are_open() && !visitor.name.starts_with(django::NAMED),
            age_s: 0,
        }
    }

    /// Makes that of a page for nobody in particular.
    pub fn bare(title: &str) -> Self {
        Self { title: title.to_owned(), active: "", visitor: None, has_login: false, age_s: 0 }
    }

    /// Says how old what it shows is, seconds.
    #[must_use]
    pub fn aged(self, age_s: u64) -> Self {
        Self { age_s, ..self }
    }

    /// Tells whether who looks may change things.
    pub fn may_write(&self) -> bool {
        self.visitor.as_ref().is_some_and(Visitor::may_write)
    }

    /// Tells whether the page shows by itself what is new.
    pub fn is_live(&self) -> bool {
        !STILL.contains(&self.active)
    }

    /// Returns the menu: address, words, and whether it is this page.
    pub fn menu(&self) -> Vec<(&'static str, &'static str, bool)> {
        let all = MENU.iter().filter(|_| self.visitor.is_some());
        all.map(|(url, words)| (*url, *words, *url == self.active)).collect()
    }

    /// Returns the address of a file.
    pub fn asset(&self, name: &str) -> &'static str {
        asset::url(name)
    }
}

/// Writes a page.
///
/// # Errors
///
/// The template fails.
pub fn html(page: &impl Template) -> Result<Html<String>, Problem> {
    Ok(Html(page.render()?))
}

#[derive(Template)]
#[template(path = "problem.html")]
struct ProblemPage<'a> {
    frame: Frame,
    problem: &'a Problem,
}

/// Returns a problem as a page.
pub(crate) fn problem(problem: &Problem) -> String {
    let page = ProblemPage { frame: Frame::bare(&problem.title), problem };
    page.render().unwrap_or_else(|_| problem.title.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_a_page_with_its_words_escaped() {
        let page = problem(&Problem::not_found("no <script>alert(1)</script>"));
        assert!(page.contains("&#60;script&#62;") || page.contains("&lt;script&gt;"), "{page}");
        assert!(!page.contains("<script>alert"));
    }
}
