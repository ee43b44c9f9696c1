//! How any single value is read: words, numbers, durations, choices, addresses, lists of them. What is refused becomes a
//! problem that says what to write.

use super::read::Reader;
use crate::{
    base::name::{NameError, Span},
    topology::{
        problem::{Place, Problem},
        text::{self, likely, quoted},
        yaml::{self, Kind, Node},
    },
};
use ipnet::IpNet;
use std::{net::IpAddr, str::FromStr};

impl Reader<'_> {
    /// Text; numbers and switches that a user forgot the quotes of are refused with that advice.
    pub fn text<'n>(&mut self, node: &'n Node, wanted: &str) -> Option<&'n str> {
        match &node.kind {
            Kind::Text(text) => Some(text),
            Kind::Number(_) | Kind::Bool(_) => {
                let raw = yaml::raw(&self.document.text, &node.at).unwrap_or_default();
                self.wrong_kind(node, wanted, format!("put quotes around it: \"{}\"", quoted(&raw)));
                None
            }
            Kind::Null => {
                self.wrong_kind(node, wanted, "write a value, or remove the key");
                None
            }
            _ => {
                self.wrong_kind(node, wanted, "write one value");
                None
            }
        }
    }

    /// A word of one of the types that are checked once (`base/name.rs`).
    pub fn word<T: FromStr<Err = NameError>>(&mut self, node: &Node, wanted: &str) -> Option<T> {
        let text = self.text(node, wanted)?;
        match text.parse() {
            Ok(word) => Some(word),
            Err(error) => {
                self.refused(self.value(node), &format!("`{}`", self.name(node)), text, &error, |t| {
                    t.parse::<T>().is_ok()
                });
                None
            }
        }
    }

    /// A key that is such a word.
    pub fn key_word<T: FromStr<Err = NameError>>(&mut self, key: &str, node: &Node) -> Option<T> {
        match key.parse() {
            Ok(word) => Some(word),
            Err(error) => {
                self.refused(self.key(node), &format!("the key `{}`", quoted(key)), key, &error, |t| {
                    t.parse::<T>().is_ok()
                });
                None
            }
        }
    }

    fn refused(&mut self, place: Place, who: &str, text: &str, error: &NameError, fits: impl Fn(&str) -> bool) {
        let tidy = text.trim().trim_end_matches('.').to_lowercase();
        let guesses = [
            tidy.clone(),
            tidy.trim_start_matches('-').to_owned(),
            tidy.replace(['_', ' '], "-"),
            tidy.replace(['-', ' ', '.'], "_"),
            format!("/{tidy}"),
        ];
        let help = match guesses.iter().find(|g| !tidy.is_empty() && fits(g)) {
            Some(guess) => format!("write `{guess}`"),
            None => example(error.what).to_owned(),
        };
        let problem = Problem::error(format!("{who} is refused: {error}"));
        self.refuse(problem.at(place, format!("not {}", error.what)).help(help));
    }

    /// `true` or `false`.
    pub fn flag(&mut self, node: &Node) -> Option<bool> {
        match &node.kind {
            Kind::Bool(flag) => Some(*flag),
            Kind::Text(text) if matches!(text.to_lowercase().as_str(), "yes" | "on") => {
                self.wrong_kind(node, "true or false", "write `true`");
                None
            }
            Kind::Text(text) if matches!(text.to_lowercase().as_str(), "no" | "off") => {
                self.wrong_kind(node, "true or false", "write `false`");
                None
            }
            _ => {
                self.wrong_kind(node, "true or false", "write `true` or `false`, without quotes");
                None
            }
        }
    }

    /// A whole number within bounds.
    pub fn number(&mut self, node: &Node, least: u32, most: u32) -> Option<u32> {
        let help = format!("write a whole number from {least} to {most}, without quotes");
        let Kind::Number(text) = &node.kind else {
            self.wrong_kind(node, "a number", help);
            return None;
        };
        match text.parse::<u32>() {
            Ok(number) if (least..=most).contains(&number) => Some(number),
            _ => {
                let problem = Problem::error(format!("`{}` must be from {least} to {most}", self.name(node)));
                self.refuse(problem.at(self.value(node), "out of bounds").help(help));
                None
            }
        }
    }

    /// A port.
    pub fn port(&mut self, node: &Node) -> Option<u16> {
        self.number(node, 1, 65535).and_then(|n| u16::try_from(n).ok())
    }

    /// A span of time within bounds.
    pub fn span(&mut self, node: &Node, least: &str, most: &str) -> Option<Span> {
        if let Kind::Number(number) = &node.kind {
            let help = format!("write the unit: `{number}s` for seconds; ms, s, m, h and d are the units");
            self.wrong_kind(node, "a duration", help);
            return None;
        }
        let span: Span = self.word(node, "a duration")?;
        let bound = |text: &str| text.parse::<Span>().ok();
        if bound(least).is_some_and(|b| span < b) || bound(most).is_some_and(|b| span > b) {
            let problem = Problem::error(format!("`{}` must be from {least} to {most}", self.name(node)));
            let help = format!("write a duration from {least} to {most}");
            self.refuse(problem.at(self.value(node), "out of bounds").help(help));
            return None;
        }
        Some(span)
    }

    /// One of some words.
    pub fn choice<T: Copy>(&mut self, node: &Node, choices: &[(&str, T)]) -> Option<T> {
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        let all = names.join(", ");
        let text = match &node.kind {
            Kind::Text(text) => text,
            _ => {
                self.wrong_kind(node, "a word", format!("write one of {all}"));
                return None;
            }
        };
        if let Some((_, choice)) = choices.iter().find(|(name, _)| name == text) {
            return Some(*choice);
        }
        let label = match likely(&text.replace(['_', ' '], "-"), names) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "not one of the choices".to_owned(),
        };
        let problem = Problem::error(format!("`{}` does not know `{}`", self.name(node), quoted(text)));
        self.refuse(problem.at(self.value(node), label).help(format!("write one of {all}")));
        None
    }

    /// A list's items.
    pub fn list<'n>(&mut self, node: &'n Node) -> &'n [Node] {
        match &node.kind {
            Kind::List(items) => items,
            Kind::Text(text) => {
                let shown = quoted(text);
                self.wrong_kind(node, "a list", format!("write it in brackets: [{shown}]"));
                &[]
            }
            _ => {
                self.wrong_kind(node, "a list", "write it in brackets, with commas: [first, second]");
                &[]
            }
        }
    }

    /// A list of words, refused where one stands twice.
    pub fn words<T: FromStr<Err = NameError> + PartialEq>(&mut self, node: &Node, wanted: &str) -> Vec<T> {
        let mut words: Vec<(T, &Node)> = Vec::new();
        for item in self.list(node) {
            let Some(word) = self.word::<T>(item, wanted) else { continue };
            match words.iter().find(|(w, _)| *w == word) {
                Some((_, first)) => {
                    let problem = Problem::error(format!("`{}` names the same one twice", self.name(node)))
                        .at(self.value(item), "again here")
                        .at(self.value(first), "first here");
                    self.refuse(problem.help("keep one of them"));
                }
                None => words.push((word, item)),
            }
        }
        words.into_iter().map(|(word, _)| word).collect()
    }

    /// A list of words with one at least: without any, nothing would happen, and surely that is not meant.
    pub fn some_words<T: FromStr<Err = NameError> + PartialEq>(
        &mut self,
        node: &Node,
        wanted: &str,
        help: &str,
    ) -> Vec<T> {
        if let Kind::List(items) = &node.kind
            && items.is_empty()
        {
            let problem = Problem::error(format!("`{}` is empty", self.name(node)));
            self.refuse(problem.at(self.key(node), "nothing in it").help(help));
        }
        self.words(node, wanted)
    }

    /// An IP address.
    pub fn address(&mut self, node: &Node) -> Option<IpAddr> {
        let text = self.text(node, "an IP address")?;
        match text.parse() {
            Ok(address) => Some(address),
            Err(_) => {
                let problem = Problem::error(format!("`{}` is no IP address", self.name(node)));
                let help = match text.split_once('/').filter(|(before, _)| before.parse::<IpAddr>().is_ok()) {
                    Some((before, _)) => format!("write the address alone: {before}"),
                    None => "write an IPv4 or IPv6 address, for example 10.0.0.11; a host's name for SSH is its key, \
                             which your ssh_config may know"
                        .to_owned(),
                };
                self.refuse(problem.at(self.value(node), "not an IP address").help(help));
                None
            }
        }
    }

    /// A list of IP addresses, refused where one stands twice.
    pub fn addresses(&mut self, node: &Node) -> Vec<IpAddr> {
        let mut addresses: Vec<(IpAddr, &Node)> = Vec::new();
        for item in self.list(node) {
            let Some(address) = self.address(item) else { continue };
            match addresses.iter().find(|(a, _)| *a == address) {
                Some((_, first)) => {
                    let problem = Problem::error(format!("`{}` names {address} twice", self.name(node)))
                        .at(self.value(item), "again here")
                        .at(self.value(first), "first here");
                    self.refuse(problem.help("keep one of them"));
                }
                None => addresses.push((address, item)),
            }
        }
        addresses.into_iter().map(|(address, _)| address).collect()
    }

    /// Networks; a bare address stands for itself alone.
    pub fn networks(&mut self, node: &Node) -> Vec<IpNet> {
        let mut networks = Vec::new();
        for item in self.list(node) {
            let Some(text) = self.text(item, "a network") else { continue };
            let network = text.parse::<IpNet>().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
            let (message, label, help) = match network {
                Some(network) if network.trunc() == network => {
                    networks.push(network);
                    continue;
                }
                Some(network) => {
                    ("has bits behind its mask", "an address within a network", format!("write {}", network.trunc()))
                }
                None => (
                    "is no network",
                    "not a network",
                    "write one such as 203.0.113.0/24, or a single address".to_owned(),
                ),
            };
            let problem = Problem::error(format!("`{}` {message}", self.name(item)));
            self.refuse(problem.at(self.value(item), label).help(help));
        }
        networks
    }

    /// A path on this machine, or another text of one line that goes nowhere but to this machine.
    pub fn local(&mut self, node: &Node, wanted: &str) -> Option<String> {
        let text = self.text(node, wanted)?;
        if text.trim().is_empty() || text.len() > 4096 || text.chars().any(text::is_unprintable) {
            let problem = Problem::error(format!("`{}` must be {wanted}", self.name(node)));
            self.refuse(
                problem
                    .at(self.value(node), format!("not {wanted}"))
                    .help("write one line of text, without control characters, 4096 bytes at most"),
            );
            return None;
        }
        Some(text.to_owned())
    }
}

fn example(what: &str) -> &'static str {
    match what {
        "a host name" => "write lower-case letters, digits and -, for example web-01",
        "a domain name" => "write a full name in lower case, for example www.example.com",
        "a package name" => "write a Debian package's name, for example python3-flask",
        "a database name" => "write a name of its own, for example shop",
        "a URL path" => "write a path, for example /healthz",
        "a relative path" => "write a path inside the app's folder, for example public/css",
        "an environment variable's name" => "write letters, digits and _, for example SESSION_KEY",
        "a user name" => "write a Unix account, for example admin",
        "a duration" => "write a number with a unit, for example 500ms, 2s, 5m, 24h, 180d",
        "a command" => "write a program and its arguments on one line, for example gunicorn --bind $LISTEN wsgi:app",
        "a URL" => "write the whole address, for example https://hooks.example.com/alerts",
        "a mail address" => "write it as ops@example.com",
        "a host with a port" => "write both, for example mail.example.com:587",
        "a jump host" => "write a host as ssh_config knows it, or [user@]address[:port]",
        _ => "write one line of text, without control characters",
    }
}
