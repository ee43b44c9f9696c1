//! What is said about the local files that a topology names, and that secrets are left alone where nobody needs them.

use super::*;
use miette::{GraphicalReportHandler, GraphicalTheme};

/// A directory of its own, removed at the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str, topology: &str) -> Self {
        let path = std::env::temp_dir().join(format!("foobar-gather-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(path.join("app/.git")).unwrap();
        let scratch = Self(fs::canonicalize(path).unwrap());
        scratch.write("foobar.yaml", topology);
        for file in ["app/token", "app/.git/token", "app/site.key", "token"] {
            scratch.write(file, "hush");
            fs::set_permissions(scratch.0.join(file), fs::Permissions::from_mode(0o600)).unwrap();
        }
        scratch
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.0.join(name), text).unwrap();
    }

    fn said(&self, failure: Failure) -> String {
        let Failure::Invalid(report) = failure else { panic!("{failure:?}") };
        let theme = GraphicalTheme::unicode_nocolor();
        let handler = GraphicalReportHandler::new_themed(theme).with_width(400).with_links(false);
        report.render(&handler).replace(&self.0.display().to_string(), "HERE")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const SITE: &str = "\
site: www.foobar.com
hosts:
  lb-01:  { address: 10.77.0.11 }
  web-01: { address: 10.77.0.21 }
haproxy: { on: [lb-01] }
nginx: { on: [web-01] }
app:
  on: [web-01]
  source: ./app
  run: serve
";

#[test]
fn secrets_within_the_release_are_refused() {
    let more = "  secrets:\n    A: { file: app/token }\n    B: { file: link }\n    C: { file: app/.git/token }\n    D: { file: token }\n";
    let tls = "tls:\n  certificate: { cert: site.crt, key: ./app/../app/site.key }\n";
    let scratch = Scratch::new("shipped", &format!("{SITE}{more}{tls}"));
    std::os::unix::fs::symlink("app/token", scratch.0.join("link")).unwrap();
    let failure = gather(&scratch.0.join("foobar.yaml"), None, None).unwrap_err();
    insta::assert_snapshot!("shipped", scratch.said(failure));
    // Whether it may be shipped has nothing to do with whether it is looked into.
    let failure = without_secrets(&scratch.0.join("foobar.yaml"), None, None).unwrap_err();
    assert!(scratch.said(failure).contains("the secret A lies in the app's folder"));
}

#[test]
fn a_secret_that_cannot_be_had_is_told_at_its_line() {
    let more = "  secrets:\n    A: { command: exit 4 }\n    B: { command: yes }\n    C: { file: nowhere }\n    D: { file: /dev/zero }\n";
    let scratch = Scratch::new("given", &format!("{SITE}{more}"));
    let failure = gather(&scratch.0.join("foobar.yaml"), None, None).unwrap_err();
    insta::assert_snapshot!("given", scratch.said(failure));
}

#[test]
fn secrets_are_left_alone_where_nobody_needs_them() {
    let more =
        "  secrets:\n    A: { command: touch ran }\n    B: { file: nowhere }\n    C: { env: FOOBAR_TEST_NOT_SET }\n";
    let tls = "tls:\n  certificate: { cert: nowhere.crt, key: nowhere.key }\n";
    let scratch = Scratch::new("left", &format!("{SITE}{more}{tls}"));
    let gathered = without_secrets(&scratch.0.join("foobar.yaml"), None, None).unwrap();
    assert!(gathered.site.given.is_empty() && gathered.site.certificate.is_some());
    assert!(!scratch.0.join("ran").exists());
}
