//! Reads nftables rules as far as it takes to say what becomes of one new TCP connection. A condition that is not known
//! here may hold or not; what follows from it is then not known either, and said so. Nothing is guessed.

mod read;

use ipnet::IpNet;
use read::{Chain, Table, Token, Words};
use std::net::IpAddr;

/// The first packet of a TCP connection, on any interface but the loopback.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Syn {
    /// Where it comes from.
    pub source: IpAddr,
    /// The port that it wants.
    pub port: u16,
}

/// What becomes of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is let in.
    Accepted,
    /// The rule on this line, counted from 1, drops it; the rule as it is written.
    Dropped(usize, String),
    /// No rule lets it in, and the policy of a chain is to drop.
    NotAccepted,
    /// It depends on what is not known here.
    Unknown,
}

/// Whether a condition holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Holds {
    No,
    Maybe,
    Yes,
}

impl Holds {
    fn when(it: bool) -> Self {
        if it { Self::Yes } else { Self::No }
    }

    fn negated(self, is_negated: bool) -> Self {
        match self {
            Self::No if is_negated => Self::Yes,
            Self::Yes if is_negated => Self::No,
            other => other,
        }
    }
}

/// What a rule says of what it matches.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Verdict {
    Accept,
    Drop,
    Return,
    Jump(String),
    Goto(String),
    Other,
}

/// How a chain ends.
enum End {
    Fate(Fate),
    Fell,
}

/// What becomes of a new connection under these rules, a file in nft's own words.
pub fn fate(text: &str, syn: Syn) -> Fate {
    let file = read::file(text);
    let mut worst = Fate::Accepted;
    for table in &file.tables {
        let is_ours = match table.family.as_str() {
            "inet" => true,
            "ip" => syn.source.is_ipv4(),
            "ip6" => syn.source.is_ipv6(),
            _ => false,
        };
        for chain in table.chains.iter().filter(|c| is_ours && c.filters_input()) {
            let fate = match (Walk { table, syn }.chain(chain, 0), chain.drops) {
                (End::Fate(fate), _) => fate,
                (End::Fell, true) => Fate::NotAccepted,
                (End::Fell, false) => Fate::Accepted,
            };
            match fate {
                Fate::Accepted => {}
                Fate::Unknown => worst = Fate::Unknown,
                lost if file.is_whole => return lost,
                _ => worst = Fate::Unknown,
            }
        }
    }
    if file.is_whole { worst } else { Fate::Unknown }
}

struct Walk<'a> {
    table: &'a Table,
    syn: Syn,
}

