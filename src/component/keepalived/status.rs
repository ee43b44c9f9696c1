//! A balancer of several at a glance: which virtual addresses it holds, as its kernel has them.

use crate::resource::{Collector, Observation, Probe};
use std::net::IpAddr;

/// Of these addresses those that this host has.
pub static GLANCE: Collector = Collector {
    name: "glance_addresses",
    volatile: &["holds"],
    body: r#"
all=$(ip -o addr show) || return 0
for address; do
  case $all in *" $address/"*) printf 'holds\t%s\n' "$address" ;; esac
done
printf 'asked\tyes\n'"#,
};

/// The question.
pub fn probe(addresses: &[IpAddr]) -> Probe {
    Probe::new(&GLANCE, addresses.iter().map(ToString::to_string))
}

/// The virtual addresses that a host said it holds; nothing where it could not tell.
pub fn held(seen: &Observation) -> Option<Vec<IpAddr>> {
    seen.get(&GLANCE, "asked")?;
    Some(seen.all(&GLANCE, "holds").iter().filter_map(|row| row.first()?.parse().ok()).collect())
}
