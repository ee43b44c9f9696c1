//! Where a host keeps what its former runs were made from, the backup of its configuration that `foobar rollback` goes back
//! to, and how anybody tells whether one of them is whole. Writing and reading them is `plan/journal.rs` and
//! `plan/history.rs`; nothing here changes a host.

use crate::base::script::Script;

/// The directories of all runs, each named by its generation's number.
pub const GENERATIONS: &str = "/var/lib/foobar/generations";
/// The word in a generation's `meta` before the SHA-256 of its `sources`, in hexadecimal.
pub const DIGEST: &str = "sources";

/// Defines `kept`, which prints a line a generation, in no order: `whole 12` or `broken 7`; nothing where none is kept. Whole is
/// what can be read and is what its run wrote. One that an older foobar kept has no digest beside it, and is held to be whole
/// where it was not cut short. Whatever their number, few processes are started: it is asked beside much else.
pub const KEPT: &str = r#"kept() (
  cd /var/lib/foobar/generations 2>/dev/null || exit 0
  sums=$(sha256sum -- */sources 2>/dev/null)
  for dir in *; do
    case $dir in '' | *[!0-9]*) continue ;; esac
    want= state=broken
    if [ -r "$dir/meta" ] && [ -r "$dir/changes" ] && [ -s "$dir/sources" ]; then
      while read -r key value; do [ "$key" != sources ] || want=$value; done <"$dir/meta"
      case $want in
      '') [ "$(tail -c 1 "$dir/sources")" != '}' ] || state=whole ;;
      *) case $sums in *"$want  $dir/sources"*) state=whole ;; esac ;;
      esac
    fi
    # One that is taken away at this moment is none.
    [ ! -d "$dir" ] || echo "$state $dir"
  done
)"#;

/// What [`read`] reads.
pub fn look() -> Script {
    Script::new().line(KEPT).line("kept")
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
