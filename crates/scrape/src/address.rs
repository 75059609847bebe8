//! Which addresses may be fetched: those of the public Internet, and what the configuration adds.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::{Arc, LazyLock},
};

use ipnet::{Ipv4Net, Ipv6Net};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::Host;

/// IANA's IPv4 special-purpose registry (as of 2025-10-09), whole, and multicast.
///
/// Entries that the registry calls globally reachable (AS112, AMT, anycasts inside `192.0.0.0/24`)
/// are refused as well: no job board is there.
const SPECIAL_V4: &[&str] = &[
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.31.196.0/24",
    "192.52.193.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "192.175.48.0/24",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
];
/// The only IPv6 addresses that are handed out to hosts of the Internet (RFC 4291, 2.4).
const GLOBAL_UNICAST: &str = "2000::/3";
/// Entries of IANA's IPv6 special-purpose registry (as of 2025-10-09) inside [`GLOBAL_UNICAST`].
///
/// All others are outside of it. `2002::/16` (6to4) is judged by the IPv4 address that it embeds.
const SPECIAL_V6: &[&str] = &["2001::/23", "2001:db8::/32", "2620:4f:8000::/48", "3fff::/20"];

static NETS_V4: LazyLock<Vec<Ipv4Net>> =
    LazyLock::new(|| SPECIAL_V4.iter().filter_map(|net| net.parse().ok()).collect());
static NETS_V6: LazyLock<Vec<Ipv6Net>> =
    LazyLock::new(|| SPECIAL_V6.iter().filter_map(|net| net.parse().ok()).collect());
static INTERNET_V6: LazyLock<Option<Ipv6Net>> = LazyLock::new(|| GLOBAL_UNICAST.parse().ok());

/// Returns whether the address is private, loopback, link-local, shared, multicast or otherwise not
/// one of the public Internet.
pub fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => is_private_v4(v4),
        IpAddr::V6(v6) => match embedded_v4(v6) {
            Some(v4) => is_private_v4(v4),
            None => is_private_v6(v6),
        },
    }
}

fn is_private_v4(ip: Ipv4Addr) -> bool {
    NETS_V4.iter().any(|net| net.contains(&ip))
}

fn is_private_v6(ip: Ipv6Addr) -> bool {
    let global = INTERNET_V6.is_some_and(|net| net.contains(&ip));
    !global || NETS_V6.iter().any(|net| net.contains(&ip))
}

/// Returns the IPv4 address that a packet to this one may end at.
///
/// Mapped (`::ffff:0:0/96`), compatible (`::/96`), NAT64 (`64:ff9b::/96`) and 6to4 (`2002::/16`).
fn embedded_v4(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let join = |high: u16, low: u16| Ipv4Addr::from(u32::from(high) << 16 | u32::from(low));
    match ip.segments() {
        [0, 0, 0, 0, 0, 0xFFFF | 0, high, low] | [0x64, 0xFF9B, 0, 0, 0, 0, high, low] => {
            Some(join(high, low))
        }
        [0x2002, high, low, ..] => Some(join(high, low)),
        _ => None,
    }
}

/// Returns whether the host is private by its own text, before any name is resolved.
pub(crate) fn is_private_host(host: &Host<String>) -> bool {
    match host {
        Host::Ipv4(ip) => is_private((*ip).into()),
        Host::Ipv6(ip) => is_private((*ip).into()),
        // RFC 6761, 6.3: these names never leave the machine.
        Host::Domain(name) => {
            let name = name.trim_end_matches('.');
            name.eq_ignore_ascii_case("localhost")
                || name.to_ascii_lowercase().ends_with(".localhost")
        }
    }
}

/// The private hosts that a setting permits: `scrape.allow_private` for pages,
/// `scrape.allow_private_proxies` for proxies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllowPrivate {
    all: bool,
    entries: Vec<String>,
}

impl AllowPrivate {
    /// Reads the configured list: `host`, `host:port`, or `*` for all.
    pub fn new(entries: &[String]) -> Self {
        let entries: Vec<String> = entries.iter().map(|e| e.trim().to_ascii_lowercase()).collect();
        Self { all: entries.iter().any(|e| e == "*"), entries }
    }

    /// Returns whether this host may be fetched although it is private.
    pub fn permits(&self, host: &Host<String>, port: u16) -> bool {
        let name = host.to_string().to_ascii_lowercase();
        let bare = name.trim_matches(['[', ']']);
        self.all
            || self.entries.iter().any(|e| *e == name || e == bare)
            || self.names_port(host, port)
    }

    /// Returns whether this very port of the host is named.
    pub(crate) fn names_port(&self, host: &Host<String>, port: u16) -> bool {
        let with_port = format!("{host}:{port}").to_ascii_lowercase();
        self.entries.contains(&with_port)
    }
}

/// The name resolves to private addresses only.
#[derive(Debug)]
pub(crate) struct ResolvesToPrivate;

impl fmt::Display for ResolvesToPrivate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name resolves to a private address")
    }
}

impl std::error::Error for ResolvesToPrivate {}

