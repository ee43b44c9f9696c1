//! `foobar lab demo`: from nothing to a served site, with the very commands that a user would type.

use super::{failed, prepare, progress};
use crate::{
    cli::{
        args::{self, Command, lab::LabMake},
        exit::Exit,
        recipes,
        screen::Screen,
        verify,
    },
    lab::{Lab, Spec, Suite},
    report::style::{Tone, span},
};
use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

macro_rules! example {
    ($($path:literal),* $(,)?) => { &[$(($path, include_str!(concat!("../../../examples/", $path)))),*] };
}

/// The site of the demo: the first of the examples, carried in the program so that it needs no checkout.
const FILES: &[(&str, &str)] = example![
    "01-three-servers.yaml",
    "guestbook/database.py",
    "guestbook/migrate.py",
    "guestbook/public/icon.svg",
    "guestbook/public/style.css",
    "guestbook/templates/error.html",
    "guestbook/templates/index.html",
    "guestbook/templates/page.html",
    "guestbook/wsgi.py",
];

/// The topology among them.
const TOPOLOGY: &str = "01-three-servers.yaml";

/// Makes the hosts, plans, applies, verifies, and says where to look.
pub async fn run(screen: &Screen, make: &LabMake) -> Result<Exit, Exit> {
    let started = Instant::now();
    prepare(screen)?;
    let mut spec = Spec::new(&make.lab.name, make.suite).host("lb-01", 11).host("web-01", 21).host("web-02", 22);
    spec.site_names = vec!["www.foobar.com".into(), "foobar.com".into()];
    let lab = Lab::up(&spec, &mut |p| progress(screen, p)).map_err(|e| failed(screen, &e))?;
    let topology = write_site(&lab.dir().join("site"), make.suite).map_err(|why| {
        screen.problem("foobar::local", &why, "make that directory writable");
        Exit::Failed
    })?;
    let words = |command: &str, more: &[&str]| {
        let mut words: Vec<OsString> = ["foobar", command].iter().map(OsString::from).collect();
        words.extend(["-f".into(), topology.clone().into(), "-i".into(), lab.inventory().into()]);
        words.extend(more.iter().map(OsString::from));
        words
    };
    let typed = |words: &[OsString]| {
        let words: Vec<_> = words.iter().map(|w| w.to_string_lossy().into_owned()).collect();
        words.join(" ")
    };
    for (command, more) in [("apply", &["--yes", "--summary"][..]), ("verify", &[])] {
        let words = words(command, more);
        screen.say(&format!("\n{} {}", screen.err.paint(Tone::Dim, "$"), screen.err.paint(Tone::Bold, &typed(&words))));
        let done = match args::read(words)?.command {
            Command::Apply(args) => recipes::apply(screen, &args).await?,
            Command::Verify(args) => verify::run(screen, &args).await?,
            _ => Exit::Failed,
        };
        if done != Exit::Done {
            return Err(done);
        }
        screen.begin_anew();
    }
    let address = lab.address("lb-01").map_err(|e| failed(screen, &e))?;
    let client = format!("foobar lab client --name {} -- curl -k https://www.foobar.com/", make.lab.name);
    screen.data(&format!(
        "\n{} in {}. Open it:\n\n  https://{address}/                      (as www.foobar.com: add `{address} www.foobar.com` to /etc/hosts)\n  {client}\n\n\
         Look again, change something and apply it, or take it away:\n\n  {}\n  edit {}\n  foobar lab down --name {}\n",
        screen.out.paint(Tone::Pass, "The site is served and verified"),
        span(started.elapsed()),
        typed(&words("plan", &[])),
        topology.display(),
        make.lab.name,
    ));
    Ok(Exit::Done)
}

/// Lays the site's files down where they are not yet: what a user changed in them stays.
fn write_site(dir: &Path, suite: Suite) -> Result<PathBuf, String> {
    for (name, text) in FILES {
        let path = dir.join(name);
        if path.exists() {
            continue;
        }
        let text = match (*name, suite) {
            (TOPOLOGY, Suite::Sid) => text.replace("engine: mariadb", "engine: mysql"),
            _ => (*text).to_owned(),
        };
        let made = path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(&path, text));
        made.map_err(|e| format!("{}: {e}", path.display()))?;
    }
    Ok(dir.join(TOPOLOGY))
}
