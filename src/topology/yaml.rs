//! YAML text as a tree that knows where each of its nodes was written. The one file that serde_yaml is seen in; what the
//! nodes mean lives in `decode/`.

use super::text::{Part, quoted};
use serde::de::{DeserializeSeed, Deserializer, EnumAccess, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::{
    cell::{Cell, RefCell},
    fmt,
};

/// The most nodes a file may hold, aliases followed: a few lines of nested aliases could stand for billions.
const MOST_NODES: usize = 20_000;
/// The most bytes that all its scalars may have, aliases followed: one long text can be repeated as well.
const MOST_BYTES: usize = 4 << 20;

/// A node of the tree.
#[derive(Clone, Debug)]
pub struct Node {
    /// What it is.
    pub kind: Kind,
    /// The way to it from the root, by ordinals of entries and items.
    pub at: Vec<usize>,
}

/// What a node is.
#[derive(Clone, Debug)]
pub enum Kind {
    /// Nothing was written.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number, as Rust writes it ([`raw`] gives it as the user did).
    Number(String),
    /// Text.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// A mapping, in the file's order, duplicates and all.
    Map(Vec<Entry>),
}

/// An entry of a mapping.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its key; none where the key is no scalar.
    pub key: Option<String>,
    /// Its value; the value's way leads to the key too.
    pub value: Node,
}

impl Node {
    /// Its kind in words.
    pub fn kind_name(&self) -> &'static str {
        match &self.kind {
            Kind::Null => "nothing",
            Kind::Bool(_) => "true or false",
            Kind::Number(_) => "a number",
            Kind::Text(_) => "text",
            Kind::List(_) => "a list",
            Kind::Map(_) => "a mapping",
        }
    }

    /// The value of its first entry with that key.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entries().iter().find(|e| e.key.as_deref() == Some(key)).map(|e| &e.value)
    }

    /// Its entries; none where it is no mapping.
    pub fn entries(&self) -> &[Entry] {
        match &self.kind {
            Kind::Map(entries) => entries,
            _ => &[],
        }
    }

    /// Its child on the way to a node, with its number among the entries or items. It is looked for at the number that it was
    /// written with first: merging may have moved it.
    pub fn towards(&self, way: &[usize]) -> Option<(usize, &Node)> {
        let leads = |n: &Node| way.starts_with(&n.at);
        let first = way.get(self.at.len()).copied();
        match &self.kind {
            Kind::Map(entries) => {
                let there = first.filter(|n| entries.get(*n).is_some_and(|e| leads(&e.value)));
                let n = there.or_else(|| entries.iter().position(|e| leads(&e.value)))?;
                Some((n, &entries[n].value))
            }
            Kind::List(items) => {
                let there = first.filter(|n| items.get(*n).is_some_and(leads));
                let n = there.or_else(|| items.iter().position(leads))?;
                Some((n, &items[n]))
            }
            _ => None,
        }
    }

    /// Its items; none where it is no list.
    pub fn items(&self) -> &[Node] {
        match &self.kind {
            Kind::List(items) => items,
            _ => &[],
        }
    }
}

/// A text that is no YAML, or more than one document of it.
#[derive(Clone, Debug)]
pub struct Fault {
    /// What is wrong, a lower-case fragment.
    pub message: String,
    /// Where, in bytes.
    pub offset: usize,
    /// What to do.
    pub help: String,
}

/// Reads one document.
pub fn parse(text: &str) -> Result<Node, Fault> {
    let (budget, bytes, reason) = (Cell::new(MOST_NODES), Cell::new(MOST_BYTES), RefCell::new(None));
    let mut documents = serde_yaml::Deserializer::from_str(text);
    let Some(first) = documents.next() else {
        return Ok(Node { kind: Kind::Null, at: Vec::new() });
    };
    let seed = Grow { at: Vec::new(), budget: &budget, bytes: &bytes, reason: &reason };
    let mut root = seed.deserialize(first).map_err(|e| fault(text, &e, reason.take()))?;
    if let Some(second) = documents.next() {
        let offset = Walk { path: &[], part: Part::Value, raw: None }.deserialize(second).err();
        return Err(Fault {
            message: "more than one YAML document in the file".into(),
            offset: offset.and_then(|e| byte_offset(text, &e)).unwrap_or(text.len()),
            help: "keep one document: remove what stands behind the second `---`, or give it a file of its own".into(),
        });
    }
    merge(&mut root);
    Ok(root)
}

/// Where a node's key or value starts, in bytes.
pub fn locate(text: &str, path: &[usize], part: Part) -> Option<usize> {
    let first = serde_yaml::Deserializer::from_str(text).next()?;
    let error = Walk { path, part, raw: None }.deserialize(first).err()?;
    byte_offset(text, &error)
}

