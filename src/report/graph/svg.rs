//! The picture as SVG 1.1 with a style of its own, light and dark as the reader has it. Nothing outside of it is needed, and
//! none of its styles reaches beyond it where it stands inside a page.

use super::{
    layout::{self, Card, HEAD, Layout, MARGIN, PAD, ROW, SIZES, fitted},
    picture::{Kind, Line, Node, Picture},
};
use crate::{base::name::HostName, report::style::harmless};
use std::collections::BTreeMap;

/// How something fared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mark {
    /// All that was looked at holds.
    Pass,
    /// Something could not be looked at.
    Error,
    /// Something does not hold.
    Fail,
}

/// How hosts and what runs on them fared, where that is known.
#[derive(Clone, Debug, Default)]
pub struct Marks {
    /// Hosts as a whole.
    pub hosts: BTreeMap<HostName, Mark>,
    /// A component on a host.
    pub parts: BTreeMap<(HostName, &'static str), Mark>,
}

const STYLE: &str = "\
.foobar-graph{font-family:system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif}
.foobar-graph text{fill:#1f2328;stroke:none}
.foobar-graph .ground{fill:#ffffff;stroke:#d0d7de}
.foobar-graph .card{fill:#f6f8fa;stroke:#afb8c1}
.foobar-graph .part{fill:#ffffff;stroke:#d0d7de}
.foobar-graph .dim{fill:#59636e}
.foobar-graph .said{fill:#ffffff;stroke:none}
.foobar-graph .rule{stroke:#d0d7de}
.foobar-graph .line{fill:none;stroke-width:1.6}
.foobar-graph .requests{stroke:#0969da}.foobar-graph .fill-requests{fill:#0969da}
.foobar-graph .asks{stroke:#8250df}.foobar-graph .fill-asks{fill:#8250df}
.foobar-graph .writes{stroke:#bc4c00}.foobar-graph .fill-writes{fill:#bc4c00}
.foobar-graph .reads{stroke:#1a7f37}.foobar-graph .fill-reads{fill:#1a7f37}
.foobar-graph .quiet{stroke:#6e7781;stroke-dasharray:5 4}.foobar-graph .fill-quiet{fill:#59636e}
.foobar-graph .pass{stroke:#1a7f37;stroke-width:1.8}.foobar-graph .fill-pass{fill:#1a7f37}
.foobar-graph .fail{stroke:#cf222e;stroke-width:2.6}.foobar-graph .fill-fail{fill:#cf222e}
.foobar-graph .error{stroke:#9a6700;stroke-width:2.2}.foobar-graph .fill-error{fill:#9a6700}
@media (prefers-color-scheme:dark){
.foobar-graph text{fill:#e6edf3}
.foobar-graph .ground{fill:#0d1117;stroke:#30363d}
.foobar-graph .card{fill:#161b22;stroke:#444c56}
.foobar-graph .part{fill:#21262d;stroke:#3d444d}
.foobar-graph .dim{fill:#9198a1}
.foobar-graph .said{fill:#0d1117}
.foobar-graph .rule{stroke:#30363d}
.foobar-graph .requests{stroke:#4493f8}.foobar-graph .fill-requests{fill:#4493f8}
.foobar-graph .asks{stroke:#ab7df8}.foobar-graph .fill-asks{fill:#ab7df8}
.foobar-graph .writes{stroke:#f0883e}.foobar-graph .fill-writes{fill:#f0883e}
.foobar-graph .reads{stroke:#3fb950}.foobar-graph .fill-reads{fill:#3fb950}
.foobar-graph .quiet{stroke:#8b949e}.foobar-graph .fill-quiet{fill:#9198a1}
.foobar-graph .pass{stroke:#3fb950}.foobar-graph .fill-pass{fill:#3fb950}
.foobar-graph .fail{stroke:#f85149}.foobar-graph .fill-fail{fill:#f85149}
.foobar-graph .error{stroke:#d29922}.foobar-graph .fill-error{fill:#d29922}
}
";

/// Draws it.
pub fn draw(picture: &Picture, marks: &Marks) -> String {
    let layout = layout::lay(picture);
    let (w, h) = (layout.width, layout.height);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"foobar-graph\" width=\"{w}\" height=\"{h}\" viewBox=\"0 0 {w} {h}\" \
         role=\"img\" aria-labelledby=\"foobar-graph-title foobar-graph-desc\">\n"
    );
    out += &format!(
        "<title id=\"foobar-graph-title\">{}</title>\n",
        escaped(&format!("The topology of {}", picture.site))
    );
    out += &format!("<desc id=\"foobar-graph-desc\">{}</desc>\n", escaped(&picture.described()));
    out += &format!("<style>\n{STYLE}</style>\n<defs>\n");
    for (name, fill) in
        [("requests", "requests"), ("asks", "asks"), ("writes", "writes"), ("reads", "reads"), ("quiet", "quiet")]
    {
        out += &format!(
            "<marker id=\"foobar-graph-{name}\" viewBox=\"0 0 10 10\" refX=\"9\" refY=\"5\" markerWidth=\"7\" markerHeight=\"7\" \
             orient=\"auto-start-reverse\"><path class=\"fill-{fill}\" d=\"M0 0L10 5L0 10z\"/></marker>\n"
        );
    }
    out += &format!(
        "</defs>\n<rect class=\"ground\" x=\"0.5\" y=\"0.5\" width=\"{}\" height=\"{}\" rx=\"10\"/>\n",
        w - 1,
        h - 1
    );
    heading(&mut out, picture);
    captions(&mut out, picture, &layout);
    for (node, card) in picture.nodes.iter().zip(&layout.cards) {
        frame(&mut out, node, card, marks);
    }
    for (edge, [(x1, y1), (x2, y2), (x3, y3), (x4, y4)]) in picture.edges.iter().zip(&layout.curves) {
        let class = class(edge.line);
        let both = if edge.line == Line::Moves {
            format!(" marker-start=\"url(#foobar-graph-{class})\"")
        } else {
            String::new()
        };
        out += &format!(
            "<path class=\"line {class}\" d=\"M{x1} {y1}C{x2} {y2} {x3} {y3} {x4} {y4}\"{both} marker-end=\"url(#foobar-graph-{class})\"/>\n"
        );
    }
    for (node, card) in picture.nodes.iter().zip(&layout.cards) {
        parts(&mut out, node, card, marks);
    }
    for label in &layout.labels {
        let half = layout::width(&label.text, SIZES[2]) / 2 + 7;
        out += &format!(
            "<rect class=\"said\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"18\" rx=\"9\"/>\n",
            label.x - half,
            label.y - 9,
            2 * half
        );
        let class = format!("fill-{}", class(label.line));
        text(
            &mut out,
            &Text { x: label.x, y: label.y + 4, size: SIZES[2], class: &class, is_middle: true },
            &label.text,
        );
    }
    table(&mut out, picture, &layout);
    out + "</svg>\n"
}

fn class(line: Line) -> &'static str {
    match line {
        Line::Requests => "requests",
        Line::Asks => "asks",
        Line::Writes => "writes",
        Line::Reads => "reads",
        Line::StandsBy | Line::Replicates | Line::Moves => "quiet",
    }
}

/// Where and how a text stands.
struct Text<'a> {
    x: i32,
    y: i32,
    size: i32,
    class: &'a str,
    is_middle: bool,
}

fn text(out: &mut String, at: &Text<'_>, said: &str) {
    let Text { x, y, size, class, is_middle } = at;
    let class = if class.is_empty() { String::new() } else { format!(" class=\"{class}\"") };
    let anchor = if *is_middle { " text-anchor=\"middle\"" } else { "" };
    let weight = if *size >= SIZES[0] { " font-weight=\"600\"" } else { "" };
    *out +=
        &format!("<text x=\"{x}\" y=\"{y}\" font-size=\"{size}\"{weight}{anchor}{class}>{}</text>\n", escaped(said));
}

fn heading(out: &mut String, picture: &Picture) {
    let left = Text { x: MARGIN, y: MARGIN + 12, size: 17, class: "", is_middle: false };
    text(out, &left, &picture.site);
    if !picture.aliases.is_empty() {
        let said = format!("also {}", picture.aliases.join(", "));
        text(out, &Text { y: MARGIN + 30, size: SIZES[2] + 1, class: "dim", ..left }, &said);
    }
}

fn captions(out: &mut String, picture: &Picture, layout: &Layout) {
    for ((_, what, how), y) in picture.captions.iter().zip(&layout.captions) {
        let at = Text { x: MARGIN, y: *y, size: SIZES[1], class: "", is_middle: false };
        text(out, &at, what);
        if !how.is_empty() {
            text(out, &Text { y: *y + 16, size: SIZES[2], class: "dim", ..at }, how);
        }
    }
}

fn mark_class(mark: Option<Mark>) -> &'static str {
    match mark {
        None => "",
        Some(Mark::Pass) => " pass",
        Some(Mark::Error) => " error",
        Some(Mark::Fail) => " fail",
    }
}

/// A sign for who cannot tell the colours apart.
fn sign(out: &mut String, mark: Option<Mark>, x: i32, y: i32) {
    let Some(mark) = mark else { return };
    let (said, class) = match mark {
        Mark::Pass => ("✓", "fill-pass"),
        Mark::Error => ("!", "fill-error"),
        Mark::Fail => ("✗", "fill-fail"),
    };
    text(out, &Text { x, y, size: SIZES[0], class, is_middle: true }, said);
}

fn host(node: &Node) -> Option<HostName> {
    (node.kind == Kind::Host).then(|| node.name.parse().ok()).flatten()
}

fn frame(out: &mut String, node: &Node, card: &Card, marks: &Marks) {
    let layout::Rect { x, y, w, h } = card.place;
    let radius = match node.kind {
        Kind::Host => 8,
        _ => h.min(56) / 2,
    };
    let mark = host(node).and_then(|name| marks.hosts.get(&name).copied());
    *out += &format!(
        "<g><title>{}</title><rect class=\"card{}\" x=\"{x}\" y=\"{y}\" width=\"{w}\" height=\"{h}\" rx=\"{radius}\"/></g>\n",
        escaped(format!("{} {}", node.name, node.note).trim()),
        mark_class(mark)
    );
}

fn parts(out: &mut String, node: &Node, card: &Card, marks: &Marks) {
    let layout::Rect { x, y, w, h } = card.place;
    let (middle, room) = (x + w / 2, w - 2 * PAD);
    let name = fitted(&node.name, SIZES[0], room - 24);
    let at = |x, y, size, class, is_middle| Text { x, y, size, class, is_middle };
    match node.kind {
        Kind::Address => return text(out, &at(middle, y + h / 2 + 5, SIZES[1], "", true), &node.name),
        Kind::Outside => {
            text(out, &at(middle, y + h / 2 - 3, SIZES[0], "", true), &name);
            return text(out, &at(middle, y + h / 2 + 14, SIZES[2], "dim", true), &fitted(&node.note, SIZES[2], room));
        }
        Kind::Host => {}
    }
    text(out, &at(x + PAD + 2, y + 21, SIZES[0], "", false), &name);
    text(out, &at(x + PAD + 2, y + HEAD - 10, SIZES[2], "dim", false), &fitted(&node.note, SIZES[2], room));
    let of = host(node);
    sign(out, of.as_ref().and_then(|name| marks.hosts.get(name).copied()), x + w - 18, y + 22);
    for (part, place) in node.parts.iter().zip(&card.parts) {
        let layout::Rect { x, y, w, h } = *place;
        let mark = of.as_ref().and_then(|name| marks.parts.get(&(name.clone(), part.component)).copied());
        *out += &format!(
            "<rect class=\"part{}\" x=\"{x}\" y=\"{y}\" width=\"{w}\" height=\"{h}\" rx=\"6\"/>\n",
            mark_class(mark)
        );
        let (room, sign_room) = (w - 2 * PAD, if mark.is_some() { 18 } else { 0 });
        text(out, &at(x + PAD, y + 18, SIZES[1], "", false), &fitted(&part.title, SIZES[1], room - sign_room));
        text(out, &at(x + PAD, y + 35, SIZES[2], "dim", false), &fitted(&part.note, SIZES[2], room));
        sign(out, mark, x + w - 15, y + 20);
    }
}

fn table(out: &mut String, picture: &Picture, layout: &Layout) {
    if picture.rules.is_empty() {
        return;
    }
    let y = layout.table;
    *out += &format!("<path class=\"rule\" d=\"M{MARGIN} {}H{}\"/>\n", y + 6, layout.width - MARGIN);
    let row = |out: &mut String, y, class, said: [&str; 4]| {
        for (x, said) in layout.columns.into_iter().zip(said) {
            text(out, &Text { x, y, size: 12, class, is_middle: false }, said);
        }
    };
    row(out, y, "dim", ["firewalls let in", "for", "on", "from"]);
    for (n, rule) in (1..).zip(&picture.rules) {
        row(out, y + 4 + n * ROW, "", [&rule.what, rule.of, &rule.on, &rule.from]);
    }
}

/// Text as XML has it.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in harmless(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c => out.push(c),
        }
    }
    out
}