/// Returns the addresses that a name resolves to now.
///
/// Those of private networks are left out unless `private` lets them in.
///
/// # Errors
///
/// The name does not resolve, or to private addresses only: [`ResolvesToPrivate`].
pub(crate) async fn resolve(
    host: &str,
    port: u16,
    private: bool,
) -> Result<Vec<SocketAddr>, Box<dyn std::error::Error + Send + Sync>> {
    let found: Vec<SocketAddr> = tokio::net::lookup_host((host, port)).await?.collect();
    let usable: Vec<SocketAddr> =
        found.iter().copied().filter(|address| private || !is_private(address.ip())).collect();
    if usable.is_empty() && !found.is_empty() {
        return Err(ResolvesToPrivate.into());
    }
    Ok(usable)
}

/// A resolver that hands out public addresses only.
///
/// The connection is made to the very addresses that were looked at, so a name that changes between
/// a check and the connection (DNS rebinding) gains nothing. Proxies' names go through it as well.
#[derive(Clone, Debug)]
pub(crate) struct PublicOnly;

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let addresses: Addrs = Box::new(resolve(name.as_str(), 0, false).await?.into_iter());
            Ok(addresses)
        })
    }
}

/// Returns the resolver for reqwest.
pub(crate) fn public_only() -> Arc<PublicOnly> {
    Arc::new(PublicOnly)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_network_of_the_tables_parses() {
        assert_eq!((NETS_V4.len(), NETS_V6.len()), (SPECIAL_V4.len(), SPECIAL_V6.len()));
        assert!(INTERNET_V6.is_some());
    }

    /// IANA's registries as of 2025-10-09: a row for each entry, with multicast and what RFC 3879
    /// deprecated. `64:ff9b::/96`, `2002::/16` and `::ffff:0:0/96` are judged by what they embed.
    const REGISTRIES: &str = "
        0.0.0.0/8 0.0.0.0/32 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12
        192.0.0.0/24 192.0.0.0/29 192.0.0.8/32 192.0.0.9/32 192.0.0.10/32 192.0.0.170/32
        192.0.0.171/32 192.0.2.0/24 192.31.196.0/24 192.52.193.0/24 192.88.99.0/24 192.88.99.2/32
        192.168.0.0/16 192.175.48.0/24 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 240.0.0.0/4
        255.255.255.255/32 224.0.0.0/4
        ::1/128 ::/128 ::ffff:0:0:0/96 64:ff9b:1::/48 100::/64 100:0:0:1::/64 2001::/23 2001::/32
        2001:1::1/128 2001:1::2/128 2001:1::3/128 2001:2::/48 2001:3::/32 2001:4:112::/48
        2001:10::/28 2001:20::/28 2001:30::/28 2001:db8::/32 2620:4f:8000::/48 3fff::/20 5f00::/16
        fc00::/7 fe80::/10 fec0::/10 ff00::/8";

    #[test]
    fn every_entry_of_the_special_purpose_registries_is_refused_to_its_edges() {
        for text in REGISTRIES.split_whitespace() {
            let net: ipnet::IpNet = text.parse().unwrap();
            for ip in [net.network(), net.broadcast()] {
                assert!(is_private(ip), "{ip} of {text}");
            }
        }
    }

    #[test]
    fn every_form_that_embeds_a_private_address_is_refused() {
        for private in ["127.0.0.1", "10.1.2.3", "169.254.169.254", "192.0.2.1", "0.0.0.0"] {
            let [a, b, c, d] = private.parse::<Ipv4Addr>().unwrap().octets();
            let hex = format!("{a:02x}{b:02x}:{c:02x}{d:02x}");
            for form in ["::ffff:", "::", "64:ff9b::", "::ffff:0:", "64:ff9b:1::"] {
                let text = format!("{form}{hex}");
                assert!(is_private(text.parse().unwrap()), "{text}");
            }
            assert!(is_private(format!("2002:{hex}::1").parse().unwrap()), "{hex}");
        }
    }

    #[test]
    fn addresses_of_the_public_internet_are_public() {
        for text in [
            "1.1.1.1",
            "100.63.255.255",
            "100.128.0.0",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "192.169.0.1",
            "198.20.0.1",
            "223.255.255.255",
            "2001:200::1",
            "2606:4700::1111",
            "2a00:1450::1",
            "::ffff:1.1.1.1",
            "64:ff9b::101:101",
            "2002:101:101::1",
        ] {
            assert!(!is_private(text.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn a_permission_is_for_a_host_or_for_a_port_of_it() {
        let host = |text: &str| Host::parse(text).unwrap();
        let allowed =
            AllowPrivate::new(&["Jobs.internal".into(), "127.0.0.1:8000".into(), "::1".into()]);
        assert!(allowed.permits(&host("jobs.internal"), 1));
        assert!(allowed.permits(&host("127.0.0.1"), 8000));
        assert!(!allowed.permits(&host("127.0.0.1"), 6379));
        assert!(allowed.permits(&host("[::1]"), 80));
        assert!(!allowed.permits(&host("other.internal"), 80));
        assert!(AllowPrivate::new(&["*".into()]).permits(&host("10.0.0.1"), 80));
    }

    #[tokio::test]
    async fn a_name_that_resolves_to_loopback_only_is_refused() {
        let found = PublicOnly.resolve("localhost".parse().unwrap()).await;
        assert!(found.is_err_and(|error| error.is::<ResolvesToPrivate>()));
    }
}
