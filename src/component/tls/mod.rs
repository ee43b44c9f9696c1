//! The site's certificate: the user's own, one from an ACME directory, or one from a private authority that may sign for this
//! site alone. Where TLS ends is the balancer's business.

pub mod acme;
mod checks;

use super::{
    Check, Component, Desired, Endpoint, Source,
    names::{ACME_ACCOUNT, SITE, SITE_CA, SITE_CA_FILE},
    origin::{self, Origin, Source as From},
    packages,
    site::Site,
    spec::Certificate,
};
use crate::{
    base::{
        name::{HostName, PackageName},
        secret::{Content, Secret},
        template::TemplateError,
    },
    resource::files::{File, Files},
};

/// The name that the private authority is kept under.
pub const AUTHORITY: &str = SITE_CA;

/// Days that a certificate of the private authority is good for: under the 366 of Mozilla's intermediate profile, and the 398
/// that browsers take.
const DAYS: u32 = 365;

/// `tls:`
#[derive(Debug)]
pub struct Tls;

impl Component for Tls {
    fn name(&self) -> &'static str {
        "tls"
    }

    fn packages(&self, site: &Site, host: &HostName) -> Vec<PackageName> {
        // The checks speak TLS through the openssl program, from wherever they look.
        let here = site.topology.haproxy.as_ref().is_some_and(|h| h.on.contains(host));
        let client = (here && site.acme().is_some()).then_some("uacme");
        packages(["ca-certificates", "openssl"].into_iter().chain(client))
    }

    fn endpoints(&self, _site: &Site) -> Vec<Endpoint> {
        Vec::new()
    }

    fn resources(&self, site: &Site, desired: &mut Desired) -> Result<(), TemplateError> {
        // Visitors know who signs those already, and so do the hosts.
        if let Some(acme) = site.acme() {
            return acme::resources(site, acme, desired);
        }
        let homes: Vec<HostName> = site.topology.haproxy.iter().flat_map(|h| h.on.clone()).collect();
        let names: Vec<String> = site.names().iter().map(|n| n.as_str().to_owned()).collect();
        let trusted = match (&site.topology.tls.certificate, &site.certificate) {
            (Certificate::Files { .. }, Some(given)) => {
                let chain = Secret::new(given.chain.clone());
                desired.secret(format!("{SITE}.crt"), Source::Given(chain), homes.clone());
                desired.secret(format!("{SITE}.key"), Source::Given(given.key.clone()), homes);
                format!("{SITE}.crt")
            }
            _ => {
                let common_name = format!("foobar CA of {}", site.topology.site);
                let authority = Source::Authority { common_name, names: names.clone() };
                desired.secret(AUTHORITY, authority, homes.clone());
                desired.secret(SITE, Source::Leaf { by: AUTHORITY.into(), names, days: DAYS }, homes);
                format!("{AUTHORITY}.crt")
            }
        };
        // What visitors of the site verify it with; no secret, and every host can check with it.
        for host in site.hosts() {
            let file = File::text(SITE_CA_FILE, Content::of(&trusted)).mode(0o644);
            desired.want(host, Files::new("site authority", vec![file]), []);
        }
        Ok(())
    }

    fn checks(&self, site: &Site) -> Vec<Check> {
        checks::all(site)
    }

    fn origins(&self, site: &Site, host: &HostName) -> Result<Vec<Origin>, TemplateError> {
        acme::origins(site, host)
    }

    fn secret_origin(&self, site: &Site, name: &str) -> Vec<From> {
        let stem = name.trim_end_matches(".crt").trim_end_matches(".key").trim_end_matches(".thumbprint");
        let own = |what| [vec![From::Own(what), origin::key(["tls", "certificate"])], origin::names()].concat();
        match (stem, &site.topology.tls.certificate) {
            (SITE, Certificate::Files { .. }) => {
                let which = if name.ends_with(".crt") { "cert" } else { "key" };
                vec![origin::key(["tls", "certificate", which])]
            }
            (ACME_ACCOUNT, _) => {
                vec![
                    From::Own("made once, the balancers' account at the directory"),
                    origin::key(["tls", "certificate"]),
                ]
            }
            (acme::INTERIM, _) => own("made by foobar, until the first certificate comes"),
            (SITE, _) => own("made by foobar, for the site's names"),
            (SITE_CA, _) => own("made once, signs for the site's names alone"),
            _ => Vec::new(),
        }
    }
}
