//! How a web server is taken out of a balancer's pool and put back, over the runtime API; and the state that a cut-off run
//! or somebody's hand left there, which no file shows.

use super::super::{
    http::getter,
    names::{APP_ROOT, APP_UNIT, BACKEND, HAPROXY_UNIT, NGINX_UNIT, PATHS_UNIT},
    site::Site,
    spec,
    traffic::{Pool, Standing},
};
use super::CONFIG;
use crate::{
    base::{
        name::HostName,
        script::{CLOCK, Script, quote},
    },
    resource::{
        Action, Change, Collector, Observation, Probe, Refusal, Resource, ResourceId, Seen,
        drift::Drift,
        release::Current,
        service::{Service, UNITS},
    },
};
use std::collections::BTreeMap;

/// Each server of the backend: who holds it out (`server`), and whether it is up (`up`, which comes and goes by itself).
/// Of the state's columns (management guide, "show servers state") the 6th is the operational state, 2 for running, and
/// the 7th the administrative one, bits of which 1 and 8 are set by `set server … state maint` and `drain`.
pub static TRAFFIC: Collector = Collector {
    name: "traffic",
    volatile: &["up"],
    body: r#"
[ -S /run/haproxy/admin.sock ] || return 0
echo 'show servers state web' | socat -t 3 -T 3 - UNIX-CONNECT:/run/haproxy/admin.sock 2>/dev/null |
while read -r _ _ _ name _ op admin _; do
  case $op in [0-9]) ;; *) continue ;; esac
  held=-
  [ $((admin & 8)) = 0 ] || held=drain
  [ $((admin & 1)) = 0 ] || held=maint
  printf 'server\t%s\t%s\nup\t%s\t%s\n' "$name" "$held" "$name" "$op"
done
:"#,
};

/// `state` prints a server's operational and administrative state, its check's result and its check's health; `open` its
/// sessions and those that wait for it; `set_state` sets its state, which the API answers with nothing.
const SERVER: &str = r#"runtime() { printf '%s\n' "$1" | socat -t 5 -T 5 - UNIX-CONNECT:/run/haproxy/admin.sock; }
state() { runtime 'show servers state web' | awk -v name="$name" '$4 == name { print $6, $7, $12, $13 }'; }
open() { runtime 'show stat web 4 -1' | awk -F , -v name="$name" '$1 == "web" && $2 == name { print $3 + $5 }'; }
set_state() {
  said=$(runtime "set server web/$name state $1") || exit 1
  [ -z "$(printf %s "$said" | tr -d '\n ')" ] || { echo "haproxy does not take $name to $1: $said" >&2; exit 1; }
}"#;

/// `counters` prints a server's errors, and all its answers.
const WATCH: &str = r#"counters() {
  runtime 'show stat web 4 -1' | awk -F , -v name="$name" '
    NR == 1 { for (n = 1; n <= NF; n++) at[$n] = n; next }
    $1 ~ /^web$/ && $2 == name {
      errors = $at["hrsp_5xx"] + $at["econ"] + $at["eresp"]
      print errors, $at["hrsp_2xx"] + $at["hrsp_3xx"] + $at["hrsp_4xx"] + errors
    }'
}"#;

/// One balancer with the web servers behind it.
#[derive(Clone, Debug)]
pub struct Web {
    balancer: HostName,
    members: Vec<HostName>,
    app_on: Vec<HostName>,
    addresses: BTreeMap<HostName, String>,
    name: String,
    health_path: String,
    health: spec::Health,
    drain: crate::base::name::Span,
}

impl Web {
    /// The pool of the balancer on `host`.
    pub fn new(site: &Site, haproxy: &spec::Haproxy, host: &HostName) -> Self {
        let members: Vec<HostName> = site.topology.nginx.iter().flat_map(|n| n.on.clone()).collect();
        Self {
            balancer: host.clone(),
            addresses: members.iter().map(|m| (m.clone(), site.address(m).to_string())).collect(),
            app_on: site.topology.app.iter().flat_map(|a| a.on.clone()).collect(),
            members,
            name: site.topology.site.to_string(),
            health_path: super::health_path(site),
            health: haproxy.health.clone(),
            drain: site.topology.rollout.drain,
        }
    }

    fn start(member: &HostName) -> Script {
        Script::new().line(CLOCK).line(SERVER).line(format!("name={}", quote(member.as_str())))
    }

