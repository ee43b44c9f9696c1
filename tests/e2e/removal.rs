//! What leaves the topology goes, what foobar never made stays, and a host that is destroyed is what it was before.

use super::world::{HOSTS, Step, World, start, until};
use std::{collections::BTreeSet, time::Duration};

/// What somebody made by hand beside foobar's things, and what shows that it is still there.
const BY_HAND: &str = "grep -q '^keeper:' /etc/passwd || useradd --system keeper; mkdir -p /srv/mine; echo mine >/srv/mine/file; \
    nft list table inet mine >/dev/null 2>&1 || nft add table inet mine; echo mine >/etc/foobar/by-hand; \
    echo '# mine' >/etc/nginx/conf.d/zz-mine.conf";
const STILL_THERE: &str = "grep -c '^keeper:' /etc/passwd; cat /srv/mine/file /etc/foobar/by-hand /etc/nginx/conf.d/zz-mine.conf; nft list table inet mine";
const REMOVE: &str =
    "userdel keeper; rm -rf /srv/mine /etc/foobar/by-hand /etc/nginx/conf.d/zz-mine.conf; nft delete table inet mine";

/// Everything of foobar's that can be seen from outside its own state.
const TRACES: &str = "find /etc /srv /usr/local /usr/sbin/policy-rc.d -iname '*foobar*' ! -path '/etc/foobar/by-hand' 2>/dev/null; \
    [ ! -d /etc/foobar ] || echo /etc/foobar; grep foobar /etc/passwd /etc/group; \
    nft list tables | grep foobar; systemctl list-unit-files --no-legend '*foobar*'; ls -d /var/lib/foobar 2>/dev/null; :";

/// What a host is: files, accounts, units, tables, who listens. Times and what every login changes are left out, and what
/// Debian's own packages leave behind when they are purged.
const STATE: &str = r#"
find /etc -xdev \( -path /etc/ssl/certs -o -path /etc/alternatives -o -path '/etc/rc?.d' \) -prune -o \
  ! -name '*-' ! -path /etc/passwd ! -path /etc/group ! -path /etc/shadow ! -path /etc/gshadow ! -name ld.so.cache ! -name .pwd.lock ! -name .updated ! -name mailcap ! -name subuid ! -name subgid \
  \( -type f -printf '%p %m %u:%g ' -exec sh -c 'sha256sum <"$1"' sh {} \; -o -printf '%p %y %m %u:%g %l\n' \)
systemctl list-unit-files --no-legend --state=enabled | sed 's/ .*//;s/^/enabled /'
systemctl list-units --no-legend --plain --type=service --state=running | sed 's/ .*//;s/^/running /' | grep -v 'user@\|session'
nft list tables
sed 's/^/account /;s/:.*//' /etc/passwd
sed 's/^/group /;s/:.*//' /etc/group
ss -Hltn | sed 's/  */ /g' | cut -d ' ' -f 4 | sort -u | sed 's/^/listens /'
ls -A /srv /opt /usr/local/bin
"#;

fn client(w: &World) -> &'static str {
    if w.engine() == "mysql" { "mysql" } else { "mariadb" }
}

fn unit(w: &World) -> &'static str {
    if w.engine() == "mysql" { "mysql.service" } else { "mariadb.service" }
}

/// The steps that take something away.
fn removals(steps: &[Step]) -> Vec<&Step> {
    steps.iter().filter(|s| s.json["action"] == "delete").collect()
}

/// The summaries of a plan's removals on a host.
fn gone(steps: &[Step], host: &str) -> Vec<String> {
    removals(steps).into_iter().filter(|s| s.host == host).map(|s| s.summary.clone()).collect()
}

fn accounts(w: &World, host: &str) -> String {
    w.on(host, &format!("{} -NBe \"SELECT user FROM mysql.user WHERE host='%' ORDER BY user\"", client(w)))
}

