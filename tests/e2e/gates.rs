//! Changes that do not prove themselves, under load: the host goes back to what it was, the others are left alone, no
//! visitor has noticed, and the run says so and ends with 4.

use super::{
    load::{Load, Tally},
    rolling::{lost, server, under_load},
    world::{HOSTS, Run, World, until},
};
use std::{fs, time::Duration};

/// What serves on a host, to the process and the byte; without what foobar keeps of its runs.
fn serving(w: &World, host: &str) -> String {
    w.on(
        host,
        "readlink /srv/foobar/current; find /etc/nginx /etc/foobar /etc/haproxy /etc/systemd/system /etc/mysql -type f 2>/dev/null -exec sha256sum {} + | sort -k2 | sha256sum; \
         systemctl is-active nginx foobar-app haproxy 2>/dev/null || :",
    )
}

/// Applies something bad under load, which must end with 4, and answers what it said.
fn bad(w: &mut World, what: &str, words: &[&str], wrong: &mut Vec<String>, all: &mut Tally) -> Run {
    let before: Vec<String> = HOSTS.iter().map(|host| serving(w, host)).collect();
    let untouched = w.on("web-02", "systemctl show --value -p InvocationID nginx foobar-app");
    let load = Load::start(w);
    let run = w.foobar(words);
    let tally = load.stop(w, what);
    all.made += tally.made;
    all.refused += tally.refused;
    all.broken += tally.broken;
    wrong.extend(lost(what, &tally));
    run.ends(4).says(&["web-01 is what it was before, and serves again", "run apply again"]);
    let after: Vec<String> = HOSTS.iter().map(|host| serving(w, host)).collect();
    assert_eq!(after, before, "{what}: {run}");
    assert_eq!(
        w.on("web-02", "systemctl show --value -p InvocationID nginx foobar-app"),
        untouched,
        "the rest of the fleet is left alone: {run}"
    );
    assert_eq!((server(w, "web-01").trim(), server(w, "web-02").trim()), ("2 0", "2 0"), "{run}");
    run
}

/// A release that crashes, one that hangs, one whose health check fails; and a web server's configuration that its own
/// checker accepts and that answers nothing but errors.
pub fn a_bad_release_goes_back_and_no_request_is_lost(w: &mut World) {
    w.converge();
    let (mut wrong, mut all) = (Vec::new(), Tally::default());
    let path = w.dir.join("guestbook/wsgi.py");
    let good = fs::read_to_string(&path).unwrap();
    let health = "    return {\"status\": \"ok\", \"host\": HOST}\n";
    assert!(good.contains(health));
    let words = ["apply", "--yes"];

    fs::write(&path, format!("raise SystemExit('this release is broken')\n{good}")).unwrap();
    let run = bad(w, "a release that crashes", &words, &mut wrong, &mut all);
    run.says(&["web-01 restart foobar-app", "switch back to release", "restart foobar-app as it was"]);

    fs::write(&path, good.replace(health, &format!("    time.sleep(600)\n{health}"))).unwrap();
    bad(w, "a release that hangs", &words, &mut wrong, &mut all).says(&["does not answer 200"]);

    fs::write(&path, good.replace(health, "    abort(500)\n")).unwrap();
    let run = bad(w, "a release that fails its check", &words, &mut wrong, &mut all);
    run.says(&["500", "switch back to release"]);
    fs::write(&path, &good).unwrap();

    // `nginx -t` is content with it, and so is its reload. What it ran before, nobody has on record: it was restarted by hand.
    w.on("web-01", "systemctl restart nginx");
    assert!(until(Duration::from_secs(30), || server(w, "web-01").trim() == "2 0"));
    w.is_converged();
    let templates = w.dir.join("templates");
    fs::create_dir_all(templates.join("nginx")).unwrap();
    let own = include_str!("../../templates/nginx/foobar.conf.tera");
    let broken = own.replacen("client_header_timeout 10s;", "client_header_timeout 10s;\n\treturn 503;", 1);
    assert!(broken != own);
    fs::write(templates.join("nginx/foobar.conf.tera"), broken).unwrap();
    let words = ["apply", "--yes", "--templates", templates.to_str().unwrap()];
    let run = bad(w, "a configuration that answers with errors", &words, &mut wrong, &mut all);
    run.says(&["put back nginx configuration", "reload nginx as it was"]);
    fs::remove_dir_all(&templates).unwrap();

    println!("    all that failed: {} requests, {} refused, {} broken", all.made, all.refused, all.broken);
    assert!(wrong.is_empty(), "requests were lost:\n{}", wrong.join("\n"));
    w.is_converged();
    assert!(w.foobar(&["history", "-n", "1", "-v"]).ends(0).stdout.contains("taken back"));
    w.foobar(&["verify"]).ends(0);
}

