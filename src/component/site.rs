//! What the components are functions of: the validated topology, with the local files it names already read. Reading
//! them is the command line's business.

use super::spec::{Acme, Certificate, Host, Topology};
use crate::base::{
    name::{DomainName, EnvName, HostName},
    secret::Secret,
    template::Templates,
};
use std::{collections::BTreeMap, net::IpAddr, sync::Arc};

/// A validated site.
#[derive(Clone, Debug)]
pub struct Site {
    /// The topology, valid.
    pub topology: Topology,
    /// The templates, the user's own laid over the embedded ones.
    pub templates: Templates,
    /// The app's folder as one release; present where the topology has an app.
    pub release: Option<Release>,
    /// The user's own certificate; present where the topology names one.
    pub certificate: Option<GivenCertificate>,
    /// The app's given secrets, by variable; generated ones are not here.
    pub given: BTreeMap<EnvName, Secret>,
    /// What those who send alerts were given, by the name that it is kept under.
    pub alerts: BTreeMap<&'static str, Secret>,
}

/// The app's folder, packed the same way each time so that equal folders have equal digests.
#[derive(Clone, Debug)]
pub struct Release {
    /// SHA-256 of the archive.
    pub digest: String,
    /// An uncompressed tar of regular files, directories and symbolic links, with fixed owners and times; none where only
    /// the digest is known, and hosts that lie unpacked have it already.
    pub archive: Option<Arc<[u8]>>,
}

/// The user's own certificate.
#[derive(Clone, Debug)]
pub struct GivenCertificate {
    /// The certificate with its chain, PEM.
    pub chain: String,
    /// Its key, PEM.
    pub key: Secret,
}

impl Site {
    /// The host of that name. Validation has made sure that every name in the topology is one.
    pub fn host(&self, name: &HostName) -> Option<&Host> {
        self.topology.hosts.iter().find(|h| h.name == *name)
    }

    /// The address of a host; the unspecified address stands for a name that validation would have refused.
    pub fn address(&self, name: &HostName) -> IpAddr {
        self.host(name).map_or(IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED), |h| h.address)
    }

    /// The addresses that visitors reach the site at: what its names lead to. Those that move between the balancers, or the
    /// balancers' own, or the web servers' where there is no balancer.
    pub fn public_addresses(&self) -> Vec<IpAddr> {
        let t = &self.topology;
        if let Some(redundancy) = t.haproxy.as_ref().and_then(|h| h.redundancy.as_ref()) {
            return redundancy.virtual_addresses.clone();
        }
        let on = t.haproxy.as_ref().map(|h| &h.on).or(t.nginx.as_ref().map(|n| &n.on));
        on.into_iter().flatten().map(|host| self.address(host)).collect()
    }

    /// The site's name and its aliases.
    pub fn names(&self) -> Vec<&DomainName> {
        std::iter::once(&self.topology.site).chain(&self.topology.aliases).collect()
    }

    /// The database servers in the order of the hosts, which no change of roles touches: what a file lists goes by it.
    pub fn database_hosts(&self) -> Vec<&HostName> {
        let mysql = self.topology.mysql.as_ref();
        self.hosts().filter(|host| mysql.is_some_and(|m| m.hosts().any(|h| h == *host))).collect()
    }

    /// The same site with another of its database servers as the primary, and the former one in its place.
    pub fn with_primary(&self, host: &HostName) -> Self {
        let mut site = self.clone();
        let Some(mysql) = &mut site.topology.mysql else { return site };
        if let Some(place) = mysql.replicas.iter_mut().find(|replica| *replica == host) {
            std::mem::swap(place, &mut mysql.primary);
        }
        site
    }

    /// What the topology says of an ACME directory, where the site's certificate comes from one.
    pub fn acme(&self) -> Option<&Acme> {
        match &self.topology.tls.certificate {
            Certificate::Acme(acme) => Some(acme),
            _ => None,
        }
    }

    /// All hosts, in the file's order.
    pub fn hosts(&self) -> impl Iterator<Item = &HostName> {
        self.topology.hosts.iter().map(|h| &h.name)
    }
}
