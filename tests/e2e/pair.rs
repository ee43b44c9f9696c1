//! Two balancers that stand in for each other, on hosts of their own: one dies in every way there is, while a visitor never
//! stops asking; its address moves, requests go on, and when it is back one of them alone has the address.

use super::{
    load::Load,
    world::{World, until},
};
use foobar::lab::{self, Lab};
use std::{
    collections::BTreeMap,
    fs,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    path::PathBuf,
    thread::JoinHandle,
    time::{Duration, Instant},
};

pub const BALANCERS: [&str; 2] = ["lb-01", "lb-02"];

/// What an address may be away for: the bound that foobar is made to.
pub const MOST: f64 = 4.0;

const TOPOLOGY: &str = "\
site: www.foobar.com
aliases: [foobar.com]

hosts:
  lb-01:  { address: 192.0.2.11 }
  lb-02:  { address: 192.0.2.12 }
  web-01: { address: 192.0.2.21 }
  web-02: { address: 192.0.2.22 }

haproxy:
  on: [lb-01, lb-02]
  redundancy: { mode: active-passive, virtual_addresses: [SUBNET.100] }
  health: { interval: 1s }

nginx:
  on: [web-01, web-02]

app:
  on: [web-01, web-02]
  source: ./small
  packages: [gunicorn]
  run: gunicorn --bind $LISTEN --workers 2 --threads 4 wsgi:app
  env: { GREETING: Welcome }
  secrets: { SESSION_KEY: { env: E2E_SESSION_KEY }, MADE: generate }
";

/// An application without a database: the balancers are what is looked at.
const APP: &str = "\
import os, time

def app(environ, start):
    environ['wsgi.input'].read()
    time.sleep(0.01)
    start('200 OK', [('Content-Type', 'text/plain')])
    return [os.environ['HOST'].encode()]
";

/// Runs a case on the hosts, which stay for the next one, unless it fails; all that was said is kept either way.
pub fn with(w: &mut World, case: impl FnOnce(&mut World)) {
    let mut pair = made(w);
    let ended = catch_unwind(AssertUnwindSafe(|| {
        pair.converge();
        pair.authority();
        case(&mut pair);
    }));
    w.said.append(&mut pair.said);
    match ended {
        Ok(()) => w.pair = Some(Box::new(pair)),
        Err(panic) => {
            pair.end();
            resume_unwind(panic);
        }
    }
}

/// The hosts, made the first time that they are asked for.
fn made(w: &mut World) -> World {
    if let Some(pair) = w.pair.take() {
        return *pair;
    }
    let hosts = [("lb-01", 11), ("lb-02", 12), ("web-01", 21), ("web-02", 22)];
    let pair = World::of(w.suite, "-pair", &hosts, TOPOLOGY);
    fs::create_dir_all(pair.dir.join("small")).unwrap();
    fs::write(pair.dir.join("small/wsgi.py"), APP).unwrap();
    pair
}

/// Where an address is, asked of every balancer but these.
pub fn holders(w: &World, address: &str, but: &[&str]) -> Vec<&'static str> {
    let holds =
        |host: &&&str| w.lab.exec(host, &format!("ip -o -4 addr show | grep -qF ' {address}/'")).is_ok_and(|o| o.ok());
    BALANCERS.iter().filter(|b| !but.contains(b)).filter(holds).copied().collect()
}

fn other(host: &str) -> &'static str {
    if host == BALANCERS[0] { BALANCERS[1] } else { BALANCERS[0] }
}

/// A visitor who asks an address again and again, over a new connection each time.
pub struct Visitor {
    dir: PathBuf,
    thread: Option<JoinHandle<()>>,
}