/// One goes ahead: a release whose health is good and whose pages are errors meets the visitors of one host, for as long as
/// it takes to see it, and is taken out before it goes back.
pub fn one_goes_ahead_and_the_others_are_spared(w: &mut World) {
    w.converge();
    w.topology = w.original() + "rollout: { canary: 40s }\n";
    let path = w.dir.join("guestbook/wsgi.py");
    let good = fs::read_to_string(&path).unwrap();
    let index = "    began = time.perf_counter()\n";
    assert!(good.contains(index));
    fs::write(&path, good.replacen(index, &format!("    abort(500)\n{index}"), 1)).unwrap();
    let before: Vec<String> = HOSTS.iter().map(|host| serving(w, host)).collect();
    let load = Load::start(w);
    let run = w.foobar(&["apply", "--yes"]);
    let tally = load.stop(w, "a canary that answers with errors");
    run.ends(4).says(&[
        "watch web-01 for 40 s",
        "were errors while it was watched",
        "web-01 is what it was before, and serves again",
    ]);
    assert!(!run.stderr.contains("drain web-02 … ok"), "{run}");
    let after: Vec<String> = HOSTS.iter().map(|host| serving(w, host)).collect();
    assert_eq!(after, before, "{run}");
    // Errors of the release itself are all that anybody met, and of these as few as it takes to see them.
    assert!(tally.broken == 0 && tally.refused > 0 && tally.refused * 4 < tally.made, "{tally:?}");

    fs::write(&path, good.replacen("SHOWN = 60, 500, 30", "SHOWN = 60, 500, 31", 1)).unwrap();
    let tally = under_load(w, "a canary that does well", |w| {
        w.topology = w.topology.replace("40s", "3s");
        w.apply(&[]).says(&["watch web-01 for 3 s", "put web-02 back"]);
    });
    assert_eq!(lost("a canary that does well", &tally), None);
    fs::write(&path, &good).unwrap();
    w.converge();
}

/// `--no-rollback` leaves the host to be looked at, out of service; the next apply goes on from there.
pub fn a_host_is_left_for_inspection_where_that_is_asked_for(w: &mut World) {
    w.converge();
    let path = w.dir.join("guestbook/wsgi.py");
    let good = fs::read_to_string(&path).unwrap();
    fs::write(&path, format!("raise SystemExit('this release is broken')\n{good}")).unwrap();
    let run = w.foobar(&["apply", "--yes", "--no-rollback"]);
    run.ends(1).says(&["restart foobar-app", "this release is broken", "--no-rollback", "web-01 stays out of service"]);
    assert_eq!((server(w, "web-01").trim(), server(w, "web-02").trim()), ("0 1", "2 0"));
    assert_ne!(
        w.on("web-01", "readlink /srv/foobar/current"),
        w.on("web-02", "readlink /srv/foobar/current"),
        "it is as the failure left it"
    );
    fs::write(&path, &good).unwrap();
    w.apply(&[]).says(&["put web-01 back"]);
    assert!(until(Duration::from_secs(30), || w.foobar(&["verify"]).code == 0));
    w.converge();
}

/// A balancer and a database that do not start with what they are given go back as well, each for itself.
pub fn a_daemon_that_refuses_its_configuration_goes_back(w: &mut World) {
    w.converge();
    let before: Vec<String> = HOSTS.iter().map(|host| serving(w, host)).collect();

    // A port that somebody else has taken: haproxy's checker is content, and its reload says nothing (domain notes).
    let templates = w.dir.join("templates");
    fs::create_dir_all(templates.join("haproxy")).unwrap();
    let own = include_str!("../../templates/haproxy/haproxy.cfg.tera");
    let more = format!("{own}\nfrontend taken\n    bind 127.0.0.1:8999\n    mode http\n    http-request deny\n");
    fs::write(templates.join("haproxy/haproxy.cfg.tera"), more).unwrap();
    w.on(
        "lb-01",
        "systemd-run -q --collect --unit=e2e-port socat TCP-LISTEN:8999,bind=127.0.0.1,fork /dev/null; \
         n=0; until bash -c ': >/dev/tcp/127.0.0.1/8999' 2>/dev/null; do n=$((n + 1)); [ $n -lt 100 ] || exit 1; sleep 0.05; done",
    );
    let run = w.foobar(&["apply", "--yes", "--templates", templates.to_str().unwrap()]);
    w.on("lb-01", "systemctl stop e2e-port");
    fs::remove_dir_all(&templates).unwrap();
    run.ends(4).says(&["reload haproxy", "lb-01 is what it was before", "put back haproxy configuration"]);
    let after: Vec<String> = HOSTS.iter().map(|host| serving(w, host)).collect();
    assert_eq!(after, before, "{run}");
    w.is_converged();

    // A check that no backend passes: every server is up when the worker starts, and none a moment later.
    w.topology = w
        .original()
        .replace("  algorithm: round-robin", "  algorithm: round-robin\n  health: { path: /not-there, interval: 1s }");
    let run = w.foobar(&["apply", "--yes"]);
    run.ends(4).says(&["no backend passes the balancer's check", "404", "lb-01 is what it was before"]);
    // What web servers have taken in and proved is none of its business.
    assert_eq!(serving(w, "lb-01"), before[0], "{run}");
    w.topology = w.original();
    w.converge();
    w.authority();
    assert!(w.get("/healthz").contains("web-0"));
    w.foobar(&["verify"]).ends(0);
}
