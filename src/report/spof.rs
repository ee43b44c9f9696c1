//! Single points of failure, for `foobar validate`.

use super::style::{Palette, Tone};
use crate::topology::spof::Single;

/// All of them, each with what breaks and the lines to add.
pub fn text(all: &[Single], palette: Palette) -> String {
    if all.is_empty() {
        return "Nothing in it is a single point of failure, as far as a topology can tell: whether hosts share a machine or a \
                room, it cannot.\n"
            .to_owned();
    }
    let mut out = format!("{}:\n", counted(all.len()));
    for single in all {
        let host = palette.paint(Tone::Place, single.host.as_str());
        out.push_str(&format!("\n  {} on {host}\n", palette.paint(Tone::Bold, single.part)));
        out.push_str(&format!("    without it: {}\n    to add:\n", single.breaks));
        for line in single.add.lines() {
            out.push_str(&format!("      {}\n", palette.paint(Tone::Add, line)));
        }
    }
    out
}

/// One line for a plan; none where there is nothing to say.
pub fn line(all: &[Single]) -> Option<String> {
    (!all.is_empty()).then(|| format!("{}: `foobar validate` shows what to add", counted(all.len())))
}

fn counted(n: usize) -> String {
    format!("{n} single {} of failure", if n == 1 { "point" } else { "points" })
}
