//! Addresses that move between the balancers: VRRP over unicast, tracked by what the balancer on the same host says of
//! itself. Who holds which address is decided by the hosts among themselves; foobar only says who may.

mod checks;
mod origin;
pub mod status;

use super::{
    Check, Component, Desired, Endpoint, Peers,
    names::{HAPROXY_FRONTEND, HAPROXY_QUESTIONS, HAPROXY_UNIT, KEEPALIVED_UNIT},
    origin::Origin,
    packages,
    site::Site,
    spec::{Mode, Protocol, Redundancy},
};
use crate::{
    base::{
        name::{HostName, PackageName},
        script::{CLOCK, Script},
        secret::Content,
        template::TemplateError,
    },
    resource::{
        Impact, Key, Resource, STATE_DIR,
        account::Account,
        files::{File, Files},
        reboot::Proof,
        ruleset::Ruleset,
        service::{Input, Service},
    },
};
use serde::Serialize;
use std::{collections::BTreeSet, net::IpAddr};

const CONFIG: &str = "/etc/keepalived/keepalived.conf";
const CHECK: &str = "/etc/keepalived/check-haproxy";
const OWN_INTERFACE: &str = "/etc/keepalived/own-interface";
const DROP_IN: &str = "/etc/systemd/system/keepalived.service.d/foobar.conf";
/// Not among the balancer's own, since a change of it is none of that one's.
const HAPROXY_DROP_IN: &str = "/etc/systemd/system/haproxy.service.d/foobar-keepalived.conf";
/// Where each host notes the interface that has its address.
const INTERFACE_FILE: &str = "/run/foobar-keepalived.conf";
/// The account that the check runs as; the one that keepalived looks for by itself.
const SCRIPT_USER: &str = "keepalived_script";
/// Seconds that a balancer has to answer the check: two in a row must be missed, a second apart.
const PATIENCE: &str = "0.7";

/// `haproxy.redundancy:`
#[derive(Debug)]
pub struct Keepalived;

/// One address, and who is to hold it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Virtual {
    address: IpAddr,
    /// The virtual router's number, 1 to 255.
    id: u8,
    /// The balancers, whose turn comes first standing first.
    order: Vec<HostName>,
    /// The balancer whose own it is, where each has one.
    owner: Option<HostName>,
}

impl Virtual {
    fn name(&self) -> String {
        format!("foobar_{}", self.id)
    }

    /// From 250 down, as far apart as the number of balancers lets them be: of several that miss the holder, the first
    /// in order speaks first (RFC 5798 6.1, Skew_Time).
    fn priority(&self, host: &HostName) -> usize {
        let rank = self.order.iter().position(|h| h == host).unwrap_or(self.order.len());
        250_usize.saturating_sub(rank * (200 / self.order.len().max(1)).max(1)).max(1)
    }
}

/// The balancers with the redundancy between them, where there is any.
fn redundancy(site: &Site) -> Option<(&[HostName], &Redundancy)> {
    let haproxy = site.topology.haproxy.as_ref()?;
    Some((&haproxy.on, haproxy.redundancy.as_ref()?))
}

/// The virtual address that is this balancer's own, where each has one.
pub fn own_address(site: &Site, host: &HostName) -> Option<IpAddr> {
    let (on, redundancy) = redundancy(site)?;
    virtuals(on, redundancy).into_iter().find(|v| v.owner.as_ref() == Some(host)).map(|v| v.address)
}

/// The site's virtual addresses; none where it has no pair of balancers.
pub fn addresses(site: &Site) -> Vec<IpAddr> {
    redundancy(site).map(|(_, r)| r.virtual_addresses.clone()).unwrap_or_default()
}

