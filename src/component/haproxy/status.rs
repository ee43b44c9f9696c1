//! A balancer at a glance: who is served right now, by which servers, and until when its certificate holds. It asks the
//! runtime API alone, in one short answer.

use super::CERTIFICATE;
use crate::{
    component::names::{BACKEND, HAPROXY_FRONTEND},
    resource::{Collector, Observation, Probe},
};
use serde::Serialize;

/// The visitors' frontend, the servers behind it, and the end of the certificate that is served; where nothing serves, of
/// the one on disk. Counters go through the socket that takes no orders.
pub static GLANCE: Collector = Collector {
    name: "glance_haproxy",
    volatile: &["front", "server"],
    body: r#"
admin=/run/haproxy/admin.sock questions=/run/haproxy/questions.sock
[ -S "$questions" ] || questions=$admin
[ ! -S "$questions" ] || echo 'show stat -1 7 -1' | socat -t 3 -T 3 - "UNIX-CONNECT:$questions" 2>/dev/null |
awk -F , -v front="$2" -v back="$3" '
  NR == 1 { sub(/^# /, ""); for (n = 1; n <= NF; n++) at[$n] = n; next }
  $at["pxname"] == front && $at["svname"] == "FRONTEND" { print "front\t" $at["scur"] "\t" $at["req_rate"] }
  $at["pxname"] == back && $at["svname"] != "BACKEND" && NF > 1 { print "server\t" $at["svname"] "\t" $at["status"] }'
dates=
[ ! -S "$admin" ] || dates=$(printf 'show ssl cert %s\n' "$1" | socat -t 3 -T 3 - "UNIX-CONNECT:$admin" 2>/dev/null | sed -n 's/^Not \(Before\|After\): */\1=/p' | head -n 2)
[ -n "$dates" ] || dates=$(openssl x509 -noout -dates -in "$1" 2>/dev/null | sed 's/^notBefore=/Before=/; s/^notAfter=/After=/')
second() { date -u -d "$(printf '%s\n' "$dates" | sed -n "s/^$1=//p")" +%s 2>/dev/null; }
[ -z "$dates" ] || ends=$(second After) && begins=$(second Before) && printf 'ends\t%s\t%s\n' "$ends" "$begins"
:"#,
};

/// A server behind a balancer, as the balancer has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Server {
    /// The host.
    pub name: String,
    /// In the balancer's own words: `UP`, `DOWN`, `MAINT`, `UP 1/2`.
    pub status: String,
}

impl Server {
    /// Whether it gets requests.
    pub fn is_up(&self) -> bool {
        self.status.starts_with("UP") || self.status == "no check"
    }

    /// Whether somebody took it out.
    pub fn is_held(&self) -> bool {
        self.status.starts_with("MAINT") || self.status.starts_with("DRAIN")
    }
}

/// A balancer that answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Balancer {
    /// Visitors' connections that are open now.
    pub sessions: u64,
    /// Requests in the last whole second.
    pub requests_per_second: u64,
    /// The servers that it sends them to.
    pub servers: Vec<Server>,
}

/// The question.
pub fn probe() -> Probe {
    Probe::new(&GLANCE, [CERTIFICATE, HAPROXY_FRONTEND, BACKEND])
}

/// What a host's balancer said; nothing where it does not answer.
pub fn balancer(seen: &Observation) -> Option<Balancer> {
    let [sessions, requests, ..] = seen.get(&GLANCE, "front")? else { return None };
    let server = |row: &Vec<String>| match &row[..] {
        [name, status, ..] => Some(Server { name: name.clone(), status: status.clone() }),
        _ => None,
    };
    Some(Balancer {
        sessions: sessions.parse().ok()?,
        requests_per_second: requests.parse().ok()?,
        servers: seen.all(&GLANCE, "server").iter().filter_map(server).collect(),
    })
}

/// When the certificate that it serves ends and begins, in seconds since the epoch.
pub fn certificate_dates(seen: &Observation) -> Option<(i64, i64)> {
    match seen.get(&GLANCE, "ends")? {
        [ends, begins, ..] => Some((ends.parse().ok()?, begins.parse().ok()?)),
        _ => None,
    }
}
