//! `foobar switchover`: the writes move to another database server by a plan like any other, and the topology file follows.
//! Who may take over, and in what order, is decided in `plan/switchover.rs`.

use super::{
    args::switchover::SwitchoverArgs,
    carry::{self, Order},
    exit::Exit,
    local,
    screen::Screen,
    work::{Task, Work},
};
use crate::{
    base::name::HostName,
    component::mysql,
    plan::{StepId, remove::Removal, switchover},
    report::record::Fate,
    topology::edit,
};
use std::{fs, path::Path};

/// `foobar switchover`
pub async fn run(screen: &Screen, args: &SwitchoverArgs) -> Result<Exit, Exit> {
    let mut work = Work::new(screen, &args.site, &args.reach, None)?;
    let Some(servers) = mysql::servers(&work.site) else {
        screen.problem(
            "foobar::switchover",
            "the topology has no database",
            "a switchover moves the writes of `mysql:` from its primary to one of its replicas",
        );
        return Err(Exit::Usage);
    };
    let before = work.saved.topology.text.clone();
    let after = edit::promoted(&before, args.to.as_str());
    // What is kept of this run is what the servers are after it.
    if let Some(after) = &after {
        work.saved.topology.text.clone_from(after);
    }
    work.task = Task::Switchover(servers, args.to.clone());
    let order = Order {
        command: "switchover",
        removal: Removal::default(),
        wait: args.wait.lock_timeout,
        json: args.json.json,
        diff: args.diff.style(),
        undoes: true,
    };
    let mut moved: Option<Moved> = None;
    let ended = carry::run(screen, &work, &order, async |look| {
        let taken = look.plan.steps.iter().find(|s| s.resource == switchover::taken()).map(|s| s.id);
        moved = Some(taken.map_or(Moved::Already, Moved::By));
        if look.plan.is_empty() && !order.json {
            screen.data(&format!("{} takes the writes already, and all others follow it.\n", args.to));
            return Err(Exit::Done);
        }
        carry::show(screen, &order, &look.plan);
        carry::bounded(screen, &args.bound, &look.plan)?;
        carry::agree(screen, &look.plan, args.yes, &format!("Let {} take the writes?", args.to)).await
    })
    .await;
    let is_there = match moved {
        Some(Moved::Already) => true,
        Some(Moved::By(step)) => screen.show().record().fate(step) == Some(&Fate::Done),
        None => false,
    };
    if is_there && after.as_ref() != Some(&before) {
        let file = (args.site.file.as_path(), args.no_edit, &args.to);
        follow(screen, "foobar::switchover", file, &before, after.as_deref());
    }
    ended
}

/// How the server came to have the writes.
enum Moved {
    /// It had them before.
    Already,
    /// By this step, if it is done.
    By(StepId),
}

/// Has the file say what the servers are, or says what it should, where it is to be left as it is.
pub fn follow(
    screen: &Screen,
    code: &'static str,
    (path, is_left, to): (&Path, bool, &HostName),
    before: &str,
    after: Option<&str>,
) {
    let file = path.display();
    let by_hand = format!("name {to} as `mysql.primary` and the former one among `mysql.replicas`");
    let Some(after) = after else {
        screen.say(&format!("\n{file} still names the former primary: {by_hand}."));
        return;
    };
    let changed = before.lines().zip(after.lines()).enumerate().filter(|(_, (old, new))| old != new);
    let lines: String =
        changed.map(|(n, (old, new))| format!("{file}:{}\n  - {}\n  + {}\n", n + 1, old.trim(), new.trim())).collect();
    if is_left {
        screen
            .say(&format!("\n{file} was left as it is. To say what the servers are, it needs:\n{}", lines.trim_end()));
        return;
    }
    match replace(path, before, after) {
        Ok(()) => screen.say(&format!("\nThe file says so too:\n{}", lines.trim_end())),
        Err(why) => screen.problem(code, &format!("{file} was not changed: {why}"), &by_hand),
    }
}

/// Writes a file anew with its mode and owner, unless somebody has changed it meanwhile.
fn replace(file: &Path, before: &str, after: &str) -> Result<(), String> {
    use std::{io::Write as _, os::unix::fs::MetadataExt as _};
    let plain = |error: std::io::Error| local::plain(&error);
    // Behind a link, the file that it names.
    let file = fs::canonicalize(file).map_err(plain)?;
    if fs::read(&file).map_err(plain)? != before.as_bytes() {
        return Err("it was changed meanwhile".into());
    }
    let meta = fs::metadata(&file).map_err(plain)?;
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let new = file.with_file_name(format!(".{name}.foobar-{}", std::process::id()));
    let write = || {
        let mut out = fs::OpenOptions::new().write(true).create_new(true).open(&new)?;
        out.set_permissions(meta.permissions())?;
        let is_mine = out.metadata().is_ok_and(|m| (m.uid(), m.gid()) == (meta.uid(), meta.gid()));
        if !is_mine {
            std::os::unix::fs::chown(&new, Some(meta.uid()), Some(meta.gid()))?;
        }
        out.write_all(after.as_bytes())?;
        out.sync_all()?;
        fs::rename(&new, &file)?;
        fs::File::open(file.parent().unwrap_or(Path::new("/")))?.sync_all()
    };
    write().map_err(|error| {
        let _ = fs::remove_file(&new);
        plain(error)
    })
}
