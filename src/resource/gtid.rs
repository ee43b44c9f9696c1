//! Positions and sets of transactions, as MariaDB and MySQL write them: read, joined, compared, and told to a person. Which
//! server has which is not known here.

use std::collections::BTreeMap;

/// How a server counts its transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gtids {
    /// MySQL: sets of them, gaps and all.
    Sets,
    /// MariaDB: positions, the last of each domain.
    Positions,
}

/// Ranges of numbers by whose they are.
pub type Ranges = BTreeMap<String, Vec<(u64, u64)>>;

/// MySQL's sets: ranges by source (with its tag).
pub fn sets(text: &str) -> Ranges {
    let mut all = Ranges::new();
    for set in text.split(',').map(str::trim).filter(|s| !s.is_empty()) {
        let mut id = String::new();
        for (n, part) in set.split(':').enumerate() {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            match (n, first.trim().parse(), last.trim().parse()) {
                (1.., Ok(first), Ok(last)) => all.entry(id.clone()).or_default().push((first, last)),
                (0, ..) => id = part.to_owned(),
                _ => id = format!("{}:{part}", id.split(':').next().unwrap_or_default()),
            }
        }
    }
    all
}

/// One transaction in MariaDB's words.
#[derive(Clone, Debug)]
pub struct Position {
    /// Whose order it is in.
    pub domain: u64,
    /// The server that wrote it.
    pub server: String,
    /// Its place there.
    pub number: u64,
}

/// MariaDB's positions and states: the last transaction of each domain, or of each server in it.
pub fn positions(text: &str) -> Vec<Position> {
    let one = |p: &str| {
        let mut parts = p.trim().split('-');
        let domain = parts.next()?.parse().ok()?;
        Some(Position { domain, server: parts.next()?.to_owned(), number: parts.next()?.parse().ok()? })
    };
    text.split(',').filter_map(one).collect()
}

/// Ranges that touch or overlap become one.
fn merged(mut all: Ranges) -> Ranges {
    for ranges in all.values_mut() {
        ranges.sort_unstable();
        let mut whole: Vec<(u64, u64)> = Vec::new();
        for &(first, last) in ranges.iter() {
            match whole.last_mut() {
                Some(before) if first <= before.1.saturating_add(1) => before.1 = before.1.max(last),
                _ => whole.push((first, last)),
            }
        }
        *ranges = whole;
    }
    all
}

/// What two positions have together, as the server writes it: of MariaDB's, the later one of each domain.
pub fn joined(kind: Gtids, one: &str, other: &str) -> String {
    match kind {
        Gtids::Sets => {
            let whole = merged(sets(&format!("{one},{other}")));
            let set = |(id, ranges): (&String, &Vec<(u64, u64)>)| {
                let ranges: String = ranges.iter().map(|(first, last)| format!(":{first}-{last}")).collect();
                format!("{id}{ranges}")
            };
            whole.iter().map(set).collect::<Vec<_>>().join(",")
        }
        Gtids::Positions => {
            let mut last: BTreeMap<u64, Position> = BTreeMap::new();
            for p in positions(one).into_iter().chain(positions(other)) {
                if last.get(&p.domain).is_none_or(|known| known.number < p.number) {
                    last.insert(p.domain, p);
                }
            }
            let text = |p: &Position| format!("{}-{}-{}", p.domain, p.server, p.number);
            last.values().map(text).collect::<Vec<_>>().join(",")
        }
    }
}

/// Whether whoever has `one` has all of `other`, too.
pub fn covers(kind: Gtids, one: &str, other: &str) -> bool {
    match kind {
        Gtids::Sets => {
            let has = merged(sets(one));
            let known = |id: &String, (first, last): (u64, u64)| {
                has.get(id).is_some_and(|all| all.iter().any(|(a, b)| *a <= first && last <= *b))
            };
            merged(sets(other)).iter().all(|(id, ranges)| ranges.iter().all(|range| known(id, *range)))
        }
        Gtids::Positions => {
            let has = positions(one);
            positions(other).iter().all(|p| has.iter().any(|h| h.domain == p.domain && h.number >= p.number))
        }
    }
}

/// Ranges in a server's own words, for a person, and how many transactions these are.
pub fn told(kind: Gtids, ranges: &Ranges) -> (String, u64) {
    let ranges = merged(ranges.clone());
    let all = || ranges.iter().flat_map(|(id, of)| of.iter().map(move |range| (id, *range)));
    let one = |(id, (first, last)): (&String, (u64, u64))| match kind {
        Gtids::Sets if first == last => format!("{id}:{first}"),
        Gtids::Sets => format!("{id}:{first}-{last}"),
        Gtids::Positions if first == last => format!("{id}-{first}"),
        Gtids::Positions => format!("{id}-{first} to {id}-{last}"),
    };
    let count = all().map(|(_, (first, last))| (last - first).saturating_add(1)).sum();
    (all().map(one).collect::<Vec<_>>().join(", "), count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_reached_a_server_and_what_it_applied_are_one() {
        for (kind, one, other, want) in [
            (Gtids::Sets, "a:1-5,b:7", "a:6-9,\nb:1-3:5", "a:1-9,b:1-3:5-5:7-7"),
            (Gtids::Sets, "a:1-5:tag:1-2", "", "a:1-5,a:tag:1-2"),
            (Gtids::Sets, "", "", ""),
            (Gtids::Positions, "0-1-9,7-2-3", "0-2-12", "0-2-12,7-2-3"),
            (Gtids::Positions, "0-2-12", "0-1-9", "0-2-12"),
        ] {
            assert_eq!(joined(kind, one, other), want);
        }
    }

    #[test]
    fn one_has_all_of_another_or_not() {
        for (kind, one, other, want) in [
            (Gtids::Sets, "a:1-5:6-9", "a:2-8", true),
            (Gtids::Sets, "a:1-5", "a:1-5,b:1", false),
            (Gtids::Sets, "a:1-5:7-9", "a:1-9", false),
            (Gtids::Sets, "a:1-5", "", true),
            (Gtids::Positions, "0-1-9", "0-2-9", true),
            (Gtids::Positions, "0-1-9", "0-1-10", false),
            (Gtids::Positions, "0-1-9", "7-1-1", false),
        ] {
            assert_eq!(covers(kind, one, other), want, "{one} {other}");
        }
    }

    #[test]
    fn ranges_are_told_and_counted() {
        let ranges = Ranges::from([("0-1".into(), vec![(46, 47), (45, 45), (50, 50)])]);
        assert_eq!(told(Gtids::Positions, &ranges), ("0-1-45 to 0-1-47, 0-1-50".into(), 4));
        assert_eq!(told(Gtids::Sets, &sets("a:1-2,b:9")), ("a:1-2, b:9".into(), 3));
        assert_eq!(told(Gtids::Sets, &Ranges::new()), (String::new(), 0));
    }
}
