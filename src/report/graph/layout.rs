//! Where everything stands: rows from the visitors down, a column a host, a host that has parts in several rows as one tall
//! card. All of it is whole numbers, so that the same picture comes out the same everywhere.

use super::picture::{Edge, Kind, Line, Node, Picture, Tier};
use std::collections::{BTreeMap, BTreeSet};

/// Height of a card's head.
pub const HEAD: i32 = 46;
/// Height of a part.
pub const PART: i32 = 44;
/// Space between parts, and around what stands in a card.
pub const PAD: i32 = 10;
/// Space around everything.
pub const MARGIN: i32 = 24;
/// Height of the picture's own title.
const TITLE: i32 = 44;
/// Between columns, wide enough for a word.
const GAP_X: i32 = 52;
/// Between rows, high enough for lines that cross and what is said at them.
const GAP_Y: i32 = 92;
/// How far a bow reaches out of its row, and how much farther the next one.
const BOW: [i32; 2] = [34, 12];
/// A card's least and greatest width.
const CARD: [i32; 2] = [188, 300];
/// Height of a line of the table.
pub const ROW: i32 = 20;
/// Size of a card's name, of a part's title, and of all smaller text.
pub const SIZES: [i32; 3] = [15, 13, 11];

/// A rectangle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rect {
    /// Its left side.
    pub x: i32,
    /// Its upper side.
    pub y: i32,
    /// Its width.
    pub w: i32,
    /// Its height.
    pub h: i32,
}

impl Rect {
    fn bottom(self) -> i32 {
        self.y + self.h
    }

    fn middle(self) -> i32 {
        self.x + self.w / 2
    }
}

/// A node's place, and those of its parts.
#[derive(Clone, Debug, Default)]
pub struct Card {
    /// All of it.
    pub place: Rect,
    /// Its parts, in their order.
    pub parts: Vec<Rect>,
}

/// A curve: from, two points that it leans to, to.
pub type Curve = [(i32, i32); 4];

/// Something said at lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// The middle of it.
    pub x: i32,
    /// Its middle's height.
    pub y: i32,
    /// What is said.
    pub text: String,
    /// About which lines.
    pub line: Line,
}

/// Where everything is.
#[derive(Clone, Debug, Default)]
pub struct Layout {
    /// The picture's width.
    pub width: i32,
    /// Its height.
    pub height: i32,
    /// A card for each node.
    pub cards: Vec<Card>,
    /// A curve for each line.
    pub curves: Vec<Curve>,
    /// What is said at them.
    pub labels: Vec<Label>,
    /// The middle of each row, where something is said beside it.
    pub captions: Vec<i32>,
    /// Where the cards begin.
    pub left: i32,
    /// Where the table begins.
    pub table: i32,
    /// Where its columns begin.
    pub columns: [i32; 4],
}

/// How wide a text is, on the generous side: whatever font a reader has, it fits.
pub fn width(text: &str, size: i32) -> i32 {
    let hundredths = |c: char| match c {
        'i' | 'j' | 'l' | '.' | ',' | ':' | ';' | '|' | '\'' | '!' | 'I' => 32,
        'f' | 't' | 'r' | ' ' | '-' | '(' | ')' | '/' | '[' | ']' => 40,
        'm' | 'w' | 'M' | 'W' | '@' | '%' => 96,
        'A'..='Z' => 70,
        '0'..='9' => 63,
        c if c.is_ascii() => 60,
        _ => 100,
    };
    (text.chars().map(hundredths).sum::<i32>() * size + 99) / 100
}

/// `text`, cut so that it is no wider.
pub fn fitted(text: &str, size: i32, most: i32) -> String {
    if width(text, size) <= most {
        return text.to_owned();
    }
    let mut kept = String::new();
    for c in text.chars() {
        if width(&format!("{kept}{c}…"), size) > most {
            break;
        }
        kept.push(c);
    }
    kept + "…"
}