/// Every virtual address. Its number is its last octet, which stays what it is when the list is put in another order; where
/// that is taken, the next that is free. Nobody beside the stack's own balancers ever hears of it: unicast, and a firewall.
fn virtuals(on: &[HostName], redundancy: &Redundancy) -> Vec<Virtual> {
    let mut taken = BTreeSet::new();
    let mut all = Vec::new();
    for (at, address) in redundancy.virtual_addresses.iter().enumerate() {
        let last = match address {
            IpAddr::V4(v4) => v4.octets()[3],
            IpAddr::V6(v6) => v6.octets()[15],
        };
        let id = (last.max(1)..=255).chain(1..=255).find(|id| !taken.contains(id)).unwrap_or(1);
        taken.insert(id);
        let owner = on.get(at).filter(|_| redundancy.mode == Mode::ActiveActive).cloned();
        let first = if owner.is_some() { at } else { 0 };
        let order = (0..on.len()).map(|n| on[(first + n) % on.len()].clone()).collect();
        all.push(Virtual { address: *address, id, order, owner });
    }
    all
}

#[derive(Serialize)]
struct Instance {
    name: String,
    id: u8,
    priority: usize,
    preempts: bool,
    address: IpAddr,
}

#[derive(Serialize)]
struct Context {
    host: HostName,
    own: IpAddr,
    peers: Vec<IpAddr>,
    script_user: &'static str,
    check: &'static str,
    interface_file: &'static str,
    instances: Vec<Instance>,
}

#[derive(Serialize)]
struct CheckContext {
    frontend: &'static str,
    socket: &'static str,
    patience: &'static str,
}

#[derive(Serialize)]
struct InterfaceContext {
    own: IpAddr,
    interface_file: &'static str,
}

#[derive(Serialize)]
struct UnitContext {
    own_interface: &'static str,
}

#[derive(Serialize)]
struct NoContext {}

const CHECK_CONTEXT: CheckContext =
    CheckContext { frontend: HAPROXY_FRONTEND, socket: HAPROXY_QUESTIONS, patience: PATIENCE };
const UNIT_CONTEXT: UnitContext = UnitContext { own_interface: OWN_INTERFACE };

fn context(site: &Site, on: &[HostName], redundancy: &Redundancy, host: &HostName) -> Context {
    let instance = |v: Virtual| Instance {
        name: v.name(),
        id: v.id,
        priority: v.priority(host),
        preempts: v.owner.is_some(),
        address: v.address,
    };
    Context {
        host: host.clone(),
        own: site.address(host),
        peers: on.iter().filter(|h| *h != host).map(|h| site.address(h)).collect(),
        script_user: SCRIPT_USER,
        check: CHECK,
        interface_file: INTERFACE_FILE,
        instances: virtuals(on, redundancy).into_iter().map(instance).collect(),
    }
}

fn interface_context(site: &Site, host: &HostName) -> InterfaceContext {
    InterfaceContext { own: site.address(host), interface_file: INTERFACE_FILE }
}

/// keepalived's own test says much with exit 0, an unknown keyword as well as a missing brace: whatever it says is a refusal.
/// Run from a login, that of 2.2.7 kills itself on good configurations with scripts, so it is a unit's; in the namespace
/// where the new files are laid over the live ones.
fn checker() -> Script {
    Script::new()
        .line(OWN_INTERFACE)
        .line(format!(
            "said=$(systemd-run -q --wait --pipe --collect nsenter -m -t $$ keepalived -t -f {CONFIG} 2>&1) && [ -z \"$said\" ] && exit 0"
        ))
        .line("printf '%s\\n' \"$said\"; exit 1")
}

