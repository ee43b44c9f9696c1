//! Which line of a template is behind each line of what it renders, and which of its variables were printed there. It is
//! told by the renderer itself: the template is rendered once more with private marks in it, and what comes out is
//! believed only if it is the very same text once the marks are taken off. What the variables mean is not known here.

use super::{
    scan::{self, Kind, Name, Piece, names},
    template::{TemplateError, Templates},
};
use std::collections::BTreeMap;

/// Begins the mark of a piece and a line of it: `ID,LINE` stands before [`END`].
const LINE: char = '\u{f100}';
/// Begins the mark of what an expression prints.
const PRINT: char = '\u{f101}';
/// Ends it.
const PRINTED: char = '\u{f102}';
/// Begins the mark of one turn of a loop: `ID,INDEX`.
const TURN: char = '\u{f103}';
/// Ends it.
const TURNED: char = '\u{f104}';
/// Ends what a mark says.
const END: char = '\u{f105}';
/// Parts a text from the tag behind it: `{` before `{%` would be read as another one.
const GAP: char = '\u{f106}';

/// A rendered text and where it came from.
#[derive(Clone, Debug)]
pub struct Traced {
    /// The text.
    pub text: String,
    /// Its lines; none where the marked rendering was another one, so that nothing can be told for sure.
    pub lines: Option<Vec<Line>>,
}

/// Where a line came from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// The template's lines, from 1, the one it begins with first.
    pub template: Vec<usize>,
    /// What was printed on it.
    pub printed: Vec<Part>,
    /// The blocks that it stands in, the outermost first.
    pub within: Vec<Part>,
}

/// An expression or a block, and what it speaks of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// As it is written in the template, without braces.
    pub text: String,
    /// The variables of the context that it uses.
    pub uses: Vec<Use>,
}

/// A variable of the context in use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Use {
    /// Its name.
    pub variable: String,
    /// Which of its items, where it is a list that is gone through.
    pub item: Option<usize>,
    /// Which field of it.
    pub field: Option<String>,
}

/// Renders a template and traces what came out.
pub fn trace(templates: &Templates, name: &str, context: &impl serde::Serialize) -> Result<Traced, TemplateError> {
    let text = templates.render(name, context)?;
    let lines = lines(templates, name, context, &text);
    Ok(Traced { text, lines })
}

fn lines(templates: &Templates, name: &str, context: &impl serde::Serialize, text: &str) -> Option<Vec<Line>> {
    let source = templates.source(name)?.0;
    let is_mark = |c: char| (LINE..=GAP).contains(&c);
    if source.contains(is_mark) || text.contains(is_mark) {
        return None;
    }
    let (map, marked) = Map::of(scan::pieces(source)?)?;
    let marked = templates.with(name, marked).ok()?.render(name, context).ok()?;
    let (plain, lines) = Walk::new(&map).through(&marked)?;
    (plain == text).then_some(lines)
}

/// A block that pieces stand in.
#[derive(Clone, Debug)]
enum Block {
    /// `for NAMES in SOURCE`, by the number of its tag.
    For { id: usize, names: Vec<String>, source: String },
    /// `if`, with the conditions of the branches before this one.
    If { conditions: Vec<String>, text: String },
    /// Any other.
    Other,
}

/// What is known of a template before it is rendered.
#[derive(Debug, Default)]
struct Map<'t> {
    pieces: Vec<Piece<'t>>,
    /// The blocks around each piece.
    around: Vec<Vec<Block>>,
    /// What `set` gives a name to.
    bound: BTreeMap<String, String>,
}

