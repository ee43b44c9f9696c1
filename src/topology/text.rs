//! Texts of the user's as they are shown: lines and columns, how far a label reaches, what must not reach a terminal.

/// Which part of an entry a place means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Its key.
    Key,
    /// Its value.
    Value,
}

/// A user's text within a message: control characters escaped, cut where it is long.
pub fn quoted(text: &str) -> String {
    let mut out: String = text.chars().take(120).flat_map(shown).collect();
    if text.chars().nth(120).is_some() {
        out.push('…');
    }
    out
}

fn shown(c: char) -> Vec<char> {
    if is_unprintable(c) { c.escape_default().collect() } else { vec![c] }
}

/// Whether a character would move the cursor, turn the writing round or show nothing.
pub fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
        || matches!(c, '\u{e000}'..='\u{f8ff}')
}

/// A source text as a snippet shows it: the same length in bytes, nothing in it that a terminal would obey.
pub fn harmless(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\t' => out.push(c),
            '\r' => out.push(' '),
            c if is_unprintable(c) => (0..c.len_utf8()).for_each(|_| out.push('?')),
            c => out.push(c),
        }
    }
    out
}

/// The line and the column, both from 1, of a byte offset.
pub fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let start = before.rfind('\n').map_or(0, |at| at + 1);
    (before.matches('\n').count() + 1, before[start..].chars().count() + 1)
}

/// The bytes of the longest of the line at `offset` and its neighbours, which a snippet shows.
pub fn longest_line_around(text: &str, offset: usize) -> usize {
    let offset = if text.is_char_boundary(offset) { offset } else { text.len() };
    let before = text[..offset].rsplit('\n').take(2).map(str::len);
    let after = text[offset..].split('\n').take(2).map(str::len);
    let here = before.clone().next().unwrap_or(0) + after.clone().next().unwrap_or(0);
    before.skip(1).chain(after.skip(1)).chain([here]).max().unwrap_or(0)
}

/// How many bytes the word at `offset` has: to its closing quote, or to where a plain scalar ends.
pub fn extent(text: &str, offset: usize) -> usize {
    let Some(rest) = text.get(offset..) else { return 0 };
    let line = rest.split(['\n', '\r']).next().unwrap_or_default();
    let first = line.chars().next().unwrap_or(' ');
    if first == '"' || first == '\'' {
        let mut escaped = false;
        for (at, c) in line.char_indices().skip(1) {
            if c == first && !escaped {
                return at + 1;
            }
            escaped = first == '"' && c == '\\' && !escaped;
        }
        return line.trim_end().len();
    }
    let mut plain = line;
    if let Some(at) = plain.find(" #") {
        plain = &plain[..at];
    }
    if !"{[&*!|>".contains(first) {
        let ends = |(at, c): (usize, char)| match c {
            ':' => matches!(plain[at + 1..].chars().next(), None | Some(' ')),
            ',' => true,
            ']' | '}' => true,
            _ => false,
        };
        if let Some((at, _)) = plain.char_indices().find(|&(at, c)| ends((at, c))) {
            plain = &plain[..at];
        }
    }
    plain.trim_end().len()
}

/// Stars over what stands at `offset` and on the lines below it that are indented deeper: a value that must not be shown.
pub fn mask(text: &mut String, offset: usize) {
    let Some(before) = text.get(..offset) else { return };
    let start = before.rfind('\n').map_or(0, |at| at + 1);
    let indent = |line: &str| line.len() - line.trim_start().len();
    let depth = indent(&text[start..]);
    let mut end = text[offset..].find('\n').map_or(text.len(), |at| offset + at + 1);
    for line in text[end..].split_inclusive('\n') {
        if !line.trim().is_empty() && indent(line) <= depth {
            break;
        }
        end += line.len();
    }
    let stars: String = text[offset..end]
        .chars()
        .map(|c| if c.is_whitespace() { c.to_string() } else { "*".repeat(c.len_utf8()) })
        .collect();
    text.replace_range(offset..end, &stars);
}

/// The candidate that a word was likely meant to be.
pub fn likely<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word: String = word.chars().take(64).collect::<String>().to_lowercase();
    let near = |candidate: &&str| {
        let distance = strsim::damerau_levenshtein(&word, candidate);
        (distance <= (candidate.len() / 3).max(1)).then_some(distance)
    };
    candidates.into_iter().filter_map(|c| Some((near(&c)?, c))).min_by_key(|(distance, _)| *distance).map(|(_, c)| c)
}

/// Names as people list them: `a, b and c`.
pub fn listed<T: ToString>(names: impl IntoIterator<Item = T>) -> String {
    let names: Vec<String> = names.into_iter().map(|n| n.to_string()).collect();
    match names.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => names.concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_reaches_to_the_end_of_its_word() {
        let reach = |text: &str| text[..extent(text, 0)].to_owned();
        for (text, want) in [
            ("haproxy:\n  on", "haproxy"),
            ("lb-01, lb-02]", "lb-01"),
            ("60s  # a comment", "60s"),
            ("\"a: \\\" b\": c", "\"a: \\\" b\""),
            ("'it': x", "'it'"),
            ("{ a: b } # x", "{ a: b }"),
            ("::1\r\n", "::1"),
            ("", ""),
        ] {
            assert_eq!(reach(text), want);
        }
    }

    #[test]
    fn a_masked_value_is_gone_with_its_further_lines_and_nothing_moves() {
        let mut text = "env:\n  A_KEY: |\n    hush é\n\n    hush\n  B: seen\n".to_owned();
        let (length, at) = (text.len(), text.find('|').unwrap());
        mask(&mut text, at);
        assert!(!text.contains("hush") && text.contains("B: seen") && text.len() == length, "{text}");
    }

    #[test]
    fn nothing_that_a_terminal_obeys_is_left() {
        assert_eq!(harmless("a\u{1b}[2J\r\n\u{202e}é"), "a?[2J \n???é");
        assert_eq!(quoted("\u{1b}[2J"), "\\u{1b}[2J");
    }

    #[test]
    fn a_typo_finds_its_word() {
        assert_eq!(likely("algoritm", ["on", "algorithm", "health"]), Some("algorithm"));
        assert_eq!(likely("ports", ["on", "algorithm"]), None);
    }
}
