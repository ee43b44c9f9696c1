//! A plan that is kept is carried out as it was shown, by somebody who has neither its topology nor its folder, or not at all.

use super::world::{Run, World, start};

/// The program without a topology or an inventory of its own, somewhere else.
pub fn elsewhere(w: &mut World, words: &[&str], key: &str) -> Run {
    let mut command = w.command(&["plan"]);
    let program = command.get_program().to_owned();
    let env: Vec<_> = command.get_envs().map(|(k, v)| (k.to_owned(), v.map(|v| v.to_owned()))).collect();
    command = std::process::Command::new(program);
    for (name, value) in env {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.env("E2E_SESSION_KEY", key).args(words).current_dir("/").stdin(std::process::Stdio::null());
    let started = start(command, &w.dir, "run");
    w.finish(words, started)
}

/// Shown, left alone for a while, carried out: exactly that.
pub fn a_kept_plan_is_carried_out_as_it_was_shown(w: &mut World) {
    let key = super::world::SESSION_KEY;
    w.converge();
    w.topology =
        w.original().replace("GREETING: Welcome", "GREETING: Kept").replace("round-robin", "least-connections");
    let file = w.dir.join("friday.plan").display().to_string();
    let planned = w.foobar(&["plan", "-o", &file, "--json"]);
    planned.ends(0).says(&["Kept in", "friday.plan"]);
    let mode = w.dir.join("friday.plan");
    use std::os::unix::fs::PermissionsExt as _;
    assert_eq!(std::fs::metadata(mode).unwrap().permissions().mode() & 0o777, 0o600);

    // What was kept is what was shown, and needs no host to be shown again.
    let shown = elsewhere(w, &["show", &file, "--json"], key);
    let (shown, planned) = (shown.ends(0).json(), planned.json());
    assert_eq!((&shown["steps"], &shown["summary"]), (&planned["steps"], &planned["summary"]));
    elsewhere(w, &["show", &file], key).ends(0).says(&[
        "A plan for www.foobar.com",
        "tester@",
        "balance leastconn",
        "Plan:",
    ]);

    // The folder is another one by now, and the database has been written to: neither is the plan's business.
    let kept = std::mem::replace(&mut w.topology, "site: nothing\n".into());
    std::fs::write(w.dir.join("foobar.yaml"), "site: nothing\n").unwrap();
    let wsgi = w.dir.join("guestbook/wsgi.py");
    let app = std::fs::read_to_string(&wsgi).unwrap();
    std::fs::write(&wsgi, "not the app").unwrap();
    let sql = if w.engine() == "mysql" { "mysql" } else { "mariadb" };
    w.on(
        "web-01",
        &format!("{sql} foobar -e \"INSERT INTO entries (name, message, web) VALUES ('a', 'meanwhile', 'x')\""),
    );
    let applied = elsewhere(w, &["apply", &file], key);
    std::fs::write(&wsgi, app).unwrap();
    applied.ends(0).says(&["balance leastconn"]);
    w.topology = kept;
    w.is_converged();
    assert!(w.on("lb-01", "cat /etc/haproxy/haproxy.cfg").contains("balance leastconn"));

    // Twice is once too often.
    elsewhere(w, &["apply", &file], key).ends(5).says(&["lb-01", "/etc/haproxy/haproxy.cfg", "Nothing was changed"]);
    w.is_converged();
}

/// Where anything is not what it was, nothing at all is done, and it is said what.
pub fn a_kept_plan_is_refused_where_a_host_has_moved(w: &mut World) {
    let key = super::world::SESSION_KEY;
    w.converge();
    w.topology = w.original().replace("GREETING: Welcome", "GREETING: Late").replace("round-robin", "ip-hash");
    let file = w.dir.join("late.plan").display().to_string();
    let keep = |w: &mut World, more: &[&str]| {
        let words: Vec<&str> = ["plan", "-o", &file].iter().chain(more).copied().collect();
        w.foobar(&words).ends(0);
    };
    let before = w.on("lb-01", "sha256sum /etc/haproxy/haproxy.cfg");
    keep(w, &[]);
    for (host, script, back, said) in [
        (
            "web-02",
            "cp -a /etc/nginx/conf.d/foobar.conf /run/kept.conf; echo '# by hand' >>/etc/nginx/conf.d/foobar.conf",
            "cp -a /run/kept.conf /etc/nginx/conf.d/foobar.conf",
            "/etc/nginx/conf.d/foobar.conf",
        ),
        (
            "lb-01",
            "echo 'ssh-test AAAA' >/etc/ssh/ssh_host_test_key.pub",
            "rm /etc/ssh/ssh_host_test_key.pub",
            "SSH host key",
        ),
        ("web-01", "systemctl stop nginx", "systemctl start nginx", "nginx.service"),
        ("web-01", "nft add rule inet foobar input tcp dport 7 accept", "nft -f /etc/foobar/firewall.nft", "firewall"),
    ] {
        w.on(host, script);
        elsewhere(w, &["apply", &file], key).ends(5).says(&[host, said, "Nothing was changed"]);
        let json = elsewhere(w, &["apply", &file, "--json"], key);
        json.ends(5);
        let line: serde_json::Value = serde_json::from_str(&json.stdout).unwrap_or_else(|e| panic!("{e}: {json}"));
        assert_eq!((&line["event"], &line["moved"][0]["host"]), (&"stale".into(), &host.into()));
        w.on(host, back);
    }
    assert_eq!(w.on("lb-01", "sha256sum /etc/haproxy/haproxy.cfg"), before, "something was changed all the same");

    // Another secret in the environment is another plan, though no host has moved.
    w.apply(&["-l", "web-02"]);
    w.topology = w.original();
    w.apply(&[]);
    w.topology = w.original().replace("round-robin", "ip-hash");
    keep(w, &[]);
    elsewhere(w, &["apply", &file], "another-session-key").ends(5).says(&["web-01", "web-02"]);
    // Too late, cut off, or with flags that the plan decides itself.
    keep(w, &["--valid-for", "0s"]);
    elsewhere(w, &["apply", &file], key).ends(5).says(&["was good until"]);
    elsewhere(w, &["apply", &file, "-l", "lb-01"], key).ends(64).says(&["--limit has no place beside a kept plan"]);
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, &text[..text.len() / 2]).unwrap();
    elsewhere(w, &["apply", &file], key).ends(64).says(&["no plan of foobar's"]);
    elsewhere(w, &["show", "/no/such.plan"], key).ends(64).says(&["/no/such.plan", "foobar plan -o FILE"]);
    // With a limit, the limit is kept too.
    keep(w, &["-l", "lb-01"]);
    elsewhere(w, &["apply", &file], key).ends(0);
    assert!(w.on("lb-01", "cat /etc/haproxy/haproxy.cfg").contains("balance source"));
    w.converge();
}
