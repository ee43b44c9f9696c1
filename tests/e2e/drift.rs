//! What somebody changed by hand on a host: the plan names exactly that, apply mends it, and then there is nothing left.

use super::world::{HOSTS, Step, World, until};
use std::{collections::BTreeMap, time::Duration};

/// A change made by hand.
struct Drift {
    what: &'static str,
    host: &'static str,
    script: &'static str,
    /// The kind that the plan gives it.
    kind: &'static str,
    /// Resources that the plan must name, as the beginnings of their names.
    named: &'static [&'static str],
    /// Those that it may name besides, as a consequence.
    also: &'static [&'static str],
}

const HAPROXY: &str = "service haproxy.service";
const NGINX: &str = "service nginx.service";
const APP: &str = "service foobar-app.service";

const WEB: &[Drift] = &[
    Drift {
        what: "a configuration edited",
        host: "lb-01",
        script: "sed -i 's/timeout connect .*/timeout connect 77s/' /etc/haproxy/haproxy.cfg",
        kind: "edited",
        named: &["files haproxy"],
        also: &[HAPROXY],
    },
    Drift {
        what: "haproxy runs an older configuration than its file",
        host: "lb-01",
        script: "cd /etc/haproxy; cp -p haproxy.cfg /run/kept.cfg; sed -i 's/timeout connect .*/timeout connect 77s/' haproxy.cfg; \
                 systemctl reload haproxy; cat /run/kept.cfg >haproxy.cfg",
        kind: "outdated",
        named: &[HAPROXY],
        also: &[],
    },
    Drift {
        what: "a backend taken out at the balancer",
        host: "lb-01",
        script: "echo 'set server web/web-02 state drain' | socat - UNIX-CONNECT:/run/haproxy/admin.sock",
        kind: "taken-out",
        named: &["traffic web/web-02"],
        also: &[],
    },
    Drift {
        what: "a service stopped",
        host: "web-01",
        script: "systemctl stop nginx",
        kind: "stopped",
        named: &[NGINX],
        also: &[],
    },
    Drift {
        what: "a service disabled",
        host: "web-02",
        script: "systemctl -q disable foobar-app 2>/dev/null",
        kind: "disabled",
        named: &[APP],
        also: &[],
    },
    Drift {
        what: "the firewall's table taken away",
        host: "web-02",
        script: "nft delete table inet foobar",
        kind: "firewall",
        named: &["firewall inet foobar"],
        also: &[],
    },
    Drift {
        what: "a rule added to the firewall by hand",
        host: "lb-01",
        script: "nft insert rule inet foobar input tcp dport 9999 accept",
        kind: "firewall",
        named: &["firewall inet foobar"],
        also: &[],
    },
    Drift {
        what: "a file of secrets opened to all",
        host: "web-01",
        script: "chmod 644 /etc/foobar/app.env",
        kind: "permissions",
        named: &["files app"],
        also: &[APP],
    },
    Drift {
        what: "a file removed",
        host: "web-02",
        script: "rm /etc/nginx/conf.d/foobar.conf",
        kind: "removed",
        named: &["files nginx"],
        also: &[NGINX],
    },
    Drift {
        what: "a file given to another owner",
        host: "web-01",
        script: "chown nobody /etc/nginx/conf.d/foobar.conf",
        kind: "permissions",
        named: &["files nginx"],
        also: &[NGINX],
    },
    Drift {
        what: "a directory opened to all",
        host: "lb-01",
        script: "chmod 777 /etc/haproxy/certs",
        kind: "permissions",
        named: &["files haproxy"],
        also: &[],
    },
    Drift {
        what: "the firewall's file edited",
        host: "web-01",
        script: "sed -i '1s/^/# mine\\n/' /etc/foobar/firewall.nft",
        kind: "edited",
        named: &["firewall inet foobar"],
        also: &[],
    },
    Drift {
        what: "another certificate put into the balancer at run time",
        host: "lb-01",
        script: "cd /run && openssl req -x509 -newkey rsa:2048 -nodes -keyout o.key -out o.crt -days 9 -subj /CN=o 2>/dev/null; \
                 { echo 'set ssl cert /etc/haproxy/certs/site.pem <<'; cat o.crt o.key; echo; } | socat - UNIX-CONNECT:/run/haproxy/admin.sock; \
                 echo 'commit ssl cert /etc/haproxy/certs/site.pem' | socat - UNIX-CONNECT:/run/haproxy/admin.sock | grep -q Success",
        kind: "certificate",
        named: &[HAPROXY],
        also: &[],
    },
];

