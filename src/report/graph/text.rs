//! The picture as text for others to draw: Mermaid's flowcharts and Graphviz's DOT. Both lay it out by themselves.

use super::{
    picture::{Edge, Kind, Line, Node, Picture, Tier},
    rules::Rule,
};
use crate::report::style::harmless;

/// What a line's end is called: a part of a host, or a node as a whole.
fn end(picture: &Picture, (node, part): (usize, Option<usize>)) -> String {
    let node = &picture.nodes[node];
    match (part, node.parts.first()) {
        (Some(part), _) => format!("{}_{}", node.id, word(node.parts[part].component)),
        (None, Some(first)) => format!("{}_{}", node.id, word(first.component)),
        (None, None) => node.id.clone(),
    }
}

/// A component's name as a part of an identifier.
fn word(component: &str) -> String {
    component.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}

fn is_dashed(line: Line) -> bool {
    matches!(line, Line::StandsBy | Line::Replicates | Line::Moves)
}

fn opening(rule: &Rule) -> String {
    format!("{} ({}) on {} from {}", rule.what, rule.of, rule.on, rule.from)
}

/// What a request goes through on one host, in pairs: what stands below each other in a card has to be said in text.
fn inner(node: &Node) -> Vec<[String; 2]> {
    let way = ["nginx", "app", "paths"].into_iter().filter(|c| node.parts.iter().any(|p| p.component == *c));
    let ids: Vec<String> = way.map(|c| format!("{}_{c}", node.id)).collect();
    ids.windows(2).map(|pair| [pair[0].clone(), pair[1].clone()]).collect()
}

/// As a Mermaid flowchart.
pub fn mermaid(picture: &Picture) -> String {
    let said = |text: &str| {
        let text = harmless(text).into_owned();
        text.replace('#', "#35;").replace('"', "#quot;").replace('<', "#lt;").replace('>', "#gt;").replace('&', "#amp;")
    };
    let mut out = format!(
        "flowchart TB\n  accTitle: {}\n  accDescr: {}\n",
        said(&format!("The topology of {}", picture.site)),
        said(&picture.described())
    );
    for node in &picture.nodes {
        let label = [&node.name, &node.note].map(|t| said(t));
        match node.kind {
            Kind::Outside => out += &format!("  {}([\"{}<br/>{}\"])\n", node.id, label[0], label[1]),
            Kind::Address => out += &format!("  {}([\"{}\"])\n", node.id, label[0]),
            Kind::Host if node.parts.is_empty() => {
                out += &format!("  {}[\"{}<br/>{}\"]\n", node.id, label[0], label[1])
            }
            Kind::Host => {
                out += &format!("  subgraph {}[\"{}, {}\"]\n", node.id, label[0], label[1]);
                for part in &node.parts {
                    let id = format!("{}_{}", node.id, word(part.component));
                    out += &format!("    {id}[\"{}<br/>{}\"]\n", said(&part.title), said(&part.note));
                }
                for [from, to] in inner(node) {
                    out += &format!("    {from} --> {to}\n");
                }
                out += "  end\n";
            }
        }
    }
    for edge in &picture.edges {
        let arrow = match (edge.line, is_dashed(edge.line)) {
            (Line::Moves, _) => "<-.->",
            (_, true) => "-.->",
            (_, false) => "-->",
        };
        let (from, to) = (end(picture, edge.from), end(picture, edge.to));
        out += &format!("  {from} {arrow}|\"{}\"| {to}\n", said(&edge.label));
    }
    if !picture.rules.is_empty() {
        let lines: Vec<String> = picture.rules.iter().map(|r| said(&opening(r))).collect();
        out += &format!("  firewalls[\"firewalls let in<br/>{}\"]\n", lines.join("<br/>"));
        out += "  style firewalls text-align:left\n";
    }
    out
}

/// As a directed graph of Graphviz.
pub fn dot(picture: &Picture) -> String {
    let said = |text: &str| harmless(text).replace('\\', "\\\\").replace('"', "\\\"");
    let mut out = String::from("digraph topology {\n");
    let lines: Vec<String> = picture.rules.iter().map(|r| format!("{}\\l", said(&opening(r)))).collect();
    let head = format!("The topology of {}\\n\\nfirewalls let in:\\l", said(&picture.site));
    out += &format!(
        "  graph [rankdir=TB, newrank=true, nodesep=0.5, ranksep=0.9, fontname=\"sans-serif\", fontsize=11, label=\"{head}{}\"]\n",
        lines.concat()
    );
    out += "  node [shape=box, style=\"rounded,filled\", fillcolor=white, fontname=\"sans-serif\", fontsize=11]\n";
    out += "  edge [fontname=\"sans-serif\", fontsize=9]\n";
    for (n, node) in picture.nodes.iter().enumerate() {
        let label = [&node.name, &node.note].map(|t| said(t));
        match node.kind {
            Kind::Host if !node.parts.is_empty() => {
                let style = "style=\"rounded,filled\", fillcolor=\"#f6f8fa\", fontsize=12";
                out +=
                    &format!("  subgraph cluster_{n} {{\n    graph [label=\"{}\\n{}\", {style}]\n", label[0], label[1]);
                for part in &node.parts {
                    let id = format!("{}_{}", node.id, word(part.component));
                    out += &format!("    {id} [label=\"{}\\n{}\"]\n", said(&part.title), said(&part.note));
                }
                for [from, to] in inner(node) {
                    out += &format!("    {from} -> {to}\n");
                }
                out += "  }\n";
            }
            Kind::Host => out += &format!("  {} [label=\"{}\\n{}\"]\n", node.id, label[0], label[1]),
            _ => out += &format!("  {} [shape=ellipse, label=\"{}\\n{}\"]\n", node.id, label[0], label[1]),
        }
    }
    for edge in &picture.edges {
        let (from, to) = (end(picture, edge.from), end(picture, edge.to));
        out += &format!("  {from} -> {to} [label=\"{}\"{}]\n", said(&edge.label), shape(picture, edge));
    }
    out + "}\n"
}

/// How a line is drawn: dashed where nothing of a visitor's goes there, and without a say in the order of rows where it
/// stays in one.
fn shape(picture: &Picture, edge: &Edge) -> String {
    let mut out = String::new();
    if is_dashed(edge.line) {
        out += ", style=dashed";
    }
    if edge.line == Line::Moves {
        out += ", dir=both";
    }
    let tier = |(node, part): (usize, Option<usize>)| -> Tier {
        let node = &picture.nodes[node];
        part.map_or(node.first, |p| node.parts[p].tier)
    };
    if tier(edge.from) == tier(edge.to) {
        out += ", constraint=false";
    }
    out
}
