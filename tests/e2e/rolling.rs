//! Changes that nobody feels: visitors never stop, and none of their requests is lost.

use super::{
    load::{Load, Tally},
    world::{World, start, until},
};
use std::{fs, time::Duration};

/// Changes the site somehow, under load, and answers what became of the requests.
pub fn under_load(w: &mut World, what: &str, change: impl FnOnce(&mut World)) -> Tally {
    let load = Load::start(w);
    change(w);
    let tally = load.stop(w, what);
    assert!(tally.made >= 100, "{what}: only {} requests were made", tally.made);
    w.is_converged();
    tally
}

/// What was lost, if anything.
pub fn lost(what: &str, tally: &Tally) -> Option<String> {
    (tally.refused + tally.broken > 0).then(|| format!("{what}: {tally:?}"))
}

/// Each kind of change on its own, then all at once.
pub fn no_request_is_lost_whatever_is_changed(w: &mut World) {
    w.converge();
    let mut wrong = Vec::new();
    let mut all = Tally::default();
    let mut round = |w: &mut World, what: &str, change: &mut dyn FnMut(&mut World)| {
        let tally = under_load(w, what, change);
        wrong.extend(lost(what, &tally));
        all.made += tally.made;
        all.refused += tally.refused;
        all.broken += tally.broken;
    };

    round(w, "a web server's configuration", &mut |w| {
        w.topology = w.topology.replace("static:", "max_body_mib: 9\n  static:");
        let run = w.apply(&[]);
        run.says(&["drain web-01", "put web-01 back", "drain web-02", "impact: none (at least 1 of 2 backends serve)"]);
    });
    round(w, "the app's environment", &mut |w| {
        w.topology = w.topology.replace("GREETING: Welcome", "GREETING: Rolling");
        let run = w.apply(&[]);
        run.says(&["drain web-01", "put web-01 back", "drain web-02", "put web-02 back"]);
        run.says(&["impact: none (at least 1 of 2 backends serve)"]);
    });
    round(w, "a new release", &mut |w| {
        let style = w.dir.join("guestbook/public/style.css");
        fs::write(&style, fs::read_to_string(&style).unwrap() + "\n/* another release */\n").unwrap();
        w.apply(&[]).says(&["switch to release"]);
    });
    round(w, "a balancer's configuration", &mut |w| {
        w.topology = w.topology.replace("round-robin", "least-connections");
        w.apply(&[]).says(&["impact: reload"]);
    });
    round(w, "a certificate", &mut |w| {
        let before = w.on("lb-01", "sha256sum /etc/haproxy/certs/site.pem");
        for host in super::world::HOSTS {
            w.on(host, "rm -f /var/lib/foobar/secrets/site.crt /var/lib/foobar/secrets/site.key");
        }
        w.apply(&[]).says(&["impact: reload"]);
        assert_ne!(w.on("lb-01", "sha256sum /etc/haproxy/certs/site.pem"), before);
    });
    round(w, "web servers restarted", &mut |w| {
        for host in ["web-01", "web-02"] {
            w.on(host, "echo '# by hand' >>/etc/systemd/system/nginx.service.d/foobar.conf");
        }
        w.apply(&[]).says(&["restart nginx", "impact: none"]);
    });
    round(w, "passwords", &mut |w| {
        let run = w.foobar(&["rotate", "app_rw", "app_ro", "foobar_repl", "MADE", "site", "--yes"]);
        run.ends(0).says(&["drain web-01", "discard the former password of app_ro, app_rw, foobar_repl"]);
    });
    let style = w.dir.join("guestbook/public/style.css");
    round(w, "all at once", &mut |w| {
        let text = fs::read_to_string(&style).unwrap();
        fs::write(&style, text.replace("\n/* another release */\n", "")).unwrap();
        w.topology = w.original();
        w.apply(&[]).says(&["switch to release", "restart foobar-app", "reload haproxy", "(at least 1 of 2"]);
    });
    round(w, "the way back", &mut |w| {
        w.foobar(&["rollback", "--yes"]).ends(0).says(&["switch to release", "put web-02 back"]);
        w.apply(&[]);
    });
    println!("    all changes: {} requests, {} refused, {} broken", all.made, all.refused, all.broken);
    assert!(wrong.is_empty(), "requests were lost:\n{}", wrong.join("\n"));
    w.foobar(&["verify"]).ends(0).says(&["no drain was left behind"]);
}