const DATABASE: &[Drift] = &[
    Drift {
        what: "the replica made writable",
        host: "web-02",
        script: "$SQL -e 'SET GLOBAL read_only = OFF'",
        kind: "variable",
        named: &["database role"],
        also: &[],
    },
    Drift {
        what: "replication stopped",
        host: "web-02",
        script: "$SQL -e 'STOP REPLICA'",
        kind: "stopped",
        named: &["replication"],
        also: &[],
    },
    Drift {
        what: "the replica no longer says that it has received a write",
        host: "web-02",
        script: "$SQL -e 'SET GLOBAL $DEAF = OFF; STOP REPLICA; START REPLICA'",
        kind: "variable",
        named: &["replication source"],
        also: &[],
    },
    Drift {
        what: "the primary no longer waits for a replica",
        host: "web-01",
        script: "$SQL -e 'SET GLOBAL $WAIT = OFF'",
        kind: "variable",
        named: &["replication acknowledgement"],
        also: &[],
    },
    Drift {
        what: "an account's password changed",
        host: "web-01",
        script: "u=$($SQL -NBe \"SELECT QUOTE(user), QUOTE(host) FROM mysql.user WHERE user = 'app_rw' LIMIT 1\" | tr '\\t' '@'); \
                 $SQL -e \"ALTER USER $u IDENTIFIED BY 'somebody-elses-1'\"",
        kind: "account",
        named: &["database"],
        also: &[],
    },
    Drift {
        what: "a right taken from an account",
        host: "web-01",
        script: "u=$($SQL -NBe \"SELECT QUOTE(user), QUOTE(host) FROM mysql.user WHERE user = 'app_ro' LIMIT 1\" | tr '\\t' '@'); \
                 $SQL -e \"REVOKE SELECT ON foobar.* FROM $u\"",
        kind: "account",
        named: &["database"],
        also: &[],
    },
    Drift {
        what: "variables of the primary set",
        host: "web-01",
        script: "$SQL -e 'SET GLOBAL max_connections = 77; SET GLOBAL sync_binlog = 0'",
        kind: "variable",
        named: &["database variables"],
        also: &[],
    },
    Drift {
        what: "variables of the replica set",
        host: "web-02",
        script: "$SQL -e 'SET GLOBAL local_infile = ON; SET GLOBAL innodb_flush_log_at_trx_commit = 2'",
        kind: "variable",
        named: &["database variables"],
        also: &[],
    },
    Drift {
        what: "the primary restarted",
        host: "web-01",
        script: "systemctl restart $SQL",
        kind: "restarted",
        named: &["database role", "replication acknowledgement"],
        also: &[],
    },
    Drift {
        what: "a server's file edited",
        host: "web-02",
        script: "sed -i 's/^max_connections.*/max_connections = 99/' /etc/mysql/*/*foobar.cnf",
        kind: "edited",
        named: &["files database configuration"],
        also: &["service $SQL.service"],
    },
];

/// What MySQL alone can be told.
const MYSQL: &[Drift] = &[
    Drift {
        what: "a variable set for all starts to come",
        host: "web-01",
        script: "$SQL -e 'SET PERSIST max_connections = 77'",
        kind: "variable",
        named: &["database variables"],
        also: &[],
    },
    Drift {
        what: "another certificate than the one on disk",
        host: "web-02",
        script: "cd /var/lib/mysql && $SQL -e 'SET GLOBAL ssl_ca=\"ca.pem\"; SET GLOBAL ssl_cert=\"server-cert.pem\"; SET GLOBAL ssl_key=\"server-key.pem\"; \
                 ALTER INSTANCE RELOAD TLS'",
        kind: "certificate",
        named: &["service mysql.service"],
        also: &[],
    },
];