impl Walk<'_> {
    fn chain(&self, chain: &Chain, depth: usize) -> End {
        let (mut may_accept, mut may_drop, mut may_leave) = (false, false, false);
        for rule in &chain.rules {
            let (holds, verdict) = self.rule(&rule.tokens);
            let (ended, leaves) = match verdict {
                _ if holds == Holds::No => continue,
                None => continue,
                Some(Verdict::Accept) => (End::Fate(Fate::Accepted), true),
                Some(Verdict::Drop) => (End::Fate(Fate::Dropped(rule.line, rule.text())), true),
                Some(Verdict::Return) => (End::Fell, true),
                Some(Verdict::Other) => (End::Fate(Fate::Unknown), false),
                Some(Verdict::Jump(name) | Verdict::Goto(name)) if depth > 16 || self.table.chain(&name).is_none() => {
                    (End::Fate(Fate::Unknown), false)
                }
                Some(Verdict::Jump(name)) => match self.table.chain(&name).map(|c| self.chain(c, depth + 1)) {
                    Some(End::Fate(fate)) => (End::Fate(fate), true),
                    _ => (End::Fell, false),
                },
                Some(Verdict::Goto(name)) => {
                    (self.table.chain(&name).map_or(End::Fell, |c| self.chain(c, depth + 1)), true)
                }
            };
            let is_sure = holds == Holds::Yes && leaves;
            match &ended {
                End::Fell if is_sure && (may_accept || may_drop) => return End::Fate(Fate::Unknown),
                End::Fell if is_sure => return End::Fell,
                End::Fell => may_leave |= leaves,
                End::Fate(Fate::Unknown) => (may_accept, may_drop) = (true, true),
                End::Fate(Fate::Accepted) if !is_sure => may_accept = true,
                End::Fate(_) if !is_sure => may_drop = true,
                End::Fate(Fate::Accepted) if !may_drop && !may_leave => return ended,
                End::Fate(Fate::Dropped(..) | Fate::NotAccepted) if !may_accept && !may_leave => return ended,
                End::Fate(_) => return End::Fate(Fate::Unknown),
            }
        }
        if may_accept || may_drop { End::Fate(Fate::Unknown) } else { End::Fell }
    }

    /// Whether a rule matches, and what it says then; no verdict where it only counts or notes.
    fn rule(&self, tokens: &[Token]) -> (Holds, Option<Verdict>) {
        let mut holds = Holds::Yes;
        let mut words = Words::new(tokens);
        while let Some(word) = words.word() {
            let one = match word {
                "accept" => return (holds, Some(Verdict::Accept)),
                "drop" | "reject" => return (holds, Some(Verdict::Drop)),
                "return" => return (holds, Some(Verdict::Return)),
                "jump" => return (holds, words.word().map(|w| Verdict::Jump(w.to_owned()))),
                "goto" => return (holds, words.word().map(|w| Verdict::Goto(w.to_owned()))),
                "vmap" | "queue" => return (Holds::Maybe, Some(Verdict::Other)),
                "counter" | "log" => {
                    words.skip_pairs(&["packets", "bytes", "prefix", "level", "flags", "group", "snaplen"]);
                    continue;
                }
                "comment" => {
                    words.skip(1);
                    continue;
                }
                "ip" | "ip6" if (word == "ip") != self.syn.source.is_ipv4() => Holds::No,
                "ip" | "ip6" => match words.word() {
                    Some("saddr") => self.operand(&mut words, |w| self.address(w)),
                    Some("protocol" | "nexthdr") => self.operand(&mut words, tcp),
                    _ => Holds::Maybe,
                },
                "tcp" | "th" => match words.word() {
                    Some("dport") => self.operand(&mut words, |w| port(w, self.syn.port)),
                    _ => Holds::Maybe,
                },
                "udp" | "udplite" | "sctp" | "dccp" | "icmp" | "icmpv6" | "igmp" | "ah" | "esp" | "comp" => Holds::No,
                "iifname" | "iif" => self.operand(&mut words, interface),
                "meta" => match words.word() {
                    Some("l4proto") => self.operand(&mut words, tcp),
                    Some("nfproto") => self.operand(&mut words, |w| match w {
                        "ipv4" | "ipv6" => Holds::when((w == "ipv4") == self.syn.source.is_ipv4()),
                        _ => Holds::Maybe,
                    }),
                    Some("iifname" | "iif") => self.operand(&mut words, interface),
                    _ => Holds::Maybe,
                },
                "ct" => match words.word() {
                    Some("state") => self.operand(&mut words, |w| match w {
                        "established" | "related" | "invalid" | "untracked" | "new" => Holds::when(w == "new"),
                        _ => Holds::Maybe,
                    }),
                    _ => Holds::Maybe,
                },
                _ => Holds::Maybe,
            };
            holds = holds.min(one);
        }
        (holds, None)
    }

    /// Whether one of an operand's values is the packet's; a named set is looked up.
    fn operand(&self, words: &mut Words<'_>, is: impl Fn(&str) -> Holds) -> Holds {
        let Some((is_negated, values)) = words.operand() else { return Holds::Maybe };
        let mut any = Holds::No;
        for value in values {
            let one = match value.strip_prefix('@') {
                Some(name) => match self.table.set(name) {
                    Some(elements) => elements.iter().map(|e| is(e)).max().unwrap_or(Holds::No),
                    None => Holds::Maybe,
                },
                None => is(value),
            };
            any = any.max(one);
        }
        any.negated(is_negated)
    }

    fn address(&self, word: &str) -> Holds {
        if let Some((first, last)) = word.split_once('-') {
            return match (first.parse::<IpAddr>(), last.parse::<IpAddr>()) {
                (Ok(first), Ok(last)) => Holds::when((first..=last).contains(&self.syn.source)),
                _ => Holds::Maybe,
            };
        }
        match (word.parse::<IpAddr>(), word.parse::<IpNet>()) {
            (Ok(address), _) => Holds::when(address == self.syn.source),
            (_, Ok(net)) => Holds::when(net.contains(&self.syn.source)),
            _ => Holds::Maybe,
        }
    }
}

fn tcp(word: &str) -> Holds {
    match word {
        "tcp" | "6" => Holds::Yes,
        "udp" | "udplite" | "sctp" | "dccp" | "icmp" | "icmpv6" | "ipv6-icmp" | "igmp" | "vrrp" | "esp" | "ah" => {
            Holds::No
        }
        _ => word.parse::<u8>().map_or(Holds::Maybe, |_| Holds::No),
    }
}

/// Any interface but the loopback may be the one that it comes in by.
fn interface(word: &str) -> Holds {
    if word == "lo" { Holds::No } else { Holds::Maybe }
}

fn port(word: &str, wanted: u16) -> Holds {
    let number = |word: &str| match word {
        "ssh" => Some(22),
        "domain" => Some(53),
        "http" => Some(80),
        "https" => Some(443),
        "mysql" => Some(3306),
        _ => word.parse::<u16>().ok(),
    };
    match word.split_once('-').map(|(first, last)| (number(first), number(last))) {
        Some((Some(first), Some(last))) => Holds::when((first..=last).contains(&wanted)),
        Some(_) => Holds::Maybe,
        None => number(word).map_or(Holds::Maybe, |port| Holds::when(port == wanted)),
    }
}

#[cfg(test)]
#[path = "nft_tests.rs"]
mod tests;