/// A scalar as the user wrote it, without its quotes: `1.10` stays `1.10`.
pub fn raw(text: &str, path: &[usize]) -> Option<String> {
    let raw = RefCell::new(None);
    let first = serde_yaml::Deserializer::from_str(text).next()?;
    let _ = Walk { path, part: Part::Value, raw: Some(&raw) }.deserialize(first);
    raw.into_inner()
}

/// serde_yaml counts characters, whatever its documentation says; labels want bytes.
fn byte_offset(text: &str, error: &serde_yaml::Error) -> Option<usize> {
    let index = error.location()?.index();
    Some(text.char_indices().nth(index).map_or(text.len(), |(at, _)| at))
}

fn fault(text: &str, error: &serde_yaml::Error, reason: Option<(String, String)>) -> Fault {
    let offset = byte_offset(text, error).unwrap_or(0);
    if let Some((message, help)) = reason {
        return Fault { message, offset, help };
    }
    let message = error.to_string();
    // The place is shown by the label; `at line 3 column 1` would only repeat it.
    let message = match message.find(" at line ") {
        Some(at) => {
            let rest = message[at + 9..].trim_start_matches(|c: char| c.is_ascii_digit());
            let rest = rest.trim_start_matches(" column ").trim_start_matches(|c: char| c.is_ascii_digit());
            format!("{}{rest}", &message[..at])
        }
        None => message,
    };
    let start = text[..offset].rfind('\n').map_or(0, |at| at + 1);
    let line = text[start..].lines().next().unwrap_or_default();
    let indent: String = line.chars().take_while(|c| c.is_whitespace()).collect();
    let help = if indent.contains('\t') || text[offset..].starts_with('\t') {
        "indent with spaces: YAML takes no tabs there"
    } else if message.contains("recursion limit") {
        "write it flatter: no key of foobar's lies deeper than six levels"
    } else if message.contains("anchor") {
        "write `&name` before the value that `*name` repeats, or put quotes around a text that starts with `*`"
    } else if message.contains("control characters") {
        "remove the character: a topology holds plain text only"
    } else {
        "look at the indentation, the colon and the quotes here and on the line before; a text that holds `: `, ` #` or \
         starts with one of `{ [ & * ! | > ' \" % @` needs quotes"
    };
    Fault { message: format!("this is no valid YAML: {}", quoted(&message)), offset, help: help.into() }
}

/// Puts what `<<` names behind a mapping's own entries, which win. The merged nodes keep their ways, and so their places.
fn merge(node: &mut Node) {
    match &mut node.kind {
        Kind::List(items) => items.iter_mut().for_each(merge),
        Kind::Map(entries) => {
            entries.iter_mut().for_each(|e| merge(&mut e.value));
            let is_merge = |e: &Entry| {
                e.key.as_deref() == Some("<<")
                    && match &e.value.kind {
                        Kind::Map(_) => true,
                        Kind::List(items) => items.iter().all(|i| matches!(i.kind, Kind::Map(_))),
                        _ => false,
                    }
            };
            let (merges, mut own): (Vec<Entry>, Vec<Entry>) = std::mem::take(entries).into_iter().partition(is_merge);
            for merge in merges {
                let sources = match merge.value.kind {
                    Kind::List(items) => items,
                    kind => vec![Node { kind, at: merge.value.at }],
                };
                for source in sources {
                    let Kind::Map(more) = source.kind else { continue };
                    for entry in more {
                        if !own.iter().any(|e| e.key == entry.key) {
                            own.push(entry);
                        }
                    }
                }
            }
            *entries = own;
        }
        _ => {}
    }
}

/// What is said where a budget is spent, and what to do.
const TOO_MUCH: (&str, &str) = ("the file holds too much", "write fewer values; aliases count for what they repeat");

/// Builds the tree.
struct Grow<'b> {
    at: Vec<usize>,
    budget: &'b Cell<usize>,
    bytes: &'b Cell<usize>,
    /// Why this file stopped it: message and help.
    reason: &'b RefCell<Option<(String, String)>>,
}

impl Grow<'_> {
    fn child(&self, index: usize) -> Self {
        let mut at = self.at.clone();
        at.push(index);
        Self { at, budget: self.budget, bytes: self.bytes, reason: self.reason }
    }

    fn leaf<E>(self, kind: Kind) -> Result<Node, E> {
        Ok(Node { kind, at: self.at })
    }

    fn stop<E: serde::de::Error>(&self, message: &str, help: &str) -> E {
        *self.reason.borrow_mut() = Some((message.to_owned(), help.to_owned()));
        E::custom(message)
    }
}

