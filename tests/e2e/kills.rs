//! foobar killed at every step boundary and at any instant inside steps, the shell of its batch killed, a host's power cut:
//! after each, a plain apply ends well and the next plan is empty. All the while no file was ever seen half-written, and
//! where the site was up, it stayed up.

use super::{
    locks::times,
    world::{HOSTS, World, steps, until},
};
use foobar::lab::{self, Lab};
use std::{
    collections::BTreeSet,
    fs,
    path::PathBuf,
    process::Stdio,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

/// Files that foobar manages, with what they hold at this moment.
const FILES: &str = "find /etc/haproxy /etc/nginx /etc/foobar /etc/mysql /etc/systemd/system -type f \
                     ! -name '*.foobar-new' ! -name '*.new' -exec sha256sum {} + 2>/dev/null || :";

/// Takes down, on a host and many times a second, what each managed file holds.
fn watch(w: &World, host: &str) {
    let script = format!(
        "n=0; while :; do {{ {FILES}; }} >>/run/e2e-files; n=$((n + 1)); [ $((n % 40)) != 0 ] || sort -u -o /run/e2e-files /run/e2e-files; sleep 0.03; done"
    );
    w.on(host, "systemctl stop e2e-files 2>/dev/null; rm -f /run/e2e-files");
    w.on(host, &format!("systemd-run -q --collect --unit=e2e-files sh -c '{}'", script.replace('\'', r"'\''")));
}

/// Every text of a managed file that was seen on a host was one that a finished apply left there.
fn was_whole(w: &World, host: &str, whole: &[BTreeSet<String>; 3]) {
    let seen = w.on(host, "systemctl stop e2e-files; sort -u /run/e2e-files");
    let at = HOSTS.iter().position(|h| *h == host).unwrap();
    let torn: Vec<&str> = seen.lines().filter(|line| !whole[at].contains(*line)).collect();
    assert!(seen.lines().count() >= whole[at].len() / 3, "the watch on {host} saw next to nothing");
    assert!(torn.is_empty(), "half-written on {host}:\n{}", torn.join("\n"));
}

/// What the managed files hold after a finished apply.
fn take_down(w: &World, whole: &mut [BTreeSet<String>; 3]) {
    for (host, known) in HOSTS.iter().zip(whole) {
        known.extend(w.on(host, FILES).lines().map(str::to_owned));
    }
}

/// One of two states that differ on every host. `loudly`, the application is another one as well, which restarts it.
fn other(w: &mut World, n: usize, loudly: bool) {
    let even = n.is_multiple_of(2);
    let mut text = w.original();
    if even {
        text = text.replace("round-robin", "ip-hash").replace("static: {", "max_body_mib: 3\n  static: {");
        text += "\ntls: { hsts: 100d }\nfirewall:\n  allow:\n    - { port: 9100, from: [192.0.2.0/24] }\n";
    }
    if loudly {
        text = text.replace("Welcome", if even { "Good day" } else { "Welcome" });
        fs::write(w.dir.join("guestbook/edition.txt"), if even { "one\n" } else { "two\n" }).unwrap();
    }
    w.topology = text;
}

/// When a run is ended, and how.
#[derive(Clone, Copy, Debug)]
enum Kill {
    /// The program, once so many steps are done: the next one may have begun.
    Boundary(usize),
    /// The program, so many milliseconds after it began to apply.
    Instant(u64),
    /// The shell that carries the batch out on a host, so many milliseconds after it began.
    Shell(&'static str, u64),
    /// A host, so many milliseconds after it began.
    Power(&'static str, u64),
}

/// The shells that hold the host's lock.
const KILL_SHELLS: &str = "for p in /proc/[0-9]*; do [ \"$(readlink $p/fd/9)\" != /var/lib/foobar ] || kill -9 ${p#/proc/}; done 2>/dev/null; :";

/// Applies, and ends it as asked. Says whether that came before its own end.
fn doomed(w: &World, kill: Kill) -> bool {
    let out = w.dir.join("doomed.out");
    let mut command = w.command(&["apply", "--yes", "--json"]);
    let err = fs::File::create(w.dir.join("doomed.err")).unwrap();
    command.stdin(Stdio::null()).stdout(fs::File::create(&out).unwrap()).stderr(err);
    let mut child = command.spawn().unwrap();
    let count = |word: &str| fs::read_to_string(&out).unwrap_or_default().matches(word).count();
    let mut over = false;
    let mut reached = |done: &dyn Fn() -> bool| {
        let end = Instant::now() + Duration::from_secs(200);
        while !done() && !over && Instant::now() < end {
            over = child.try_wait().unwrap().is_some();
            std::thread::sleep(Duration::from_millis(2));
        }
        !over
    };
    let begun = reached(&|| count("\"apply-started\"") > 0);
    let since = Instant::now();
    let in_time = begun
        && match kill {
            Kill::Boundary(n) => reached(&|| count("\"step-done\"") >= n),
            Kill::Instant(ms) | Kill::Shell(_, ms) | Kill::Power(_, ms) => {
                reached(&|| since.elapsed() >= Duration::from_millis(ms))
            }
        };
    match kill {
        Kill::Shell(host, _) => drop(w.on(host, KILL_SHELLS)),
        Kill::Power(host, _) => w.lab.kill_host(host).unwrap(),
        Kill::Boundary(_) | Kill::Instant(_) => drop(child.kill()),
    }
    let ended = until(Duration::from_secs(200), || child.try_wait().unwrap().is_some());
    if !ended {
        let _ = child.kill();
        let _ = child.wait();
    }
    let said = fs::read_to_string(&out).unwrap_or_default();
    assert!(ended, "{kill:?}: no end of a run whose host or shell is gone:\n{said}");
    in_time
}

/// Figures of a sweep.
#[derive(Default)]
struct Figures {
    kills: usize,
    late: usize,
    noted: usize,
}

/// One kill, and what must follow.
fn survive(w: &mut World, kill: Kill, figures: &mut Figures) {
    let in_time = doomed(w, kill);
    figures.kills += 1;
    figures.late += usize::from(!in_time);
    if let Kill::Power(host, _) = kill {
        w.lab.start_host(host).unwrap();
        w.cold();
        w.on(host, "systemctl is-system-running --wait >/dev/null || :");
    }
    // What was cut off is told, since its holder is known to be gone.
    let plan = w.foobar(&["plan", "--json"]);
    let document = plan.ends(0).json();
    let cut_off = document["cut_off"].as_array().cloned().unwrap_or_default();
    figures.noted += usize::from(!cut_off.is_empty());
    let words = ["apply", "--yes", "--lock-timeout", "3m"];
    let next = w.foobar(&words);
    assert_eq!(next.code, 0, "after {kill:?}, which left\n{cut_off:#?}\n{next}");
    let left = w.plan(&[]);
    assert!(left.is_empty(), "after {kill:?} an apply left\n{left:#?}\n{next}");
    let held = w.foobar(&["lock", "--json"]).ends(0).json();
    assert!(held["hosts"].as_array().unwrap().iter().all(|h| h["state"] == "free"), "after {kill:?}: {held}");
}

/// A client that asks for the site until it is told to stop; it says how often it asked and what failed.
fn probe(name: &str, ca: PathBuf, stop: &AtomicBool) -> (usize, Vec<String>) {
    let lab = Lab::open(&lab::state_dir(), name).unwrap();
    let (mut asked, mut failed) = (0, Vec::new());
    let began = Instant::now();
    while !stop.load(Ordering::Relaxed) {
        let script = format!(
            "n=0; while [ $n -lt 20 ]; do n=$((n + 1)); curl -sS -o /dev/null --fail --max-time 10 --cacert {} \
             https://www.foobar.com/readyz 2>&1 || echo; sleep 0.05; done",
            ca.display()
        );
        let said = lab.client_exec(&["sh", "-c", &script]).unwrap().stdout;
        asked += 20;
        failed.extend(
            said.lines()
                .filter(|l| !l.trim().is_empty())
                .map(|l| format!("{:.0} s: {l}", began.elapsed().as_secs_f32())),
        );
    }
    (asked, failed)
}

/// Numbers that look like chance and are the same in every run.
fn chance(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *seed >> 33
}

/// So many kills between two states, with a client that asks all the while.
fn sweep(w: &mut World, kills: usize, loudly: bool, seed: &mut u64) -> (Figures, usize, Vec<String>) {
    // Both states, reached undisturbed: what they hold, and how many steps lie between them.
    let mut whole: [BTreeSet<String>; 3] = Default::default();
    let mut most = 0;
    let mut took = Duration::ZERO;
    for n in 0..3 {
        other(w, n, loudly);
        most = most.max(w.plan(&[]).len());
        took = w.apply(&[]).took;
        take_down(w, &mut whole);
    }
    for host in HOSTS {
        watch(w, host);
    }
    let ca = w.authority();
    let name = w.lab.status().name;
    let stop = AtomicBool::new(false);
    let mut figures = Figures::default();
    let (asked, failed) = std::thread::scope(|scope| {
        let client = scope.spawn(|| probe(&name, ca, &stop));
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for n in 0..kills {
                other(w, n + 1, loudly);
                let millis = chance(seed) % u64::try_from(took.as_millis()).unwrap().max(1);
                let kill = match n % 5 {
                    0 | 2 => Kill::Boundary(n / 5 * 2 % (most + 1) + n % 5 / 2),
                    4 => Kill::Shell(HOSTS[n / 5 % 3], millis),
                    _ => Kill::Instant(millis),
                };
                survive(w, kill, &mut figures);
            }
        }));
        stop.store(true, Ordering::Relaxed);
        let told = client.join().unwrap();
        if let Err(panic) = ended {
            std::panic::resume_unwind(panic);
        }
        told
    });
    for host in HOSTS {
        was_whole(w, host, &whole);
    }
    (figures, asked, failed)
}