/// A database account, a path and an alias leave; what was made by hand beside them does not.
pub fn what_left_the_topology_goes_and_nothing_else(w: &mut World) {
    w.converge();
    // The topology of another site, by mistake: it would take all of this one's away.
    w.topology = w.original().replace("www.foobar.com", "www.example.com").replace("[foobar.com]", "[example.com]");
    for words in [&["plan"][..], &["apply", "--yes"], &["destroy", "--yes-destroy", "www.example.com"]] {
        w.foobar(words).ends(1).says(&["web-01", "it serves www.foobar.com"]);
    }
    w.topology = w.original();

    let sql = client(w);
    for host in ["web-01", "web-02"] {
        w.on(host, BY_HAND);
    }
    w.on(
        "web-01",
        &format!("{sql} -e \"CREATE DATABASE IF NOT EXISTS mine; CREATE TABLE IF NOT EXISTS mine.t (n INT); CREATE USER IF NOT EXISTS 'mine'@'%' IDENTIFIED BY 'by-hand-1'\""),
    );
    w.is_converged();
    w.topology = w
        .original()
        .replace("  migrate: python3 migrate.py\n", "")
        .replace("  static: { /assets: public }\n", "")
        .replace("aliases: [foobar.com]\n", "");
    assert_ne!(w.topology, w.original());
    let steps = w.plan(&[]);
    assert_eq!(gone(&steps, "web-01"), ["drop database account app_migrate", "forget mysql-app-migrate"], "{steps:#?}");
    assert_eq!(gone(&steps, "web-02"), ["forget mysql-app-migrate"], "{steps:#?}");
    assert_eq!(gone(&steps, "lb-01"), Vec::<String>::new(), "{steps:#?}");
    // Everything that is made or changed comes before what is taken away.
    let last = steps.iter().rposition(|s| s.json["action"] != "delete").unwrap();
    assert!(steps[..last].iter().all(|s| s.json["action"] != "delete"), "{steps:#?}");
    w.foobar(&["plan", "--summary"]).ends(0).says(&["- drop database account app_migrate", "3 to remove"]);
    w.foobar(&["plan", "--summary", "--limit", "lb-01"]).ends(0).says(&["web-01: drop database account app_migrate"]);
    w.apply(&[]);
    w.is_converged();
    assert!(!accounts(w, "web-01").contains("app_migrate"), "{}", accounts(w, "web-01"));
    assert!(until(Duration::from_secs(20), || !accounts(w, "web-02").contains("app_migrate")));
    w.on(
        "web-01",
        "! grep -r assets /etc/nginx/conf.d/foobar.conf && [ ! -e /var/lib/foobar/secrets/mysql-app-migrate ]",
    );
    assert!(accounts(w, "web-01").contains("mine") && accounts(w, "web-01").contains("app_rw"));
    w.on("web-01", &format!("{sql} -NBe 'SELECT COUNT(*) FROM mine.t'"));
    for host in ["web-01", "web-02"] {
        w.on(host, STILL_THERE);
    }

    w.topology = w.original();
    w.apply(&[]);
    w.is_converged();
    assert!(accounts(w, "web-01").contains("app_migrate"));
    w.foobar(&["verify"]).ends(0);
    w.on("web-01", &format!("{REMOVE}; {sql} -e \"DROP DATABASE mine; DROP USER 'mine'@'%'\""));
    w.on("web-02", REMOVE);
}

/// A host is no web server any more, and then one again; the site is served all the time.
pub fn a_role_leaves_a_host_and_comes_back(w: &mut World) {
    w.converge();
    w.authority();
    w.on("web-02", BY_HAND);
    w.topology = w.original().replace("on: [web-01, web-02]", "on: [web-01]");
    let steps = w.plan(&[]);
    let all = gone(&steps, "web-02");
    for summary in [
        "stop and disable nginx",
        "stop and disable foobar-app",
        "remove nginx configuration",
        "remove system account foobar-app",
    ] {
        assert!(all.iter().any(|s| s == summary), "{summary}: {all:#?}");
    }
    assert!(gone(&steps, "web-01").is_empty() && gone(&steps, "lb-01").is_empty(), "{steps:#?}");
    // The balancer forgets it before it stops.
    let at = |resource: &str, host: &str| steps.iter().position(|s| s.resource == resource && s.host == host).unwrap();
    assert!(at("service haproxy.service", "lb-01") < at("service nginx.service", "web-02"));
    let words = ["apply", "--yes"];
    let started = start(w.command(&words), &w.dir, "leaves");
    let mut asked = 0;
    until(Duration::from_secs(60), || {
        w.get("/healthz");
        asked += 1;
        w.lab.exec("web-02", "[ ! -e /srv/foobar/releases ]").is_ok_and(|o| o.ok())
    });
    w.finish(&words, started).ends(0);
    assert!(asked > 2, "the site was asked {asked} times");
    w.is_converged();
    let said = w.on(
        "web-02",
        "systemctl is-active nginx foobar-app; systemctl is-enabled nginx; ls -d /srv/foobar /etc/nginx/conf.d/foobar.conf /etc/systemd/system/nginx.service.d \
         /etc/systemd/system/foobar-app.service /etc/foobar/app.env 2>/dev/null; grep foobar-app /etc/passwd; dpkg --verify nginx nginx-common; ls /etc/nginx/sites-enabled",
    );
    assert_eq!(said, "inactive\ninactive\ndisabled\ndefault\n");
    w.on("web-02", STILL_THERE);
    w.on("web-02", &format!("systemctl is-active {} && command -v nginx", unit(w)));
    w.get("/healthz");
    w.foobar(&["verify"]).ends(0);

    // Packages stay until they are asked for.
    let purge = w.plan(&["--purge"]);
    let all = gone(&purge, "web-02");
    assert!(all.len() == 1 && all[0].starts_with("purge ") && all[0].contains("nginx"), "{purge:#?}");

    w.converge();
    w.on("web-02", "systemctl is-active nginx foobar-app");
    w.on("web-02", STILL_THERE);
    w.foobar(&["verify"]).ends(0);
    w.on("web-02", REMOVE);
}

