//! `foobar graph`: the topology as a picture. No host is asked, and no secret is read.

use super::{args::graph::GraphArgs, exit::Exit, gather, local, screen::Screen};
use crate::report::graph;

/// `foobar graph`
pub fn run(screen: &Screen, args: &GraphArgs) -> Result<Exit, Exit> {
    let files = &args.site;
    let gathered = gather::without_secrets(&files.file, files.inventory.as_deref(), files.templates.as_deref());
    let gathered = gathered.map_err(|failure| screen.failure(&failure))?;
    if !gathered.warnings.is_empty() {
        screen.say(&format!("{} about the topology: `foobar validate` shows more\n", gathered.warnings));
    }
    let picture = graph::draw(&gathered.site, args.format);
    match &args.out {
        None => screen.data(&picture),
        Some(path) => local::write_shared(path, &picture).map_err(|why| {
            screen.problem("foobar::local", &why, "name a file that you may write");
            Exit::Failed
        })?,
    }
    Ok(Exit::Done)
}