/// Waits until keepalived stands by for each of these instances or has it, so that another balancer may go; fails with what
/// it is instead after `seconds`. What it entered last, its log alone tells.
fn ready(instances: &[String], seconds: u32) -> Script {
    Script::new()
        .line(CLOCK)
        .line("states() {")
        .line(format!("  run=$(systemctl show --value -p InvocationID {KEEPALIVED_UNIT})"))
        .line("  journalctl -q -o cat --no-pager \"_SYSTEMD_INVOCATION_ID=$run\" 2>/dev/null | awk '")
        .line("    $2 == \"Entering\" && $4 == \"STATE\" { gsub(/[()]/, \"\", $1); at[$1] = $3 } END { for (n in at) print n, at[n] }'")
        .line("}")
        .line(format!("for name in {}; do", instances.join(" ")))
        .line(format!("  end=$(($(clock) + {seconds}000))"))
        .line("  until said=$(states | sed -n \"s/^$name //p\") && case $said in BACKUP | MASTER) true ;; *) false ;; esac; do")
        .line("    [ \"$(clock)\" -lt $end ] || { echo \"keepalived neither has its address nor stands by for it: $name is ${said:-not started}; journalctl -u keepalived\" >&2; exit 1; }")
        .line("    sleep 0.2")
        .line("  done")
        .line("done")
}

/// What a balancer that was restarted waits for at most: keepalived went with it, and before it stands by again the next
/// balancer has nobody to hand its address to. One that does not come back is a fault of its own, told elsewhere.
pub fn stands_by(site: &Site) -> Script {
    let Some((on, redundancy)) = redundancy(site) else { return Script::new() };
    let names: Vec<String> = virtuals(on, redundancy).iter().map(Virtual::name).collect();
    Script::new()
        // Its package enables it long before it has anything to do: once it was proved, it is there to be waited for.
        .line(format!("if [ -e {STATE_DIR}/running/{KEEPALIVED_UNIT} ]; then ("))
        .then(&ready(&names, 10))
        .line(") 2>/dev/null || :; fi")
}

