//! The disk of the primary's data and logs is full: its server answers, and whoever writes waits. That must be seen, by
//! whoever asks, in a bounded time.

use super::{
    drills::is_proved,
    world::{World, until},
};
use std::time::Duration;

/// Puts the data on a disk of its own, with little room beside it.
const SMALL: &str = r#"systemctl stop UNIT
used=$(du -sm /var/lib/mysql | cut -f 1); mkdir -p /run/e2e-data
mount -t tmpfs -o size=$((used + 96))m tmpfs /run/e2e-data
cp -a /var/lib/mysql/. /run/e2e-data/ && mount --bind /run/e2e-data /var/lib/mysql && systemctl start UNIT"#;

/// Takes all room that is left there.
const FILL: &str = "dd if=/dev/zero of=/var/lib/mysql/e2e-fill bs=1M 2>/dev/null || :; dd if=/dev/zero of=/var/lib/mysql/e2e-fill2 bs=1k 2>/dev/null || :; \
                    [ \"$(df --output=avail /var/lib/mysql | tail -n 1)\" -lt 64 ]";

/// Puts the data back where it was, as it is now. For [`super::faults::MEND`] as well: does nothing where nothing is to do.
const BACK: &str = r#"rm -f /var/lib/mysql/e2e-fill /var/lib/mysql/e2e-fill2
systemctl stop UNIT; umount /var/lib/mysql
find /var/lib/mysql -mindepth 1 -delete; cp -a /run/e2e-data/. /var/lib/mysql/ && umount /run/e2e-data && systemctl start UNIT"#;

/// Seen by `verify`, which does not wait for it; no plan hangs on it, and nothing is promoted.
pub fn the_disk_of_the_primary_is_full(w: &mut World) {
    w.converge();
    let unit = w.engine().to_owned();
    let on = |w: &World, script: &str| w.on("web-01", &script.replace("UNIT", &unit));
    on(w, SMALL);
    // Its server was restarted, and is opened for writes again.
    w.apply(&[]);
    is_proved(w);
    let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        on(w, FILL);
        // One row stays as long as it is: what grows is the log alone, to the end of the last block that it has.
        let write = format!(
            "timeout 10 {unit} -N -e \"UPDATE foobar.entries SET message = CONCAT('full ', LEFT(UUID(), 8)) ORDER BY id LIMIT 1\""
        );
        let hangs = until(Duration::from_secs(120), || w.lab.exec("web-01", &write).is_ok_and(|o| o.code == 124));
        assert!(hangs, "writes go on without any room");
        let run = w.foobar(&["verify"]);
        run.ends(3).says(&["a row written on web-01 is read here", "the write does not end"]);
        assert!(run.took < Duration::from_secs(100), "{run}");
        for host in super::world::HOSTS {
            assert_eq!(
                w.on(host, "find /tmp /run -name login -path '*tmp.*' 2>/dev/null"),
                "",
                "a login was left on {host}"
            );
        }
        let run = w.foobar(&["plan"]);
        assert!(run.took < Duration::from_secs(60) && run.code <= 1, "{run}");
        assert!(!run.stdout.contains("open"), "nobody else is opened for writes: {run}");
        w.on("web-01", "rm -f /var/lib/mysql/e2e-fill /var/lib/mysql/e2e-fill2");
        // The server looks for room once a minute.
        assert!(until(Duration::from_secs(150), || w.lab.exec("web-01", &write).is_ok_and(|o| o.ok())));
    }));
    on(w, BACK);
    if let Err(panic) = ended {
        std::panic::resume_unwind(panic);
    }
    w.apply(&[]);
    is_proved(w);
    w.converge();
}
