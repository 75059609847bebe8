//! Lists of proxies, in the forms in which they are published.

use std::collections::HashSet;

use serde_json::Value;

use super::{ParseProxyError, Proxy, from_url, with_credentials};

/// As many proxies as are taken from one list; public lists have tens of thousands.
const MAX_PROXIES: usize = 5_000;
/// A line with more columns is no row of a list.
const MAX_COLUMNS: usize = 64;

/// What a proxy list held.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProxyList {
    /// The proxies, each once, in the list's order.
    pub proxies: Vec<Proxy>,
    /// Lines and entries that are neither a proxy, a comment nor blank, or are said to be dead.
    pub refused: usize,
}

/// Returns the proxies of a list: lines in any of [`Proxy`]'s forms, a table or JSON.
///
/// Only the first word of a line counts, since lists add the country and the like behind it; lines
/// that begin with `#` or `//` are comments. The columns of a table are told by its head (`ip`,
/// `port`, `protocol`, `status`), or else are host and port. JSON is an array, an object that holds
/// one, or an object a line; its entries are texts or objects with `host` (or `ip`) and `port`, and
/// maybe `protocol`, `username` and `password`. What the list says to be dead is left out.
pub fn parse_list(text: &str) -> ProxyList {
    let mut taking = Taking::default();
    let text = text.trim_start_matches('\u{FEFF}');
    if let Some(entries) = whole_json(text) {
        entries.into_iter().for_each(|entry| taking.add(from_json(&entry)));
        return taking.list;
    }
    let mut head = None;
    for line in text.lines().map(|line| line.trim_matches('\u{FEFF}').trim()) {
        if line.is_empty() || line.starts_with('#') || line.starts_with("//") {
            continue;
        }
        if line.starts_with('{')
            && let Ok(entry) = serde_json::from_str::<Value>(line.trim_end_matches(','))
        {
            taking.add(from_json(&entry));
            continue;
        }
        let cells = cells(line);
        match Head::read(&cells) {
            Some(found) if head.is_none() => head = Some(found),
            _ => taking.add(from_line(line, &cells, head.as_ref())),
        }
    }
    taking.list
}

#[derive(Default)]
struct Taking {
    list: ProxyList,
    seen: HashSet<Proxy>,
}

impl Taking {
    fn add(&mut self, parsed: Result<Proxy, ParseProxyError>) {
        match parsed {
            Ok(proxy) if self.seen.len() < MAX_PROXIES => {
                if self.seen.insert(proxy.clone()) {
                    self.list.proxies.push(proxy);
                }
            }
            Ok(_) => {}
            Err(_) => self.list.refused += 1,
        }
    }
}

/// Which column of a table is what.
#[derive(Clone, Copy, Debug)]
struct Head {
    host: usize,
    port: usize,
    scheme: Option<usize>,
    status: Option<usize>,
}

impl Head {
    fn read(cells: &[&str]) -> Option<Self> {
        let find = |names: &[&str]| {
            cells.iter().position(|cell| names.iter().any(|name| cell.eq_ignore_ascii_case(name)))
        };
        Some(Self {
            host: find(&["ip", "host", "ip address", "ip_address", "address", "server"])?,
            port: find(&["port"])?,
            scheme: find(&["protocol", "protocols", "scheme", "type"]),
            status: find(&["status", "alive", "working", "online", "up"]),
        })
    }
}

fn cells(line: &str) -> Vec<&str> {
    let separator = [',', ';', '\t', '|'].into_iter().find(|c| line.contains(*c));
    let Some(separator) = separator else { return Vec::new() };
    let cells = line.split(separator).take(MAX_COLUMNS);
    cells.map(|cell| cell.trim().trim_matches('"').trim()).collect()
}

fn from_line(line: &str, cells: &[&str], head: Option<&Head>) -> Result<Proxy, ParseProxyError> {
    if let Some(head) = head
        && let (Some(host), Some(port)) = (cells.get(head.host), cells.get(head.port))
    {
        let cell = |at: Option<usize>| at.and_then(|at| cells.get(at)).copied();
        if cell(head.status).is_some_and(is_dead) {
            return Err(ParseProxyError::Form);
        }
        return of_parts(cell(head.scheme), host, port);
    }
    let words: Vec<&str> = line.split_whitespace().take(2).collect();
    let first = words.first().copied().unwrap_or_default();
    let column = first.split([',', ';', '|']).next().unwrap_or_default();
    if column != first && has_password_behind(column) {
        return Err(ParseProxyError::Form);
    }
    let parsed = column.parse();
    if parsed.is_ok() {
        return parsed;
    }
    match (cells, words.as_slice()) {
        ([host, port, rest @ ..], _) => {
            of_parts(rest.iter().copied().find(|cell| is_scheme(cell)), host, port)
        }
        (_, [host, port]) if is_port(port) => of_parts(None, host, port),
        _ => parsed,
    }
}

/// Tells whether it is `host:port:user:password`: what follows may be the rest of the password.
fn has_password_behind(column: &str) -> bool {
    let plain = !column.contains("://") && !column.contains('@') && !column.starts_with('[');
    plain && column.matches(':').count() == 3
}

/// Makes a proxy of its parts; without a scheme it is an HTTP proxy.
fn of_parts(scheme: Option<&str>, host: &str, port: &str) -> Result<Proxy, ParseProxyError> {
    if !is_port(port) {
        return Err(ParseProxyError::Form);
    }
    let scheme = scheme.and_then(best_scheme).unwrap_or("http");
    let bare = host.trim_matches(['[', ']']);
    let host = if bare.contains(':') { format!("[{bare}]") } else { bare.to_owned() };
    from_url(&format!("{scheme}://{host}:{port}"))
}

