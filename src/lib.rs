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
//! | 1 | `base/` | names parsed once, secrets, shell scripts, templates, digests, DNS messages |
//! | 2 | `resource/` | what a host can have, one kind a file: how it is probed, how it differs, how it goes back |
//! | 3 | `component/` | what is deployed, one component a file: its resources, its checks, its endpoints; `spec.rs` has the YAML shape of all of them, since the site that each reads holds every one |
//! | 4 | `topology/` | the user's YAML: parse, locate, validate, lints |
//! | 5 | `plan/` | desired, observed, settled secrets, diff, what is taken away, what is rebooted, order; the lease and the generations of a host, as scripts and what they say |
//! | 6 | `event/` | the border between doing and showing |
//! | 7 | `transport/` | one method, `run(host, script)`, and beside it connections that are tried from this machine and carry nothing; `ssh.rs` and `reach.rs` are the ones that use the network |
//! | 8 | `engine/` | generic effects: observe, apply (a ready-queue over the graph), what goes back after a failure, hosts that reboot, drills, leases, verify, and the mint of secrets |
//! | 9 | `report/` | events and plans into text, live progress, JSON lines, pictures and pages |
//! | 10 | `cli/` | clap, exit codes, reading local files, one short recipe a command |
//! | apart | `lab/` | real throw-away hosts on this machine; nothing imports it but `cli` |
//!
//! # What goes back
//!
//! A step's change carries its way back ([`resource::undo`]), made of what the plan saw and of what the run keeps of what it
//! replaces; it comes out of the same call as the change itself. `plan/group.rs` says which steps stand or fall together: the
//! services that one proof is about, and what was put in place for them alone. Files land when their service's turn has
//! come, so that a failure leaves every other host with the files that it runs with. Where a proof fails, `engine/back.rs`
//! takes the group back on its own host, has it proved by the same steps and put back in service. Where nothing ran before,
//! there is no state to go back to, and what was made stays for the next run to go on from. Packages, accounts, data
//! and migrations have no way back.
//!
//! # What foobar owns
//!
//! Each host keeps a registry (`/var/lib/foobar/owned`, root-only), a line a thing: its kind, its name, whose it was before,
//! and what its removal must know. A resource names its own in [`resource::Resource::footprint`]; the registry is a resource
//! like any other (`resource/registry.rs`), the first of each host, so that a run killed at any instant has noted what it was
//! about to make. What is noted and nobody wants any more is taken away by a step of the plan (`plan/remove.rs`: when;
//! `resource/removal.rs`: how, all kinds in one place, since what is removed has no resource left), whose last act is to take
//! its line out.
//!
//! What stood at a path is kept by the step that first writes there, not by the registry's: the original of a package's own
//! file comes with the package, which is installed in between. A path of which nothing was kept, neither an original nor
//! the word that there was none, was never written by foobar and is never taken away.
//!
//! Data is not removed by inference, and a replica that leaves is stopped but not told to forget its source: its place in
//! the primary's log is part of its data, and lets it come back without a copy. A database's accounts are dropped where it
//! runs as a primary; in a server that is stopped they stay, as a part of its data.
//!
//! # Who takes the writes
//!
//! No file on a host says which server of the database is the primary: all of them boot closed, and the one that the topology
//! names is opened at run time. A plan of changes never moves that: where the servers have other roles than the file says
//! (`plan/roles.rs`), the state is compiled anew with theirs, and compared with the same answers. `plan/switchover.rs` moves it,
//! by the roles that they have (`resource/db_switch.rs`: how each changes its own), and `topology/edit.rs` has the user's file
//! follow. Where the primary is gone, `plan/failover.rs` chooses who goes on (`resource/db_failover.rs`: what is lost with it,
//! and how it is kept from coming back). Applications go by what the servers say of themselves (`component/paths`), and what is
//! written, noted and kept on a host is the same whatever role its server has, so that nothing there changes with one.

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
