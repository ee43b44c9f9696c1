//! Snapshots of the three formats, and what holds for every picture.

use super::{
    layout::{self, Layout, fitted, width},
    picture::{Kind, Line, Picture, Tier},
    svg::{Mark, Marks, escaped},
    *,
};
use crate::component::{
    Endpoint, Peers,
    spec::{Allow, Dns, Mode, Protocol, Served, Topology},
    testing,
};

fn with_names(mut t: Topology, on: &[&str]) -> Topology {
    let served = match on {
        [] => Served::External,
        on => Served::Own {
            on: on.iter().map(|h| h.parse().unwrap()).collect(),
            zone: "foobar.com".parse().unwrap(),
            elsewhere: Vec::new(),
        },
    };
    t.dns = Some(Dns { served, ttl: None, caa: Vec::new() });
    t
}

/// Nine hosts: names, two balancers, three web servers, a database of three, one of them a web server too.
fn nine() -> Topology {
    let mut t = testing::pair(Mode::ActiveActive);
    let more = [("ns-01", 53), ("ns-02", 54), ("web-03", 23), ("db-01", 31), ("db-02", 32)];
    t.hosts.extend(more.map(|(name, n)| testing::host(name, n)));
    let web: Vec<_> = ["web-01", "web-02", "web-03"].map(|h| h.parse().unwrap()).to_vec();
    t.nginx.as_mut().unwrap().on = web.clone();
    t.app.as_mut().unwrap().on = web.clone();
    let mysql = t.mysql.as_mut().unwrap();
    mysql.primary = "db-01".parse().unwrap();
    mysql.replicas = vec!["db-02".parse().unwrap(), web[2].clone()];
    t.firewall.admin_from = vec!["10.77.0.0/24".parse().unwrap()];
    t.firewall.allow = vec![Allow { on: Vec::new(), protocol: Protocol::Udp, port: 161, from: Vec::new() }];
    with_names(t, &["ns-01", "ns-02", "lb-02"])
}

/// A host of its own measures the others.
fn apart() -> Topology {
    let mut t = testing::watched();
    t.hosts.push(testing::host("mon-01", 41));
    t.monitoring.as_mut().unwrap().on = vec!["mon-01".parse().unwrap()];
    t
}

fn without(mut t: Topology, what: &str) -> Topology {
    match what {
        "balancer" => t.haproxy = None,
        "database" => t.mysql = None,
        "web" => (t.nginx, t.app) = (None, None),
        _ => t.mysql.as_mut().unwrap().replicas.clear(),
    }
    t
}

fn all() -> Vec<Site> {
    let three = testing::topology;
    let mut long = three();
    long.hosts[0] = testing::host(&"l".repeat(63), 11);
    long.haproxy.as_mut().unwrap().on = vec![long.hosts[0].name.clone()];
    long.hosts[1].address = "2001:db8:1234:5678:9abc:def0:1234:5678".parse().unwrap();
    let mut wide = three();
    for n in 3..=20 {
        wide.hosts.push(testing::host(&format!("web-{n:02}"), 20 + n));
        let name = wide.hosts.last().unwrap().name.clone();
        wide.nginx.as_mut().unwrap().on.push(name.clone());
        wide.app.as_mut().unwrap().on.push(name);
    }
    let mut idle = three();
    idle.hosts.push(testing::host("spare-01", 99));
    let both = with_names(three(), &["lb-01", "web-01"]);
    let all = [
        three(),
        testing::pair(Mode::ActivePassive),
        nine(),
        with_names(three(), &[]),
        both,
        long,
        wide,
        idle,
        apart(),
        testing::watched(),
        without(three(), "balancer"),
        without(three(), "database"),
        without(three(), "web"),
        without(three(), "replicas"),
    ];
    all.into_iter().map(testing::site).collect()
}

#[test]
fn the_three_formats() {
    insta::assert_snapshot!("three-svg", draw(&testing::site(testing::topology()), Format::Svg));
    for (name, format) in [("nine-mermaid", Format::Mermaid), ("nine-dot", Format::Dot)] {
        insta::assert_snapshot!(name, draw(&testing::site(nine()), format));
    }
}

/// Where everything is, in numbers: a change that moves things shows here.
#[test]
fn nine_hosts_laid_out() {
    let picture = Picture::of(&testing::site(nine()));
    let layout = layout::lay(&picture);
    let mut out = format!("{} x {}\n", layout.width, layout.height);
    for (node, card) in picture.nodes.iter().zip(&layout.cards) {
        let layout::Rect { x, y, w, h } = card.place;
        out += &format!("{:12} {x:4} {y:4} {w:4} {h:4}\n", node.name);
    }
    for label in &layout.labels {
        out += &format!("{:4} {:4} {}\n", label.x, label.y, label.text);
    }
    insta::assert_snapshot!(out);
}

