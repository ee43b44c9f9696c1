//! Checks.
use super::Firewall;
use crate::component::{Check, site::Site};
pub fn all(_firewall: &Firewall, _site: &Site) -> Vec<Check> {
    Vec::new()
}
