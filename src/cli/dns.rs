//! `foobar dns`: the records that the site wants, and whether the world has them. What they are, the component says.

use super::{args::dns::DnsArgs, exit::Exit, gather, screen::Screen, verify, work::Work};
use crate::{
    component::{
        Component as _,
        dns::{Dns, records, world},
    },
    report,
};

/// `foobar dns`
pub async fn run(screen: &Screen, args: &DnsArgs) -> Result<Exit, Exit> {
    let files = &args.site;
    let gathered = gather::without_secrets(&files.file, files.inventory.as_deref(), files.templates.as_deref());
    let gathered = gathered.map_err(|failure| screen.failure(&failure))?;
    if gathered.site.topology.dns.is_none() {
        screen.problem(
            "foobar::dns",
            "the topology does not say who answers for the site's names",
            "write `dns: { on: [ns-01], zone: example.com }` for name servers of the stack's own, or `dns: { external: true }`",
        );
        return Err(Exit::Usage);
    }
    if !args.check {
        let site = &gathered.site;
        let wanted = records::wanted(site);
        let zone = records::zone_name(site);
        screen.data(&match args.json.json {
            true => report::dns::json(&site.topology.site, zone, &wanted),
            false => report::dns::text(zone, &wanted),
        });
        return Ok(Exit::Done);
    }
    let work = Work::of(screen, gathered, &args.reach, None)?;
    let mut checks = Dns.checks(&work.site);
    // What somebody else answers for is among them already.
    checks.extend(world(&work.site));
    Ok(verify::prove(screen, &work, &checks, args.json.json).await)
}
