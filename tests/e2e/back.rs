//! Going back to what an earlier apply was made from.

use super::world::{HOSTS, SESSION_KEY, World, start};

/// Back to the release, the configuration and the accounts of before, with today's passwords; then forward again.
pub fn a_rollback_is_a_plan_back(w: &mut World) {
    w.converge();
    w.authority();
    // Something to come from: a generation whose topology is the original one, whatever the cases before have left.
    w.topology = w.original().replace("GREETING: Welcome", "GREETING: Earlier");
    w.apply(&[]);
    let newest = |w: &mut World| {
        let run = w.foobar(&["history", "--json"]);
        run.ends(0).json()["generations"][0]["generation"].as_u64().unwrap()
    };
    let earlier = newest(w);
    let config = w.on("lb-01", "cat /etc/haproxy/haproxy.cfg");
    let release = |w: &World| w.on("web-01", "readlink /srv/foobar/current");
    let first = release(w);

    // Everything that can change: the app, its environment, an algorithm, a static path, an account.
    let wsgi = w.dir.join("guestbook/wsgi.py");
    let app = std::fs::read_to_string(&wsgi).unwrap();
    std::fs::write(&wsgi, format!("{app}\n# another release\n")).unwrap();
    w.topology = w
        .original()
        .replace("GREETING: Welcome", "GREETING: Later, EXTRA: one")
        .replace("round-robin", "ip-hash")
        .replace("  migrate: python3 migrate.py\n", "")
        .replace("/assets: public", "/assets: public, /more: public");
    w.apply(&[]);
    w.foobar(&["rotate", "app_rw", "--yes"]).ends(0);
    let password = w.on("web-01", "cat /var/lib/foobar/secrets/mysql-app-rw");
    assert_ne!(release(w), first);
    assert!(w.get("/").contains("Later"));

    // The file on this machine has moved on as well, and the secret is not in the environment any more.
    std::fs::write(&wsgi, &app).unwrap();
    let bare = |w: &mut World, words: &[&str]| {
        let mut command = w.command(words);
        command.env_remove("E2E_SESSION_KEY");
        let started = start(command, &w.dir, "run");
        w.finish(words, started)
    };
    w.topology = w.topology.replace("SESSION_KEY: { env: E2E_SESSION_KEY }", "SESSION_KEY: generate");
    w.foobar(&["rollback", "999999"]).ends(1).says(&["999999", "foobar history"]);
    w.foobar(&["rollback"]).ends(64).says(&["--yes"]);
    // What a host keeps of that run is no longer what was written: another one's is taken, and nobody's where all are so.
    let alter = |w: &World, host: &str, from: &str, to: &str| {
        let sources = format!("/var/lib/foobar/generations/{earlier}/sources");
        w.on(host, &format!("[ ! -f {sources} ] || sed -i 's/{from}/{to}/' {sources}"));
    };
    HOSTS.iter().for_each(|host| alter(w, host, "Earlier", "Altered"));
    let lost = bare(w, &["rollback", &earlier.to_string(), "--yes"]);
    lost.ends(1).says(&["is not what its run wrote there", "foobar history"]);
    alter(w, "web-02", "Altered", "Earlier");
    let back = bare(w, &["rollback", "--yes"]);
    back.ends(0).says(&[&format!("generation {earlier}"), "still says something else"]);
    assert_eq!(release(w), first, "the release of before");
    HOSTS.iter().for_each(|host| alter(w, host, "Altered", "Earlier"));
    assert_eq!(w.on("lb-01", "cat /etc/haproxy/haproxy.cfg"), config);
    let page = w.get("/");
    assert!(page.contains("Earlier") && !page.contains("Later"), "{page}");
    assert_eq!(w.on("web-01", "cat /var/lib/foobar/secrets/mysql-app-rw"), password, "passwords do not go back");
    assert!(w.on("web-01", "cat /etc/foobar/app.env").contains(SESSION_KEY), "the hosts' own secret was used");
    let told = w.foobar(&["history", "-n", "1"]);
    told.ends(0).says(&[&format!("foobar rollback to {earlier}"), "done"]);
    let topology = w.foobar(&["history", &earlier.to_string(), "--topology"]);
    assert!(topology.ends(0).stdout.contains("GREETING: Earlier"), "{topology}");

    // What the hosts are is what that topology says, and nothing is left to do.
    w.topology = topology.stdout.clone();
    w.is_converged();
    w.foobar(&["verify"]).ends(0);
    // A host that no longer keeps the release says so, before anything is done.
    let now = newest(w);
    w.topology = w.original();
    std::fs::write(&wsgi, format!("{app}\n# a third release\n")).unwrap();
    w.apply(&[]);
    std::fs::write(&wsgi, &app).unwrap();
    let name = first.trim().rsplit('/').next().unwrap().to_owned();
    w.on("web-02", &format!("mv /srv/foobar/releases/{name} /run/kept-release"));
    w.foobar(&["rollback", &now.to_string(), "--yes"]).ends(1).says(&["web-02", &name, "no longer kept"]);
    w.on("web-02", &format!("mv /run/kept-release /srv/foobar/releases/{name}"));
    w.foobar(&["rollback", &now.to_string(), "--yes"]).ends(0);
    w.converge();
}