impl<'t> Map<'t> {
    /// Reads the pieces, and writes the template anew with marks.
    fn of(pieces: Vec<Piece<'t>>) -> Option<(Self, String)> {
        let mut map = Map { pieces, ..Map::default() };
        let mut around = Vec::new();
        let (mut open, mut bound, mut out) = (Vec::<Block>::new(), BTreeMap::new(), String::new());
        for (id, piece) in map.pieces.iter().enumerate() {
            let mark = |line: usize| format!("{LINE}{id},{line}{END}");
            match piece.kind {
                Kind::Text | Kind::Raw => {
                    let mut text = mark(piece.line);
                    for (n, line) in piece.text.split_inclusive('\n').enumerate() {
                        if n > 0 {
                            text.push_str(&mark(piece.line + n));
                        }
                        text.push_str(line);
                    }
                    text.push(GAP);
                    out.push_str(&if piece.kind == Kind::Raw {
                        format!("{{% raw %}}{text}{{% endraw %}}")
                    } else {
                        text
                    });
                }
                Kind::Print => {
                    out.push_str(&format!("{}{PRINT}{id}{END}{{{{{}}}}}{PRINTED}", mark(piece.line), piece.text));
                }
                Kind::Tag => {
                    let (before, after) = tag(id, piece.text, &mut open, &mut bound)?;
                    out.push_str(&format!("{before}{{%{}%}}{after}", piece.text));
                }
            }
            around.push(open.clone());
        }
        (map.around, map.bound) = (around, bound);
        open.is_empty().then_some((map, out))
    }

    /// What an expression within a piece uses. `turns` says which turn each loop is in.
    fn part(&self, text: &str, around: &[Block], turns: &[(usize, usize)]) -> Part {
        let mut uses = Vec::new();
        for name in names(text) {
            self.resolve(&name, around, turns, 8, &mut uses);
        }
        Part { text: text.trim().to_owned(), uses }
    }

    /// A name is a loop's, a `set`'s, or one of the context; `depth` ends what is defined by itself.
    fn resolve(&self, name: &Name, around: &[Block], turns: &[(usize, usize)], depth: usize, uses: &mut Vec<Use>) {
        if depth == 0 {
            return;
        }
        let loops = around.iter().enumerate().rev().find_map(|(at, block)| match block {
            Block::For { id, names, source } if names.contains(&name.root) => Some((at, *id, source)),
            _ => None,
        });
        let mut add = |found: Use| {
            if !uses.contains(&found) {
                uses.push(found);
            }
        };
        if let Some((at, id, source)) = loops {
            let item = turns.iter().rev().find(|(turn, _)| *turn == id).map(|(_, index)| *index);
            let mut inner = Vec::new();
            for outer in names(source) {
                self.resolve(&outer, &around[..at], turns, depth - 1, &mut inner);
            }
            inner.into_iter().for_each(|u| add(Use { item, field: name.field.clone(), ..u }));
        } else if let Some(expression) = self.bound.get(&name.root) {
            for inner in names(expression) {
                self.resolve(&inner, around, turns, depth - 1, uses);
            }
        } else {
            add(Use { variable: name.root.clone(), item: None, field: name.field.clone() });
        }
    }
}

/// Takes a tag in: the blocks that are open after it, and the marks around it.
fn tag(id: usize, text: &str, open: &mut Vec<Block>, bound: &mut BTreeMap<String, String>) -> Option<(String, String)> {
    let (word, rest) = text.trim().split_once(char::is_whitespace).unwrap_or((text.trim(), ""));
    let nothing = || (String::new(), String::new());
    let turned = || (TURNED.to_string(), String::new());
    Some(match word {
        "for" => {
            let (names, source) = rest.split_once(" in ")?;
            let names = names.split(',').map(|n| n.trim().to_owned()).collect();
            open.push(Block::For { id, names, source: source.to_owned() });
            (String::new(), format!("{TURN}{id},{{{{ loop.index0 }}}}{END}"))
        }
        "if" => {
            open.push(Block::If { conditions: vec![rest.to_owned()], text: format!("if {rest}") });
            nothing()
        }
        "elif" | "else" => match open.last_mut()? {
            Block::If { conditions, text } => {
                *text = match word {
                    "elif" => format!("elif {rest}"),
                    _ => format!("else of: if {}", conditions.join(", ")),
                };
                conditions.extend((word == "elif").then(|| rest.to_owned()));
                nothing()
            }
            // What stands for a list without items.
            block @ Block::For { .. } => {
                let Block::For { source, .. } = std::mem::replace(block, Block::Other) else { return None };
                *block = Block::If { conditions: vec![source.clone()], text: format!("nothing in {source}") };
                turned()
            }
            Block::Other => return None,
        },
        "endfor" => match open.pop()? {
            Block::For { .. } => turned(),
            _ => nothing(),
        },
        "break" | "continue" => turned(),
        "set" | "set_global" => match rest.split_once('=') {
            Some((name, expression)) => {
                bound.insert(name.trim().to_owned(), expression.to_owned());
                nothing()
            }
            None => {
                open.push(Block::Other);
                nothing()
            }
        },
        "include" | "import" | "extends" => nothing(),
        _ if word.starts_with("end") => {
            open.pop()?;
            nothing()
        }
        _ => {
            open.push(Block::Other);
            nothing()
        }
    })
}