fn is_port(text: &str) -> bool {
    text.parse::<u16>().is_ok()
}

const SCHEMES: [&str; 6] = ["socks5h", "socks5", "socks4a", "socks4", "https", "http"];

fn is_scheme(text: &str) -> bool {
    SCHEMES.iter().any(|scheme| text.eq_ignore_ascii_case(scheme))
}

/// Returns the scheme that a cell names, SOCKS before HTTP. What a list calls `https` is an HTTP
/// proxy that tunnels, as its ports show; one that is spoken to in TLS is named by its URL.
fn best_scheme(cell: &str) -> Option<&'static str> {
    let cell = cell.to_ascii_lowercase();
    let has = |scheme: &&&str| {
        cell.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| word == **scheme)
    };
    SCHEMES.iter().find(has).map(|scheme| if *scheme == "https" { "http" } else { scheme })
}

fn is_dead(text: &str) -> bool {
    let words = ["dead", "down", "offline", "inactive", "failed", "error", "false", "no", "0"];
    words.iter().any(|word| text.trim().eq_ignore_ascii_case(word))
}

/// Returns the entries of a list that is one JSON document.
fn whole_json(text: &str) -> Option<Vec<Value>> {
    match serde_json::from_str(text.trim()).ok()? {
        Value::Array(entries) => Some(entries),
        Value::Object(mut fields) => {
            let names = ["proxies", "data", "results", "list", "items"];
            let list = names.iter().find_map(|name| fields.remove(*name));
            match list {
                Some(Value::Array(entries)) => Some(entries),
                _ => Some(vec![Value::Object(fields)]),
            }
        }
        _ => None,
    }
}

fn from_json(value: &Value) -> Result<Proxy, ParseProxyError> {
    if let Value::String(text) = value {
        return text.parse();
    }
    let field = |names: &[&str]| names.iter().find_map(|name| plain(value.get(name)?));
    if field(&["status", "alive", "working", "online"]).is_some_and(|text| is_dead(&text)) {
        return Err(ParseProxyError::Form);
    }
    let mut proxy = match (field(&["host", "ip", "ip_address", "addr"]), field(&["port"])) {
        (Some(host), Some(port)) => {
            let scheme = field(&["protocol", "scheme", "type", "protocols"]);
            match scheme.as_deref() {
                // An entry's own `https` is meant, where it is the only one.
                Some(only) if only.eq_ignore_ascii_case("https") => {
                    from_url(&format!("https://{host}:{port}"))?
                }
                scheme => of_parts(scheme, &host, &port)?,
            }
        }
        _ => return field(&["proxy", "url", "address"]).ok_or(ParseProxyError::Form)?.parse(),
    };
    if let Some(user) = field(&["username", "user"]).filter(|user| !user.is_empty()) {
        let password = field(&["password", "pass"]).unwrap_or_default();
        with_credentials(&mut proxy.0, &user, &password)?;
    }
    Ok(proxy)
}

/// Returns a value as text; a list as its texts, with blanks between.
fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Array(items) => {
            let texts: Vec<&str> = items.iter().take(8).filter_map(Value::as_str).collect();
            Some(texts.join(" "))
        }
        Value::Null | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn urls(text: &str) -> Vec<String> {
        let list = parse_list(text);
        list.proxies.iter().map(|proxy| proxy.expose().to_string()).collect()
    }

    #[test]
    fn a_table_is_read_by_its_head_and_its_dead_are_left_out() {
        let csv = "\u{FEFF}ip,port,protocols,country,status\n\
                   198.51.100.1,80,\"http\",DE,alive\n198.51.100.2,1080,socks5,US,dead\n\
                   198.51.100.3,1081,SOCKS5,FR,ok\n198.51.100.4,3128,https,FR,ok\n";
        let expect =
            ["http://198.51.100.1/", "socks5://198.51.100.3:1081", "http://198.51.100.4:3128/"];
        assert_eq!(urls(csv), expect);
        assert_eq!(parse_list(csv).refused, 1);
        let other = "Country;IP Address;Port\nDE;198.51.100.1;81\n";
        assert_eq!(urls(other), ["http://198.51.100.1:81/"]);
    }

    #[test]
    fn columns_without_a_head_are_host_and_port() {
        for line in [
            "198.51.100.1,8080,DE",
            "198.51.100.1 8080 DE",
            "198.51.100.1\t8080\tDE",
            "198.51.100.1;8080",
            "198.51.100.1:8080,elite,DE",
            "198.51.100.1:8080|elite",
            "\"198.51.100.1\",\"8080\"",
        ] {
            assert_eq!(urls(line), ["http://198.51.100.1:8080/"], "{line}");
        }
        assert_eq!(urls("198.51.100.1,1080,DE,socks4"), ["socks4://198.51.100.1:1080"]);
        assert_eq!(urls("198.51.100.1:8080:me:a,b"), ["http://198.51.100.1:8080/"; 0]);
    }

    #[test]
    fn json_of_any_shape_is_read() {
        let one = r#"{"ip":"198.51.100.1","port":1080,"protocols":["socks5","http"]}"#;
        let expect = ["socks5://198.51.100.1:1080"];
        for text in [
            one.to_owned(),
            format!("[{one}]"),
            format!("{{\"data\":[{one}],\"total\":1}}"),
            format!("{{\"proxies\":[{one}]}}"),
            format!("{one}\n{one}\n"),
            format!("[{one}, {{\"ip\":\"198.51.100.2\",\"port\":1,\"alive\":false}}]"),
        ] {
            assert_eq!(urls(&text), expect, "{text}");
        }
        assert_eq!(urls(r#"[{"proxy":"socks4://198.51.100.1:1"}]"#), ["socks4://198.51.100.1:1"]);
    }
}