fn meets(a: layout::Rect, b: layout::Rect) -> bool {
    a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h
}

#[test]
fn nothing_covers_anything_else_and_all_is_within_the_picture() {
    for site in all() {
        let picture = Picture::of(&site);
        let layout @ Layout { width: w, height: h, .. } = &layout::lay(&picture);
        let is_inside = |x, y| (0..=*w).contains(&x) && (0..=*h).contains(&y);
        for (n, card) in layout.cards.iter().enumerate() {
            let place = card.place;
            assert!(is_inside(place.x, place.y) && is_inside(place.x + place.w, place.y + place.h), "{place:?}");
            for other in &layout.cards[n + 1..] {
                assert!(!meets(place, other.place), "{place:?} {other:?}");
            }
            for (m, part) in card.parts.iter().enumerate() {
                assert!(part.x > place.x && part.x + part.w < place.x + place.w, "{part:?} {place:?}");
                assert!(part.y > place.y && part.y + part.h < place.y + place.h, "{part:?} {place:?}");
                assert!(card.parts[m + 1..].iter().all(|other| !meets(*part, *other)));
            }
        }
        for (n, label) in layout.labels.iter().enumerate() {
            let half = width(&label.text, layout::SIZES[2]) / 2;
            assert!(is_inside(label.x - half, label.y) && is_inside(label.x + half, label.y), "{label:?}");
            let rect = |l: &layout::Label| {
                let half = width(&l.text, layout::SIZES[2]) / 2;
                layout::Rect { x: l.x - half, y: l.y - 8, w: 2 * half, h: 16 }
            };
            assert!(layout.labels[n + 1..].iter().all(|other| !meets(rect(label), rect(other))), "{label:?}");
        }
        for curve in &layout.curves {
            assert!(curve.iter().all(|(x, y)| is_inside(*x, *y)), "{curve:?}");
        }
    }
}

#[test]
fn every_host_stands_there_once_and_every_line_means_something() {
    for site in all() {
        let picture = Picture::of(&site);
        for host in site.hosts() {
            assert_eq!(picture.nodes.iter().filter(|n| n.name == host.as_str()).count(), 1, "{host}");
        }
        let (lines, edges) = (|line| picture.edges.iter().filter(move |e| e.line == line).count(), &picture.edges);
        let t = &site.topology;
        let replicas = t.mysql.as_ref().map_or(0, |m| m.replicas.len());
        let apps = t.app.as_ref().filter(|_| t.mysql.is_some()).map_or(0, |a| a.on.len());
        assert_eq!((lines(Line::Replicates), lines(Line::Reads)), (replicas, replicas * apps), "{edges:#?}");
        assert_eq!(lines(Line::Writes), apps);
        assert!(edges.iter().all(|e| !e.label.is_empty()));
    }
}

/// Tags open and close in their order, and nothing stands bare that would have to be escaped.
fn well_formed(text: &str) {
    let mut open: Vec<&str> = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find('<') {
        let bare = &rest[..at];
        assert!(!bare.contains('>'), "{bare}");
        for (n, _) in bare.match_indices('&') {
            let entity = &bare[n..n + bare[n..].find(';').unwrap_or_else(|| panic!("{bare}")) + 1];
            assert!(["&amp;", "&lt;", "&gt;", "&quot;"].contains(&entity), "{entity}");
        }
        let end = at + rest[at..].find('>').expect("a tag ends");
        let tag = &rest[at + 1..end];
        rest = &rest[end + 1..];
        assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
        match tag.strip_prefix('/') {
            Some(name) => assert_eq!(open.pop(), Some(name)),
            None if tag.ends_with('/') => {}
            None => open.push(tag.split(' ').next().unwrap_or(tag)),
        }
    }
    assert!(open.is_empty() && rest.trim().is_empty(), "{open:?} {rest}");
}

#[test]
fn every_picture_is_well_formed_and_the_same_each_time() {
    for site in all() {
        let svg = draw(&site, Format::Svg);
        well_formed(&svg);
        assert_eq!(svg, draw(&site, Format::Svg));
        assert!(svg.contains("<title id=") && svg.contains("<desc id=") && svg.contains("role=\"img\""));
        // The only address is the one that says that it is SVG: a reader is led nowhere.
        assert_eq!(svg.matches("http").count(), 1, "{svg}");
        for bad in ["<script", "href", "@import", "url(h"] {
            assert!(!svg.contains(bad), "{bad}");
        }
    }
}