/// Reads a marked rendering.
struct Walk<'m> {
    map: &'m Map<'m>,
    plain: String,
    lines: Vec<Line>,
    now: Line,
    /// The piece and its line that stand here.
    here: Option<(usize, usize)>,
    /// The first that this line met, which an empty line is from.
    first: Option<(usize, usize)>,
    turns: Vec<(usize, usize)>,
    printing: Vec<usize>,
    /// Whether what stands here was taken in since the last mark.
    is_known: bool,
}

impl<'m> Walk<'m> {
    fn new(map: &'m Map<'m>) -> Self {
        Self {
            map,
            plain: String::new(),
            lines: Vec::new(),
            now: Line::default(),
            here: None,
            first: None,
            turns: Vec::new(),
            printing: Vec::new(),
            is_known: false,
        }
    }

    /// The text without marks, and its lines; none where the marks are no longer whole.
    fn through(mut self, marked: &str) -> Option<(String, Vec<Line>)> {
        let mut rest = marked.chars();
        while let Some(c) = rest.next() {
            let mut words = || -> Option<(usize, usize)> {
                let (word, after) = rest.as_str().split_once(END)?;
                rest = after.chars();
                let (one, two) = word.split_once(',').unwrap_or((word, "0"));
                Some((one.parse().ok()?, two.parse().ok()?))
            };
            match c {
                LINE => {
                    self.here = Some(words()?);
                    self.first = self.first.or(self.here);
                }
                PRINT => self.printing.push(words()?.0),
                PRINTED => drop(self.printing.pop()?),
                TURN => self.turns.push(words()?),
                TURNED => drop(self.turns.pop()?),
                GAP => {}
                END => return None,
                '\n' => {
                    self.plain.push(c);
                    self.end();
                }
                c => {
                    self.plain.push(c);
                    if !self.is_known {
                        self.seen(self.here?);
                    }
                    self.is_known = true;
                    continue;
                }
            }
            self.is_known = false;
        }
        if !self.plain.is_empty() && !self.plain.ends_with('\n') {
            self.end();
        }
        Some((self.plain, self.lines))
    }

    /// Something stands on this line that came from there.
    fn seen(&mut self, (id, line): (usize, usize)) {
        if !self.now.template.contains(&line) {
            self.now.template.push(line);
        }
        let around = &self.map.around[id];
        if let Some(piece) = self.printing.last().and_then(|p| self.map.pieces.get(*p)) {
            let part = self.map.part(piece.text, around, &self.turns);
            if !self.now.printed.contains(&part) {
                self.now.printed.push(part);
            }
        }
        for (at, block) in around.iter().enumerate() {
            let part = match block {
                Block::For { id, names, source } => {
                    let mut part = self.map.part(source, &around[..at], &self.turns);
                    let item = self.turns.iter().rev().find(|(turn, _)| turn == id).map(|(_, index)| *index);
                    part.uses.iter_mut().for_each(|u| u.item = item);
                    Part { text: format!("for {} in {}", names.join(", "), source.trim()), ..part }
                }
                Block::If { conditions, text } => {
                    let part = self.map.part(&conditions.join(" , "), &around[..at], &self.turns);
                    Part { text: text.trim().to_owned(), ..part }
                }
                Block::Other => continue,
            };
            if !self.now.within.contains(&part) {
                self.now.within.push(part);
            }
        }
    }

