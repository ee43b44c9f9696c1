//! What every host shall have: the components' wishes, with what all of them need put in front (the registry of what foobar
//! owns, packages, the kept secrets). Nothing of what is there now is known here.

use crate::{
    base::{name::PackageName, template::TemplateError},
    component::{self, Desired, SecretSpec, Source, site::Site},
    resource::{Key, Wanted, packages::Packages, registry::Registry, stored::Stored},
};
use std::collections::{BTreeMap, BTreeSet};

/// The name of the secret that keys the fingerprints of all others; every host keeps it.
pub const FINGERPRINT_KEY: &str = "fingerprint-key";

/// Compiles a site.
pub fn compile(site: &Site) -> Result<Desired, TemplateError> {
    let mut desired = Desired { rollout: site.topology.rollout, ..Desired::default() };
    desired.secret(FINGERPRINT_KEY, Source::Password, site.hosts().cloned());
    let components = component::all(site);
    for component in &components {
        component.resources(site, &mut desired)?;
    }
    let mut all = Vec::new();
    for host in site.hosts() {
        let names: BTreeSet<PackageName> = components.iter().flat_map(|c| c.packages(site, host)).collect();
        let names: Vec<PackageName> = names.into_iter().collect();
        if !names.is_empty() {
            let filled = components.iter().flat_map(|c| c.filled(site, host)).collect();
            let resource = Box::new(Packages { names, filled });
            all.push(Wanted { host: host.clone(), resource, after: Vec::new() });
        }
        let names = kept_names(desired.secrets.iter().filter(|s| s.homes.contains(host)));
        if !names.is_empty() {
            all.push(Wanted { host: host.clone(), resource: Box::new(Stored { names }), after: Vec::new() });
        }
    }
    for mut wanted in desired.wanted {
        wanted.after.push(Key::new(&wanted.host, Packages::key()));
        wanted.after.push(Key::new(&wanted.host, Stored::key()));
        all.push(wanted);
    }
    desired.wanted = sorted(noted(site, all));
    Ok(desired)
}

/// With each host's registry before everything else there: what is about to be made is noted first.
fn noted(site: &Site, mut all: Vec<Wanted>) -> Vec<Wanted> {
    let mut registries = Vec::new();
    for host in site.hosts() {
        let here = all.iter().filter(|w| w.host == *host);
        let registry = Registry::of(here.flat_map(|w| w.resource.footprint()));
        let aliases = site.topology.aliases.iter().map(|a| a.as_str());
        let resource = Box::new(registry.of_site(site.topology.site.as_str(), aliases));
        registries.push(Wanted { host: host.clone(), resource, after: Vec::new() });
    }
    for wanted in &mut all {
        wanted.after.push(Key::new(&wanted.host, Registry::key()));
    }
    registries.append(&mut all);
    registries
}

/// The names under which these secrets are kept; a certificate has two, `NAME.crt` and `NAME.key`.
pub fn kept_names<'a>(specs: impl IntoIterator<Item = &'a SecretSpec>) -> Vec<String> {
    let names = |spec: &SecretSpec| match spec.source {
        Source::Given(_) | Source::Kept | Source::Password => vec![spec.name.clone()],
        Source::Account => vec![format!("{}.key", spec.name)],
        Source::Authority { .. } | Source::Leaf { .. } => {
            vec![format!("{}.crt", spec.name), format!("{}.key", spec.name)]
        }
    };
    specs.into_iter().flat_map(names).collect()
}

/// In an order that respects every edge, and otherwise the one it came in. Edges to what nobody wants are ignored; what
/// stands in a circle, which only a fault in a component could make, keeps its place.
fn sorted(wanted: Vec<Wanted>) -> Vec<Wanted> {
    let keys: BTreeMap<Key, usize> =
        wanted.iter().enumerate().map(|(n, w)| (Key::new(&w.host, w.resource.id()), n)).collect();
    let mut order = Vec::with_capacity(wanted.len());
    let mut state = vec![0u8; wanted.len()];
    fn visit(n: usize, wanted: &[Wanted], keys: &BTreeMap<Key, usize>, state: &mut [u8], order: &mut Vec<usize>) {
        if state[n] != 0 {
            return;
        }
        state[n] = 1;
        for after in &wanted[n].after {
            if let Some(&before) = keys.get(after) {
                visit(before, wanted, keys, state, order);
            }
        }
        order.push(n);
    }
    for n in 0..wanted.len() {
        visit(n, &wanted, &keys, &mut state, &mut order);
    }
    let mut slots: Vec<Option<Wanted>> = wanted.into_iter().map(Some).collect();
    order.into_iter().filter_map(|n| slots[n].take()).collect()
}