impl Visitor {
    pub fn start(w: &World, address: &str) -> Self {
        let dir = w.dir.join(format!("visitor-{address}"));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).unwrap();
        let (at, ca, name) =
            (dir.display().to_string(), w.dir.join("ca.crt").display().to_string(), w.lab.status().name);
        // A request that has no answer in time is given up at once, so that the next one tells when the address is back.
        let ask = format!(
            "curl -s -o /dev/null --connect-timeout 0.25 --max-time 1 --cacert {ca} --resolve www.foobar.com:443:{address} \
             -w '%{{http_code}}' https://www.foobar.com/"
        );
        let script = format!(
            "while [ ! -e {at}/stop ]; do said=$({ask}); read -r now _ </proc/uptime; echo \"$now $said\"; sleep 0.02; done >{at}/log"
        );
        let thread = std::thread::spawn(move || {
            let lab = Lab::open(&lab::state_dir(), &name).unwrap();
            lab.client_exec(&["sh", "-c", &script]).unwrap();
        });
        let visitor = Self { dir, thread: Some(thread) };
        assert!(until(Duration::from_secs(10), || visitor.answers().len() > 3), "no answer at {address}");
        visitor
    }

    /// When each request was answered with success, in seconds.
    fn answers(&self) -> Vec<f64> {
        let log = fs::read_to_string(self.dir.join("log")).unwrap_or_default();
        let answered = log.lines().filter_map(|l| l.split_once(' ')).filter(|(_, code)| *code == "200");
        answered.filter_map(|(at, _)| at.parse().ok()).collect()
    }

    /// Waits for more answers than there are now.
    pub fn goes_on(&self) -> bool {
        let before = self.answers().len();
        until(Duration::from_secs(15), || self.answers().len() >= before + 5)
    }

    /// The longest time without an answer, in seconds, and how many requests were made and answered.
    pub fn stop(mut self) -> (f64, usize, usize) {
        assert!(self.goes_on(), "there are no answers any more");
        fs::write(self.dir.join("stop"), "").unwrap();
        let all = self.answers();
        self.thread.take().unwrap().join().unwrap();
        let made = fs::read_to_string(self.dir.join("log")).unwrap_or_default().lines().count();
        let gaps = all.windows(2).map(|two| two[1] - two[0]);
        (gaps.fold(0.0, f64::max), made, all.len())
    }
}

impl Drop for Visitor {
    fn drop(&mut self) {
        let _ = fs::write(self.dir.join("stop"), "");
    }
}

/// Every balancer runs what it should, and each address is on one of them.
pub fn is_well(w: &World, addresses: &[String]) -> bool {
    let runs = |host: &str| w.lab.exec(host, "systemctl -q is-active haproxy keepalived").is_ok_and(|o| o.ok());
    BALANCERS.iter().all(|b| runs(b)) && addresses.iter().all(|a| holders(w, a, &[]).len() == 1)
}

/// One way in which a balancer is lost, and the way back. Both are given the host that has the address.
pub struct Loss {
    what: &'static str,
    lose: fn(&World, &str),
    heal: fn(&World, &str),
}

fn on(w: &World, host: &str, script: &str) {
    w.on(host, script);
}

/// What is done over a connection that ends with it.
fn cut(w: &World, host: &str, lose: &str, heal: &str) {
    let script = format!("sleep 0.3; {lose}; until [ -e /run/e2e-heal ]; do sleep 0.1; done; {heal}");
    // It heals by itself: nobody can tell it to.
    let by_itself = "sh -c 'sleep 5; touch /run/e2e-heal'";
    w.on(host, &format!("rm -f /run/e2e-heal; systemd-run -q --collect --unit=e2e-heal {by_itself}; systemd-run -q --collect --unit=e2e-cut sh -c '{script}'"));
}

pub const LOSSES: &[Loss] = &[
    Loss {
        what: "haproxy is stopped",
        lose: |w, host| on(w, host, "systemctl stop haproxy"),
        heal: |w, host| on(w, host, "systemctl start haproxy"),
    },
    Loss {
        what: "haproxy is killed and does not come back",
        lose: |w, host| on(w, host, "systemctl mask -q --runtime haproxy; systemctl kill -s KILL haproxy"),
        heal: |w, host| {
            on(
                w,
                host,
                "systemctl unmask -q --runtime haproxy; systemctl reset-failed haproxy; systemctl start haproxy",
            );
        },
    },
    Loss {
        what: "keepalived is killed",
        lose: |w, host| on(w, host, "systemctl kill -s KILL keepalived"),
        heal: |_, _| {},
    },
    Loss {
        what: "its link is down",
        lose: |w, host| cut(w, host, "ip link set host0 down", "ip link set host0 up"),
        heal: |_, _| {},
    },
    Loss {
        what: "nothing reaches it, and it does not know",
        lose: |w, host| {
            let wall = "add table inet wall; add chain inet wall in { type filter hook input priority -9; policy drop; }; \
                        add chain inet wall out { type filter hook output priority -9; policy drop; }";
            cut(w, host, &format!("nft \"{wall}\""), "nft delete table inet wall");
        },
        heal: |_, _| {},
    },
    Loss {
        what: "its host loses its power",
        lose: |w, host| w.lab.kill_host(host).unwrap(),
        heal: |w, host| w.lab.start_host(host).unwrap(),
    },
];