    fn end(&mut self) {
        if self.now.template.is_empty()
            && let Some(place) = self.first.or(self.here)
        {
            self.seen(place);
            self.now.printed.clear();
        }
        self.lines.push(std::mem::take(&mut self.now));
        self.first = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const NAME: &str = "nginx/unit.conf.tera";

    fn traced(template: &str, context: serde_json::Value) -> Traced {
        let templates = Templates::new(&BTreeMap::from([(NAME.to_owned(), template.to_owned())])).unwrap();
        trace(&templates, NAME, &context).unwrap()
    }

    /// Each line with its template lines and what was printed on it.
    fn shown(template: &str, context: serde_json::Value) -> Vec<String> {
        let traced = traced(template, context);
        let uses = |parts: &[Part]| {
            let one = |u: &Use| {
                let item = u.item.map(|n| format!("[{n}]")).unwrap_or_default();
                let field = u.field.as_ref().map(|f| format!(".{f}")).unwrap_or_default();
                format!("{}{item}{field}", u.variable)
            };
            parts.iter().flat_map(|p| &p.uses).map(one).collect::<Vec<_>>().join(" ")
        };
        let lines = traced.lines.expect("it can be traced");
        assert_eq!(lines.len(), traced.text.lines().count());
        let line = |(text, l): (&str, &Line)| {
            format!("{text:?} {:?} ({}) ({})", l.template, uses(&l.printed), uses(&l.within))
        };
        traced.text.lines().zip(&lines).map(line).collect()
    }

    #[test]
    fn each_line_knows_its_template_lines_and_what_was_printed_on_it() {
        let template = "one {{ a }}\n{%- if b == \"x\" %}\n\n\tyes {{ a }}{{ c.d }}\n{%- else %}\n\tno\n{%- endif %}\n{%- for s in list %}\n\t{{ s.name }}{% if s.last %} last{% endif %}\n{%- endfor %}\nend\n";
        let context =
            json!({ "a": 1, "b": "x", "c": { "d": 2 }, "list": [{ "name": "p" }, { "name": "q", "last": true }] });
        assert_eq!(
            shown(template, context),
            [
                r#""one 1" [1] (a) ()"#,
                r#""" [3] () (b)"#,
                r#""\tyes 12" [4] (a c.d) (b)"#,
                r#""\tp" [9] (list[0].name) (list[0])"#,
                r#""\tq last" [9] (list[1].name) (list[1] list[1].last)"#,
                r#""end" [11] () ()"#,
            ]
        );
    }

    #[test]
    fn names_of_the_templates_own_lead_to_the_context() {
        let template = "{% set x = a * 2 -%}\n{{ x }}\n{%- for o in outer %}{% for i in o.inner %}\n{{ i }}{% endfor %}{% endfor %}\n{%- raw %}\n{{ raw }}\n{% endraw %}";
        let template = &template.replace("{%- raw", "{% raw");
        let lines = shown(template, json!({ "a": 2, "outer": [{ "inner": ["k", "l"] }] }));
        assert_eq!(lines[0], r#""4" [2] (a) ()"#);
        assert!(lines[2].starts_with(r#""l" [4] (outer[1]"#), "{lines:?}");
        assert!(lines.iter().any(|l| l.starts_with(r#""{{ raw }}" [6]"#)), "{lines:?}");
    }

    #[test]
    fn what_marks_would_change_is_not_traced() {
        let lines = |template: &str, context| traced(template, context).lines;
        assert_eq!(lines("{% set x %}a{% endset %}{{ x | length }}\n", json!({})), None);
        assert_eq!(lines("{% set x %}a{% endset %}{% if x == \"a\" %}yes{% else %}no{% endif %}\n", json!({})), None);
        assert_eq!(lines("{{ a }}\n", json!({ "a": "\u{f100}" })), None);
        assert!(lines("{{ a }}\n", json!({ "a": "x" })).is_some());
        assert_eq!(lines("", json!({})), Some(vec![]));
    }
}