impl<'de> DeserializeSeed<'de> for Grow<'_> {
    type Value = Node;
    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Node, D::Error> {
        match self.budget.get().checked_sub(1) {
            Some(left) => self.budget.set(left),
            None => return Err(self.stop(TOO_MUCH.0, TOO_MUCH.1)),
        }
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Grow<'_> {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any YAML value")
    }
    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<Node, E> {
        self.leaf(Kind::Bool(value))
    }
    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Node, E> {
        self.leaf(Kind::Number(value.to_string()))
    }
    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Node, E> {
        self.leaf(Kind::Number(value.to_string()))
    }
    fn visit_i128<E: serde::de::Error>(self, value: i128) -> Result<Node, E> {
        self.leaf(Kind::Number(value.to_string()))
    }
    fn visit_u128<E: serde::de::Error>(self, value: u128) -> Result<Node, E> {
        self.leaf(Kind::Number(value.to_string()))
    }
    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Node, E> {
        self.leaf(Kind::Number(value.to_string()))
    }
    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Node, E> {
        match self.bytes.get().checked_sub(value.len()) {
            Some(left) => self.bytes.set(left),
            None => return Err(self.stop(TOO_MUCH.0, TOO_MUCH.1)),
        }
        self.leaf(Kind::Text(value.to_owned()))
    }
    fn visit_unit<E: serde::de::Error>(self) -> Result<Node, E> {
        self.leaf(Kind::Null)
    }
    fn visit_none<E: serde::de::Error>(self) -> Result<Node, E> {
        self.leaf(Kind::Null)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(self.child(items.len()))? {
            items.push(item);
        }
        self.leaf(Kind::List(items))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = map.next_key_seed(self.child(entries.len()))? {
            let key = match key.kind {
                Kind::Text(text) | Kind::Number(text) => Some(text),
                Kind::Bool(value) => Some(value.to_string()),
                Kind::Null => Some("~".to_owned()),
                Kind::List(_) | Kind::Map(_) => None,
            };
            let value = map.next_value_seed(self.child(entries.len()))?;
            entries.push(Entry { key, value });
        }
        self.leaf(Kind::Map(entries))
    }
    fn visit_enum<A: EnumAccess<'de>>(self, _: A) -> Result<Node, A::Error> {
        Err(self
            .stop("YAML tags have no meaning here", "remove the `!tag`; put quotes around a text that starts with `!`"))
    }
}

/// Walks to a node and fails there on purpose: the error knows the place.
struct Walk<'p> {
    path: &'p [usize],
    part: Part,
    raw: Option<&'p RefCell<Option<String>>>,
}

const HERE: &str = "here";

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        match self.raw {
            // Asked for a string, serde_yaml hands a plain scalar over as it was written.
            Some(_) if self.path.is_empty() => from.deserialize_str(self),
            _ => from.deserialize_any(self),
        }
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nothing")
    }
    fn visit_bool<E: serde::de::Error>(self, _: bool) -> Result<(), E> {
        Err(E::custom(HERE))
    }
    fn visit_i64<E: serde::de::Error>(self, _: i64) -> Result<(), E> {
        Err(E::custom(HERE))
    }
    fn visit_u64<E: serde::de::Error>(self, _: u64) -> Result<(), E> {
        Err(E::custom(HERE))
    }
    fn visit_i128<E: serde::de::Error>(self, _: i128) -> Result<(), E> {
        Err(E::custom(HERE))
    }
    fn visit_u128<E: serde::de::Error>(self, _: u128) -> Result<(), E> {
        Err(E::custom(HERE))
    }
    fn visit_f64<E: serde::de::Error>(self, _: f64) -> Result<(), E> {
        Err(E::custom(HERE))
    }
    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<(), E> {
        if let (Some(raw), true) = (self.raw, self.path.is_empty()) {
            *raw.borrow_mut() = Some(value.to_owned());
        }
        Err(E::custom(HERE))
    }
    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        Err(E::custom(HERE))
    }
    fn visit_none<E: serde::de::Error>(self) -> Result<(), E> {
        Err(E::custom(HERE))
    }
    fn visit_enum<A: EnumAccess<'de>>(self, _: A) -> Result<(), A::Error> {
        Err(A::Error::custom(HERE))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let Some((index, rest)) = self.path.split_first() else { return Err(A::Error::custom(HERE)) };
        for _ in 0..*index {
            seq.next_element::<IgnoredAny>()?;
        }
        seq.next_element_seed(Walk { path: rest, ..self })?;
        Err(A::Error::custom(HERE))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Some((index, rest)) = self.path.split_first() else { return Err(A::Error::custom(HERE)) };
        for _ in 0..*index {
            map.next_entry::<IgnoredAny, IgnoredAny>()?;
        }
        if rest.is_empty() && self.part == Part::Key {
            map.next_key_seed(Walk { path: rest, ..self })?;
        } else if map.next_key::<IgnoredAny>()?.is_some() {
            map.next_value_seed(Walk { path: rest, ..self })?;
        }
        Err(A::Error::custom(HERE))
    }
}
