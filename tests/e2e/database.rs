//! A replica that comes later than the data.

use super::world::{World, until};
use std::time::Duration;

/// The primary alone is applied and written to; then the topology gains a replica on a fresh host, and the rows are there.
pub fn a_replica_is_seeded_from_a_primary_with_data(w: &mut World) {
    w.lab.reset_host("web-01").unwrap();
    w.lab.reset_host("web-02").unwrap();
    w.cold();
    let alone =
        w.original().replace("replicas: [web-02]", "replicas: []").replace("on: [web-01, web-02]", "on: [web-01]");
    assert_ne!(alone, w.original());
    w.topology = alone;
    w.apply(&[]);
    w.is_converged();
    let sql = if w.engine() == "mysql" { "mysql" } else { "mariadb" };
    w.on(
        "web-01",
        &format!(
            "{sql} foobar -e \"INSERT INTO entries (name, message, web) VALUES ('Early', 'written before the replica', 'web-01')\"; \
             for i in 1 2 3 4 5 6 7 8 9 10; do {sql} foobar -e 'INSERT INTO entries (name, message, web) SELECT name, message, web FROM entries'; done"
        ),
    );
    w.topology = w.original();
    w.foobar(&["plan"]).ends(0).says(&["web-02"]);
    w.apply(&[]);
    w.is_converged();
    let count = |host: &str| w.on(host, &format!("{sql} -NBe 'SELECT COUNT(*), MAX(id) FROM foobar.entries'"));
    assert!(count("web-01").starts_with("1024\t"), "{}", count("web-01"));
    assert!(
        until(Duration::from_secs(20), || count("web-02") == count("web-01")),
        "the rows are not on the replica: {}",
        count("web-02")
    );
    w.foobar(&["verify"]).ends(0);
}