/// The site lives without a database for a while; when it has one again, the rows are there.
pub fn the_database_leaves_and_comes_back_with_its_data(w: &mut World) {
    w.converge();
    let (sql, unit) = (client(w), unit(w));
    w.on("web-01", &format!("{sql} foobar -e \"INSERT INTO entries (name, message, web) VALUES ('Kept', 'through the winter', 'web-01')\""));
    let original = w.original();
    let (rest, _) = original.split_once("\nmysql:").unwrap();
    w.topology = rest
        .replace("  migrate: python3 migrate.py\n", "")
        .replace("  canary: { write: /sign, field: message, read: / }\n", "");
    let steps = w.plan(&[]);
    let server = format!("stop and disable {}", unit.trim_end_matches(".service"));
    for host in ["web-01", "web-02"] {
        assert!(gone(&steps, host).contains(&server), "{steps:#?}");
    }
    w.foobar(&["plan"]).ends(0).says(&["its data stays in /var/lib/mysql"]);
    w.apply(&[]);
    w.is_converged();
    for host in ["web-01", "web-02"] {
        let state = w.on(host, &format!("systemctl is-active {unit}; systemctl is-enabled {unit}; ls -d /var/lib/mysql/foobar /etc/mysql/foobar 2>/dev/null; :"));
        assert_eq!(state, "inactive\ndisabled\n/var/lib/mysql/foobar\n", "{host}");
    }
    w.foobar(&["verify"]).ends(0);

    w.topology = w.original();
    w.apply(&[]);
    w.is_converged();
    let kept = |host: &str| {
        w.on(host, &format!("{sql} -NBe \"SELECT COUNT(*) FROM foobar.entries WHERE name='Kept'\"")).trim() == "1"
    };
    assert!(kept("web-01") && kept("web-02"));
    // What is written now arrives too: the replica goes on where it stopped, and was not copied anew.
    w.on("web-01", &format!("{sql} foobar -e \"DELETE FROM entries WHERE name='Kept'\""));
    assert!(until(Duration::from_secs(20), || !kept("web-02")), "the replica does not follow");
    w.foobar(&["verify"]).ends(0);
}

/// The balancer moves to another host in one apply, and everyone who trusts the site goes on trusting it.
pub fn the_balancer_moves_to_another_host(w: &mut World) {
    w.converge();
    let trusted = std::fs::read(w.authority()).unwrap();
    w.topology = w.original().replace("on: [lb-01]", "on: [web-01]").replace("on: [web-01, web-02]", "on: [web-02]");
    let steps = w.plan(&[]);
    // nginx makes room for haproxy on the same host, and right before it.
    let at = |resource: &str, host: &str| steps.iter().position(|s| s.resource == resource && s.host == host).unwrap();
    assert_eq!(at("service nginx.service", "web-01") + 1, at("service haproxy.service", "web-01"), "{steps:#?}");
    assert!(at("service haproxy.service", "web-01") < at("service haproxy.service", "lb-01"));
    w.apply(&[]);
    w.is_converged();
    assert_eq!(
        w.on("lb-01", "systemctl is-active haproxy; ls -d /etc/haproxy/certs 2>/dev/null; dpkg --verify haproxy"),
        "inactive\n"
    );
    assert_eq!(w.on("lb-01", "ls /var/lib/foobar/secrets").trim(), "fingerprint-key");
    assert_eq!(std::fs::read(w.authority()).unwrap(), trusted, "another authority");
    w.foobar(&["verify"]).ends(0);
    w.converge();
    assert_eq!(std::fs::read(w.authority()).unwrap(), trusted, "another authority");
    w.foobar(&["verify"]).ends(0);
}

