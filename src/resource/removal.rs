//! How each kind of thing that foobar owns is taken off a host again, with nothing known but what the host itself noted.
//! It stands here and not beside each kind, because what is removed has no resource any more: only its line in the registry.
//! Each removal takes its own lines out at its end, so that one that was cut off is made again. When, the plan says.

use super::{
    Action, Change, FileDiff, Impact, Observation, ResourceId, STATE_DIR,
    armed::Armed,
    dialect::{Dialect, RECORDS, identifier, literal},
    owned::{self, GIVE_BACK, Owned},
    service::Service,
};
use crate::base::script::{Script, quote};

/// A removal: what it takes away. Where the thing may still be wanted in part, its name is not that of what makes it, so that a
/// plan has one step of each name on a host.
pub type Removal = (ResourceId, Change);

fn done<'a>(script: Script, all: impl IntoIterator<Item = &'a Owned>) -> Script {
    script.then(&owned::forget(all))
}

/// What users feel when a unit ends for good.
fn impact(owned: &Owned) -> Impact {
    let all = [Impact::None, Impact::Reload, Impact::Restart, Impact::ConnectionDrop, Impact::WriteOutage];
    all.into_iter().find(|i| i.word() == owned.field(1)).unwrap_or(Impact::ConnectionDrop)
}

/// A unit that ends for good, and what is left to its data with it.
pub fn stop(service: &Owned, left: &[&Owned]) -> Removal {
    let unit = quote(&service.name);
    let script = Script::new()
        .line(format!("if [ \"$(systemctl show --value -p LoadState {unit})\" != not-found ]; then"))
        .line(format!("  systemctl stop {unit} || {{ journalctl -q -n 15 -o cat --no-pager -u {unit} >&2; exit 1; }}"))
        .line(format!("  systemctl -q disable {unit} 2>/dev/null || :"))
        .line(format!("  [ \"$(systemctl is-enabled {unit} 2>/dev/null)\" != enabled ] || {{ echo {unit} could not be disabled >&2; exit 1; }}"))
        .line(format!("  systemctl reset-failed {unit} 2>/dev/null || :"))
        .line("fi")
        .line(format!("rm -f {STATE_DIR}/running/{unit}"));
    let short = service.name.strip_suffix(".service").unwrap_or(&service.name);
    let all = std::iter::once(&service).chain(left).copied();
    let change = Change::new(Action::Delete, format!("stop and disable {short}"), done(script, all));
    (Service::key(&service.name), change.impact(impact(service)))
}

/// A unit that ran before foobar came: it goes on with what its own files say.
pub fn hand_back(service: &Owned) -> Removal {
    let unit = quote(&service.name);
    let script = Script::new()
        .line("systemctl daemon-reload")
        .line(format!("systemctl restart {unit} || {{ journalctl -q -n 15 -o cat --no-pager -u {unit} >&2; exit 1; }}"))
        .line(format!("rm -f {STATE_DIR}/running/{unit}"));
    let short = service.name.strip_suffix(".service").unwrap_or(&service.name);
    let change = Change::new(Action::Delete, format!("restart {short} as it was"), done(script, [service]));
    let change = change.detail("it ran before foobar came, and goes on with its own configuration");
    (Service::key(&service.name), change.impact(Impact::Restart))
}

/// Files that were written together.
pub fn files(group: &str, all: &[&Owned], seen: &Observation) -> Removal {
    // What is in a directory goes before the directory.
    let mut all = all.to_vec();
    all.sort_by(|a, b| b.name.cmp(&a.name));
    let mut script = Script::new().line(GIVE_BACK.trim());
    for file in &all {
        let path = quote(&file.name);
        // The record of what was written there goes too: the next one to write there is the first again.
        script = script.line(format!("rm -f -- {}", quote(&format!("{STATE_DIR}/written{}.now", file.name))));
        script = script.line(match file.field(1) {
            "directory" => format!("give_back {path} directory"),
            "left" => format!("rm -f -- {path}"),
            _ => format!("give_back {path}"),
        });
    }
    if all.iter().any(|f| f.name.starts_with("/etc/systemd/system/")) {
        script = script.line("systemctl daemon-reload");
    }
    let mut change = Change::new(Action::Delete, format!("remove {group}"), done(script, all.iter().copied()));
    all.reverse();
    for file in all {
        let original = owned::has_original(seen, &file.name);
        let notes = match (file.field(1), original) {
            (_, true) => vec!["put back as it was before foobar".to_owned()],
            ("absent", false) => continue,
            ("directory", _) => vec!["if it is empty".to_owned()],
            _ => Vec::new(),
        };
        change.diffs.push(FileDiff { path: file.name.clone(), before: None, after: None, notes });
    }
    (ResourceId::new("removed", group), change)
}

