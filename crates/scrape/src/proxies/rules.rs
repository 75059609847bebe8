//! Which proxies may be connected to: whoever writes a proxy list must not choose what we talk to.
//!
//! The rules are the same when a list is read, when a proxy is checked, and on each connection,
//! and the same for a list by URL, for the cached list in Redis and for a proxy named in code.
//! No proxy is ever taken from the environment.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    net::TcpStream,
    time::{Instant, timeout_at},
};
use url::Host;

use super::Proxy;
use crate::address::{AllowPrivate, is_private_host, resolve};

/// Ports where other services listen: a list that names one is used to knock at that service.
///
/// Each is the well-known port of the service beside it (IANA's registry, or its own documents).
#[rustfmt::skip]
const SERVICE_PORTS: &[(u16, &str)] = &[
    (7, "echo"), (9, "discard"), (11, "systat"), (13, "daytime"), (17, "qotd"), (19, "chargen"),
    (20, "ftp"), (21, "ftp"), (22, "ssh"), (23, "telnet"), (25, "smtp"), (37, "time"),
    (42, "wins"), (43, "whois"), (53, "dns"), (69, "tftp"), (79, "finger"), (88, "kerberos"),
    (102, "iso-tsap"), (109, "pop2"), (110, "pop3"), (111, "rpcbind"), (113, "ident"),
    (119, "nntp"), (123, "ntp"), (135, "msrpc"), (137, "netbios"), (138, "netbios"),
    (139, "netbios"), (143, "imap"), (161, "snmp"), (162, "snmp"), (179, "bgp"), (389, "ldap"),
    (427, "slp"), (445, "smb"), (465, "smtps"), (502, "modbus"), (512, "rexec"), (513, "rlogin"),
    (514, "rsh"), (515, "lpd"), (548, "afp"), (554, "rtsp"), (563, "nntps"), (587, "smtp"),
    (593, "msrpc"), (623, "ipmi"), (631, "ipp"), (636, "ldaps"), (873, "rsync"), (902, "vmware"),
    (989, "ftps"), (990, "ftps"), (992, "telnets"), (993, "imaps"), (995, "pop3s"),
    (1433, "mssql"), (1434, "mssql"), (1521, "oracle"), (1723, "pptp"), (1883, "mqtt"),
    (2049, "nfs"), (2181, "zookeeper"), (2375, "docker"), (2376, "docker"), (2377, "docker"),
    (2379, "etcd"), (2380, "etcd"), (3268, "ldap"), (3269, "ldaps"), (3306, "mysql"),
    (3389, "rdp"), (4190, "sieve"), (4369, "epmd"), (5060, "sip"), (5061, "sips"),
    (5432, "postgresql"), (5601, "kibana"), (5671, "amqps"), (5672, "amqp"), (5900, "vnc"),
    (5984, "couchdb"), (5985, "winrm"), (5986, "winrm"), (6000, "x11"), (6379, "redis"),
    (6443, "kubernetes"), (6667, "irc"), (6697, "ircs"), (7474, "neo4j"), (7687, "neo4j"),
    (8086, "influxdb"), (8200, "vault"), (8300, "consul"), (8500, "consul"), (8600, "consul"),
    (8883, "mqtts"), (9042, "cassandra"), (9092, "kafka"), (9093, "kafka"), (9100, "jetdirect"),
    (9160, "cassandra"), (9200, "elasticsearch"), (9300, "elasticsearch"), (10050, "zabbix"),
    (10051, "zabbix"), (10250, "kubelet"), (10255, "kubelet"), (11211, "memcached"),
    (15672, "rabbitmq"), (16379, "redis"), (26379, "redis"), (27017, "mongodb"),
    (27018, "mongodb"), (27019, "mongodb"), (28017, "mongodb"), (61613, "activemq"),
    (61616, "activemq"),
];

/// Why a proxy is not connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RefusedProxy {
    /// Its address is in a private network.
    #[error("it is in a private network, which `scrape.allow_private_proxies` does not allow")]
    Private,
    /// Its port is another service's.
    #[error("port {port} is that of {service}, not of a proxy")]
    Service {
        /// The port.
        port: u16,
        /// The service.
        service: &'static str,
    },
    /// It has no host that could be connected to.
    #[error("it has no host")]
    NoHost,
}

/// Where a proxy that may be used may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// In the public Internet; its name is resolved to public addresses only.
    Public,
    /// Anywhere: the setting names it.
    Anywhere,
}

/// The rules of a configuration.
#[derive(Debug)]
pub(crate) struct Rules {
    /// `scrape.allow_private_proxies`. `scrape.allow_private` is about pages and permits no proxy.
    allowed: AllowPrivate,
}

impl Rules {
    pub(crate) fn new(allow_private_proxies: &[String]) -> Self {
        Self { allowed: AllowPrivate::new(allow_private_proxies) }
    }

