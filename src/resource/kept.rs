//! Where a host keeps what its former runs were made from, the backup of its configuration that `foobar rollback` goes back
//! to, and how anybody tells whether one of them is whole. Writing and reading them is `plan/journal.rs` and
//! `plan/history.rs`; nothing here changes a host.

use crate::base::script::Script;

/// The directories of all runs, each named by its generation's number.
pub const GENERATIONS: &str = "/var/lib/foobar/generations";
/// The word in a generation's `meta` before the SHA-256 of its `sources`, in hexadecimal.
pub const DIGEST: &str = "sources";

/// Defines `is_whole DIR`: whether what is kept there can be read and is what its run wrote. One that an older foobar kept has
/// no digest beside it, and is held to be whole where it was not cut short.
pub const IS_WHOLE: &str = r#"is_whole() {
  [ -r "$1/meta" ] && [ -r "$1/changes" ] && [ -s "$1/sources" ] || return 1
  want=$(sed -n 's/^sources //p' "$1/meta")
  case $want in
  '') [ "$(tail -c 1 "$1/sources")" = '}' ] ;;
  *) [ "$(sha256sum <"$1/sources")" = "$want  -" ] ;;
  esac
}"#;

/// Prints a line a generation, in no order: `whole 12` or `broken 7`; nothing where none is kept.
pub fn look() -> Script {
    Script::new()
        .line(IS_WHOLE)
        .line(format!("cd {GENERATIONS} 2>/dev/null || exit 0"))
        .line("for dir in *; do")
        .line("  case $dir in '' | *[!0-9]*) continue ;; esac")
        // One that is taken away at this moment is none.
        .line("  if is_whole \"$dir\"; then echo \"whole $dir\"; elif [ -d \"$dir\" ]; then echo \"broken $dir\"; fi")
        .line("done")
}

/// The numbers of those that are whole and of those that are not, each in rising order.
pub fn read(text: &str) -> (Vec<u64>, Vec<u64>) {
    let of = |word: &str| {
        let mut all: Vec<u64> = text.lines().filter_map(|l| l.strip_prefix(word)?.trim().parse::<u64>().ok()).collect();
        all.sort_unstable();
        all
    };
    (of("whole "), of("broken "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::digest::sha256;
    use std::{fs, process::Command};

    #[test]
    fn what_was_cut_short_or_changed_is_not_whole() {
        let root = std::env::temp_dir().join(format!("foobar-kept-{}", std::process::id()));
        let all = root.join("generations");
        let keep = |name: &str, meta: &str, sources: &str| {
            let dir = all.join(name);
            fs::create_dir_all(&dir).unwrap();
            fs::write(dir.join("meta"), meta).unwrap();
            fs::write(dir.join("sources"), sources).unwrap();
            fs::write(dir.join("changes"), "").unwrap();
        };
        let digest = |text: &str| format!("run x\nsources {}\n", sha256(text));
        keep("2", &digest("{\"a\":1}"), "{\"a\":1}");
        keep("10", &digest("{\"a\":2}"), "{\"a\":2}");
        keep("11", &digest("{\"a\":1}"), "{\"a\":7}");
        keep("12", &digest("{\"a\":1}"), "");
        // As older foobars kept them.
        keep("3", "run y\n", "{\"a\":1}");
        keep("4", "run y\n", "{\"a\":1");
        keep("13.new", &digest("{}"), "{");
        keep("5", &digest("{}"), "{}");
        fs::remove_file(all.join("5/meta")).unwrap();
        let script = look().text().replace(GENERATIONS, all.to_str().unwrap());
        let said = Command::new("sh").args(["-c", &script]).output().unwrap();
        fs::remove_dir_all(&root).unwrap();
        assert_eq!(read(&String::from_utf8_lossy(&said.stdout)), (vec![2, 3, 10], vec![4, 5, 11, 12]));
        assert_eq!(read(""), (vec![], vec![]));
    }
}