/// Loses the balancer that has an address; answers for how long there was no answer at it, until all is well again.
pub fn lose(w: &mut World, loss: &Loss, address: &str, all: &[String]) -> f64 {
    let [host] = holders(w, address, &[])[..] else { panic!("{}: {address} is not on one balancer", loss.what) };
    let visitor = Visitor::start(w, address);
    (loss.lose)(w, host);
    let lost = Instant::now();
    let moved = until(Duration::from_secs(15), || holders(w, address, &[host]) == [other(host)]);
    assert!(moved, "{}: {address} does not move to {}", loss.what, other(host));
    let after = lost.elapsed().as_secs_f64();
    assert!(visitor.goes_on(), "{}: no answer from {}", loss.what, other(host));
    (loss.heal)(w, host);
    w.cold();
    let well = until(Duration::from_secs(40), || is_well(w, all));
    assert!(well, "{}: {address} is on {:?} after it", loss.what, holders(w, address, &[]));
    let (gap, made, answered) = visitor.stop();
    println!(
        "    {}: {}: {address} seen on {} after {after:.1} s; longest without an answer {gap:.2} s; {answered} of {made} requests answered",
        w.suite,
        loss.what,
        other(host)
    );
    gap
}

/// The first serves, the rest stand by: told by counting, and by who answers when the first has nobody left to ask.
fn backends_stand_by(w: &mut World, address: &str) {
    let count = |w: &World| -> BTreeMap<String, usize> {
        let ca = w.dir.join("ca.crt").display().to_string();
        let to = format!("www.foobar.com:443:{address}");
        let words = ["curl", "-sS", "--max-time", "5", "--cacert", &ca, "--resolve", &to, "https://www.foobar.com/"];
        (0..12).fold(BTreeMap::new(), |mut all, _| {
            *all.entry(w.client(&words).stdout).or_default() += 1;
            all
        })
    };
    assert_eq!(count(w), [("web-01".into(), 6), ("web-02".into(), 6)].into(), "active-active");
    w.topology = w.original().replace("  health:", "  backends: active-passive\n  health:");
    w.apply(&[]);
    assert!(until(Duration::from_secs(10), || count(w) == [("web-01".into(), 12)].into()), "{:?}", count(w));
    w.foobar(&["verify"]).ends(0).says(&["the first backend alone serves", "the site answers at"]);
    w.on("web-01", "systemctl stop nginx");
    assert!(until(Duration::from_secs(10), || count(w) == [("web-02".into(), 12)].into()), "{:?}", count(w));
    w.on("web-01", "systemctl start nginx");
    assert!(until(Duration::from_secs(10), || count(w) == [("web-01".into(), 12)].into()), "{:?}", count(w));
}

/// One address: every loss of the balancer that has it, its reboot, and what two that do not hear each other look like.
pub fn an_address_moves_and_requests_go_on(w: &mut World) {
    with(w, one_address);
}

fn one_address(p: &mut World) {
    let address = p.topology.split_once("virtual_addresses: [").unwrap().1.split(']').next().unwrap().to_owned();
    let all = [address.clone()];
    assert!(until(Duration::from_secs(20), || is_well(p, &all)));
    p.foobar(&["verify"]).ends(0).says(&[&format!("{address} is on one balancer alone"), "no drain was left behind"]);
    super::judge::accepts(p, &BALANCERS);
    let gaps: Vec<(&str, f64)> = LOSSES.iter().map(|loss| (loss.what, lose(p, loss, &address, &all))).collect();
    for (what, gap) in gaps {
        assert!(gap < MOST, "{what}: no answer for {gap:.2} s");
    }
    // Whoever takes a balancer down on purpose hands its address over first, and waits until it stands by again.
    for (what, words) in
        [("both reboot", &["reboot", "-l", "@haproxy", "--yes"][..]), ("both restart", &["apply", "--yes"][..])]
    {
        if what == "both restart" {
            for host in BALANCERS {
                p.on(host, "echo '# by hand' >>/etc/systemd/system/haproxy.service.d/foobar.conf");
            }
        }
        let visitor = Visitor::start(p, &address);
        p.cold();
        p.foobar(words).ends(0).says(&["lb-01", "lb-02"]);
        let (gap, made, answered) = visitor.stop();
        println!(
            "    {}: {what}: longest without an answer {gap:.2} s; {answered} of {made} requests answered",
            p.suite
        );
        assert!(gap < MOST, "{what}: no answer for {gap:.2} s");
    }
    p.is_converged();

    backends_stand_by(p, &address);

    let wall = "nft 'add table ip wall; add chain ip wall in { type filter hook input priority -9; }; add rule ip wall in ip protocol 112 drop'";
    for host in BALANCERS {
        p.on(host, wall);
    }
    assert!(until(Duration::from_secs(10), || holders(p, &address, &[]).len() == 2), "both take it");
    p.foobar(&["verify"]).ends(3).says(&["have it at once: they do not hear each other"]);
    p.foobar(&["status"]).ends(3).says(&[&format!("lb-01 and lb-02 hold {address} at the same time")]);
    for host in BALANCERS {
        p.on(host, "nft delete table ip wall");
    }
    assert!(until(Duration::from_secs(10), || is_well(p, &all)), "both keep it");
}

