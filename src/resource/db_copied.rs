//! What comes to a replica with its primary's data, such as accounts. It is made, changed and dropped on the primary alone, and
//! noted on every server, so that no note changes with a role.

use super::{Change, Probe, Refusal, Resource, ResourceId, Seen, owned::Owned};

/// What a replica has because its primary has it.
#[derive(Debug)]
pub struct Copied {
    of: ResourceId,
    all: Vec<Owned>,
}

impl Copied {
    /// What this resource makes on the primary.
    pub fn of(resource: &impl Resource) -> Self {
        Self { of: resource.id(), all: resource.footprint() }
    }
}

impl Resource for Copied {
    fn id(&self) -> ResourceId {
        ResourceId::new("copied", self.of.name.clone())
    }

    fn probes(&self) -> Vec<Probe> {
        Vec::new()
    }

    fn diff(&self, _: &Seen<'_>) -> Result<Option<Change>, Refusal> {
        Ok(None)
    }

    fn footprint(&self) -> Vec<Owned> {
        self.all.clone()
    }
}