/// Files, services and firewalls.
pub fn what_was_changed_by_hand_is_named_and_mended(w: &mut World) {
    all(w, WEB);
}

/// The database: what only runs, and stands in no file.
pub fn the_database_too(w: &mut World) {
    all(w, DATABASE);
    if w.engine() == "mysql" {
        all(w, MYSQL);
    }
}

fn all(w: &mut World, drifts: &[Drift]) {
    w.converge();
    // One shell for both: MySQL's own client, or MariaDB's.
    let sql = if w.engine() == "mysql" { "mysql" } else { "mariadb" };
    let (deaf, wait) = match sql {
        "mysql" => ("rpl_semi_sync_replica_enabled", "rpl_semi_sync_source_enabled"),
        _ => ("rpl_semi_sync_slave_enabled", "rpl_semi_sync_master_enabled"),
    };
    let mut wrong = Vec::new();
    for drift in drifts {
        let script = drift.script.replace("$SQL", sql).replace("$DEAF", deaf).replace("$WAIT", wait);
        w.on(drift.host, &script);
        let steps = w.plan(&[]);
        if let Some(why) = misnamed(drift, &steps, sql) {
            wrong.push(format!("{}: {why}\n{steps:#?}", drift.what));
        }
        let run = w.foobar(&["apply", "--yes"]);
        if run.code != 0 {
            wrong.push(format!("{}: not mended: {run}", drift.what));
            w.mend();
            w.converge();
            continue;
        }
        let left = w.plan(&[]);
        if !left.is_empty() {
            wrong.push(format!("{}: still there after apply: {left:#?}", drift.what));
        }
    }
    assert!(wrong.is_empty(), "{} of {} drifts:\n{}", wrong.len(), drifts.len(), wrong.join("\n"));
    w.foobar(&["verify"]).ends(0);
}

/// What is wrong with a plan that should name this drift, by its kind, and nothing else.
fn misnamed(drift: &Drift, steps: &[Step], sql: &str) -> Option<String> {
    // A restart is made while the host is out of service: what takes it out and puts it back belongs to it; or what looks at
    // it where it stays, as long as the one that was mended before is not counted in again.
    let around = ["drain", "traffic", "check"].map(|kind| format!("{kind} web/{}", drift.host));
    let steps: Vec<&Step> = steps.iter().filter(|s| !around.contains(&s.resource)).collect();
    if let Some(other) = steps.iter().find(|s| s.host != drift.host) {
        return Some(format!("{} is named, where nothing was changed", other.host));
    }
    let is = |step: &Step, names: &[&str]| names.iter().any(|n| step.resource.starts_with(&n.replace("$SQL", sql)));
    if let Some(missing) = drift.named.iter().find(|n| !steps.iter().any(|s| s.resource.starts_with(*n))) {
        return Some(format!("no step of {missing:?} is planned"));
    }
    let kind = |step: &Step| step.json["drift"].as_str().unwrap_or("none").to_owned();
    if let Some(other) = steps.iter().find(|s| is(s, drift.named) && kind(s) != drift.kind) {
        return Some(format!("{:?} is said to be {:?}, not {:?}", other.resource, kind(other), drift.kind));
    }
    // What only follows from it has no kind of its own.
    if let Some(other) = steps.iter().find(|s| is(s, drift.also) && kind(s) != "none") {
        return Some(format!("{:?} is said to be {:?} too", other.resource, kind(other)));
    }
    let strange = steps.iter().find(|s| !is(s, drift.named) && !is(s, drift.also))?;
    Some(format!("{:?} is named too", strange.resource))
}

