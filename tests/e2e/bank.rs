//! Tellers of a bank at work on the primary while something happens to it, and the books of it checked in the end: no
//! transfer that was acknowledged is missing on any server, and nothing was made or lost.

use super::{
    damage::sql,
    world::{World, until},
};
use std::{collections::BTreeSet, time::Duration};

const TELLERS: usize = 4;
const PREFIX: &str = "/run/e2e-bank";

/// A bank that is open.
pub struct Bank {
    host: &'static str,
}

/// What became of its transfers.
#[derive(Debug)]
pub struct Books {
    /// Transfers that were acknowledged.
    pub acknowledged: usize,
    /// Those whose answer did not come, or that were refused.
    pub failed: usize,
    /// Acknowledged ones that a server does not have, by server.
    pub missing: Vec<(String, Vec<(usize, usize)>)>,
    /// The longest time, in seconds, in which nothing was acknowledged.
    pub pause: f64,
}

impl Bank {
    /// Opens it: the tellers work on `host`, and go from server to server until one takes their transfers.
    pub fn open(w: &World, primary: &str, host: &'static str, servers: &str) -> Self {
        // One that a case left open when it failed would write into the new books.
        w.on(host, "systemctl stop e2e-bank 2>/dev/null; :");
        sql(
            w,
            primary,
            "CREATE TABLE IF NOT EXISTS foobar.bank_accounts (id INT PRIMARY KEY, balance BIGINT NOT NULL);
             CREATE TABLE IF NOT EXISTS foobar.bank_ledger (teller INT, number INT, giver INT NOT NULL, taker INT NOT NULL, PRIMARY KEY (teller, number));
             DELETE FROM foobar.bank_ledger; DELETE FROM foobar.bank_accounts;
             INSERT INTO foobar.bank_accounts VALUES (0,1000),(1,1000),(2,1000),(3,1000),(4,1000),(5,1000),(6,1000),(7,1000),(8,1000),(9,1000)",
        );
        let program = include_str!("bank.py");
        w.on(host, &format!("rm -f {PREFIX}.*; cat >{PREFIX}.py <<'PY'\n{program}\nPY\nsystemd-run -q --collect --unit=e2e-bank python3 {PREFIX}.py /etc/foobar/app.env {PREFIX} {servers} {TELLERS}"));
        let bank = Self { host };
        assert!(until(Duration::from_secs(20), || bank.count(w) > 50), "the bank does not open: {}", bank.errors(w));
        bank
    }

    /// Transfers that were acknowledged so far.
    pub fn count(&self, w: &World) -> usize {
        w.on(self.host, &format!("cat {PREFIX}.[0-9]* 2>/dev/null | wc -l")).trim().parse().unwrap_or(0)
    }

    fn errors(&self, w: &World) -> String {
        w.on(
            self.host,
            &format!("tail -n 5 {PREFIX}.errors 2>/dev/null; systemctl status e2e-bank --no-pager 2>&1 | tail -n 5; :"),
        )
    }

    /// It goes on: more transfers come in.
    #[track_caller]
    pub fn goes_on(&self, w: &World) {
        let now = self.count(w);
        assert!(
            until(Duration::from_secs(30), || self.count(w) > now + 40),
            "no transfer comes through: {}",
            self.errors(w)
        );
    }

    /// Closes it and reads its books on these servers; all of them shall have the same rows, once they have come.
    #[track_caller]
    pub fn close(self, w: &World, servers: &[&str]) -> Books {
        w.on(self.host, &format!("touch {PREFIX}.stop; n=0; while systemctl is-active -q e2e-bank; do n=$((n + 1)); [ $n -lt 600 ] || exit 1; sleep 0.05; done"));
        let said = w.on(self.host, &format!("for f in {PREFIX}.[0-9]*; do sed \"s/^/${{f##*.}} /\" \"$f\"; done"));
        let mut times = Vec::new();
        let acknowledged: BTreeSet<(usize, usize)> = said
            .lines()
            .filter_map(|line| {
                let mut words = line.split(' ');
                let pair = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
                times.push(words.next()?.parse::<f64>().ok()?);
                Some(pair)
            })
            .collect();
        times.sort_by(f64::total_cmp);
        let pause = times.windows(2).map(|pair| pair[1] - pair[0]).fold(0.0, f64::max);
        let failed = w.on(self.host, &format!("cat {PREFIX}.errors 2>/dev/null | wc -l")).trim().parse().unwrap_or(0);
        let sums = |host: &&str| {
            sql(
                w,
                host,
                "SELECT COUNT(*), BIT_XOR(CRC32(CONCAT_WS(':', teller, number, giver, taker))) FROM foobar.bank_ledger; SELECT id, balance FROM foobar.bank_accounts ORDER BY id",
            )
        };
        let is_same =
            until(Duration::from_secs(20), || servers.windows(2).all(|pair| sums(&pair[0]) == sums(&pair[1])));
        assert!(is_same, "the servers have different books: {:?}", servers.iter().map(sums).collect::<Vec<_>>());
        let mut missing = Vec::new();
        for server in servers {
            let rows = sql(w, server, "SELECT teller, number FROM foobar.bank_ledger");
            let rows: BTreeSet<(usize, usize)> = rows
                .lines()
                .filter_map(|line| line.split_once('\t').and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?))))
                .collect();
            let lost: Vec<(usize, usize)> = acknowledged.difference(&rows).copied().collect();
            if !lost.is_empty() {
                missing.push(((*server).to_owned(), lost));
            }
            // Every account is what its ledger says.
            let wrong = sql(
                w,
                server,
                "SELECT a.id, a.balance, 1000 + (SELECT COUNT(*) FROM foobar.bank_ledger WHERE taker = a.id) - (SELECT COUNT(*) FROM foobar.bank_ledger WHERE giver = a.id) AS due FROM foobar.bank_accounts a HAVING balance <> due",
            );
            assert_eq!(wrong, "", "accounts of {server} are not what their ledger says");
        }
        Books { acknowledged: acknowledged.len(), failed, missing, pause }
    }
}
