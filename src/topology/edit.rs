//! The one change that foobar makes to the user's file: who has which role of the database, after the servers changed
//! theirs. Names change places; every other byte stays. Writing the file is the command line's business.

use super::{
    problem::{Document, Spot},
    text::Part,
    yaml::{self, Kind, Node},
};

/// A topology's text with `to` in the primary's place and the former primary in its; none where the names are not written
/// there as plain words, and a person has to make the change.
pub fn promoted(text: &str, to: &str) -> Option<String> {
    let (mark, text) = match text.strip_prefix('\u{feff}') {
        Some(rest) => ("\u{feff}", rest),
        None => ("", text),
    };
    let document = Document { name: String::new(), text: text.to_owned(), root: yaml::parse(text).ok() };
    let mysql = document.root.as_ref()?.get("mysql")?;
    let (primary, replicas) = (mysql.get("primary")?, mysql.get("replicas")?.items());
    let from = word(primary)?;
    if from == to {
        return Some(format!("{mark}{text}"));
    }
    let replica = replicas.iter().find(|r| word(r) == Some(to))?;
    let mut places = [(place(&document, primary, from)?, to), (place(&document, replica, to)?, from)];
    places.sort_by_key(|((start, _), _)| std::cmp::Reverse(*start));
    let mut edited = text.to_owned();
    for ((start, length), new) in places {
        edited.replace_range(start..start + length, new);
    }
    let root = yaml::parse(&edited).ok()?;
    let mysql = root.get("mysql")?;
    let expected = replicas.iter().map(|r| if word(r) == Some(to) { Some(from) } else { word(r) });
    let is_so = word(mysql.get("primary")?) == Some(to)
        && mysql.get("replicas")?.items().iter().map(word).eq(expected)
        && edited.lines().count() == text.lines().count();
    is_so.then(|| format!("{mark}{edited}"))
}

fn word(node: &Node) -> Option<&str> {
    match &node.kind {
        Kind::Text(text) => Some(text),
        _ => None,
    }
}

/// Where a node's word is written, without its quotes.
fn place(document: &Document, node: &Node, word: &str) -> Option<(usize, usize)> {
    let (start, length) = document.span(&Spot::Node(node.at.clone(), Part::Value))?;
    let written = document.text.get(start..start + length)?;
    let quotes = usize::from(written.starts_with(['"', '\'']));
    (written.trim_matches(['"', '\'']) == word).then_some((start + quotes, word.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_names_change_places_and_nothing_else() {
        let text = "# ours\nsite: a.example.com   # the name\nmysql: { engine: mysql, primary: web-01, # it writes\n  replicas: [web-03, web-02] }\n";
        let want = "# ours\nsite: a.example.com   # the name\nmysql: { engine: mysql, primary: web-02, # it writes\n  replicas: [web-03, web-01] }\n";
        assert_eq!(promoted(text, "web-02").as_deref(), Some(want));
        assert_eq!(promoted(want, "web-01").as_deref(), Some(text));
        assert_eq!(promoted(text, "web-01").as_deref(), Some(text), "it is so already");
    }

    #[test]
    fn however_they_are_written() {
        for (text, want) in [
            (
                "mysql:\n  replicas:   # these follow\n    - 'db-2'  # near\n    - db-3\n  primary: \"db-1\"\r\n",
                "mysql:\n  replicas:   # these follow\n    - 'db-1'  # near\n    - db-3\n  primary: \"db-2\"\r\n",
            ),
            (
                "\u{feff}mysql:\n  primary: a\n  replicas: [db-2]\n  database: a\n",
                "\u{feff}mysql:\n  primary: db-2\n  replicas: [a]\n  database: a\n",
            ),
        ] {
            assert_eq!(promoted(text, "db-2").as_deref(), Some(want));
        }
    }

    #[test]
    fn what_is_not_a_plain_word_is_left_to_a_person() {
        for text in [
            "x: &p db-1\nmysql:\n  primary: *p\n  replicas: [db-2]\n",
            "mysql:\n  primary: &p db-1\n  replicas: [db-2]\n",
            "mysql:\n  primary: db-1\n  replicas: [db-3]\n",
            "mysql:\n  primary: db-1\n",
            "mysql:\n  primary: \"db\\x2d1\"\n  replicas: [db-2]\n",
            "site: [",
            "",
        ] {
            assert_eq!(promoted(text, "db-2"), None, "{text}");
        }
    }
}
