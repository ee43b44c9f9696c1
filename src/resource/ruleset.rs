//! The one nftables table that foobar owns on a host, replaced whole in one transaction, loaded at boot by a unit of its
//! own, and put back by a timer unless a fresh login confirms it. No other table is ever touched. Which rules are in it,
//! the component says.

use super::{
    Action, Change, Collector, Drift, FileDiff, Probe, Refusal, Resource, ResourceId, STATE_DIR, Seen,
    files::File,
    owned::{Kind, Owned},
};
use crate::base::{
    digest::sha256,
    script::{Script, quote},
    secret::Content,
};
use base64::Engine as _;
use ipnet::IpNet;
use std::net::IpAddr;

/// The file, the live table's digest, and the digests on record for both: a table changed at run time differs from what
/// was recorded when it was loaded. The confirmed file's text comes where it is not the expected one.
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
[ -f "$unit" ] && [ -L "${unit%/*}/sysinit.target.wants/${unit##*/}" ] && printf 'enabled\tyes\n'
:"#,
};

/// From where, and to which port, the login came that runs the probe: `SSH_CONNECTION`.
pub static LOGIN: Collector = Collector {
    name: "login",
    volatile: &["login"],
    body: r#"
set -- ${SSH_CONNECTION:-}
[ $# -ge 4 ] && printf 'login\t%s\t%s\n' "$1" "$4"
:"#,
};

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
    /// Networks that the text already lets in over SSH; empty: everyone.
    pub admin_from: Vec<IpNet>,
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

    /// The text with the rule for the login that looks at the host: needed where no admin network covers its address, or
    /// where sshd was reached on another port than the one declared.
    fn settled(&self, seen: &Seen<'_>) -> String {
        let login = seen.here.get(&LOGIN, "login").unwrap_or_default();
        let source = login.first().and_then(|s| s.parse::<IpAddr>().ok());
        let rule = source.map(|ip| {
            let covered = self.admin_from.is_empty() || self.admin_from.iter().any(|net| net.contains(&ip));
            let port = login.get(1).and_then(|p| p.parse::<u16>().ok()).unwrap_or(22);
            let declared = self.text.contains(&format!("tcp dport {port} accept comment \"ssh"));
            if covered && declared {
                return String::new();
            }
            let family = if ip.is_ipv4() { "ip" } else { "ip6" };
            format!("\t\t{family} saddr {ip} tcp dport {port} accept comment \"the login that foobar came by\"\n")
        });
        let marker = format!("{}\n", Self::OPERATOR);
        self.text.replace(&marker, &rule.unwrap_or_default())
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
        let text = self.settled(seen);
        let digest = sha256(&text);
        let one = |key: &str, at: usize| seen.here.get(&RULESET, key).and_then(|f| f.get(at)).map(String::as_str);
        let same_file = one("file", 0) == Some(digest.as_str());
        let is_loaded =
            one("live", 0).is_some() && one("live", 0) == one("loaded", 0) && one("loaded", 1) == Some(digest.as_str());
        if same_file && is_loaded && one("enabled", 0).is_some() {
            return Ok(None);
        }
        let before = one("body", 0)
            .and_then(|b| base64::engine::general_purpose::STANDARD.decode(b).ok())
            .and_then(|b| String::from_utf8(b).ok());
        let mut change = Change::new(
            if before.is_none() { Action::Create } else { Action::Update },
            "load firewall rules",
            load(&text, self.confirm_within),
        );
        change.confirm = Some(confirm(&digest));
        // What was recorded when it was loaded tells what somebody changed since.
        let recorded = one("loaded", 1);
        change.drift = recorded.and_then(|recorded| match one("file", 0) {
            None => Some(Drift::Removed),
            Some(file) if file != recorded && !same_file => Some(Drift::Edited),
            _ if one("live", 0) != one("loaded", 0) => Some(Drift::Firewall),
            _ if one("enabled", 0).is_none() => Some(Drift::Disabled),
            _ => None,
        });
        if !same_file {
            change.diffs.push(FileDiff {
                path: "/etc/foobar/firewall.nft".into(),
                before,
                after: Some(text),
                notes: vec![],
            });
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

/// Loads the candidate with its way back armed. The confirmed file is not touched before [`confirm`], so a reboot goes
/// back as well. nftables takes the whole file or nothing; established connections are kept by conntrack, which is why
/// the confirmation comes over a new one (domain notes, "nftables").
fn load(text: &str, within: u32) -> Script {
    let next = format!("{STATE_DIR}/firewall.next");
    let revert = "nft delete table inet foobar 2>/dev/null; if [ -e /etc/foobar/firewall.nft ]; then exec nft -f /etc/foobar/firewall.nft; fi";
    Script::new()
        .feed(text, &format!("cat >{next}"))
        .line(format!("nft -c -f {next}"))
        .line("systemctl stop foobar-firewall-revert.timer foobar-firewall-revert.service 2>/dev/null || :")
        .line("systemctl reset-failed foobar-firewall-revert.service 2>/dev/null || :")
        .line(format!(
            "systemd-run -q --collect --on-active={within} --timer-property=AccuracySec=1s --unit=foobar-firewall-revert sh -c {}",
            quote(revert)
        ))
        .line(format!("nft -f {next}"))
}

fn confirm(digest: &str) -> Script {
    let next = format!("{STATE_DIR}/firewall.next");
    Script::new()
        .line("mkdir -p /etc/foobar")
        // This runs beside the next steps, one of which may copy the directory of units to have it checked: nothing that is
        // about to vanish may stand in there.
        .feed(UNIT, "cat >/etc/foobar/firewall.service.new")
        .line("mv -f /etc/foobar/firewall.service.new /etc/systemd/system/foobar-firewall.service")
        .line(format!("cp {next} /etc/foobar/firewall.nft.new && chmod 644 /etc/foobar/firewall.nft.new && sync -- /etc/foobar/firewall.nft.new"))
        .line("mv -f /etc/foobar/firewall.nft.new /etc/foobar/firewall.nft")
        .line("systemctl stop foobar-firewall-revert.timer 2>/dev/null || :")
        .line("systemctl -q enable foobar-firewall.service")
        .line("live=$(nft -s list table inet foobar | sha256sum)")
        .line(format!("printf '%s %s\\n' \"${{live%% *}}\" {digest} >{STATE_DIR}/firewall.loaded.new"))
        .line(format!("mv -f {STATE_DIR}/firewall.loaded.new {STATE_DIR}/firewall.loaded; rm -f {next}"))
}