fn tell(w: &World, what: &str, figures: &Figures, asked: usize, failed: &[String]) {
    println!(
        "    {}: {what}: {} kills ({} after the run's own end), {} noted by the next plan; {asked} requests, {} failed",
        w.suite,
        figures.kills,
        figures.late,
        figures.noted,
        failed.len()
    );
    for line in failed.iter().take(10) {
        println!("        {line}");
    }
}

/// The sweep over a site that is up: where nothing that serves is restarted, no request fails at all.
pub fn killed_anywhere_it_goes_on_and_the_site_stays_up(w: &mut World) {
    w.converge();
    let mut seed = 7;
    let (figures, asked, failed) = sweep(w, times(5, 80), false, &mut seed);
    tell(w, "configuration and firewall", &figures, asked, &failed);
    assert!(failed.is_empty(), "{} of {asked} requests failed:\n{}", failed.len(), failed.join("\n"));
    assert!(figures.noted > 0, "no plan said that a run was cut off");
    w.converge();
}

/// The same with another application at each turn. What its restart costs is known and told; the site is back after each.
pub fn killed_while_the_application_changes(w: &mut World) {
    w.converge();
    let mut seed = 11;
    let (figures, asked, failed) = sweep(w, times(2, 20), true, &mut seed);
    tell(w, "application as well", &figures, asked, &failed);
    let _ = fs::remove_file(w.dir.join("guestbook/edition.txt"));
    w.converge();
    w.authority();
    assert!(w.get("/readyz").contains("web-0") || !w.get("/readyz").is_empty());
}