/// Releases, the link to the one in use, and the notes of their migrations.
pub fn release(root: &Owned) -> Removal {
    let at = quote(&root.name);
    let script = Script::new()
        .line(format!("rm -f -- {at}/current {at}/current.new"))
        .line(format!("rm -rf -- {at}/releases {STATE_DIR}/migrated"))
        .line(format!("[ ! -d {at} ] || rmdir -- {at} 2>/dev/null || :"));
    let change = Change::new(Action::Delete, format!("remove the releases in {}", root.name), done(script, [root]));
    (super::release::Current::key(&root.name), change)
}

/// A system account, and its home where nothing was left in it.
pub fn account(account: &Owned) -> Removal {
    let (name, home) = (quote(&account.name), quote(account.field(0)));
    let script = Script::new()
        .line(format!("if grep -q '^'{name}: /etc/passwd; then userdel -- {name}; fi"))
        .line(format!("[ ! -d {home} ] || rmdir -- {home} 2>/dev/null || :"));
    let summary = format!("remove system account {}", account.name);
    (ResourceId::new("account", &account.name), Change::new(Action::Delete, summary, done(script, [account])))
}

/// Secrets that the host keeps.
pub fn secrets(all: &[&Owned]) -> Removal {
    let mut script = Script::new();
    for secret in all {
        script = script.command(["rm", "-f", "--", &format!("{STATE_DIR}/secrets/{}", secret.name)]);
    }
    let names: Vec<&str> = all.iter().map(|s| s.name.as_str()).collect();
    let summary = match names.len() {
        ..=3 => format!("forget {}", names.join(", ")),
        n => format!("forget {n} secrets"),
    };
    let mut change = Change::new(Action::Delete, summary, done(script, all.iter().copied()));
    if names.len() > 3 {
        change = change.detail(names.join(", "));
    }
    (ResourceId::new("secrets", "forgotten"), change)
}

/// The firewall's table, with what loads it at boot. It only opens: nobody is locked out.
pub fn firewall(table: &Owned) -> Removal {
    let script = Armed::forget(super::ruleset::ARMED)
        .line("systemctl -q disable --now foobar-firewall.service 2>/dev/null || :")
        .line("rm -f /etc/systemd/system/foobar-firewall.service /etc/foobar/firewall.nft")
        .line("systemctl daemon-reload")
        .line("! nft list table inet foobar >/dev/null 2>&1 || nft delete table inet foobar")
        .line(format!("rm -f {STATE_DIR}/firewall.loaded {STATE_DIR}/firewall.next"))
        .line("[ ! -d /etc/foobar ] || rmdir /etc/foobar 2>/dev/null || :");
    let change = Change::new(Action::Delete, "remove the firewall rules", done(script, [table]));
    let change = change.detail("whatever listens there can then be reached, as far as no other rule forbids it");
    (super::ruleset::Ruleset::key(), change)
}

fn dialect(owned: &Owned) -> Dialect {
    if owned.field(0) == Dialect::Mysql.program() { Dialect::Mysql } else { Dialect::Mariadb }
}

// On a replica a statement would be a transaction of its own, and a stopped server can be told nothing: its accounts are
// part of its data. An account in whose name views or triggers run is not dropped, since they would fail from then on.
const DROP: &str = r#"
drop() {
  state=$($client -e 'SELECT 1' 2>/dev/null) || return 0
  [ "$state" = 1 ] && [ -z "$($client -e 'SHOW REPLICA STATUS')" ] || return 0
  runs=$($client -e "SELECT COUNT(*) FROM (SELECT definer FROM information_schema.views UNION ALL SELECT definer FROM information_schema.triggers UNION ALL SELECT definer FROM information_schema.routines UNION ALL SELECT definer FROM information_schema.events) AS d WHERE definer='$1@$2'")
  if [ "$runs" = 0 ]; then $client -e "DROP USER IF EXISTS '$1'@'$2'"; else
    [ "$($client -e "SELECT COUNT(*) FROM mysql.user WHERE user='$1' AND host='$2'")" = 0 ] || $client -e "ALTER USER '$1'@'$2' ACCOUNT LOCK"
  fi
}"#;

