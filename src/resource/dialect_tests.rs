//! Which transactions of a replica are its own, by tables over the positions of pairs.

use super::{
    Observation,
    dialect::{DATABASE, Dialect, Server},
};

/// What a replica has that its primary has not, from the positions of both.
fn errant(dialect: Dialect, mine: &str, theirs: &str) -> Vec<String> {
    let [mine, theirs] = [mine, theirs].map(|text| {
        let mut seen = Observation::default();
        seen.add(DATABASE.name, text);
        seen
    });
    Server::new(dialect, &mine).errant(&Server::new(dialect, &theirs))
}

#[test]
fn errant_transactions_are_told_from_those_on_their_way() {
    let primary = "server_id\t1\ngtid_binlog_pos\t0-1-39\ngtid_binlog_state\t0-1-39\ngtid_slave_pos\t\n";
    let replica =
        |state: &str, applied: &str| format!("server_id\t2\ngtid_binlog_state\t{state}\ngtid_slave_pos\t{applied}\n");
    for (state, applied, want) in [
        ("0-1-39", "0-1-39", None),
        // The primary was asked first.
        ("0-1-44", "0-1-44", None),
        // As a real pair answered: the primary has gone past the number since.
        ("0-1-34,0-2-36", "0-1-34", Some("0-2-36")),
        ("0-1-39,0-2-40", "0-1-39", Some("0-2-40")),
        // In a domain of its own.
        ("0-1-39,7-2-1", "0-1-39", Some("7-2-1")),
        // From another source than this primary.
        ("0-9-100", "0-9-100", Some("0-9-100")),
        // It was a primary once, and all of that is on the new one or behind it.
        ("0-1-39,0-2-20", "0-1-39", None),
        // Seeded: no state of its own.
        ("", "0-1-39", None),
    ] {
        assert_eq!(
            errant(Dialect::Mariadb, &replica(state, applied), primary),
            want.into_iter().collect::<Vec<_>>(),
            "{state}"
        );
    }
    let [p, r, x] = [
        "aaaaaaaa-0000-0000-0000-000000000001",
        "bbbbbbbb-0000-0000-0000-000000000002",
        "cccccccc-0000-0000-0000-000000000003",
    ];
    let primary = format!("server_uuid\t{p}\ngtid_executed\t{p}:1-39,\\n{r}:1-5,\\n{x}:1-3:5-9\n");
    for (mine, want) in [
        (format!("{p}:1-41"), vec![]),
        (format!("{p}:1-41,\\n{r}:1-5"), vec![]),
        (format!("{p}:1-39,\\n{r}:1-6"), vec![format!("{r}:1-6")]),
        (format!("{p}:1-39,\\n{x}:4"), vec![format!("{x}:4-4")]),
        (format!("{p}:1-39:tag:1-2"), vec![]),
    ] {
        assert_eq!(
            errant(Dialect::Mysql, &format!("server_uuid\t{r}\ngtid_executed\t{mine}\n"), &primary),
            want,
            "{mine}"
        );
    }
}
