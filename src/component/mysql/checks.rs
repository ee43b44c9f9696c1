//! Checks.
use crate::component::{Check, site::Site};
pub fn all(_site: &Site) -> Vec<Check> {
    Vec::new()
}
