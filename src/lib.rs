//! foobar turns a declarative YAML topology of a web stack into real servers that match it, over SSH, without an
//! agent, and proves that they do.
//!
//! **Everything that knows about nginx is pure; everything that touches the network has never heard of nginx.**
//!
//! ```text
//! gather  →  compile  →  observe  →  diff  →  apply  →  verify
//! local      pure        read-only   pure     writes    read-only
//! ```
//!
//! # The map of the house
//!
//! A file imports from its own floor or a lower one, never upward, never in a circle; `tests/house.rs` walks `src` and
//! says so. Floors 1 to 5 hold no tokio, openssh, `std::fs`, `std::process`, `std::net` sockets or clock.
//!
//! | floor | room | what lives there |
//! |---|---|---|
//! | 1 | `base/` | names parsed once, secrets, shell scripts, templates, digests |
//! | 2 | `resource/` | what a host can have, one kind a file: how it is probed, how it differs |
//! | 3 | `component/` | what is deployed, one component a file: its resources, its checks, its endpoints; `spec.rs` has the YAML shape of all of them, since the site that each reads holds every one |
//! | 4 | `topology/` | the user's YAML: parse, locate, validate, lints |
//! | 5 | `plan/` | desired, observed, settled secrets, diff, order; the lease and the generations of a host, as scripts and what they say |
//! | 6 | `event/` | the border between doing and showing |
//! | 7 | `transport/` | one method, `run(host, script)`; `ssh.rs` is the one that uses the network |
//! | 8 | `engine/` | generic effects: observe, apply (a ready-queue over the graph), leases, verify, and the mint of secrets |
//! | 9 | `report/` | events and plans into text, live progress, JSON lines |
//! | 10 | `cli/` | clap, exit codes, reading local files, one short recipe a command |
//! | apart | `lab/` | real throw-away hosts on this machine; nothing imports it but `cli` |

pub mod base;
pub mod cli;
pub mod component;
pub mod engine;
pub mod event;
pub mod lab;
pub mod plan;
pub mod report;
pub mod resource;
pub mod topology;
pub mod transport;