    /// Waits until a member answers the balancer's question with 200, or fails with what it answers and `then`.
    fn direct(&self, member: &HostName, then: &str) -> Script {
        let address = self.addresses.get(member).map(String::as_str).unwrap_or_default();
        let direct = format!("get {} 80 \"$path\" {} | sed -n '1{{s/\\r$//;p}}'", quote(address), quote(&self.name));
        // What the balancer asks today: another question is for its own reload, when all have been put back.
        Script::new()
            .line(format!("path=$(sed -n 's/^[[:space:]]*http-check send .* uri \\([^ ]*\\) .*/\\1/p' {CONFIG} 2>/dev/null | head -n 1)"))
            .line(format!("path=${{path:-{}}}", quote(&self.health_path)))
            .line("end=$(($(clock) + 20000))")
            .line(format!("until said=$({direct}) && case $said in 'HTTP/1.'[01]' 200 '*) true ;; *) false ;; esac; do"))
            .line(format!(
                "  [ \"$(clock)\" -lt $end ] || {{ printf '%s answers %s of the balancer with: %s{then}\\n' \"$name\" \"$path\" \"${{said:-nothing}}\" >&2; exit 1; }}"
            ))
            .line("  sleep 0.1")
            .line("done")
    }

    /// The units that a member serves with.
    fn units(&self, member: &HostName) -> Vec<&'static str> {
        let app = self.app_on.contains(member).then_some(APP_UNIT);
        std::iter::once(NGINX_UNIT).chain(app).collect()
    }

    /// What must be right on a member before it may be put back.
    pub fn ground(&self, member: &HostName) -> Vec<crate::resource::Key> {
        self.units(member).into_iter().map(|u| crate::resource::Key::new(member, Service::key(u))).collect()
    }
}

fn held<'a>(seen: &'a Observation, member: &HostName) -> Option<&'a str> {
    let lines = seen.all(&TRAFFIC, "server").iter();
    lines.filter(|l| l.first().is_some_and(|n| n == member.as_str())).find_map(|l| l.get(1).map(String::as_str))
}

impl Pool for Web {
    fn balancer(&self) -> &HostName {
        &self.balancer
    }

    fn service(&self) -> ResourceId {
        Service::key(HAPROXY_UNIT)
    }

    fn members(&self) -> &[HostName] {
        &self.members
    }

    fn covers(&self, resource: &ResourceId) -> bool {
        // A release is switched to within: its static files are served from then on.
        let services = [NGINX_UNIT, APP_UNIT, PATHS_UNIT].map(Service::key);
        services.contains(resource) || *resource == Current::key(APP_ROOT)
    }

    fn standing(&self, member: &HostName, seen: &BTreeMap<HostName, Observation>) -> Standing {
        let Some(here) = seen.get(&self.balancer) else { return Standing::Unknown };
        let up = here.all(&TRAFFIC, "up").iter().find(|l| l.first().is_some_and(|n| n == member.as_str()));
        let (Some(held), Some(up)) = (held(here, member), up.and_then(|l| l.get(1))) else { return Standing::Unknown };
        // A service that has just stopped is still up to the balancer, until its checks have failed.
        let runs = |unit: &&str| {
            let state = seen.get(member).and_then(|there| there.get(&UNITS, unit)?.get(1).map(String::as_str));
            state.is_none_or(|s| s == "active" || s == "reloading")
        };
        match (held, up.as_str()) {
            ("-", "2") if self.units(member).iter().all(runs) => Standing::Serving,
            ("-", _) => Standing::Down,
            _ => Standing::Held,
        }
    }

    /// No new request goes there; those in flight end, or the deadline passes. Then it is out whole: its checks do not go
    /// on, so that nobody is told of a fault where there is a change.
    fn drain(&self, member: &HostName) -> (ResourceId, Change) {
        let millis = self.drain.duration().as_millis();
        let script = Self::start(member)
            .line(format!("[ -n \"$(state)\" ] || {{ echo \"haproxy does not know a server {member}\" >&2; exit 1; }}"))
            .line("set_state drain")
            // A request on its way between two counters is seen by none: what is idle three times in a row is idle.
            .line(format!("end=$(($(clock) + {millis})) idle=0"))
            .line("while [ $idle -lt 3 ]; do")
            .line("  left=$(open)")
            .line("  if [ \"$left\" = 0 ]; then idle=$((idle + 1)); else")
            .line("    idle=0")
            .line(format!(
                "    [ \"$(clock)\" -lt $end ] || {{ echo \"$left sessions of $name are still open after {}\"; break; }}",
                self.drain
            ))
            .line("  fi")
            .line("  sleep 0.1")
            .line("done")
            .line("set_state maint")
            .line("set -- $(state)")
            .line("[ $((${2:-0} & 1)) = 1 ] || { echo \"haproxy still sends requests to $name\" >&2; exit 1; }");
        let change = Change::new(Action::Update, format!("drain {member}"), script)
            .detail(format!("no new requests go there; those in flight have {} to end", self.drain));
        (ResourceId::new("drain", format!("{BACKEND}/{member}")), change)
    }

