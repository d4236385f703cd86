//! What a recipe says, and THE table of them: a guest is a file in `images/` and a line here.

use serde::Deserialize;
use thiserror::Error;

/// Each recipe's name and text.
const FILES: [(&str, &str); 5] = [
    (
        "debian-6.1",
        include_str!("../../../images/debian-6.1.toml"),
    ),
    (
        "debian-6.12",
        include_str!("../../../images/debian-6.12.toml"),
    ),
    (
        "debian-7.2",
        include_str!("../../../images/debian-7.2.toml"),
    ),
    (
        "debian-7.3-rc",
        include_str!("../../../images/debian-7.3-rc.toml"),
    ),
    ("grub-xen", include_str!("../../../images/grub-xen.toml")),
];

/// A guest that can be fetched and booted by name.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// Its name, which is its file's.
    #[serde(skip)]
    pub name: String,
    /// What it is, in a line.
    pub summary: String,
    /// The command line it boots with, unless told otherwise.
    pub cmdline: String,
    /// The memory it boots with, unless told otherwise.
    pub mem_mib: u64,
    /// Whether it wants the built-in initramfs, unless given another.
    pub initramfs: bool,
    /// Where its kernel comes from.
    pub package: Package,
}

/// A file in one of Debian's packages.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Package {
    /// Debian's suites that may have it, the first that does wins.
    pub suites: Vec<String>,
    /// The package's name as a POSIX extended regular expression; of several the newest wins.
    pub name: String,
    /// Where in it the file may lie; `*` stands for any part of one component.
    pub files: Vec<String>,
}

/// No such image.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("no image {name:?}; there are {}", names().join(", "))]
pub struct UnknownImage {
    /// What was asked for.
    pub name: String,
}

/// All recipes, in the table's order.
#[must_use]
pub fn recipes() -> Vec<Recipe> {
    FILES.iter().map(|(name, text)| parse(name, text)).collect()
}

/// The recipe of that name.
///
/// # Errors
/// If there is none.
pub fn find(name: &str) -> Result<Recipe, UnknownImage> {
    FILES
        .iter()
        .find(|(n, _)| *n == name)
        .map(|(name, text)| parse(name, text))
        .ok_or_else(|| UnknownImage {
            name: name.to_owned(),
        })
}

fn parse(name: &str, text: &str) -> Recipe {
    let recipe = toml::from_str(text).expect("recipes are part of the program and tested");
    Recipe {
        name: name.to_owned(),
        ..recipe
    }
}

fn names() -> Vec<&'static str> {
    FILES.iter().map(|(name, _)| *name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_recipe_is_readable_and_complete() {
        for recipe in recipes() {
            assert!(!recipe.summary.is_empty(), "{}", recipe.name);
            assert!(recipe.mem_mib > 0, "{}", recipe.name);
            let package = recipe.package;
            assert!(!package.suites.is_empty() && !package.files.is_empty());
            assert!(package.name.starts_with('^') && package.name.ends_with('$'));
        }
    }

    #[test]
    fn every_file_in_images_is_in_the_table() {
        let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/../images");
        let entries = std::fs::read_dir(dir).expect("images");
        let paths = entries.map(|entry| entry.expect("an entry").path());
        let recipes: Vec<_> = paths
            .filter(|p| p.extension() == Some("toml".as_ref()))
            .collect();
        assert_eq!(recipes.len(), FILES.len());
    }

    #[test]
    fn an_unknown_image_names_those_there_are() {
        let error = find("debian-2.0").expect_err("unknown");
        assert_eq!(
            error.to_string(),
            "no image \"debian-2.0\"; there are debian-6.1, debian-6.12, debian-7.2, \
             debian-7.3-rc, grub-xen"
        );
    }
}