/// Accounts in a database.
pub fn logins(all: &[&Owned]) -> Removal {
    let mut script = Script::new();
    if let Some(first) = all.first() {
        script = script.line(format!("client={}", quote(&dialect(first).client()))).line(DROP.trim());
    }
    for login in all {
        let name = quote(&login.name);
        let from = if login.field(1).is_empty() { "%" } else { login.field(1) };
        script = script.line(format!("drop {name} {}", quote(from))).line(format!("rm -f {RECORDS}/{name}"));
    }
    let names: Vec<&str> = all.iter().map(|s| s.name.as_str()).collect();
    let (word, locked) = match names.len() {
        1 => ("account", "locked instead where views, triggers or routines run in its name"),
        _ => ("accounts", "one in whose name views, triggers or routines run is locked instead"),
    };
    let script = done(script, all.iter().copied());
    let change =
        Change::new(Action::Delete, format!("drop database {word} {}", names.join(", ")), script).detail(locked);
    (ResourceId::new("database", "accounts"), change)
}

/// Accounts of a database on a replica, which loses them by its primary's word: their notes.
pub fn copies(all: &[&Owned]) -> Removal {
    let mut script = Script::new();
    for login in all {
        script = script.line(format!("rm -f {RECORDS}/{}", quote(&login.name)));
    }
    let names: Vec<&str> = all.iter().map(|s| s.name.as_str()).collect();
    let (word, verb) = if names.len() == 1 { ("account", "goes") } else { ("accounts", "go") };
    let summary = format!("note that the database {word} {} {verb}", names.join(", "));
    let change = Change::new(Action::Delete, summary, done(script, all.iter().copied()));
    (
        ResourceId::new("database", "accounts"),
        change.detail("it is a replica: what its primary drops is dropped here as well"),
    )
}

/// Schemas that foobar made, in a server that has others beside them. On a replica they go without a trace in its log.
pub fn schemas(data: &Owned) -> Removal {
    let dialect = dialect(data);
    let mut sql = String::from("STOP REPLICA;\nRESET REPLICA ALL;\n");
    if dialect == Dialect::Mysql {
        sql.push_str("SET GLOBAL super_read_only=OFF;\n");
    }
    sql.push_str("SET SESSION sql_log_bin=0;\n");
    let names: Vec<&str> = data.list(1).collect();
    for name in &names {
        sql.push_str(&format!("DROP DATABASE IF EXISTS {};\n", identifier(name)));
    }
    let client = dialect.client();
    let script = Script::new()
        .line(format!("{client} -e {} >/dev/null || {{ echo 'the database server must run to have its schemas dropped: start it, then run this again' >&2; exit 1; }}", quote(&format!("SELECT {}", literal("here")))))
        .then(&dialect.run(&sql));
    let change = Change::new(Action::Delete, format!("drop the databases {}", names.join(", ")), script);
    (ResourceId::new("database", "schemas"), change.detail("with everything in them").impact(Impact::WriteOutage))
}

/// The data directory of a server that is stopped; `whole` where nothing but foobar's is in it.
pub fn data(data: &Owned, whole: bool) -> Removal {
    let dir = quote(&data.name);
    let mut script = Script::new();
    if whole {
        script = script.line(format!(
            "[ ! -d {dir} ] || find {dir} -mindepth 1 -maxdepth 1 ! -name lost+found -exec rm -rf {{}} +"
        ));
    }
    script = script.line(format!("rm -rf {RECORDS}"));
    let summary =
        if whole { format!("delete the data in {}", data.name) } else { format!("leave {} to its owner", data.name) };
    let change = Change::new(Action::Delete, summary, done(script, [data]));
    let change = if whole { change.detail("all databases and their logs").impact(Impact::WriteOutage) } else { change };
    (ResourceId::new("database", "directory"), change)
}

