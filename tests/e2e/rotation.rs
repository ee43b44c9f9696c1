//! Passwords that change while the site is used.

use super::world::World;

/// Every account gets another password; the former ones open nothing, and there is nothing left to do.
pub fn passwords_change_and_the_former_ones_open_nothing(w: &mut World) {
    w.converge();
    w.authority();
    let kept = |w: &World, name: &str| w.on("web-01", &format!("cat /var/lib/foobar/secrets/{name}"));
    let opens = |w: &World, user: &str, password: &str| {
        let (client, tls) = match w.engine() {
            "mysql" => ("mysql", "--ssl-mode=REQUIRED"),
            _ => ("mariadb", "--ssl --disable-ssl-verify-server-cert"),
        };
        // By a file, as everywhere: a host's processes are watched for passwords.
        let script = format!(
            "umask 077; printf '[client]\\nuser={user}\\npassword=%s\\n' \"$(cat /run/e2e-pw)\" >/run/e2e.cnf; \
             {client} --defaults-file=/run/e2e.cnf {tls} -h 127.0.0.1 -e 'SELECT 1' >/dev/null 2>&1 && echo yes || echo no; rm -f /run/e2e.cnf /run/e2e-pw"
        );
        w.on("web-01", &format!("umask 077; cat >/run/e2e-pw <<'END'\n{password}\nEND\n{script}")).trim() == "yes"
    };
    let listed = w.foobar(&["rotate"]);
    listed.ends(0).says(&["mysql-app-rw", "app-made", "site"]);
    w.foobar(&["rotate", "site-ca", "SESSION_KEY", "nothing"]).ends(64).says(&[
        "authority",
        "yours",
        "no secret nothing",
    ]);
    w.foobar(&["rotate", "app_rw"]).ends(64).says(&["--yes"]);

    let names = [("app_rw", "mysql-app-rw"), ("app_ro", "mysql-app-ro"), ("foobar_repl", "mysql-repl")];
    let before: Vec<String> = names.iter().map(|(_, secret)| kept(w, secret)).collect();
    assert!(opens(w, "app_rw", &before[0]) && !opens(w, "app_rw", "wrong"), "the question itself does not tell");
    w.foobar(&["rotate", "app_rw", "app_ro", "foobar_repl", "MADE", "site", "--yes"]).ends(0);
    for ((user, secret), before) in names.iter().zip(&before) {
        let now = kept(w, secret);
        assert_ne!(now, *before, "{user}");
        assert!(opens(w, user, &now), "{user}: the new password opens nothing");
        assert!(!opens(w, user, before), "{user}: the former password still opens it");
    }
    w.is_converged();
    w.foobar(&["verify"]).ends(0);
    assert!(w.get("/").contains("web-0"), "the site serves");

    // On one host alone: the other's app goes on with the former password until its turn comes.
    let before = kept(w, "mysql-app-rw");
    w.foobar(&["rotate", "app_rw", "--yes", "-l", "web-01"]).ends(0).says(&["discard the former password"]);
    let now = kept(w, "mysql-app-rw");
    assert!(now != before && opens(w, "app_rw", &before) && opens(w, "app_rw", &now), "both open it");
    w.foobar(&["verify", "--skip", "plan"]).ends(0);
    w.foobar(&["verify"]).ends(3).says(&["a plan would discard the former password of app_rw"]);
    w.apply(&[]);
    w.is_converged();
    assert!(!opens(w, "app_rw", &before) && opens(w, "app_rw", &now));
    assert_eq!(kept(w, "mysql-app-rw"), now, "an apply rotates nothing");
}
