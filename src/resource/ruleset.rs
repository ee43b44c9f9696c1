//! The one nftables table that foobar owns on a host, replaced whole in one transaction, loaded at boot by a unit of its
//! own, and put back by a timer unless a fresh login confirms it. No other table is ever touched. Which rules are in it,
//! the component says.

use super::{
    Action, Change, Collector, Drift, FileDiff, Probe, Refusal, Resource, ResourceId, STATE_DIR, Seen,
    armed::Armed,
    files::File,
    nft::{self, Fate, Syn},
    owned::{Kind, Owned},
};
use crate::base::{digest::sha256, script::Script, secret::Content};
use base64::Engine as _;
use ipnet::IpNet;
use std::net::IpAddr;

/// The file, the live table's digest, and the digests on record for both: a table changed at run time differs from what
/// was recorded when it was loaded. The confirmed file's text comes where it is not the expected one. `armed` where rules
/// wait for their confirmation.
pub static RULESET: Collector = Collector {
    name: "ruleset",
    volatile: &[],
    body: r#"
file=/etc/foobar/firewall.nft
sum=$(sha256sum 2>/dev/null <"$file") && printf 'file\t%s\n' "${sum%% *}"
live=$(nft -s list table inet foobar 2>/dev/null) && { sum=$(printf '%s\n' "$live" | sha256sum); printf 'live\t%s\n' "${sum%% *}"; }
[ -r /var/lib/foobar/firewall.loaded ] && { read -r a b </var/lib/foobar/firewall.loaded; printf 'loaded\t%s\t%s\n' "$a" "$b"; }
[ -r "$file" ] && printf 'body\t%s\n' "$(base64 -w 0 "$file")"
unit=/etc/systemd/system/foobar-firewall.service
[ -d /run/foobar.armed/firewall ] && printf 'armed\tyes\n'
[ -f "$unit" ] && [ -L "${unit%/*}/sysinit.target.wants/${unit##*/}" ] && printf 'enabled\tyes\n'
:"#,
};