    /// It is asked directly, then by the balancer's own checks while it gets no request yet, then it is ready.
    fn put_back(&self, member: &HostName) -> (ResourceId, Change) {
        let (rise, fall) = (self.health.rise, self.health.fall);
        let inter = self.health.interval.duration().as_millis();
        // Health counts up to rise + fall - 1, and begins at `rise` where checks begin anew.
        let fit = (2 * rise).min(rise + fall - 1);
        // Two whole intervals until the first check has ended, then they come every half second at least.
        let patience = 3 * inter + 3 * u128::from(rise) * inter.min(500) + 10_000;
        let script = getter()
            .then(&Self::start(member))
            .line("set -- $(state)")
            .line("[ $# = 4 ] || { echo \"haproxy does not know a server $name\" >&2; exit 1; }")
            .line("[ \"$1 $(($2 & 9))\" != '2 0' ] || exit 0")
            .then(&self.direct(member, "; it stays out"))
            .line("set_state drain")
            .line(format!("end=$(($(clock) + {patience}))"))
            .line(format!("until set -- $(state) && [ \"${{1:-0}}\" = 2 ] && [ \"${{3:-0}}\" = 3 ] && [ \"${{4:-0}}\" -ge {fit} ]; do"))
            .line("  [ \"$(clock)\" -lt $end ] || { echo \"haproxy's checks of $name do not succeed; it stays out (state, held, result, health: $*)\" >&2; exit 1; }")
            .line("  sleep 0.1")
            .line("done")
            .line("set_state ready")
            .line("set -- $(state)")
            .line("[ \"${1:-0} $((${2:-1} & 9))\" = '2 0' ] || { echo \"haproxy does not take $name back (state, held, result, health: $*)\" >&2; exit 1; }");
        let change = Change::new(Action::Update, format!("put {member} back"), script);
        (ResourceId::new("traffic", format!("{BACKEND}/{member}")), change)
    }

    /// The balancer's own checks take longer to see a fault than its direct question: both must be content, that one last.
    fn check(&self, member: &HostName) -> (ResourceId, Change) {
        let script = getter()
            .then(&Self::start(member))
            .then(&self.direct(member, ""))
            .line("end=$(($(clock) + 20000))")
            .line("until set -- $(state) && [ \"${1:-0} $((${2:-1} & 9))\" = '2 0' ]; do")
            .line("  [ \"$(clock)\" -lt $end ] || { echo \"haproxy sends no requests to $name (state, held, result, health: $*)\" >&2; exit 1; }")
            .line("  sleep 0.1")
            .line("done");
        let change = Change::new(Action::Check, format!("check {member}"), script);
        (ResourceId::new("check", format!("{BACKEND}/{member}")), change)
    }

    /// Errors are answers of 5xx, broken answers and refused connections, as the balancer counts them. A few in many are any
    /// application's: five, and more than one in twenty, are this change's.
    fn watch(&self, member: &HostName, seconds: u64) -> (ResourceId, Change) {
        let script = Self::start(member)
            .line(WATCH)
            .line("set -- $(counters) && first_errors=${1:-0} first_all=${2:-0}")
            .line("read -r now _ </proc/uptime; now=${now%.*}")
            .line(format!("end=$((now + {seconds}))"))
            .line("while [ \"$now\" -lt \"$end\" ]; do")
            .line("  sleep 1")
            .line("  read -r now _ </proc/uptime; now=${now%.*}")
            .line("  set -- $(state)")
            .line("  [ \"${1:-0} $((${2:-1} & 9))\" = '2 0' ] || { echo \"$name went down while it was watched (state, held, result, health: $*)\" >&2; exit 1; }")
            .line("  set -- $(counters); errors=$((${1:-0} - first_errors)) all=$((${2:-0} - first_all))")
            .line("  [ \"$errors\" -lt 5 ] || [ $((errors * 20)) -le \"$all\" ] || { echo \"$errors of $all answers of $name were errors while it was watched\" >&2; exit 1; }")
            .line("done");
        let change = Change::new(Action::Check, format!("watch {member} for {seconds} s"), script);
        let change = change.detail("the others are changed when it has served so long without errors");
        (ResourceId::new("watch", format!("{BACKEND}/{member}")), change)
    }
}

