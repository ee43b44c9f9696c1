//! `rollout:`, key by key with its defaults.

use super::read::Reader;
use crate::{
    component::spec::{Rollout, Share},
    topology::{
        problem::Problem,
        yaml::{Kind, Node},
    },
};

/// Reads `rollout:`.
pub fn rollout(read: &mut Reader<'_>, node: &Node) -> Rollout {
    let fields = read.fields(node, "rollout");
    let default = Rollout::default();
    Rollout {
        batch: fields.get("batch").and_then(|n| share(read, n)).unwrap_or(default.batch),
        // Whoever deploys waits for it.
        canary: fields.get("canary").and_then(|n| read.span(n, "1s", "1h")),
        // A request that takes longer than an hour is not one that a change waits for.
        drain: fields.get("drain").and_then(|n| read.span(n, "0s", "1h")).unwrap_or(default.drain),
        keep_serving: fields.get("keep_serving").and_then(|n| percent(read, n, 0)).unwrap_or(default.keep_serving),
    }
}

/// `1`, `3`, `25%`.
fn share(read: &mut Reader<'_>, node: &Node) -> Option<Share> {
    match &node.kind {
        Kind::Number(_) => read.number(node, 1, 1000).map(Share::Hosts),
        _ => percent(read, node, 1).map(Share::Percent),
    }
}

/// `50%`, from `least` to 100.
fn percent(read: &mut Reader<'_>, node: &Node, least: u8) -> Option<u8> {
    let help = match (&node.kind, least) {
        (Kind::Number(number), 0) => format!("write the sign: `{number}%`"),
        (_, 0) => "write a share of all backends: `50%`".to_owned(),
        _ => "write a number of hosts, or a share of all: `1`, `25%`".to_owned(),
    };
    let Kind::Text(text) = &node.kind else {
        read.wrong_kind(node, "a percentage", help);
        return None;
    };
    let number = text.strip_suffix('%').filter(|n| n.bytes().all(|b| b.is_ascii_digit()));
    match number.and_then(|n| n.parse::<u8>().ok()).filter(|n| (least..=100).contains(n)) {
        Some(number) => Some(number),
        None => {
            let problem = Problem::error(format!("`{}` must be from {least}% to 100%", read.name(node)));
            read.refuse(problem.at(read.value(node), "no such share").help(help));
            None
        }
    }
}
