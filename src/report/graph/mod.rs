//! The topology as a picture: who visits, which names and addresses lead where, what runs on which host, who speaks to
//! whom, and what the packet filters let in. It is made of the topology alone: the same file gives the same picture.

pub mod layout;
pub mod picture;
pub mod rules;
pub mod svg;
#[cfg(test)]
mod tests;
pub mod text;

use crate::component::site::Site;
use picture::Picture;

/// How a picture is written down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// a picture for documents, light and dark
    #[default]
    Svg,
    /// text that code hosts and wikis draw
    Mermaid,
    /// text for Graphviz
    Dot,
}

/// The picture of a site.
pub fn draw(site: &Site, format: Format) -> String {
    let picture = Picture::of(site);
    match format {
        Format::Svg => svg::draw(&picture, &svg::Marks::default()),
        Format::Mermaid => text::mermaid(&picture),
        Format::Dot => text::dot(&picture),
    }
}