/// An address each: both serve, both are drained, and each takes the other's address and gives it back.
pub fn both_serve_and_stand_in_for_each_other(w: &mut World) {
    with(w, an_address_each);
}

fn an_address_each(p: &mut World) {
    let subnet = p.topology.split_once("virtual_addresses: [").unwrap().1.split(".100").next().unwrap().to_owned();
    let all = [format!("{subnet}.100"), format!("{subnet}.101")];
    p.topology = p
        .topology
        .replace("mode: active-passive", "mode: active-active")
        .replace(&format!("[{subnet}.100]"), &format!("[{}]", all.join(", ")));
    let active = p.topology.clone();
    p.apply(&[]).says(&["impact: reload"]);
    p.is_converged();
    let own = |p: &World| holders(p, &all[0], &[]) == ["lb-01"] && holders(p, &all[1], &[]) == ["lb-02"];
    assert!(until(Duration::from_secs(20), || own(p)));
    p.foobar(&["verify"]).ends(0).says(&[&format!("{} is on lb-02 alone", all[1])]);
    p.foobar(&["status"]).ends(0).says(&[&format!("holds {}", all[0]), &format!("holds {}", all[1])]);

    // A change of the web servers, with visitors at both: each is taken out at both.
    let ways = all.clone().map(|a| a.parse().unwrap());
    let load = Load::through(p, &ways, &BALANCERS);
    p.topology = active.replace("GREETING: Welcome", "GREETING: Rolling");
    let run = p.apply(&[]);
    let tally = load.stop(p, "two balancers, the app's environment");
    run.says(&["impact: none (at least 1 of 2 backends serve)"]);
    let drains = run.stdout.matches("drain web-0").count() + run.stderr.matches("drain web-0").count();
    assert!(drains >= 4, "each is taken out at both balancers: {run}");
    assert_eq!((tally.refused, tally.broken), (0, 0), "{tally:?}");
    assert!(tally.made >= 50, "{tally:?}");
    let state =
        "echo 'show servers state web' | socat - UNIX-CONNECT:/run/haproxy/admin.sock | awk '/web-0/ { print $6, $7 }'";
    for host in BALANCERS {
        assert_eq!(p.on(host, state), "2 0\n2 0\n", "{host}");
    }

    let gap = lose(p, &LOSSES[1], &all[1], &all);
    assert!(gap < MOST, "no answer for {gap:.2} s");
    assert!(until(Duration::from_secs(20), || own(p)), "each has its own again");
    p.foobar(&["verify"]).ends(0);

    // Without redundancy nothing of it is left.
    p.topology = p.topology.lines().filter(|l| !l.contains("redundancy:")).map(|l| format!("{l}\n")).collect();
    p.apply(&[]).says(&["stop and disable keepalived", "remove system account keepalived_script"]);
    p.is_converged();
    for (host, address) in BALANCERS.iter().flat_map(|host| all.iter().map(move |a| (host, a))) {
        assert_eq!(holders(p, address, &[]), [""; 0]);
        let left = "ls /etc/keepalived/keepalived.conf /etc/keepalived/check-haproxy /run/foobar-keepalived.conf \
                    /etc/systemd/system/keepalived.service.d /etc/systemd/system/haproxy.service.d/foobar-keepalived.conf \
                    2>/dev/null; grep keepalived /etc/passwd; nft list table inet foobar | grep -w -e vrrp -e 112 || :";
        assert_eq!(p.on(host, left), "", "{host}");
    }
}