#[test]
fn text_from_anywhere_stays_text() {
    assert_eq!(escaped("<b a=\"1\">&\u{1b}[2J"), "&lt;b a=&quot;1&quot;&gt;&amp;␛[2J");
    let mut picture = Picture::of(&testing::site(testing::topology()));
    for node in &mut picture.nodes {
        node.name = "a\"]<script>&#\\".into();
    }
    let svg = svg::draw(&picture, &Marks::default());
    well_formed(&svg);
    assert!(!svg.contains("<script"));
    let mermaid = text::mermaid(&picture);
    assert!(mermaid.contains("subgraph host0[\"a#quot;]#lt;script#gt;#amp;#35;\\, 10.77.0.11\"]"), "{mermaid}");
    let dot = text::dot(&picture);
    assert!(dot.contains("label=\"a\\\"]<script>&#\\\\\\n10.77.0.11\""), "{dot}");
}

#[test]
fn a_long_text_is_cut_and_a_short_one_is_not() {
    assert_eq!(fitted("web-01", 15, 200), "web-01");
    let cut = fitted(&"w".repeat(63), 15, 200);
    assert!(cut.ends_with('…') && width(&cut, 15) <= 200, "{cut}");
}

#[test]
fn what_fared_badly_is_marked_by_more_than_a_colour() {
    let site = testing::site(testing::topology());
    let picture = Picture::of(&site);
    let web = || "web-01".parse().unwrap();
    let marks = Marks { hosts: [(web(), Mark::Fail)].into(), parts: [((web(), "mysql"), Mark::Error)].into() };
    let svg = svg::draw(&picture, &marks);
    well_formed(&svg);
    assert_eq!(svg.matches("class=\"card fail\"").count(), 1);
    assert_eq!(svg.matches("class=\"part error\"").count(), 1);
    assert!(svg.contains(">✗</text>") && svg.contains(">!</text>"));
    let unmarked = svg::draw(&picture, &Marks::default());
    assert!(!unmarked.contains("✗") && !unmarked.contains("card fail"));
}

#[test]
fn components_that_the_picture_does_not_know_are_shown_by_their_names() {
    let mut t = testing::topology();
    t.hosts.push(testing::host("mon-01", 41));
    let site = testing::site(t);
    let endpoint = |host: &str, port, from| Endpoint {
        component: "watching",
        host: host.parse().unwrap(),
        protocol: Protocol::Tcp,
        port,
        from,
    };
    let picture = Picture::with(
        &site,
        &[
            endpoint("mon-01", 9090, Peers::Loopback),
            endpoint("mon-01", 9093, Peers::Anyone),
            endpoint("web-01", 9100, Peers::Hosts(vec!["mon-01".parse().unwrap()])),
        ],
    );
    let of = |host: &str| {
        let node = picture.nodes.iter().find(|n| n.name == host).unwrap();
        node.parts.iter().map(|p| (p.tier, format!("{}: {}", p.title, p.note))).collect::<Vec<_>>()
    };
    assert_eq!(of("mon-01"), [(Tier::Other, "watching: ports 9090, 9093".to_owned())]);
    assert_eq!(of("web-01").last(), Some(&(Tier::Database, "watching: port 9100".to_owned())));
    let idle = Picture::of(&site);
    let node = idle.nodes.iter().find(|n| n.name == "mon-01").unwrap();
    assert!(node.kind == Kind::Host && node.parts.is_empty() && node.first == Tier::Other);
}

#[test]
fn who_watches_is_told_from_who_is_measured() {
    let picture = Picture::of(&testing::site(apart()));
    let of = |host: &str| {
        let node = picture.nodes.iter().find(|n| n.name == host).unwrap();
        node.parts.last().map(|p| (p.tier, p.title.clone())).unwrap()
    };
    assert_eq!(of("mon-01"), (Tier::Other, "Prometheus, Alertmanager".to_owned()));
    assert_eq!(of("web-01"), (Tier::Database, "exporters".to_owned()));
    let caption = |picture: &Picture| {
        picture.captions.iter().any(|(tier, what, _)| (*tier, *what) == (Tier::Other, "monitoring"))
    };
    assert!(caption(&picture));
    // One that does something else as well stands in the row of that.
    assert!(!caption(&Picture::of(&testing::site(testing::watched()))));
}

/// Where Graphviz is there, it accepts what is written for it.
#[test]
fn graphviz_takes_it() {
    use std::{
        io::Write as _,
        process::{Command, Stdio},
    };
    for site in all() {
        let mut dot = Command::new("dot");
        let child = dot.arg("-Tsvg").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let Ok(mut child) = child.spawn() else { return };
        child.stdin.take().unwrap().write_all(draw(&site, Format::Dot).as_bytes()).unwrap();
        let done = child.wait_with_output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }
}