/// From where, and to which port, the login came that runs the probe: `SSH_CONNECTION`, which sshd sets; where it was lost on
/// the way, as sudo loses it, that of the processes above, as they were started. `UNKNOWN` where sshd was given no socket.
pub static LOGIN: Collector = Collector {
    name: "login",
    volatile: &["login"],
    body: r#"
set -- ${SSH_CONNECTION:-}
pid=$$
while [ $# -lt 4 ] && [ "${pid:-0}" -gt 1 ]; do
  set -- $(tr '\000' '\n' 2>/dev/null <"/proc/$pid/environ" | sed -n 's/^SSH_CONNECTION=//p')
  up=
  while read -r key value; do [ "$key" != PPid: ] || up=$value; done 2>/dev/null <"/proc/$pid/status"
  pid=$up
done
[ $# -ge 4 ] && printf 'login\t%s\t%s\n' "$1" "$4"
:"#,
};

/// What an armed ruleset is called.
pub const ARMED: &str = "firewall";

/// Where the login that looks at a host comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Login {
    /// Nothing says so.
    Hidden,
    /// Not through the network: no rule stops it.
    Local,
    /// From this address, to this port.
    From(Syn),
}

impl Login {
    fn of(seen: &Seen<'_>) -> Self {
        let Some([source, port, ..]) = seen.here.get(&LOGIN, "login") else { return Self::Hidden };
        // A link-local address comes with the name of its link.
        let address = source.split('%').next().and_then(|s| s.parse::<IpAddr>().ok());
        match (address.map(|a| a.to_canonical()), port.parse()) {
            (Some(source), _) if source.is_loopback() => Self::Local,
            (Some(source), Ok(port)) => Self::From(Syn { source, port }),
            _ if source == "UNKNOWN" => Self::Local,
            _ => Self::Hidden,
        }
    }
}

const UNIT: &str = "\
[Unit]
Description=Firewall rules of foobar (table inet foobar)
DefaultDependencies=no
Wants=network-pre.target
Before=network-pre.target shutdown.target
Conflicts=shutdown.target
After=nftables.service
PartOf=nftables.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/sbin/nft -f /etc/foobar/firewall.nft
ExecReload=/usr/sbin/nft -f /etc/foobar/firewall.nft

[Install]
WantedBy=sysinit.target
";

/// The table `inet foobar` of a host.
#[derive(Debug)]
pub struct Ruleset {
    /// The whole file in nft's own words; [`Ruleset::OPERATOR`] stands for the rule that keeps the operator's login.
    pub text: String,
    /// Networks that the text lets in over SSH; empty: everyone.
    pub admin_from: Vec<IpNet>,
    /// The template that the text was rendered from, for who has laid another one over it.
    pub template: &'static str,
    /// Seconds until the rules go back unless a fresh login confirms them.
    pub confirm_within: u32,
}

impl Ruleset {
    /// Where the rule for the operator's own login goes: a line of its own.
    pub const OPERATOR: &'static str = "\t\t# operator";

    /// Where the confirmed rules are.
    pub const PATH: &'static str = "/etc/foobar/firewall.nft";

    /// Whether a line of the text stands for the operator's rule, and is in the file only where one is needed.
    pub fn is_operator(line: &str) -> bool {
        line == Self::OPERATOR
    }

    /// The resource's name: a host has one table of foobar's.
    pub fn key() -> ResourceId {
        ResourceId::new("firewall", "inet foobar")
    }

    /// The text with the rule for the login that looks at the host, where no other rule is known to let it in; and what
    /// would become of that login without it, where there is one.
    fn settled(&self, login: Login) -> (String, Option<Fate>) {
        let marker = format!("{}\n", Self::OPERATOR);
        let bare = self.text.replace(&marker, "");
        let Login::From(syn) = login else { return (bare, None) };
        match nft::fate(&bare, syn) {
            fate if bare != self.text && fate != Fate::Accepted => {
                let Syn { source, port } = syn;
                let family = if source.is_ipv4() { "ip" } else { "ip6" };
                let rule = format!(
                    "\t\t{family} saddr {source} tcp dport {port} accept comment \"the login that foobar came by\"\n"
                );
                (self.text.replace(&marker, &rule), Some(fate))
            }
            _ => (bare, None),
        }
    }

    /// Why the rules would shut the door on the very login that brings them, where that can be told from their text.
    fn lockout(&self, text: &str, login: Login, seen: &Seen<'_>) -> Option<Refusal> {
        let Self { template, .. } = self;
        let refusal = |what: String, help: String| Some(Refusal { host: seen.host.clone(), what, help });
        let syn = match login {
            Login::From(syn) => syn,
            Login::Hidden if !self.admin_from.is_empty() => {
                let what =
                    "it does not tell from where you are logged in, so that its firewall rules might lock you out";
                let help = "its sshd must set SSH_CONNECTION, and nothing on the way to root may hide it; or leave out \
                            firewall.admin_from, and everyone may reach sshd";
                return refusal(what.into(), help.into());
            }
            Login::Hidden | Login::Local => return None,
        };
        let Syn { source, port } = syn;
        let explain = |line: usize| format!("foobar explain {}:{}:{line}", seen.host, Self::PATH);
        match nft::fate(text, syn) {
            Fate::Accepted | Fate::Unknown => None,
            Fate::Dropped(line, rule) => refusal(
                format!(
                    "its firewall rules would lock you out: line {line} of {}, `{rule}`, drops a new login from {source} \
                     to port {port} before a rule lets it in",
                    Self::PATH
                ),
                format!(
                    "`{}` shows where that line comes from; in {template}, `{{{{ operator }}}}` on a line of its own stands \
                     for the rule that keeps your login: it must come before every rule that drops",
                    explain(line)
                ),
            ),
            Fate::NotAccepted => refusal(
                format!("its firewall rules would lock you out: none lets a new login from {source} to port {port} in"),
                format!(
                    "put `{{{{ operator }}}}` back into your {template}, on a line of its own before every rule that drops: \
                     it stands for the rule that keeps your login"
                ),
            ),
        }
    }

    /// What the user should know of the way that is left to them.
    fn narrow(&self, login: Login, without: Option<&Fate>, text: &str) -> Option<String> {
        let Login::From(Syn { source, port }) = login else { return None };
        let is_admin = self.admin_from.is_empty() || self.admin_from.iter().any(|net| net.contains(&source));
        let unknown =
            format!("whether its rules let a new login from {source} to port {port} in cannot be told from their text");
        let Some(without) = without else {
            return (nft::fate(text, Syn { source, port }) == Fate::Unknown).then_some(unknown);
        };
        Some(match (without, is_admin) {
            (Fate::Unknown, _) => format!("{unknown}: one for your own login is added"),
            (_, false) => {
                format!("only a rule for your own login lets you in: {source} is in no network of firewall.admin_from")
            }
            (_, true) => format!(
                "only a rule for your own login lets you in: sshd is reached on port {port} there, which no ssh.port of the \
                 topology says"
            ),
        })
    }
}

impl Resource for Ruleset {
    fn id(&self) -> ResourceId {
        Self::key()
    }

    fn probes(&self) -> Vec<Probe> {
        vec![Probe::new(&RULESET, Vec::<String>::new()), Probe::new(&LOGIN, Vec::<String>::new())]
    }

    /// As it is for a login that the rules let in without a rule of its own.
    fn written(&self) -> Vec<File> {
        let text = self.text.replace(&format!("{}\n", Self::OPERATOR), "");
        vec![
            File::text(Self::PATH, Content::new(text)),
            File::text("/etc/systemd/system/foobar-firewall.service", Content::new(UNIT)),
        ]
    }

    fn diff(&self, seen: &Seen<'_>) -> Result<Option<Change>, Refusal> {
        let login = Login::of(seen);
        let (text, without) = self.settled(login);
        let digest = sha256(&text);
        let one = |key: &str, at: usize| seen.here.get(&RULESET, key).and_then(|f| f.get(at)).map(String::as_str);
        let same_file = one("file", 0) == Some(digest.as_str());
        let is_loaded =
            one("live", 0).is_some() && one("live", 0) == one("loaded", 0) && one("loaded", 1) == Some(digest.as_str());
        let is_armed = one("armed", 0).is_some();
        if same_file && is_loaded && !is_armed && one("enabled", 0).is_some() {
            return Ok(None);
        }
        if let Some(refusal) = self.lockout(&text, login, seen) {
            return Err(refusal);
        }
        let before = one("body", 0)
            .and_then(|b| base64::engine::general_purpose::STANDARD.decode(b).ok())
            .and_then(|b| String::from_utf8(b).ok());
        let mut change = Change::new(
            if before.is_none() { Action::Create } else { Action::Update },
            "load firewall rules",
            self.load(&text, &digest),
        );
        change.confirm = Some(self.confirm(&digest));
        change.recall = Some(self.armed(&digest).recall());
        // What was recorded when it was loaded tells what somebody changed since.
        let recorded = one("loaded", 1);
        change.drift = recorded.and_then(|recorded| match one("file", 0) {
            None => Some(Drift::Removed),
            Some(file) if file != recorded && !same_file => Some(Drift::Edited),
            _ if is_armed => None,
            _ if one("live", 0) != one("loaded", 0) => Some(Drift::Firewall),
            _ if one("enabled", 0).is_none() => Some(Drift::Disabled),
            _ => None,
        });
        if is_armed {
            change.details.push(
                "rules of another run wait for their confirmation: what was before them is put back first".into(),
            );
        }
        change.details.extend(self.narrow(login, without.as_ref(), &text));
        if !same_file {
            change.diffs.push(FileDiff { path: Self::PATH.into(), before, after: Some(text), notes: vec![] });
        } else if is_armed {
            // Said above.
        } else if one("live", 0).is_none() {
            change.details.push("the table is not loaded".into());
        } else if !is_loaded {
            change.details.push("the table was changed at run time".into());
        } else {
            change.details.push("the table would not be loaded at boot".into());
        }
        Ok(Some(change))
    }

    fn footprint(&self) -> Vec<Owned> {
        vec![Owned::new(Kind::Firewall, "inet foobar")]
    }
}

impl Ruleset {
    fn armed<'a>(&self, digest: &'a str) -> Armed<'a> {
        let (name, former) = (ARMED, "the former firewall rules");
        Armed { name, former, token: digest, within: self.confirm_within }
    }

    /// Loads the candidate with its way back armed. The confirmed file is not touched before [`confirm`], so a reboot goes
    /// back as well. nftables takes the whole file or nothing; established connections are kept by conntrack, which is why
    /// the confirmation comes over a new one (domain notes, "nftables").
    fn load(&self, text: &str, digest: &str) -> Script {
        let keep = Script::new()
            .feed(text, "cat >next")
            .line("nft -c -f next")
            // What goes back is what is live now, whatever became of its file; where no table is, none comes back.
            .line("if nft -s list table inet foobar >listed 2>/dev/null; then")
            .line("  { echo 'table inet foobar'; echo 'delete table inet foobar'; cat listed; } >former")
            .line("fi");
        let change = Script::new().line("nft -f next").line("nft -s list table inet foobar >live");
        let back = Script::new()
            .line("if [ -e former ]; then nft -f former || nft -f /etc/foobar/firewall.nft || nft delete table inet foobar")
            .line("else ! nft list table inet foobar >/dev/null 2>&1 || nft delete table inet foobar; fi");
        self.armed(digest).arm(&keep, &change, &back)
    }

    fn confirm(&self, digest: &str) -> Script {
        let keep = Script::new()
            .line("nft -s list table inet foobar | cmp -s - live || { echo 'the rules that were loaded do not stand any more' >&2; exit 1; }")
            .line("umask 022; mkdir -p /etc/foobar")
            // This runs beside the next steps, one of which may copy the directory of units to have it checked: nothing that
            // is about to vanish may stand in there.
            .feed(UNIT, "cat >/etc/foobar/firewall.service.new")
            .line("mv -f /etc/foobar/firewall.service.new /etc/systemd/system/foobar-firewall.service")
            .line("systemctl -q enable foobar-firewall.service")
            .line("cp next /etc/foobar/firewall.nft.new && chmod 644 /etc/foobar/firewall.nft.new && sync -- /etc/foobar/firewall.nft.new")
            .line("sum=$(sha256sum <live)")
            .line(format!("printf '%s %s\\n' \"${{sum%% *}}\" {digest} >{STATE_DIR}/firewall.loaded.new"))
            .line("mv -f /etc/foobar/firewall.nft.new /etc/foobar/firewall.nft")
            .line(format!("mv -f {STATE_DIR}/firewall.loaded.new {STATE_DIR}/firewall.loaded"));
        self.armed(digest).confirm(&keep)
    }
}
