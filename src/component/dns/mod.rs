//! The names of the site: an authoritative server with its zone (NSD), or somebody else's, whose answers are compared.
//!
//! NSD, because it does one thing: it answers for its zones and cannot do recursion at all. It is the smallest of the three
//! that Debian 12, 13 and sid have (0.5 MB, against knot's libraries and BIND's resolver), brings the checkers of its
//! configuration and of a zone in the same package, takes a new zone in beside the old one, so that no query is lost, and
//! limits the rate of answers unasked.

mod checks;
mod origin;
pub mod records;

pub use checks::world;

use super::{
    Check, Component, Desired, Endpoint, Peers,
    names::{HAPROXY_UNIT, NSD_UNIT},
    origin::Origin,
    packages,
    site::Site,
    spec::{self, Protocol, Served},
};
use crate::{
    base::{
        dns::{Kind, Question},
        name::{DomainName, HostName, PackageName},
        script::{Script, quote},
        secret::Content,
        template::TemplateError,
    },
    resource::{
        Key, Resource,
        files::{File, Files},
        service::{Input, Service},
        zone::{SERIAL, Zone},
    },
};
use records::Record;
use serde::Serialize;

const CONFIG: &str = "/etc/nsd/nsd.conf.d/foobar.conf";
const ZONE: &str = "/etc/nsd/foobar.zone";

/// Where name servers listen.
const PORT: u16 = 53;

/// Seconds that resolvers may keep who the name servers are and where: an hour, since they hardly ever change.
pub const SERVERS_TTL: u32 = 3600;

/// `dns:`
#[derive(Debug)]
pub struct Dns;

#[derive(Serialize)]
struct Server {
    address: String,
    zone: DomainName,
    path: &'static str,
}

#[derive(Serialize)]
struct Context {
    zone: DomainName,
    primary: String,
    serial: &'static str,
    ttl: u32,
    servers_ttl: u32,
    records: Vec<Record>,
}

/// The hosts of the stack's own name servers and their zone; none where somebody else answers.
fn own(site: &Site) -> Option<(&spec::Dns, &[HostName], &DomainName)> {
    let dns = site.topology.dns.as_ref()?;
    match &dns.served {
        Served::Own { on, zone, .. } => Some((dns, on, zone)),
        Served::External => None,
    }
}

fn server(site: &Site, zone: &DomainName, host: &HostName) -> Server {
    Server { address: site.address(host).to_string(), zone: zone.clone(), path: ZONE }
}

fn context(site: &Site, dns: &spec::Dns, on: &[HostName], zone: &DomainName) -> Context {
    Context {
        zone: zone.clone(),
        primary: on.first().map(|host| format!("{host}.{zone}")).unwrap_or_default(),
        serial: SERIAL,
        ttl: records::ttl(dns),
        servers_ttl: SERVERS_TTL,
        records: records::zone(site, dns),
    }
}

/// A sh function that asks one question and prints the answer in hexadecimal digits: `query udp|tcp ADDRESS OCTAL`. bash is
/// essential on Debian, and opens sockets; a minimal host has no other client.
const ASK: &str = r#"query() {
  timeout 4 bash -c 'exec 2>/dev/null
    exec 3<>"/dev/$0/$1/53" || exit 7
    printf "$2" >&3
    if [ "$0" = tcp ]; then
      set -- $(dd bs=1 count=2 status=none <&3 | od -An -v -tu1)
      [ $# = 2 ] && head -c $(($1 * 256 + $2)) <&3
    else
      timeout 1.5 dd bs=65535 count=1 status=none <&3
    fi | od -An -v -tx1 | tr -d " \n"' "$@"
}"#;

/// Defines `query udp|tcp ADDRESS OCTAL`.
pub fn asker() -> Script {
    Script::new().line(ASK)
}

