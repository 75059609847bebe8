//! The demo board's pages that are not JSON: HTML, HTML with JSON-LD, and RSS.

use std::fmt::Write;

use serde_json::{Value, json};

use super::openings::Opening;

/// Escapes text for HTML and XML, attributes included.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            _ => escaped.push(c),
        }
    }
    escaped
}

/// Returns the front page, which links what a person can look at.
pub(crate) fn home(url: &str) -> String {
    let links = [
        "/greenhouse/v1/boards/kettleandkernel/jobs",
        "/lever/v0/postings/pocketlighthouse",
        "/ashby/posting-api/job-board/sundial",
        "/remoteok/api",
        "/weworkremotely/remote-jobs.rss",
        "/arbeitnow/api/job-board-api",
        "/careers/1",
        "/classifieds?q=software+engineer",
    ];
    let items: String =
        links.iter().map(|link| format!("<li><a href=\"{link}\">{url}{link}</a></li>\n")).collect();
    document("The demo's job board", &format!("<h1>Invented openings</h1>\n<ul>\n{items}</ul>"))
}

/// Returns a feed as We Work Remotely has it.
pub(crate) fn rss(url: &str, openings: &[Opening]) -> String {
    let mut feed = String::from(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<rss version=\"2.0\">\n<channel>\
         <title>Remote openings</title><description>Invented</description>\n",
    );
    for opening in openings {
        let link = format!("{url}/classifieds/{}", opening.slug());
        let date = opening.posted.strftime("%a, %d %b %Y %H:%M:%S +0000");
        let _ = writeln!(
            feed,
            "<item><title><![CDATA[{}: {}]]></title><region>Anywhere in the World</region>\
             <country>{}</country><skills>{}</skills><category>Product</category>\
             <type>Full-Time</type><description><![CDATA[<p>{}</p>]]></description>\
             <pubDate>{date}</pubDate><guid>{link}</guid><link>{link}</link></item>",
            opening.company,
            opening.title,
            opening.office.country,
            opening.tags.join(", "),
            escape(&opening.description),
        );
    }
    feed + "</channel></rss>\n"
}

/// Returns an employer's page whose postings stand in one JSON-LD graph.
pub(crate) fn careers(url: &str, openings: &[Opening]) -> String {
    let graph: Vec<Value> = openings.iter().map(|opening| posting(url, opening)).collect();
    let data = json!({"@context": "https://schema.org/", "@graph": graph});
    let titles: String =
        openings.iter().map(|o| format!("<li>{}</li>\n", escape(&o.title))).collect();
    document(
        "Careers",
        &format!(
            "<script type=\"application/ld+json\">\n{}\n</script>\n\
             <h1>Join us</h1>\n<ul>\n{titles}</ul>",
            // Inside a script element only `</` could end it early.
            data.to_string().replace("</", "<\\/"),
        ),
    )
}

fn posting(url: &str, o: &Opening) -> Value {
    let mut posting = json!({
        "@type": "JobPosting",
        "title": o.title,
        "description": format!("<p>{}</p>", escape(&o.description)),
        "identifier": {"@type": "PropertyValue", "name": o.company, "value": o.id.to_string()},
        "datePosted": o.day(),
        "employmentType": "FULL_TIME",
        "hiringOrganization": {"@type": "Organization", "name": o.company},
        "jobLocation": {"@type": "Place", "address": {
            "@type": "PostalAddress",
            "addressLocality": o.office.city,
            "addressCountry": o.office.code,
        }},
        "baseSalary": {"@type": "MonetaryAmount", "currency": o.office.currency, "value": {
            "@type": "QuantitativeValue",
            "minValue": o.salary.0,
            "maxValue": o.salary.1,
            "unitText": "YEAR",
        }},
        "skills": o.tags.join(", "),
        "url": format!("{url}/careers/{}", o.slug()),
    });
    if o.workplace == "remote" {
        posting["jobLocationType"] = "TELECOMMUTE".into();
    }
    posting
}

/// Returns one page of the list; `next` is the number of the page after it.
pub(crate) fn classifieds(wanted: &str, openings: &[Opening], next: Option<usize>) -> String {
    let mut body = String::from("<h1>Classifieds</h1>\n<ul class=\"openings\">\n");
    for o in openings {
        let _ = writeln!(
            body,
            "<li class=\"opening\"><a class=\"title\" href=\"/classifieds/{}\">{}</a> \
             <span class=\"company\">{}</span> <span class=\"place\">{}</span></li>",
            o.slug(),
            escape(&o.title),
            escape(o.company),
            escape(&o.location()),
        );
    }
    body.push_str("</ul>\n");
    if openings.is_empty() {
        body.push_str("<p class=\"nothing\">Nothing is open for this search.</p>\n");
    }
    if let Some(page) = next {
        let query: String = url::form_urlencoded::byte_serialize(wanted.as_bytes()).collect();
        let _ = writeln!(
            body,
            "<a class=\"next\" rel=\"next\" \
             href=\"/classifieds?q={query}&amp;page={page}\">more</a>"
        );
    }
    document("Classifieds", &body)
}

/// Returns the detail page of one opening.
pub(crate) fn classified(o: &Opening) -> String {
    let tags: String = o.tags.iter().map(|tag| format!("<li>{tag}</li>")).collect();
    let body = format!(
        "<article>\n<h1>{title}</h1>\n<p class=\"company\">{company}</p>\n\
         <p class=\"place\">{place}</p>\n\
         <p class=\"salary\">{low} - {high} {currency} per year</p>\n\
         <time datetime=\"{posted}\">{day}</time>\n<ul class=\"skills\">{tags}</ul>\n\
         <div class=\"description\"><p>{description}</p></div>\n</article>",
        title = escape(&o.title),
        company = escape(o.company),
        place = escape(&o.location()),
        low = o.salary.0,
        high = o.salary.1,
        currency = o.office.currency,
        posted = o.posted,
        day = o.day(),
        description = escape(&o.description),
    );
    document(&o.title, &body)
}

fn document(title: &str, body: &str) -> String {
    let title = escape(title);
    format!(
        "<!doctype html>\n<html lang=\"en\">\n\
         <head><meta charset=\"utf-8\"><title>{title}</title></head>\n\
         <body>\n{body}\n</body>\n</html>\n"
    )
}