/// The power of a host is cut in the middle of an apply.
pub fn a_host_loses_its_power_in_the_middle(w: &mut World) {
    w.converge();
    let mut seed = 13;
    let mut figures = Figures::default();
    for n in 0..times(1, 4) {
        other(w, n, true);
        let millis = chance(&mut seed) % 1500;
        survive(w, Kill::Power(["web-02", "lb-01", "web-01"][n % 3], millis), &mut figures);
    }
    tell(w, "power", &figures, 0, &[]);
    let _ = fs::remove_file(w.dir.join("guestbook/edition.txt"));
    w.converge();
}

/// The first apply on hosts that have nothing: killed at each of its step boundaries in turn, and at any instant between
/// them. Every fourth time the hosts are really bare; else the packages are there, and everything of foobar's was destroyed.
pub fn killed_on_bare_hosts(w: &mut World) {
    let mut seed = 17;
    let mut figures = Figures::default();
    let (mut boundaries, mut most, mut took) = (0, 40, Duration::from_secs(25));
    for n in 0..times(1, 104) {
        w.topology = w.original();
        if n % 4 == 0 {
            for host in HOSTS {
                w.lab.reset_host(host).unwrap();
            }
            w.cold();
        } else {
            w.foobar(&["destroy", "--databases", "--yes-destroy", "www.foobar.com"]).ends(0);
            most = w.plan(&[]).len();
        }
        let kill = if n % 2 == 0 {
            Kill::Instant(chance(&mut seed) % u64::try_from(took.as_millis()).unwrap())
        } else {
            boundaries += 1;
            Kill::Boundary((boundaries - 1) % (most + 1))
        };
        if n == 3 {
            // Undisturbed, once, to know how long there is something to cut off where the packages are there.
            took = w.apply(&[]).took.max(Duration::from_secs(5));
            w.foobar(&["destroy", "--databases", "--yes-destroy", "www.foobar.com"]).ends(0);
        }
        survive(w, kill, &mut figures);
    }
    let what = format!("first apply, {boundaries} at boundaries of {most} steps");
    tell(w, &what, &figures, 0, &[]);
    w.converge();
    assert!(until(Duration::from_secs(30), || w.foobar(&["verify"]).code == 0), "{}", w.said.last().unwrap());
}