/// NSD takes a zone in some time after it was told to, and says nowhere but in its log that it did not: the last five
/// numbers of the SOA that it answers with are those of the file, or it does not run what is on disk.
fn proof(site: &Site, host: &HostName, zone: &DomainName) -> Script {
    let question = Question::of(zone.as_str(), Kind::Soa).udp();
    asker()
        .line(format!(
            "set -- $(nsd-checkzone -p {zone} {ZONE} 2>/dev/null | tr '()\\n' '   ' | awk '{{ for (n = 1; n < NF; n++) if ($n == \"SOA\") {{ print $(n + 3), $(n + 4), $(n + 5), $(n + 6), $(n + 7); exit }} }}')"
        ))
        .line("[ $# = 5 ] || { echo 'the zone on disk has no SOA' >&2; exit 1; }")
        .line("want=$(printf '%08x%08x%08x%08x%08x' \"$@\")")
        .line("read -r now _ </proc/uptime; end=$((${now%.*} + 8))")
        .line(format!("until query udp {} {} | grep -qF \"$want\"; do", site.address(host), quote(&question)))
        .line("  read -r now _ </proc/uptime")
        .line("  [ \"${now%.*}\" -lt \"$end\" ] || { echo \"nsd does not answer with the zone on disk, whose serial is $1\" >&2; exit 1; }")
        .line("  sleep 0.05")
        .line("done")
}

impl Component for Dns {
    fn name(&self) -> &'static str {
        "dns"
    }

    fn packages(&self, site: &Site, host: &HostName) -> Vec<PackageName> {
        let is_here = own(site).is_some_and(|(_, on, _)| on.contains(host));
        if is_here { packages(["nsd"]) } else { Vec::new() }
    }

    fn endpoints(&self, site: &Site) -> Vec<Endpoint> {
        let Some((_, on, _)) = own(site) else { return Vec::new() };
        let of = |host: &HostName| {
            let host = host.clone();
            [Protocol::Udp, Protocol::Tcp].map(move |protocol| Endpoint {
                component: "dns",
                host: host.clone(),
                protocol,
                port: PORT,
                from: Peers::Anyone,
            })
        };
        on.iter().flat_map(of).collect()
    }

    fn resources(&self, site: &Site, desired: &mut Desired) -> Result<(), TemplateError> {
        let Some((dns, on, zone)) = own(site) else { return Ok(()) };
        let text = site.templates.render("dns/zone.tera", &context(site, dns, on, zone))?;
        // A name leads to a balancer only once that one serves.
        let balancers = site.topology.haproxy.iter().flat_map(|h| &h.on);
        let served: Vec<Key> = balancers.map(|host| Key::new(host, Service::key(HAPROXY_UNIT))).collect();
        for host in on {
            let config = Content::new(site.templates.render("dns/nsd.conf.tera", &server(site, zone, host))?);
            let checker =
                Script::new().line("nsd-checkconf /etc/nsd/nsd.conf").line(format!("nsd-checkzone {zone} {ZONE}"));
            let files = Files::new(
                "name server configuration",
                vec![File::text(CONFIG, config.clone()), File::text(ZONE, Content::new(&text))],
            )
            .checked(["/etc/nsd"], checker);
            let files = Zone { files, path: ZONE.into(), text: text.clone(), on: on.to_vec() };
            let mut service = Service::new(NSD_UNIT);
            service.restart_on = vec![Input { path: CONFIG.into(), content: config, from: files.id() }];
            service.reload_on = vec![Input { path: ZONE.into(), content: Content::new(&text), from: files.id() }];
            service.follows = vec![files.id()];
            service.proof = Some(proof(site, host, zone));
            service.ports = vec![PORT];
            let files = desired.want(host, files, served.clone());
            desired.want(host, service, [files]);
        }
        Ok(())
    }

    fn checks(&self, site: &Site) -> Vec<Check> {
        checks::all(site)
    }

    fn origins(&self, site: &Site, host: &HostName) -> Result<Vec<Origin>, TemplateError> {
        origin::all(site, host)
    }
}