/// Ends every shell that holds the lock there, as a power cut would.
const CUT: &str = "for fd in /proc/[0-9]*/fd/9; do case $(readlink $fd) in /var/lib/foobar/lock*) p=${fd#/proc/}; kill -9 ${p%%/*} ;; esac; done; :";

/// Cut off at any point of a removal, and of the way back, the next run ends where the first would have.
pub fn a_removal_is_cut_off(w: &mut World) {
    w.converge();
    let without = w.original().replace("on: [web-01, web-02]", "on: [web-01]");
    for (topology, moment) in [
        (without.clone(), "! systemctl is-active -q nginx"),
        (w.original(), "[ -e /srv/foobar/releases ]"),
        (without.clone(), "[ ! -e /etc/nginx/conf.d/foobar.conf ]"),
        (w.original(), "[ -e /etc/nginx/conf.d/foobar.conf ]"),
        (without, "[ ! -e /srv/foobar/current ]"),
    ] {
        w.topology = topology;
        let words = ["apply", "--yes"];
        let mut started = start(w.command(&words), &w.dir, "cut");
        until(Duration::from_secs(100), || w.lab.exec("web-02", moment).is_ok_and(|o| o.ok()));
        started.kill();
        for host in HOSTS {
            w.on(host, CUT);
        }
        w.finish(&words, started);
        w.apply(&[]);
        w.is_converged();
    }
    w.converge();
    w.foobar(&["verify"]).ends(0);
}

/// Hosts that an older foobar converged get their registry by a step that nobody feels, and then lose what leaves as any do.
pub fn what_an_older_foobar_made_is_noted(w: &mut World) {
    w.converge();
    for host in HOSTS {
        w.on(host, "rm -rf /var/lib/foobar/owned /var/lib/foobar/originals");
    }
    w.foobar(&["destroy", "--yes-destroy", "www.foobar.com"])
        .ends(1)
        .says(&["did not note what it made", "foobar apply"]);
    let steps = w.plan(&[]);
    assert!(steps.len() == 3 && steps.iter().all(|s| s.resource == "owned registry"), "{steps:#?}");
    w.foobar(&["plan"]).ends(0).says(&["impact: none", "an older foobar made it"]);
    w.apply(&[]);
    w.is_converged();
    w.topology = w.original().replace("on: [web-01, web-02]", "on: [web-01]");
    w.apply(&[]);
    w.is_converged();
    w.on(
        "web-02",
        "! systemctl is-active -q nginx && [ ! -e /etc/nginx/conf.d/foobar.conf ] && [ ! -e /etc/systemd/system/nginx.service.d ] && ! grep foobar-app /etc/passwd",
    );
    w.converge();
    w.foobar(&["verify"]).ends(0);
}

/// Nothing of foobar's is left, the data is, and a fresh apply finds it.
pub fn destroy_takes_everything_but_the_data(w: &mut World) {
    w.converge();
    let sql = client(w);
    w.on(
        "web-01",
        &format!(
            "{sql} foobar -e \"INSERT INTO entries (name, message, web) VALUES ('Survivor', 'of a destroy', 'web-01')\""
        ),
    );
    w.foobar(&["destroy"]).ends(64).says(&[
        "- stop and disable haproxy",
        "--yes-destroy www.foobar.com",
        "nothing was changed",
    ]);
    w.foobar(&["destroy", "--yes-destroy", "www.example.com"]).ends(64).says(&["this is www.foobar.com"]);
    w.is_converged();
    w.foobar(&["destroy", "--yes-destroy", "www.foobar.com"])
        .ends(0)
        .says(&["the database's data stays in /var/lib/mysql", "packages stay"]);
    for host in HOSTS {
        assert_eq!(w.on(host, TRACES), "", "{host}");
        assert_eq!(w.on(host, "ss -Hltn | grep -v ':22 ' || :"), "", "{host}");
        assert_eq!(
            w.on(host, "dpkg --verify haproxy nginx nginx-common nftables mariadb-server mysql-server 2>/dev/null; :"),
            "",
            "{host}"
        );
    }
    w.on("web-01", "[ -d /var/lib/mysql/foobar ]");
    w.foobar(&["destroy", "--yes-destroy", "www.foobar.com"]).ends(0).says(&["Nothing of foobar's is on these hosts"]);

    w.topology = w.original();
    w.apply(&[]);
    w.is_converged();
    for host in ["web-01", "web-02"] {
        let rows = w.on(host, &format!("{sql} -NBe \"SELECT COUNT(*) FROM foobar.entries WHERE name='Survivor'\""));
        assert_eq!(rows.trim(), "1", "{host}");
    }
    w.authority();
    w.foobar(&["verify"]).ends(0);
}