/// That a web server is not held out of a balancer's pool.
#[derive(Debug)]
pub struct Traffic {
    pool: Web,
    member: HostName,
}

impl Traffic {
    /// Of `member` at the pool's balancer.
    pub fn new(pool: &Web, member: &HostName) -> Self {
        Self { pool: pool.clone(), member: member.clone() }
    }
}

impl Resource for Traffic {
    fn id(&self) -> ResourceId {
        self.pool.put_back(&self.member).0
    }

    fn probes(&self) -> Vec<Probe> {
        vec![Probe::new(&TRAFFIC, Vec::<String>::new())]
    }

    fn diff(&self, seen: &Seen<'_>) -> Result<Option<Change>, Refusal> {
        let how = match held(seen.here, &self.member) {
            Some("drain") => "drained",
            Some("maint") => "in maintenance",
            _ => return Ok(None),
        };
        let (_, change) = self.pool.put_back(&self.member);
        let why = format!("it is {how}: a run was cut off, or somebody took it out by hand");
        Ok(Some(change.detail(why).drift(Drift::TakenOut)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::component::testing;

    fn pool() -> Web {
        let site = testing::site(testing::topology());
        let haproxy = site.topology.haproxy.clone().unwrap();
        Web::new(&site, &haproxy, &haproxy.on[0])
    }

    fn host(name: &str) -> HostName {
        name.parse().unwrap()
    }

    fn seen(balancer: &str, app: &str) -> BTreeMap<HostName, Observation> {
        let (mut lb, mut web) = (Observation::default(), Observation::default());
        lb.add(TRAFFIC.name, balancer);
        web.add(UNITS.name, &format!("nginx.service\tloaded\tactive\nfoobar-app.service\tloaded\t{app}"));
        [(host("lb-01"), lb), (host("web-01"), web)].into()
    }

    #[test]
    fn how_a_member_stands() {
        let stands = |balancer: &str, app: &str| pool().standing(&host("web-01"), &seen(balancer, app));
        assert_eq!(stands("server\tweb-01\t-\nup\tweb-01\t2", "active"), Standing::Serving);
        assert_eq!(stands("server\tweb-01\t-\nup\tweb-01\t0", "active"), Standing::Down);
        assert_eq!(stands("server\tweb-01\t-\nup\tweb-01\t2", "failed"), Standing::Down);
        assert_eq!(stands("server\tweb-01\tdrain\nup\tweb-01\t2", "active"), Standing::Held);
        assert_eq!(stands("server\tweb-01\tmaint\nup\tweb-01\t0", "failed"), Standing::Held);
        assert_eq!(stands("server\tweb-02\t-\nup\tweb-02\t2", "active"), Standing::Unknown);
        assert_eq!(stands("", "active"), Standing::Unknown);
        assert_eq!(pool().standing(&host("web-01"), &BTreeMap::new()), Standing::Unknown);
    }

    #[test]
    fn what_was_left_out_is_put_back() {
        let of = |state: &str| {
            let all = seen(&format!("server\tweb-01\t{state}\nup\tweb-01\t2"), "active");
            let secrets = crate::base::secret::Secrets::default();
            let (lb, changing) = (host("lb-01"), BTreeMap::new());
            let seen = Seen {
                host: &lb,
                here: &all[&lb],
                all: crate::resource::All::of(&all),
                secrets: &secrets,
                fingerprint_key: "",
                changing: &changing,
                now: 0,
            };
            Traffic::new(&pool(), &host("web-01")).diff(&seen).unwrap().map(|c| (c.summary, c.details.concat()))
        };
        assert_eq!(of("-"), None);
        let (summary, why) = of("drain").unwrap();
        assert!(summary == "put web-01 back" && why.starts_with("it is drained"), "{summary}: {why}");
        assert!(of("maint").unwrap().1.starts_with("it is in maintenance"));
    }
}
