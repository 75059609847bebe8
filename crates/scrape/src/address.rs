//! Which addresses may be fetched: those of the public Internet, and what the configuration adds.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::{Arc, LazyLock},
};

use ipnet::{Ipv4Net, Ipv6Net};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::Host;

/// What is not the public Internet: the IANA special-purpose registry, as of 2026, and multicast.
const PRIVATE_V4: &[&str] = &[
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "224.0.0.0/4",
    "240.0.0.0/4",
];
const PRIVATE_V6: &[&str] =
    &["::/127", "100::/64", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8"];

static NETS_V4: LazyLock<Vec<Ipv4Net>> =
    LazyLock::new(|| PRIVATE_V4.iter().filter_map(|net| net.parse().ok()).collect());
static NETS_V6: LazyLock<Vec<Ipv6Net>> =
    LazyLock::new(|| PRIVATE_V6.iter().filter_map(|net| net.parse().ok()).collect());

/// Returns whether the address is private, loopback, link-local, shared, multicast or otherwise not
/// one of the public Internet.
pub fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => is_private_v4(v4),
        IpAddr::V6(v6) => match embedded_v4(v6) {
            Some(v4) => is_private_v4(v4),
            None => NETS_V6.iter().any(|net| net.contains(&v6)),
        },
    }
}

fn is_private_v4(ip: Ipv4Addr) -> bool {
    NETS_V4.iter().any(|net| net.contains(&ip))
}

/// Returns the IPv4 address that a packet to this one may end at.
///
/// Mapped (`::ffff:0:0/96`), compatible (`::/96`), NAT64 (`64:ff9b::/96`) and 6to4 (`2002::/16`).
fn embedded_v4(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let join = |high: u16, low: u16| Ipv4Addr::from(u32::from(high) << 16 | u32::from(low));
    match ip.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => None,
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

/// The private hosts that `scrape.allow_private` permits.
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
        let with_port = format!("{name}:{port}");
        self.all || self.entries.iter().any(|e| *e == name || e == bare || *e == with_port)
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

/// A resolver that hands out public addresses only.
///
/// The connection is made to the very addresses that were looked at, so a name that changes between
/// a check and the connection (DNS rebinding) gains nothing.
#[derive(Clone, Debug)]
pub(crate) struct PublicOnly;

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found: Vec<SocketAddr> =
                tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let public: Vec<SocketAddr> =
                found.iter().copied().filter(|address| !is_private(address.ip())).collect();
            if public.is_empty() && !found.is_empty() {
                return Err(ResolvesToPrivate.into());
            }
            let addresses: Addrs = Box::new(public.into_iter());
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
        assert_eq!((NETS_V4.len(), NETS_V6.len()), (PRIVATE_V4.len(), PRIVATE_V6.len()));
    }

    #[test]
    fn addresses_outside_the_public_internet_are_private() {
        for text in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "fc00::1",
            "fd12::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::10.0.0.1",
            "64:ff9b::a00:1",
            "2002:a00:1::1",
            "2002:7f00:1::",
        ] {
            assert!(is_private(text.parse().unwrap()), "{text}");
        }
        for text in [
            "1.1.1.1",
            "100.63.255.255",
            "100.128.0.0",
            "172.15.0.1",
            "172.32.0.1",
            "192.169.0.1",
            "223.255.255.255",
            "2606:4700::1111",
            "::ffff:1.1.1.1",
            "64:ff9b::101:101",
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
