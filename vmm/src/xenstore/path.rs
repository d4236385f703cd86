//! Paths: which there are, and how they relate.

use super::error::XsError;
use hypercalls::xs_wire::{ABS_PATH_MAX, REL_PATH_MAX};

/// The path from the root that `given` names, seen from the directory `home`.
pub(super) fn absolute(given: &str, home: &str) -> Result<String, XsError> {
    if !given.bytes().all(is_allowed) || given.contains("//") {
        return Err(XsError::Inval);
    }
    if given == "/" {
        return Ok(given.to_owned());
    }
    let (path, max) = match given.starts_with('/') {
        true => (given.to_owned(), ABS_PATH_MAX),
        false => (format!("{home}/{given}"), REL_PATH_MAX),
    };
    let sane = !given.is_empty() && !given.ends_with('/') && given.len() <= max;
    sane.then_some(path).ok_or(XsError::Inval)
}

fn is_allowed(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-/_@".contains(&byte)
}

/// The node above; `None` above the root.
pub(super) fn parent(path: &str) -> Option<&str> {
    match path.rfind('/')? {
        0 if path == "/" => None,
        0 => Some("/"),
        at => Some(&path[..at]),
    }
}

/// Whether `path` is `top` or below it.
pub(super) fn is_within(path: &str, top: &str) -> bool {
    match path.strip_prefix(top) {
        _ if top == "/" => true,
        Some(rest) => rest.is_empty() || rest.starts_with('/'),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_paths_begin_at_home() {
        let home = "/local/domain/1";
        assert_eq!(absolute("a/b", home), Ok("/local/domain/1/a/b".to_owned()));
        assert_eq!(absolute("/a", home), Ok("/a".to_owned()));
        assert_eq!(absolute("/", home), Ok("/".to_owned()));
        for bad in ["", "a/", "/a/", "a//b", "a b", "ä", "a\0"] {
            assert_eq!(absolute(bad, home), Err(XsError::Inval), "{bad:?}");
        }
        assert!(absolute(&"a".repeat(REL_PATH_MAX + 1), home).is_err());
    }

    #[test]
    fn relations() {
        assert_eq!(parent("/a/b"), Some("/a"));
        assert_eq!(parent("/a"), Some("/"));
        assert_eq!(parent("/"), None);
        assert!(is_within("/a/b", "/a") && is_within("/a", "/a") && is_within("/a", "/"));
        assert!(!is_within("/ab", "/a") && !is_within("/a", "/a/b"));
    }
}