// What somebody else's package needs stays: apt is asked what would go along before anything does.
const PURGE: &str = r#"
export DEBIAN_FRONTEND=noninteractive APT_LISTCHANGES_FRONTEND=none NEEDRESTART_MODE=l
away() { apt-get -q -y -o DPkg::Lock::Timeout="${FOOBAR_LOCK_TIMEOUT:-60}" purge "$@" >"$scratch" 2>&1; }
go() {
  away "$@" && return 0
  if grep -q 'dpkg was interrupted' "$scratch"; then dpkg --force-confold --configure -a >&2 && away "$@" && return 0; fi
  tail -n 20 "$scratch" >&2; exit 1
}
known() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null | sed 's/not-installed//')" ]; }
scratch=$(mktemp); trap 'rm -f "$scratch"' EXIT
mine=" $named $along "
# Whatever would go with these and is not foobar's.
strangers() {
  for other in $(apt-get -s -q purge "$@" 2>/dev/null | sed -n 's/^\(Remv\|Purg\) \([^ ]*\).*/\2/p'); do
    case $mine in *" $other "*) ;; *) echo "$other" ;; esac
  done
}
# Where the data is gone, the server's package is told so: by its own question, and by the flag without which MariaDB's asks
# nothing and leaves its account behind. MySQL's would fail to remove a directory that something is mounted on.
flag=
[ -n "$(ls -A /var/lib/mysql 2>/dev/null)" ] || for name in $named $along; do
  ask=$(sed -n 's/^Template: \(.*\/postrm_remove_databases\)$/\1/p' "/var/lib/dpkg/info/$name.templates" 2>/dev/null) || continue
  [ -n "$ask" ] || continue
  wants=$(sed -n 's/.*"\(\/var\/lib\/mysql\/debian-[0-9.]*\.flag\)".*/\1/p' "/var/lib/dpkg/info/$name.postrm" 2>/dev/null | head -n 1)
  if [ -z "$wants" ] && mountpoint -q /var/lib/mysql; then continue; fi
  printf '%s %s boolean true\n' "$name" "$ask" | debconf-set-selections
  if [ -n "$wants" ] && [ -d /var/lib/mysql ]; then flag=$wants; : >"$flag"; fi
done
list=
for name in $named; do
  known "$name" || continue
  needed=$(strangers "$name")
  if [ -z "$needed" ]; then list="$list $name"; else echo "$name stays: needed by" $needed >&2; fi
done
[ -z "$list" ] || go $list
# What came along, unless somebody has asked for it since.
manual=" $(apt-mark showmanual | tr '\n' ' ') " list=
for name in $along; do
  case $manual in *" $name "*) continue ;; esac
  if known "$name"; then list="$list $name"; fi
done
if [ -n "$list" ] && [ -n "$(strangers $list)" ]; then
  # Something else has come to need one of them: then only what nothing at all needs.
  all=" $list " list=
  for name in $(apt-get -s -q autoremove 2>/dev/null | sed -n 's/^Remv \([^ ]*\).*/\1/p'); do
    case $all in *" $name "*) list="$list $name" ;; esac
  done
fi
[ -z "$list" ] || go $list
[ -z "$flag" ] || rm -f "$flag"
systemctl daemon-reload"#;

// What came along and is still needed stays noted.
const GONE: &str = r#"
(
umask 077
owned=/var/lib/foobar/owned tab=$(printf '\t')
while IFS= read -r line; do
  case $line in "dependency$tab"*) name=${line#*"$tab"}; known "${name%%"$tab"*}" || continue ;; esac
  printf '%s\n' "$line"
done <"$owned" >"$owned.new"
sync -- "$owned.new" && mv -f -- "$owned.new" "$owned"
)"#;

/// Packages that foobar installed, and those that came along and nobody else needs.
pub fn purge(packages: &[&Owned], along: &[&Owned]) -> Removal {
    let words = |all: &[&Owned]| quote(&all.iter().map(|o| o.name.as_str()).collect::<Vec<_>>().join(" "));
    let script = Script::new().line(format!("named={} along={}", words(packages), words(along))).line(PURGE.trim());
    let names: Vec<&str> = packages.iter().map(|o| o.name.as_str()).collect();
    let script = done(script.line(GONE.trim()), packages.iter().copied());
    let change = Change::new(Action::Delete, format!("purge {}", names.join(", ")), script);
    let change = change.detail("and what they brought along, as far as nothing else needs it");
    (ResourceId::new("packages", "purged"), change)
}

/// Everything that foobar knew about a host: the last thing that goes.
pub fn state(data: &[&Owned], packages: &[&Owned]) -> Removal {
    let script = Script::new().line(format!("rm -rf {STATE_DIR}"));
    let mut change = Change::new(Action::Delete, format!("forget the host: remove {STATE_DIR}"), script);
    for data in data {
        change = change.detail(format!("the database's data stays in {}: --databases takes it too", data.name));
    }
    if !packages.is_empty() {
        let names: Vec<&str> = packages.iter().map(|o| o.name.as_str()).collect();
        change = change.detail(format!("packages stay: {}: --purge takes them too", names.join(", ")));
    }
    (ResourceId::new("owned", "host"), change)
}

/// Lines that stand for nothing any more, such as an account that was there before.
pub fn note(all: &[&Owned]) -> Removal {
    let change = Change::new(Action::Update, "give up what was not foobar's", done(Script::new(), all.iter().copied()));
    let names: Vec<String> = all.iter().map(|o| format!("{} {}", o.kind, o.name)).collect();
    (ResourceId::new("owned", "given up"), change.detail(names.join(", ")))
}
