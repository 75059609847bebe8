//! Proxies: the lists that name them, which of them may be used, and whose turn it is.

mod fleet;
mod health;
mod lists;
mod rules;

use std::{
    collections::HashMap,
    fmt,
    str::FromStr,
    sync::atomic::{AtomicUsize, Ordering},
};

use url::{Host, Url};

pub use self::{
    fleet::{Fleet, Telling},
    lists::{ProxyList, parse_list},
    rules::RefusedProxy,
};
pub(crate) use self::{
    health::{Choice, Health, Served, way},
    rules::{Reach, Rules},
};

/// As many of one list's proxies as are connected to, to see which serve.
pub const MAX_CHECKED: usize = 200;
/// As many of them as may have the same host: a list is no order to scan a host's ports.
const MAX_PORTS: usize = 3;
/// A proxy's URL is shorter than this.
const MAX_LINE: usize = 1_024;

/// A proxy; credentials are hidden when it is printed.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Proxy(Url);

/// Why a text is not a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseProxyError {
    /// It is none of the forms.
    #[error(
        "not a proxy: expected `[scheme://][user:password@]host:port` or `host:port:user:password`"
    )]
    Form,
    /// The scheme is not that of a proxy.
    #[error("not a proxy's scheme: expected http, https, socks4, socks4a, socks5 or socks5h")]
    Scheme,
}

impl Proxy {
    /// Returns the URL, credentials included, for the connection and for the cache.
    pub fn expose(&self) -> &Url {
        &self.0
    }

    /// Returns the host without brackets or port.
    pub(crate) fn host(&self) -> Option<Host<String>> {
        // The `url` crate parses the host of a scheme it does not know, such as socks5, as opaque
        // text.
        let host = self.0.host_str()?;
        Host::parse(host).ok()
    }

    /// Returns the port.
    pub(crate) fn port(&self) -> u16 {
        self.0.port_or_known_default().unwrap_or(0)
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.0.host_str().unwrap_or_default();
        let hidden = if self.0.username().is_empty() { "" } else { "***@" };
        write!(f, "{}://{hidden}{host}:{}", self.0.scheme(), self.port())
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Proxy {
    type Err = ParseProxyError;

    fn from_str(text: &str) -> Result<Self, ParseProxyError> {
        let text = text.trim();
        if text.len() > MAX_LINE {
            return Err(ParseProxyError::Form);
        }
        if text.contains("://") {
            return from_url(text);
        }
        if (text.contains('@') || text.starts_with('['))
            && let Ok(proxy) = from_url(&format!("http://{text}"))
        {
            return Ok(proxy);
        }
        // A password may hold colons, a host written without brackets may not.
        let mut parts = text.splitn(4, ':');
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(_), Some(""), ..) => Err(ParseProxyError::Form),
            (Some(host), Some(port), None, None) => from_url(&format!("http://{host}:{port}")),
            (Some(host), Some(port), Some(user), Some(password)) => {
                let mut proxy = from_url(&format!("http://{host}:{port}"))?;
                with_credentials(&mut proxy.0, user, password)?;
                Ok(proxy)
            }
            _ => Err(ParseProxyError::Form),
        }
    }
}

fn from_url(text: &str) -> Result<Proxy, ParseProxyError> {
    let url = Url::parse(text).map_err(|_| ParseProxyError::Form)?;
    if !matches!(url.scheme(), "http" | "https" | "socks4" | "socks4a" | "socks5" | "socks5h") {
        return Err(ParseProxyError::Scheme);
    }
    let proxy = Proxy(url);
    let named = match proxy.host() {
        // `updated:2026` and the like is prose, so a name needs a dot.
        Some(Host::Domain(name)) => name == "localhost" || name.trim_end_matches('.').contains('.'),
        Some(Host::Ipv4(_) | Host::Ipv6(_)) => true,
        None => false,
    };
    let bare = matches!(proxy.0.path(), "" | "/") && proxy.0.query().is_none();
    if named && bare && proxy.port() != 0 { Ok(proxy) } else { Err(ParseProxyError::Form) }
}

fn with_credentials(url: &mut Url, user: &str, password: &str) -> Result<(), ParseProxyError> {
    url.set_username(user).map_err(|()| ParseProxyError::Form)?;
    url.set_password(Some(password)).map_err(|()| ParseProxyError::Form)
}

/// Returns those of one list that are worth a connection: the first [`MAX_CHECKED`], and of one
/// host no more than three.
pub fn to_check(proxies: Vec<Proxy>) -> Vec<Proxy> {
    let mut of_host: HashMap<Option<Host<String>>, usize> = HashMap::new();
    let few = |proxy: &Proxy| {
        let count = of_host.entry(proxy.host()).or_default();
        *count += 1;
        *count <= MAX_PORTS
    };
    proxies.into_iter().filter(few).take(MAX_CHECKED).collect()
}

/// Proxies in turn, for many tasks at once.
#[derive(Debug, Default)]
pub struct ProxyPool {
    proxies: Vec<Proxy>,
    turn: AtomicUsize,
}

impl ProxyPool {
    /// Returns a pool of these, beginning with the first.
    pub fn new(proxies: Vec<Proxy>) -> Self {
        Self { proxies, turn: AtomicUsize::new(0) }
    }

    /// Returns the next proxy; none when the pool is empty.
    pub fn next(&self) -> Option<&Proxy> {
        self.proxies.get(self.turn().checked_rem(self.proxies.len())?)
    }