/// One word in the topology is one line in the plan and a reload, and requests go another way.
pub fn another_algorithm_spreads_requests_another_way(w: &mut World) {
    w.converge();
    w.authority();
    let even = spread(w, 12);
    assert_eq!(even, [("web-01".into(), 6), ("web-02".into(), 6)].into(), "round-robin");

    w.topology = w.original().replace("round-robin", "least-connections");
    let steps = w.plan(&[]);
    assert!(steps.iter().all(|s| s.host == "lb-01"), "{steps:#?}");
    assert!(steps.iter().all(|s| s.json["drift"].is_null()), "the topology is no drift: {steps:#?}");
    let files: Vec<&Step> = steps.iter().filter(|s| s.resource.starts_with("files")).collect();
    assert_eq!(files.len(), 1, "{steps:#?}");
    assert_eq!(changed(files[0]), ["- balance roundrobin", "+ balance leastconn"]);
    let reload = steps.iter().find(|s| s.resource == HAPROXY).expect("a reload stands in the plan");
    assert_eq!((reload.json["impact"].as_str(), steps.len()), (Some("reload"), 2), "{steps:#?}");
    w.foobar(&["plan"]).ends(0).says(&["balance roundrobin", "balance leastconn", "impact: reload"]);
    let before = workers(w);
    w.apply(&[]);
    w.is_converged();
    assert_eq!(workers(w), before, "a reload keeps the master process");
    w.foobar(&["verify"]).ends(0);

    // Edited by hand and changed by the topology: both are said.
    w.on("lb-01", "sed -i 's/timeout connect .*/timeout connect 77s/' /etc/haproxy/haproxy.cfg");
    w.topology = w.original().replace("round-robin", "ip-hash");
    w.foobar(&["plan"]).ends(0).says(&["edited by hand, and the topology has changed too", "(edited by hand)"]);
    w.apply(&[]);
    let stuck = spread(w, 12);
    assert_eq!(stuck.len(), 1, "one client is always sent to one server: {stuck:?}");
    w.foobar(&["verify"]).ends(0);

    w.converge();
    assert_eq!(spread(w, 12).len(), 2);
}

/// How many of so many requests each web server answered, once both are in use again or may not be.
fn spread(w: &World, requests: usize) -> BTreeMap<String, usize> {
    let count = || {
        let mut counts = BTreeMap::new();
        for _ in 0..requests {
            let answer: serde_json::Value = serde_json::from_str(&w.get("/healthz")).unwrap_or_default();
            *counts.entry(answer["host"].as_str().unwrap_or("nobody").to_owned()).or_default() += 1;
        }
        counts
    };
    let mut seen = count();
    // Health checks count a server in only after a reload has settled.
    until(Duration::from_secs(10), || {
        let again = count();
        let settled = again == seen;
        seen = again;
        settled
    });
    assert!(seen.keys().all(|host| HOSTS.contains(&host.as_str())), "{seen:?}");
    seen
}

/// The process that outlives reloads.
fn workers(w: &World) -> String {
    w.on("lb-01", "systemctl show --value -p MainPID haproxy")
}

/// Lines that differ in the one file of a step, without the one that holds the digest of all the others.
fn changed(step: &Step) -> Vec<String> {
    let diffs = step.json["diffs"].as_array().cloned().unwrap_or_default();
    assert_eq!(diffs.len(), 1, "{step:#?}");
    let lines = |key: &str| -> Vec<String> {
        diffs[0][key].as_str().unwrap_or_default().lines().map(|l| l.trim().to_owned()).collect()
    };
    let (before, after) = (lines("before"), lines("after"));
    let is_digest = |l: &&String| l.contains("/.foobar/generation");
    let only = |of: &[String], other: &[String], sign: &str| -> Vec<String> {
        of.iter().filter(|l| !other.contains(l)).filter(|l| !is_digest(l)).map(|l| format!("{sign} {l}")).collect()
    };
    [only(&before, &after, "-"), only(&after, &before, "+")].concat()
}
