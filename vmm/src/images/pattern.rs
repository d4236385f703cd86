//! Where a file lies in a package whose layout is known but for names with versions in them.

use std::fs;
use std::path::{Path, PathBuf};

/// The first regular file that one of the patterns names, as a path below `tree`.
pub(super) fn find(tree: &Path, patterns: &[String]) -> Option<PathBuf> {
    patterns.iter().find_map(|pattern| {
        let components: Vec<&str> = pattern.split('/').collect();
        descend(tree, Path::new(""), &components)
    })
}

fn descend(tree: &Path, at: &Path, pattern: &[&str]) -> Option<PathBuf> {
    let here = tree.join(at);
    let Some((first, rest)) = pattern.split_first() else {
        let regular = here.symlink_metadata().is_ok_and(|data| data.is_file());
        return regular.then(|| at.to_owned());
    };
    let entries = fs::read_dir(here).ok()?.flatten();
    let mut names: Vec<_> = entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| matches(first, name))
        .collect();
    names.sort();
    names
        .iter()
        .find_map(|name| descend(tree, &at.join(name), rest))
}

/// Whether `*`, standing for anything, makes the pattern the name.
fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((before, after)) => name.strip_prefix(before).is_some_and(|rest| {
            (0..=rest.len()).any(|i| rest.is_char_boundary(i) && matches(after, &rest[i..]))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_within_a_component() {
        assert!(matches("vmlinuz-*", "vmlinuz-6.1.0"));
        assert!(matches("*-cloud-*", "6.1-cloud-amd64"));
        assert!(!matches("vmlinuz-*", "config-6.1.0"));
        assert!(!matches("a*b", "a"));
    }

    #[test]
    fn a_file_is_found_by_the_first_pattern_that_names_one() {
        let tree = std::env::temp_dir().join(format!("xenlet-find-{}", std::process::id()));
        let dir = tree.join("usr/lib/modules/7.2");
        fs::create_dir_all(&dir).expect("a directory");
        fs::write(dir.join("vmlinuz"), "").expect("a file");
        let patterns = ["boot/vmlinuz-*", "usr/lib/modules/*/vmlinuz"].map(str::to_owned);
        assert_eq!(
            find(&tree, &patterns),
            Some(PathBuf::from("usr/lib/modules/7.2/vmlinuz"))
        );
        assert_eq!(find(&tree, &patterns[..1]), None);
        fs::remove_dir_all(&tree).expect("removed");
    }
}