    /// Takes the next turn.
    pub(crate) fn turn(&self) -> usize {
        self.turn.fetch_add(1, Ordering::Relaxed)
    }

    /// Returns all of them.
    pub(crate) fn all(&self) -> &[Proxy] {
        &self.proxies
    }

    /// Returns how many there are.
    pub fn len(&self) -> usize {
        self.proxies.len()
    }

    /// Returns whether there are none.
    pub fn is_empty(&self) -> bool {
        self.proxies.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_line_is_a_proxy_in_any_of_its_forms_or_refused() {
        let check = |line: &str, expect: Result<&str, ParseProxyError>| {
            let found = line.parse::<Proxy>();
            assert_eq!(
                found.as_ref().map(|p| p.expose().as_str()),
                expect.as_ref().copied(),
                "{line}"
            );
        };
        check("198.51.100.7:8080", Ok("http://198.51.100.7:8080/"));
        check(" proxy.example.com:3128 ", Ok("http://proxy.example.com:3128/"));
        check("198.51.100.7:8080:me:p:w@d", Ok("http://me:p%3Aw%40d@198.51.100.7:8080/"));
        check("me:pw@198.51.100.7:8080", Ok("http://me:pw@198.51.100.7:8080/"));
        check("socks5://me:pw@198.51.100.7:1080", Ok("socks5://me:pw@198.51.100.7:1080"));
        check("HTTPS://proxy.example.com:443", Ok("https://proxy.example.com/"));
        check("[2001:db8::1]:8080", Ok("http://[2001:db8::1]:8080/"));
        check("ftp://198.51.100.7:21", Err(ParseProxyError::Scheme));
        for junk in [
            "",
            "198.51.100.7",
            "198.51.100.7:",
            "198.51.100.7:0",
            "198.51.100.7:99999",
            "198.51.100.7:80:user",
            "updated:2026",
            "socks5://198.51.100.7",
            "http://example.com:80/list.txt",
            "https://",
            "a b:80",
        ] {
            check(junk, Err(ParseProxyError::Form));
        }
    }

    #[test]
    fn a_list_passes_over_comments_and_counts_what_it_refuses() {
        let list = parse_list(
            "\u{FEFF}# proxies\n\n198.51.100.7:80 DE-A + \r\n// more\nAddress:Port Country\n198.51.100.7:80\nsocks5://198.51.100.8:1\n",
        );
        let urls: Vec<&str> = list.proxies.iter().map(|p| p.expose().as_str()).collect();
        assert_eq!(urls, ["http://198.51.100.7/", "socks5://198.51.100.8:1"]);
        assert_eq!(list.refused, 1);
    }

    #[test]
    fn a_json_list_is_read_too() {
        let list = parse_list(
            r#"[{"protocol":"socks4","host":"198.51.100.7","port":7890,"username":null,"password":null},
                {"ip":"2001:db8::1","port":"8080","user":"me","pass":"pw"}, "198.51.100.9:81", {"port":1}, 7]"#,
        );
        let urls: Vec<&str> = list.proxies.iter().map(|p| p.expose().as_str()).collect();
        assert_eq!(
            urls,
            [
                "socks4://198.51.100.7:7890",
                "http://me:pw@[2001:db8::1]:8080/",
                "http://198.51.100.9:81/"
            ]
        );
        assert_eq!(list.refused, 2);
    }

    #[test]
    fn credentials_are_never_printed() {
        let proxy: Proxy = "198.51.100.7:8080:alice:hunter2".parse().unwrap();
        let shown = format!("{proxy} {proxy:?} {:?}", ProxyPool::new(vec![proxy.clone()]));
        assert!(!shown.contains("hunter2") && !shown.contains("alice"), "{shown}");
        assert_eq!(proxy.to_string(), "http://***@198.51.100.7:8080");
    }

    #[test]
    fn of_a_list_a_bounded_number_is_checked_and_of_a_host_three() {
        let of = |lines: String| to_check(parse_list(&lines).proxies);
        let hosts = (0..1_000).map(|n| format!("1.1.{}.{}:8080\n", n / 250, n % 250)).collect();
        assert_eq!(of(hosts).len(), MAX_CHECKED);
        let ports = (8_000..9_000).map(|port| format!("proxy.example.com:{port}\n")).collect();
        assert_eq!(of(ports).len(), MAX_PORTS);
    }

    #[test]
    fn the_pool_goes_round() {
        let pool = ProxyPool::new(parse_list("198.51.100.1:1\n198.51.100.2:2").proxies);
        let ports: Vec<u16> = (0..4).filter_map(|_| pool.next()).map(Proxy::port).collect();
        assert_eq!(ports, [1, 2, 1, 2]);
        assert!(ProxyPool::default().next().is_none());
    }

    proptest! {
        #[test]
        fn a_proxy_reads_back_from_what_it_exposes(
            scheme in "http|https|socks5h", user in "\\PC{1,12}", password in "\\PC{1,12}", port in 1u16..
        ) {
            let mut url = Url::parse(&format!("{scheme}://198.51.100.7:{port}")).unwrap();
            with_credentials(&mut url, &user, &password).unwrap();
            let proxy: Proxy = url.as_str().parse().unwrap();
            prop_assert_eq!(proxy.expose(), &url);
        }

        #[test]
        fn no_list_panics(text: String) {
            parse_list(&text);
        }
    }
}