    /// Tells whether the proxy may be used, by its own text; its name is judged when it is
    /// resolved.
    ///
    /// A service's port is permitted only where the setting names it, as `host:port`.
    pub(crate) fn judge(&self, proxy: &Proxy) -> Result<Reach, RefusedProxy> {
        let (host, port) = (proxy.host().ok_or(RefusedProxy::NoHost)?, proxy.port());
        if self.allowed.names_port(&host, port) {
            return Ok(Reach::Anywhere);
        }
        if let Some((_, service)) = SERVICE_PORTS.iter().find(|(of, _)| *of == port) {
            return Err(RefusedProxy::Service { port, service });
        }
        match (self.allowed.permits(&host, port), is_private_host(&host)) {
            (true, _) => Ok(Reach::Anywhere),
            (false, true) => Err(RefusedProxy::Private),
            (false, false) => Ok(Reach::Public),
        }
    }

    /// Tells whether the proxy accepts a connection within `patience`, at an address it may have.
    pub(crate) async fn accepts(&self, proxy: &Proxy, patience: Duration) -> bool {
        let (Ok(reach), Some(host)) = (self.judge(proxy), proxy.host()) else { return false };
        let until = Instant::now() + patience;
        let found = timeout_at(until, addresses(host, proxy.port(), reach)).await;
        for address in found.unwrap_or_default() {
            if let Ok(Ok(_)) = timeout_at(until, TcpStream::connect(address)).await {
                return true;
            }
        }
        false
    }
}

async fn addresses(host: Host<String>, port: u16, reach: Reach) -> Vec<SocketAddr> {
    match host {
        Host::Ipv4(ip) => vec![(ip, port).into()],
        Host::Ipv6(ip) => vec![(ip, port).into()],
        Host::Domain(name) => {
            resolve(&name, port, reach == Reach::Anywhere).await.unwrap_or_default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEMES: [&str; 6] = ["http", "https", "socks4", "socks4a", "socks5", "socks5h"];

    fn judge(allowed: &[&str], proxy: &str) -> Result<Reach, RefusedProxy> {
        let allowed: Vec<String> = allowed.iter().map(|&entry| entry.to_owned()).collect();
        Rules::new(&allowed).judge(&proxy.parse().unwrap())
    }

    #[test]
    fn a_proxy_in_a_private_network_needs_a_permission_of_its_own() {
        let private = [
            "10.0.0.1",
            "127.0.0.1",
            "2130706433",
            "0x7f.1",
            "127.1",
            "localhost",
            "a.localhost",
            "localhost.",
            "[::1]",
            "[::ffff:10.0.0.1]",
            "[64:ff9b:1::1]",
            "[2001:db8::1]",
            "192.0.2.7",
            "169.254.169.254",
        ];
        for (scheme, host) in SCHEMES.iter().flat_map(|s| private.map(|host| (s, host))) {
            let Ok(proxy) = format!("{scheme}://{host}:8080").parse::<Proxy>() else { continue };
            let judged = Rules::new(&[]).judge(&proxy);
            assert_eq!(judged, Err(RefusedProxy::Private), "{scheme}://{host}");
        }
        assert_eq!(judge(&[], "1.1.1.1:80"), Ok(Reach::Public));
        assert_eq!(judge(&["10.0.0.1"], "10.0.0.1:80"), Ok(Reach::Anywhere));
        assert_eq!(judge(&["10.0.0.1:80"], "socks5://10.0.0.1:81"), Err(RefusedProxy::Private));
        assert_eq!(judge(&["*"], "[::1]:80"), Ok(Reach::Anywhere));
    }

    #[test]
    fn ports_of_known_services_are_no_proxies() {
        let named = [22, 25, 53, 110, 143, 389, 445, 3306, 5432, 6379, 9200, 11211, 27017];
        for port in named {
            for scheme in SCHEMES {
                let proxy = format!("{scheme}://proxy.example.com:{port}");
                let judged = judge(&["*"], &proxy);
                assert!(matches!(judged, Err(RefusedProxy::Service { .. })), "{proxy}");
            }
        }
        for port in [80, 443, 808, 1080, 3128, 4145, 8000, 8080, 8118, 8888, 9050] {
            let proxy = format!("socks5://proxy.example.com:{port}");
            assert_eq!(judge(&[], &proxy), Ok(Reach::Public), "{proxy}");
        }
        assert_eq!(judge(&["10.0.0.1:9200"], "10.0.0.1:9200"), Ok(Reach::Anywhere));
    }

    #[test]
    fn each_service_port_stands_once_and_in_order() {
        assert!(SERVICE_PORTS.is_sorted_by(|(a, _), (b, _)| a < b));
    }

    #[tokio::test]
    async fn a_proxy_whose_name_resolves_to_a_private_address_is_not_connected_to() {
        let open = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = open.local_addr().unwrap().port();
        let patience = Duration::from_secs(30);
        let local = Host::Domain("localhost".to_owned());
        assert_eq!(addresses(local.clone(), port, Reach::Public).await, []);
        assert_ne!(addresses(local, port, Reach::Anywhere).await, []);
        let proxy = format!("127.0.0.1:{port}").parse().unwrap();
        assert!(!Rules::new(&[]).accepts(&proxy, patience).await);
        assert!(Rules::new(&["127.0.0.1".to_owned()]).accepts(&proxy, patience).await);
        drop(open);
        assert!(!Rules::new(&["*".to_owned()]).accepts(&proxy, patience).await);
    }
}