/// Where one is down, the other is not touched before it is up again; where it cannot be mended, the other is not touched.
pub fn what_is_down_is_mended_first(w: &mut World) {
    w.converge();
    w.on("web-02", "systemctl stop foobar-app");
    // Until the balancer has seen it, requests are lost, and not by foobar's fault.
    assert!(until(Duration::from_secs(30), || server(w, "web-02").starts_with("0 ")), "{}", server(w, "web-02"));
    let tally = under_load(w, "one that is down", |w| {
        w.topology = w.original().replace("GREETING: Welcome", "GREETING: Mended");
        let run = w.apply(&[]);
        let at = |text: &str| run.stdout.find(text).unwrap_or_else(|| panic!("{text:?} is not said by {run}"));
        assert!(at("put web-02 back") < at("drain web-01"), "{run}");
        assert!(!run.stdout.contains("drain web-02"), "{run}");
    });
    assert_eq!(lost("one that is down", &tally), None);

    // Down in a way that no step mends: the balancer's requests do not get there.
    w.on("web-02", "nft add table inet wall; nft 'add chain inet wall in { type filter hook input priority -9; }'");
    w.on("web-02", "nft add rule inet wall in tcp dport 80 drop");
    let is_down = || server(w, "web-02").starts_with("0 ");
    assert!(until(Duration::from_secs(30), is_down), "{}", server(w, "web-02"));
    w.topology = w.original();
    let before = w.on("web-01", "systemctl show --value -p InvocationID foobar-app");
    let words = ["apply", "--yes", "-l", "web-01"];
    w.foobar(&words).ends(1).says(&["web-01", "0 of 2 backends would serve", "web-02 is out already"]);
    assert_eq!(w.on("web-01", "systemctl show --value -p InvocationID foobar-app"), before);
    let kept = w.topology.clone();
    w.topology += "rollout: { keep_serving: 0% }\n";
    w.foobar(&["plan", "-l", "web-01"]).ends(0).says(&["impact: restart (0 of 2 backends serve for a moment)"]);
    w.topology = kept;
    w.on("web-02", "nft delete table inet wall");
    assert!(until(Duration::from_secs(30), || server(w, "web-02").starts_with("2 ")));
    w.converge();
}

/// The state and the administrative state of a server, as the balancer tells them.
pub fn server(w: &World, name: &str) -> String {
    let ask = "echo 'show servers state web' | socat - UNIX-CONNECT:/run/haproxy/admin.sock";
    w.on("lb-01", &format!("{ask} | awk '$4 == \"{name}\" {{ print $6, $7 }}'"))
}

/// By a run that was killed within, or by hand: the next plan sees it, and puts it back.
pub fn a_host_that_was_left_out_is_seen_and_put_back(w: &mut World) {
    w.converge();
    let tally = under_load(w, "a run that is killed", |w| {
        w.topology = w.original().replace("GREETING: Welcome", "GREETING: Killed");
        let command = w.command(&["apply", "--yes"]);
        let mut child = { command }.stdout(std::process::Stdio::null()).spawn().unwrap();
        let is_out = until(Duration::from_secs(60), || server(w, "web-01").trim() != "2 0");
        child.kill().unwrap();
        child.wait().unwrap();
        w.cold();
        assert!(is_out, "web-01 was never taken out");
        // What was begun on a host ends there; what was not begun never is.
        let is_left = || server(w, "web-01").trim() == "0 1" && w.lab.exec("lb-01", FREE).is_ok_and(|o| o.ok());
        assert!(until(Duration::from_secs(60), is_left), "{}", server(w, "web-01"));
        // It outlives a reload.
        w.on("lb-01", "systemctl reload haproxy");
        assert!(until(Duration::from_secs(10), || server(w, "web-01").trim() == "0 1"), "{}", server(w, "web-01"));
        w.foobar(&["verify"]).ends(3).says(&["web-01 is held out (maint)"]);
        w.foobar(&["plan"]).ends(0).says(&["put web-01 back", "it is in maintenance", "drain web-02"]);
        w.apply(&[]);
    });
    assert_eq!(lost("a run that is killed", &tally), None);
    assert_eq!((server(w, "web-01").trim(), server(w, "web-02").trim()), ("2 0", "2 0"));

    w.on("lb-01", "echo 'set server web/web-02 state drain' | socat - UNIX-CONNECT:/run/haproxy/admin.sock");
    w.topology = w.original().replace("GREETING: Welcome", "GREETING: Killed");
    let steps = w.plan(&[]);
    assert_eq!(steps.iter().map(|s| s.summary.as_str()).collect::<Vec<_>>(), ["put web-02 back"], "{steps:#?}");
    // It is nobody's business where the balancer is left out.
    assert_eq!(w.plan(&["-l", "web-02"]).len(), 0);
    w.apply(&[]);
    w.converge();
}

/// Exits 0 where no run is at work on a host.
const FREE: &str = "flock -n /var/lib/foobar/lock true";

/// A plan of which users would feel more than they may is refused, by `plan` as by `apply`, and it is said why.
pub fn what_users_would_feel_can_be_refused(w: &mut World) {
    w.converge();
    // A restart that is made while its host is out is not felt.
    w.topology = w.original().replace("GREETING: Welcome", "GREETING: Bounded");
    w.foobar(&["plan", "--max-impact", "none"]).ends(0);
    w.topology = w.original().replace("round-robin", "ip-hash");
    w.foobar(&["plan", "--max-impact", "reload"]).ends(0);
    let file = w.dir.join("bounded.plan").display().to_string();
    let run = w.foobar(&["plan", "--max-impact", "none", "-o", &file]);
    run.ends(1).says(&["users would feel more than `none`", "lb-01: reload haproxy (reload)"]);
    assert!(!std::path::Path::new(&file).exists(), "a plan that was refused is not kept");
    w.topology = w.original().replace("database: foobar", "database: foobar\n  max_connections: 170");
    let run = w.foobar(&["apply", "--yes", "--max-impact", "reload"]);
    run.ends(1).says(&["web-01: restart", "(write outage)", "nothing was changed"]);
    w.topology = w.original();
    w.is_converged();
    let command = w.command(&["apply", "--yes", "--max-impact", "none"]);
    let started = start(command, &w.dir, "run");
    w.finish(&["apply", "--yes", "--max-impact", "none"], started).ends(0);
}
