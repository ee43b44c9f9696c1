//! `foobar render` and `foobar explain`: what would be pushed, and why it is so. No host is asked, and no secret is read.

use super::{
    args::{
        SiteArgs,
        why::{ExplainArgs, RenderArgs},
    },
    exit::Exit,
    gather::{self, Gathered},
    screen::Screen,
    tree, work,
};
use crate::{
    base::name::HostName,
    component::Desired,
    plan::{
        explain::{self, Basis, Unknown},
        rendered,
    },
    report::{explain::View, style::count},
};
use std::io::{IsTerminal as _, stdout};

/// Reads a site but its secrets, and compiles it.
fn compiled(screen: &Screen, args: &SiteArgs) -> Result<(Gathered, Desired), Exit> {
    let gathered = gather::without_secrets(&args.file, args.inventory.as_deref(), args.templates.as_deref());
    let gathered = gathered.map_err(|failure| screen.failure(&failure))?;
    if !gathered.warnings.is_empty() {
        screen.say(&format!("{} about the topology: `foobar validate` shows more\n", gathered.warnings));
    }
    let desired = work::compile(screen, &gathered.site)?;
    Ok((gathered, desired))
}

fn unknown(screen: &Screen, unknown: &Unknown) -> Exit {
    screen.problem("foobar::explain", &unknown.to_string(), &unknown.help());
    Exit::Usage
}

/// `foobar render`
pub fn render(screen: &Screen, args: &RenderArgs) -> Result<Exit, Exit> {
    let (gathered, desired) = compiled(screen, &args.site)?;
    let site = &gathered.site;
    for name in &args.host {
        if !site.hosts().any(|h| h.as_str() == name) {
            let known = site.hosts().map(ToString::to_string).collect();
            return Err(unknown(screen, &Unknown::Host { name: name.clone(), known }));
        }
    }
    let is_wanted = |h: &&HostName| args.host.is_empty() || args.host.iter().any(|name| name == h.as_str());
    let hosts: Vec<&HostName> = site.hosts().filter(is_wanted).collect();
    let all = rendered::all(&desired, hosts.iter().copied());
    if let Some(dir) = &args.output {
        let only = (!args.host.is_empty()).then_some(hosts.as_slice());
        let done = tree::write(dir, &all, only).map_err(|fault| {
            screen.problem("foobar::local", &fault.what, fault.help);
            Exit::Failed
        })?;
        screen.say(&format!(
            "{}: {} of {}, {} written, {} as before, {} removed",
            dir.display(),
            count(done.written + done.same, "file"),
            count(hosts.len(), "host"),
            done.written,
            done.same,
            done.removed
        ));
    }
    if args.json.json {
        screen.data(&crate::report::render::json(&site.topology.site, &all));
    } else if args.output.is_none() {
        screen.data(&crate::report::render::text(&all, screen.out));
    }
    Ok(Exit::Done)
}

/// `foobar explain`
pub fn explain(screen: &Screen, args: &ExplainArgs) -> Result<Exit, Exit> {
    let (gathered, desired) = compiled(screen, &args.site)?;
    let basis = Basis { site: &gathered.site, desired: &desired, places: &gathered.places };
    let target = &args.target;
    let explained = explain::explain(&basis, &target.host, &target.path).map_err(|u| unknown(screen, &u))?;
    let line = match target.line {
        None => None,
        Some(wanted) => match explained.lines.get(wanted - 1) {
            Some(line) => Some(line),
            None => {
                let what = format!(
                    "{}:{} has {}, and no line {wanted}",
                    target.host,
                    target.path,
                    count(explained.lines.len(), "line")
                );
                let help = match &explained.note {
                    Some(note) => format!("{note}; leave the line out to see all of it"),
                    None => "leave the line out to see all of it".to_owned(),
                };
                screen.problem("foobar::explain", &what, &help);
                return Err(Exit::Usage);
            }
        },
    };
    let width = stdout().is_terminal().then(|| crate::report::terminal_size(&stdout()).0.clamp(60, 100));
    let templates = args.site.templates.as_ref().map(|t| t.display().to_string());
    let view = View { palette: screen.out, width, templates };
    screen.data(&match (args.json.json, line) {
        (true, _) => crate::report::explain::json(&explained, line, &view),
        (false, Some(line)) => crate::report::explain::line(&explained, line, &view),
        (false, None) => crate::report::explain::file(&explained, &view),
    });
    Ok(Exit::Done)
}
