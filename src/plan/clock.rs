//! Clocks that are far off: certificates are good from one instant to another, and a host that lives at another time refuses
//! them. Nothing is set right here; it is said before anything fails of it.

use crate::{base::name::HostName, resource::Observation, resource::system::FACTS};
use std::collections::BTreeMap;

/// Seconds that a host's clock may differ without a word: more than a slow answer of a busy host takes.
const MUCH: i64 = 120;

/// Hosts whose clock is further off than that, and by how many seconds they are ahead of `now`.
pub fn off(seen: &BTreeMap<HostName, Observation>, now: i64) -> Vec<(HostName, i64)> {
    let ahead = |there: &Observation| there.get(&FACTS, "clock")?.first()?.parse::<i64>().ok()?.checked_sub(now);
    let all = seen.iter().filter_map(|(host, there)| Some((host.clone(), ahead(there)?)));
    all.filter(|(_, ahead)| ahead.unsigned_abs() > MUCH.unsigned_abs()).collect()
}

/// What there is to say of one that is so many seconds ahead.
pub fn note(ahead: i64) -> String {
    let (seconds, word) = (ahead.unsigned_abs(), if ahead < 0 { "behind" } else { "ahead of" });
    let span = match seconds {
        0..7_200 => format!("{} minutes", seconds / 60),
        7_200..172_800 => format!("{} hours", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    };
    format!(
        "its clock is {span} {word} this machine's: one of the two would take good certificates for expired or not yet \
         valid; `timedatectl` tells which is wrong"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(clocks: &[(&str, &str)]) -> BTreeMap<HostName, Observation> {
        let one = |(name, line): &(&str, &str)| {
            let mut there = Observation::default();
            there.add(FACTS.name, line);
            (name.parse().unwrap(), there)
        };
        clocks.iter().map(one).collect()
    }

    #[test]
    fn only_what_is_far_off_is_named() {
        let all = seen(&[
            ("a", "clock\t1000000"),
            ("b", "clock\t1000120"),
            ("c", "clock\t1000121"),
            ("d", "clock\t913600"),
            ("e", ""),
            ("f", "clock\tnoon"),
            ("g", "clock\t-9223372036854775808"),
        ]);
        let found = off(&all, 1_000_000);
        let found: Vec<(&str, i64)> = found.iter().map(|(h, n)| (h.as_str(), *n)).collect();
        assert_eq!(found, [("c", 121), ("d", -86_400)]);
    }

    #[test]
    fn it_is_said_in_units_of_its_size() {
        let begins = |ahead, with: &str| assert!(note(ahead).starts_with(with), "{}", note(ahead));
        begins(121, "its clock is 2 minutes ahead of this machine's: ");
        begins(-7_200, "its clock is 2 hours behind this machine's: ");
        begins(3 * 86_400 + 5, "its clock is 3 days ahead of this machine's: ");
        begins(i64::MIN, "its clock is 106751991167300 days behind this machine's: ");
    }
}