impl Component for Keepalived {
    fn name(&self) -> &'static str {
        "keepalived"
    }

    fn packages(&self, site: &Site, host: &HostName) -> Vec<PackageName> {
        let is_here = redundancy(site).is_some_and(|(on, _)| on.contains(host));
        if is_here { packages(["iproute2", "keepalived", "socat"]) } else { Vec::new() }
    }

    fn endpoints(&self, site: &Site) -> Vec<Endpoint> {
        let Some((on, _)) = redundancy(site) else { return Vec::new() };
        let endpoint = |host: &HostName| Endpoint {
            component: "keepalived",
            host: host.clone(),
            protocol: Protocol::Vrrp,
            port: 0,
            from: Peers::Hosts(on.iter().filter(|h| *h != host).cloned().collect()),
        };
        on.iter().map(endpoint).collect()
    }

    fn resources(&self, site: &Site, desired: &mut Desired) -> Result<(), TemplateError> {
        let Some((on, redundancy)) = redundancy(site) else { return Ok(()) };
        let names: Vec<String> = virtuals(on, redundancy).iter().map(Virtual::name).collect();
        let mut before: Option<Key> = None;
        for host in on {
            let script = |path: &str, text: String| File::text(path, Content::new(text)).mode(0o755);
            let config = Content::new(
                site.templates.render("keepalived/keepalived.conf.tera", &context(site, on, redundancy, host))?,
            );
            let unit = Content::new(site.templates.render("keepalived/unit.conf.tera", &UNIT_CONTEXT)?);
            let with_balancer = Content::new(site.templates.render("keepalived/haproxy.conf.tera", &NoContext {})?);
            let interface = site.templates.render("keepalived/own-interface.tera", &interface_context(site, host))?;
            let scripts = Files::new(
                "keepalived scripts",
                vec![
                    script(CHECK, site.templates.render("keepalived/check-haproxy.tera", &CHECK_CONTEXT)?),
                    script(OWN_INTERFACE, interface.clone()),
                ],
            );
            // An account must be there before the first word about it: a script of nobody's is dropped without one.
            let account = SCRIPT_USER
                .parse()
                .ok()
                .map(|name| desired.want(host, Account { name, home: "/nonexistent".into() }, []));
            let scripts_id = scripts.id();
            let scripts = desired.want(host, scripts, account);
            let files = Files::new("keepalived configuration", vec![File::text(CONFIG, config.clone())])
                .checked(["/etc/keepalived"], checker());
            let drop_ins = Files::new(
                "keepalived units",
                vec![File::text(DROP_IN, unit.clone()), File::text(HAPROXY_DROP_IN, with_balancer)],
            );
            let input = |path: &str, content: Content, from| Input { path: path.into(), content, from };
            let mut service = Service::new(KEEPALIVED_UNIT);
            service.restart_on =
                vec![input(DROP_IN, unit, drop_ins.id()), input(OWN_INTERFACE, Content::new(interface), scripts_id)];
            service.reload_on = vec![input(CONFIG, config, files.id())];
            service.proof = Some(ready(&names, 20));
            // The next balancer goes when this one can take its address over.
            let summary = "see that keepalived has its address again, or stands by".to_owned();
            service.back = Some(Proof::Step { summary, script: ready(&names, 60) });
            service.restart_impact = Impact::ConnectionDrop;
            service.leaves = vec![INTERFACE_FILE.into()];
            let mut after =
                vec![desired.want(host, drop_ins, []), desired.want(host, files, [scripts.clone()]), scripts];
            after.push(Key::new(host, Service::key(HAPROXY_UNIT)));
            // Before anybody speaks, all can be heard: two that cannot hear each other both take the address.
            after.extend(on.iter().map(|h| Key::new(h, Ruleset::key())));
            // One after the other, so that there is always one to take an address over.
            after.extend(before.take());
            before = Some(desired.want(host, service, after));
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

#[cfg(test)]
mod tests {
    use super::*;

    fn shared(mode: Mode, balancers: usize, addresses: &[&str]) -> Vec<Virtual> {
        let on: Vec<HostName> = (1..=balancers).map(|n| format!("lb-{n:02}").parse().unwrap()).collect();
        let virtual_addresses = addresses.iter().map(|a| a.parse().unwrap()).collect();
        virtuals(&on, &Redundancy { mode, virtual_addresses })
    }

    #[test]
    fn a_virtual_router_is_numbered_by_its_address_and_no_number_is_given_twice() {
        let ids = |all: &[&str]| shared(Mode::ActiveActive, all.len(), all).iter().map(|v| v.id).collect::<Vec<_>>();
        assert_eq!(ids(&["10.0.0.100", "10.0.0.101"]), [100, 101]);
        assert_eq!(ids(&["10.0.0.101", "10.0.0.100"]), [101, 100]);
        assert_eq!(ids(&["10.0.0.7", "10.0.1.7", "10.0.2.8"]), [7, 8, 9]);
        assert_eq!(ids(&["10.0.0.0", "10.0.0.255", "10.0.1.255"]), [1, 255, 2]);
    }

    #[test]
    fn who_comes_first_where() {
        let priorities = |v: &Virtual| {
            let mut all: Vec<(usize, &HostName)> = v.order.iter().map(|h| (v.priority(h), h)).collect();
            all.sort();
            all.iter().rev().map(|(p, h)| format!("{h} {p}")).collect::<Vec<_>>()
        };
        let passive = shared(Mode::ActivePassive, 3, &["10.0.0.100"]);
        assert_eq!(priorities(&passive[0]), ["lb-01 250", "lb-02 184", "lb-03 118"]);
        assert_eq!(passive[0].owner, None);
        let active = shared(Mode::ActiveActive, 3, &["10.0.0.100", "10.0.0.101", "10.0.0.102"]);
        assert_eq!(priorities(&active[0]), ["lb-01 250", "lb-02 184", "lb-03 118"]);
        assert_eq!(priorities(&active[1]), ["lb-02 250", "lb-03 184", "lb-01 118"]);
        assert_eq!(active[2].owner.as_ref().unwrap().as_str(), "lb-03");
        // However many there are, each has a place of its own.
        let many = shared(Mode::ActivePassive, 60, &["10.0.0.100"]);
        let all: BTreeSet<usize> = many[0].order.iter().map(|h| many[0].priority(h)).collect();
        assert!(all.len() == 60 && all.iter().all(|p| (1..=254).contains(p)));
    }
}
