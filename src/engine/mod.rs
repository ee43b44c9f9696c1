//! Generic effects: observe, apply, verify. Nothing here knows what any script is about.

pub mod apply;
mod back;
mod batch;
mod confirm;
pub mod course;
pub mod drill;
pub mod glance;
pub mod lease;
pub mod mint;
pub mod observe;
pub mod reboot;
pub mod verify;