/// Lays a picture out.
pub fn lay(picture: &Picture) -> Layout {
    let nodes = &picture.nodes;
    let card_width = nodes.iter().map(needed).max().unwrap_or(CARD[0]).clamp(CARD[0], CARD[1]);
    let (slots, columns) = slots(nodes);
    let caption = |(_, what, how): &(Tier, &str, String)| width(what, SIZES[1]).max(width(how, SIZES[2]));
    let captions = picture.captions.iter().map(caption).max().map_or(0, |w| w + 20);
    let left = MARGIN + captions;
    let cards_width = columns * card_width + (columns - 1).max(0) * GAP_X;
    let table = table(picture);
    let wide = (left + cards_width).max(MARGIN + table.iter().sum::<i32>()) + MARGIN;
    let mut layout = Layout { width: wide, left, ..Layout::default() };
    let (rows, bottom) = rows(picture);
    // What is narrower than the table stands in its middle.
    let shift = left + ((wide - MARGIN - left) - cards_width) / 2;
    for (node, slot) in nodes.iter().zip(slots) {
        let x = shift + slot * (card_width + GAP_X) / 2;
        layout.cards.push(card(node, x, card_width, &rows));
    }
    layout.curves = curves(picture, &layout.cards);
    layout.labels = labels(picture, &layout, &rows);
    let caption = |(tier, ..): &(Tier, &'static str, String)| rows.get(tier).map_or(0, |r| r.y + r.h / 2);
    layout.captions = picture.captions.iter().map(caption).collect();
    layout.table = bottom + 30;
    let lines = i32::try_from(picture.rules.len()).unwrap_or(0);
    layout.height = layout.table + if lines == 0 { 0 } else { lines * ROW + 4 } + MARGIN - 4;
    let mut at = MARGIN;
    layout.columns = table.map(|w| {
        at += w;
        at - w
    });
    layout
}

/// How wide a node's card has to be.
fn needed(node: &Node) -> i32 {
    let parts = node.parts.iter().map(|p| width(&p.title, SIZES[1]).max(width(&p.note, SIZES[2])) + 4 * PAD + 14);
    let own = width(&node.name, SIZES[0]).max(width(&node.note, SIZES[2])) + 2 * PAD + 24;
    parts.chain([own]).max().unwrap_or(0)
}

/// The widths of the table's columns.
fn table(picture: &Picture) -> [i32; 4] {
    let widest = |head: &str, of: fn(&super::rules::Rule) -> &str| {
        let all = picture.rules.iter().map(|r| width(of(r), 12)).chain([width(head, 12)]);
        all.max().unwrap_or(0) + 24
    };
    if picture.rules.is_empty() {
        return [0; 4];
    }
    let what = widest("firewalls let in", |r| &r.what);
    [what, widest("for", |r| r.of), widest("on", |r| &r.on), widest("from", |r| &r.from)]
}

/// The column of each node in halves of one, and how many columns there are. Hosts that have parts in several rows come
/// first, so that each stands in one column; rows that share such a host are moved together.
fn slots(nodes: &[Node]) -> (Vec<i32>, i32) {
    let mut order: Vec<usize> = (0..nodes.len()).collect();
    order.sort_by_key(|n| (nodes[*n].first == nodes[*n].last, nodes[*n].first, *n));
    let mut taken: BTreeSet<(Tier, i32)> = BTreeSet::new();
    let mut column = vec![0; nodes.len()];
    let tiers: BTreeSet<Tier> = nodes.iter().flat_map(|n| [n.first, n.last]).collect();
    for n in order {
        let covered: Vec<Tier> =
            tiers.iter().copied().filter(|t| (nodes[n].first..=nodes[n].last).contains(t)).collect();
        let is_free = |c: &i32| covered.iter().all(|t| !taken.contains(&(*t, *c)));
        let free = (0..).find(is_free).unwrap_or(0);
        taken.extend(covered.into_iter().map(|t| (t, free)));
        column[n] = free;
    }
    let widest = column.iter().max().map_or(1, |c| c + 1);
    // Each row belongs to the uppermost one that it shares a host with.
    let mut family: BTreeMap<Tier, Tier> = tiers.iter().map(|t| (*t, *t)).collect();
    for node in nodes {
        let top = family[&node.first];
        let joined: BTreeSet<Tier> = tiers.range(node.first..=node.last).map(|t| family[t]).collect();
        for known in family.values_mut().filter(|t| joined.contains(t)) {
            *known = top.min(*joined.first().unwrap_or(&top));
        }
    }
    let used = |top: Tier| {
        let of = (0..nodes.len()).filter(|n| family[&nodes[*n].first] == top);
        of.map(|n| column[n] + 1).max().unwrap_or(0)
    };
    let slots = (0..nodes.len()).map(|n| 2 * column[n] + widest - used(family[&nodes[n].first]));
    (slots.collect(), widest)
}

/// Where each row begins and how high it is, and where the last one ends with what hangs out of it.
fn rows(picture: &Picture) -> (BTreeMap<Tier, Rect>, i32) {
    let tiers: BTreeSet<Tier> = picture.nodes.iter().flat_map(|n| [n.first, n.last]).collect();
    let bows = |line: Line| {
        let n = picture.edges.iter().filter(|e| e.line == line && is_bow(picture, e)).count();
        i32::try_from(n).unwrap_or(0)
    };
    let room = |n: i32| if n == 0 { 0 } else { (BOW[0] + n * BOW[1]) * 3 / 4 + 22 };
    let mut y = MARGIN + TITLE + room(bows(Line::Asks));
    let mut rows = BTreeMap::new();
    let mut bottom = y;
    for tier in tiers {
        let heights = picture.nodes.iter().filter(|n| (n.first..=n.last).contains(&tier)).map(|n| height(n, tier));
        let h = heights.max().unwrap_or(0);
        rows.insert(tier, Rect { x: 0, y, w: 0, h });
        bottom = y + h;
        let hangs = if tier == Tier::Database { room(bows(Line::Replicates)) } else { 0 };
        bottom += hangs;
        y += h + GAP_Y + hangs;
    }
    (rows, bottom)
}

/// How much room a node needs in a row.
fn height(node: &Node, tier: Tier) -> i32 {
    match node.kind {
        Kind::Address => 34,
        Kind::Outside => 56,
        Kind::Host => {
            let parts = node.parts.iter().filter(|p| p.tier == tier).count();
            let head = if node.first == tier { HEAD } else { PAD };
            head + i32::try_from(parts).unwrap_or(0) * (PART + PAD)
        }
    }
}

fn card(node: &Node, x: i32, w: i32, rows: &BTreeMap<Tier, Rect>) -> Card {
    let of = |tier| rows.get(&tier).copied().unwrap_or_default();
    let (top, end) = (of(node.first), of(node.last));
    let place = match node.kind {
        Kind::Address => {
            let narrow = width(&node.name, SIZES[1]) + 36;
            Rect { x: x + (w - narrow) / 2, y: top.y, w: narrow, h: top.h }
        }
        _ => Rect { x, y: top.y, w, h: end.bottom() - top.y },
    };
    let mut used: BTreeMap<Tier, i32> = BTreeMap::new();
    let part = |tier: Tier| {
        let n = used.entry(tier).or_default();
        let head = if node.first == tier { HEAD } else { PAD };
        let y = of(tier).y + head + *n * (PART + PAD);
        *n += 1;
        Rect { x: x + PAD, y, w: w - 2 * PAD, h: PART }
    };
    Card { place, parts: node.parts.iter().map(|p| p.tier).map(part).collect() }
}

/// The row that an end of a line is in.
fn tier_of(picture: &Picture, (node, part): (usize, Option<usize>)) -> Tier {
    let node = &picture.nodes[node];
    part.map_or(node.first, |p| node.parts[p].tier)
}

/// Whether a line stays in its row and goes around what stands in between.
fn is_bow(picture: &Picture, edge: &Edge) -> bool {
    edge.line != Line::Moves && tier_of(picture, edge.from) == tier_of(picture, edge.to)
}

/// Where a line leaves or meets what it belongs to, going down: the card's edge where that is near, else the part's.
fn upright(picture: &Picture, cards: &[Card], (node, part): (usize, Option<usize>), leaves: bool) -> (i32, i32) {
    let card = &cards[node];
    let tier = tier_of(picture, (node, part));
    let is_end = if leaves { tier == picture.nodes[node].last } else { tier == picture.nodes[node].first };
    let place = part.filter(|_| !is_end).map_or(card.place, |p| card.parts[p]);
    (place.middle(), if leaves { place.bottom() } else { place.y })
}

fn curves(picture: &Picture, cards: &[Card]) -> Vec<Curve> {
    let mut ends: Vec<[(i32, i32); 2]> = Vec::new();
    for edge in &picture.edges {
        let (from, to) = (cards[edge.from.0].place, cards[edge.to.0].place);
        ends.push(if edge.line == Line::Moves {
            let y = cards[edge.from.0].parts.first().map_or(from.y + from.h / 2, |p| p.y + p.h / 2);
            [(from.x + from.w, y), (to.x, y)]
        } else if is_bow(picture, edge) {
            let side = |place: Rect| (place.middle(), if edge.line == Line::Asks { place.y } else { place.bottom() });
            [side(from), side(to)]
        } else {
            [upright(picture, cards, edge.from, true), upright(picture, cards, edge.to, false)]
        });
    }
    let spread = spread(picture, &ends);
    let mut bows: BTreeMap<Line, i32> = BTreeMap::new();
    let all = picture.edges.iter().zip(spread).map(|(edge, [(x1, y1), (x2, y2)])| {
        if edge.line == Line::Moves {
            return [(x1, y1), (x1, y1), (x2, y2), (x2, y2)];
        }
        if is_bow(picture, edge) {
            let n = bows.entry(edge.line).or_default();
            let depth = BOW[0] + *n * BOW[1];
            *n += 1;
            let y = if edge.line == Line::Asks { y1.min(y2) - depth } else { y1.max(y2) + depth };
            return [(x1, y1), (x1, y), (x2, y), (x2, y2)];
        }
        let lean = ((y2 - y1) / 2).max(12);
        [(x1, y1), (x1, y1 + lean), (x2, y2 - lean), (x2, y2)]
    });
    all.collect()
}

/// Lines that meet at one point are drawn apart, in the order of where they come from.
fn spread(picture: &Picture, ends: &[[(i32, i32); 2]]) -> Vec<[(i32, i32); 2]> {
    let mut meet: BTreeMap<(i32, i32), Vec<(usize, usize)>> = BTreeMap::new();
    for (n, both) in ends.iter().enumerate().filter(|(n, _)| picture.edges[*n].line != Line::Moves) {
        for (side, point) in both.iter().enumerate() {
            meet.entry(*point).or_default().push((n, side));
        }
    }
    let mut out = ends.to_vec();
    for mut all in meet.into_values() {
        all.sort_by_key(|(n, side)| (ends[*n][1 - side].0, picture.edges[*n].line, *n));
        let many = i32::try_from(all.len()).unwrap_or(1);
        let step = (120 / many).min(22);
        for (at, (n, side)) in (0..).zip(all) {
            out[n][side].0 += at * step - (many - 1) * step / 2;
        }
    }
    out
}

/// What is said of several lines that mean the same between the same rows is said once, in the middle of them.
fn labels(picture: &Picture, layout: &Layout, rows: &BTreeMap<Tier, Rect>) -> Vec<Label> {
    let mut bundles: BTreeMap<(Tier, Tier, Line, &str), Vec<usize>> = BTreeMap::new();
    for (n, edge) in picture.edges.iter().enumerate() {
        let key = (tier_of(picture, edge.from), tier_of(picture, edge.to), edge.line, edge.label.as_str());
        bundles.entry(key).or_default().push(n);
    }
    let mut at_height: BTreeMap<i32, Vec<Label>> = BTreeMap::new();
    for ((from, to, line, text), edges) in bundles {
        let of = |n: &usize| layout.curves[*n];
        let middle = |c: Curve| i32::midpoint(c[0].0, c[3].0);
        let count = i32::try_from(edges.len()).unwrap_or(1).max(1);
        let mut x = edges.iter().map(|n| middle(of(n))).sum::<i32>() / count;
        let y = if line == Line::Moves {
            x = edges.first().map_or(x, |n| middle(of(n)));
            edges.first().map_or(0, |n| of(n)[0].1 - 10)
        } else if from == to {
            let farthest = |c: Curve| (c[0].1 + 3 * c[1].1) / 4;
            let all = edges.iter().map(|n| farthest(of(n)));
            if line == Line::Asks { all.min().unwrap_or(0) - 10 } else { all.max().unwrap_or(0) + 13 }
        } else {
            let above = rows.get(&from).map_or(0, |r| r.y + r.h);
            above + GAP_Y / 2
        };
        at_height.entry(y).or_default().push(Label { x, y, text: text.to_owned(), line });
    }
    at_height.into_values().flat_map(|labels| apart(labels, layout.left, layout.width - MARGIN)).collect()
}

/// Moves labels of one height apart, within bounds.
fn apart(mut labels: Vec<Label>, left: i32, right: i32) -> Vec<Label> {
    let half = |label: &Label| width(&label.text, SIZES[2]) / 2 + 9;
    labels.sort_by_key(|l| l.x);
    let mut until = left;
    for label in &mut labels {
        label.x = label.x.max(until + half(label));
        until = label.x + half(label) + 6;
    }
    // What was pushed too far comes back as far as there is room, half of the way where there is no need.
    let mut until = right;
    for label in labels.iter_mut().rev() {
        label.x = label.x.min(until - half(label));
        until = label.x - half(label) - 6;
    }
    labels
}