/// MySQL's package makes its data directory in a way that fails now and then, and fails forever on what that leaves.
const FAILS_ONCE: &str = "dpkg-divert --quiet --local --rename --add --divert /usr/sbin/mysqld.real /usr/sbin/mysqld; \
     { echo '#!/bin/sh'; \
       echo 'case \"$*\" in *--initialize-insecure*) [ -e /run/e2e-failed ] || { mysqld.real \"$@\"; touch /run/e2e-failed; exit 1; };; esac'; \
       echo 'exec /usr/sbin/mysqld.real \"$@\"'; } >/usr/sbin/mysqld; chmod 755 /usr/sbin/mysqld";

/// On hosts where others were first: destroyed with all that came along, they are what they were.
pub fn a_destroyed_host_is_what_it_was(w: &mut World) {
    for host in HOSTS {
        w.lab.reset_host(host).unwrap();
    }
    w.cold();
    w.topology = w.original();
    // A web server of somebody's own, with a page of its own, that runs already.
    w.on(
        "web-01",
        "export DEBIAN_FRONTEND=noninteractive; apt-get update -q >/dev/null && apt-get install -q -y --no-install-recommends nginx >/dev/null 2>&1; \
         echo '# by hand' >>/etc/nginx/nginx.conf; echo 'here before' >/var/www/html/index.html; \
         printf 'server { listen 8081; return 200 mine; }\\n' >/etc/nginx/conf.d/mine.conf; systemctl restart nginx; useradd --system keeper; nft add table inet mine",
    );
    let before: Vec<BTreeSet<String>> = HOSTS.iter().map(|host| lines(w, host)).collect();
    if w.engine() == "mysql" {
        w.on("web-02", FAILS_ONCE);
    }
    w.apply(&[]);
    if w.engine() == "mysql" {
        w.on("web-02", "[ -e /run/e2e-failed ]; rm /usr/sbin/mysqld; dpkg-divert --quiet --local --rename --remove /usr/sbin/mysqld");
    }
    w.is_converged();
    w.on("web-01", "[ -e /var/lib/foobar/originals/etc/nginx/sites-enabled/default ] || [ -L /var/lib/foobar/originals/etc/nginx/sites-enabled/default ]");
    let run = w.foobar(&["destroy", "--purge", "--databases", "--yes-destroy", "www.foobar.com"]);
    run.ends(0);
    let mut wrong = Vec::new();
    for (host, before) in HOSTS.iter().zip(before) {
        let after = lines(w, host);
        wrong.extend(before.difference(&after).map(|l| format!("{host}: - {l}")));
        wrong.extend(after.difference(&before).map(|l| format!("{host}: + {l}")));
        // The packages of MySQL, and of MariaDB in Debian 12, keep their account and their own configuration where the data is
        // a mount, as it is here.
        let packages = |l: &String| {
            w.suite != foobar::lab::Suite::Trixie
                && [" account mysql", " group mysql", " /etc/mysql"].iter().any(|p| l.contains(p))
        };
        wrong.retain(|l| !packages(l));
        wrong.extend(w.on(host, TRACES).lines().map(|l| format!("{host}: trace {l}")));
    }
    assert!(wrong.is_empty(), "{}\n{run}", wrong.join("\n"));
    assert_eq!(w.on("web-01", "ls -A /var/lib/mysql 2>/dev/null; :"), "");
    let page = w.client(&["curl", "-sS", &format!("http://{}/", w.lab.address("web-01").unwrap())]);
    assert_eq!(page.stdout, "here before\n", "{}", page.stderr);
    // And on from there.
    w.apply(&[]);
    w.is_converged();
    w.authority();
    // What somebody has there beside is let be, and named.
    let run = w.foobar(&["verify"]);
    run.ends(3).says(&["nginx on tcp 8081: stop it"]);
    assert_eq!(run.stdout.matches("✗ ").count(), 1, "{run}");
    w.on("web-01", "rm /etc/nginx/conf.d/mine.conf; systemctl reload nginx; nft delete table inet mine");
    assert!(until(Duration::from_secs(30), || w.foobar(&["verify"]).code == 0), "{}", w.said.last().unwrap());
}

fn lines(w: &World, host: &str) -> BTreeSet<String> {
    w.on(host, STATE).lines().map(str::to_owned).collect()
}