/// What a run leaves of itself can be read, by people and by programs.
pub fn every_apply_is_a_generation_with_its_files_as_they_were(w: &mut World) {
    w.converge();
    let before = w.on("lb-01", "sha256sum </etc/haproxy/haproxy.cfg; stat -c '%a %U' /etc/haproxy/haproxy.cfg");
    w.topology = w.original().replace("round-robin", "ip-hash");
    let planned = w.foobar(&["plan", "--json"]).ends(0).json();
    w.apply(&[]);
    let document = w.foobar(&["history", "--json", "-n", "1"]).ends(0).json();
    let newest = &document["generations"][0];
    assert_eq!(
        (&newest["outcome"], &newest["who"].as_str().map(|w| w.starts_with("tester@"))),
        (&"done".into(), &Some(true))
    );
    assert_eq!(newest["hosts"].as_array().map(Vec::len), Some(3), "{newest}");
    assert_ne!(newest["from"], "", "where it came from: {newest}");
    let changes: Vec<&str> = newest["hosts"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|h| h["changes"].as_array().unwrap())
        .filter_map(|c| c["summary"].as_str())
        .collect();
    assert_eq!(changes.len(), steps(&planned).len(), "{changes:?}");
    let number = newest["generation"].as_u64().unwrap().to_string();
    w.foobar(&["history", &number, "lb-01"]).ends(0).says(&["tester@", "change haproxy configuration", "lb-01"]);
    w.foobar(&["history"]).ends(0).says(&[&number, "done"]);
    w.foobar(&["history", "999999"]).ends(1).says(&["no host keeps generation 999999"]);
    let kept = format!("/var/lib/foobar/generations/{number}/before/etc/haproxy/haproxy.cfg");
    assert_eq!(w.on("lb-01", &format!("sha256sum <{kept}; stat -c '%a %U' {kept}")), before);
    assert_eq!(
        w.on("lb-01", "ls /var/lib/foobar/generations | wc -l").trim().parse::<usize>().unwrap().min(10),
        10.min(number.parse().unwrap())
    );
    let open = w.lab.exec_as("admin", "lb-01", &format!("cat {kept}")).unwrap();
    assert!(!open.ok(), "what was replaced can be read by others");
    w.converge();
}
