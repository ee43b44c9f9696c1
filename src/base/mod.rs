//! Words used everywhere: names parsed once, secrets that do not show themselves, scripts, templates, digests.
//! Nothing here knows what a web stack is.

pub mod certificate;
pub mod digest;
pub mod dns;
pub mod jwk;
pub mod name;
pub mod reach;
pub mod scan;
pub mod script;
pub mod secret;
pub mod template;
pub mod trace;
